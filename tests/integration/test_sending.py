"""Sending: which operation carries which messages, and that the gateway got exactly what was enqueued."""

import hashlib
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from every8d.emulator.process import EmulatorProcess
from every8d.pricing import points
from tests.support import bodies, running
from tests.support.engines import EngineMaker
from worker import token
from worker.engine import Engine
from worker.ledger.tables import account, chunk, message


def digest(text: str) -> str:
    return hashlib.sha256(text.encode()).hexdigest()


@pytest.mark.parametrize(
    ("fields", "operation"),
    [
        ({"to": bodies.numbers(7)}, "sendSMS"),
        ({"to": bodies.numbers(3), "validity": 30}, "sendMessage"),
        (
            {"messages": [{"to": one, "text": f"第 {one[-2:]} 位"} for one in bodies.numbers(5)]},
            "sendParamSMS",
        ),
        ({"messages": [{"to": one, "name": "王小明"} for one in bodies.numbers(2)]}, "sendParamSMS"),
        ({"messages": [{"to": one, "email": "a@example.com"} for one in bodies.numbers(2)]}, "sendParamSMS"),
        ({"messages": [{"to": one, "text": "same"} for one in bodies.numbers(2)]}, "sendSMS"),
    ],
    ids=["one text", "validity", "texts", "names", "e-mails", "the same text for each"],
)
def test_the_operation_and_everything_in_it(
    engine: Engine, emulator: EmulatorProcess, fields: dict[str, Any], operation: str
) -> None:
    request = running.enqueue(engine, subject="五月", **fields)
    running.send(engine)

    wanted = [
        (one["to"], digest(one.get("text") or "您好"), one.get("name") or "", one.get("email") or "")
        for one in fields.get("messages") or [{"to": number} for number in fields["to"]]
    ]
    sent = emulator.control.sent()
    assert [(one["number"], one["sha256"], one["name"], one["email"]) for one in sent] == wanted
    assert {operation: 1} == {
        name: emulator.control.calls(name)
        for name in ("sendSMS", "sendMessage", "sendParamSMS")
        if emulator.control.calls(name)
    }
    [row] = running.rows(engine, chunk)
    assert {one["subject"] for one in sent} == {f"五月 [e8d:{token.encode(row.id)}]"}
    assert {one["batch"] for one in sent} == {row.batch_id}
    assert [one["position"] + 1 for one in sent] == [one.position for one in running.rows(engine, message)]
    assert (row.state, row.operation, row.size, row.unsend) == ("accepted", operation, len(wanted), 0)
    assert running.counts(engine, request) == {"sent": len(wanted)}


@pytest.mark.parametrize("length", [1, 70, 71, 134, 135, 333])
def test_the_price_is_the_gateways(engine: Engine, emulator: EmulatorProcess, length: int) -> None:
    text = "字" * length
    running.enqueue(engine, text=text, to=bodies.numbers(2))
    running.send(engine)
    [row] = running.rows(engine, chunk)
    assert row.points == row.cost == 2 * points(text) == emulator.control.summary().points
    [kept] = running.rows(engine, account)
    assert f"{kept.credit:.2f}" == emulator.control.credit()


def test_requests_with_different_texts_share_one_call(engine: Engine, emulator: EmulatorProcess) -> None:
    for place, number in enumerate(bodies.numbers(40)):
        running.enqueue(engine, text=f"驗證碼 {place:04}", to=[number])
    running.send(engine)
    assert (emulator.control.calls("sendParamSMS"), emulator.control.summary().distinct) == (1, 40)


def test_other_subjects_validities_and_lanes_do_not_share_a_call(
    engine: Engine, emulator: EmulatorProcess
) -> None:
    for place, more in enumerate([{}, {"subject": "a"}, {"validity": 5}, {"validity": 6}, {"lane": "otp"}]):
        running.enqueue(engine, to=bodies.numbers(2, place * 2), **more)
    running.send(engine)
    running.send(engine, "otp")
    assert [row.size for row in running.rows(engine, chunk)] == [2] * 5
    assert emulator.control.summary().distinct == 10


@pytest.mark.parametrize(("size", "sizes"), [(1, [1, 1, 1, 1, 1]), (2, [2, 2, 1]), (5, [5]), (6, [5])])
def test_a_chunk_is_as_large_as_the_setting(
    make: EngineMaker, emulator: EmulatorProcess, size: int, sizes: list[int]
) -> None:
    engine = make(chunk_size=size)
    running.enqueue(engine, to=bodies.numbers(5))
    running.send(engine)
    assert [row.size for row in running.rows(engine, chunk)] == sizes
    assert [one["number"] for one in emulator.control.sent()] == bodies.numbers(5)


def test_the_same_number_with_two_texts_goes_in_two_calls(engine: Engine, emulator: EmulatorProcess) -> None:
    [number] = bodies.numbers(1)
    request = running.enqueue(engine, messages=[{"to": number, "text": "一"}, {"to": number, "text": "二"}])
    running.send(engine)
    assert [row.size for row in running.rows(engine, chunk)] == [1, 1]
    assert [one["sha256"] for one in emulator.control.sent()] == [digest("一"), digest("二")]
    assert running.counts(engine, request) == {"sent": 2}


def test_the_same_text_twice_is_sent_once_unless_asked_for(engine: Engine, emulator: EmulatorProcess) -> None:
    twice = bodies.numbers(1) * 2
    request = running.enqueue(engine, to=twice)
    running.send(engine)
    assert running.counts(engine, request) == {"sent": 1, "duplicate": 1}
    assert emulator.control.summary().total == 1
    running.enqueue(engine, to=twice, duplicates=True)
    running.send(engine)
    assert emulator.control.summary().total == 3


