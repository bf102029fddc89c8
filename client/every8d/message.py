"""One recipient's message, as a producer hands it over."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime

FIELDS = frozenset({"to", "text", "name", "email", "send_at"})


@dataclass(frozen=True, slots=True, repr=False)
class Message:
    """One text to one recipient; what is billed and delivered.

    `to`: a number as people write it. `text`: None takes the text of the whole request. `name` (at most 50
    characters, for the gateway's records) and `email` (a free copy by mail): specification 2.3. `send_at`:
    aware, or naive in Asia/Taipei; None takes the time of the whole request. Nothing is checked here:
    `Producer` checks, and names the row.
    """

    to: str
    text: str | None = None
    name: str | None = None
    email: str | None = None
    send_at: datetime | None = None

    def __repr__(self) -> str:
        # Whatever prints a message must not print a number or a text.
        return "Message(…)"


def message(row: object) -> Message | str:
    """A `Message` from what a caller's iterable yields, or the reason why it is none.

    Takes a Message, a mapping with the fields of Message, a pair (to, text), or a number alone.
    """
    if isinstance(row, Message):
        return row
    if isinstance(row, str):
        return Message(row)
    if isinstance(row, Mapping):
        if not row.keys() <= FIELDS:
            return "unknown_field"
        if "to" not in row:
            return "no_number"
        return Message(**row)
    if isinstance(row, tuple) and len(row) == 2:
        return Message(*row)
    return "not_a_message"
