"""The emulator's callbacks, each twice, through the real web into messages: early, late, in doubt, and of strangers."""

import threading
from collections.abc import Iterator
from typing import Any

import pytest
from sqlalchemy import func, select

from every8d.emulator.process import EmulatorProcess
from tests.support import bodies, inbox, running
from tests.support.engines import EngineMaker
from tests.support.waiting import wait_for
from tests.support.web import serving
from worker import matching
from worker.engine import Engine
from worker.ledger.tables import chunk, reply

MESSAGES = 40


@pytest.fixture
def engine(make: EngineMaker, emulator: EmulatorProcess, database_url: str) -> Iterator[Engine]:
    """An engine for an account with callbacks; the emulator reports each thing twice."""
    with serving(database_url) as web:
        emulator.control.callback_to(web.url, retry_s=0.05)
        emulator.control.switch(callback_copies=2)
        emulator.control.network(deliver_after_s=0, reply_permille=1000)
        yield make(callbacks=True)


def heard(engine: Engine, emulator: EmulatorProcess, count: int = 2 * MESSAGES) -> None:
    """Returns when the emulator has nothing left to say, and so many different callbacks are stored."""
    emulator.control.advance(600)

    def all_stored() -> bool:
        counts = emulator.control.callbacks()
        return counts["pending"] == 0 and counts["stored"] == 2 * count

    wait_for(all_stored, what="the callbacks")
    assert len(inbox.rows(engine.database)) == count


def matched(engine: Engine) -> None:
    """Returns when every callback is matched."""

    def done() -> bool:
        matching.match(engine)
        return {row.state for row in inbox.rows(engine.database)} == {"matched"}

    wait_for(done, what="matching")


def looked(engine: Engine, *wanted: tuple[str, str | None]) -> None:
    """Returns when every callback was looked at, and found to be so: all alike where one state is named.

    One look need not do: the web's clock and ours differ by a few milliseconds.
    """

    def done() -> bool:
        matching.match(engine)
        found = inbox.states(engine.database)
        return sorted(found, key=str) == sorted(wanted if len(wanted) > 1 else wanted * len(found), key=str)

    wait_for(done, what="a look at all callbacks")


def replies(engine: Engine) -> int:
    with engine.database.read() as connection:
        return connection.scalar(select(func.count()).select_from(reply)) or 0


def is_whole(engine: Engine, emulator: EmulatorProcess, request: Any) -> None:
    """All delivered, each reply once, nothing asked of the gateway, nothing sent twice."""
    assert running.counts(engine, request) == {"delivered": MESSAGES}
    [row] = running.rows(engine, chunk)
    assert (row.state, row.pending, row.next_poll_ms) == ("accepted", 0, None)
    assert replies(engine) == MESSAGES
    assert emulator.control.calls("getDeliveryStatus") == 0
    assert (emulator.control.summary().total, emulator.control.summary().doubled_count) == (MESSAGES, 0)


@pytest.mark.parametrize("echo", [True, False], ids=["with tokens", "without tokens"])
def test_after_the_send_is_committed(engine: Engine, emulator: EmulatorProcess, echo: bool) -> None:
    emulator.control.switch(echo_subject=echo)
    request = running.enqueue(engine, to=bodies.numbers(MESSAGES))
    running.send(engine)
    heard(engine, emulator)
    matched(engine)
    is_whole(engine, emulator, request)
    assert running.kinds(engine) == []


@pytest.mark.parametrize("echo", [True, False], ids=["with tokens", "without tokens"])
def test_before_the_send_is_committed(
    engine: Engine, emulator: EmulatorProcess, monkeypatch: pytest.MonkeyPatch, echo: bool
) -> None:
    emulator.control.switch(echo_subject=echo)
    go_on = threading.Event()
    gateway = engine.gateways.gateway(running.ALIAS)
    real = gateway.send_sms

    def late(*arguments: Any, **named: Any) -> Any:
        answer = real(*arguments, **named)
        assert go_on.wait(30)
        return answer

    monkeypatch.setattr(gateway, "send_sms", late)
    request = running.enqueue(engine, to=bodies.numbers(MESSAGES))
    sending = threading.Thread(target=running.send, args=(engine,))
    sending.start()
    try:
        wait_for(lambda: emulator.control.calls("sendSMS"), what="the call")
        heard(engine, emulator)
        waits = ("waiting", "submitting") if echo else ("unmatched", "no_chunk")
        looked(engine, waits)
        assert running.counts(engine, request) == {"submitting": MESSAGES}
    finally:
        go_on.set()
        sending.join(30)
    matched(engine)
    is_whole(engine, emulator, request)


