"""`every8d send` and `price`: what is checked, what is published, what is told, how it exits."""

import io
import json
import uuid
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner, Result

from every8d.command import invocation, main
from every8d.command.invocation import Invocation
from every8d.ids import request_id
from every8d.message import Message
from every8d.producererrors import BrokerUnreachable, IdempotencyConflict, InvalidRows, NoAnswer, NotConfirmed
from every8d.receipt import Receipt, RequestStatus
from every8d.seal import RowError

NOW = datetime(2026, 1, 31, 4, 0, tzinfo=UTC)
URL = "redis://broker.example/0"
BIG5 = "手機,姓名,代碼\r\n912345678,許功蓋,A1\r\n0922333444,王,A2\r\n".encode("cp950")
BAD = "to,text\n0912345678,a\n9.12E+08,b\n02-23456789,c\n0912345678,a\nx,d\n0933444555,\n0922333444,a\n"
BAD_LINES = [(3, "scientific"), (4, "landline"), (6, "not_a_number"), (7, "no_text")]


@dataclass
class Recorder:
    """A producer that keeps what it was given, and answers as it is told."""

    fails: Callable[[uuid.UUID], Exception] | None = None
    statuses: list[RequestStatus] = field(default_factory=list)
    urls: list[str] = field(default_factory=list)
    made: dict[str, Any] = field(default_factory=dict)
    calls: list[tuple[str, list[Any], dict[str, Any]]] = field(default_factory=list)

    def __call__(self, url: str, **options: Any) -> "Recorder":
        self.urls.append(url)
        self.made = options
        return self

    def send(self, to: str, text: str, **options: Any) -> Receipt:
        return self._answer("send", [Message(to)], {"text": text, **options})

    def send_many(self, messages: Iterable[Any], **options: Any) -> Receipt:
        rows = list(messages)
        self.calls.append(("send_many", rows, options))
        bad = [place for place, row in enumerate(rows, 1) if not isinstance(row, Message)]
        if bad:
            raise InvalidRows(
                tuple(RowError(place, "not_a_message") for place in bad), len(bad), uuid.UUID(int=7)
            )
        self.calls.pop()
        return self._answer("send_many", rows, options)

    def _answer(self, name: str, rows: list[Any], options: dict[str, Any]) -> Receipt:
        self.calls.append((name, rows, options))
        request = request_id(self.made.get("account", "default"), options["idempotency_key"])
        if self.fails:
            raise self.fails(request)
        return Receipt(request, "default", options["lane"], len(rows), len(rows), 1, 0, confirmed=True)

    def status(self, request: str) -> RequestStatus:
        return self.statuses.pop(0) if len(self.statuses) > 1 else self.statuses[0]


def run(recorder: Recorder, *args: str, stdin: bytes | None = None) -> Result:
    called = Invocation(make_producer=recorder, now=lambda: NOW, sleep=lambda _s: None, lang="en")
    environ = {"EVERY8D_BROKER_URL": URL, "COLUMNS": "120", "EVERY8D_ABROAD": ""}
    return CliRunner().invoke(main, list(args), obj=called, env=environ, input=stdin)


def answer(result: Result) -> Any:
    assert result.stdout.count("\n") == 1, result.stdout
    parsed = json.loads(result.stdout)
    assert parsed["exit"] == result.exit_code
    assert parsed["ok"] == (result.exit_code == 0)
    return parsed


@pytest.fixture
def csv(tmp_path: Path) -> Callable[[str | bytes], str]:
    def write(content: str | bytes) -> str:
        path = tmp_path / "list.csv"
        path.write_bytes(content.encode() if isinstance(content, str) else content)
        return str(path)

    return write


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


def test_a_big5_file_with_a_template(csv: Callable[[str | bytes], str]) -> None:
    recorder = Recorder()
    result = run(recorder, "send", "--csv", csv(BIG5), "--text", "{姓名} 您好，代碼 {代碼}", "--json")
    [(name, rows, options)] = recorder.calls
    assert name == "send_many"
    assert [(row.to, row.text) for row in rows] == [
        ("0912345678", "許功蓋 您好，代碼 A1"),
        ("0922333444", "王 您好，代碼 A2"),
    ]
    assert (options["text"], options["lane"]) == (None, "bulk")
    assert answer(result)["encoding"] == "cp950"


def test_one_text_for_all_is_the_requests_own(csv: Callable[[str | bytes], str]) -> None:
    recorder = Recorder()
    assert run(recorder, "send", "--csv", csv(BIG5), "--text", "{{您好}}").exit_code == 0
    [(_, rows, options)] = recorder.calls
    assert options["text"] == "{您好}"
    assert {row.text for row in rows} == {None}


def test_a_dry_run_publishes_nothing(csv: Callable[[str | bytes], str]) -> None:
    recorder = Recorder()
    long = "字" * 71
    path = csv(f"to,text\n0912345678,a\n0922333444,{long}\n0912345678,a\n")
    parsed = answer(run(recorder, "send", "--csv", path, "--dry-run", "--json"))
    assert (recorder.calls, recorder.urls) == ([], [])
    assert (parsed["rows"], parsed["count"], parsed["segments"], parsed["points"]) == (3, 2, 3, "3")
    assert parsed["by_segments"] == {"1": 1, "2": 1}
    assert parsed["duplicates"] == {"count": 1, "lines": [4]}
    parsed = answer(run(recorder, "send", "--csv", path, "--dry-run", "--allow-duplicates", "--json"))
    assert (parsed["count"], parsed["points"]) == (3, "4")


