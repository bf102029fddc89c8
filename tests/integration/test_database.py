"""The connection to the ledger: repeated transactions, errors, the clock, and a PostgreSQL that goes away."""

import threading
import time
import traceback
import uuid
from typing import Any

import pytest
from sqlalchemy import Connection, select, text, update
from sqlalchemy.exc import DBAPIError, IntegrityError, OperationalError

from tests.support import bodies, ledger
from worker.ledger import migrate
from worker.ledger.database import Database
from worker.ledger.rows import MessageRow, insert_messages
from worker.ledger.tables import message, request


def rows(count: int, number: str = "") -> list[MessageRow]:
    key = uuid.uuid4()
    return [
        MessageRow(key, seq, number or one, "機密", None, None, 1, 0, "waiting", None)
        for seq, one in enumerate(bodies.numbers(count))
    ]


def test_what_fails_leaves_nothing(database: Database) -> None:
    key = ledger.put(database, 3)

    def work(connection: Connection) -> None:
        connection.execute(update(message).values(due_ms=None))
        raise RuntimeError

    with pytest.raises(RuntimeError):
        database.write(work)
    assert all(one.due_ms is not None for one in ledger.messages(database, key))


def test_the_victim_of_a_deadlock_runs_again(postgres_url: str) -> None:
    migrate.upgrade(postgres_url)
    database = Database(postgres_url)
    first, second = ledger.put(database, 1), ledger.put(database, 1)
    failures = ledger.failures(database)
    together, runs = threading.Barrier(2), []

    def work(connection: Connection, order: tuple[uuid.UUID, uuid.UUID]) -> None:
        runs.append(order)
        for place, key in enumerate(order):
            connection.execute(select(request.c.id).where(request.c.id == key).with_for_update())
            if place == 0 and len(runs) <= 2:
                together.wait(10)

    orders = ((first, second), (second, first))
    ledger.at_once([lambda order=order: database.write(lambda c: work(c, order)) for order in orders])
    assert (failures, len(runs)) == (["DeadlockDetected"], 3)
    database.close()


@pytest.mark.parametrize("count", [1, 30])
def test_a_server_that_goes_away_while_messages_are_written_is_an_operational_error(
    postgres_url: str, count: int
) -> None:
    """Whatever way the rows take: only that keeps a page in the queue until the database is back."""
    migrate.upgrade(postgres_url)
    database = Database(postgres_url)

    def work(connection: Connection) -> None:
        pid = connection.scalar(text("SELECT pg_backend_pid()"))
        with database.read() as other:
            other.execute(text("SELECT pg_terminate_backend(:pid, 5000)"), {"pid": pid})
        insert_messages(database, connection, rows(count))

    with pytest.raises(OperationalError):
        database.write(work)
    assert ledger.messages(database) == []
    ledger.put(database, 30)
    assert ledger.states(database) == {"waiting": 30}
    database.close()


@pytest.mark.parametrize("count", [1, 30])
def test_no_error_quotes_a_row(database: Database, count: int) -> None:
    def work(connection: Connection) -> None:
        two = rows(count)
        insert_messages(database, connection, two)
        insert_messages(database, connection, two)

    with pytest.raises(IntegrityError) as error:
        database.write(work)
    too_long = "+886912345678" * 3
    errors: list[Any] = [error.value]
    if database.is_postgres:
        with pytest.raises(DBAPIError) as cut:
            database.write(lambda connection: insert_messages(database, connection, rows(count, too_long)))
        errors.append(cut.value)
    printed = "".join("".join(traceback.format_exception(one)) for one in errors)
    for secret in ("912345678", "91000000", "機密"):
        assert secret not in printed


def test_the_clock_is_the_databases_and_runs(database_url: str) -> None:
    database = Database(database_url)
    first = database.now_ms()
    assert abs(first - time.time() * 1000) < 2000
    if database.is_postgres:
        database._ahead_ms += 60_000
        assert database.now_ms() - first >= 60_000
    database.close()


def test_a_step_of_the_hosts_clock_moves_no_lease(postgres_url: str, monkeypatch: pytest.MonkeyPatch) -> None:
    database = Database(postgres_url)
    first = database.now_ms()
    monkeypatch.setattr(time, "time", lambda: first / 1000 + 7200)
    assert database.now_ms() - first < 5000
    database.close()


def test_sqlite_keeps_the_last_commit_when_the_power_goes(tmp_path: Any) -> None:
    url = f"sqlite:///{tmp_path / 'ledger.db'}"
    migrate.upgrade(url)
    database = Database(url)
    with database.read() as connection:
        assert connection.scalar(text("PRAGMA synchronous")) == 2
        assert connection.scalar(text("PRAGMA journal_mode")) == "wal"
    database.close()


def test_postgres_keeps_the_last_commit_when_the_power_goes(postgres_url: str) -> None:
    database = Database(postgres_url)
    with database.read() as connection:
        assert connection.scalar(text("SHOW synchronous_commit")) == "on"
    database.close()
