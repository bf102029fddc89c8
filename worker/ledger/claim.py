"""Claiming: the oldest due messages of one pack key become a chunk in state `submitting`, in one commit.

Whoever commits a claim makes the gateway call at once, or gives the chunk back. The chunk's lease, by the database's
clock, is the only sign that somebody works on it.
"""

import time
import uuid
from collections.abc import Sequence
from dataclasses import dataclass
from decimal import Decimal
from typing import Any

from sqlalchemy import Connection, bindparam, func, insert, select, text, update

from worker import token
from worker.ledger import bounds, gate
from worker.ledger.bounds import Bounds
from worker.ledger.database import Database
from worker.ledger.events import Event, record
from worker.ledger.pauses import LANE_GOES, nothing_paused
from worker.ledger.rows import joined
from worker.ledger.tables import chunk, message, request
from worker.packing import Candidate, Packed, pack
from worker.states import ChunkState, MessageState

#: A booking nearer than this is not handed to the gateway any more.
BOOKING_MARGIN_MS = 120_000
#: A claim looks so often: what it finds first may be gone, or no longer due.
LOOKS = 20


@dataclass(frozen=True, slots=True)
class Terms:
    """What a claim goes by. Times in seconds, size in messages, `worker` names the process for operators."""

    size: int
    lease_s: float
    worker: str
    #: Operations that the gateway refused to know.
    operations_off: frozenset[str] = frozenset()
    #: Caps on texts to one number, and limits on points; None where the account has none.
    bounds: Bounds | None = None
    #: The account's credit is evidence: its gate is looked at, and nothing is claimed while it is closed.
    exclusive: bool = False
    #: Only requests whose price was held against the credit: see `worker.funds`.
    priced: bool = False


class UnpricedError(Exception):
    """These requests are next, and nobody has held their prices against the credit yet: nothing was claimed."""

    def __init__(self, requests: list[uuid.UUID]) -> None:
        super().__init__(f"{len(requests)} requests have no price yet")
        self.requests = requests


@dataclass(frozen=True, slots=True, repr=False)
class Claim:
    """A chunk that is ours to send: what the call needs, and until when (milliseconds, the database's clock)."""

    id: int
    account: str
    lane: str
    subject: str
    packed: Packed
    send_time_ms: int | None
    lease_ms: int
    #: More messages were due than fit.
    more: bool
    #: When its lease began, by `time.monotonic`: asking the database again could fail with the chunk in hand.
    since: float

    def left_s(self, lease_s: float) -> float:
        """Seconds that are left of a lease of so many."""
        return lease_s - (time.monotonic() - self.since)

    def __repr__(self) -> str:
        return f"Claim({token.encode(self.id)}, {len(self.packed.messages)} messages)"


def claim(
    database: Database,
    account: str,
    lane: str,
    terms: Terms,
    *,
    only: uuid.UUID | None = None,
    chunk_id: int | None = None,
) -> Claim | None:
    """Takes the next chunk of a lane, or None where nothing is due. `only` looks at one request alone.

    `chunk_id` names the chunk beforehand: a caller whose commit was not answered knows what to give back.
    Raises UnpricedError, where the terms ask for prices.
    """
    for _ in range(LOOKS):
        found = _look(database, account, lane, terms, only, chunk_id)
        if not isinstance(found, _Again):
            return found
    return None


class _Again:
    """The oldest requests had nothing left for us, and are put right: others may be due behind them."""


def _look(
    database: Database, account: str, lane: str, terms: Terms, only: uuid.UUID | None, named: int | None
) -> Claim | _Again | None:
    now_ms, since = database.now_ms(), time.monotonic()

    def work(connection: Connection) -> Claim | _Again | None:
        if terms.exclusive and not gate.passes(database, connection, account, now_ms):
            return None
        requests = _lock_requests(connection, account, lane, terms, now_ms, only)
        if requests is None:
            return None
        live = _expire(connection, requests, now_ms)
        if not live:
            return _Again()
        lease_ms = now_ms + int(terms.lease_s * 1000)
        if _is_too_late_to_book(live[0], now_ms, lease_ms):
            _hold_here(connection, live[0])
            return _Again()
        candidates = _candidates(connection, live, terms.size, now_ms)
        exhausted = len(candidates) < terms.size
        if terms.bounds is not None:
            candidates = bounds.within(database, connection, terms.bounds, live, candidates, now_ms)
        packed = pack(candidates, {row.id: row for row in live}, terms.size, terms.operations_off)
        if packed is None:
            _recompute_due(connection, [row.id for row in live])
            return _Again()
        first = next(row for row in live if row.id == packed.messages[0].request_id)
        chunk_id = named if named is not None else token.new_id(now_ms)
        send_time_ms = first.send_at_ms if first.schedule == "gateway" and first.send_at_ms > now_ms else None
        connection.execute(
            _NEW_CHUNK,
            {
                "id": chunk_id,
                "account": account,
                "lane": lane,
                "state": ChunkState.SUBMITTING,
                "operation": packed.operation,
                "size": len(packed.messages),
                "points": Decimal(packed.points),
                "send_time_ms": send_time_ms,
                "attempt": max(one.attempts for one in packed.messages) + 1,
                "worker": terms.worker,
                "claimed_ms": now_ms,
                "lease_ms": lease_ms,
                "pending": len(packed.messages),
            },
        )
        _point(database, connection, chunk_id, packed.messages)
        if terms.bounds is not None:
            bounds.keep(connection, terms.bounds, first, chunk_id, now_ms)
        _recompute_due(connection, [row.id for row in live if exhausted or row.size == 1])
        more = not exhausted or len(packed.messages) < len(candidates)
        return Claim(chunk_id, account, lane, first.subject, packed, send_time_ms, lease_ms, more, since)

    return database.write(work, bulk=lane == "bulk", point="send.claim")


