"""Accepting bodies from anybody: what can never be accepted is a dead letter with its reason, and nothing is raised."""

import uuid
from collections.abc import Callable
from typing import Any

import pytest

from every8d.emulator.process import EmulatorProcess
from tests.support import bodies, running
from tests.support.engines import EngineMaker
from worker.accepting import arrive
from worker.engine import Engine
from worker.ledger.tables import dead_letter, message, request

SECRET = "0912345678 的驗證碼"


def body(**fields: Any) -> dict[str, Any]:
    return bodies.sealed(bodies.page(**({"to": bodies.numbers(2)} | fields)))


def nested(depth: int) -> Any:
    found: Any = []
    for _ in range(depth):
        found = [found]
    return found


MALFORMED: dict[str, Any] = {
    "nothing": None,
    "a number": 7,
    "a string": SECRET,
    "a list": [SECRET],
    "an empty object": {},
    "an unknown field": body() | {"surprise": SECRET},
    "another version": body() | {"v": 2},
    "true as a version": body() | {"v": True},
    "no request": body() | {"request": None},
    "a request in capitals": body() | {"request": str(uuid.uuid4()).upper()},
    "an account's name with a blank": body() | {"account": "de fault"},
    "an account's name that is too long": body() | {"account": "a" * 65},
    "no lane of ours": body() | {"lane": "fast"},
    "an empty text": body() | {"text": " "},
    "a text that is too long": body() | {"text": "字" * 3001},
    "a NUL in the text": body() | {"text": "a\x00b"},
    "half a surrogate pair in the text": body() | {"text": "a\ud800"},
    "half a surrogate pair in the subject": body() | {"subject": "\udfff"},
    "half a surrogate pair in an unknown field": body() | {"\ud800": "\udfff\x00"},
    "a subject of two lines": body() | {"subject": "a\nb"},
    "a validity of no minutes": body() | {"validity": 0},
    "a validity without bounds": body() | {"validity": 10**30},
    "a time without an offset": body() | {"send_at": "2026-01-01T00:00:00"},
    "a time before all times": body() | {"enqueued_at": "0001-01-01T00:00:00+14:00"},
    "a page without bounds": body() | {"page": 10**12},
    "no numbers": body() | {"to": []},
    "too many numbers": body() | {"to": bodies.numbers(1001)},
    "a national number": body() | {"to": ["0912345678"]},
    "words for a number": body() | {"to": [SECRET]},
    "an object for a number": body() | {"to": [{"a": SECRET}]},
    "messages and to": body() | {"messages": [{"to": "+886912345678"}]},
    "a seal that does not fit": body()
    | {"seal": {"pages": 1, "count": 3, "hash": "0" * 64, "refused": None}},
    "a seal of another kind": body() | {"seal": SECRET},
    "no seal and no page": body() | {"page": None, "seal": None},
    "not a number": body() | {"validity": float("nan")},
    "endless": body() | {"deadline": float("inf")},
    "what JSON does not have": body() | {"text": {1, 2}},
    "a deep one": body() | {"text": nested(900)},
    "a very deep one": nested(100_000),
}


@pytest.mark.parametrize("raw", MALFORMED.values(), ids=MALFORMED.keys())
def test_a_malformed_body_is_a_dead_letter(engine: Engine, emulator: EmulatorProcess, raw: Any) -> None:
    arrival = arrive(engine, raw, "a-task")
    assert (arrival.result["outcome"], arrival.ready) == ("dead", False)
    [letter] = running.rows(engine, dead_letter)
    assert (letter.task, letter.task_id) == ("every8d.accept", "a-task")
    assert letter.reason == arrival.result["reason"]
    assert letter.body
    for shown in (letter.reason, str(arrival.result), str(running.rows(engine, running.event))):
        assert "0912345678" not in shown
    assert running.kinds(engine) == ["dead_letter"]
    assert running.rows(engine, request) == running.rows(engine, message) == []


