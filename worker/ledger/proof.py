"""What callbacks prove of gateway calls: an unknown one was executed; so was one that is said not to be sent."""

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from sqlalchemy import Connection, select, update

from config import Account
from worker import token
from worker.ledger.events import Event, record
from worker.ledger.tables import chunk, event, message
from worker.reports import SENT_AFTER_ALL, Call, Match, Reason
from worker.states import ChunkState, MessageState
from worker.statuses import first_poll_ms

#: Who settled a chunk, where a callback did.
CALLBACK = "callback"


def settle(
    connection: Connection, calls: Iterable[Call], accounts: Mapping[str, Account], now_ms: int
) -> None:
    """Chunks that were unknown, or had no BatchID: the gateway has them, and they are polled from now on.

    Within the caller's transaction, which holds their locks.
    """
    for call in calls:
        if not call.settled and not call.named:
            continue
        values: dict[str, Any] = {"batch_id": call.batch_id}
        if call.batch_id is not None:
            account = accounts.get(call.account)
            # Of an account that the settings do not have nothing is polled until they do.
            values["next_poll_ms"] = (
                first_poll_ms(account, now_ms, call.send_time_ms) if account is not None else now_ms
            )
        if call.settled:
            name, call.answered_ms = token.encode(call.id), now_ms
            why = f"the gateway reported it by a callback, as batch {call.batch_id or 'unknown'}"
            values |= {
                "state": ChunkState.ACCEPTED,
                "answered_ms": now_ms,
                "settled_by": CALLBACK,
                "settled_why": why,
                "settled_ms": now_ms,
            }
            detail = f"chunk {name} is settled: it was sent; {why}"
            record(
                connection,
                Event("chunk_settled", now_ms, call.account, call.lane, chunk_id=call.id, detail=detail),
            )
            if call.batch_id is None:
                # Nothing can be asked about it; what callbacks bring is still taken.
                connection.execute(
                    update(message)
                    .where(message.c.chunk_id == call.id, message.c.state == MessageState.PACKED)
                    .values(state=MessageState.SENT, final_ms=now_ms)
                )
                call.pending, call.final_ms = 0, now_ms
                values |= {"pending": 0, "final_ms": now_ms}
        connection.execute(update(chunk).where(chunk.c.id == call.id).values(values))


def tell(connection: Connection, matches: Sequence[Match], now_ms: int) -> tuple[int, ...]:
    """One alert for each chunk that the gateway reports although it was said not to be sent, or as a second batch.

    Returns those that are told now.
    """
    odd = {match.call.id: match for match in matches if match.reason in SENT_AFTER_ALL and match.call}
    if not odd:
        return ()
    calls = [match.call for match in odd.values() if match.call]
    # Events have no index by chunk: only those since the call are looked through.
    since_ms = min(call.claimed_ms for call in calls)
    said = select(event.c.chunk_id).where(
        event.c.at_ms >= since_ms, event.c.kind == "sent_after_all", event.c.chunk_id.in_(list(odd))
    )
    known = set(connection.scalars(said))
    for call in calls:
        if call.id in known:
            continue
        name = token.encode(call.id)
        detail = (
            f"the gateway has made a second batch of chunk {name}: its messages may be out twice; "
            "compare its batches in the vendor's console"
            if odd[call.id].reason is Reason.OTHER_BATCH
            else f"chunk {name} was said not to be sent ({call.state}), yet the gateway reports it: its messages "
            "may go out twice; cancel what still waits"
        )
        record(
            connection,
            Event("sent_after_all", now_ms, call.account, call.lane, chunk_id=call.id, detail=detail),
        )
    return tuple(call.id for call in calls if call.id not in known)
