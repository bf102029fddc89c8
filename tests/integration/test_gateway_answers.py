"""Answers of every kind, whole and broken: what is certain and what is unknown.

Each server is a real socket. A call is never repeated, whatever happens: every test counts the requests.
"""

import gzip
import time
from collections.abc import Callable

import pytest

from every8d import transport
from every8d.errors import OutcomeUnknown, Rejected
from every8d.gateway import Gateway
from every8d.replies import SendReply
from tests.support.hostile import (
    GUID,
    KEY,
    SOAP_11,
    SOAP_12,
    Behaviour,
    Server,
    answering,
    closing,
    dripping,
    envelope,
    failing,
    fault,
    fault_12,
    http,
    resetting,
    result,
    send,
)

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
