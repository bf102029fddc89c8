"""A page of getDeliveryStatus, at most 1,000 rows (specification 3.2), written so that a page costs little.

The reply is XML inside a string of XML. Rows are written escaped at once, not built and escaped afterwards.
"""

import random
from functools import lru_cache
from xml.sax.saxutils import escape

from every8d.emulator import life
from every8d.emulator.batch import Batch
from every8d.emulator.clock import slashed
from every8d.emulator.switches import Switches

PAGE_ROWS = 1000
#: MOBILE comes padded with blanks to its column's width.
MOBILE_WIDTH = 20


def _twice(text: str) -> str:
    return escape(escape(text))


_HEAD = escape('<?xml version="1.0" encoding="utf-8"?><SMS_LOG><CODE>0</CODE><DESCRIPTION>')
_COUNT = escape("</DESCRIPTION><GET_DELIVERY_STATUS COUNT=")
_TAIL = escape("</GET_DELIVERY_STATUS></SMS_LOG>")
_NAME = escape("<SMS><NAME>")
_MOBILE = escape("</NAME><MOBILE>")
_SENT_TIME = escape("</MOBILE><SENT_TIME>")
_COST = escape("</SENT_TIME><COST>")
_STATUS = escape("</COST><STATUS>")
_STATUS_END = escape("</STATUS>")
_REPLY_TIME = escape("<REPLY_SMS><REPLY_TIME>")
_MESSAGE = escape(" </REPLY_TIME><MESSAGE>")
_REPLY_END = escape("</MESSAGE></REPLY_SMS>")
_SMS_END = escape("</SMS>")


def page(
    batch: Batch, number: int, now: float, habits: life.Habits, switches: Switches, shuffle: int
) -> bytes:
    """The page `number` (from 1), UTF-8, escaped for the SOAP result; `shuffle` seeds a shuffled order."""
    count = len(batch)
    positions = _positions(count, number, switches, shuffle)
    rows = [_row(batch, position, now, habits, switches) for position in positions]
    # Encoded in pieces: rows are most often ASCII alone, which costs nothing to encode.
    return f'{_HEAD}發送狀態查詢成功{_COUNT}"{count}"&gt;'.encode() + "".join(rows).encode() + _TAIL.encode()


def no_such_batch() -> bytes:
    """A batch that the account does not have: no error, and no rows."""
    return f'{_HEAD}查無資料{_COUNT}"0"&gt;{_TAIL}'.encode()


def _positions(count: int, number: int, switches: Switches, shuffle: int) -> range | list[int]:
    window = slice((number - 1) * PAGE_ROWS, number * PAGE_ROWS)
    order = range(count)
    if switches.row_order == "stable":
        return order[window]
    if switches.row_order == "reversed":
        return order[::-1][window]
    shuffled = list(order)
    random.Random(shuffle).shuffle(shuffled)  # noqa: S311 - an order, repeatable
    return shuffled[window]


def _row(batch: Batch, position: int, now: float, habits: life.Habits, switches: Switches) -> str:
    name = "" if batch.names is None else _twice(batch.names[position])
    status = batch.status_of(position, now, habits)
    rest = _rest(int(batch.due_of(position)), switches.padded_times, batch.cost_of(position), status)
    row = f"{_NAME}{name}{_MOBILE}+{batch.numbers[position]:<{MOBILE_WIDTH - 1}}{rest}"
    if status == life.DELIVERED and (habits.reply_permille or position in batch.magic):
        come = [reply for reply in batch.replies_of(position, habits) if reply.at <= now]
        return row + "".join(map(_reply, come)) + _SMS_END
    return row + _SMS_END


@lru_cache(maxsize=1024)
def _rest(second: int, padded: bool, cost: int, status: int) -> str:
    """From MOBILE's end to STATUS: the same for most rows of a batch."""
    sent_at = slashed(second, padded=padded)
    return f"{_SENT_TIME}{sent_at}{_COST}{cost}.00{_STATUS}{status}{_STATUS_END}"


def _reply(reply: life.Reply) -> str:
    safe = reply.text.replace("]]>", "]]]]><![CDATA[>")
    return f"{_REPLY_TIME}{slashed(reply.at)}{_MESSAGE}{escape(f'<![CDATA[{safe}]]>')}{_REPLY_END}"
