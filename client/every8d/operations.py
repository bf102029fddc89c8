"""The eight operations, typed in and out, above any way of asking: the real gateway, or one in memory."""

from __future__ import annotations

import re
from abc import ABC, abstractmethod
from datetime import datetime
from typing import TYPE_CHECKING, Final

from every8d import replies
from every8d.errors import InvalidInput, InvalidNumber, PastTime
from every8d.text import body, clean
from every8d.times import TAIPEI, aware, to_gateway

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence
    from decimal import Decimal

_NUMBERS: Final = re.compile(r"\+?[0-9]{6,19}(?:,\+?[0-9]{6,19})*")
_NUMBER: Final = re.compile(r"\+?[0-9]{6,19}")
_UNPRINTABLE: Final = re.compile("[\x00-\x1f\x7f\ud800-\udfff\ufffe\uffff]")


def now_in_taipei() -> datetime:
    """The present moment."""
    return datetime.now(TAIPEI)


class Operations(ABC):
    """The gateway's operations (specification 1.1-4.2). Each makes exactly one call and never repeats it.

    Input that cannot be sent raises InvalidInput before anything leaves. Failures raise the GatewayError
    classes. Times without a zone are Taipei's; a `send_time` that has passed by `clock` is PastTime.
    `deadline_s` lowers the total time that the one call may take, in seconds.
    """

    def __init__(self, user_id: str, password: str, *, clock: Callable[[], datetime] = now_in_taipei) -> None:
        self._user_id = _plain(user_id, "user id")
        self._password = _plain(password, "password")
        self._clock = clock

    @abstractmethod
    def _ask(self, operation: str, fields: Mapping[str, str], deadline_s: float | None) -> str:
        """Make the call and give back the raw result, "" for none."""

    def get_connection(self, *, deadline_s: float | None = None) -> str:
        """Log in; the new session key, valid for the Taipei day (1.1). AccountFault: do not try again."""
        fields = {"userID": self._user_id, "password": self._password}
        return replies.parse_connection(self._ask("getConnection", fields, deadline_s))

    def close_connection(self, session_key: str, *, deadline_s: float | None = None) -> bool:
        """Void the account's one session key, for every system that uses it (1.3). False: not closed."""
        return replies.parse_closed(self._ask("closeConnection", _keyed(session_key), deadline_s))

    def send_sms(
        self,
        session_key: str,
        *,
        subject: str,
        content: str,
        mobiles: Sequence[str],
        send_time: datetime | None = None,
        deadline_s: float | None = None,
    ) -> replies.SendReply:
        """One text to many numbers, in E.164 or as `0912345678` (1.2)."""
        fields = self._send_fields(session_key, subject, content, mobiles, send_time)
        return replies.parse_send(self._ask("sendSMS", fields, deadline_s), "sendSMS")

    def send_message(
        self,
        session_key: str,
        *,
        subject: str,
        content: str,
        mobiles: Sequence[str],
        validity: int,
        send_time: datetime | None = None,
        deadline_s: float | None = None,
    ) -> replies.SendReply:
        """Like send_sms, and given up after `validity` minutes, the gateway's retryTime (2.2)."""
        if validity < 1:
            raise InvalidInput("the validity must be at least one minute", "有效期限至少須為一分鐘")
        fields = self._send_fields(session_key, subject, content, mobiles, send_time)
        fields["retryTime"] = str(validity)
        return replies.parse_send(self._ask("sendMessage", fields, deadline_s), "sendMessage")

    def send_param_sms(
        self,
        session_key: str,
        *,
        subject: str,
        content_xml: str,
        send_time: datetime | None = None,
        deadline_s: float | None = None,
    ) -> replies.SendReply:
        """A text for each recipient; `contentxml.build` makes the `content_xml` (2.3)."""
        fields = _keyed(session_key)
        fields["subject"] = clean(subject)
        fields["contentXML"] = body(content_xml)
        fields["sendTime"] = self._time(send_time)
        return replies.parse_send(self._ask("sendParamSMS", fields, deadline_s), "sendParamSMS")

    def get_delivery_status(
        self, session_key: str, batch_id: str, page: int = 1, *, deadline_s: float | None = None
    ) -> replies.StatusPage:
        """Rows 1,000 × (page - 1) + 1 and on of a batch, with the recipients' replies (3.2)."""
        if page < 1:
            raise InvalidInput("pages are counted from 1", "頁碼由 1 起算")
        fields = _keyed(session_key)
        fields["batchID"] = _plain(batch_id, "BatchID")
        fields["pageNo"] = "" if page == 1 else str(page)
        return replies.parse_status(self._ask("getDeliveryStatus", fields, deadline_s))

    def get_credit(self, session_key: str, *, deadline_s: float | None = None) -> Decimal:
        """The points left (4.1)."""
        return replies.parse_credit(self._ask("getCredit", _keyed(session_key), deadline_s))

    def erase_booking(
        self, session_key: str, batch_id: str, *, deadline_s: float | None = None
    ) -> replies.Erased | None:
        """Cancel a booked batch as a whole; None where the gateway knows no such batch (4.2)."""
        fields = _keyed(session_key)
        fields["batchID"] = _plain(batch_id, "BatchID")
        return replies.parse_erased(self._ask("eraseBooking", fields, deadline_s))

    def _send_fields(
        self, session_key: str, subject: str, content: str, mobiles: Sequence[str], send_time: datetime | None
    ) -> dict[str, str]:
        fields = _keyed(session_key)
        fields["subject"] = clean(subject)
        fields["content"] = body(content)
        fields["mobile"] = _joined(mobiles)
        fields["sendTime"] = self._time(send_time)
        return fields

    def _time(self, send_time: datetime | None) -> str:
        if send_time is None:
            return ""
        if aware(send_time).replace(microsecond=0) <= self._clock():
            raise PastTime
        return to_gateway(send_time)


def _keyed(session_key: str) -> dict[str, str]:
    return {"sessionKey": _plain(session_key, "session key")}


def _plain(value: str, name: str) -> str:
    """A value that XML can carry: names what is wrong, never shows it."""
    if _UNPRINTABLE.search(value):
        raise InvalidInput(f"the {name} holds characters that cannot be sent", f"{name} 含有無法傳送的字元")
    return value


def _joined(mobiles: Sequence[str]) -> str:
    if isinstance(mobiles, str):
        raise InvalidInput("mobiles must be a list of numbers, not one string", "mobiles 須為號碼清單")
    joined = ",".join(mobiles)
    # One match over all is fast; only a list with a mistake is looked at row by row.
    if _NUMBERS.fullmatch(joined) is None or joined.count(",") != len(mobiles) - 1:
        if not mobiles:
            raise InvalidNumber("empty")
        for row, mobile in enumerate(mobiles, start=1):
            if _NUMBER.fullmatch(mobile) is None:
                raise InvalidNumber("not_a_number" if mobile.strip() else "empty", row=row)
    return joined