def due(database: Database, account: str, lane: str) -> bool:
    """Whether something of the lane is due: a look that costs little and takes nothing."""
    with database.read() as connection:
        of_lane = {"account": account, "lane": lane, "now": database.now_ms()}
        return connection.execute(_DUE, of_lane).first() is not None


def due_lanes(database: Database) -> list[tuple[str, str]]:
    """Every (account, lane) in which something is due."""
    with database.read() as connection:
        rows = connection.execute(
            select(request.c.account, request.c.lane)
            .where(
                request.c.next_due_ms <= database.now_ms(),
                request.c.paused_ms.is_(None),
                nothing_paused(request.c.account, request.c.lane),
            )
            .group_by(request.c.account, request.c.lane)
        )
        return [(row.account, row.lane) for row in rows]


# Statements are made once: building one takes SQLAlchemy longer than running it takes the database.
_NEW_CHUNK = insert(chunk)
_IS_DUE = (
    (request.c.account == bindparam("account"))
    & (request.c.lane == bindparam("lane"))
    & (request.c.next_due_ms <= bindparam("now"))
    & request.c.paused_ms.is_(None)
    & LANE_GOES
)
_DUE = select(request.c.id).where(_IS_DUE).limit(1)
_OLDEST = (
    select(request.c.id, request.c.pack_key, request.c.size, request.c.funds)
    .where(_IS_DUE)
    .order_by(request.c.next_due_ms, request.c.id)
    .limit(bindparam("most"))
)
_WANTED = (
    select(
        request.c.id,
        request.c.account,
        request.c.lane,
        request.c.text,
        request.c.subject,
        request.c.send_at_ms,
        request.c.schedule,
        request.c.validity_min,
        request.c.deadline_ms,
        request.c.size,
        request.c.next_due_ms,
    )
    .where(
        request.c.id.in_(bindparam("ids", expanding=True)),
        request.c.next_due_ms <= bindparam("now"),
        request.c.paused_ms.is_(None),
        LANE_GOES,
    )
    .order_by(request.c.next_due_ms, request.c.id)
)
_LOCKED = _WANTED.with_for_update(skip_locked=True)
_LOCKED_FIRST = _WANTED.limit(1).with_for_update()
_WAITING = (
    select(
        message.c.request_id,
        message.c.seq,
        message.c.number,
        message.c.text,
        message.c.name,
        message.c.email,
        message.c.points,
        message.c.part,
        message.c.attempts,
    )
    .where(message.c.due_ms <= bindparam("now"))
    .order_by(message.c.due_ms, message.c.seq)
)
_WAITING_OF_SEVERAL = _WAITING.where(message.c.request_id.in_(bindparam("ids", expanding=True)))
_WAITING_OF_ONE = _WAITING.where(message.c.request_id == bindparam("of_request")).limit(bindparam("most"))
_RECOMPUTE = (
    update(request)
    .where(request.c.id.in_(bindparam("ids", expanding=True)))
    .values(
        next_due_ms=select(func.min(message.c.due_ms))
        .where(message.c.request_id == request.c.id, message.c.due_ms.is_not(None))
        .scalar_subquery()
    )
)


