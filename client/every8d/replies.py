"""The gateway's replies: raw text in, typed values out, or the error that the reply means.

Every operation answers one string. Errors are `code,text` with commas in the text, or a bare code, and may
come in place of XML too; so the sign of the first field is looked at before anything is counted
(specification 1.1-4.2).
"""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from decimal import Decimal
from functools import lru_cache
from typing import TYPE_CHECKING, Any, Final, NamedTuple

from lxml import etree

from every8d.errors import RAW_LIMIT, OutcomeUnknown, from_code
from every8d.times import from_gateway

if TYPE_CHECKING:
    from datetime import datetime

#: Opening and closing tags of one answer, at most: a page of 1,000 rows with replies has a tenth of it, and a tree of
#: millions would take fifty times the answer's own memory.
MOST_TAGS: Final = 250_000

# Points are kept in 64 bits, as ten-thousandths.
_DECIMAL: Final = re.compile(r"[+-]?[0-9]{1,14}(?:\.[0-9]{1,9})?")
_INTEGER: Final = re.compile(r"[+-]?[0-9]{1,9}")
_CODE: Final = re.compile(r"-[0-9]{1,6}(?:\.0+)?")
_GUID: Final = re.compile(r"[0-9a-fA-F]{8}(?:-[0-9a-fA-F]{4}){3}-[0-9a-fA-F]{12}")
_BATCH_ID: Final = re.compile(r"[0-9A-Za-z_.{}-]{1,64}")
_DECLARATION: Final = re.compile(r"\s*<\?xml[^>]*\?>")
# Characters, plain or as references, that XML 1.0 forbids: a reply typed on a handset may hold them.
_FORBIDDEN: Final = re.compile("[\x00-\x08\x0b\x0c\x0e-\x1f\ud800-\udfff\ufffe\uffff]")
_REFERENCE: Final = re.compile(r"&#(?:x0*([0-9a-fA-F]{1,6})|0*([0-9]{1,7}));")


@dataclass(frozen=True, slots=True)
class SendReply:
    """An accepted send (specification 1.2): credit left and cost in points, counts of messages."""

    credit: Decimal
    sended: int
    cost: Decimal
    unsend: int
    batch_id: str
    raw: str = field(repr=False)


class ReplySms(NamedTuple):
    """A text that the recipient sent back; `time` is Taipei's, None where `time_raw` cannot be read."""

    time: datetime | None
    time_raw: str
    text: str

    def __repr__(self) -> str:
        return f"ReplySms(time={self.time}, text=<{len(self.text)} characters>)"


class StatusRow(NamedTuple):
    """One message of a batch: `mobile` as the gateway writes it (`+886…`, trimmed), `cost` in points.

    `status` is None where `status_raw` is no number. The repr shows neither name nor number nor replies.
    """

    name: str
    mobile: str
    sent_time: datetime | None
    cost: Decimal | None
    status: int | None
    status_raw: str
    replies: tuple[ReplySms, ...]

    def __repr__(self) -> str:
        return f"StatusRow(status={self.status_raw!r}, cost={self.cost}, replies={len(self.replies)})"


@dataclass(frozen=True, slots=True)
class StatusPage:
    """A page of at most 1,000 rows; `count` is the whole batch's, not the page's (specification 3.2)."""

    count: int
    rows: tuple[StatusRow, ...] = field(repr=False)
    raw_code: str


@dataclass(frozen=True, slots=True)
class Erased:
    """A cancelled booking: how many messages were erased, how many points came back (specification 4.2)."""

    count: int
    points: Decimal


def parse_connection(raw: str) -> str:
    """The session key of a getConnection reply (specification 1.1)."""
    operation = "getConnection"
    connection = _document(raw, operation).find("GET_CONNECTION")
    if connection is None:
        raise _unreadable(operation, raw, "no GET_CONNECTION in the reply")
    _check_code(connection, operation, raw)
    key = (connection.findtext("SESSION_KEY") or "").strip()
    if not key:
        raise _unreadable(operation, raw, "no session key in the reply")
    return str(key)


