"""The JSON body of the Celery task `every8d.accept`: what a producer publishes and a worker reads.

    {"v": 1, "request": "<uuid>", "account": "default", "lane": "otp|normal|bulk",
     "text": str|null, "subject": "", "send_at": time|null, "schedule": "ledger|gateway",
     "validity": minutes|null, "deadline": time | whole seconds after enqueued_at | null,
     "duplicates": false, "enqueued_at": time,
     "page": int from 0|null,
     "messages": [{"to", "text"?, "name"?, "email"?, "send_at"?}, …] or "to": ["+8869…", …],
     "seal": {"pages", "count", "hash",
              "refused": null|{"reason", "rows": [{"row", "reason"}, …], "count"}}|null}

A time is ISO 8601 with an offset. Everything but page, messages, to and seal is the header: the same in
each page of a request. A page holds at most 1,000 messages; message i of page p has the sequence number
p x 1000 + i. A body with page null is a seal alone.

A deadline in seconds keeps the header of a repeated call (the same idempotency key) the same; a time
computed from "now" would make another request of it.
"""

import hashlib
import json
import re
import uuid
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any, Literal, NamedTuple

from every8d.bodyfields import (
    ACCOUNT,
    LANES,
    MAX_DEADLINE_S,
    MAX_NAME,
    MAX_PAGES,
    MAX_SUBJECT,
    MAX_VALIDITY,
    PAGE_LIMIT,
    SCHEDULES,
    TASK,
    VERSION,
    BadBody,
    bad,
    check_text,
    is_email,
    is_one_line,
    time,
    whole,
)
from every8d.seal import Refused, RowError, Seal, read_seal, seal_hash

__all__ = [
    "PAGE_LIMIT",
    "TASK",
    "VERSION",
    "BadBody",
    "BodyMessage",
    "Lane",
    "Page",
    "Refused",
    "RowError",
    "Schedule",
    "Seal",
    "header_hash",
    "page_hash",
    "parse",
    "seal_hash",
]

Lane = Literal["otp", "normal", "bulk"]
Schedule = Literal["ledger", "gateway"]

_E164 = re.compile(r"\+[1-9][0-9]{6,14}")
_canonical = json.JSONEncoder(
    sort_keys=True, separators=(",", ":"), ensure_ascii=False, allow_nan=False
).encode

_HEADER = frozenset(
    {
        "v",
        "request",
        "account",
        "lane",
        "text",
        "subject",
        "send_at",
        "schedule",
        "validity",
        "deadline",
        "duplicates",
        "enqueued_at",
    }
)
_FIELDS = _HEADER | {"page", "messages", "to", "seal"}
_REQUIRED = _HEADER | {"page", "seal"}
_MESSAGE = frozenset({"to", "text", "name", "email", "send_at"})
_OUTSIDE_PAGE_HASH = frozenset({"seal", "enqueued_at"})
_OUTSIDE_HEADER_HASH = _FIELDS - _HEADER | {"enqueued_at"}


class BodyMessage(NamedTuple):
    """One message of a page. A tuple, because a frozen dataclass takes three times as long to make."""

    to: str
    text: str | None = None
    name: str | None = None
    email: str | None = None
    send_at: datetime | None = None

    def __repr__(self) -> str:
        return "BodyMessage(…)"


@dataclass(frozen=True, slots=True, repr=False)
class Page:
    """A body that was read. Times are aware, in UTC. `page`, `page_hash` are None for a seal alone."""

    request: uuid.UUID
    account: str
    lane: Lane
    text: str | None
    subject: str
    send_at: datetime | None
    schedule: Schedule
    validity: int | None
    deadline: datetime | None
    duplicates: bool
    enqueued_at: datetime
    page: int | None
    messages: tuple[BodyMessage, ...]
    seal: Seal | None
    page_hash: str | None
    header_hash: str

    def __repr__(self) -> str:
        return f"Page(request={self.request}, page={self.page}, messages={len(self.messages)})"


def page_hash(body: Mapping[str, Any]) -> str:
    """sha256, hex, over the canonical JSON of a body without seal and enqueued_at.

    Canonical: keys sorted, no blanks, characters as they are, UTF-8.
    """
    return _hash({key: value for key, value in body.items() if key not in _OUTSIDE_PAGE_HASH})


def header_hash(body: Mapping[str, Any]) -> str:
    """The same over the header alone, without enqueued_at."""
    return _hash({key: value for key, value in body.items() if key not in _OUTSIDE_HEADER_HASH})


def _hash(value: dict[str, Any]) -> str:
    return hashlib.sha256(_canonical(value).encode()).hexdigest()


