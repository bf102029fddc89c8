"""Outcomes of a send, on both databases: nothing lost, nothing sent twice. The whole matrix is in test_matrix_*.py."""

from typing import Any

import pytest

from every8d.emulator.process import EmulatorProcess
from tests.support import bodies, running
from tests.support.engines import EngineMaker
from worker.engine import Engine
from worker.ledger.tables import chunk, message

ONE_DATABASE = pytest.mark.parametrize("database_url", ["sqlite"], indirect=True)

#: Fields that make a request go out by each operation.
OPERATIONS: dict[str, dict[str, Any]] = {
    "sendSMS": {"to": bodies.numbers(3)},
    "sendMessage": {"to": bodies.numbers(3), "validity": 10},
    "sendParamSMS": {"messages": [{"to": one, "text": one} for one in bodies.numbers(3)]},
}


@pytest.mark.parametrize("operation", OPERATIONS)
@pytest.mark.parametrize("when", ["before", "after"])
def test_an_unknown_outcome_is_held_for_an_operator(
    make: EngineMaker, emulator: EmulatorProcess, operation: str, when: str
) -> None:
    clock = running.clock_now()
    engine = make(clock=clock, call_deadline_s=1)
    emulator.control.fault("drop", operation, when=when)
    request = running.enqueue(engine, **OPERATIONS[operation])
    running.send(engine)
    assert running.chunk_states(engine) == ["unknown"]
    assert "chunk_unknown" in running.kinds(engine)
    for wait_s in (1, 3600, 100_000):
        clock.advance(wait_s)
        running.send(engine)
        running.poll_now(engine)
    assert running.counts(engine, request) == {"unknown": 3}
    assert sum(emulator.control.calls(name) for name in OPERATIONS) == 1
    summary = emulator.control.summary()
    assert (summary.total, summary.doubled_count) == (3 * (when == "after"), 0)


@pytest.mark.parametrize("code", [-306, -12345])
@ONE_DATABASE
def test_a_refused_chunk_is_halved_and_loses_nothing(
    engine: Engine, emulator: EmulatorProcess, code: int
) -> None:
    emulator.control.fault("code", "sends", code=code)
    request = running.enqueue(engine, to=bodies.numbers(5))
    running.send(engine)
    assert running.chunk_states(engine) == ["refused", "accepted", "accepted"]
    assert [row.size for row in running.rows(engine, chunk)][1:] == [3, 2]
    assert running.counts(engine, request) == {"sent": 5}
    assert (emulator.control.summary().total, emulator.control.summary().doubled_count) == (5, 0)


@pytest.mark.parametrize("named", [False, True])
@pytest.mark.parametrize("bad_at", [0, 6, 15])
def test_only_the_message_at_fault_is_refused(
    engine: Engine, emulator: EmulatorProcess, named: bool, bad_at: int
) -> None:
    emulator.control.switch(name_bad_number=named)
    to = bodies.numbers(15)
    to.insert(bad_at, "+886900930600")
    request = running.enqueue(engine, to=to)
    running.send(engine)
    assert running.counts(engine, request) == {"sent": 15, "refused": 1}
    [refused] = running.rows(engine, message, state="refused")
    assert (refused.number, refused.code, refused.due_ms) == ("+886900930600", -306, None)
    assert (emulator.control.summary().total, emulator.control.summary().doubled_count) == (15, 0)
    assert emulator.control.calls("sendSMS") == (2 if named else 9)
    assert running.kinds(engine) == ["message_refused"]


def test_two_at_fault_among_different_requests(engine: Engine, emulator: EmulatorProcess) -> None:
    bad = ["+886900930600", "+886900930601"]
    to = [bad[0], *bodies.numbers(5), bad[1]]
    requests = [running.enqueue(engine, to=[one], text=f"給 {one[-3:]}") for one in to]
    running.send(engine)
    refused = [running.counts(engine, one) == {"refused": 1} for one in requests]
    assert refused == [one in bad for one in to]
    assert emulator.control.summary().distinct == emulator.control.summary().total == 5


def test_a_key_that_is_gone_is_replaced_and_the_send_repeated_once(
    engine: Engine, emulator: EmulatorProcess
) -> None:
    running.enqueue(engine, to=bodies.numbers(1))
    running.send(engine)
    emulator.control.void_keys()
    # As if the first login had been long ago.
    engine.redis.delete("every8d:login:default")
    running.enqueue(engine, to=bodies.numbers(3, 10))
    running.send(engine)
    assert running.chunk_states(engine) == ["accepted", "not_sent", "accepted"]
    assert (emulator.control.logins(), emulator.control.summary().total) == (2, 4)
    assert emulator.control.summary().doubled_count == 0


def test_busy_can_be_set_to_mean_unknown(make: EngineMaker, emulator: EmulatorProcess) -> None:
    engine = make(busy_is_not_sent=False)
    emulator.control.fault("code", "sendSMS", code=-99)
    request = running.enqueue(engine, to=bodies.numbers(2))
    running.send(engine)
    running.send(engine)
    assert running.counts(engine, request) == {"unknown": 2}
    assert emulator.control.calls("sendSMS") == 1


def test_a_gateway_without_send_message_gets_send_sms(engine: Engine, emulator: EmulatorProcess) -> None:
    emulator.control.switch(send_message=False)
    for first in (0, 10):
        request = running.enqueue(engine, to=bodies.numbers(3, first), validity=30)
        running.send(engine)
        assert running.counts(engine, request) == {"sent": 3}
    assert [row.operation for row in running.rows(engine, chunk)] == ["sendMessage", "sendSMS", "sendSMS"]
    assert running.kinds(engine) == ["operation_off"]
    assert emulator.control.summary().distinct == emulator.control.summary().total == 6