def _lock_requests(
    connection: Connection, account: str, lane: str, terms: Terms, now_ms: int, only: uuid.UUID | None
) -> Sequence[Any] | None:
    """The oldest due requests with one pack key, together as large as a chunk, locked against other claims.

    None where no request is due; empty where others have just taken what was left of those that were.
    """
    of_lane = {"account": account, "lane": lane, "now": now_ms}
    if only is not None:
        return connection.execute(_LOCKED, of_lane | {"ids": [only]}).all() or None
    rows = connection.execute(_OLDEST, of_lane | {"most": terms.size}).all()
    # Ids first and a lock after: only what this claim can use is locked.
    ids, enough = [], 0
    for row in rows:
        if row.pack_key == rows[0].pack_key and enough < terms.size:
            ids.append(row.id)
            enough += row.size
    if not ids:
        return None
    if terms.priced and (unpriced := [row.id for row in rows if row.funds is None]):
        raise UnpricedError(unpriced)
    locked = connection.execute(_LOCKED, of_lane | {"ids": ids}).all()
    # All of them are being claimed by others. A long request goes on with whoever comes next, so wait for that one.
    return locked or connection.execute(_LOCKED_FIRST, of_lane | {"ids": ids}).all()


def _expire(connection: Connection, requests: Sequence[Any], now_ms: int) -> list[Any]:
    """Messages past their request's deadline are never handed over. Returns the requests that still may be."""
    late = [row for row in requests if row.deadline_ms is not None and row.deadline_ms <= now_ms]
    for row in late:
        count = connection.execute(
            update(message)
            .where(message.c.request_id == row.id, message.c.due_ms.is_not(None))
            .values(state=MessageState.EXPIRED, due_ms=None, final_ms=now_ms)
        ).rowcount
        connection.execute(update(request).where(request.c.id == row.id).values(next_due_ms=None))
        if count:
            detail = f"{count} messages passed their deadline before the gateway had them; they are not sent"
            record(
                connection,
                Event("messages_expired", now_ms, row.account, row.lane, request_id=row.id, detail=detail),
            )
    return [row for row in requests if row not in late]


def _is_too_late_to_book(first: Any, now_ms: int, lease_ms: int) -> bool:
    """A booking that reaches the front when its time is near could be past when the gateway reads it."""
    latest_ms = max(lease_ms, now_ms + BOOKING_MARGIN_MS)
    return bool(first.schedule == "gateway" and now_ms < first.send_at_ms < latest_ms)


def _hold_here(connection: Connection, first: Any) -> None:
    """Its messages wait in the ledger for their time instead."""
    connection.execute(
        update(message)
        .where(message.c.request_id == first.id, message.c.due_ms.is_not(None))
        .values(due_ms=first.send_at_ms)
    )
    _recompute_due(connection, [first.id])


def _candidates(connection: Connection, requests: list[Any], size: int, now_ms: int) -> list[Candidate]:
    # All but the last are smaller than a chunk together, so only the last one is cut; the oldest go first.
    *whole, last = requests
    found: list[Candidate] = []
    if whole:
        rows = connection.execute(_WAITING_OF_SEVERAL, {"ids": [row.id for row in whole], "now": now_ms})
        order = {row.id: place for place, row in enumerate(whole)}
        found = sorted((Candidate(*row) for row in rows), key=lambda one: (order[one.request_id], one.seq))[
            :size
        ]
    of_last = {"of_request": last.id, "most": size - len(found), "now": now_ms}
    rows = connection.execute(_WAITING_OF_ONE, of_last)
    return found + [Candidate(*row) for row in rows]


_POINT_MANY = text(
    "UPDATE message SET chunk_id = :chunk, position = d.position, due_ms = NULL, state = 'packed' "
    "FROM unnest(CAST(string_to_array(:requests, ',') AS uuid[]), CAST(string_to_array(:seqs, ',') AS int[]), "
    "CAST(string_to_array(:positions, ',') AS int[])) "
    "AS d(request_id, seq, position) WHERE message.request_id = d.request_id AND message.seq = d.seq"
)
_POINT_ONE = (
    update(message)
    .where(message.c.request_id == bindparam("of_request"), message.c.seq == bindparam("of_seq"))
    .values(
        chunk_id=bindparam("to_chunk"),
        position=bindparam("to_position"),
        due_ms=None,
        state=MessageState.PACKED,
    )
)


def _point(database: Database, connection: Connection, chunk_id: int, messages: Sequence[Candidate]) -> None:
    """Points the messages to their chunk: one statement on PostgreSQL, one executemany on SQLite."""
    if database.is_postgres:
        connection.execute(
            _POINT_MANY,
            {
                "chunk": chunk_id,
                "requests": joined(one.request_id for one in messages),
                "seqs": joined(one.seq for one in messages),
                "positions": joined(range(1, len(messages) + 1)),
            },
        )
        return
    connection.execute(
        _POINT_ONE,
        [
            {"of_request": one.request_id, "of_seq": one.seq, "to_chunk": chunk_id, "to_position": place}
            for place, one in enumerate(messages, 1)
        ],
    )


def _recompute_due(connection: Connection, ids: list[uuid.UUID]) -> None:
    """`next_due_ms` from the messages themselves. The requests are locked by this transaction."""
    if ids:
        connection.execute(_RECOMPUTE, {"ids": ids})
