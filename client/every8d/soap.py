"""The SOAP contract: zeep over our own WSDL file, parsed once a process and shared by threads."""

from __future__ import annotations

import io
import logging
import threading
from importlib import resources
from typing import Any, Final

from lxml import etree
from zeep import Client, Plugin, Settings, Transport
from zeep.exceptions import Fault
from zeep.wsdl import Document

from every8d.errors import GatewayError, OutcomeUnknown, Rejected

NAMESPACE: Final = "http://tempuri.org/"
#: The bindings by SOAP version.
BINDINGS: Final = {"1.1": f"{{{NAMESPACE}}}SMSSoap", "1.2": f"{{{NAMESPACE}}}SMSSoap12"}

# No DTD, no entity, nothing fetched: neither from the contract nor from an answer.
_SETTINGS: Final = {
    "strict": True,
    "forbid_dtd": True,
    "forbid_entities": True,
    "forbid_external": True,
    "force_https": False,
    "xml_huge_tree": False,
}
_document: Document | None = None
_lock = threading.Lock()


def service(transport: Transport, *, version: str, url: str) -> Any:
    """zeep's proxy of the eight operations, at `url`; building one is cheap, for the contract is shared."""
    settings = Settings(**_SETTINGS)
    # zeep has types, but not everywhere.
    plugins = [_Expected()]
    client = Client(  # type: ignore[no-untyped-call]
        _contract(), transport=transport, settings=settings, plugins=plugins
    )
    return client.create_service(BINDINGS[version], url)  # type: ignore[no-untyped-call]


def explain(error: Exception, operation: str, status: int | None) -> GatewayError:
    """What a failure of zeep's means: a Client fault is a no; anything else is unknown, bytes have left.

    `status` is the answer's HTTP status, where there was an answer.
    """
    if isinstance(error, GatewayError):
        return error
    if isinstance(error, Fault):
        words = "" if error.message is None else str(error.message)
        # soap:Client, or soap:Client.Something; SOAP 1.2 calls the client Sender.
        name = str(error.code or "").strip().rpartition(":")[2].partition(".")[0]
        if name in ("Client", "Sender"):
            return Rejected(operation, fault=True, detail="a SOAP Client fault", raw=words)
        detail = "a SOAP Server fault" if name in ("Server", "Receiver") else "an answer that is no reply"
        return OutcomeUnknown(operation, detail=detail, raw=words, status=status)
    # 200 says nothing; any other status is what people look for in the front's own log.
    front = "" if status in (None, 200) else f"HTTP {status}, "
    return OutcomeUnknown(operation, detail=f"{front}an answer that is no reply", status=status)


class _Expected(Plugin):
    """Lets only faults and this operation's response through: zeep reads anything else as an empty result."""

    def ingress(self, envelope: Any, http_headers: Any, operation: Any) -> tuple[Any, Any]:
        body = envelope.find("{*}Body")
        first = None if body is None or len(body) == 0 else body[0]
        name = None if first is None else etree.QName(first)
        if name is None or (name.localname != "Fault" and name != f"{{{NAMESPACE}}}{operation.name}Response"):
            raise ValueError("not a response of this operation")
        return envelope, http_headers


class _NoEnvelopes(logging.Filter):
    """Drops zeep's DEBUG records of whole envelopes: they hold numbers, texts, passwords and session keys."""

    def filter(self, record: logging.LogRecord) -> bool:
        return record.levelno > logging.DEBUG


def _contract() -> Document:
    global _document  # noqa: PLW0603 - one parsed contract a process
    with _lock:
        if _document is None:
            logger = logging.getLogger("zeep.transports")
            if not any(isinstance(one, _NoEnvelopes) for one in logger.filters):
                logger.addFilter(_NoEnvelopes())
            source = resources.files("every8d").joinpath("wsdl", "every8d.wsdl").read_bytes()
            _document = Document(io.BytesIO(source), Transport, settings=Settings(**_SETTINGS))
        return _document
