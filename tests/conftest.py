"""Fixtures that any test may ask for; servers start only when one does."""

pytest_plugins = ["tests.support.servers", "tests.support.engines", "tests.support.hostile"]
