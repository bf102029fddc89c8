"""Recipients out of the rows of a file: cells repaired where what was meant is certain, and read as what
they are.
"""

from __future__ import annotations

import re
import unicodedata
from dataclasses import dataclass, field
from datetime import datetime
from typing import TYPE_CHECKING

from every8d import template
from every8d.errors import InvalidInput
from every8d.message import Message
from every8d.times import TAIPEI, aware

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Mapping

    from every8d.csvfile import Row

    #: Makes the text out of a row's cells.
    Render = Callable[[Mapping[str, str]], str]

_SCIENTIFIC = re.compile(r"\d([.,]\d+)?e\+?\d+", re.IGNORECASE)
_FORMULA = re.compile(r'="?([^"]*)"?')
_TIME = re.compile(
    r"(\d{4})[-/.年](\d{1,2})[-/.月](\d{1,2})日?[\sT]*(上午|下午|AM|PM)?\s*"
    r"(\d{1,2})[:點時](\d{1,2})分?(?::?(\d{1,2})秒?)?\s*(AM|PM)?",
    re.IGNORECASE,
)
_COMPACT_TIME = re.compile(r"\d{14}")


@dataclass(frozen=True, slots=True)
class Recipient:
    """A row as a message, not yet checked as the producer does. `line`: its first in the file, from 1."""

    line: int
    message: Message


@dataclass(frozen=True, slots=True)
class BadRow:
    """A row that cannot be sent, and why, in one word that `command.words` explains."""

    line: int
    reason: str


class BadCell(InvalidInput):
    """A cell that cannot be used; `reason` says why."""

    def __init__(self, reason: str) -> None:
        super().__init__(reason)
        self.reason = reason


@dataclass(frozen=True, slots=True)
class Reader:
    """Makes recipients of rows.

    `fields` is the header's: our field to the column's name. `render` makes the text out of a row's cells;
    without it the text column is the text. With `shared`, rows have no text of their own: the request has
    one for all.
    """

    fields: Mapping[str, str]
    render: Render | None = field(default=None, repr=False)
    shared: bool = False

    def read(self, rows: Iterable[Row]) -> Iterator[Recipient | BadRow]:
        """Each row as a recipient, or as what is wrong with it."""
        for row in rows:
            if row.bad:
                yield BadRow(row.line, row.bad)
                continue
            try:
                yield Recipient(row.line, self._message(row.values))
            except InvalidInput as error:
                yield BadRow(row.line, getattr(error, "reason", "invalid"))

    def _message(self, values: Mapping[str, str]) -> Message:
        def cell(field: str) -> str:
            return values.get(self.fields.get(field, ""), "")

        text = None
        if not self.shared:
            text = self.render(values) if self.render else cell("text")
        return Message(
            repair_number(cell("to")),
            text,
            cell("name").strip() or None,
            cell("email").strip() or None,
            read_time(cell("send_at")),
        )


def fill(text: str, columns: Iterable[str], values: Mapping[str, str]) -> str:
    """The template `text` with a row's cells. Raises `BadCell` where one that it needs is empty."""
    if not all(values.get(column, "").strip() for column in columns):
        raise BadCell("no_value")  # "Dear , your code is ." is what nobody means to send
    return template.render(text, values)


def repair_number(cell: str) -> str:
    """The number as it was before a spreadsheet touched it. Raises `BadCell` where digits are lost.

    A lost leading zero (912345678) and a lost plus (886912345678) come back, `="0912345678"`, a leading
    apostrophe and `.0` go; 9.12E+08 has lost its digits for good.
    """
    number = cell.strip()
    if len(number) == 10 and number.isdecimal() and number.startswith("09"):
        return number
    number = unicodedata.normalize("NFKC", number)
    if formula := _FORMULA.fullmatch(number):
        number = formula[1].strip()
    number = number.lstrip("'’").removesuffix(".0")
    if not number:
        raise BadCell("no_number")
    if _SCIENTIFIC.fullmatch(number):
        raise BadCell("scientific")
    if re.fullmatch(r"9\d{8}", number):
        return "0" + number
    if re.fullmatch(r"886\d{9}", number):
        return "+" + number
    return number


def read_time(cell: str) -> datetime | None:
    """A send time as people and spreadsheets write it, Asia/Taipei without an offset; None for an empty cell.

    ISO 8601, `2026/1/31 15:30`, `2026/1/31 下午 03:30:00`, `2026年1月31日 15:30`, `20260131153000`. Raises
    `BadCell`.
    """
    text = unicodedata.normalize("NFKC", cell).strip()
    if not text:
        return None
    try:
        if _COMPACT_TIME.fullmatch(text):
            return datetime.strptime(text, "%Y%m%d%H%M%S").replace(tzinfo=TAIPEI)
        if match := _TIME.fullmatch(text):
            year, month, day, before, hour, minute, second, after = match.groups()
            half = (before or after or "").upper()
            hours = int(hour)
            if half:
                if not 1 <= hours <= 12:
                    raise BadCell("bad_time")
                hours = hours % 12 + (12 if half in ("PM", "下午") else 0)
            return datetime(
                int(year), int(month), int(day), hours, int(minute), int(second or 0), tzinfo=TAIPEI
            )
        if ":" not in text:
            raise BadCell("bad_time")  # a date alone would be midnight, which nobody means
        return aware(datetime.fromisoformat(text))
    except ValueError as error:
        raise BadCell("bad_time") from error
