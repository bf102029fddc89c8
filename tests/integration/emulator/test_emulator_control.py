"""The control API and its helper: reports, arrivals, statistics, reset, and what it refuses."""

import hashlib
import http.client
import json
import threading
import time
from typing import Any

import pytest

from every8d.emulator.control import ControlError
from every8d.emulator.process import EmulatorProcess


def test_the_lost_and_the_doubled_can_be_counted(wire: Any, key: str, control: Any) -> None:
    for content in ("a", "a", "b"):
        wire.send(key, "0912345671,0912345672", content)
    wire.send(key, "0912345673", "a")
    summary = control.summary()
    assert (summary.total, summary.distinct, summary.doubled_count, summary.batches) == (7, 5, 2, 4)
    digest = hashlib.sha256(b"a").hexdigest()
    assert {(pair.number, pair.sha256, pair.executions) for pair in summary.doubled} == {
        ("+886912345671", digest, 2),
        ("+886912345672", digest, 2),
    }
    assert summary.points == 7
    assert [row["executions"] for row in control.sent(number="0912345671")] == [2, 2, 1]


def test_one_message_told_in_full(wire: Any, key: str, control: Any) -> None:
    before = time.time()
    batch = wire.send(key, "0912345671", "內容", subject="token-1").rsplit(",")[-1]
    wire.send(key, "0912345672", "x", subject="token-2")
    (row,) = control.sent(subject="token-1", text=True)
    assert before <= row.pop("received") <= time.time()
    assert before <= row.pop("executed") <= time.time()
    assert row == {
        "number": "+886912345671",
        "sha256": hashlib.sha256("內容".encode()).hexdigest(),
        "text": "內容",
        "subject": "token-1",
        "batch": batch,
        "position": 0,
        "account": "demo",
        "executions": 1,
        "status": 0,
        "cost": 1,
        "name": "",
        "email": "",
    }
    assert control.sent(batch=batch)[0]["subject"] == "token-1"
    assert [row["subject"] for row in control.sent(offset=1, limit=5)] == ["token-2"]


def test_arrivals(wire: Any, key: str, control: Any) -> None:
    control.network(latency_ms=30)
    before = time.time()
    wire.send(key, "0912345671", subject="otp")
    wire.send(key, "0912345672,0912345673")
    (first,) = control.arrivals(most_messages=1)
    assert (first.number, first.subject, first.messages) == ("+886912345671", "otp", 1)
    # The time is that of the arrival, before the gateway's own latency.
    assert before <= first.received < before + 0.03
    assert [arrival.number[-1] for arrival in control.arrivals()] == ["1", "2", "3"]
    assert [arrival.number[-1] for arrival in control.arrivals(since=first.received)] == ["2", "3"]
    assert len(control.arrivals(subject="otp")) == 1


def test_statistics(process: Any, wire: Any, key: str, control: Any) -> None:
    control.network(latency_ms=100)
    wires = [type(wire)(process.port) for _ in range(5)]
    threads = [
        threading.Thread(target=wire.call, args=("getCredit",), kwargs={"sessionKey": key}) for wire in wires
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    for each in wires:
        each.connection.close()
    wire.connect("demo", "wrong")
    stats = control.stats()
    assert stats["calls"] == {"getConnection": {"ok": 1, "-101": 1}, "getCredit": {"ok": 5}}
    assert (stats["logins"], stats["refused_logins"], stats["total_calls"], stats["in_flight"]) == (
        1,
        1,
        7,
        0,
    )
    assert 2 <= stats["max_in_flight"] <= 5


def test_reset_forgets_everything(wire: Any, key: str, control: Any) -> None:
    wire.send(key, "0912345678")
    control.create_account("other", "o")
    control.switch(bare_301=True)
    control.fault("drop", count=None)
    control.advance(1e6)
    control.reset()
    assert control.summary().accepted == 0
    assert list(control.accounts()) == ["demo"]
    assert control.faults() == []
    assert abs(control.now() - time.time()) < 5
    assert wire.call("getCredit", sessionKey=key) == "-301, Session 資料不存在，請重新登入。"


def test_voided_keys_are_gone(wire: Any, key: str, control: Any) -> None:
    control.void_keys()
    assert wire.call("getCredit", sessionKey=key).startswith("-301")
    control.lock()
    assert "<CODE>-999</CODE>" in wire.connect()


@pytest.mark.parametrize(
    ("method", "arguments"),
    [
        ("fault", {"kind": "explode"}),
        ("fault", {"kind": "drop", "colour": "red"}),
        ("switch", {"colour": "red"}),
        ("network", {"colour": 1}),
        ("network", {"deliver_after_s": "soon"}),
        ("callback_to", {"url": "http://127.0.0.1:1/", "method": "PUT"}),
        ("callback_to", {"url": "/report"}),
        ("move_clock", {"to": "2026-01-01T00:00:00"}),
        ("change_account", {"user_id": "nobody"}),
        ("create_account", {"user_id": "x", "password": "x", "credit": "much"}),
    ],
)
def test_nonsense_is_refused(control: Any, method: str, arguments: dict[str, Any]) -> None:
    with pytest.raises(ControlError):
        getattr(control, method)(**arguments)


def test_no_control_api_where_none_is_wanted() -> None:
    with EmulatorProcess("--no-control") as emulator, pytest.raises((ControlError, json.JSONDecodeError)):
        emulator.control.summary()


def test_the_summary_of_100_000_messages_is_quick(wire: Any, key: str, control: Any) -> None:
    for start in range(0, 100_000, 5000):
        wire.send(key, ",".join(f"+886{912_000_000 + start + i}" for i in range(5000)), f"text {start}")
    started = time.monotonic()
    summary = control.summary()
    assert (summary.total, summary.distinct, summary.doubled) == (100_000, 100_000, [])
    # Some 30 ms here; ten times that would stall the calls that run beside it.
    assert time.monotonic() - started < 2


def test_nothing_else_is_served(process: Any, control: Any) -> None:
    connection = http.client.HTTPConnection("127.0.0.1", process.port, timeout=5)
    for path, status in (
        ("/", 404),
        ("/control/nothing", 404),
        ("/control/__class__", 404),
        ("/API21/SOAP/SMS.asmx", 200),
    ):
        connection.request("GET", path)
        response = connection.getresponse()
        response.read()
        assert response.status == status
    connection.close()
