"""Every fault, seen from the wire, and whether the call was executed all the same."""

import http.client
import time
from typing import Any

import pytest

SENT = {"sessionKey": "", "subject": "", "content": "x", "mobile": "0912345678", "sendTime": ""}


def attempt(wire: Any, key: str) -> str:
    """Send one message; what a client would see of it."""
    try:
        answer = wire.raw("sendSMS", **{**SENT, "sessionKey": key})
    except (http.client.HTTPException, OSError) as error:
        wire.connection.close()
        return type(error).__name__
    try:
        return f"{answer.status} {answer.result[:4]}"
    except (SyntaxError, ValueError):
        return f"{answer.status} unreadable" if answer.body else f"{answer.status} empty"


@pytest.mark.parametrize("when", ["before", "after"])
@pytest.mark.parametrize(
    ("kind", "more", "seen"),
    [
        ("drop", {}, "RemoteDisconnected"),
        ("reset", {}, "ConnectionResetError"),
        ("html", {}, "200 unreadable"),
        ("http", {"status": 403}, "403 unreadable"),
        ("http", {"status": 502}, "502 unreadable"),
        ("empty", {}, "200 empty"),
        ("result", {"text": "what?"}, "200 what"),
        ("client_fault", {}, "500 unreadable"),
        ("server_fault", {}, "500 unreadable"),
    ],
)
def test_before_or_after_execution(
    wire: Any, key: str, control: Any, kind: str, more: dict[str, Any], seen: str, when: str
) -> None:
    control.fault(kind, "sendSMS", when=when, **more)
    assert attempt(wire, key) == seen
    assert control.summary().total == (when == "after")
    assert control.faults()[0]["hits"] == 1
    assert attempt(wire, key) == "200 9999"


@pytest.mark.parametrize(
    ("kind", "more", "seen"),
    [
        ("half_body", {}, "IncompleteRead"),
        ("truncated", {}, "200 unreadable"),
        ("drip", {"delay_ms": 1}, "200 9999"),
        ("delay", {"delay_ms": 50}, "200 9999"),
        ("delay", {"delay_ms": 50, "when": "after"}, "200 9999"),
    ],
)
def test_executed_and_badly_told(
    wire: Any, key: str, control: Any, kind: str, more: dict[str, Any], seen: str
) -> None:
    control.fault(kind, "sendSMS", **more)
    assert attempt(wire, key) == seen
    assert control.summary().total == 1


def test_a_delay_is_before_or_after_the_execution(wire: Any, key: str, control: Any) -> None:
    wire.connection.timeout = 0.3
    for when, executed in (("before", 0), ("after", 1)):
        wire.connection.close()
        control.fault("delay", "sendSMS", delay_ms=1500, when=when)
        assert attempt(wire, key) == "TimeoutError"
        assert control.summary().total == executed
    control.wait(lambda emulator: emulator.summary().total == 2)


def test_executed_after_the_client_hung_up(wire: Any, key: str, control: Any) -> None:
    control.fault("hang_up", "sendSMS")
    wire.connection.close()
    wire.connection.timeout = 0.2
    assert attempt(wire, key) == "TimeoutError"
    control.wait(lambda emulator: emulator.summary().total == 1)


@pytest.mark.parametrize(("when", "executed"), [("before", 0), ("after", 1)])
def test_a_stalled_call_never_answers(wire: Any, key: str, control: Any, when: str, executed: int) -> None:
    control.fault("stall", "sendSMS", when=when)
    wire.connection.close()
    wire.connection.timeout = 0.2
    assert attempt(wire, key) == "TimeoutError"
    control.wait(lambda emulator: emulator.stats()["in_flight"] == 0)
    assert control.summary().total == executed


@pytest.mark.parametrize(
    "code", [-24, -27, -28, -41, -97, -98, -99, -100, -101, -290, -300, -301, -306, -999, -1234]
)
def test_any_code_before_execution(wire: Any, key: str, control: Any, code: int) -> None:
    control.fault("code", "*", code=code, count=4)
    for operation in ("sendSMS", "sendMessage", "sendParamSMS"):
        reply = wire.call(operation, **{**SENT, "sessionKey": key, "contentXML": ""})
        assert reply.partition(",")[0] == str(code)
    expected = "-301" if code == -301 else f"<CODE>{code}</CODE>"
    assert expected in wire.connect()
    assert control.summary().accepted == 0


def test_busy_logins(wire: Any, control: Any) -> None:
    control.busy_logins(2)
    assert ["<CODE>-97</CODE>" in wire.connect() for _ in range(3)] == [True, True, False]
    assert control.logins() == 1
    assert control.calls("getConnection", "fault code") == 2


def test_idle_connections_are_closed(wire: Any, key: str, control: Any) -> None:
    control.switch(idle_close_s=0.1)
    assert attempt(wire, key) == "200 9999"
    wire.connection.sock.settimeout(5)
    started = time.monotonic()
    assert wire.connection.sock.recv(1) == b""
    assert 0.05 < time.monotonic() - started < 4


def test_down_for_a_while_and_back_with_everything_it_knew(wire: Any, key: str, control: Any) -> None:
    assert attempt(wire, key) == "200 9999"
    control.down(0.5)
    end = time.monotonic() + 5
    seen = set()
    while "ConnectionRefusedError" not in seen and time.monotonic() < end:
        wire.connection.close()
        seen.add(attempt(wire, key))
    assert "ConnectionRefusedError" in seen
    while attempt(wire, key) != "200 9999":
        assert time.monotonic() < end
    assert control.summary().batches >= 2
