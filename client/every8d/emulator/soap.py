"""SOAP 1.1 and 1.2 as an ASP.NET service (ASMX) speaks them: document/literal, namespace http://tempuri.org/.

What a client may get wrong is answered as ASMX does: malformed XML with a 400 and no body, an unknown
SOAPAction with a 500 and a Fault, a misspelt parameter not at all (it is null).
"""

from dataclasses import dataclass
from typing import Literal
from xml.sax.saxutils import escape

from lxml import etree

from every8d.emulator.faults import OPERATIONS

NAMESPACE = "http://tempuri.org/"
MAX_BODY = 4 * 1024 * 1024

Version = Literal["1.1", "1.2"]
ENVELOPES: dict[Version, str] = {
    "1.1": "http://schemas.xmlsoap.org/soap/envelope/",
    "1.2": "http://www.w3.org/2003/05/soap-envelope",
}
CONTENT_TYPES: dict[Version, str] = {"1.1": "text/xml", "1.2": "application/soap+xml"}

_XML = etree.XMLParser(
    resolve_entities=False, no_network=True, load_dtd=False, remove_comments=True, remove_pis=True
)
_ACTIONS = {NAMESPACE + operation: operation for operation in OPERATIONS}
_SCHEMAS = (
    'xmlns:xsi="http://www.w3.org/2001/XMLSchema-instance" xmlns:xsd="http://www.w3.org/2001/XMLSchema"'
)
_DECLARATION = '<?xml version="1.0" encoding="utf-8"?>'
_PROLOGUE = {
    version: f'{_DECLARATION}<soap:Envelope xmlns:soap="{namespace}" {_SCHEMAS}><soap:Body>'
    for version, namespace in ENVELOPES.items()
}
_EPILOGUE = "</soap:Body></soap:Envelope>"


@dataclass(slots=True)
class Call:
    """One understood call. No repr of it shows a parameter."""

    version: Version
    operation: str
    params: dict[str, str | None]

    def __repr__(self) -> str:
        return f"Call({self.version!r}, {self.operation!r})"


class NotUnderstood(Exception):
    """The request is no call; answer it with this HTTP status and body."""

    def __init__(self, status: int, body: str, content_type: str, outcome: str) -> None:
        super().__init__(outcome)
        self.status = status
        self.body = body
        self.content_type = content_type
        self.outcome = outcome


def version_of(content_type: str) -> Version | None:
    """By the media type of the request; None where it is neither's."""
    media = content_type.partition(";")[0].strip().lower()
    for version, known in CONTENT_TYPES.items():
        if media == known:
            return version
    return None


def read(content_type: str, action_header: str | None, body: bytes, send_message: bool) -> Call:
    """The call in a POST.

    Raises NotUnderstood. `send_message` False: the operation of that name does not exist.
    """
    version = version_of(content_type)
    if version is None:
        raise NotUnderstood(500, "Request format is unrecognized.", "text/plain", "http 500")
    try:
        root = etree.fromstring(body, _XML)
    except etree.XMLSyntaxError:
        raise NotUnderstood(400, "", "", "http 400") from None
    if root.getroottree().docinfo.doctype:
        raise NotUnderstood(400, "", "", "http 400")
    envelope = "{" + ENVELOPES[version] + "}"
    if root.tag != envelope + "Envelope":
        raise _fault(
            version,
            "VersionMismatch",
            "Possible SOAP version mismatch: the Envelope namespace was unexpected.",
        )
    element = _first_child(root.find(envelope + "Body"))
    operation = _operation(version, content_type, action_header, element)
    if operation is None or (operation == "sendMessage" and not send_message):
        raise _fault(version, "Client", "Server did not recognize the value of HTTP Header SOAPAction.")
    params: dict[str, str | None] = {}
    if element is not None and element.tag == "{" + NAMESPACE + "}" + operation:
        for child in element:
            prefix, _, name = child.tag.rpartition("}")
            if prefix == "{" + NAMESPACE:
                params[name] = child.text or ""
    return Call(version, operation, params)


def _first_child(body: "etree._Element | None") -> "etree._Element | None":
    return body[0] if body is not None and len(body) else None


def _operation(
    version: Version, content_type: str, action_header: str | None, element: "etree._Element | None"
) -> str | None:
    if version == "1.1":
        return _ACTIONS.get((action_header or "").strip().strip('"'))
    for parameter in content_type.split(";")[1:]:
        name, _, value = parameter.partition("=")
        if name.strip().lower() == "action":
            return _ACTIONS.get(value.strip().strip('"'))
    if action_header is not None:
        return _ACTIONS.get(action_header.strip().strip('"'))
    # SOAP 1.2 makes the action optional: the first element of the body names the operation.
    return None if element is None else _ACTIONS.get(element.tag.replace("{", "").replace("}", ""))


def answer(call: Call, result: str | bytes) -> bytes:
    """The envelope around an operation's result; bytes are UTF-8 and escaped already."""
    name = call.operation
    text = result if isinstance(result, bytes) else escape(result).encode()
    opening, closing = (f"<{name}Result>", f"</{name}Result>") if text else (f"<{name}Result />", "")
    head = f'{_PROLOGUE[call.version]}<{name}Response xmlns="{NAMESPACE}">{opening}'
    return b"".join((head.encode(), text, f"{closing}</{name}Response>{_EPILOGUE}".encode()))


def fault(version: Version, code: Literal["Client", "Server", "VersionMismatch"], text: str) -> bytes:
    """The envelope of a Fault, which goes with a 500."""
    if version == "1.1":
        inner = (
            f"<soap:Fault><faultcode>soap:{code}</faultcode>"
            f"<faultstring>{escape(text)}</faultstring><detail /></soap:Fault>"
        )
    else:
        name = {"Client": "Sender", "Server": "Receiver"}.get(code, code)
        inner = (
            f"<soap:Fault><soap:Code><soap:Value>soap:{name}</soap:Value></soap:Code><soap:Reason>"
            f'<soap:Text xml:lang="en">{escape(text)}</soap:Text></soap:Reason><soap:Detail /></soap:Fault>'
        )
    return f"{_PROLOGUE[version]}{inner}{_EPILOGUE}".encode()


def _fault(
    version: Version, code: Literal["Client", "Server", "VersionMismatch"], text: str
) -> NotUnderstood:
    body = fault(version, code, text).decode()
    return NotUnderstood(500, body, CONTENT_TYPES[version], f"fault {code}")
