"""What the emulator answers on the wire: both SOAP versions, its WSDL, and requests that are wrong."""

import re
import socket
from typing import Any

import pytest
import zeep


@pytest.mark.parametrize(("port", "kind"), [("SMSSoap", "Soap11Binding"), ("SMSSoap12", "Soap12Binding")])
def test_zeep_speaks_to_it_by_its_own_wsdl(process: Any, control: Any, port: str, kind: str) -> None:
    client = zeep.Client(process.url + "?WSDL", port_name=port)
    assert type(client.service._binding).__name__ == kind
    service = client.service
    found = re.search("<SESSION_KEY>(.*)</SESSION_KEY>", service.getConnection("demo", "demo"))
    assert found is not None
    key = found[1]
    reply = service.sendSMS(key, "", "一 & <二>", "0912345678,+886922333444", "")
    assert reply.startswith("999998.00,2,2.0,0,")
    batch = reply.rsplit(",")[-1]
    assert 'COUNT="2"' in service.getDeliveryStatus(key, batch, "")
    assert service.sendMessage(key, "", "x", "0912345678", "", "60").startswith("999997.00,1,1.0,0,")
    users = '<REPS><USER NAME="王" MOBILE="+886912345678" EMAIL="" SENDTIME=""><![CDATA[x<>&]]></USER></REPS>'
    assert service.sendParamSMS(key, "", users, "").startswith("999996.00,1,1.0,0,")
    assert service.getCredit(key) == "999996.00"
    assert service.eraseBooking(key, "00000000-0000-0000-0000-000000000000") is None
    assert service.closeConnection(key) == "1"
    texts = [row["text"] for row in control.sent(text=True)]
    assert texts == ["一 & <二>", "一 & <二>", "x", "x<>&"]


@pytest.mark.parametrize("version", ["1.1", "1.2"])
def test_the_answer_is_of_the_version_asked(wire: Any, version: str) -> None:
    answer = wire.raw("getCredit", version=version, sessionKey="none")
    assert answer.status == 200
    assert answer.content_type.startswith({"1.1": "text/xml", "1.2": "application/soap+xml"}[version])
    assert answer.result == "-301, Session 資料不存在，請重新登入。"


def test_soap_12_needs_no_action(wire: Any) -> None:
    body = (
        b'<s:Envelope xmlns:s="http://www.w3.org/2003/05/soap-envelope"><s:Body>'
        b'<getCredit xmlns="http://tempuri.org/"/></s:Body></s:Envelope>'
    )
    assert wire.post(body, {"Content-Type": "application/soap+xml"}).result.startswith("-301")


@pytest.mark.parametrize("version", ["1.1", "1.2"])
def test_a_wrong_action_is_a_fault(wire: Any, version: str) -> None:
    answer = wire.raw("getCredit", version=version, action="http://tempuri.org/getFax")
    assert answer.status == 500
    assert {"1.1": b"soap:Client", "1.2": b"soap:Sender"}[version] in answer.body


@pytest.mark.parametrize(
    ("body", "content_type", "status", "empty"),
    [
        (b"<oops", "text/xml", 400, True),
        (b"", "text/xml", 400, True),
        (b'<!DOCTYPE a [<!ENTITY b "c">]><a>&b;</a>', "text/xml", 400, True),
        (b"<a/>", "text/xml", 500, False),
        (b"a=b", "application/x-www-form-urlencoded", 500, False),
        (b"<a>" + b" " * (4 * 1024 * 1024) + b"</a>", "text/xml", 500, False),
    ],
    ids=["malformed", "no body", "a document type", "no envelope", "a form", "more than 4 MiB"],
)
def test_what_is_no_call(wire: Any, body: bytes, content_type: str, status: int, empty: bool) -> None:
    answer = wire.post(body, {"Content-Type": content_type, "SOAPAction": '"http://tempuri.org/getCredit"'})
    assert (answer.status, not answer.body) == (status, empty)


def test_a_misspelt_parameter_is_not_there(wire: Any, key: str) -> None:
    reply = wire.call("sendSMS", sessionKey=key, content="x", mobiles="0912345678", sendTime="")
    assert reply == "-27,電話號碼不得為空"
    assert wire.call("getCredit", sessionkey=key).startswith("-301")


def test_any_path_before_the_services_own(wire: Any, key: str) -> None:
    answer = wire.raw("getCredit", path="/customer", sessionKey=key)
    assert answer.result == "1000000.00"


def test_line_ends_arrive_as_one(wire: Any, key: str, control: Any) -> None:
    wire.send(key, "0912345678", "a\r\nb")
    assert control.sent(text=True)[0]["text"] == "a\nb"


def test_without_send_message_it_is_in_no_wsdl_and_answers_a_fault(
    process: Any, control: Any, wire: Any
) -> None:
    control.switch(send_message=False)
    assert not hasattr(zeep.Client(process.url + "?WSDL").service, "sendMessage")
    answer = wire.raw("sendMessage", sessionKey="x")
    assert answer.status == 500
    assert b"SOAPAction" in answer.body


def test_a_client_that_waits_to_be_told_to_continue(process: Any, control: Any) -> None:
    body = (
        b'<s:Envelope xmlns:s="http://schemas.xmlsoap.org/soap/envelope/"><s:Body>'
        b'<getCredit xmlns="http://tempuri.org/"/></s:Body></s:Envelope>'
    )
    head = (
        "POST /API21/SOAP/SMS.asmx HTTP/1.1\r\nHost: x\r\nContent-Type: text/xml\r\nExpect: 100-continue\r\n"
        f'SOAPAction: "http://tempuri.org/getCredit"\r\nContent-Length: {len(body)}\r\n\r\n'
    )
    with socket.create_connection(("127.0.0.1", process.port), timeout=5) as wire:
        wire.sendall(head.encode())
        assert wire.recv(1000).startswith(b"HTTP/1.1 100 Continue\r\n")
        wire.sendall(body)
        assert wire.recv(1000).startswith(b"HTTP/1.1 200 OK\r\n")
