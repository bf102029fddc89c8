"""Fixtures that any test may ask for; servers start only when one does."""

pytest_plugins = [
    "tests.support.servers",
    "tests.support.doctor",
    "tests.support.engines",
    "tests.support.evidence",
    "tests.support.hostile",
    "tests.support.killing",
    "tests.support.matrix",
]
