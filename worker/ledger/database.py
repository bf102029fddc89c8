"""The connection to the ledger: PostgreSQL or SQLite, with the durability that money asks for."""

import sqlite3
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any, TypeVar

from sqlalchemy import Connection, Engine, create_engine, event, text
from sqlalchemy.engine import make_url
from sqlalchemy.exc import DBAPIError, DisconnectionError, OperationalError
from tenacity import Retrying, retry_if_exception, stop_after_attempt, wait_random_exponential

from worker import points

T = TypeVar("T")

#: A process asks the database's clock again after so long.
CLOCK_CHECK_S = 10.0
#: PostgreSQL's codes for "deadlock" and "could not serialise": the transaction is undone, and may be repeated.
_REPEATABLE = ("40P01", "40001")
#: A connection that was idle for longer is tried before it is used.
IDLE_S = 5.0
#: Connections beyond the pool's size, for threads that come at the same moment.
OVERFLOW = 4
#: How long SQLite waits for another writer.
_BUSY_MS = 30_000
#: A bulk writer leaves SQLite to others for as long as it held it, up to this.
_PACE_CEILING_S = 0.05


class Database:
    """One ledger, for one process: a pool of connections, write transactions, and the clock that leases go by.

    `clock` replaces the database's clock (milliseconds since 1970, UTC) for tests that move time.
    """

    def __init__(self, url: str, *, pool_size: int = 20, clock: Callable[[], int] | None = None) -> None:
        self.url = make_url(url)
        if self.url.drivername in ("postgresql", "postgres"):
            self.url = self.url.set(drivername="postgresql+psycopg")
        self.is_postgres = self.url.get_backend_name() == "postgresql"
        self.engine = _postgres(self.url, pool_size) if self.is_postgres else _sqlite(self.url, pool_size)
        self._clock = clock
        self._ahead_ms = 0.0
        self._asked_at = float("-inf")
        # SQLite has one writer; waiting for it here is fair and wakes at once, its own busy wait is neither.
        self._writer = threading.Lock()

    def now_ms(self) -> int:
        """The database's time: milliseconds since 1970, UTC. Its distance from ours is measured now and then."""
        if self._clock is not None:
            return self._clock()
        if not self.is_postgres:
            return int(time.time() * 1000)
        if time.monotonic() - self._asked_at > CLOCK_CHECK_S:
            before = time.monotonic()
            with self.read() as connection:
                theirs = connection.scalar(text("SELECT extract(epoch FROM clock_timestamp()) * 1000"))
            self._ahead_ms = float(theirs or 0) - (before + time.monotonic()) * 500
            self._asked_at = time.monotonic()
        # Against the clock that nobody sets: a step of the host's would send early, expire, and end leases.
        return int(time.monotonic() * 1000 + self._ahead_ms)

    def write(self, work: Callable[[Connection], T], *, bulk: bool = False, point: str = "") -> T:
        """Runs `work` in one transaction and returns what it returns. A deadlock's victim is run again.

        `bulk` writers make way: on SQLite, which has one writer at a time, they pause after each transaction.
        `point` names the commit for tests that kill the process before or after it (`worker.points`).
        """
        for attempt in Retrying(
            retry=retry_if_exception(_may_be_repeated),
            stop=stop_after_attempt(6),
            wait=wait_random_exponential(multiplier=0.01, max=0.5),
            reraise=True,
        ):
            with attempt, self._transaction(bulk=bulk) as connection:
                result = work(connection)
                points.before(point)
        points.after(point)
        return result

    @contextmanager
    def read(self) -> Iterator[Connection]:
        """A connection for reading only: on PostgreSQL each statement sees what is committed when it starts."""
        with self.engine.connect() as connection:
            options = {"isolation_level": "AUTOCOMMIT"} if self.is_postgres else {"every8d_read": True}
            yield connection.execution_options(**options)

    @contextmanager
    def driver_errors(self) -> Iterator[None]:
        """Errors of the driver, where it is used past SQLAlchemy, as SQLAlchemy's: those are what is caught."""
        errors: Any = self.engine.dialect.loaded_dbapi
        try:
            yield
        except errors.Error as error:
            _without_rows(error)
            raise DBAPIError.instance(None, None, error, errors.Error, dialect=self.engine.dialect) from error

    def close(self) -> None:
        """Closes the pool."""
        self.engine.dispose()

    @contextmanager
    def _transaction(self, *, bulk: bool) -> Iterator[Connection]:
        if self.is_postgres:
            with self.engine.begin() as connection:
                yield connection
            return
        with self._writer:
            began = time.monotonic()
            with self.engine.begin() as connection:
                yield connection
        if bulk:
            time.sleep(min(time.monotonic() - began, _PACE_CEILING_S))


