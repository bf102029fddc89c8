"""An EVERY8D gateway on a port, for development and tests.

Written from the specification and the field notes alone. It shares no parsing and no pricing with the client
in this distribution: an emulator that borrowed the client's code would repeat its mistakes, not find them.

`python -m every8d.emulator` (or `every8d emulator`) starts one, `every8d.emulator.process` starts one from a
test, and `every8d.emulator.control` talks to it behind the gateway's back.
"""
