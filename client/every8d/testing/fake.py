"""A gateway in memory: the methods, checks and typed results of `Gateway`, and a record of what was sent."""

from __future__ import annotations

import threading
import uuid
from collections import deque
from dataclasses import dataclass, field
from decimal import Decimal
from typing import TYPE_CHECKING, Final, NamedTuple
from xml.sax.saxutils import escape

from lxml import etree

from every8d import codes, phone, pricing
from every8d.direct import Direct
from every8d.operations import now_in_taipei
from every8d.times import from_gateway

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping
    from datetime import datetime

    from every8d.errors import GatewayError

_SENDS: Final = frozenset({"sendSMS", "sendMessage", "sendParamSMS"})
_PAGE: Final = 1000


class SentMessage(NamedTuple):
    """One message that was taken: the number in E.164, `validity` in minutes, `send_time` in Taipei."""

    to: str
    text: str
    subject: str = ""
    send_time: datetime | None = None
    validity: int | None = None
    name: str = ""
    email: str = ""
    batch_id: str = ""


@dataclass(slots=True)
class _Script:
    outcome: int | str | type[GatewayError]
    operation: str
    executed: bool


@dataclass(slots=True)
class _Row:
    message: SentMessage
    cost: int
    status: int
    replies: list[tuple[str, str]] = field(default_factory=list)


class FakeGateway(Direct):
    """Takes every message as long as there is credit, and delivers it when it is told to.

    `sent` is all that was taken, in order. `outcomes` scripts what the next calls come to, `deliver` and
    `reply` what becomes of messages. Numbers may be asked for as people type them. Threads may share one.
    """

    def __init__(
        self,
        user_id: str = "test",
        password: str = "test",  # noqa: S107 - of nothing
        *,
        points: Decimal | int | str = 1000,
        clock: Callable[[], datetime] = now_in_taipei,
    ) -> None:
        super().__init__(user_id, password, clock=clock)
        self.points = Decimal(points)
        #: How often each operation was called, scripted outcomes included.
        self.calls: dict[str, int] = {}
        self._batches: dict[str, list[_Row]] = {}
        self._scripts: deque[_Script] = deque()
        self._valid: str | None = None
        self._lock = threading.RLock()

    def __repr__(self) -> str:
        return f"FakeGateway(sent={len(self.sent)}, points={self.points})"

    @property
    def sent(self) -> list[SentMessage]:
        """Every message taken, in order; cancelled bookings too."""
        return [row.message for rows in self._batches.values() for row in rows]

    def texts_to(self, number: str) -> list[str]:
        """The texts sent to one number, typed in any form."""
        wanted = phone.parse(number, abroad=True)
        return [message.text for message in self.sent if message.to == wanted]

    def outcomes(
        self, *given: int | str | type[GatewayError], operation: str = "sends", executed: bool = False
    ) -> None:
        """What the next calls come to, one each: a code (-99), a raw reply, or Unreachable or OutcomeUnknown.

        `operation` is the gateway's name of one, "sends" for the three that send, or "*". With `executed` the
        call does its work first: an OutcomeUnknown of which the messages went out all the same.
        """
        with self._lock:
            self._scripts.extend(_Script(outcome, operation, executed) for outcome in given)

    def deliver(self, number: str, status: int = 100) -> None:
        """Give every message to that number a delivery status."""
        for row in self._rows_to(number):
            row.status = status

    def reply(self, number: str, text: str) -> None:
        """Let that number answer its latest message."""
        rows = self._rows_to(number)
        if not rows:
            raise LookupError("nothing was sent to that number")
        rows[-1].replies.append((self._clock().strftime("%Y/%m/%d %H:%M:%S"), text))

    def expire_session(self) -> None:
        """Void the session key: the next call with it is told -301."""
        self._valid = None

    def _rows_to(self, number: str) -> list[_Row]:
        wanted = phone.parse(number, abroad=True)
        return [row for rows in self._batches.values() for row in rows if row.message.to == wanted]

    def _ask(self, operation: str, fields: Mapping[str, str], deadline_s: float | None) -> str:  # noqa: ARG002 - nothing here takes time
        with self._lock:
            self.calls[operation] = self.calls.get(operation, 0) + 1
            script = self._next_script(operation)
            if script is None:
                return self._execute(operation, fields)
            if script.executed:
                self._execute(operation, fields)
            outcome = script.outcome
            if isinstance(outcome, type):
                raise outcome(operation, detail="as the test asked")
            return outcome if isinstance(outcome, str) else f"{outcome},{codes.describe(outcome).meaning_zh}"

    def _next_script(self, operation: str) -> _Script | None:
        for script in self._scripts:
            if script.operation in (operation, "*") or (script.operation == "sends" and operation in _SENDS):
                self._scripts.remove(script)
                return script
        return None

    def _execute(self, operation: str, fields: Mapping[str, str]) -> str:
        if operation == "getConnection":
            self._valid = uuid.uuid4().hex
            return (
                f"<SMS><GET_CONNECTION><CODE>0</CODE><SESSION_KEY>{self._valid}</SESSION_KEY>"
                "<DESCRIPTION>取得連線成功</DESCRIPTION></GET_CONNECTION></SMS>"
            )
        if self._valid is None or fields["sessionKey"] != self._valid:
            return "-301,Session 資料不存在，請重新登入。"
        if operation in _SENDS:
            return self._take(fields)
        if operation == "getCredit":
            return f"{self.points:.2f}"
        if operation == "closeConnection":
            self._valid = None
            return "1"
        rows = self._batches.get(fields["batchID"])
        return self._erase(rows) if operation == "eraseBooking" else self._page_of(rows, fields["pageNo"])

    def _take(self, fields: Mapping[str, str]) -> str:
        batch_id = str(uuid.uuid4())
        rows: list[_Row] = []
        for message in _messages(fields):
            cost = pricing.points(message.text, abroad=phone.is_abroad(message.to))
            affordable = cost <= self.points
            if affordable:
                self.points -= cost
            status = 301 if not affordable else 0 if message.send_time is None else 300
            rows.append(_Row(message._replace(batch_id=batch_id), cost if affordable else 0, status))
        self._batches[batch_id] = rows
        unsent = sum(row.status == 301 for row in rows)
        return f"{self.points:.2f},{len(rows) - unsent},{sum(row.cost for row in rows)},{unsent},{batch_id}"

    def _erase(self, rows: list[_Row] | None) -> str:
        if rows is None:
            return ""
        booked = [row for row in rows if row.status == 300]
        if not booked:
            return "-4,發送資料為刪除狀態或已經送出"
        back = sum(row.cost for row in booked)
        self.points += back
        for row in booked:
            row.status = 303
            row.cost = 0
        return f"{len(booked)},{back:.2f}"

    def _page_of(self, rows: list[_Row] | None, page: str) -> str:
        if rows is None:
            return "<SMS_LOG><CODE>-3</CODE><DESCRIPTION>無法取得指定發送資料</DESCRIPTION></SMS_LOG>"
        start = (int(page or 1) - 1) * _PAGE
        body = "".join(_xml(row, self._clock()) for row in rows[start : start + _PAGE])
        return (
            "<SMS_LOG><CODE>0</CODE><DESCRIPTION>發送狀態查詢成功</DESCRIPTION>"
            f'<GET_DELIVERY_STATUS COUNT="{len(rows)}">{body}</GET_DELIVERY_STATUS></SMS_LOG>'
        )


