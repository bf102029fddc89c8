"""What a producer gets back. Ids and counts, never numbers or texts."""

import uuid
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal
from typing import Any

from every8d.seal import RowError


@dataclass(frozen=True, slots=True)
class Receipt:
    """What became of `send` or `send_many`.

    `count`: messages published. `points`: their predicted price by the specification's table (1.2), without
    the duplicates that are known here. `duplicates`: same number and same text twice; the ledger's count
    when confirmed, this process's own for a list, None for a stream that was not confirmed. `confirmed`:
    committed to the ledger; False means published only. `skipped`: the invalid rows that `skip_invalid`
    left out, the first 1,000 of `skipped_count`.
    """

    request_id: uuid.UUID
    account: str
    lane: str
    count: int
    points: int
    pages: int
    duplicates: int | None
    confirmed: bool
    skipped: tuple[RowError, ...] = ()
    skipped_count: int = 0


@dataclass(frozen=True, slots=True)
class Progress:
    """How far a stream is: rows read, of them invalid; messages and pages published."""

    rows: int
    invalid: int
    messages: int
    pages: int


@dataclass(frozen=True, slots=True)
class Price:
    """A prediction: points and segments of all messages together (specification 1.2)."""

    points: int
    segments: int
    messages: int


@dataclass(frozen=True, slots=True)
class Pause:
    """What holds a request back: `what` is account, lane or request.

    `by` is an operator's name, or gateway, limit or credit where nobody had to say so; `since` is in UTC.
    """

    what: str
    by: str
    why: str
    since: datetime | None


@dataclass(frozen=True, slots=True)
class RequestStatus:
    """Where a request is.

    `state` is unknown_request, staged, ready, sending, done, abandoned, refused or cancelled.

    `messages` counts them by state: waiting, submitting, unknown, sent, booked, delivered, undelivered,
    refused, cancelled, expired, no_credit, duplicate. `cost` is in points, as the gateway charged them.
    no_credit were left unsent for want of credit: they go out again after a top-up, until they are given up.
    `final`: nothing of it will change any more, but for replies. `paused`: why nothing more of it goes out.
    """

    request_id: uuid.UUID
    account: str | None
    lane: str | None
    state: str
    count: int
    messages: Mapping[str, int]
    cost: Decimal
    final: bool
    paused: tuple[Pause, ...] = ()

    @property
    def known(self) -> bool:
        """False when the ledger has never heard of it, or not yet: it may still be in the queue."""
        return self.state != "unknown_request"


@dataclass(frozen=True, slots=True)
class Cancelled:
    """What a cancellation still reached, in messages.

    `stopped` in the ledger, `erased` at the gateway with `points_back` points returned, `too_late` were
    sent already, `pending`: it is not known yet; polling will tell.
    """

    request_id: uuid.UUID
    stopped: int
    erased: int
    points_back: Decimal
    too_late: int
    pending: int


def read_status(request_id: uuid.UUID, answer: Mapping[str, Any]) -> RequestStatus:
    """The answer of the task `every8d.status`, typed. Raises what reading it raises."""
    return RequestStatus(
        request_id=request_id,
        account=answer.get("account"),
        lane=answer.get("lane"),
        state=str(answer["state"]),
        count=int(answer.get("count") or 0),
        messages={str(word): int(count) for word, count in (answer.get("messages") or {}).items()},
        cost=Decimal(answer.get("cost") or "0"),
        final=bool(answer.get("final", False)),
        paused=tuple(_pause(one) for one in answer.get("paused") or ()),
    )


def _pause(answer: Mapping[str, Any]) -> Pause:
    since = answer.get("since")
    return Pause(
        str(answer["what"]),
        str(answer["by"]),
        str(answer["why"]),
        datetime.fromisoformat(since) if since else None,
    )


def read_cancelled(request_id: uuid.UUID, answer: Mapping[str, Any]) -> Cancelled:
    """The answer of the task `every8d.cancel`, typed. Raises what reading it raises."""
    return Cancelled(
        request_id=request_id,
        stopped=int(answer["stopped"]),
        erased=int(answer["erased"]),
        points_back=Decimal(answer.get("points_back") or "0"),
        too_late=int(answer["too_late"]),
        pending=int(answer["pending"]),
    )
