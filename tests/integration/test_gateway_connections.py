"""Connections that fail, hang, are somebody else's or are used again: what is certain and what is unknown.

Each server is a real socket. A call is never repeated, whatever happens: every test counts the requests.
"""

import logging
import socket
import threading
import time
from collections.abc import Callable

import pytest
from lxml import etree

from every8d import sockets
from every8d.errors import Every8dError, InvalidInput, OutcomeUnknown, Unreachable
from every8d.gateway import Gateway
from tests.support.hostile import (
    CERTIFICATE,
    GUID,
    KEY,
    NUMBER,
    PASSWORD,
    TEXT,
    Behaviour,
    Server,
    answering,
    closing,
    dripping,
    failing,
    http,
    result,
    send,
)

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
