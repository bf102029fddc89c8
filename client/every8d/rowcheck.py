"""One row of a request, checked: the message as the body has it and its price, or why it cannot be sent."""

from __future__ import annotations

from datetime import datetime
from typing import TYPE_CHECKING, Any, NamedTuple

from every8d import phone, pricing
from every8d import text as texts
from every8d.bodyfields import MAX_NAME, is_email, is_one_line
from every8d.errors import InvalidInput, InvalidNumber, InvalidText, PastTime
from every8d.header import not_past
from every8d.message import message
from every8d.producererrors import TextTooLong

if TYPE_CHECKING:
    from every8d.header import Header

#: Segments of one text; 20 are 1,332 characters in Taiwan. More is a mistake, and dear.
MAX_SEGMENTS = 20


class Cost(NamedTuple):
    """What a text costs for one recipient."""

    segments: int
    points: int


class Entry(NamedTuple):
    """A row that can be sent: its message as the body has it, and its price in points."""

    message: dict[str, Any]
    points: int

    def __repr__(self) -> str:
        return "Entry(…)"


def cost(text: str, *, abroad: bool) -> Cost:
    """Segments and points of a text. Raises TextTooLong above `MAX_SEGMENTS`."""
    segments = pricing.segments(text, abroad=abroad)
    if segments > MAX_SEGMENTS:
        raise TextTooLong
    return Cost(segments, segments * (pricing.ABROAD_FACTOR if abroad else 1))


class RowCheck:
    """Checks the rows of one request. Not shared by threads."""

    def __init__(self, header: Header, *, abroad: bool, now: datetime) -> None:
        self._header = header
        self._abroad = abroad
        self._now = now
        self._costs: dict[bool, Cost] = {}
        if header.text is not None:  # a text too long for all is an error of the call, not of every row
            self._costs[False] = cost(header.text, abroad=False)

    def check(self, row: object) -> Entry | str:
        """The row (see `message.message`) as an entry, or a reason in one word."""
        plain = message(row)
        if isinstance(plain, str):
            return plain
        if not isinstance(plain.to, str):
            return "not_a_number"
        entry: dict[str, Any] = {}
        try:
            to = entry["to"] = phone.parse(plain.to, abroad=self._abroad)
            price = self._text(entry, plain.text, phone.is_abroad(to))
            if plain.name is not None or plain.email is not None or plain.send_at is not None:
                self._extras(entry, plain.name, plain.email, plain.send_at)
        except InvalidNumber as error:
            return "no_number" if error.reason == "empty" else error.reason
        except InvalidText as error:
            return "no_text" if error.reason == "empty" else error.reason
        except PastTime:
            return "past_time"
        except _BadRow as error:
            return error.reason
        return Entry(entry, price.points)

    def _text(self, entry: dict[str, Any], text: str | None, abroad: bool) -> Cost:
        shared = self._header.text
        if text is None or text == shared:
            if shared is None:
                raise InvalidText("empty")
            if abroad not in self._costs:
                self._costs[abroad] = cost(shared, abroad=abroad)
            return self._costs[abroad]
        if not isinstance(text, str):
            raise _BadRow("not_a_text")
        own = entry["text"] = texts.body(text)
        return cost(own, abroad=abroad)

    def _extras(
        self, entry: dict[str, Any], name: str | None, email: str | None, send_at: datetime | None
    ) -> None:
        if name:
            if not isinstance(name, str) or not is_one_line(name):
                raise _BadRow("bad_name")
            if len(name) > MAX_NAME:
                raise _BadRow("name_too_long")
            entry["name"] = name
        if email:
            if not isinstance(email, str) or not is_email(email):
                raise _BadRow("bad_email")
            entry["email"] = email
        if (name or email) and self._header.validity is not None:
            # sendMessage, which carries a validity, has no such fields (specification 2.2).
            raise _BadRow("name_with_validity")
        if send_at is not None:
            if not isinstance(send_at, datetime):
                raise _BadRow("bad_time")
            if self._header.schedule == "gateway":
                raise _BadRow("own_time_in_booking")
            entry["send_at"] = not_past(send_at, self._now).isoformat()


class _BadRow(InvalidInput):
    def __init__(self, reason: str) -> None:
        super().__init__(reason)
        self.reason = reason
