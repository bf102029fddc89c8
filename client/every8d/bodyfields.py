"""The limits of a body's fields, and the checks of one field."""

import re
from datetime import UTC, datetime
from typing import Final, NoReturn, TypeGuard

from every8d.errors import InvalidInput

VERSION: Final = 1
TASK: Final = "every8d.accept"
PAGE_LIMIT: Final = 1000
MAX_PAGES: Final = 10_000
MAX_REPORTED_ROWS: Final = 1000
# Characters. Far above any sensible text, so that a body stays small; Producer's own limit is lower.
MAX_TEXT: Final = 3000
# Characters. The gateway names no limit, and the worker appends a chunk's token.
MAX_SUBJECT: Final = 50
MAX_NAME: Final = 50  # specification 2.3
MAX_EMAIL: Final = 254  # RFC 5321
MAX_VALIDITY: Final = 1440  # minutes; the gateway's default, specification 2.2
MAX_DEADLINE_S: Final = 400 * 86400
LANES: Final = frozenset({"otp", "normal", "bulk"})
SCHEDULES: Final = frozenset({"ledger", "gateway"})
ACCOUNT: Final = re.compile(r"[A-Za-z0-9][A-Za-z0-9_.-]{0,63}")
# Control characters but tab and line ends, and lone surrogates, which no UTF-8 can carry.
UNSENDABLE: Final = re.compile("[\x00-\x08\x0b\x0c\x0e-\x1f\x7f\ud800-\udfff\ufffe\uffff]")

_EMAIL = re.compile(r"[^@\s\x00-\x1f\x7f\ud800-\udfff]+@[^@\s\x00-\x1f\x7f\ud800-\udfff]+")


class BadBody(InvalidInput):
    """The body of an accept task is malformed. `reason` names the field, never its value: safe to log."""

    def __init__(self, reason: str) -> None:
        super().__init__(f"the body of {TASK} is malformed: {reason}")
        self.reason = reason


def bad(reason: str) -> NoReturn:
    """Raises BadBody."""
    raise BadBody(reason)


def whole(value: object, low: int, high: int) -> TypeGuard[int]:
    """Whether it is an integer from low to high, both included."""
    return type(value) is int and low <= value <= high  # bool is an int to isinstance


def time(value: object, field: str) -> datetime | None:
    """An ISO 8601 time with an offset as an aware datetime in UTC; None stays None. Raises BadBody."""
    if value is None:
        return None
    try:
        moment = datetime.fromisoformat(value)  # type: ignore[arg-type]  # what is no string raises TypeError
        utc = moment.astimezone(UTC)
    except (ValueError, TypeError, OverflowError):
        bad(f"{field} is no ISO 8601 time")
    if moment.tzinfo is None:
        bad(f"{field} has no offset from UTC")
    return utc


def is_one_line(value: str) -> bool:
    """Whether a subject or a name holds neither line ends nor what cannot be sent."""
    return not UNSENDABLE.search(value) and "\n" not in value and "\r" not in value


def is_email(value: str) -> bool:
    """Whether it looks like an address; only the mail system knows whether it is one."""
    return len(value) <= MAX_EMAIL and _EMAIL.fullmatch(value) is not None


def check_text(value: object, field: str) -> None:
    """Raises BadBody unless it is a text that can be sent."""
    if not isinstance(value, str) or not value.strip():
        bad(f"{field} is empty or no string")
    if len(value) > MAX_TEXT:
        bad(f"{field} is longer than {MAX_TEXT} characters")
    if UNSENDABLE.search(value):
        bad(f"{field} holds a character that cannot be sent")
