"""The producer: what web apps, scripts and beat jobs enqueue messages with. Needs `every8d[producer]`."""

from __future__ import annotations

from contextlib import suppress
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any

from every8d import asking, phone
from every8d import text as texts
from every8d.body import PAGE_LIMIT
from every8d.confirming import Delivery
from every8d.errors import InvalidInput
from every8d.header import Header, check_account, checked
from every8d.ids import request_id as make_request_id
from every8d.message import Message
from every8d.producererrors import BrokerUnreachable, NotConfirmed
from every8d.publishing import Publisher
from every8d.receipt import Cancelled, Price, Progress, Receipt, RequestStatus
from every8d.rowcheck import RowCheck, cost
from every8d.staging import BadRows, Staging, stream

if TYPE_CHECKING:
    import uuid
    from collections.abc import Callable, Iterable, Mapping

    from celery import Celery


def _utc_now() -> datetime:
    return datetime.now(UTC)


class Producer:
    """Enqueues messages, and asks what became of them. One for a process; shared by its threads.

    `app_or_url`: your Celery app (its result backend must be the workers'), or the broker's URL; a Redis
    URL is then the result backend too. `abroad`: numbers outside Taiwan are allowed. `page_size`: messages
    a task, 1 to 1,000; part of a request's identity, so keep it the same for calls that share an
    idempotency key. `confirm_timeout_s`: seconds until an unanswered page is published again, three times
    in all. Nothing is connected before the first call.
    """

    def __init__(
        self,
        app_or_url: Celery | str,
        *,
        account: str = "default",
        page_size: int = 500,
        abroad: bool = False,
        confirm_timeout_s: float = 10.0,
        result_backend: str | None = None,
        socket_timeout_s: float = 5.0,
        now: Callable[[], datetime] = _utc_now,
    ) -> None:
        if not 1 <= page_size <= PAGE_LIMIT:
            raise InvalidInput(f"page_size is from 1 to {PAGE_LIMIT}", f"page_size 須為 1 至 {PAGE_LIMIT}")
        self._account = check_account(account)
        self._page_size = page_size
        self._abroad = abroad
        self._timeout_s = confirm_timeout_s
        self._now = now
        self._publisher = Publisher(
            app_or_url, result_backend=result_backend, socket_timeout_s=socket_timeout_s
        )

    def __repr__(self) -> str:
        return f"Producer(account={self._account!r}, broker={self._publisher.address!r})"

    def send(
        self,
        to: str | Iterable[str],
        text: str,
        *,
        account: str | None = None,
        lane: str = "normal",
        subject: str = "",
        send_at: datetime | None = None,
        schedule: str = "ledger",
        validity: int | timedelta | None = None,
        deadline: datetime | timedelta | None = None,
        idempotency_key: str | None = None,
        confirm: bool | None = None,
        duplicates: bool = False,
        name: str | None = None,
        email: str | None = None,
    ) -> Receipt:
        """One text to one number or to a list, which is checked whole before anything is published.

        `lane`: otp, normal or bulk. `send_at`, `deadline` (not handed over after it): naive means
        Asia/Taipei, a timedelta counts from now. `schedule`: "ledger" holds a send_at here, "gateway" books
        it there, at least 10 minutes ahead. `validity`: the gateway's retryTime in minutes (specification
        2.2). `duplicates`: the same number twice is wanted. `name`, `email`: for one number only
        (specification 2.3). `confirm`: wait until the ledger has it; by default only for otp. Not confirmed
        means published.

        Raises InvalidInput (InvalidNumber, InvalidText, PastTime; InvalidRows for a list), BrokerUnreachable,
        NotConfirmed, IdempotencyConflict, NotAccepted.
        """
        numbers = [to] if isinstance(to, str) else list(to)
        if not numbers:
            raise InvalidInput("there is no number to send to", "沒有收訊門號")
        if len(numbers) > 1 and (name or email):
            raise InvalidInput(
                "a name or an e-mail is for one number; use send_many for several",
                "name 與 email 僅適用於單一門號；多個門號請用 send_many",
            )
        header = self._header(
            account,
            idempotency_key,
            lane=lane,
            text=text,
            subject=subject,
            send_at=send_at,
            schedule=schedule,
            validity=validity,
            deadline=deadline,
            duplicates=duplicates,
        )
        if isinstance(to, str):
            phone.parse(to, abroad=self._abroad)  # its own error says more than a table of one row
        check = RowCheck(header, abroad=self._abroad, now=header.enqueued_at).check
        bad = BadRows()
        entries = []
        for row, number in enumerate(numbers, 1):
            entry = check(Message(number, name=name, email=email))
            if isinstance(entry, str):
                bad.add(row, entry)
            else:
                entries.append(entry)
        if bad.count:
            raise bad.error()
        staging, delivery = self._staging(header, confirm)
        seen: set[str] = set()
        again = 0
        for entry in entries:
            if entry.message["to"] in seen:
                again += 1
                staging.points -= 0 if duplicates else entry.points
            seen.add(entry.message["to"])
            staging.add(entry)
        staging.finish()
        return self._receipt(header, staging, delivery, confirm, 0 if duplicates else again)

    def send_many(
        self,
        messages: Iterable[Message | Mapping[str, Any] | tuple[str, str] | str],
        *,
        text: str | None = None,
        account: str | None = None,
        lane: str = "bulk",
        subject: str = "",
        send_at: datetime | None = None,
        schedule: str = "ledger",
        validity: int | timedelta | None = None,
        deadline: datetime | timedelta | None = None,
        idempotency_key: str | None = None,
        confirm: bool | None = None,
        duplicates: bool = False,
        skip_invalid: bool = False,
        on_progress: Callable[[Progress], None] | None = None,
    ) -> Receipt:
        """Many messages out of any iterable, streamed: a page is published when it is full.

        A message is a `Message`, a mapping with its fields, a pair (to, text), or a number, which takes
        `text`. Nothing is sent before the seal at the end. A bad row refuses the whole request
        (InvalidRows, at the end, with all bad rows), unless `skip_invalid`: then the receipt reports them.
        If the iterable raises, its error goes through and nothing is sent. `on_progress` is called every
        `page_size` rows and at the end, in this thread. The other arguments and errors are those of `send`.
        """
        header = self._header(
            account,
            idempotency_key,
            lane=lane,
            text=text,
            subject=subject,
            send_at=send_at,
            schedule=schedule,
            validity=validity,
            deadline=deadline,
            duplicates=duplicates,
        )
        staging, delivery = self._staging(header, confirm)
        check = RowCheck(header, abroad=self._abroad, now=header.enqueued_at).check
        bad = stream(
            messages,
            check,
            staging,
            every=self._page_size,
            skip_invalid=skip_invalid,
            on_progress=on_progress,
        )
        if bad.count and not skip_invalid:
            if not staging.pages:
                raise bad.error()
            # Without its seal nothing is sent either, so the rows matter more than a lost verdict.
            with suppress(BrokerUnreachable, NotConfirmed):
                staging.finish(bad.verdict())
            raise bad.error(header)
        if staging.empty:
            raise (
                bad.error() if bad.count else InvalidInput("there is no message to send", "沒有可發送的訊息")
            )
        staging.finish()
        return self._receipt(header, staging, delivery, confirm, None, bad)

    def status(self, request_id: uuid.UUID | str) -> RequestStatus:
        """Where a request is, from the ledger. Raises NoAnswer, BrokerUnreachable, NoResultBackend."""
        return asking.status(self._publisher, asking.request_of(request_id), self._timeout_s)

    def cancel(self, request_id: uuid.UUID | str) -> Cancelled:
        """Stops what is not sent yet, erases bookings. After NoAnswer ask `status` what it reached."""
        return asking.cancel(self._publisher, asking.request_of(request_id), self._timeout_s)

    def price(self, to: str | Iterable[str], text: str) -> Price:
        """What a text would cost, by the specification's table (1.2). Asks nobody. Raises as `send` does."""
        body = texts.body(text)
        numbers = [
            phone.parse(number, abroad=self._abroad) for number in ([to] if isinstance(to, str) else to)
        ]
        outside = sum(map(phone.is_abroad, numbers))
        home = cost(body, abroad=False)
        abroad = cost(body, abroad=True) if outside else home
        inside = len(numbers) - outside
        return Price(
            points=inside * home.points + outside * abroad.points,
            segments=inside * home.segments + outside * abroad.segments,
            messages=len(numbers),
        )

    def _header(self, account: str | None, idempotency_key: str | None, **fields: Any) -> Header:
        name = self._account if account is None else check_account(account)
        if idempotency_key is not None and not idempotency_key:
            raise InvalidInput("the idempotency key is empty", "idempotency key 不可空白")
        request = make_request_id(name, idempotency_key)
        return checked(request=request, account=name, now=self._now(), **fields)

    def _staging(self, header: Header, confirm: bool | None) -> tuple[Staging, Delivery]:
        delivery = Delivery(
            self._publisher,
            request=header.request,
            lane=header.lane,
            confirm=_confirms(header, confirm),
            timeout_s=self._timeout_s,
        )
        return Staging(header, delivery, self._page_size), delivery

    def _receipt(
        self,
        header: Header,
        staging: Staging,
        delivery: Delivery,
        confirm: bool | None,
        duplicates: int | None,
        bad: BadRows | None = None,
    ) -> Receipt:
        confirmed = _confirms(header, confirm)
        return Receipt(
            request_id=header.request,
            account=header.account,
            lane=header.lane,
            count=staging.messages,
            points=staging.points,
            pages=staging.pages,
            duplicates=delivery.duplicates if confirmed else duplicates,
            confirmed=confirmed,
            skipped=tuple(bad.rows) if bad else (),
            skipped_count=bad.count if bad else 0,
        )


def _confirms(header: Header, confirm: bool | None) -> bool:
    return header.lane == "otp" if confirm is None else confirm
