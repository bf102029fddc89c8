"""The gateway client against servers that do what servers should not: what is certain and what is unknown.

Each server is a real socket. A call is never repeated, whatever happens: every test counts the requests.
"""

import contextlib
import gzip
import logging
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
from lxml import etree

from every8d import sockets, transport
from every8d.errors import Every8dError, GatewayError, InvalidInput, OutcomeUnknown, Rejected, Unreachable
from every8d.gateway import Gateway
from every8d.replies import SendReply

CERTIFICATE = Path(__file__).parent / "untrusted.pem"
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


# Answers that are whole, and what they mean.

ANSWERS = [
    *[
        pytest.param(http("no", f"{status} No"), Rejected, id=f"{status}")
        for status in (403, 404, 405, 407, 413, 415, 429)
    ],
    *[pytest.param(http("", f"{status} No"), Rejected, id=f"{status}, empty") for status in (403, 429)],
    *[
        pytest.param(http("<p>oops", f"{status} Oops"), OutcomeUnknown, id=f"{status}")
        for status in (400, 401, 402, 406, 408, 409, 410, 500, 501, 502, 503, 504, 599)
    ],
    *[
        pytest.param(http("", f"{status} Some"), OutcomeUnknown, id=f"{status}, empty")
        for status in (200, 201, 202, 204, 400, 408, 500, 502)
    ],
    pytest.param(http(result(), "201 Created"), OutcomeUnknown, id="a result with 201"),
    pytest.param(http(result(), "500 Oops"), OutcomeUnknown, id="a result with 500"),
    pytest.param(http(fault("soap:Client"), "500 Oops"), Rejected, id="Client fault"),
    pytest.param(http(fault("Client"), "500 Oops"), Rejected, id="Client fault without a prefix"),
    pytest.param(http(fault("soap:Client.Action"), "500 Oops"), Rejected, id="a subcode of Client"),
    pytest.param(http(fault("soap:Client")), Rejected, id="Client fault with 200"),
    pytest.param(http(fault("soap:Client"), "400 Bad"), Rejected, id="Client fault with 400"),
    pytest.param(http(fault("soap:Server"), "500 Oops"), OutcomeUnknown, id="Server fault"),
    pytest.param(http(fault("soap:Server")), OutcomeUnknown, id="Server fault with 200"),
    pytest.param(http(fault("soap:VersionMismatch"), "500 Oops"), OutcomeUnknown, id="another fault"),
    pytest.param(http(fault("my:ClientServer"), "500 Oops"), OutcomeUnknown, id="a fault that is called alike"),
    pytest.param(http(fault(""), "500 Oops"), OutcomeUnknown, id="a fault without a code"),
    pytest.param(http(fault_12("soap:Sender"), "500 Oops"), OutcomeUnknown, id="a SOAP 1.2 fault to SOAP 1.1"),
    pytest.param(http(fault_12("soap:Sender")), OutcomeUnknown, id="the same with 200"),
    pytest.param(http("<html><body>busy</body></html>"), OutcomeUnknown, id="HTML with 200"),
    pytest.param(http("<!DOCTYPE html><html><p>busy</html>"), OutcomeUnknown, id="HTML that is no XML"),
    pytest.param(http("285.0,1,1.0,0," + GUID), OutcomeUnknown, id="a bare result"),
    pytest.param(http(result()[:-20]), OutcomeUnknown, id="truncated XML"),
    pytest.param(http(envelope("")), OutcomeUnknown, id="an empty Body"),
    pytest.param(http(f'<E:Envelope xmlns:E="{SOAP_11}"/>'), OutcomeUnknown, id="no Body"),
    pytest.param(http(result(operation="getCredit", text="88")), OutcomeUnknown, id="another operation's response"),
    pytest.param(http(result().replace("http://tempuri.org/", "urn:x")), OutcomeUnknown, id="another namespace"),
    pytest.param(http(result("")), OutcomeUnknown, id="an empty result"),
    pytest.param(http(result().replace(f"285.0,1,1.0,0,{GUID}", "<a/>")), OutcomeUnknown, id="XML in the result"),
    pytest.param(http(envelope('<sendSMSResponse xmlns="http://tempuri.org/"/>')), OutcomeUnknown, id="no result"),
    pytest.param(http(result(namespace=SOAP_12)), OutcomeUnknown, id="SOAP 1.2 to SOAP 1.1"),
    pytest.param(http(b"\xff\xfe\x00"), OutcomeUnknown, id="bytes"),
    pytest.param(
        http(result(), "200 OK", "Content-Type: multipart/related; boundary=x"), SendReply, id="a wrong media type"
    ),
    pytest.param(
        http("<!DOCTYPE a [<!ENTITY x 'y'>]>" + result("&x;").split("?>")[1]), OutcomeUnknown, id="an entity"
    ),
    pytest.param(http("<!DOCTYPE a>" + result().split("?>")[1]), OutcomeUnknown, id="a DTD"),
    pytest.param(
        http('<!DOCTYPE a SYSTEM "http://127.0.0.1:1/x.dtd">' + result().split("?>")[1]),
        OutcomeUnknown,
        id="a DTD abroad",
    ),
    pytest.param(http("x", "302 Found", "Location: http://127.0.0.1:1/"), OutcomeUnknown, id="a redirect"),
    pytest.param(http("x", "307 Temporary", "Location: /elsewhere"), OutcomeUnknown, id="a redirect of a POST"),
    pytest.param(b"220 smtp.example.com ESMTP\r\n", OutcomeUnknown, id="not HTTP"),
    pytest.param(http(gzip.compress(result().encode()), "200 OK", "Content-Encoding: gzip"), SendReply, id="gzip"),
    pytest.param(
        http(gzip.compress(b" " * 50_000_000), "200 OK", "Content-Encoding: gzip"), OutcomeUnknown, id="a gzip bomb"
    ),
    pytest.param(http(b"junk", "200 OK", "Content-Encoding: gzip"), OutcomeUnknown, id="broken gzip"),
    pytest.param(http(result()), SendReply, id="a result"),
    pytest.param(http(result(), "200 OK", "Connection: close"), SendReply, id="a result, then closed"),
]  # fmt: skip


