"""Sending without a worker: a session key is got when it is needed, and nothing unknown is repeated."""

from __future__ import annotations

import copy
import threading
from functools import partial
from typing import TYPE_CHECKING, Self, TypeVar

from every8d import phone
from every8d.errors import AccountFault, InvalidInput, InvalidNumber, SessionGone
from every8d.operations import Operations, now_in_taipei
from every8d.replies import Erased, SendReply, StatusPage, StatusRow

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable
    from datetime import datetime
    from decimal import Decimal

T = TypeVar("T")

#: The most recipients of one `send`. The gateway publishes no limit; longer lists are the Producer's.
MOST_RECIPIENTS = 500


class Direct(Operations):
    """The operations, and the few calls that a script needs. Threads may share one.

    Logs in at the first call, and once more where the gateway says that the session key is gone (-301): such
    a call was not executed. A refused login is remembered and not tried again: ten of them lock the account.
    """

    def __init__(self, user_id: str, password: str, *, clock: Callable[[], datetime] = now_in_taipei) -> None:
        super().__init__(user_id, password, clock=clock)
        self._key: str | None = None
        self._refusal: AccountFault | None = None
        self._login = threading.Lock()

    def send(
        self,
        to: str | Iterable[str],
        text: str,
        *,
        subject: str = "",
        send_at: datetime | None = None,
        validity: int | None = None,
        abroad: bool = False,
    ) -> SendReply:
        """One text to at most 500 numbers, typed as people type them; a number given twice gets it once.

        `send_at` books it (naive: Taipei; past: PastTime), `validity` in minutes gives it up. Raises
        InvalidInput before anything is sent; after OutcomeUnknown, look at the credit or the vendor's console
        before you repeat.
        """
        given = [to] if isinstance(to, str) else list(to)
        mobiles = list(
            dict.fromkeys(_number(one, row, len(given), abroad) for row, one in enumerate(given, start=1))
        )
        if len(mobiles) > MOST_RECIPIENTS:
            raise InvalidInput(
                f"{len(mobiles)} recipients are too many for one call ({MOST_RECIPIENTS}): use a Producer",
                f"收訊人 {len(mobiles)} 筆超過單次上限 {MOST_RECIPIENTS} 筆，請改用 Producer",
            )

        def call(key: str) -> SendReply:
            if validity is None:
                return self.send_sms(key, subject=subject, content=text, mobiles=mobiles, send_time=send_at)
            return self.send_message(
                key, subject=subject, content=text, mobiles=mobiles, send_time=send_at, validity=validity
            )

        return self._with_key(call)

    def credit(self) -> Decimal:
        """The points left."""
        return self._with_key(self.get_credit)

    def status(self, batch_id: str) -> StatusPage:
        """Every row of a batch, all pages together."""
        rows: list[StatusRow] = []
        page = 1
        while True:
            got = self._with_key(partial(self._page, batch_id, page))
            rows += got.rows
            if len(rows) >= got.count or not got.rows:
                return StatusPage(got.count, tuple(rows), got.raw_code)
            page += 1

    def _page(self, batch_id: str, page: int, key: str) -> StatusPage:
        return self.get_delivery_status(key, batch_id, page)

    def cancel(self, batch_id: str) -> Erased | None:
        """Cancel a booked batch; None where the gateway knows no such batch."""
        return self._with_key(lambda key: self.erase_booking(key, batch_id))

    def close(self) -> None:
        """Give back what the object holds. The session stays: closing it would void it for others."""

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def _with_key(self, call: Callable[[str], T]) -> T:
        key = self._session_key(stale=None)
        try:
            return call(key)
        except SessionGone:
            pass
        return call(self._session_key(stale=key))

    def _session_key(self, *, stale: str | None) -> str:
        with self._login:
            if self._refusal is not None:
                raise copy.copy(self._refusal)
            if self._key is None or self._key == stale:
                self._key = None
                try:
                    self._key = self.get_connection()
                except AccountFault as error:
                    self._refusal = copy.copy(error)
                    raise
            return self._key


def _number(text: str, row: int, count: int, abroad: bool) -> str:
    try:
        return phone.parse(text, abroad=abroad)
    except InvalidNumber as error:
        error.row = row if count > 1 else None
        raise
