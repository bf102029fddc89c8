"""What operators decide: unknown chunks, and breakers. Each decision is recorded with who and why."""

from dataclasses import dataclass
from datetime import datetime
from typing import Any, Literal

from sqlalchemy import Connection, select, update

from every8d.errors import Every8dError
from worker import token
from worker.ledger import caps, pauses, settle
from worker.ledger.database import Database
from worker.ledger.events import Event, record
from worker.ledger.queries import NotFound
from worker.ledger.tables import account, chunk, message
from worker.states import ChunkState, MessageState

#: It was not sent and goes out again; it was sent; it was not sent, and shall not be.
Decision = Literal["resend", "accept", "refuse"]


class WrongState(Every8dError):
    """The thing is not in the state that the decision is about."""


@dataclass(frozen=True, slots=True)
class SettledChunk:
    """What a decision made of a chunk."""

    chunk: str
    decision: str
    messages: int
    state: str


def settle_unknown(
    database: Database,
    chunk_token: str,
    decision: Decision,
    *,
    batch_id: str | None,
    by: str,
    why: str,
    now: datetime | None = None,
) -> SettledChunk:
    """An operator says what became of an unknown chunk.

    resend: it was not sent, its messages wait again (if that is wrong, people get the text twice). accept: the gateway
    has it; with a BatchID it is polled from now on, without one its messages end as `sent`. refuse: it was not sent
    and shall not be. Raises NotFound, WrongState.
    """
    try:
        chunk_id = token.decode(chunk_token.strip().upper())
    except ValueError:
        raise NotFound(f"{chunk_token} is no chunk's token") from None
    now_ms = int(now.timestamp() * 1000) if now is not None else database.now_ms()

    return database.write(
        lambda connection: decide(
            connection, chunk_id, decision, batch_id=batch_id, by=by, why=why, now_ms=now_ms
        ),
        point="operator.settle",
    )


def decide(
    connection: Connection,
    chunk_id: int,
    decision: Decision,
    *,
    batch_id: str | None,
    by: str,
    why: str,
    now_ms: int,
) -> SettledChunk:
    """`settle_unknown` within the caller's transaction, for whoever has evidence. Raises NotFound, WrongState."""
    chunk_token = token.encode(chunk_id)
    row = connection.execute(
        select(chunk.c.state, chunk.c.account, chunk.c.lane, chunk.c.size)
        .where(chunk.c.id == chunk_id)
        .with_for_update()
    ).first()
    if row is None:
        raise NotFound(f"the ledger has no chunk {chunk_token}")
    if row.state != ChunkState.UNKNOWN:
        raise WrongState(f"chunk {chunk_token} is not unknown but {row.state}: somebody settled it before")
    values: dict[str, Any] = {"settled_by": by, "settled_why": why, "settled_ms": now_ms}
    mine = (message.c.chunk_id == chunk_id) & (message.c.state == MessageState.PACKED)
    if decision == "accept":
        values |= {"state": ChunkState.ACCEPTED, "batch_id": batch_id, "answered_ms": now_ms}
        if batch_id is not None:
            values["next_poll_ms"] = now_ms
            state = "accepted: it is polled from now on"
        else:
            _end(connection, mine, MessageState.SENT, now_ms)
            values["pending"] = 0
            state = "sent: without a BatchID nothing more will be known"
    elif decision == "refuse":
        values |= {"state": ChunkState.REFUSED, "pending": 0}
        caps.give_back(connection, chunk_id)
        _end(connection, mine, MessageState.REFUSED, now_ms)
        state = "refused"
    else:
        values["state"] = ChunkState.NOT_SENT
        settle.release(connection, chunk_id, now_ms)
        state = "waiting"
    connection.execute(update(chunk).where(chunk.c.id == chunk_id).values(values))
    detail = f"{by} settled chunk {chunk_token}: {decision}. {why}"
    record(
        connection,
        Event("chunk_settled", now_ms, row.account, row.lane, chunk_id=chunk_id, detail=detail),
    )
    return SettledChunk(chunk_token, decision, row.size, state)


def _end(connection: Connection, which: Any, state: MessageState, now_ms: int) -> None:
    connection.execute(update(message).where(which).values(state=state, final_ms=now_ms))


@dataclass(frozen=True, slots=True)
class Unblocked:
    """An account whose breaker an operator closed, and what it was: paused, where only the gateway's refusals held it.

    `still`: the pauses that hold the account back all the same; `every8d resume` ends them.
    """

    alias: str
    was: str
    still: tuple[pauses.Pause, ...] = ()


def unblock_account(
    database: Database, alias: str, *, by: str, why: str, now: datetime | None = None
) -> Unblocked:
    """Closes the breaker, and ends the pause that the gateway's refusals made: the next message logs in again.

    What an operator paused stays paused: whoever mends a password need not know why. Raises NotFound.
    """
    now_ms = int(now.timestamp() * 1000) if now is not None else database.now_ms()

    def work(connection: Connection) -> Unblocked:
        row = connection.execute(
            select(account.c.breaker, account.c.paused, account.c.paused_by)
            .where(account.c.alias == alias)
            .with_for_update()
        ).first()
        if row is None:
            raise NotFound(f"the ledger has no account {alias}")
        connection.execute(
            update(account)
            .where(account.c.alias == alias)
            .values(
                breaker="closed",
                breaker_code=None,
                breaker_ms=now_ms,
                refusals=0,
                logins_begun=0,
                fingerprint=None,
            )
        )
        target = pauses.Target(alias)
        refused_us = row.paused and row.paused_by in (pauses.GATEWAY, None)
        if refused_us:
            pauses.lift(connection, target)
        detail = f"{by} unblocked account {alias}. {why}"
        record(connection, Event("account_unblocked", now_ms, account=alias, detail=detail))
        was = "paused" if row.breaker == "closed" and refused_us else row.breaker
        return Unblocked(alias, was, tuple(pauses.holding(connection, target)))

    return database.write(work, point="operator.unblock")