def _messages(fields: Mapping[str, str]) -> Iterator[SentMessage]:
    subject = fields["subject"]
    booked = fields["sendTime"]
    if "contentXML" in fields:
        for user in etree.fromstring(fields["contentXML"]):
            moment = from_gateway(user.get("SENDTIME") or booked)
            name, email = user.get("NAME", ""), user.get("EMAIL", "")
            yield SentMessage(
                user.get("MOBILE", ""), user.text or "", subject, moment, name=name, email=email
            )
        return
    validity = int(fields["retryTime"]) if "retryTime" in fields else None
    for mobile in fields["mobile"].split(","):
        to = phone.parse(mobile, abroad=True)
        yield SentMessage(to, fields["content"], subject, from_gateway(booked), validity)


def _xml(row: _Row, now: datetime) -> str:
    moment = (row.message.send_time or now).strftime("%Y/%m/%d %H:%M:%S")
    replied = "".join(
        f"<REPLY_SMS><REPLY_TIME>{time}</REPLY_TIME><MESSAGE>{escape(text)}</MESSAGE></REPLY_SMS>"
        for time, text in row.replies
    )
    return (
        f"<SMS><NAME>{escape(row.message.name)}</NAME><MOBILE>{row.message.to}</MOBILE>"
        f"<SENT_TIME>{moment}</SENT_TIME><COST>{row.cost}.00</COST><STATUS>{row.status}</STATUS>{replied}</SMS>"
    )
