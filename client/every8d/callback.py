"""The gateway's callbacks: a delivery report or a reply, as it comes in a web request (specification 3.1).

The parameters of a GET's query or a POST's form, in bytes, become one typed report. Names come in any case, the
encoding is UTF-8 or Big5, and more parameters arrive than are specified: all are kept.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from decimal import Decimal
from typing import TYPE_CHECKING, Final
from urllib.parse import unquote_to_bytes

from every8d.errors import Every8dError
from every8d.times import from_gateway

if TYPE_CHECKING:
    from collections.abc import Mapping
    from datetime import datetime

#: The status of a text that was sent back.
REPLY: Final = 999
#: Bytes of a query or a form: seven thousand Chinese characters, twenty times the longest text of one message.
MOST_BYTES: Final = 65_536
#: Parameters; some fifteen are known.
MOST_FIELDS: Final = 100

# What a report must have one of: a request without any is somebody's visit.
_TELLING: Final = ("BATCHID", "RM", "STATUS")
_STATUS: Final = re.compile(r"[+-]?[0-9]{1,9}")
_POSITION: Final = re.compile(r"0*[1-9][0-9]{0,8}")
_POINTS: Final = re.compile(r"[0-9]{1,9}(?:\.[0-9]{1,9})?")
_BATCH_ID: Final = re.compile(r"[0-9A-Za-z_.{}-]{1,64}")
_LOST_PLUS: Final = re.compile(r" [1-9][0-9]+ *")
_CHARSET: Final = re.compile(r"charset\s*=\s*\"?([A-Za-z0-9_-]+)")
# .NET's Big5 is Microsoft's code page.
_CODECS: Final = {"utf-8": "utf-8", "utf8": "utf-8", "big5": "cp950", "cp950": "cp950", "ms950": "cp950"}
#: As the gateway writes a time, with some room: longer ones are not remembered.
_TIME_LENGTH: Final = 40


class NotAReport(Every8dError):
    """A request that no delivery report is: empty, without any parameter of a report, or beyond the limits."""


@dataclass(frozen=True, slots=True, repr=False)
class CallbackReport:
    """One callback. What is missing or cannot be read is empty or None; `fields` has it as it came.

    Times are Taipei's. The repr shows neither number nor text.
    """

    #: Empty where it has not the form of a BatchID.
    batch_id: str
    #: As the gateway writes it (`+886…`), trimmed.
    mobile: str
    #: The delivery status; 999 is a reply.
    status: int | None
    #: The running number in the batch (MR), from 1.
    position: int | None
    #: When the message was sent (ST).
    sent_time: datetime | None
    #: When it was delivered, failed, or replied to (RT).
    report_time: datetime | None
    report_time_raw: str
    #: A reply's words; of an ordinary report the text that was sent (SM).
    text: str
    subject: str
    #: CHARGE, in points. 0 is seen with delivered messages, too, so that it tells nothing.
    charge: Decimal | None
    user_id: str
    #: Every parameter under the name that it came with; of one that came twice, both values with a comma between.
    fields: Mapping[str, str]

    @property
    def is_reply(self) -> bool:
        """Whether this is a text that the recipient sent back."""
        return self.status == REPLY

    def __repr__(self) -> str:
        return f"CallbackReport(status={self.status}, fields={len(self.fields)})"


def parse(*parts: bytes, content_type: str = "") -> CallbackReport:
    """The report that a request's query and form bring; of parameters that came twice the first counts.

    UTF-8 where all of it can be read so, else Big5; a charset in `content_type` is tried before. Raises NotAReport.
    """
    if sum(map(len, parts)) > MOST_BYTES:
        raise NotAReport(f"more than {MOST_BYTES} bytes")
    raw = [pair for part in parts for pair in _pairs(part)]
    if len(raw) > MOST_FIELDS:
        raise NotAReport(f"more than {MOST_FIELDS} parameters")
    pairs = _decoded(raw, content_type)
    first: dict[str, str] = {}
    fields: dict[str, str] = {}
    for name, value in pairs:
        first.setdefault(name.upper(), value)
        fields[name] = f"{fields[name]},{value}" if name in fields else value
    if not any(name in first for name in _TELLING):
        raise NotAReport("no parameter of a delivery report")
    return _report(first, fields)


def _report(first: Mapping[str, str], fields: Mapping[str, str]) -> CallbackReport:
    def word(name: str) -> str:
        return first.get(name, "").replace("\x00", "").strip()

    status, position, charge = word("STATUS"), word("MR"), word("CHARGE")
    batch_id = word("BATCHID")
    return CallbackReport(
        batch_id=batch_id if _BATCH_ID.fullmatch(batch_id) else "",
        mobile=_mobile(first.get("RM", "")),
        status=int(status) if _STATUS.fullmatch(status) else None,
        position=int(position) if _POSITION.fullmatch(position) else None,
        sent_time=_time(word("ST")),
        report_time=_time(word("RT")),
        report_time_raw=word("RT"),
        # As polling brings a text: XML's line ends, without the blanks around it.
        text=word("SM").replace("\r\n", "\n").replace("\r", "\n"),
        subject=word("SUBJECT"),
        charge=Decimal(charge) if _POINTS.fullmatch(charge) else None,
        user_id=word("USERID"),
        fields=fields,
    )


def _pairs(part: bytes) -> list[tuple[bytes, bytes]]:
    # One more than is allowed is enough to see that there are too many.
    pieces = [piece for piece in part.split(b"&") if piece][: MOST_FIELDS + 1]
    halves = [piece.replace(b"+", b" ").partition(b"=") for piece in pieces]
    return [(unquote_to_bytes(name), unquote_to_bytes(value)) for name, _, value in halves]


def _decoded(raw: list[tuple[bytes, bytes]], content_type: str) -> list[tuple[str, str]]:
    """The names and values as text. One encoding for all: a single short value could be read as either."""
    named = _CHARSET.search(content_type.lower())
    tried = [_CODECS.get(named[1], "utf-8")] if named else []
    whole = b"\n".join(half for pair in raw for half in pair)
    for codec in (*tried, "utf-8", "cp950"):
        try:
            whole.decode(codec)
            return _as(codec, raw)
        except UnicodeDecodeError:
            continue
    # Damaged: by the encoding that leaves less unread.
    return _as(min(("utf-8", "cp950"), key=lambda codec: whole.decode(codec, "replace").count("\ufffd")), raw)


def _as(codec: str, raw: list[tuple[bytes, bytes]]) -> list[tuple[str, str]]:
    return [(name.decode(codec, "replace").strip(), value.decode(codec, "replace")) for name, value in raw]


def _mobile(value: str) -> str:
    # `RM=+886…` that nobody has encoded: a plus in a query means a blank.
    bare = value.replace("\x00", "").strip()
    return "+" + bare if _LOST_PLUS.fullmatch(value) else bare


def _time(text: str) -> datetime | None:
    return from_gateway(text) if len(text) <= _TIME_LENGTH else None
