"""A whole system on one machine: the embedded Valkey, and a supervisor. Production needs none of it."""
