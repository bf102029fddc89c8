"""What dead processes and a ledger that was away left behind is settled, once, and only where it is proven."""

import os
from collections.abc import Callable
from contextlib import suppress
from decimal import Decimal
from typing import Any

import pytest
from sqlalchemy import update
from sqlalchemy.exc import OperationalError

from every8d.emulator.process import EmulatorProcess
from tests.support import bodies, running
from tests.support.engines import EngineMaker
from worker import aftermath, committing, housekeeping, spool, token
from worker.engine import Engine
from worker.ledger import settle
from worker.ledger.claim import Claim, Terms, claim
from worker.ledger.operators import settle_unknown
from worker.ledger.tables import chunk
from worker.sender import Outcome
from worker.sender import send as send_chunk


class Killed(BaseException):
    """The process is gone, in the middle of whatever it did."""


def killed(*_: Any, **__: Any) -> Any:
    raise Killed


def in_hand(engine: Engine) -> Claim:
    """A chunk that this process has claimed, as dispatch does."""
    chunk_id = token.new_id(engine.database.now_ms())
    engine.departures.watch(chunk_id).__enter__()
    claimed = claim(engine.database, running.ALIAS, "normal", Terms(500, 90, "test"), chunk_id=chunk_id)
    assert claimed is not None
    return claimed


def away(engine: Engine, monkeypatch: pytest.MonkeyPatch, *, times: int = 10_000) -> None:
    """The ledger takes no outcome for the next `times` tries, and nobody tries for long."""
    left = [times]
    for name in ("accepted", "not_sent", "refused"):
        real = getattr(settle, name)

        def commit(*arguments: Any, real: Callable[..., bool] = real, **named: Any) -> bool:
            if left[0]:
                left[0] -= 1
                raise OperationalError("UPDATE", {}, ConnectionError("the database is away"))
            return real(*arguments, **named)

        monkeypatch.setattr(settle, name, commit)
    monkeypatch.setattr(committing, "keep", lambda commit, *arguments, **named: commit(*arguments, **named))


def waiting(engine: Engine) -> int:
    return spool.waiting(engine.settings.spool_dir)


def test_a_chunk_whose_worker_died_before_its_call_is_sent_by_another(
    make: EngineMaker, emulator: EmulatorProcess, monkeypatch: pytest.MonkeyPatch
) -> None:
    dying, other = make(), make()
    request = running.enqueue(dying, to=bodies.numbers(3))
    with monkeypatch.context() as patched, suppress(Killed):
        patched.setattr(dying.gateways.gateway(running.ALIAS), "send_sms", killed)
        running.send(dying)
    aftermath.settle_left_behind(other)
    assert running.chunk_states(other) == ["submitting"], "its process is alive"
    dying.departures.close()
    aftermath.settle_left_behind(other)
    assert running.chunk_states(other) == ["not_sent"]
    running.send(other)
    aftermath.settle_left_behind(other)
    assert running.counts(other, request) == {"sent": 3}
    assert emulator.control.summary().doubled_count == 0


def test_a_chunk_whose_call_had_begun_is_left_to_its_lease(
    make: EngineMaker, emulator: EmulatorProcess, monkeypatch: pytest.MonkeyPatch
) -> None:
    dying, other = make(), make()
    request = running.enqueue(dying, to=bodies.numbers(3))
    with monkeypatch.context() as patched, suppress(Killed):
        patched.setattr("worker.sender.keep_answer", killed)
        running.send(dying)
    dying.departures.close()
    aftermath.settle_left_behind(other)
    assert running.chunk_states(other) == ["submitting"]
    assert emulator.control.summary().total == 3
    other.database.write(lambda connection: connection.execute(update(chunk).values(lease_ms=0)))
    housekeeping.sweep_leases(other)
    aftermath.settle_left_behind(other)
    running.send(other)
    assert running.counts(other, request) == {"unknown": 3}
    assert emulator.control.summary().total == 3


def test_a_claim_whose_commit_was_not_answered_and_came_later_is_given_back(
    make: EngineMaker, emulator: EmulatorProcess, monkeypatch: pytest.MonkeyPatch
) -> None:
    engine = make()
    request = running.enqueue(engine, to=bodies.numbers(2))
    asked: list[int] = []

    def unanswered(*_: Any, chunk_id: int, **__: Any) -> None:
        asked.append(chunk_id)
        raise OperationalError("COMMIT", {}, ConnectionError("the connection broke"))

    with monkeypatch.context() as patched, suppress(OperationalError):
        patched.setattr("worker.dispatch.claim", unanswered)
        running.send(engine)
    claim(engine.database, running.ALIAS, "normal", Terms(500, 90, "test"), chunk_id=asked[0])
    assert running.chunk_states(engine) == ["submitting"]
    aftermath.settle_left_behind(engine)
    assert running.chunk_states(engine) == ["not_sent"]
    running.send(engine)
    assert running.counts(engine, request) == {"sent": 2}