@pytest.mark.parametrize(
    ("fields", "reason"),
    [
        ({"account": "nobody"}, "no account nobody"),
        ({"to": ["+886912345678", "+886223456789"]}, "message 1 of page 0"),
        ({"to": ["+886912345678", "+81901234567"]}, "message 1 of page 0"),
        ({"to": ["+999999999"]}, "message 0 of page 0"),
    ],
    ids=["unknown account", "a landline", "abroad", "no number"],
)
def test_what_the_worker_refuses_is_kept_and_never_sent(
    engine: Engine, emulator: EmulatorProcess, fields: dict[str, Any], reason: str
) -> None:
    raw = body(**fields)
    for _ in range(2):
        arrival = arrive(engine, raw, None)
        assert (arrival.result["outcome"], arrival.ready) == ("refused", False)
        assert reason in arrival.result["reason"]
        assert "+886" not in arrival.result["reason"]
    assert {row.state for row in running.rows(engine, request)} == {"refused"}
    assert running.kinds(engine).count("request_refused") == 1
    running.send(engine)
    assert emulator.control.stats()["total_calls"] == 0


def test_abroad_is_taken_where_the_account_may(make: EngineMaker, emulator: EmulatorProcess) -> None:
    engine = make(international=True)
    emulator.control.change_account(abroad=True)
    sent = running.enqueue(engine, to=["+819012345678", "+886912345678"], text="hello")
    running.send(engine)
    assert running.counts(engine, sent) == {"sent": 2}
    assert emulator.control.summary().points == 4


CHANGES: dict[str, Callable[[dict[str, Any]], dict[str, Any]]] = {
    "another text": lambda one: body(request=uuid.UUID(one["request"]), text="別的"),
    "other numbers": lambda one: body(request=uuid.UUID(one["request"]), to=bodies.numbers(2, 50)),
    "one number more": lambda one: body(request=uuid.UUID(one["request"]), to=bodies.numbers(3)),
    "another lane": lambda one: body(request=uuid.UUID(one["request"]), lane="bulk"),
}


@pytest.mark.parametrize("change", CHANGES.values(), ids=CHANGES.keys())
def test_the_same_id_with_another_body_changes_nothing_and_is_told(
    engine: Engine, emulator: EmulatorProcess, change: Callable[[dict[str, Any]], dict[str, Any]]
) -> None:
    first = body()
    assert arrive(engine, first, None).ready
    other = arrive(engine, change(first), "other-task")
    assert (other.result["outcome"], other.ready) == ("conflict", False)
    assert [row.task_id for row in running.rows(engine, dead_letter)] == ["other-task"]
    assert arrive(engine, first, None).ready
    running.send(engine)
    running.send(engine, "bulk")
    assert [one["number"] for one in emulator.control.sent()] == bodies.numbers(2)


def test_the_same_body_however_often_is_one_request(engine: Engine, emulator: EmulatorProcess) -> None:
    one = body()
    results = [arrive(engine, one, str(n)).result for n in range(3)]
    running.send(engine)
    results.append(arrive(engine, one, "later").result)
    running.send(engine)
    assert all(result == results[0] for result in results)
    assert (emulator.control.summary().total, emulator.control.summary().doubled_count) == (2, 0)


def test_a_seal_that_carries_a_verdict_sends_nothing(engine: Engine, emulator: EmulatorProcess) -> None:
    pages = [bodies.page(uuid.uuid4(), to=bodies.numbers(5))]
    assert arrive(engine, pages[0], None).result["outcome"] == "staged"
    seal = bodies.seal_alone(pages)
    seal["seal"]["refused"] = {
        "reason": "invalid_rows",
        "rows": [{"row": 17, "reason": "landline"}],
        "count": 1,
    }
    assert arrive(engine, seal, None).result["outcome"] == "refused"
    running.send(engine)
    assert emulator.control.stats()["total_calls"] == 0
    assert running.kinds(engine) == ["request_refused"]
