"""Cancelling: what still waits is stopped here; what is booked at the gateway is erased there."""

import uuid
from dataclasses import dataclass
from typing import Any

from sqlalchemy import Connection, false, func, select, update

from every8d.replies import Erased
from worker.ledger import caps, gate
from worker.ledger.database import Database
from worker.ledger.events import Event, record
from worker.ledger.tables import account, chunk, message, request
from worker.ledger.unpaid import IS_HELD, UNSENT
from worker.states import ChunkState, EraseState, MessageState, RequestState

#: The others were never sent: there was nothing to stop.
_WITH_THE_GATEWAY = (
    MessageState.PACKED,
    MessageState.DELIVERED,
    MessageState.UNDELIVERED,
    MessageState.SENT,
)
#: An eraseBooking whose process died is asked again after this; erasing twice does no harm.
ASK_AGAIN_MS = 60_000


@dataclass(frozen=True, slots=True)
class Booked:
    """A booked batch that is to be erased."""

    chunk_id: int
    account: str
    batch_id: str


def stop(database: Database, request_id: uuid.UUID) -> int | None:
    """Stops every message of the request that still waits, and marks its booked chunks. None: no such request.

    Returns how many messages were stopped by this call.
    """
    now_ms = database.now_ms()

    def work(connection: Connection) -> int | None:
        row = connection.execute(
            select(request.c.state, request.c.account, request.c.lane, request.c.cancelled_ms)
            .where(request.c.id == request_id)
            .with_for_update()
        ).first()
        if row is None:
            return None
        stopped = connection.execute(
            update(message)
            .where(message.c.request_id == request_id, message.c.due_ms.is_not(None))
            .values(state=MessageState.CANCELLED, due_ms=None, final_ms=now_ms)
        ).rowcount
        # Those that the gateway left unsent keep their chunk: should they be out after all, it is the one that says so.
        stopped += connection.execute(
            update(message)
            .where(message.c.request_id == request_id, IS_HELD)
            .values(state=MessageState.CANCELLED, final_ms=now_ms)
        ).rowcount
        values: dict[str, Any] = {
            "cancelled_ms": func.coalesce(request.c.cancelled_ms, now_ms),
            "next_due_ms": None,
        }
        if row.state in (RequestState.STAGED, RequestState.READY, RequestState.ABANDONED):
            values["state"] = RequestState.CANCELLED
        connection.execute(update(request).where(request.c.id == request_id).values(values))
        if row.cancelled_ms is None:
            detail = f"cancelled: {stopped} messages were stopped before the gateway had them"
            record(
                connection,
                Event(
                    "request_cancelled", now_ms, row.account, row.lane, request_id=request_id, detail=detail
                ),
            )
        return stopped

    return database.write(work, point="cancel.stop")


def claim_erasures(database: Database, *, only: uuid.UUID | None = None, limit: int = 200) -> list[Booked]:
    """Booked batches of cancelled requests that nobody is erasing, leased to us for a minute."""
    now_ms = database.now_ms()

    def work(connection: Connection) -> list[Booked]:
        wanted = (
            select(chunk.c.id, chunk.c.account, chunk.c.batch_id, chunk.c.erase)
            .where(
                chunk.c.id.in_(_chunks_of_cancelled(only)),
                chunk.c.state == ChunkState.ACCEPTED,
                chunk.c.send_time_ms > now_ms,
                chunk.c.batch_id.is_not(None),
                (chunk.c.erase.is_(None))
                | (chunk.c.erase == EraseState.WANTED)
                | (chunk.c.erase == EraseState.ASKING),
                (chunk.c.erase_ms.is_(None)) | (chunk.c.erase_ms <= now_ms),
            )
            .order_by(chunk.c.id)
            .limit(limit)
            .with_for_update(skip_locked=True)
        )
        rows = connection.execute(wanted).all()
        if rows:
            connection.execute(
                update(chunk)
                .where(chunk.c.id.in_([row.id for row in rows]))
                .values(erase=EraseState.ASKING, erase_ms=now_ms + ASK_AGAIN_MS)
            )
        for alias in {row.account for row in rows if row.erase == EraseState.ASKING}:
            # Whoever asked before us died, and the gateway may still be at it.
            _answer_lost(connection, alias, now_ms)
        return [Booked(row.id, row.account, row.batch_id) for row in rows]

    return database.write(work, point="cancel.claim")


def begin_erasure(database: Database, booked: Booked, lease_ms: int) -> bool:
    """Just before eraseBooking, for an account whose credit is evidence: registers the call. False: the gate is closed.

    It brings back points, so the credit is compared with a later one from now on.
    """

    def work(connection: Connection) -> bool:
        now_ms = database.now_ms()
        if not gate.passes(database, connection, booked.account, now_ms):
            return False
        gate.forget_baseline(connection, booked.account)
        connection.execute(
            update(chunk)
            .where(chunk.c.id == booked.chunk_id)
            .values(erase=EraseState.ASKING, erase_ms=now_ms + lease_ms)
        )
        return True

    return database.write(work, point="cancel.begin")