def _postgres(url: Any, pool_size: int) -> Engine:
    engine = create_engine(
        url,
        pool_size=pool_size,
        max_overflow=OVERFLOW,
        hide_parameters=True,  # an error that a log keeps shows no number and no text
        pool_timeout=30,
        connect_args={
            "connect_timeout": 10,
            # A server that vanished without a word is noticed within half a minute, not in two hours.
            "keepalives_idle": 10,
            "keepalives_interval": 5,
            "keepalives_count": 3,
            "tcp_user_timeout": 30_000,
            # A commit that a crash of the server may forget is a text sent twice.
            "options": "-c synchronous_commit=on -c timezone=UTC -c lock_timeout=30000",
            "application_name": "every8d",
        },
    )

    @event.listens_for(engine, "handle_error")
    def _hide(context: Any) -> None:
        if context.sqlalchemy_exception is not None:
            name = type(context.original_exception).__name__
            context.sqlalchemy_exception.args = (f"({name}) {_without_rows(context.original_exception)}",)

    # SQLAlchemy's own ping costs a round trip for each transaction; only a connection that was idle may be dead unseen.
    @event.listens_for(engine, "checkin")
    def _remember(_connection: object, entry: Any) -> None:
        entry.info["used"] = time.monotonic()

    @event.listens_for(engine, "checkout")
    def _ping(connection: Any, entry: Any, _proxy: object) -> None:
        if time.monotonic() - entry.info.get("used", float("inf")) > IDLE_S:
            try:
                connection.execute("SELECT 1")
                connection.rollback()
            except Exception as error:
                raise DisconnectionError from error

    return engine


def _sqlite(url: Any, pool_size: int) -> Engine:
    engine = create_engine(
        url,
        pool_size=pool_size,
        max_overflow=OVERFLOW,
        hide_parameters=True,  # an error that a log keeps shows no number and no text
        connect_args={"timeout": _BUSY_MS / 1000, "check_same_thread": False},
    )

    @event.listens_for(engine, "connect")
    def _prepare(connection: sqlite3.Connection, _record: object) -> None:
        # We say BEGIN ourselves: Python's module would begin late, and an upgraded read fails without waiting.
        connection.isolation_level = None
        _write_ahead(connection)
        # NORMAL may lose the last commit when the power goes: a forgotten `submitting` is a text sent twice.
        connection.execute("PRAGMA synchronous=FULL")
        connection.execute(f"PRAGMA busy_timeout={_BUSY_MS}")

    @event.listens_for(engine, "begin")
    def _begin(connection: Connection) -> None:
        reads = connection.get_execution_options().get("every8d_read")
        connection.exec_driver_sql("BEGIN" if reads else "BEGIN IMMEDIATE")

    return engine


def _without_rows(error: BaseException) -> str:
    """What PostgreSQL says, without the rows at fault, which it quotes in the lines after the first."""
    words = str(error).partition("\n")[0]
    error.args = (words,)
    return words


def _write_ahead(connection: sqlite3.Connection) -> None:
    """Switches to the write-ahead log. On a new file that others open too SQLite says "locked" without waiting."""
    until = time.monotonic() + _BUSY_MS / 1000
    while True:
        try:
            connection.execute("PRAGMA journal_mode=WAL")
            return
        except sqlite3.OperationalError as error:
            if "locked" not in str(error) or time.monotonic() > until:
                raise
            time.sleep(0.01)


def _may_be_repeated(error: BaseException) -> bool:
    if not isinstance(error, DBAPIError):
        return False
    if getattr(error.orig, "sqlstate", None) in _REPEATABLE:
        return True
    return isinstance(error, OperationalError) and "database is locked" in str(error.orig)
