"""The sweeps: each finds what its state of the ledger asks for, and nothing else."""

import uuid
from datetime import UTC, datetime
from decimal import Decimal

import pytest

from every8d.emulator.process import EmulatorProcess
from tests.support import bodies, running
from tests.support.engines import EngineMaker
from worker import housekeeping
from worker.accepting import arrive
from worker.engine import Engine
from worker.ledger.claim import Terms, claim
from worker.ledger.tables import account, request

ONE_DATABASE = pytest.mark.parametrize("database_url", ["sqlite"], indirect=True)


def queued(engine: Engine) -> dict[str, int]:
    """How many doorbells hang in each queue."""
    lengths = {
        name: int(engine.redis.llen(f"every8d.{name}")) for name in ("otp", "normal", "bulk", "status")
    }  # type: ignore[arg-type]
    return {name: length for name, length in lengths.items() if length}


def test_what_is_due_is_rung_for_by_lane(make: EngineMaker) -> None:
    clock = running.clock_now()
    engine = make(clock=clock)
    housekeeping.sweep_due(engine)
    assert queued(engine) == {}
    later = datetime.fromtimestamp(clock.now_ms / 1000 + 60, UTC).isoformat()
    running.enqueue(engine, lane="bulk", to=bodies.numbers(2))
    running.enqueue(engine, lane="otp", to=bodies.numbers(2))
    running.enqueue(engine, lane="normal", to=bodies.numbers(2), send_at=later)
    housekeeping.sweep_due(engine)
    housekeeping.sweep_due(engine)
    assert queued(engine) == {"bulk": 1, "otp": 1}
    clock.advance(60)
    housekeeping.sweep_due(engine)
    assert queued(engine) == {"bulk": 1, "otp": 1, "normal": 1}


def test_a_batch_to_poll_is_rung_for(make: EngineMaker) -> None:
    clock = running.clock_now()
    engine = make(clock=clock, first_poll_s=30)
    running.enqueue(engine, to=bodies.numbers(2))
    running.send(engine)
    housekeeping.sweep_polls(engine)
    assert queued(engine) == {}
    # And the time that the call took.
    clock.advance(31)
    housekeeping.sweep_polls(engine)
    assert queued(engine) == {"status": 1}


def test_a_chunk_whose_worker_died_is_unknown_and_never_sent(
    make: EngineMaker, emulator: EmulatorProcess
) -> None:
    clock = running.clock_now()
    engine = make(clock=clock)
    one = running.enqueue(engine, to=bodies.numbers(2))
    assert claim(engine.database, running.ALIAS, "normal", Terms(500, 90, "dead")) is not None
    clock.advance(90)
    housekeeping.sweep_leases(engine)
    assert running.counts(engine, one) == {"submitting": 2}
    clock.advance(1)
    housekeeping.sweep_leases(engine)
    housekeeping.sweep_leases(engine)
    assert running.counts(engine, one) == {"unknown": 2}
    assert running.kinds(engine) == ["chunk_unknown"]
    running.send(engine)
    assert emulator.control.calls("sendSMS") == 0


def test_a_request_whose_seal_does_not_come_is_given_up(make: EngineMaker, emulator: EmulatorProcess) -> None:
    clock = running.clock_now()
    engine = make(clock=clock)
    name = uuid.uuid4()
    pages = [bodies.page(name, number=n, to=bodies.numbers(3, n * 3)) for n in range(2)]
    arrive(engine, pages[0], None)
    clock.advance(899)
    housekeeping.sweep_staged(engine)
    assert [row.state for row in running.rows(engine, request)] == ["staged"]
    clock.advance(1)
    housekeeping.sweep_staged(engine)
    assert [row.state for row in running.rows(engine, request)] == ["abandoned"]
    assert running.kinds(engine) == ["request_abandoned"]
    running.send(engine)
    assert emulator.control.stats()["total_calls"] == 0
    # Its producer comes back with the same key: it goes on.
    for body in (*pages, bodies.seal_alone(pages)):
        arrive(engine, body, None)
    running.send(engine)
    assert emulator.control.summary().total == 6


def test_the_credit_is_asked_for_and_kept(engine: Engine, emulator: EmulatorProcess) -> None:
    emulator.control.change_account(set_credit=77)
    housekeeping.check_credit(engine)
    [row] = running.rows(engine, account)
    assert row.credit == Decimal(77)
    emulator.control.void_keys()
    engine.redis.delete("every8d:login:default")
    emulator.control.change_account(set_credit=78)
    housekeeping.check_credit(engine)
    [row] = running.rows(engine, account)
    assert (row.credit, emulator.control.logins()) == (Decimal(78), 2)


@pytest.mark.parametrize("kind", ["drop", "html", "code", "empty"])
@ONE_DATABASE
def test_credit_that_cannot_be_known_is_left_as_it_was(
    engine: Engine, emulator: EmulatorProcess, kind: str
) -> None:
    housekeeping.check_credit(engine)
    [before] = running.rows(engine, account)
    emulator.control.fault(kind, "getCredit")
    housekeeping.check_credit(engine)
    [after] = running.rows(engine, account)
    assert before.credit == after.credit is not None


def test_a_blocked_account_is_not_asked_for_its_credit(make: EngineMaker, emulator: EmulatorProcess) -> None:
    engine = make(password="wrong")
    for _ in range(3):
        housekeeping.check_credit(engine)
        engine.redis.flushall()
    assert emulator.control.stats()["total_calls"] == 1


@ONE_DATABASE
def test_an_accounts_fault_at_get_credit_stops_the_account(engine: Engine, emulator: EmulatorProcess) -> None:
    emulator.control.fault("code", "getCredit", code=-101)
    for _ in range(3):
        housekeeping.check_credit(engine)
    assert emulator.control.calls("getCredit") == 1
    assert running.kinds(engine) == ["account_blocked"]


@ONE_DATABASE
@pytest.mark.parametrize(("minutes", "passed_s", "closed"), [(0, 10_000, 0), (10, 590, 0), (10, 610, 1)])
def test_an_idle_session_is_closed_where_the_settings_ask_for_it(
    make: EngineMaker, emulator: EmulatorProcess, minutes: float, passed_s: float, closed: int
) -> None:
    clock = running.clock_now()
    engine = make(clock=clock, close_idle_min=minutes)
    housekeeping.close_idle_session(engine)
    running.enqueue(engine, to=bodies.numbers(1))
    running.send(engine)
    housekeeping.close_idle_session(engine)
    assert emulator.control.calls("closeConnection") == 0
    clock.advance(passed_s)
    housekeeping.close_idle_session(engine)
    housekeeping.close_idle_session(engine)
    assert emulator.control.calls("closeConnection", "ok") == closed
    assert engine.sessions.present(running.ALIAS) is not bool(closed)


@ONE_DATABASE
def test_a_session_that_was_just_made_is_not_idle(make: EngineMaker, emulator: EmulatorProcess) -> None:
    engine = make(close_idle_min=10)
    engine.sessions.key(running.ALIAS)
    housekeeping.close_idle_session(engine)
    assert emulator.control.calls("closeConnection") == 0
