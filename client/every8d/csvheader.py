"""Which column of a recipient file is what: the names that people give them, in English and Chinese."""

from __future__ import annotations

import re
import unicodedata
from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Mapping

#: Names of each field, the surest first: of "手機" and "電話" in one file, the mobile number is meant.
NAMES: dict[str, tuple[str, ...]] = {
    "to": (
        *("to", "mobile", "mobilephone", "mobilenumber", "cellphone", "cell", "msisdn", "recipient"),
        *(
            "手機",
            "手機號碼",
            "手機門號",
            "行動電話",
            "行動電話號碼",
            "門號",
            "收訊人手機",
            "收件人手機",
            "接收人手機",
        ),
        *("客戶手機", "會員手機", "聯絡手機", "連絡手機"),
        *("phone", "phonenumber", "number", "tel", "telephone", "電話", "電話號碼", "聯絡電話", "連絡電話"),
    ),
    "text": ("text", "message", "content", "sms", "內容", "簡訊", "簡訊內容", "訊息", "訊息內容", "發送內容"),
    "name": ("name", "fullname", "姓名", "名字", "客戶姓名", "會員姓名", "收訊人", "收件人", "接收人"),
    "email": ("email", "emailaddress", "mail", "電子郵件", "電子信箱", "電郵", "信箱"),
    "send_at": ("sendat", "sendtime", "發送時間", "預約時間", "預約發送時間", "傳送時間"),
}
FIELDS = tuple(NAMES)


@dataclass(frozen=True, slots=True)
class Header:
    """The columns: `names` as the file has them ("" for none), `fields` from our field to its name.

    `first` is the first row of data where the file has no header line.
    """

    names: tuple[str, ...]
    fields: Mapping[str, str]
    first: tuple[int, list[str]] | None = None


def read_header(line: int, cells: list[str], columns: Mapping[str, str]) -> Header | str:
    """What the first row says about the columns, or why it cannot be used (a reason of `csvfile.BadFile`).

    `columns`: field to a column's name, or to its position from 1.
    """
    names = tuple(cell.strip() for cell in cells)
    known = [_plain(name) for name in names]
    fields: dict[str, str] = {}
    at: dict[str, int] = {}
    for field, column in columns.items():
        index = _find(column, known)
        if index is None:
            return "no_column"
        at[field] = index
    positions = bool(columns) and all(column.isdecimal() for column in columns.values())
    recognised = any(name in accepted for accepted in NAMES.values() for name in known)
    if not recognised and (
        len(names) == 1 or (positions and "to" in at and _holds_a_number(cells[at["to"]]))
    ):
        # No header line: this row is data already, and its columns are called by our own names.
        plain = [f"column{number}" for number in range(1, len(names) + 1)]
        for field, index in (at or {"to": 0}).items():
            plain[index] = field
        fields = {field: plain[index] for field, index in (at or {"to": 0}).items()}
        return Header(tuple(plain), fields, first=(line, cells))
    for field, accepted in NAMES.items():
        if field not in at:
            index = next((known.index(name) for name in accepted if name in known), None)
            if index is not None and index not in at.values():
                at[field] = index
    if "to" not in at:
        return "no_number_column" if recognised else "no_header"
    filled = [name for name in names if name]
    if len(filled) != len(set(filled)):
        return "same_column_twice"
    return Header(names, {field: names[index] for field, index in at.items()})


def _find(column: str, known: list[str]) -> int | None:
    """A column by its name, or by its position from 1."""
    plain = _plain(column)
    if plain in known:
        return known.index(plain)
    if column.isdecimal() and 1 <= int(column) <= len(known):
        return int(column) - 1
    return None


def _plain(name: str) -> str:
    """A column's name without what people put around it: "Send_At", "手機 (必填)", "ＴＯ"."""
    name = unicodedata.normalize("NFKC", name).casefold()
    return re.sub(r"\(.*?\)|\[.*?\]|[\s_\-*:#.]", "", name)


def _holds_a_number(cell: str) -> bool:
    return sum(character.isdigit() for character in cell) >= 8
