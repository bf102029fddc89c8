"""Answers at bad moments: the database is away, the lease is over, somebody has settled the chunk meanwhile."""

import dataclasses
import threading
from collections.abc import Callable
from typing import Any

import pytest
from sqlalchemy.exc import OperationalError

from every8d.emulator.process import EmulatorProcess
from tests.support import bodies, running
from tests.support.engines import EngineMaker
from tests.support.servers import Clock
from tests.support.waiting import wait_for
from worker import housekeeping, token
from worker.engine import Engine
from worker.ledger.claim import Terms, claim
from worker.ledger.operators import settle_unknown
from worker.ledger.tables import chunk
from worker.sender import Outcome
from worker.sender import send as send_chunk


class Moody(Clock):
    """A database's clock that cannot be asked for the next `away` times: the database is away."""

    away = 0

    def __call__(self) -> int:
        if self.away:
            self.away -= 1
            raise OperationalError("SELECT 1", {}, ConnectionError("the database is away"))
        return self.now_ms


def after_call(
    engine: Engine, operation: str, then: Callable[[], None], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Does something as soon as the gateway has answered, before anything else happens."""
    gateway = engine.gateways.gateway(running.ALIAS)
    real = getattr(gateway, operation)

    def call(*arguments: Any, **named: Any) -> Any:
        try:
            return real(*arguments, **named)
        finally:
            then()

    monkeypatch.setattr(gateway, operation, call)


@pytest.mark.parametrize(
    ("code", "states", "counts"),
    [
        (None, ["accepted"], {"sent": 2}),
        (-301, ["not_sent"], {"waiting": 2}),
        (-99, ["not_sent"], {"waiting": 2}),
        (-101, ["not_sent"], {"waiting": 2}),
        (-306, ["refused"], {"waiting": 2}),
    ],
)
def test_an_answer_outlasts_a_database_that_is_away(
    make: EngineMaker,
    emulator: EmulatorProcess,
    monkeypatch: pytest.MonkeyPatch,
    code: int | None,
    states: list[str],
    counts: dict[str, int],
) -> None:
    clock = Moody(running.clock_now().now_ms)
    engine = make(clock=clock)
    if code is not None:
        emulator.control.fault("code", "sendSMS", code=code)
    after_call(engine, "send_sms", lambda: setattr(clock, "away", 2), monkeypatch)
    request = running.enqueue(engine, to=bodies.numbers(2))
    key = engine.sessions.key(running.ALIAS)
    claimed = claim(engine.database, running.ALIAS, "normal", Terms(500, 90, "test"))
    assert claimed is not None
    send_chunk(engine, claimed, key)
    assert running.chunk_states(engine) == states
    assert running.counts(engine, request) == counts
    [row] = running.rows(engine, chunk)
    assert (row.batch_id is not None) == (code is None)


def test_a_claim_whose_lease_is_too_short_for_the_call_is_given_back(
    make: EngineMaker, emulator: EmulatorProcess
) -> None:
    clock = running.clock_now()
    engine = make(clock=clock)
    request = running.enqueue(engine, to=bodies.numbers(2))
    claimed = claim(engine.database, running.ALIAS, "normal", Terms(500, 90, "test"))
    assert claimed is not None
    late = dataclasses.replace(claimed, since=claimed.since - 61)
    assert send_chunk(engine, late, "a-key")[0] is Outcome.NOT_SENT
    assert running.counts(engine, request) == {"waiting": 2}
    assert emulator.control.calls("sendSMS") == 0


def test_a_fault_of_ours_during_the_call_is_unknown(
    engine: Engine, emulator: EmulatorProcess, monkeypatch: pytest.MonkeyPatch
) -> None:
    def broken() -> None:
        raise RuntimeError("+886912345678")

    after_call(engine, "send_sms", broken, monkeypatch)
    request = running.enqueue(engine, to=bodies.numbers(2))
    for _ in range(3):
        running.send(engine)
    assert running.counts(engine, request) == {"unknown": 2}
    assert emulator.control.summary().total == 2
    [row] = running.rows(engine, chunk)
    assert "RuntimeError" in row.why
    assert "912345678" not in row.why


def test_gateway_settings_that_cannot_be_used_leave_nothing_unknown(
    make: EngineMaker, emulator: EmulatorProcess, tmp_path: Any
) -> None:
    # The key is in Redis already, so the client is made for the send itself.
    good = make()
    good.sessions.key(running.ALIAS)
    bad = make(url="https://127.0.0.1:9/SMS.asmx", ca_file=tmp_path / "missing.pem")
    request = running.enqueue(bad, to=bodies.numbers(2))
    with pytest.raises(OSError, match=r"missing\.pem|No such file"):
        running.send(bad)
    assert running.counts(bad, request) == {"waiting": 2}
    running.send(good)
    assert running.counts(good, request) == {"sent": 2}


@pytest.fixture
def slow(make: EngineMaker, emulator: EmulatorProcess) -> "Slow":
    return Slow(make, emulator)


class Slow:
    """A send whose answer comes only when the test lets the gateway give it."""

    def __init__(self, make: EngineMaker, emulator: EmulatorProcess) -> None:
        self.clock, self._emulator = running.clock_now(), emulator
        self.engine = make(clock=self.clock)
        self._go_on = threading.Event()

    def begin(self, code: int | None, monkeypatch: pytest.MonkeyPatch) -> Any:
        if code is not None:
            self._emulator.control.fault("code", "sendSMS", code=code)
        after_call(self.engine, "send_sms", lambda: self._go_on.wait(20) and None, monkeypatch)
        self.request = running.enqueue(self.engine, to=bodies.numbers(2))
        self._thread = threading.Thread(target=running.send, args=(self.engine,))
        self._thread.start()
        wait_for(lambda: self._emulator.control.calls("sendSMS"))
        [row] = running.rows(self.engine, chunk)
        return row

    def end(self) -> None:
        self._go_on.set()
        self._thread.join(20)
        assert not self._thread.is_alive()


@pytest.mark.parametrize(
    ("code", "counts", "total"),
    [(None, {"sent": 2}, 2), (-306, {"sent": 2}, 2), (-99, {"sent": 2}, 2)],
)
def test_an_answer_after_the_lease_settles_what_was_unknown(
    slow: Slow,
    emulator: EmulatorProcess,
    monkeypatch: pytest.MonkeyPatch,
    code: int | None,
    counts: dict[str, int],
    total: int,
) -> None:
    slow.begin(code, monkeypatch)
    slow.clock.advance(600)
    housekeeping.sweep_leases(slow.engine)
    assert running.counts(slow.engine, slow.request) == {"unknown": 2}
    slow.end()
    assert running.counts(slow.engine, slow.request) == counts
    assert (emulator.control.summary().total, emulator.control.summary().doubled_count) == (total, 0)


def test_a_lease_that_is_not_over_is_left_alone(slow: Slow, monkeypatch: pytest.MonkeyPatch) -> None:
    slow.begin(None, monkeypatch)
    slow.clock.advance(89)
    housekeeping.sweep_leases(slow.engine)
    assert running.counts(slow.engine, slow.request) == {"submitting": 2}
    slow.end()
    assert running.counts(slow.engine, slow.request) == {"sent": 2}


def test_an_operators_word_stands_against_a_later_answer(slow: Slow, monkeypatch: pytest.MonkeyPatch) -> None:
    row = slow.begin(None, monkeypatch)
    slow.clock.advance(600)
    housekeeping.sweep_leases(slow.engine)
    settle_unknown(
        slow.engine.database,
        token.encode(row.id),
        "refuse",
        batch_id=None,
        by="operator",
        why="vendor said so",
    )
    slow.end()
    assert running.counts(slow.engine, slow.request) == {"refused": 2}
    assert running.chunk_states(slow.engine) == ["refused"]
