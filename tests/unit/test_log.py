"""Logs: whoever wrote the line, it shows no number, no password and no session key."""

import io
import json
import logging
import uuid
from collections.abc import Iterator
from typing import Any

import pytest
import structlog

from worker import log

KEY = "8f0e2d4c6b8a09182736455463728190"
GUID = "5b7b3d70-5f0b-4b4e-9d3f-886912345678"


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("to +886912345678", "to +***"),
        ("to 0912345678.", "to +***."),
        ("to 886912345678", "to +***"),
        ("+886 912-345-678 and 0912-345-678", "+*** and +***"),
        ("號碼0912345678錯誤", "號碼+***錯誤"),
        ("號碼：+886912345678，錯誤", "號碼：+***，錯誤"),
        ("['0912345678', '0912345679']", "['+***', '+***']"),
        ("0912345678,0912345679", "+***,+***"),
        ("0912345678-1", "+***-1"),
        ("RM=%2b886987654321&RT=20180101120002", "RM=+***&RT=20180101120002"),
        ("+14155550100", "+***"),
        ("password=demo", "password=***"),
        ("{'password': 'demo', 'a': 1}", "{'password': '***', 'a': 1}"),
        ('{"sessionKey": "abc"}', '{"sessionKey": "***"}'),
        ("<ns0:sessionKey>abc</ns0:sessionKey><password>demo</password>",
         "<ns0:sessionKey>***</ns0:sessionKey><password>***</password>"),
        ("session_key: abc", "session_key: ***"),
        (f"got {KEY}", "got ***"),
        (f"<SESSION_KEY>{KEY}</SESSION_KEY>", "<SESSION_KEY>***</SESSION_KEY>"),
        ("redis://:hunter2@cache:6379/0", "redis://:***@cache:6379/0"),
        ("postgresql://e8d:hunter2@db/e8d", "postgresql://e8d:***@db/e8d"),
        ("\x1b[31mred\x07\x9b1m\r\u2028\u202e\x7f", r"\x1b[31mred\x07\x9b1m\r\u2028\u202e\x7f"),
    ],
)  # fmt: skip
def test_what_must_not_be_shown(text: str, shown: str) -> None:
    assert log.mask(text) == shown


@pytest.mark.parametrize(
    "text",
    [
        GUID,
        str(uuid.UUID(int=0x0912345678091234567809123456780A)),
        "chunk 6H064578D1V03",
        "20180101120002",
        "1767225600000",
        "12345.00 points",
        "HTTP 503",
        "2026-01-01T08:00:00+08:00",
        "put the right password into the settings",
        "http://127.0.0.1:8021/API21/SOAP/SMS.asmx",
    ],
)
def test_what_operators_need_stays_readable(text: str) -> None:
    assert log.mask(text) == text


@pytest.fixture
def lines(request: pytest.FixtureRequest) -> Iterator[io.StringIO]:
    """What the process would write to stderr, in the form of the test's parameter."""
    root = logging.getLogger()
    handlers, level = root.handlers[:], root.level
    log.configure(request.param, "DEBUG")
    stream = io.StringIO()
    root.handlers[0].stream = stream  # type: ignore[attr-defined]  # a StreamHandler
    yield stream
    root.handlers[:], root.level = handlers, level
    structlog.reset_defaults()
    structlog.contextvars.clear_contextvars()


SECRETS = ("912345678", "hunter2", KEY, "您的驗證碼")


def write_everything() -> None:
    ours, theirs = structlog.get_logger("worker.test"), logging.getLogger("somebody.else")
    ours.warning("a number 0912345678", number="0912345678", text="您的驗證碼", reason="password=hunter2")
    ours.info("nested", rows=[{"to": "+886912345678", "content": "您的驗證碼"}], pair=("0912345678", KEY))
    ours.info("odd", error=ValueError("+886912345678"), raw=b"0912345678", count=3, ok=True, none=None)
    theirs.debug("<sessionKey>%s</sessionKey>", KEY)
    theirs.warning("connect %(url)s", {"url": "redis://:hunter2@cache"})
    try:
        raise ValueError("0912345678 password=hunter2")
    except ValueError:
        ours.exception("ours failed")
        theirs.exception("theirs failed")


@pytest.mark.parametrize("lines", ["json", "console"], indirect=True)
def test_no_line_of_anybodys_shows_a_secret(lines: io.StringIO) -> None:
    write_everything()
    written = lines.getvalue()
    for wanted in ("a number", "nested", "odd", "connect", "ours failed", "theirs failed", "Traceback"):
        assert wanted in written
    for secret in SECRETS:
        assert secret not in written


@pytest.mark.parametrize("lines", ["json", "console"], indirect=True)
def test_no_value_begins_a_line_of_its_own(lines: io.StringIO) -> None:
    forged = "x\n2026-01-01T00:00:00Z [error] forged\x1b[2K"
    structlog.get_logger("worker.test").warning(forged, reason=forged)
    logging.getLogger("somebody.else").warning("body: %s", forged)
    written = lines.getvalue()
    assert written.count("\n") == 2
    assert "\x1b" not in written


@pytest.mark.parametrize("lines", ["json"], indirect=True)
def test_json_is_one_object_a_line_and_keeps_its_types(lines: io.StringIO) -> None:
    log.bind_process("normal@host")
    write_everything()
    rows: list[dict[str, Any]] = [json.loads(line) for line in lines.getvalue().splitlines()]
    assert len(rows) == 7
    odd = next(row for row in rows if row["event"] == "odd")
    assert (odd["count"], odd["ok"], odd["none"], odd["process"]) == (3, True, None, "normal@host")
    assert {row["level"] for row in rows} == {"debug", "info", "warning", "error"}
