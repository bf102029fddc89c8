"""Delivery reports to a real HTTP server: parameters, character sets, repetition, replies."""

import http.server
import threading
from collections.abc import Iterator
from typing import Any
from urllib.parse import parse_qs, parse_qsl, urlsplit

import pytest


class Receiver(http.server.ThreadingHTTPServer):
    """Keeps what arrives; answers the statuses in `answers`, then 200."""

    daemon_threads = True

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), Handler)
        self.got: list[tuple[str, str]] = []  # method, raw query or form
        self.answers: list[int] = []

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.server_address[1]}/report?secret=s"

    def values(self, encoding: str = "utf-8") -> list[dict[str, str]]:
        return [dict(parse_qsl(query, keep_blank_values=True, encoding=encoding)) for _, query in self.got]


class Handler(http.server.BaseHTTPRequestHandler):
    server: Receiver

    def do_GET(self) -> None:
        self.take(urlsplit(self.path).query)

    def do_POST(self) -> None:
        self.take(self.rfile.read(int(self.headers["Content-Length"])).decode("ascii"))

    def take(self, query: str) -> None:
        self.server.got.append((self.command, query))
        status = self.server.answers.pop(0) if self.server.answers else 200
        self.send_response(status)
        self.send_header("Content-Length", "0")
        self.end_headers()

    def log_message(self, *_: object) -> None:
        """Tests are quiet."""


@pytest.fixture
def receiver() -> Iterator[Receiver]:
    with Receiver() as server:
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02})
        thread.start()
        yield server
        server.shutdown()
        thread.join()


def settled(emulator: Any) -> bool:
    return bool(emulator.callbacks()["pending"] == 0)


def test_a_report_and_its_parameters(wire: Any, key: str, control: Any, receiver: Receiver) -> None:
    control.callback_to(receiver.url)
    batch = wire.send(key, "0922333444,0912345678", "Hello, 世界", subject="token").rsplit(",")[-1]
    control.advance(60)
    control.wait(lambda _: len(receiver.got) == 2)
    first, second = sorted(receiver.values(), key=lambda values: values["MR"])
    assert {**first, "RT": "", "ST": ""} == {
        "secret": "s", "BatchID": batch, "RM": "+886922333444", "RT": "", "STATUS": "100",
        "SM": "Hello, 世界",
        "CustID": "EMULATOR", "UserNo": "demo", "ST": "", "MR": "1", "SUBJECT": "token", "NAME": "",
        "USERID": "demo", "SOURCE": "", "CHARGE": "1",
    }  # fmt: skip
    assert len(first["RT"]) == len(first["ST"]) == 14
    assert (second["RM"], second["MR"]) == ("+886912345678", "2")
    assert any(
        "RM=%2b886" in query and "SM=Hello%2c+%e4%b8%96%e7%95%8c" in query for _, query in receiver.got
    )
    control.wait(settled)
    assert control.callbacks() == {"due": 2, "attempts": 2, "stored": 2, "given_up": 0, "pending": 0}


@pytest.mark.parametrize(("answers", "attempts", "stored"), [([500, 404, 302], 4, 1), ([503] * 50, 11, 0)])
def test_anything_but_200_is_repeated_ten_times_at_most(
    wire: Any, key: str, control: Any, receiver: Receiver, answers: list[int], attempts: int, stored: int
) -> None:
    receiver.answers = list(answers)
    control.callback_to(receiver.url, retry_s=0.01)
    wire.send(key, "0912345678")
    control.advance(60)
    control.wait(lambda emulator: emulator.callbacks()["stored"] + emulator.callbacks()["given_up"] == 1)
    assert len(receiver.got) == attempts
    assert len(set(receiver.got)) == 1
    assert control.callbacks()["stored"] == stored


@pytest.mark.parametrize(("method", "charset"), [("POST", "utf-8"), ("POST", "big5"), ("GET", "big5")])
def test_post_and_big5(
    wire: Any, key: str, control: Any, receiver: Receiver, method: str, charset: str
) -> None:
    control.callback_to(receiver.url, method=method, charset=charset)
    wire.send(key, "0912345678", "測試", subject="主旨")
    control.advance(60)
    control.wait(lambda _: len(receiver.got) == 1)
    assert receiver.got[0][0] == method
    values = receiver.values(charset)[0]
    assert (values["SM"], values["SUBJECT"]) == ("測試", "主旨")


def test_replies_are_status_999(wire: Any, key: str, control: Any, receiver: Receiver) -> None:
    control.callback_to(receiver.url)
    wire.send(key, "0900991200", "原文")
    control.advance(60)
    control.wait(lambda _: len(receiver.got) == 3)
    assert sorted((values["STATUS"], values["SM"]) for values in receiver.values()) == [
        ("100", "原文"),
        ("999", "第一則回覆"),
        ("999", "第二則回覆, a & b"),
    ]


def test_switches_of_callbacks(wire: Any, key: str, control: Any, receiver: Receiver) -> None:
    control.callback_to(receiver.url)
    control.switch(echo_subject=False, callback_upper_names=True, callback_copies=2)
    batch = wire.send(key, "0912345678", subject="token").rsplit(",")[-1]
    control.advance(60)
    control.wait(lambda _: len(receiver.got) == 2)
    assert [(values["BATCHID"], values["SUBJECT"]) for values in receiver.values()] == [(batch, "")] * 2


def test_what_was_not_sent_is_not_reported(wire: Any, control: Any, receiver: Receiver) -> None:
    control.move_clock("2026-05-04T12:00:00+08:00")
    control.callback_to(receiver.url)
    key = wire.log_in()
    booked = wire.send(key, "0912345671", send_time="20260504123000").rsplit(",")[-1]
    wire.send(key, "0900930100,+85261234567,0912345672")
    wire.call("eraseBooking", sessionKey=key, batchID=booked)
    control.advance(7200)
    control.wait(settled)
    assert [parse_qs(query)["RM"] for _, query in receiver.got] == [["+886912345672"]]


def test_none_are_sent_unless_asked_for(wire: Any, key: str, control: Any) -> None:
    wire.send(key, "0912345678")
    control.advance(60)
    assert control.callbacks() == {"due": 0, "attempts": 0, "stored": 0, "given_up": 0, "pending": 0}
