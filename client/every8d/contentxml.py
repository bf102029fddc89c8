"""contentXML, the recipients of sendParamSMS with a text for each (specification 2.3)."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Final, NamedTuple

from every8d.errors import InvalidInput, InvalidNumber
from every8d.text import body, clean
from every8d.times import to_gateway

if TYPE_CHECKING:
    from collections.abc import Iterable
    from datetime import datetime

#: The longest NAME, in characters; a longer one is cut, for it only labels the record.
NAME_LIMIT: Final = 50
#: The longest MOBILE, in characters.
MOBILE_LIMIT: Final = 20

_E164: Final = re.compile(r"\+[0-9]{6,19}")
_SPECIAL: Final = re.compile("[&<>\"'\n\t]")
_ENTITIES: Final = {
    "&": "&amp;", "<": "&lt;", ">": "&gt;", '"': "&quot;", "'": "&apos;", "\n": "&#10;", "\t": "&#9;",
}  # fmt: skip


class Recipient(NamedTuple):
    """One message: the number in E.164, its text, and what the gateway keeps with it.

    `send_time` books this one (naive: Taipei). `email` gets a free copy. The repr shows none of it.
    """

    mobile: str
    text: str
    name: str = ""
    email: str = ""
    send_time: datetime | None = None

    def __repr__(self) -> str:
        return f"Recipient(<{len(self.text)} characters>, send_time={self.send_time})"


def build(recipients: Iterable[Recipient]) -> str:
    """The document for `Gateway.send_param_sms`.

    Raises InvalidNumber or InvalidText with `row`, counted from 1, and InvalidInput where there are no
    recipients. Whether a `send_time` has passed is not looked at: there is no clock here.
    """
    users = [_user(recipient, row) for row, recipient in enumerate(recipients, start=1)]
    if not users:
        raise InvalidInput("there are no recipients", "沒有收訊人")
    return f"<REPS>{''.join(users)}</REPS>"


def _user(recipient: Recipient, row: int) -> str:
    mobile, text, name, email, send_time = recipient
    # Only +886… is priced rightly here: a national number would be counted as one abroad.
    if len(mobile) > MOBILE_LIMIT or _E164.fullmatch(mobile) is None:
        raise InvalidNumber("not_a_number" if mobile else "empty", row=row)
    try:
        content = body(text)
        label = _attribute(clean(name)[:NAME_LIMIT]) if name else ""
        address = _attribute(clean(email)) if email else ""
    except InvalidInput as error:
        error.row = row
        raise
    # A CDATA section cannot hold its own end: it is cut in the middle of it, into two sections.
    content = content.replace("]]>", "]]]]><![CDATA[>")
    moment = "" if send_time is None else to_gateway(send_time)
    return (
        f'<USER NAME="{label}" MOBILE="{mobile}" EMAIL="{address}" SENDTIME="{moment}">'
        f"<![CDATA[{content}]]></USER>"
    )


def _attribute(value: str) -> str:
    return _SPECIAL.sub(lambda match: _ENTITIES[match[0]], value)