def parse(body: object) -> Page:
    """Reads a body strictly.

    Raises BadBody for anything that the page above does not describe: missing or unknown fields, wrong types,
    numbers that are not E.164, more than 1,000 messages, a seal that does not fit its only page.
    """
    if not isinstance(body, dict) or not all(isinstance(key, str) for key in body):
        bad("not an object")
    if not body.keys() <= _FIELDS:
        bad("an unknown field")
    if not body.keys() >= _REQUIRED:
        bad(f"{min(_REQUIRED - body.keys())} is missing")
    if type(body["v"]) is not int or body["v"] != VERSION:
        bad("v is not a version that this worker reads")
    header = _header(body)
    number = body["page"]
    if number is not None and not whole(number, 0, MAX_PAGES - 1):
        bad("page is no page number")
    messages = _messages(body, header)
    digest = None if number is None else _page_hash_of(body)
    seal = None if body["seal"] is None else read_seal(body["seal"], number, len(messages), digest)
    if number is None and seal is None:
        bad("neither a page nor a seal")
    return Page(
        **header, page=number, messages=messages, seal=seal, page_hash=digest, header_hash=header_hash(body)
    )


def _page_hash_of(body: dict[str, Any]) -> str:
    try:
        return page_hash(body)
    except (UnicodeEncodeError, ValueError, TypeError):
        bad("not plain JSON")


def _header(body: dict[str, Any]) -> dict[str, Any]:
    try:
        request = uuid.UUID(body["request"])
    except (ValueError, TypeError, AttributeError):
        bad("request is not a UUID")
    if str(request) != body["request"]:
        bad("request is not a UUID in its usual form")
    if not isinstance(body["account"], str) or not ACCOUNT.fullmatch(body["account"]):
        bad("account is no account's name")
    for field, allowed in (("lane", LANES), ("schedule", SCHEDULES)):
        if not isinstance(body[field], str) or body[field] not in allowed:
            bad(f"{field} is none of {', '.join(sorted(allowed))}")
    if body["text"] is not None:
        check_text(body["text"], "text")
    subject = body["subject"]
    if not isinstance(subject, str) or len(subject) > MAX_SUBJECT or not is_one_line(subject):
        bad(f"subject is no line of at most {MAX_SUBJECT} characters")
    if body["validity"] is not None and not whole(body["validity"], 1, MAX_VALIDITY):
        bad(f"validity is no number of minutes from 1 to {MAX_VALIDITY}")
    if type(body["duplicates"]) is not bool:
        bad("duplicates is neither true nor false")
    send_at, enqueued_at = time(body["send_at"], "send_at"), time(body["enqueued_at"], "enqueued_at")
    if enqueued_at is None:
        bad("enqueued_at is no time")
    if body["schedule"] == "gateway" and send_at is None:
        bad("schedule is gateway, but there is no send_at")
    header = {
        key: body[key] for key in ("account", "lane", "text", "subject", "schedule", "validity", "duplicates")
    }
    deadline = _deadline(body["deadline"], enqueued_at)
    return header | {"request": request, "send_at": send_at, "enqueued_at": enqueued_at, "deadline": deadline}


def _deadline(value: object, enqueued_at: datetime) -> datetime | None:
    if whole(value, 1, MAX_DEADLINE_S):
        try:
            return enqueued_at + timedelta(seconds=value)
        except OverflowError:
            bad("enqueued_at is no time")
    return time(value, "deadline")


def _messages(body: dict[str, Any], header: dict[str, Any]) -> tuple[BodyMessage, ...]:
    if body["page"] is None:
        if "messages" in body or "to" in body:
            bad("messages without a page number")
        return ()
    if ("messages" in body) == ("to" in body):
        bad("a page has either messages or to")
    field = "messages" if "messages" in body else "to"
    rows = body[field]
    if not isinstance(rows, list) or not 0 < len(rows) <= PAGE_LIMIT:
        bad(f"{field} is no list of 1 to {PAGE_LIMIT}")
    if field == "messages":
        return tuple([_message(row, header) for row in rows])  # a list first: faster
    if header["text"] is None:
        bad("text is missing")
    is_number = _E164.fullmatch
    for row in rows:
        if not isinstance(row, str) or not is_number(row):
            bad("to holds what is no E.164 number")
    return tuple(map(BodyMessage, rows))


def _message(row: object, header: dict[str, Any]) -> BodyMessage:
    if not isinstance(row, dict) or not row.keys() <= _MESSAGE:
        bad("messages holds what is no message, or an unknown field")
    to, text, name, email = row.get("to"), row.get("text"), row.get("name"), row.get("email")
    if not isinstance(to, str) or not _E164.fullmatch(to):
        bad("messages.to is no E.164 number")
    if text is not None:
        check_text(text, "messages.text")
    elif header["text"] is None:
        bad("a message has no text")
    if name is not None and (not isinstance(name, str) or len(name) > MAX_NAME or not is_one_line(name)):
        bad(f"messages.name is no line of at most {MAX_NAME} characters")
    if email is not None and (not isinstance(email, str) or not is_email(email)):
        bad("messages.email is no e-mail address")
    if (name or email) and header["validity"] is not None:
        bad("validity with a name or an e-mail: the gateway's sendMessage carries neither")
    send_at = None if row.get("send_at") is None else time(row["send_at"], "messages.send_at")
    if send_at is not None and header["schedule"] == "gateway":
        bad("schedule is gateway, but a message has a send_at of its own")
    return BodyMessage(to, text, name, email, send_at)
