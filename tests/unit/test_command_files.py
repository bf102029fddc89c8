"""`every8d send --csv` and `price --csv`: what is read of a file, what stops it, what is told of its rows."""

import io
import uuid
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any

import pytest

from every8d.message import Message
from every8d.receipt import Receipt
from tests.support.recorder import Recorder, answer, run

BIG5 = "手機,姓名,代碼\r\n912345678,許功蓋,A1\r\n0922333444,王,A2\r\n".encode("cp950")
BAD = "to,text\n0912345678,a\n9.12E+08,b\n02-23456789,c\n0912345678,a\nx,d\n0933444555,\n0922333444,a\n"
BAD_LINES = [(3, "scientific"), (4, "landline"), (6, "not_a_number"), (7, "no_text")]


@pytest.fixture
def csv(tmp_path: Path) -> Callable[[str | bytes], str]:
    def write(content: str | bytes) -> str:
        path = tmp_path / "list.csv"
        path.write_bytes(content.encode() if isinstance(content, str) else content)
        return str(path)

    return write


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


def test_a_column_that_the_template_names_and_the_file_has_not(csv: Callable[[str | bytes], str]) -> None:
    result = run(Recorder(), "send", "--csv", csv(BIG5), "--text", "{name}", "--json")
    assert (result.exit_code, answer(result)["error"]["kind"]) == (2, "missing_column")


def test_price_of_a_file(csv: Callable[[str | bytes], str]) -> None:
    parsed = answer(run(Recorder(), "price", "{姓名}" + "字" * 69, "--csv", csv(BIG5), "--json"))
    assert parsed["by_segments"] == {"1": 1, "2": 1}
