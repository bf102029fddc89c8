"""`every8d send` and `price` with numbers: what is published, what is told, how it exits."""

import uuid
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from decimal import Decimal

import pytest
from click.testing import CliRunner

from every8d.command import invocation, main
from every8d.command.invocation import Invocation
from every8d.ids import request_id
from every8d.producererrors import BrokerUnreachable, IdempotencyConflict, NoAnswer, NotConfirmed
from every8d.receipt import RequestStatus
from tests.support.recorder import NOW, URL, Recorder, answer, run


def test_one_number() -> None:
    recorder = Recorder()
    result = run(
        recorder,
        "send",
        "0912-345-678",
        "--text",
        "您好",
        "--key",
        "k1",
        "--account",
        "shop",
        "--lane",
        "otp",
    )
    assert result.exit_code == 0, result.output
    [(name, rows, options)] = recorder.calls
    assert (name, rows[0].to, options["text"], options["lane"]) == ("send", "0912-345-678", "您好", "otp")
    assert options["idempotency_key"] == "k1"
    assert options["confirm"] is True
    assert (recorder.urls, recorder.made["account"]) == ([URL], "shop")
    assert str(request_id("shop", "k1")) in result.stdout
    assert "Accepted: 1 messages, 1 points" in result.stdout


def test_the_options_arrive_as_the_producer_takes_them() -> None:
    recorder = Recorder()
    options = [
        "--at",
        "2026/1/31T20:00",
        "--book",
        "--validity",
        "2h",
        "--deadline",
        "10h",
        "--subject",
        "s",
        "--allow-duplicates",
        "--abroad",
    ]
    assert run(recorder, "send", "0912345678", "--text", "x", *options).exit_code == 0
    [(_, _, given)] = recorder.calls
    assert given["send_at"] == datetime(2026, 1, 31, 12, 0, tzinfo=UTC)
    assert given["schedule"] == "gateway"
    assert given["validity"] == timedelta(hours=2)
    assert given["deadline"] == timedelta(hours=10)
    assert (given["subject"], given["duplicates"]) == ("s", True)
    assert recorder.made["abroad"] is True


def test_json_before_or_after_the_command() -> None:
    for args in (
        ["--json", "send", "0912345678", "--text", "x"],
        ["send", "0912345678", "--text", "x", "--json"],
    ):
        parsed = answer(run(Recorder(), *args))
        assert set(parsed) == {
            *("ok", "exit", "command", "account", "lane", "key", "request"),
            *("count", "points", "duplicates", "confirmed", "invalid"),
        }
        assert parsed["request"] == str(request_id("default", parsed["key"]))


def test_numbers_are_named_by_their_place() -> None:
    recorder = Recorder()
    result = run(recorder, "send", "0912345678", "02-23456789", "--text", "x", "--json")
    assert answer(result)["invalid"]["rows"] == [{"line": 2, "reason": "landline"}]
    assert (result.exit_code, recorder.calls) == (2, [])
    assert "23456789" not in result.output


@pytest.mark.parametrize(
    ("kind", "fails", "code"),
    [
        ("not_confirmed", lambda request: NotConfirmed(request, "every8d.accept"), 3),
        ("broker_lost", lambda request: BrokerUnreachable(request, "redis://broker"), 4),
        ("idempotency_conflict", IdempotencyConflict, 1),
        ("unexpected", lambda request: ZeroDivisionError(), 3),
        ("interrupted_sending", lambda request: KeyboardInterrupt(), 3),
    ],
)
def test_exit_codes(kind: str, fails: Callable[[uuid.UUID], Exception], code: int) -> None:
    result = run(Recorder(fails=fails), "send", "0912345678", "--text", "x", "--key", "again", "--json")
    parsed = answer(result)
    assert (result.exit_code, parsed["error"]["kind"]) == (code, kind)
    if code in (3, 4) and kind != "unexpected":
        assert "--key again" in parsed["error"]["advice"]
        assert parsed["request"] == str(request_id("default", "again"))


