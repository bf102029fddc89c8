"""How many messages of a chunk are still open, as callbacks bring their ends: where none is, polling ends."""

from collections.abc import Mapping, Sequence

from sqlalchemy import Connection, bindparam, func, select, text

from config import Account
from worker.ledger.database import Database
from worker.ledger.rows import joined
from worker.ledger.tables import message
from worker.reports import Call
from worker.states import EraseState, MessageState
from worker.statuses import Change, Known, next_poll_ms

_OPEN = (
    select(message.c.chunk_id, func.count().label("n"))
    .where(
        message.c.chunk_id.is_not(None),
        message.c.chunk_id.in_(bindparam("ids", expanding=True)),
        message.c.final_ms.is_(None),
        message.c.state != MessageState.NO_CREDIT,
    )
    .group_by(message.c.chunk_id)
)
_COUNT_MANY = text(
    "UPDATE chunk SET pending = d.pending, final_ms = d.final_ms, next_poll_ms = CASE WHEN d.plans = 1 "
    "THEN d.next_poll_ms ELSE chunk.next_poll_ms END "
    "FROM unnest(CAST(string_to_array(:ids, ',', '') AS bigint[]), "
    "CAST(string_to_array(:pending, ',', '') AS int[]), CAST(string_to_array(:final, ',', '') AS bigint[]), "
    "CAST(string_to_array(:plans, ',', '') AS int[]), CAST(string_to_array(:next, ',', '') AS bigint[])) "
    "AS d(id, pending, final_ms, plans, next_poll_ms) WHERE chunk.id = d.id"
)
_COUNT_ONE = text(
    "UPDATE chunk SET pending = :pending, final_ms = :final, next_poll_ms = CASE WHEN :plans = 1 "
    "THEN :next ELSE next_poll_ms END WHERE id = :id"
)


def is_open(one: Known | Change) -> bool:
    """Whether more is to be heard of a message; of one that is held for want of credit all is said."""
    return one.final_ms is None and one.state != MessageState.NO_CREDIT


def count_down(
    database: Database,
    connection: Connection,
    calls: Sequence[Call],
    ended: Mapping[int, int],
    accounts: Mapping[str, Account],
    now_ms: int,
) -> None:
    """How many messages of each chunk are still open. Where none is, polling ends, or goes on for the replies."""
    if not calls:
        return
    for call in calls:
        call.pending = max(0, (call.size if call.pending is None else call.pending) - ended[call.id])
    # Counted down while reports come in; counted anew before it is said that none is missing.
    done = [call.id for call in calls if call.pending == 0]
    counted = {row.chunk_id: row.n for row in connection.execute(_OPEN, {"ids": done})} if done else {}
    rows = []
    for call in calls:
        call.pending = call.pending or counted.get(call.id, 0)
        plans, again_ms = False, None
        if call.pending == 0:
            call.final_ms = call.final_ms or now_ms
            account = accounts.get(call.account)
            # A lost answer to eraseBooking is settled by the next poll.
            plans = account is not None and call.erase != EraseState.UNKNOWN
            if plans and account is not None and call.batch_id is not None:
                again_ms = next_poll_ms(
                    account,
                    now_ms,
                    polls=call.polls,
                    pending=0,
                    answered_ms=call.answered_ms or now_ms,
                    send_time_ms=call.send_time_ms,
                )
        rows.append((call.id, call.pending, call.final_ms, int(plans), again_ms))
    names = ("ids" if database.is_postgres else "id", "pending", "final", "plans", "next")
    if database.is_postgres:
        columns = zip(*rows, strict=True)
        connection.execute(_COUNT_MANY, dict(zip(names, (joined(column) for column in columns), strict=True)))
    else:
        connection.execute(_COUNT_ONE, [dict(zip(names, row, strict=True)) for row in rows])
