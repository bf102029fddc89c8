"""Settling a chunk: committing what the gateway answered, before anything else is done with the answer.

Every function is one transaction. A chunk is settled from `submitting`, or from `unknown` when the answer comes after
the lease; who comes later finds it settled and changes nothing.
"""

import uuid
from collections.abc import Collection
from dataclasses import dataclass
from typing import Any

from sqlalchemy import Connection, bindparam, func, select, update

from every8d.replies import SendReply
from worker import token
from worker.ledger import caps, credit
from worker.ledger.database import Database
from worker.ledger.events import Event, record
from worker.ledger.tables import account, chunk, lane, message, request
from worker.states import ChunkState, MessageState

_OPEN = (ChunkState.SUBMITTING, ChunkState.UNKNOWN)
_ACCEPTED = update(chunk).where(chunk.c.id == bindparam("of_chunk"), chunk.c.state.in_(_OPEN))
_CREDIT = update(account).where(account.c.alias == bindparam("of_account"))


@dataclass(frozen=True, slots=True)
class Whose:
    """The chunk that a settlement is about: for events, which name it to people."""

    id: int
    account: str
    lane: str


@dataclass(frozen=True, slots=True)
class Tries:
    """How often a message may be tried, and the id for the halves of a chunk that has used that up."""

    limit: int
    new_part: int


def accepted(database: Database, whose: Whose, reply: SendReply, next_poll_ms: int) -> bool:
    """The gateway has it: the first commit after the answer, one statement. False when it was settled before."""
    now_ms = database.now_ms()
    values = {
        "of_chunk": whose.id,
        "state": ChunkState.ACCEPTED,
        "answered_ms": now_ms,
        "batch_id": reply.batch_id,
        "credit": reply.credit,
        "sended": reply.sended,
        "cost": reply.cost,
        "unsend": reply.unsend,
        "raw": reply.raw,
        "next_poll_ms": next_poll_ms,
    }
    return database.write(
        lambda connection: connection.execute(_ACCEPTED, values).rowcount == 1, point="settle.accepted"
    )


def note_reply(database: Database, whose: Whose, reply: SendReply, size: int) -> None:
    """What follows from an accepted chunk: the account's credit, and an alert where the counts do not add up."""
    now_ms = database.now_ms()

    def work(connection: Connection) -> None:
        connection.execute(
            _CREDIT,
            {"of_account": whose.account, "credit": reply.credit, "credit_ms": now_ms, "used_ms": now_ms},
        )
        if reply.unsend:
            detail = f"the gateway had no credit for {reply.unsend} of {size} messages; top up the account"
            record(connection, _event("credit_short", now_ms, whose, detail))
            credit.ran_short(connection, whose.account, reply.credit, now_ms)
        if reply.sended + reply.unsend != size:
            detail = (
                f"{size} messages went out, the gateway counts {reply.sended} sent and {reply.unsend} unsent"
            )
            record(connection, _event("chunk_short", now_ms, whose, detail))

    database.write(work, point="settle.note")


def unknown(database: Database, whose: Whose, why: str) -> bool:
    """Nobody knows whether the call was executed: kept as it is, never repeated by itself. `why` is for people."""
    now_ms = database.now_ms()

    def work(connection: Connection) -> bool:
        if not _leave(
            connection, whose.id, ChunkState.UNKNOWN, now_ms, why=why, only=(ChunkState.SUBMITTING,)
        ):
            return False
        detail = (
            f"it is not known whether chunk {token.encode(whose.id)} was sent: {why}; see `every8d unknown`"
        )
        record(connection, _event("chunk_unknown", now_ms, whose, detail))
        return True

    return database.write(work, point="settle.unknown")


def not_sent(
    database: Database,
    whose: Whose,
    why: str,
    *,
    code: int | None = None,
    tries: Tries | None = None,
) -> bool:
    """A definite no: its messages wait again, due at once; waiting is the lane's business.

    With `tries` it counts against them, once for each spell of the lane's waiting. A chunk whose messages have used
    them all is halved, so that one that is never taken does not hold up the others; alone, it is refused.
    """
    now_ms = database.now_ms()

    def work(connection: Connection) -> bool:
        if not _leave(connection, whose.id, ChunkState.NOT_SENT, now_ms, why=why, code=code):
            return False
        ids = _lock_requests_of(connection, whose.id)
        counts = tries is not None and not _waits(connection, whose, now_ms)
        if tries is not None and counts:
            _wear(connection, whose, tries, now_ms, code)
        _release(connection, whose.id, ids, now_ms, attempts=int(counts))
        return True

    return database.write(work, point="settle.not_sent")


def _waits(connection: Connection, whose: Whose, now_ms: int) -> bool:
    """Another loop of the lane has met the same trouble in this spell."""
    resume_ms = connection.scalar(
        select(lane.c.resume_ms).where(lane.c.account == whose.account, lane.c.lane == whose.lane)
    )
    return (resume_ms or 0) > now_ms


def _wear(connection: Connection, whose: Whose, tries: Tries, now_ms: int, code: int | None) -> None:
    mine = message.c.chunk_id == whose.id
    size, most = connection.execute(
        select(func.count(), func.coalesce(func.max(message.c.attempts), 0)).where(mine)
    ).one()
    if most + 1 < tries.limit:
        return
    if size > 1:
        _halve(connection, mine, size, tries.new_part)
        return
    _refuse_messages(connection, mine, now_ms, code)
    detail = f"a message is refused: the gateway did not take it {tries.limit} times ({code})"
    record(connection, _event("message_refused", now_ms, whose, detail))


