"""Servers that do what servers should not, and a gateway's client that is sent to them."""

import contextlib
import socket
import ssl
import struct
import threading
import time
import traceback
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Self

import pytest

from every8d.errors import GatewayError
from every8d.gateway import Gateway
from every8d.replies import SendReply

CERTIFICATE = Path(__file__).parents[1] / "integration" / "untrusted.pem"
GUID = "220478cc-8506-49b2-93b7-2505f651c12e"
SOAP_11 = "http://schemas.xmlsoap.org/soap/envelope/"
SOAP_12 = "http://www.w3.org/2003/05/soap-envelope"
PASSWORD, KEY, NUMBER, TEXT = (
    "pa55word",
    "e9df35fce357589a8e78c44c3e2abcdd",
    "+886912345678",
    "a very private text",
)

Behaviour = Callable[[socket.socket, bytes], None]


class Server:
    """Reads one request after another on each connection and lets `behave` answer it."""

    def __init__(self, behave: Behaviour, *, tls: bool = False, read: bool = True) -> None:
        self.requests: list[bytes] = []
        self.connections = 0
        self._behave = behave
        self._read = read
        self._over = threading.Event()
        self._open: list[socket.socket] = []
        self._context: ssl.SSLContext | None = None
        if tls:
            self._context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
            self._context.load_cert_chain(CERTIFICATE)
        self._listener = socket.create_server(("127.0.0.1", 0))
        self._threads = [threading.Thread(target=self._accept)]
        self._threads[0].start()

    @property
    def port(self) -> int:
        port: int = self._listener.getsockname()[1]
        return port

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}/customer/API21/SOAP/SMS.asmx"

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._over.set()
        self._listener.shutdown(socket.SHUT_RDWR)
        self._listener.close()
        for connection in self._open:
            # Closing alone would not wake the thread that reads from it.
            with contextlib.suppress(OSError):
                connection.shutdown(socket.SHUT_RDWR)
        for thread in self._threads:
            thread.join(10)
            assert not thread.is_alive()

    def wait(self) -> None:
        """Until the test is over."""
        self._over.wait(30)

    def _accept(self) -> None:
        while True:
            try:
                connection, _ = self._listener.accept()
            except OSError:
                return
            self.connections += 1
            thread = threading.Thread(target=self._serve, args=(connection,))
            self._threads.append(thread)
            thread.start()

    def _serve(self, connection: socket.socket) -> None:
        try:
            with connection:
                if self._context is not None:
                    connection = self._context.wrap_socket(connection, server_side=True)
                self._open.append(connection)
                if not self._read:
                    self._behave(connection, b"")
                    return
                with connection:
                    while request := self._receive(connection):
                        self.requests.append(request)
                        self._behave(connection, request)
        except OSError:
            return  # the client gave up, which is what most of these tests are about

    def _receive(self, connection: socket.socket) -> bytes:
        data = b""
        while b"\r\n\r\n" not in data:
            part = connection.recv(65536)
            if not part:
                return b""
            data += part
        head, _, body = data.partition(b"\r\n\r\n")
        lengths = [line for line in head.lower().split(b"\r\n") if line.startswith(b"content-length:")]
        length = int(lengths[0].split(b":")[1]) if lengths else 0
        while len(body) < length:
            body += connection.recv(65536)
        return head + b"\r\n\r\n" + body


def http(body: bytes | str, status: str = "200 OK", *headers: str) -> bytes:
    content = body.encode() if isinstance(body, str) else body
    lines = [f"HTTP/1.1 {status}", f"Content-Length: {len(content)}", *headers]
    return "\r\n".join(lines).encode() + b"\r\n\r\n" + content


def envelope(body: str, namespace: str = SOAP_11) -> str:
    return (
        f'<?xml version="1.0" encoding="utf-8"?><soap:Envelope xmlns:soap="{namespace}"><soap:Body>{body}'
        "</soap:Body></soap:Envelope>"
    )


def result(text: str = f"285.0,1,1.0,0,{GUID}", operation: str = "sendSMS", namespace: str = SOAP_11) -> str:
    return envelope(
        f'<{operation}Response xmlns="http://tempuri.org/"><{operation}Result>{text}</{operation}Result>'
        f"</{operation}Response>",
        namespace,
    )


def fault(code: str) -> str:
    return envelope(
        f"<soap:Fault><faultcode>{code}</faultcode><faultstring>{TEXT} {NUMBER}</faultstring></soap:Fault>"
    )


def fault_12(code: str) -> str:
    return envelope(
        f"<soap:Fault><soap:Code><soap:Value>{code}</soap:Value></soap:Code>"
        f'<soap:Reason><soap:Text xml:lang="en">{TEXT}</soap:Text></soap:Reason></soap:Fault>',
        SOAP_12,
    )


def answering(data: bytes) -> Behaviour:
    return lambda connection, _: connection.sendall(data)


def closing(data: bytes) -> Behaviour:
    def behave(connection: socket.socket, _: bytes) -> None:
        connection.sendall(data)
        connection.shutdown(socket.SHUT_RDWR)

    return behave


def resetting(connection: socket.socket, _: bytes) -> None:
    connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    connection.close()


def dripping(data: bytes) -> Behaviour:
    """A byte at a time, each well within any read time-out, for longer than the deadline."""

    def behave(connection: socket.socket, _: bytes) -> None:
        for byte in data:
            connection.sendall(bytes([byte]))
            time.sleep(0.02)  # the drip itself

    return behave


def send(gateway: Gateway, text: str = TEXT, deadline_s: float | None = None) -> SendReply:
    return gateway.send_sms(KEY, subject="s", content=text, mobiles=[NUMBER], deadline_s=deadline_s)


@pytest.fixture
def gateways() -> Iterator[Callable[..., Gateway]]:
    made: list[Gateway] = []

    def make(url: str, **settings: object) -> Gateway:
        made.append(Gateway("user", PASSWORD, url=url, **({"deadline_s": 10.0} | settings)))  # type: ignore[arg-type]  # as the test says
        return made[-1]

    yield make
    for gateway in made:
        gateway.close()


def failing(gateway: Gateway, cls: type[GatewayError], **arguments: float) -> GatewayError:
    """The error of a send, which must show nothing that is nobody's business."""
    with pytest.raises(GatewayError) as caught:
        send(gateway, **arguments)  # type: ignore[arg-type]  # deadline_s alone
    error = caught.value
    assert type(error) is cls, error
    assert error.operation == "sendSMS"
    shown = "".join(traceback.format_exception(error)) + repr(error) + error.in_chinese()
    assert not any(secret in shown for secret in (PASSWORD, KEY, NUMBER[4:], TEXT, GUID))
    assert error.__cause__ is None
    return error