@pytest.mark.parametrize(("data", "expected"), ANSWERS)
def test_whole_answers(gateways: Callable[..., Gateway], data: bytes, expected: type) -> None:
    with Server(closing(data)) as server:
        gateway = gateways(server.url)
        if expected is SendReply:
            assert send(gateway).batch_id == GUID
        else:
            error = failing(gateway, expected)
            if expected is Rejected:
                assert error.fault != (error.status is not None)
        assert len(server.requests) == 1


@pytest.mark.parametrize(
    ("data", "expected"),
    [
        (http(result(namespace=SOAP_12)), SendReply),
        (http(fault_12("soap:Sender"), "400 Bad"), Rejected),
        (http(fault_12("soap:Sender"), "500 Oops"), Rejected),
        (http(fault_12("soap:Receiver"), "500 Oops"), OutcomeUnknown),
    ],
)
def test_whole_answers_in_soap_12(gateways: Callable[..., Gateway], data: bytes, expected: type) -> None:
    with Server(closing(data)) as server:
        gateway = gateways(server.url, soap="1.2")
        if expected is SendReply:
            assert send(gateway).batch_id == GUID
        else:
            failing(gateway, expected)
        head = server.requests[0].partition(b"\r\n\r\n")[0]
        assert b'application/soap+xml; charset=utf-8; action="http://tempuri.org/sendSMS"' in head


def test_none_is_no_such_batch_only_for_erase_booking(gateways: Callable[..., Gateway]) -> None:
    with Server(answering(http(result("", "eraseBooking")))) as server:
        assert gateways(server.url).erase_booking(KEY, GUID) is None
    with Server(answering(http(envelope("")))) as server, pytest.raises(OutcomeUnknown):
        gateways(server.url).erase_booking(KEY, GUID)
    with Server(answering(http(""))) as server, pytest.raises(OutcomeUnknown):
        gateways(server.url).erase_booking(KEY, GUID)


# Answers that are not whole.