def _halve(connection: Connection, mine: Any, size: int, new_part: int) -> None:
    upper = mine & (message.c.position > (size + 1) // 2)
    connection.execute(update(message).where(mine).values(part=new_part))
    connection.execute(update(message).where(upper).values(part=new_part + 1))


def refused(
    database: Database, whose: Whose, code: int, why: str, *, named: Collection[str] = (), new_part: int = 0
) -> bool:
    """The gateway refused the chunk for something in its messages; nothing of it was sent.

    Alone, or named by the gateway (`named`, numbers): the message is refused. Otherwise the chunk is halved: both
    halves wait again, each to go out by itself, until the one at fault is alone.
    """
    now_ms = database.now_ms()

    def work(connection: Connection) -> bool:
        if not _leave(connection, whose.id, ChunkState.REFUSED, now_ms, why=why, code=code):
            return False
        ids = _lock_requests_of(connection, whose.id)
        size = connection.scalar(select(func.count()).where(message.c.chunk_id == whose.id)) or 0
        mine = message.c.chunk_id == whose.id
        at_fault = mine & message.c.number.in_(list(named)) if named else mine
        if named or size == 1:
            count = _refuse_messages(connection, at_fault, now_ms, code)
            detail = f"{count} messages are refused by the gateway: {code}"
            record(connection, _event("message_refused", now_ms, whose, detail))
        else:
            _halve(connection, mine, size, new_part)
        _release(connection, whose.id, ids, now_ms, attempts=0)
        return True

    return database.write(work, point="settle.refused")


def given_back(database: Database, whose: Whose, why: str) -> bool:
    """Claimed, but no byte left: as if it had not been claimed."""
    return not_sent(database, whose, why)


def expire_leases(database: Database, *, limit: int = 100) -> list[Whose]:
    """Chunks whose worker is gone while `submitting`: nobody works on them, and nobody knows what became of them."""
    now_ms = database.now_ms()
    with database.read() as connection:
        rows = connection.execute(
            select(chunk.c.id, chunk.c.account, chunk.c.lane)
            .where(chunk.c.state == ChunkState.SUBMITTING, chunk.c.lease_ms < now_ms)
            .order_by(chunk.c.lease_ms)
            .limit(limit)
        ).all()
    lost = [Whose(row.id, row.account, row.lane) for row in rows]
    return [
        whose
        for whose in lost
        if unknown(database, whose, "its worker died, or lost the database, during the call")
    ]


def _leave(
    connection: Connection,
    chunk_id: int,
    state: ChunkState,
    now_ms: int,
    *,
    why: str,
    code: int | None = None,
    only: tuple[ChunkState, ...] = _OPEN,
) -> bool:
    statement = (
        update(chunk)
        .where(chunk.c.id == chunk_id, chunk.c.state.in_(only))
        .values(state=state, answered_ms=now_ms, why=why, code=code)
    )
    return connection.execute(statement).rowcount == 1


def _lock_requests_of(connection: Connection, chunk_id: int) -> list[uuid.UUID]:
    """The requests of a chunk, locked in the order of their ids: claims lock requests before messages, too."""
    ids = select(message.c.request_id).where(message.c.chunk_id == chunk_id).distinct()
    rows = connection.execute(
        select(request.c.id).where(request.c.id.in_(ids)).order_by(request.c.id).with_for_update()
    )
    return [row.id for row in rows]


def _refuse_messages(connection: Connection, which: Any, now_ms: int, code: int | None) -> int:
    return connection.execute(
        update(message)
        .where(which, message.c.state == MessageState.PACKED)
        .values(state=MessageState.REFUSED, final_ms=now_ms, code=code)
    ).rowcount


def release(connection: Connection, chunk_id: int, now_ms: int) -> None:
    """The chunk's messages wait again, within the caller's transaction: an operator says that they were not sent."""
    _release(connection, chunk_id, _lock_requests_of(connection, chunk_id), now_ms, attempts=0)


def _release(
    connection: Connection, chunk_id: int, ids: list[uuid.UUID], now_ms: int, *, attempts: int
) -> None:
    """The chunk's messages that are not final wait again; those of a request cancelled meanwhile are cancelled."""
    mine = (message.c.chunk_id == chunk_id) & (message.c.state == MessageState.PACKED)
    caps.give_back(connection, chunk_id)
    gone = connection.execute(
        select(request.c.id).where(request.c.id.in_(ids), request.c.cancelled_ms.is_not(None))
    ).all()
    if gone:
        connection.execute(
            update(message)
            .where(mine, message.c.request_id.in_([row.id for row in gone]))
            .values(state=MessageState.CANCELLED, final_ms=now_ms)
        )
    connection.execute(
        update(message)
        .where(mine)
        .values(
            state=MessageState.WAITING,
            due_ms=now_ms,
            chunk_id=None,
            position=None,
            attempts=message.c.attempts + attempts,
        )
    )
    connection.execute(
        update(request)
        .where(request.c.id.in_(ids), request.c.cancelled_ms.is_(None))
        .values(next_due_ms=now_ms)
    )
    connection.execute(update(chunk).where(chunk.c.id == chunk_id).values(pending=0))


def _event(kind: str, now_ms: int, whose: Whose, detail: str) -> Event:
    return Event(kind, now_ms, account=whose.account, lane=whose.lane, chunk_id=whose.id, detail=detail)