def test_for_a_chunk_of_which_nobody_knows_whether_it_was_sent(
    engine: Engine, emulator: EmulatorProcess
) -> None:
    emulator.control.fault("drop", "sendSMS", when="after", count=1)
    request = running.enqueue(engine, to=bodies.numbers(MESSAGES))
    running.send(engine)
    assert running.counts(engine, request) == {"unknown": MESSAGES}
    heard(engine, emulator)
    matched(engine)
    is_whole(engine, emulator, request)
    [row] = running.rows(engine, chunk)
    assert row.settled_by == "callback"
    assert row.batch_id == inbox.rows(engine.database)[0].batch_id
    assert [kind for kind in running.kinds(engine) if "chunk" in kind] == ["chunk_unknown", "chunk_settled"]


def test_an_unknown_chunk_whose_callbacks_bring_no_token_stays_unknown(
    engine: Engine, emulator: EmulatorProcess
) -> None:
    emulator.control.switch(echo_subject=False)
    emulator.control.fault("drop", "sendSMS", when="after", count=1)
    request = running.enqueue(engine, to=bodies.numbers(MESSAGES))
    running.send(engine)
    heard(engine, emulator)
    looked(engine, ("unmatched", "no_chunk"))
    assert running.counts(engine, request) == {"unknown": MESSAGES}


def test_for_a_batch_that_is_another_systems(engine: Engine, emulator: EmulatorProcess) -> None:
    gateway, key = engine.gateways.gateway(running.ALIAS), engine.sessions.key(running.ALIAS)
    gateway.send_sms(key, subject="theirs", content="您好", mobiles=bodies.numbers(MESSAGES))
    heard(engine, emulator)
    for _ in range(2):
        looked(engine, ("unmatched", "no_chunk"))
        inbox.again(engine.database)
    assert (running.kinds(engine), replies(engine)) == ([], 0)


def test_for_a_call_that_was_said_not_to_be_executed(engine: Engine, emulator: EmulatorProcess) -> None:
    """A gateway that says "busy, nothing was done" of what it did: it cannot be undone, but it is told."""
    emulator.control.fault("result", "sendSMS", text="-99,busy", when="after", count=1)
    request = running.enqueue(engine, to=bodies.numbers(1))
    running.send(engine)
    assert running.counts(engine, request) == {"sent": 1}
    assert emulator.control.summary().doubled_count == 1
    heard(engine, emulator, 4)
    looked(engine, *[("matched", None)] * 2, *[("unmatched", "said_not_sent")] * 2)
    assert running.kinds(engine).count("sent_after_all") == 1


def test_a_callback_that_cannot_be_stored_holds_up_no_other(
    engine: Engine, emulator: EmulatorProcess, capsys: pytest.CaptureFixture[str]
) -> None:
    emulator.control.callback_to(None)
    request = running.enqueue(engine, to=bodies.numbers(3))
    running.send(engine)
    [row] = running.rows(engine, chunk)
    usual = [{"token": row.id, "number": number} for number in bodies.numbers(3)]
    # A time that no date has; the web stores none such.
    usual[1]["sent_ms"] = 9_000_000_000_000_000_000
    inbox.bring(engine.database, *usual)
    matching.match(engine)
    states = [("matched", None), ("unmatched", "failed"), ("matched", None)]
    assert inbox.states(engine.database) == states
    assert running.counts(engine, request) == {"delivered": 2, "sent": 1}
    assert not [number for number in bodies.numbers(3) if number[4:] in capsys.readouterr().out]
    matching.match(engine)
    assert inbox.states(engine.database) == states