@pytest.mark.parametrize("lease", ["lasts", "is over"])
def test_an_answer_that_the_ledger_did_not_take_is_settled_from_the_spool(
    make: EngineMaker, emulator: EmulatorProcess, monkeypatch: pytest.MonkeyPatch, lease: str
) -> None:
    dying, other = make(), make()
    request = running.enqueue(dying, to=bodies.numbers(3))
    with monkeypatch.context() as patched:
        away(dying, patched)
        with pytest.raises(OperationalError):
            running.send(dying)
        assert waiting(dying) == 1
    dying.departures.close()
    if lease == "is over":
        other.database.write(lambda connection: connection.execute(update(chunk).values(lease_ms=0)))
        housekeeping.sweep_leases(other)
        assert running.chunk_states(other) == ["unknown"]
    aftermath.settle_left_behind(other)
    assert (waiting(other), running.counts(other, request)) == (0, {"sent": 3})
    [row] = running.rows(other, chunk)
    [first, *_] = emulator.control.sent()
    assert (row.state, row.batch_id, row.sended, row.unsend) == ("accepted", first["batch"], 3, 0)
    assert row.next_poll_ms is not None
    assert row.cost == Decimal(3)


def test_a_no_that_the_ledger_did_not_take_is_not_unknown(
    make: EngineMaker, emulator: EmulatorProcess, monkeypatch: pytest.MonkeyPatch
) -> None:
    engine = make()
    emulator.control.fault("code", "sendSMS", code=-306, text="+886910000000")
    request = running.enqueue(engine, to=bodies.numbers(2))
    with monkeypatch.context() as patched:
        away(engine, patched)
        with pytest.raises(OperationalError):
            running.send(engine)
    [file] = engine.settings.spool_dir.iterdir()
    assert "910000000" not in file.read_text()
    engine.database.write(lambda connection: connection.execute(update(chunk).values(lease_ms=0)))
    housekeeping.sweep_leases(engine)
    aftermath.settle_left_behind(engine)
    assert (waiting(engine), running.counts(engine, request)) == (0, {"waiting": 2})
    running.send(engine)
    assert running.counts(engine, request) == {"sent": 2}
    assert emulator.control.summary().doubled_count == 0


def test_an_answer_is_spooled_at_the_first_failure_and_the_file_is_gone_once_it_is_committed(
    engine: Engine, emulator: EmulatorProcess, monkeypatch: pytest.MonkeyPatch
) -> None:
    seen: list[int] = []
    real = committing.keep

    def keep(*arguments: Any, **named: Any) -> bool:
        seen.append(waiting(engine))
        return real(*arguments, **named)

    request = running.enqueue(engine, to=bodies.numbers(2))
    with monkeypatch.context() as patched:
        away(engine, patched, times=1)
        patched.setattr(committing, "keep", keep)
        running.send(engine)
    assert seen == [1]
    assert (waiting(engine), running.counts(engine, request)) == (0, {"sent": 2})


def test_the_spools_answer_for_another_ledger_stays(engine: Engine) -> None:
    kept = spool.Kept(settle.Whose(token.new_id(1), running.ALIAS, "otp"), why="no")
    engine.spool.put(kept)
    aftermath.settle_left_behind(engine)
    assert waiting(engine) == 1


@pytest.mark.parametrize(
    ("decision", "kind", "batch"), [("accept", None, True), ("resend", "sent_after_all", False)]
)
def test_an_answer_after_an_operators_decision(
    engine: Engine,
    emulator: EmulatorProcess,
    monkeypatch: pytest.MonkeyPatch,
    decision: Any,
    kind: str | None,
    batch: bool,
) -> None:
    running.enqueue(engine, to=bodies.numbers(2))
    with monkeypatch.context() as patched:
        away(engine, patched)
        with pytest.raises(OperationalError):
            running.send(engine)
    engine.database.write(lambda connection: connection.execute(update(chunk).values(lease_ms=0)))
    housekeeping.sweep_leases(engine)
    [row] = running.rows(engine, chunk)
    settle_unknown(
        engine.database, token.encode(row.id), decision, batch_id=None, by="ann", why="the console"
    )
    aftermath.settle_left_behind(engine)
    [row] = running.rows(engine, chunk)
    assert waiting(engine) == 0
    assert (row.batch_id is not None, row.next_poll_ms is not None) == (batch, batch)
    assert ("sent_after_all" in running.kinds(engine)) == (kind is not None)


def test_our_own_commit_whose_answer_was_lost_is_no_news(
    engine: Engine, emulator: EmulatorProcess, monkeypatch: pytest.MonkeyPatch
) -> None:
    real = settle.accepted
    answered: list[bool] = []

    def accepted(*arguments: Any) -> bool:
        answered.append(real(*arguments))
        if len(answered) == 1:
            raise OperationalError("COMMIT", {}, ConnectionError("the connection broke"))
        return answered[-1]

    monkeypatch.setattr(settle, "accepted", accepted)
    request = running.enqueue(engine, to=bodies.numbers(2))
    running.send(engine)
    assert answered == [True, False]
    assert running.counts(engine, request) == {"sent": 2}
    assert "sent_after_all" not in running.kinds(engine)
    assert waiting(engine) == 0


def test_no_byte_leaves_where_it_cannot_be_marked(
    engine: Engine, emulator: EmulatorProcess, monkeypatch: pytest.MonkeyPatch
) -> None:
    request = running.enqueue(engine, to=bodies.numbers(2))
    key = engine.sessions.key(running.ALIAS)
    claimed = in_hand(engine)

    def full(*_: Any) -> int:
        raise OSError(28, os.strerror(28))

    with monkeypatch.context() as patched:
        patched.setattr("worker.departures.os.pwrite", full)
        patched.setattr("pathlib.Path.unlink", full)
        outcome, _ = send_chunk(engine, claimed, key)
    assert outcome is Outcome.NOT_SENT
    assert emulator.control.summary().total == 0
    assert running.counts(engine, request) == {"waiting": 2}
