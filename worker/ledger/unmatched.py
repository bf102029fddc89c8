"""Callbacks that fit nothing, for operators: kept, counted, listed. Times are aware, in UTC."""

from dataclasses import dataclass
from datetime import datetime

from sqlalchemy import func, select

from worker import token
from worker.ledger.database import Database
from worker.ledger.queries import at, moment
from worker.ledger.tables import inbox
from worker.reports import ReportState


@dataclass(frozen=True, slots=True, repr=False)
class UnmatchedCallback:
    """One callback. `reason` is a word of `worker.reports.Reason`; no `again_at`: it is only kept."""

    id: int
    at: datetime
    account: str
    number: str
    status: int | None
    batch_id: str | None
    chunk: str | None
    reason: str
    looks: int
    again_at: datetime | None


@dataclass(frozen=True, slots=True)
class InboxCounts:
    """How many callbacks wait for their first look, or for the answer of their call; and how many fit nothing."""

    waiting: int
    unmatched: int


def unmatched(
    database: Database, *, account: str | None = None, since: datetime | None = None, limit: int = 100
) -> list[UnmatchedCallback]:
    """The callbacks that fit nothing, the newest first."""
    wanted = (
        select(inbox).where(inbox.c.state == ReportState.UNMATCHED).order_by(inbox.c.id.desc()).limit(limit)
    )
    if account is not None:
        wanted = wanted.where(inbox.c.account == account)
    if since is not None:
        wanted = wanted.where(inbox.c.received_ms >= int(since.timestamp() * 1000))
    with database.read() as connection:
        rows = connection.execute(wanted).all()
    return [
        UnmatchedCallback(
            id=row.id,
            at=at(row.received_ms),
            account=row.account,
            number=row.number,
            status=row.status,
            batch_id=row.batch_id,
            chunk=token.encode(row.chunk_id or row.token) if row.chunk_id or row.token else None,
            reason=row.reason or "",
            looks=row.looks,
            again_at=moment(row.look_ms),
        )
        for row in rows
    ]


def counts(database: Database, *, account: str | None = None) -> InboxCounts:
    """How many there are now, of one account or of all."""
    waiting = select(func.count()).where(inbox.c.look_ms.is_not(None), inbox.c.state == ReportState.WAITING)
    fits_nothing = select(func.count()).where(inbox.c.state == ReportState.UNMATCHED)
    if account is not None:
        waiting = waiting.where(inbox.c.account == account)
        fits_nothing = fits_nothing.where(inbox.c.account == account)
    with database.read() as connection:
        return InboxCounts(connection.scalar(waiting) or 0, connection.scalar(fits_nothing) or 0)