def parse_send(raw: str, operation: str) -> SendReply:
    """`CREDIT,SENDED,COST,UNSEND,BATCH_ID`, or the same without UNSEND (specification 1.2, 2.2, 2.3)."""
    fields = [part.strip() for part in raw.strip().split(",", 6)]
    if len(fields) == 4:
        fields.insert(3, "0")
    # Extra fields behind the five are let pass only where the BatchID stands beyond doubt in its place.
    shaped = len(fields) == 5 or (len(fields) > 5 and _GUID.fullmatch(fields[4]) is not None)
    whole = (
        shaped
        and _DECIMAL.fullmatch(fields[0]) is not None
        and _INTEGER.fullmatch(fields[1]) is not None
        and _DECIMAL.fullmatch(fields[2]) is not None
        and _INTEGER.fullmatch(fields[3]) is not None
        and _BATCH_ID.fullmatch(fields[4]) is not None
    )
    if fields[0].startswith("-"):
        if whole and _GUID.fullmatch(fields[4]):
            # A negative CREDIT means failure, yet this names a batch: an overdrawn account may look so. Taking it
            # for a no could send twice, and for a code (-100.0 points are no -100) could block the account.
            raise _unreadable(operation, raw, "a negative credit together with a batch")
        _check_sign(raw, operation)
    if not whole:
        raise _unreadable(operation, raw, "not a send reply")
    if fields[1].startswith("-") or fields[3].startswith("-"):
        raise _unreadable(operation, raw, "negative counts in a send reply")
    return SendReply(
        Decimal(fields[0]),
        int(fields[1]),
        Decimal(fields[2]),
        int(fields[3]),
        fields[4],
        raw=raw.strip()[:RAW_LIMIT],
    )


def parse_credit(raw: str) -> Decimal:
    """The points left. A negative number with decimals is an overdrawn credit, without them a code (4.1)."""
    operation = "getCredit"
    text = raw.strip()
    if "." not in text.split(",", 1)[0]:
        _check_sign(raw, operation)
    if _DECIMAL.fullmatch(text) is None:
        raise _unreadable(operation, raw, "not a credit")
    return Decimal(text)


def parse_closed(raw: str) -> bool:
    """True for `1`, False for `-1`; another code is its error (specification 1.3)."""
    operation = "closeConnection"
    text = raw.strip()
    if text in ("1", "-1"):
        return text == "1"
    _check_sign(raw, operation)
    raise _unreadable(operation, raw, "neither 1 nor -1")


def parse_erased(raw: str) -> Erased | None:
    """`count,points`; None for the empty reply, which means no such batch (specification 4.2)."""
    operation = "eraseBooking"
    if not raw.strip():
        return None
    _check_sign(raw, operation)
    fields = [part.strip() for part in raw.split(",", 2)]
    if len(fields) != 2 or _INTEGER.fullmatch(fields[0]) is None or _DECIMAL.fullmatch(fields[1]) is None:
        raise _unreadable(operation, raw, "not a count and points")
    return Erased(int(fields[0]), Decimal(fields[1]))


def parse_status(raw: str) -> StatusPage:
    """A page of delivery statuses with the replies of the recipients (specification 3.2)."""
    operation = "getDeliveryStatus"
    root = _document(raw, operation)
    code = _check_code(root, operation, raw)
    log = root.find("GET_DELIVERY_STATUS")
    if log is None:
        return StatusPage(0, (), code)
    rows = tuple(_row(sms) for sms in log.iterchildren("SMS"))
    count = (log.get("COUNT") or "").strip()
    if _INTEGER.fullmatch(count) is None:
        # Without it nobody knows whether pages follow, and rows would be lost in silence.
        raise _unreadable(operation, raw, "no COUNT in the reply")
    return StatusPage(int(count), rows, code)


