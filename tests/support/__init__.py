"""What the tests of the engine share: real servers, engines on them, and bodies as a producer writes them."""
