"""A real emulator process, and a SOAP client made of http.client and ElementTree alone."""

import http.client
import re
from collections.abc import Iterator
from typing import NamedTuple
from xml.etree import ElementTree
from xml.sax.saxutils import escape

import pytest

from every8d.emulator.control import Control
from every8d.emulator.process import EmulatorProcess

ENVELOPES = {
    "1.1": "http://schemas.xmlsoap.org/soap/envelope/",
    "1.2": "http://www.w3.org/2003/05/soap-envelope",
}
TEMPURI = "{http://tempuri.org/}"


class Answer(NamedTuple):
    status: int
    content_type: str
    body: bytes

    @property
    def result(self) -> str:
        """The text of the operation's result."""
        root = ElementTree.fromstring(self.body)  # noqa: S314 - our own emulator wrote it
        (element,) = (
            child for child in root.iter() if child.tag.startswith(TEMPURI) and child.tag.endswith("Result")
        )
        return element.text or ""


class Wire:
    """Calls over one connection, reopened when the emulator has closed it."""

    def __init__(self, port: int) -> None:
        self.port = port
        self.connection = http.client.HTTPConnection("127.0.0.1", port, timeout=10)

    def post(self, body: bytes, headers: dict[str, str], path: str = "/API21/SOAP/SMS.asmx") -> Answer:
        self.connection.request("POST", path, body, headers)
        response = self.connection.getresponse()
        return Answer(response.status, response.getheader("Content-Type", ""), response.read())

    def raw(
        self,
        operation: str,
        *,
        version: str = "1.1",
        action: str | None = None,
        path: str = "",
        **params: str,
    ) -> Answer:
        inner = "".join(f"<{name}>{escape(value)}</{name}>" for name, value in params.items())
        body = (
            f'<s:Envelope xmlns:s="{ENVELOPES[version]}"><s:Body>'
            f'<{operation} xmlns="http://tempuri.org/">{inner}</{operation}></s:Body></s:Envelope>'
        )
        action = f"http://tempuri.org/{operation}" if action is None else action
        if version == "1.1":
            headers = {"Content-Type": "text/xml; charset=utf-8", "SOAPAction": f'"{action}"'}
        else:
            headers = {"Content-Type": f'application/soap+xml; charset=utf-8; action="{action}"'}
        return self.post(body.encode(), headers, path + "/API21/SOAP/SMS.asmx")

    def call(self, operation: str, **params: str) -> str:
        answer = self.raw(operation, **params)
        assert answer.status == 200
        return answer.result

    def log_in(self, user_id: str = "demo", password: str = "demo") -> str:  # noqa: S107 - the default account
        found = re.search("<SESSION_KEY>([0-9a-f]{32})</SESSION_KEY>", self.connect(user_id, password))
        assert found is not None
        return found[1]

    def connect(self, user_id: str = "demo", password: str = "demo") -> str:  # noqa: S107 - the default account
        return self.call("getConnection", userID=user_id, password=password)

    def send(
        self, key: str, mobile: str, content: str = "哈囉", subject: str = "", send_time: str = ""
    ) -> str:
        return self.call(
            "sendSMS", sessionKey=key, subject=subject, content=content, mobile=mobile, sendTime=send_time
        )

    def send_personal(self, key: str, users: str, send_time: str = "") -> str:
        return self.call(
            "sendParamSMS", sessionKey=key, subject="", contentXML=f"<REPS>{users}</REPS>", sendTime=send_time
        )

    def status(self, key: str, batch: str, page: str = "") -> ElementTree.Element:
        text = self.call("getDeliveryStatus", sessionKey=key, batchID=batch, pageNo=page)
        return ElementTree.fromstring(text.encode())  # noqa: S314 - our own emulator wrote it

    def statuses(self, key: str, batch: str) -> list[str]:
        return [row.findtext("STATUS", "") for row in self.status(key, batch).iter("SMS")]


@pytest.fixture(scope="session")
def process() -> Iterator[EmulatorProcess]:
    with EmulatorProcess() as emulator:
        yield emulator


@pytest.fixture
def control(process: EmulatorProcess) -> Control:
    process.control.reset()
    return process.control


@pytest.fixture
def wire(process: EmulatorProcess, control: Control) -> Iterator[Wire]:
    wire = Wire(process.port)
    yield wire
    wire.connection.close()


@pytest.fixture
def key(wire: Wire) -> str:
    return wire.log_in()