def _row(sms: Any) -> StatusRow:
    name = mobile = status = ""
    sent_time: datetime | None = None
    cost: Decimal | None = None
    replies: list[ReplySms] = []
    # A loop over the children is three times as fast as findtext for each, and keeps every reply.
    for child in sms:
        tag = child.tag
        text = child.text or ""
        if tag == "MOBILE":
            mobile = text.strip()
        elif tag == "STATUS":
            status = text.strip()
        elif tag == "SENT_TIME":
            sent_time = from_gateway(text)
        elif tag == "COST":
            cost = _points(text)
        elif tag == "NAME":
            name = text.strip()
        elif tag == "REPLY_SMS":
            replies += _replies(child)
    return StatusRow(name, mobile, sent_time, cost, _status(status), status, tuple(replies))


# A page knows a handful of costs and statuses, a thousand times each.
@lru_cache(maxsize=256)
def _points(text: str) -> Decimal | None:
    stripped = text.strip()
    return Decimal(stripped) if _DECIMAL.fullmatch(stripped) else None


@lru_cache(maxsize=256)
def _status(text: str) -> int | None:
    return int(text) if _INTEGER.fullmatch(text) else None


def _replies(element: Any) -> list[ReplySms]:
    """The replies of one REPLY_SMS: usually one, but several pairs inside it are read too."""
    found: list[ReplySms] = []
    time_raw = ""
    for child in element:
        if child.tag == "REPLY_TIME":
            time_raw = (child.text or "").strip()
        elif child.tag == "MESSAGE":
            # The blanks around the CDATA are the specification's layout, not the recipient's words.
            found.append(ReplySms(from_gateway(time_raw), time_raw, (child.text or "").strip()))
            time_raw = ""
    return found


def _check_sign(raw: str, operation: str) -> None:
    """Raise the error of `-code` or `-code,text`; a comma in the text is part of the text."""
    first = raw.strip().split(",", 1)[0].strip()
    if _CODE.fullmatch(first):
        raise from_code(int(first.split(".", 1)[0]), operation, raw)


def _check_code(element: Any, operation: str, raw: str) -> str:
    """The CODE of an XML reply where it is a success; the error that it means where it is negative."""
    code = (element.findtext("CODE") or "").strip()
    if _INTEGER.fullmatch(code) is None:
        raise _unreadable(operation, raw, "no CODE in the reply")
    if int(code) < 0:
        raise from_code(int(code), operation, raw)
    return str(code)


def _document(raw: str, operation: str) -> Any:
    """The root of an XML reply. A plain `code,text` in its place raises the code's error."""
    _check_sign(raw, operation)
    # The text is decoded already: lxml refuses a declaration then, and another encoding in it would be wrong.
    declaration = _DECLARATION.match(raw)
    text = raw[declaration.end() if declaration else 0 :].strip()
    if not text:
        raise _unreadable(operation, raw, "an empty reply")
    if text.count("<") > MOST_TAGS:
        raise _unreadable(operation, raw, "too many tags in the reply")
    for attempt in (text, None):
        try:
            source = _without_forbidden(text) if attempt is None else attempt
            root = etree.fromstring(source.encode("utf-8", "surrogatepass"), _parser())
        except (etree.XMLSyntaxError, ValueError):
            continue
        if root.getroottree().docinfo.doctype:
            raise _unreadable(operation, raw, "a document type in the reply")
        return root
    raise _unreadable(operation, raw, "not well-formed XML")


def _parser() -> Any:
    # One a document: lxml's parsers lock each other out between threads.
    return etree.XMLParser(
        resolve_entities=False,
        load_dtd=False,
        no_network=True,
        huge_tree=False,
        remove_comments=True,
        remove_pis=True,
    )


def _without_forbidden(text: str) -> str:
    def keep(match: re.Match[str]) -> str:
        number = int(match[1], 16) if match[1] else int(match[2])
        legal = (
            number in (9, 10, 13)
            or 0x20 <= number < 0xD800
            or 0xE000 <= number < 0xFFFE
            or 0xFFFF < number < 0x110000
        )
        return match[0] if legal else ""

    return _REFERENCE.sub(keep, _FORBIDDEN.sub("", text))


def _unreadable(operation: str, raw: str, detail: str) -> OutcomeUnknown:
    return OutcomeUnknown(operation, detail=detail, raw=raw)