def test_a_booking_carries_its_time_and_nothing_else_joins_it(
    engine: Engine, emulator: EmulatorProcess
) -> None:
    at = (datetime.now(UTC) + timedelta(hours=2)).replace(microsecond=0)
    booking = {"schedule": "gateway", "send_at": at.isoformat()}
    requests = [running.enqueue(engine, to=bodies.numbers(2, 2 * n), **booking) for n in range(2)]
    running.enqueue(engine, to=bodies.numbers(1, 9))
    running.send(engine)
    assert [row.size for row in running.rows(engine, chunk)] == [2, 2, 1]
    assert [row.send_time_ms for row in running.rows(engine, chunk)] == [at.timestamp() * 1000] * 2 + [None]
    summary = emulator.control.summary()
    assert (summary.total, summary.booked) == (1, 4)
    booked = emulator.control.sent(everything=True)
    assert {one["executed"] for one in booked if one["number"] in bodies.numbers(4)} == {at.timestamp()}
    assert [running.counts(engine, one) for one in requests] == [{"booked": 2}] * 2


@pytest.mark.parametrize("ahead_s", [0.2, 1.0, 90.0])
def test_a_booking_whose_time_is_near_waits_here_and_goes_without_one(
    make: EngineMaker, emulator: EmulatorProcess, ahead_s: float
) -> None:
    # The gateway takes a time that has passed in two ways, and the call itself needs some: it must not get one.
    clock = running.clock_now()
    engine = make(clock=clock)
    at = datetime.fromtimestamp(clock.now_ms / 1000 + ahead_s, UTC)
    request = running.enqueue(engine, to=bodies.numbers(1), schedule="gateway", send_at=at.isoformat())
    running.send(engine)
    assert (running.counts(engine, request), emulator.control.calls("sendSMS")) == ({"waiting": 1}, 0)
    clock.advance(ahead_s)
    running.send(engine)
    assert emulator.control.summary().total == 1
    assert [(row.state, row.send_time_ms) for row in running.rows(engine, chunk)] == [("accepted", None)]


def test_what_is_held_in_the_ledger_goes_when_its_time_has_come(
    make: EngineMaker, emulator: EmulatorProcess
) -> None:
    clock = running.clock_now()
    engine = make(clock=clock)
    at = datetime.fromtimestamp(clock.now_ms / 1000 + 3600, UTC)
    request = running.enqueue(engine, to=bodies.numbers(2), send_at=at.isoformat())
    running.send(engine)
    assert (running.counts(engine, request), emulator.control.calls("getConnection")) == ({"waiting": 2}, 0)
    clock.advance(3600)
    running.send(engine)
    assert emulator.control.summary().total == 2


def test_what_has_passed_its_deadline_is_never_handed_over(
    make: EngineMaker, emulator: EmulatorProcess
) -> None:
    clock = running.clock_now()
    engine = make(clock=clock)
    deadline = datetime.fromtimestamp(clock.now_ms / 1000 + 60, UTC).isoformat()
    request = running.enqueue(engine, to=bodies.numbers(2), deadline=deadline)
    clock.advance(60)
    running.send(engine)
    assert running.counts(engine, request) == {"expired": 2}
    assert emulator.control.summary().accepted == 0
    assert "messages_expired" in running.kinds(engine)


def test_credit_for_some_only_is_an_alert_and_polling_says_who(
    make: EngineMaker, emulator: EmulatorProcess
) -> None:
    clock = running.clock_now()
    engine = make(clock=clock)
    emulator.control.change_account(set_credit=2)
    request = running.enqueue(engine, to=bodies.numbers(5))
    running.send(engine)
    [row] = running.rows(engine, chunk)
    assert (row.sended, row.unsend, running.kinds(engine)) == (2, 3, ["credit_short"])
    clock.advance(1)
    running.poll_now(engine)
    assert running.counts(engine, request) == {"delivered": 2, "no_credit": 3}
    states = {one.number: one.state for one in running.rows(engine, message)}
    assert [number for number, state in states.items() if state == "no_credit"] == bodies.numbers(3, 2)
    running.send(engine)
    assert emulator.control.summary().total == 2


def test_a_reply_whose_counts_do_not_add_up_is_an_alert(engine: Engine, emulator: EmulatorProcess) -> None:
    emulator.control.fault(
        "result", "sendSMS", when="after", text="85.00,3,3.0,1,5b7b3d70-5f0b-4b4e-9d3f-0d9a4f0e0c11"
    )
    running.enqueue(engine, to=bodies.numbers(5))
    running.send(engine)
    assert running.chunk_states(engine) == ["accepted"]
    assert "chunk_short" in running.kinds(engine)
    assert emulator.control.summary().doubled_count == 0


def test_a_long_personal_campaign_is_sent_once_each(make: EngineMaker, emulator: EmulatorProcess) -> None:
    engine = make(chunk_size=300)
    texts = [f"{n} 號您好，]]> & <b>" for n in range(900)]
    running.enqueue(
        engine,
        lane="bulk",
        text=None,
        messages=[{"to": to, "text": text} for to, text in zip(bodies.numbers(900), texts, strict=True)],
    )
    running.send(engine, "bulk")
    summary = emulator.control.summary()
    assert (summary.total, summary.distinct, summary.batches) == (900, 900, 3)
    assert {one["sha256"] for one in emulator.control.sent()} == {digest(text) for text in texts}