def _answer_lost(connection: Connection, alias: str, now_ms: int) -> None:
    connection.execute(update(account).where(account.c.alias == alias).values(erase_lost_ms=now_ms))


def _chunks_of_cancelled(only: uuid.UUID | None) -> Any:
    wanted = (
        select(message.c.chunk_id)
        .join(request, request.c.id == message.c.request_id)
        .where(
            request.c.cancelled_ms.is_not(None),
            request.c.schedule == "gateway",
            message.c.chunk_id.is_not(None),
            message.c.final_ms.is_(None),
        )
        .distinct()
    )
    return wanted.where(request.c.id == only) if only is not None else wanted


def erased(database: Database, booked: Booked, answer: Erased) -> None:
    """The gateway erased the batch: its messages are cancelled, and so many points came back."""
    now_ms = database.now_ms()

    def work(connection: Connection) -> None:
        connection.execute(
            update(chunk)
            .where(chunk.c.id == booked.chunk_id)
            .values(erase=EraseState.ERASED, erase_ms=None, erased=answer.count, points_back=answer.points)
        )
        whole = connection.scalar(select(chunk.c.size).where(chunk.c.id == booked.chunk_id)) == answer.count
        if whole:
            caps.give_back(connection, booked.chunk_id)
            connection.execute(
                update(message)
                .where(message.c.chunk_id == booked.chunk_id, message.c.final_ms.is_(None))
                .values(state=MessageState.CANCELLED, final_ms=now_ms)
            )
            connection.execute(
                update(chunk)
                .where(chunk.c.id == booked.chunk_id)
                .values(pending=0, final_ms=now_ms, next_poll_ms=None)
            )
        else:
            # Only the batch's own statuses say which ones.
            connection.execute(update(chunk).where(chunk.c.id == booked.chunk_id).values(next_poll_ms=now_ms))

    database.write(work, point="cancel.erased")


def erasure_ended(
    database: Database, booked: Booked, state: EraseState, *, again_ms: int | None = None
) -> None:
    """The booking was not erased (too late), or nobody knows (polling will say), or it is asked again at `again_ms`."""
    now_ms = database.now_ms()
    values: dict[str, Any] = {"erase": state, "erase_ms": again_ms}
    if state in (EraseState.UNKNOWN, EraseState.TOO_LATE):
        values["next_poll_ms"] = now_ms

    def work(connection: Connection) -> None:
        connection.execute(update(chunk).where(chunk.c.id == booked.chunk_id).values(values))
        if state == EraseState.UNKNOWN:
            _answer_lost(connection, booked.account, now_ms)

    database.write(work, point="cancel.ended")


@dataclass(frozen=True, slots=True)
class CancelCounts:
    """Where the messages of a cancelled request are: see the task's result."""

    stopped: int
    erased: int
    points_back: Any
    too_late: int
    pending: int


def cancel_counts(database: Database, request_id: uuid.UUID) -> CancelCounts:
    """What became of a cancelled request's messages so far."""
    booked = func.coalesce(chunk.c.send_time_ms > database.now_ms(), false()).label("booked")
    unsent = func.coalesce(message.c.status == UNSENT, false()).label("unsent")
    with database.read() as connection:
        rows = connection.execute(
            select(
                message.c.state,
                chunk.c.state.label("chunk_state"),
                chunk.c.erase,
                booked,
                unsent,
                func.count().label("n"),
            )
            .select_from(message.outerjoin(chunk, chunk.c.id == message.c.chunk_id))
            .where(message.c.request_id == request_id)
            .group_by(message.c.state, chunk.c.state, chunk.c.erase, booked, unsent)
        ).all()
        chunks = select(message.c.chunk_id).where(
            message.c.request_id == request_id, message.c.chunk_id.is_not(None)
        )
        back = connection.execute(
            select(func.coalesce(func.sum(chunk.c.points_back), 0)).where(chunk.c.id.in_(chunks.distinct()))
        ).scalar_one()
    stopped = erased_count = too_late = pending = 0
    for row in rows:
        if row.state == MessageState.CANCELLED:
            # Of a chunk that the gateway did not take, or did not send, they were stopped here.
            if row.chunk_state == ChunkState.ACCEPTED and not row.unsent:
                erased_count += row.n
            else:
                stopped += row.n
        elif (
            row.state == MessageState.PACKED
            and row.erase != EraseState.TOO_LATE
            and (
                row.chunk_state in (ChunkState.SUBMITTING, ChunkState.UNKNOWN)
                or row.erase is not None
                or row.booked
            )
        ):
            pending += row.n
        elif row.state in _WITH_THE_GATEWAY:
            too_late += row.n
    return CancelCounts(stopped, erased_count, back, too_late, pending)
