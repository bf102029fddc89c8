"""How far a request is: its messages counted by state, as people read them."""

import uuid
from dataclasses import dataclass
from decimal import Decimal
from typing import Any

from sqlalchemy import case, func, select

from worker.ledger.database import Database
from worker.ledger.pauses import Pause, Target, holding
from worker.ledger.tables import chunk, message, request
from worker.states import ChunkState, MessageState, RequestState

#: The words of the status task's counts, in the order of a message's life.
WORDS = (
    "waiting",
    "submitting",
    "unknown",
    "sent",
    "booked",
    "delivered",
    "undelivered",
    "refused",
    "cancelled",
    "expired",
    "no_credit",
    "duplicate",
)
#: The gateway's status of a message that is booked.
BOOKED = 300


def word(now_ms: int) -> Any:
    """SQL: a message's state in one of WORDS, from the message and its chunk (an outer join)."""
    accepted = case(
        (chunk.c.send_time_ms > now_ms, "booked"),
        (message.c.status == BOOKED, "booked"),
        else_="sent",
    )
    packed = case(
        (chunk.c.state == ChunkState.ACCEPTED, accepted),
        (chunk.c.state == ChunkState.UNKNOWN, "unknown"),
        else_="submitting",
    )
    return case((message.c.state == MessageState.PACKED, packed), else_=message.c.state)


@dataclass(frozen=True, slots=True)
class RequestProgress:
    """One request's state and counts; `cost` in points as the gateway says them, zero where it has said nothing yet."""

    request: uuid.UUID
    account: str
    lane: str
    state: str
    reason: str | None
    count: int
    counts: dict[str, int]
    cost: Decimal
    final: bool
    #: What holds it back: its account, its lane, itself. Empty where it is final.
    pauses: tuple[Pause, ...] = ()

    def result(self) -> dict[str, Any]:
        """The answer to a producer: ids and counts, and what operators say of a pause."""
        return {
            "request": str(self.request),
            "account": self.account,
            "lane": self.lane,
            "state": self.state,
            "reason": self.reason,
            "count": self.count,
            "messages": {name: self.counts.get(name, 0) for name in WORDS},
            "cost": f"{self.cost:.2f}",
            "final": self.final,
            "paused": [
                {
                    "what": one.what,
                    "by": one.by,
                    "why": one.why,
                    "since": one.since.isoformat() if one.since else None,
                }
                for one in self.pauses
            ],
        }


def progress(database: Database, request_id: uuid.UUID) -> RequestProgress | None:
    """Counts a request's messages. None where the ledger has no such request."""
    now_ms = database.now_ms()
    with database.read() as connection:
        row = connection.execute(
            select(
                request.c.account, request.c.lane, request.c.state, request.c.reason, request.c.size
            ).where(request.c.id == request_id)
        ).first()
        if row is None:
            return None
        state = word(now_ms).label("word")
        rows = connection.execute(
            select(
                state,
                func.count().label("n"),
                func.coalesce(func.sum(message.c.cost), 0).label("cost"),
                func.count(message.c.final_ms).label("final"),
            )
            .select_from(message.outerjoin(chunk, chunk.c.id == message.c.chunk_id))
            .where(message.c.request_id == request_id)
            .group_by(state)
        ).all()
    total, final = sum(one.n for one in rows), sum(one.final for one in rows)
    counts = {one.word: one.n for one in rows}
    name = row.state
    ended = name in (RequestState.ABANDONED, RequestState.REFUSED)
    over = ended or (name != RequestState.STAGED and final == total)
    if name == RequestState.READY and final == total:
        name = "done"
    elif name == RequestState.READY and counts.get("waiting", 0) < total:
        name = "sending"
    return RequestProgress(
        request_id,
        row.account,
        row.lane,
        str(name),
        row.reason,
        row.size or total,
        counts,
        sum((Decimal(one.cost) for one in rows), Decimal(0)),
        over,
        () if over else _pauses(database, Target(row.account, row.lane, request_id)),
    )


def _pauses(database: Database, target: Target) -> tuple[Pause, ...]:
    with database.read() as connection:
        return tuple(holding(connection, target))
