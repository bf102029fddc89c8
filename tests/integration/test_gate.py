"""The gate of an exclusive account: no call begins behind it, whoever closes it, and whatever becomes of him."""

import threading
from decimal import Decimal

import pytest
from sqlalchemy import event, select, update

from tests.support import ledger
from tests.support.servers import Clock
from tests.support.waiting import wait_for
from worker.ledger import accounts, gate, settle
from worker.ledger.cancel import Booked, begin_erasure
from worker.ledger.database import Database
from worker.ledger.tables import account, chunk

ALIAS = "default"


@pytest.fixture
def ready(database: Database) -> Database:
    accounts.ensure_accounts(database, [ALIAS])
    return database


def row(database: Database) -> tuple[int | None, str | None, int | None, int | None]:
    with database.read() as connection:
        found = connection.execute(
            select(account.c.gate_ms, account.c.gate_by, account.c.gate_closed_ms, account.c.baseline_ms)
        ).one()
    return found.gate_ms, found.gate_by, found.gate_closed_ms, found.baseline_ms


def test_nothing_is_claimed_and_nothing_erased_while_it_is_closed(ready: Database, clock: Clock) -> None:
    ledger.put(ready, 2)
    assert gate.close(ready, ALIAS, "one")
    assert ledger.take(ready, exclusive=True) is None
    assert not begin_erasure(ready, Booked(1, ALIAS, "batch"), 60_000)
    gate.open_again(ready, ALIAS, "another")
    assert ledger.take(ready, exclusive=True) is None
    gate.open_again(ready, ALIAS, "one")
    assert begin_erasure(ready, Booked(1, ALIAS, "batch"), 60_000)
    assert ledger.take(ready, exclusive=True) is not None


def test_whoever_closed_it_and_died_holds_nobody_up_for_longer_than_three_seconds(
    ready: Database, clock: Clock
) -> None:
    ledger.put(ready, 2)
    assert gate.close(ready, ALIAS, "one")
    clock.advance(2.999)
    assert ledger.take(ready, exclusive=True) is None
    clock.advance(0.001)
    assert ledger.take(ready, exclusive=True) is not None


def test_it_is_closed_once_a_minute_and_by_one(ready: Database, clock: Clock) -> None:
    answers = ledger.at_once([lambda name=name: gate.close(ready, ALIAS, name) for name in "abcd"])  # type: ignore[misc]
    assert sorted(answers) == [False, False, False, True]
    gate.open_again(ready, ALIAS, row(ready)[1] or "")
    assert not gate.close(ready, ALIAS, "b")
    clock.advance(59)
    assert not gate.close(ready, ALIAS, "b")
    clock.advance(1)
    assert gate.close(ready, ALIAS, "b")


def test_a_gate_that_nobody_can_have_closed_does_not_count(ready: Database, clock: Clock) -> None:
    ledger.put(ready, 2)
    ready.write(
        lambda c: c.execute(update(account).values(gate_ms=clock.now_ms + 3_600_000, gate_by="a wrong clock"))
    )
    assert ledger.take(ready, exclusive=True) is not None


def test_accounts_whose_credit_is_no_evidence_do_not_look(ready: Database) -> None:
    ledger.put(ready, 2)
    statements: list[str] = []
    event.listen(ready.engine, "before_cursor_execute", lambda *a: statements.append(a[2]))
    assert gate.close(ready, ALIAS, "one")
    statements.clear()
    assert ledger.take(ready) is not None
    assert not [one for one in statements if "gate_ms" in one]


def test_a_call_that_began_before_the_baseline_by_its_clock_makes_it_worthless(
    ready: Database, clock: Clock
) -> None:
    ledger.put(ready, 2)
    ready.write(lambda c: c.execute(update(account).values(baseline=Decimal(100), baseline_ms=clock.now_ms)))
    assert ledger.take(ready, exclusive=True) is not None
    assert row(ready)[3] is None


def test_an_erasure_makes_the_baseline_worthless(ready: Database, clock: Clock) -> None:
    ready.write(
        lambda c: c.execute(update(account).values(baseline=Decimal(100), baseline_ms=clock.now_ms - 1))
    )
    assert begin_erasure(ready, Booked(1, ALIAS, "batch"), 60_000)
    assert row(ready)[3] is None


def test_no_call_begins_between_the_closing_and_the_opening(database_url: str) -> None:
    """Claims in threads, each with a connection of its own, while the gate is closed and opened again and again."""
    clock = Clock()
    database = Database(database_url, pool_size=10, clock=clock)
    accounts.ensure_accounts(database, [ALIAS])
    ledger.put(database, 1000)
    stop, behind = threading.Event(), []

    def work() -> None:
        # As in a process of its own: on SQLite writers of one process take turns among themselves.
        own = Database(database_url, pool_size=2, clock=clock)
        while not stop.is_set():
            claimed = ledger.take(own, size=1, exclusive=True)
            if claimed is not None:
                settle.given_back(own, ledger.whose(claimed), "a test")
        own.close()

    def in_flight() -> int:
        with database.read() as connection:
            return len(connection.execute(select(chunk.c.id).where(chunk.c.state == "submitting")).all())

    def count() -> int:
        with database.read() as connection:
            return len(connection.execute(select(chunk.c.id)).all())

    def measure() -> None:
        try:
            for turn in range(12):
                clock.advance(61)
                assert gate.close(database, ALIAS, str(turn))
                # Closed: whatever may still be called is in the register, and it only becomes less.
                before = count()
                wait_for(lambda: not in_flight())
                behind.append(count() - before)
                gate.open_again(database, ALIAS, str(turn))
                opened = count()
                wait_for(lambda opened=opened: count() > opened)  # type: ignore[misc]
        finally:
            stop.set()

    ledger.at_once([measure, work, work, work, work])
    database.close()
    assert behind == [0] * 12
