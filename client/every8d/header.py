"""The header of a request: what all its pages share, checked before anything is published."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any, cast, get_args

from every8d import text as texts
from every8d.body import VERSION, Lane, Schedule
from every8d.bodyfields import ACCOUNT, MAX_DEADLINE_S, MAX_SUBJECT, MAX_VALIDITY, is_one_line
from every8d.errors import InvalidInput, PastTime
from every8d.times import aware

if TYPE_CHECKING:
    import uuid

# A time "now" of the caller's may be a moment old when it arrives here.
PAST_TOLERANCE = timedelta(seconds=5)
# Nearer bookings could not be erased in time.
GATEWAY_LEAD = timedelta(minutes=10)


@dataclass(frozen=True, slots=True, repr=False)
class Header:
    """A checked header. Times are in UTC, `validity` in minutes, `deadline` as the body has it."""

    request: uuid.UUID
    account: str
    lane: Lane
    text: str | None
    subject: str
    send_at: datetime | None
    schedule: Schedule
    validity: int | None
    deadline: str | int | None
    duplicates: bool
    enqueued_at: datetime

    def fields(self) -> dict[str, Any]:
        """The header's part of a body."""
        return {
            "v": VERSION,
            "request": str(self.request),
            "account": self.account,
            "lane": self.lane,
            "text": self.text,
            "subject": self.subject,
            "send_at": None if self.send_at is None else self.send_at.isoformat(),
            "schedule": self.schedule,
            "validity": self.validity,
            "deadline": self.deadline,
            "duplicates": self.duplicates,
            "enqueued_at": self.enqueued_at.isoformat(),
        }


def checked(
    *,
    request: uuid.UUID,
    account: str,
    lane: str,
    text: str | None,
    subject: str,
    send_at: datetime | None,
    schedule: str,
    validity: int | timedelta | None,
    deadline: datetime | timedelta | None,
    duplicates: bool,
    now: datetime,
) -> Header:
    """A `Header`, or InvalidInput (InvalidText, PastTime) that says what to correct.

    Naive times are Asia/Taipei; a `validity` is whole minutes or a timedelta, 1 to 1,440 minutes; a
    `deadline` as a timedelta counts from now.
    """
    if lane not in get_args(Lane):
        raise InvalidInput("the lane is one of otp, normal, bulk", "lane 須為 otp、normal、bulk 之一")
    if schedule not in get_args(Schedule):
        raise InvalidInput("the schedule is ledger or gateway", "schedule 須為 ledger 或 gateway")
    if len(subject) > MAX_SUBJECT or not is_one_line(subject):
        raise InvalidInput(
            f"the subject is one line of at most {MAX_SUBJECT} characters",
            f"主旨須為 {MAX_SUBJECT} 字以內的單行文字",
        )
    due = None if send_at is None else not_past(send_at, now)
    if schedule == "gateway":
        if due is None:
            raise InvalidInput("schedule='gateway' needs a send_at", "schedule='gateway' 須指定 send_at")
        if due < now + GATEWAY_LEAD:
            raise InvalidInput(
                "schedule='gateway' needs a send_at at least 10 minutes ahead; otherwise use 'ledger'",
                "schedule='gateway' 的 send_at 須在 10 分鐘以後；較近的時間請用 schedule='ledger'",
            )
    return Header(
        request=request,
        account=account,
        lane=cast("Lane", lane),
        text=None if text is None else texts.body(text),
        subject=subject,
        send_at=due,
        schedule=cast("Schedule", schedule),
        validity=None if validity is None else _minutes(validity),
        deadline=None if deadline is None else _deadline(deadline, now, due),
        duplicates=duplicates,
        enqueued_at=now.astimezone(UTC),
    )


def check_account(account: str) -> str:
    """The account's name. Raises InvalidInput; before ids are made of it."""
    if not ACCOUNT.fullmatch(account):
        raise InvalidInput(
            "an account's name is up to 64 letters, digits, dots, dashes, underscores",
            "帳號代稱須為 64 字以內的英數字、點、連字號或底線",
        )
    return account


def not_past(moment: datetime, now: datetime) -> datetime:
    """The moment in UTC, whole seconds as the gateway has them. Raises PastTime for more than 5 s ago."""
    due = aware(moment).astimezone(UTC).replace(microsecond=0)
    if due < now - PAST_TOLERANCE:
        raise PastTime
    return due


def _minutes(validity: int | timedelta) -> int:
    if isinstance(validity, timedelta):
        minutes, rest = divmod(validity, timedelta(minutes=1))
    else:
        minutes, rest = validity, timedelta()
    if type(minutes) is not int or rest or not 1 <= minutes <= MAX_VALIDITY:
        raise InvalidInput(
            f"the validity is in whole minutes, from 1 to {MAX_VALIDITY}",
            f"有效期限須為 1 至 {MAX_VALIDITY} 的整數分鐘",
        )
    return minutes


def _deadline(deadline: datetime | timedelta, now: datetime, due: datetime | None) -> str | int:
    if isinstance(deadline, timedelta):
        seconds = int(deadline.total_seconds())
        if not 1 <= seconds <= MAX_DEADLINE_S:
            raise InvalidInput(
                "the deadline is from 1 second to 400 days from now", "deadline 須在 1 秒至 400 天之內"
            )
        end = now + timedelta(seconds=seconds)
        # Not the moment: a repeated call with the same idempotency key must give the same body.
        written: str | int = seconds
    else:
        end = aware(deadline).astimezone(UTC)
        written = end.isoformat()
        if end <= now:
            raise PastTime("the deadline has already passed", "deadline 已過")
    if due is not None and end <= due:
        raise InvalidInput(
            "the deadline is before send_at: nothing could be sent", "deadline 早於 send_at，將無法發送"
        )
    return written