@pytest.mark.parametrize(
    ("name", "args"),
    [
        ("neither numbers nor a file", ["send", "--text", "x"]),
        ("both", ["send", "0912345678", "--csv", "x", "--text", "x"]),
        ("no text", ["send", "0912345678"]),
        ("an empty text", ["send", "0912345678", "--text", " "]),
        ("a time that is none", ["send", "0912345678", "--text", "x", "--at", "soon"]),
        ("a time that has passed", ["send", "0912345678", "--text", "x", "--at", "2020-01-01 10:00"]),
        ("a booking without a time", ["send", "0912345678", "--text", "x", "--book"]),
        ("an option that is none", ["send", "0912345678", "--txt", "x"]),
        ("a column that is none", ["send", "--csv", "x", "--column", "who=1"]),
        ("no such file", ["send", "--csv", "/nowhere/x.csv", "--text", "x"]),
        ("no command", []),
        ("a command that is none", ["sned"]),
        ("a number too many for status", ["status", "a", "0912345678"]),
    ],
)
def test_wrong_usage(name: str, args: list[str]) -> None:
    recorder = Recorder()
    result = run(recorder, *args, "--json")
    parsed = answer(result)
    assert (result.exit_code, recorder.calls) == (2, [])
    assert parsed["error"]["message"]
    assert "0912345678" not in result.output


def test_the_broker_of_an_installed_worker_is_the_default(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(invocation, "_broker_of_worker", lambda: "redis+socket:///worker")
    recorder = Recorder()
    called = Invocation(make_producer=recorder, now=lambda: NOW, lang="en")
    args = ["send", "0912345678", "--text", "x"]
    assert CliRunner().invoke(main, args, obj=called, env={"EVERY8D_BROKER_URL": ""}).exit_code == 0
    assert recorder.urls == ["redis+socket:///worker"]


def test_without_a_broker(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(invocation, "_broker_of_worker", lambda: None)
    result = CliRunner().invoke(
        main, ["send", "0912345678", "--text", "x", "--json"], env={"EVERY8D_BROKER_URL": ""}
    )
    assert (result.exit_code, answer(result)["error"]["kind"]) == (2, "no_broker")


def status(state: str, final: bool = False, **messages: int) -> RequestStatus:
    count = sum(messages.values())
    return RequestStatus(uuid.UUID(int=1), "default", "bulk", state, count, messages, Decimal("2.00"), final)


@pytest.mark.parametrize(
    ("name", "statuses", "code"),
    [
        ("all delivered", [status("sending", sent=2), status("done", True, delivered=2)], 0),
        ("a duplicate is no failure", [status("done", True, delivered=1, duplicate=1)], 0),
        (
            "one not delivered",
            [status("ready", waiting=2), status("done", True, delivered=1, undelivered=1)],
            1,
        ),
        ("nothing left but what is not known", [status("sending", delivered=1, unknown=1)], 3),
        ("abandoned", [status("abandoned", False, waiting=2)], 1),
    ],
)
def test_waiting(name: str, statuses: list[RequestStatus], code: int) -> None:
    result = run(Recorder(statuses=statuses), "send", "0912345678", "--text", "x", "--wait", "--json")
    assert result.exit_code == code
    assert answer(result)["messages"] == statuses[-1].messages


def test_waiting_for_workers_that_are_gone() -> None:
    class Gone(Recorder):
        def status(self, request: str) -> RequestStatus:
            raise NoAnswer(uuid.UUID(request), "every8d.status")

    result = run(Gone(), "send", "0912345678", "--text", "x", "--wait", "--key", "k", "--json")
    parsed = answer(result)
    assert (result.exit_code, parsed["error"]["kind"]) == (3, "follow_lost")
    assert (parsed["key"], parsed["confirmed"]) == ("k", True)


def test_waiting_has_an_end() -> None:
    recorder = Recorder(statuses=[status("sending", sent=1)])
    result = run(recorder, "send", "0912345678", "--text", "x", "--wait", "--timeout", "0s", "--json")
    assert result.exit_code == 3
    assert answer(result)["final"] is False


def test_price() -> None:
    parsed = answer(run(Recorder(), "price", "字" * 71, "--json"))
    assert (parsed["characters"], parsed["segments"], parsed["points_each"]) == (71, 2, 2)
    args = ["price", "x", "--to", "0912345678", "--to", "+81 90-1234-5678", "--abroad", "--json"]
    assert answer(run(Recorder(), *args))["points"] == "4"
    assert run(Recorder(), "price", "x", "--to", "+81 90-1234-5678").exit_code == 2
