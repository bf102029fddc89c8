"""The ledger's side of polling: which batch is next, and storing a page of delivery statuses in one commit."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

from sqlalchemy import Connection, func, select, update

from every8d.replies import StatusRow
from worker.ledger.database import Database
from worker.ledger.events import Event, record
from worker.ledger.progress import BOOKED
from worker.ledger.statusrows import store_rows
from worker.ledger.tables import chunk, message
from worker.states import FINAL, ChunkState, EraseState, MessageState


@dataclass(frozen=True, slots=True)
class PollClaim:
    """A batch that is ours to poll until its lease ends; `page` is where the last poll stopped."""

    chunk_id: int
    account: str
    lane: str
    batch_id: str
    size: int
    page: int
    polls: int
    answered_ms: int
    send_time_ms: int | None
    erase: str | None
    #: Until when it is ours; whoever comes after that may store statuses, but not where to go on.
    lease_ms: int
    began_ms: int


def claim_poll(database: Database, account: str, lease_s: float) -> PollClaim | None:
    """The batch whose poll is due longest, leased to us; None where none is due."""
    now_ms = database.now_ms()

    def work(connection: Connection) -> PollClaim | None:
        row = connection.execute(
            select(
                chunk.c.id,
                chunk.c.account,
                chunk.c.lane,
                chunk.c.batch_id,
                chunk.c.size,
                chunk.c.poll_page,
                chunk.c.polls,
                chunk.c.answered_ms,
                chunk.c.send_time_ms,
                chunk.c.erase,
            )
            .where(
                chunk.c.account == account,
                chunk.c.next_poll_ms <= now_ms,
                (chunk.c.poll_lease_ms.is_(None)) | (chunk.c.poll_lease_ms < now_ms),
            )
            .order_by(chunk.c.next_poll_ms)
            .limit(1)
            .with_for_update(skip_locked=True)
        ).first()
        if row is None:
            return None
        lease_ms = now_ms + int(lease_s * 1000)
        connection.execute(update(chunk).where(chunk.c.id == row.id).values(poll_lease_ms=lease_ms))
        return PollClaim(*list[Any]([*row, lease_ms, now_ms]))

    return database.write(work, bulk=True, point="poll.claim")


def due(database: Database, account: str, *, at_least: int = 1) -> bool:
    """Whether so many batches of the account are to be polled now, and nobody is at it."""
    now_ms = database.now_ms()
    with database.read() as connection:
        found = select(chunk.c.id).where(
            chunk.c.account == account,
            chunk.c.next_poll_ms <= now_ms,
            (chunk.c.poll_lease_ms.is_(None)) | (chunk.c.poll_lease_ms < now_ms),
        )
        return len(connection.execute(found.limit(at_least)).all()) == at_least


def due_polls(database: Database) -> list[str]:
    """The accounts with a poll that is due."""
    with database.read() as connection:
        rows = connection.execute(
            select(chunk.c.account).where(chunk.c.next_poll_ms <= database.now_ms()).group_by(chunk.c.account)
        )
        return [row.account for row in rows]


def store_page(database: Database, poll: PollClaim, rows: Sequence[StatusRow], next_page: int) -> None:
    """Commits a page: statuses that say more than what is known, replies that are new, and where to go on."""
    now_ms = database.now_ms()

    def work(connection: Connection) -> None:
        _lock(connection, poll)
        store_rows(database, connection, poll, rows, now_ms)
        connection.execute(update(chunk).where(_ours(poll)).values(poll_page=next_page))

    database.write(work, bulk=True, point="poll.page")


def store_last_page(
    database: Database,
    poll: PollClaim,
    rows: Sequence[StatusRow],
    plan: Callable[[int], int | None],
    *,
    count: int | None = None,
) -> int:
    """Commits the last page, and when to ask again: `plan` says so, of the number of messages that are still open.

    Returns that number. A plan of None ends the polling of this batch. Messages that are held for want of credit are
    not open: of them the gateway has said its word. `count`: the batch's rows, where the poll began at its first page.
    """
    now_ms = database.now_ms()

    def work(connection: Connection) -> int:
        _lock(connection, poll)
        store_rows(database, connection, poll, rows, now_ms)
        pending = (
            connection.scalar(
                select(func.count()).where(
                    message.c.chunk_id == poll.chunk_id,
                    message.c.final_ms.is_(None),
                    message.c.state != MessageState.NO_CREDIT,
                )
            )
            or 0
        )
        next_poll_ms = plan(pending)
        values: dict[str, Any] = {
            "polls": poll.polls + 1,
            "poll_page": 1,
            "poll_lease_ms": None,
            "next_poll_ms": next_poll_ms,
            "pending": pending,
        }
        if pending == 0:
            values["final_ms"] = func.coalesce(chunk.c.final_ms, now_ms)
        if count is not None:
            values |= {"polled_ms": poll.began_ms, "polled_rows": count}
        ours = connection.execute(update(chunk).where(_ours(poll)).values(values)).rowcount == 1
        if poll.erase == EraseState.UNKNOWN:
            _settle_erasure(connection, poll.chunk_id)
        if ours and pending and next_poll_ms is None:
            record(
                connection,
                Event(
                    "polling_given_up",
                    now_ms,
                    account=poll.account,
                    lane=poll.lane,
                    chunk_id=poll.chunk_id,
                    detail=f"{pending} messages have no final status; they are not asked for any longer",
                ),
            )
        return pending

    return database.write(work, bulk=True, point="poll.last_page")


def postpone_poll(database: Database, poll: PollClaim, next_poll_ms: int) -> None:
    """The poll failed: the same page again, later. Nothing of what is stored is lost."""
    statement = update(chunk).where(_ours(poll)).values(poll_lease_ms=None, next_poll_ms=next_poll_ms)
    database.write(lambda connection: connection.execute(statement), point="poll.postpone")


def _lock(connection: Connection, poll: PollClaim) -> None:
    """The chunk before its messages, as callbacks do: of two statuses stored at once the higher one must stay."""
    connection.execute(select(chunk.c.id).where(chunk.c.id == poll.chunk_id).with_for_update())


def _ours(poll: PollClaim) -> Any:
    """SQL: the polled chunk, unless another process has taken the poll over since."""
    return (chunk.c.id == poll.chunk_id) & (chunk.c.poll_lease_ms == poll.lease_ms)


def _settle_erasure(connection: Connection, chunk_id: int) -> None:
    """A lost answer to eraseBooking: the batch's own statuses say whether it was erased."""
    states = {
        row.state: row.n
        for row in connection.execute(
            select(message.c.state, func.count().label("n"))
            .where(message.c.chunk_id == chunk_id)
            .group_by(message.c.state)
        )
    }
    booked = select(message.c.seq).where(
        message.c.chunk_id == chunk_id, message.c.final_ms.is_(None), message.c.status == BOOKED
    )
    if MessageState.CANCELLED in states:
        outcome, erased = EraseState.ERASED, states[MessageState.CANCELLED]
    elif any(state in states for state in FINAL - {MessageState.NO_CREDIT}):
        outcome, erased = EraseState.TOO_LATE, 0
    elif connection.execute(booked.limit(1)).first() is not None:
        # The call never arrived: the booking stands, and is to be erased still.
        outcome, erased = EraseState.WANTED, None
    else:
        return
    connection.execute(
        update(chunk)
        .where(
            chunk.c.id == chunk_id, chunk.c.state == ChunkState.ACCEPTED, chunk.c.erase == EraseState.UNKNOWN
        )
        .values(erase=outcome, erased=erased, erase_ms=None)
    )