def test_one_bad_row_stops_the_whole_file(csv: Callable[[str | bytes], str]) -> None:
    recorder = Recorder()
    result = run(recorder, "send", "--csv", csv(BAD), "--json")
    parsed = answer(result)
    assert (result.exit_code, recorder.calls) == (2, [])
    assert [(row["line"], row["reason"]) for row in parsed["invalid"]["rows"]] == BAD_LINES
    assert parsed["error"]["kind"] == "bad_rows"


def test_bad_rows_are_told_by_line_and_never_by_number(csv: Callable[[str | bytes], str]) -> None:
    result = run(Recorder(), "send", "--csv", csv(BAD))
    assert result.exit_code == 2
    assert "4 of 7 rows cannot be sent. Nothing was sent." in result.stderr
    assert "a landline, not a mobile number" in result.stderr
    assert not [cell for cell in ("23456789", "912345678", "933444555") if cell in result.output]


def test_only_the_first_twenty_bad_rows_are_on_the_screen(csv: Callable[[str | bytes], str]) -> None:
    path = csv("to,text\n" + "x,a\n" * 25)
    result = run(Recorder(), "send", "--csv", path)
    assert result.stderr.count("not a phone number") == 20
    assert "5 more" in result.stderr
    assert len(answer(run(Recorder(), "send", "--csv", path, "--json"))["invalid"]["rows"]) == 25


def test_skipping_invalid_rows(csv: Callable[[str | bytes], str]) -> None:
    recorder = Recorder()
    parsed = answer(run(recorder, "send", "--csv", csv(BAD), "--skip-invalid", "--json"))
    [(_, rows, _)] = recorder.calls
    assert [row.to for row in rows] == ["0912345678", "0912345678", "0922333444"]
    assert [(row["line"], row["reason"]) for row in parsed["invalid"]["rows"]] == BAD_LINES


def test_a_file_of_bad_rows_only_is_an_error_even_when_they_are_skipped(
    csv: Callable[[str | bytes], str],
) -> None:
    recorder = Recorder()
    result = run(recorder, "send", "--csv", csv("to\nx1\n"), "--text", "a", "--skip-invalid", "--json")
    assert (result.exit_code, answer(result)["error"]["kind"], recorder.calls) == (2, "nobody", [])


def test_numbers_are_named_by_their_place() -> None:
    recorder = Recorder()
    result = run(recorder, "send", "0912345678", "02-23456789", "--text", "x", "--json")
    assert answer(result)["invalid"]["rows"] == [{"line": 2, "reason": "landline"}]
    assert (result.exit_code, recorder.calls) == (2, [])
    assert "23456789" not in result.output


class Pipe(io.BytesIO):
    """Standard input that can be read once."""

    def seekable(self) -> bool:
        return False

    def seek(self, offset: int, whence: int = 0, /) -> int:
        raise OSError("a pipe")


def test_a_stream_is_staged_and_sealed_with_its_verdict() -> None:
    recorder = Recorder()
    result = run(recorder, "send", "--csv", "-", "--json", stdin=Pipe(BAD.encode()))  # type: ignore[arg-type]  # click takes streams, too
    parsed = answer(result)
    [(_, rows, _)] = recorder.calls  # bad rows went along, so that the producer refuses the request
    assert sum(not isinstance(row, Message) for row in rows) == 4
    assert result.exit_code == 2
    assert [(row["line"], row["reason"]) for row in parsed["invalid"]["rows"]] == BAD_LINES
    assert parsed["request"] == str(uuid.UUID(int=7))


def test_a_stream_without_its_bad_rows() -> None:
    recorder = Recorder()
    result = run(recorder, "send", "--csv", "-", "--skip-invalid", "--json", stdin=Pipe(BAD.encode()))  # type: ignore[arg-type]  # click takes streams, too
    assert result.exit_code == 0
    assert all(isinstance(row, Message) for row in recorder.calls[0][1])
    assert answer(result)["invalid"]["count"] == 4


def test_a_file_that_changes_between_checking_and_sending(csv: Callable[[str | bytes], str]) -> None:
    path = Path(csv("to\n0912345678\n0922333444\n"))

    class Changing(Recorder):
        def send_many(self, messages: Iterable[Any], **options: Any) -> Receipt:
            path.write_text("to\n0933444555\n0922333444\n")
            return super().send_many(messages, **options)

    recorder = Changing()
    result = run(recorder, "send", "--csv", str(path), "--text", "x", "--json")
    assert (result.exit_code, answer(result)["error"]["kind"], recorder.calls) == (2, "file_changed", [])


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


def test_a_column_that_the_template_names_and_the_file_has_not(csv: Callable[[str | bytes], str]) -> None:
    result = run(Recorder(), "send", "--csv", csv(BIG5), "--text", "{name}", "--json")
    assert (result.exit_code, answer(result)["error"]["kind"]) == (2, "missing_column")


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


def test_price_of_a_file(csv: Callable[[str | bytes], str]) -> None:
    parsed = answer(run(Recorder(), "price", "{姓名}" + "字" * 69, "--csv", csv(BIG5), "--json"))
    assert parsed["by_segments"] == {"1": 1, "2": 1}