@pytest.mark.parametrize(
    ("behave", "read"),
    [
        pytest.param(lambda connection, _: connection.close(), True, id="closed without an answer"),
        pytest.param(resetting, True, id="reset without an answer"),
        pytest.param(closing(http(result())[:-100]), True, id="half a body"),
        pytest.param(closing(http(result())[:30]), True, id="half a header"),
        pytest.param(
            closing(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n40\r\n" + b"x" * 30),
            True,
            id="half a chunk",
        ),
        pytest.param(
            closing(b"HTTP/1.1 200 OK\r\n\r\n" + result().encode()[:-60]), True, id="half a body of no length"
        ),
    ],
)
def test_broken_answers(gateways: Callable[..., Gateway], behave: Behaviour, read: bool) -> None:
    with Server(behave, read=read) as server:
        failing(gateways(server.url), OutcomeUnknown)
        assert len(server.requests) == 1


@pytest.mark.parametrize(
    "behave",
    [
        pytest.param(lambda connection, _: connection.recv(1), id="no answer"),
        pytest.param(dripping(http(result())), id="a dripping answer"),
        pytest.param(dripping(b"HTTP/1.1 200 OK\r\nX: " + b"x" * 500), id="a dripping header"),
        pytest.param(dripping(b"HTTP/1.1 100 Continue\r\n\r\n" * 50), id="for ever 100 Continue"),
    ],
)
def test_the_deadline_is_total(gateways: Callable[..., Gateway], behave: Behaviour) -> None:
    with Server(behave) as server:
        began = time.monotonic()
        error = failing(gateways(server.url), OutcomeUnknown, deadline_s=0.4)
        assert 0.3 < time.monotonic() - began < 3
        assert error.detail == "no whole answer in time"
        assert len(server.requests) == 1


def test_the_deadline_holds_while_the_request_is_written(gateways: Callable[..., Gateway]) -> None:
    with Server(lambda *_: server.wait(), read=False) as server:
        gateway = gateways(server.url, deadline_s=0.5)
        began = time.monotonic()
        with pytest.raises(OutcomeUnknown):
            send(gateway, "x" * 30_000_000)
        assert time.monotonic() - began < 5


def test_an_answer_beyond_the_limit_is_not_read(
    gateways: Callable[..., Gateway], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(transport, "RESPONSE_LIMIT", 1000)
    with Server(answering(http(result() + " " * 5000))) as server:
        failing(gateways(server.url), OutcomeUnknown)


# Nothing left.


def test_connection_refused(gateways: Callable[..., Gateway]) -> None:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        port = listener.getsockname()[1]
    error = failing(gateways(f"http://127.0.0.1:{port}/"), Unreachable)
    assert error.detail == "connection refused"


@pytest.mark.parametrize("host", ["no-such-host.invalid", "a" * 64 + ".example", "x..y"])
def test_a_name_that_is_none(gateways: Callable[..., Gateway], host: str) -> None:
    failing(gateways(f"http://{host}/", connect_timeout_s=8.0), Unreachable)


def test_a_resolver_that_hangs(gateways: Callable[..., Gateway], monkeypatch: pytest.MonkeyPatch) -> None:
    over = threading.Event()

    def hang(*_: object) -> list[object]:
        over.wait(20)
        return []

    monkeypatch.setattr(sockets.socket, "getaddrinfo", hang)
    began = time.monotonic()
    error = failing(gateways("http://gateway.example/", connect_timeout_s=0.3), Unreachable)
    over.set()
    assert time.monotonic() - began < 3
    assert error.detail == "connecting took too long"


def test_a_dead_address_does_not_use_up_the_time(
    gateways: Callable[..., Gateway], monkeypatch: pytest.MonkeyPatch
) -> None:
    with socket.create_server(("127.0.0.1", 0)) as gone:
        dead = gone.getsockname()
    with Server(answering(http(result()))) as server:
        stream = (socket.AF_INET, socket.SOCK_STREAM, 6, "")
        addresses = [(*stream, dead), (*stream, ("127.0.0.1", server.port))]
        monkeypatch.setattr(sockets.socket, "getaddrinfo", lambda *_: addresses)
        assert send(gateways("http://gateway.example/")).batch_id == GUID


def test_connecting_takes_too_long(gateways: Callable[..., Gateway]) -> None:
    with socket.socket() as listener, socket.socket() as one, socket.socket() as two:
        listener.bind(("127.0.0.1", 0))
        listener.listen(0)
        # Nobody accepts: two connections fill the queue, and the kernel lets the next one wait.
        for filler in (one, two):
            filler.setblocking(False)
            filler.connect_ex(listener.getsockname())
        began = time.monotonic()
        url = f"http://127.0.0.1:{listener.getsockname()[1]}/"
        error = failing(gateways(url, connect_timeout_s=0.4), Unreachable)
        assert time.monotonic() - began < 3
        assert error.detail == "connecting took too long"


def test_an_untrusted_certificate(gateways: Callable[..., Gateway]) -> None:
    with Server(answering(http(result())), tls=True) as server:
        error = failing(gateways(f"https://localhost:{server.port}/"), Unreachable)
        assert error.detail.startswith("the server's certificate is not trusted: ")
        assert server.requests == []


def test_a_certificate_of_another_name(gateways: Callable[..., Gateway]) -> None:
    with Server(answering(http(result())), tls=True) as server:
        error = failing(gateways(f"https://127.0.0.1:{server.port}/", ca_file=str(CERTIFICATE)), Unreachable)
        assert error.detail.startswith("the server's certificate is not trusted: ")
        assert server.requests == []


def test_a_trusted_certificate(gateways: Callable[..., Gateway]) -> None:
    with Server(answering(http(result())), tls=True) as server:
        gateway = gateways(f"https://localhost:{server.port}/prefix/SMS.asmx", ca_file=str(CERTIFICATE))
        assert [send(gateway).batch_id for _ in range(3)] == [GUID] * 3
        assert server.connections == 1
        assert server.requests[0].startswith(b"POST /prefix/SMS.asmx HTTP/1.1\r\n")


@pytest.mark.parametrize(
    "behave", [lambda connection, _: connection.recv(1), dripping(http(result()))], ids=["no", "drip"]
)
def test_the_deadline_holds_over_tls(gateways: Callable[..., Gateway], behave: Behaviour) -> None:
    with Server(behave, tls=True) as server:
        gateway = gateways(f"https://localhost:{server.port}/", ca_file=str(CERTIFICATE))
        began = time.monotonic()
        failing(gateway, OutcomeUnknown, deadline_s=0.5)
        assert time.monotonic() - began < 3
        assert len(server.requests) == 1


def test_a_server_that_speaks_no_tls(gateways: Callable[..., Gateway]) -> None:
    with Server(closing(b"HTTP/1.1 400 Bad Request\r\n\r\n"), read=False) as server:
        failing(gateways(f"https://localhost:{server.port}/"), Unreachable)


def test_a_tls_handshake_that_hangs(gateways: Callable[..., Gateway]) -> None:
    with Server(lambda *_: server.wait(), read=False) as server:
        began = time.monotonic()
        error = failing(gateways(f"https://localhost:{server.port}/", connect_timeout_s=0.4), Unreachable)
        assert time.monotonic() - began < 3
        assert error.detail == "connecting took too long"


def test_a_deadline_that_is_over_before_anything_is_sent(gateways: Callable[..., Gateway]) -> None:
    with Server(answering(http(result()))) as server:
        failing(gateways(server.url), Unreachable, deadline_s=-1.0)
        assert server.requests == []


# Connections.


def test_calls_share_a_connection(gateways: Callable[..., Gateway]) -> None:
    with Server(answering(http(result()))) as server:
        gateway = gateways(server.url)
        for _ in range(5):
            send(gateway)
        assert server.connections == 1


def test_nothing_is_sent_on_a_connection_that_was_idle_for_too_long(gateways: Callable[..., Gateway]) -> None:
    with Server(answering(http(result()))) as server:
        gateway = gateways(server.url, idle_s=0.0)
        for _ in range(3):
            send(gateway)
        assert server.connections == 3


def test_a_connection_that_the_server_closed_is_not_used(gateways: Callable[..., Gateway]) -> None:
    closed = threading.Semaphore(0)

    def behave(connection: socket.socket, _: bytes) -> None:
        connection.sendall(http(result()))
        connection.shutdown(socket.SHUT_RDWR)
        closed.release()

    with Server(behave) as server:
        gateway = gateways(server.url)
        for _ in range(10):
            assert send(gateway).batch_id == GUID
            # In the moment before, nobody could know: such a call's outcome is unknown, and rightly so.
            assert closed.acquire(timeout=10)
        assert server.connections == 10


def test_a_failed_connection_is_not_used_again(gateways: Callable[..., Gateway]) -> None:
    answers = iter([http(result())[:-100] + b"\n" * 10, http(result("88", "getCredit"))])
    with Server(lambda connection, _: connection.sendall(next(answers))) as server:
        gateway = gateways(server.url)
        failing(gateway, OutcomeUnknown, deadline_s=0.5)
        assert gateway.get_credit(KEY) == 88
        assert server.connections == 2


def test_the_environments_proxies_are_not_used(
    gateways: Callable[..., Gateway], monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("http_proxy", "HTTP_PROXY", "all_proxy", "ALL_PROXY"):
        monkeypatch.setenv(name, "http://127.0.0.1:1")
    monkeypatch.delenv("no_proxy", raising=False)
    with Server(answering(http(result()))) as server:
        assert send(gateways(server.url)).batch_id == GUID


def test_a_proxy_on_request(gateways: Callable[..., Gateway]) -> None:
    with Server(answering(http(result()))) as server:
        gateway = gateways("http://gateway.example/SMS.asmx", proxy=f"http://127.0.0.1:{server.port}")
        assert send(gateway).batch_id == GUID
        assert server.requests[0].startswith(b"POST http://gateway.example/SMS.asmx HTTP/1.1\r\n")


@pytest.mark.parametrize("status", ["407 Proxy Authentication Required", "403 Forbidden", "502 Bad Gateway"])
def test_a_proxy_that_opens_no_tunnel(gateways: Callable[..., Gateway], status: str) -> None:
    with Server(closing(f"HTTP/1.1 {status}\r\n\r\n".encode())) as server:
        gateway = gateways("https://gateway.example/", proxy=f"http://me:secret@127.0.0.1:{server.port}")
        error = failing(gateway, Unreachable)
        assert "secret" not in str(error)
        assert [request.split()[0] for request in server.requests] == [b"CONNECT"]
        assert b"proxy-authorization: Basic bWU6c2VjcmV0\r\n" in server.requests[0]


def test_a_proxy_that_hangs(gateways: Callable[..., Gateway]) -> None:
    with Server(lambda *_: server.wait()) as server:
        gateway = gateways(
            "https://gateway.example/", proxy=f"http://127.0.0.1:{server.port}", connect_timeout_s=0.4
        )
        began = time.monotonic()
        failing(gateway, Unreachable)
        assert time.monotonic() - began < 3


# What goes over the wire, and what does not come out.


def test_the_request_is_the_contracts(gateways: Callable[..., Gateway]) -> None:
    with Server(answering(http(result()))) as server:
        gateway = gateways(server.url)
        gateway.send_sms(
            KEY, subject="", content="a\r\nb]]>&<\x00😀", mobiles=["+886912345678", "0922333444"]
        )
        head, _, body = server.requests[0].partition(b"\r\n\r\n")
    assert head.startswith(b"POST /customer/API21/SOAP/SMS.asmx HTTP/1.1\r\n")
    assert b'SOAPAction: "http://tempuri.org/sendSMS"' in head
    assert b"Content-Type: text/xml; charset=utf-8" in head
    call = etree.fromstring(body)[0][0]
    assert etree.QName(call) == "{http://tempuri.org/}sendSMS"
    assert [(etree.QName(child).localname, child.text or "") for child in call] == [
        ("sessionKey", KEY),
        ("subject", ""),
        ("content", "a\nb]]>&<😀"),
        ("mobile", "+886912345678,0922333444"),
        ("sendTime", ""),
    ]


def test_logs_at_every_level_hold_no_secret(
    gateways: Callable[..., Gateway], caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.DEBUG)
    with Server(answering(http(result()))) as server:
        gateway = gateways(server.url)
        send(gateway)
        logging.getLogger("zeep.transports").debug("HTTP Post to %s:\n%s", "address", TEXT)
        logging.getLogger("zeep.transports").warning("heard")
    assert "heard" in caplog.text
    assert not any(secret in caplog.text for secret in (PASSWORD, KEY, NUMBER[4:], TEXT))
    assert PASSWORD not in repr(gateway)


@pytest.mark.parametrize(
    "settings",
    [
        {"url": "ftp://gateway.example/"},
        {"url": "gateway.example"},
        {"soap": "2.0"},
        {"proxy": "https://proxy.example"},
        {"proxy": "socks5://proxy.example"},
        {"deadline_s": 0.0},
        {"connect_timeout_s": 0.0},
    ],
)
def test_wrong_settings(gateways: Callable[..., Gateway], settings: dict[str, object]) -> None:
    with pytest.raises(ValueError, match="must"):
        gateways(**({"url": "http://127.0.0.1/"} | settings))


def test_bad_input_opens_no_connection(gateways: Callable[..., Gateway]) -> None:
    with Server(answering(http(result()))) as server:
        gateway = gateways(server.url)
        with pytest.raises(Every8dError) as caught:
            gateway.send_sms(KEY, subject="s", content=" ", mobiles=[NUMBER])
        assert isinstance(caught.value, InvalidInput)
        assert server.connections == 0
