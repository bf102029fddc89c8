"""Messages that the gateway left unsent for want of credit: held, and sent again after a top-up.

A message goes out again only where the gateway's last word of it is 301 (unsent), asked for after the top-up was
seen: a reply tells how many were left unsent, but only the delivery status tells which.
"""

from collections import defaultdict
from collections.abc import Iterable, Sequence
from typing import Any

from sqlalchemy import Connection, Table, case, func, literal_column, null, select, update

from worker.budget import how_many
from worker.ledger import caps, funds
from worker.ledger.credit import locked_purse
from worker.ledger.database import Database
from worker.ledger.events import Event, record
from worker.ledger.tables import account, chunk, message, request
from worker.states import MessageState

#: The delivery status of a message that was left unsent for want of credit.
UNSENT = 301
#: Messages in one transaction: few enough for an otp message to wait through on SQLite.
AT_ONCE = 500

# A word of the statement, not a parameter: SQLite would not see that the index of these is meant.
IS_HELD = (message.c.state == literal_column("'no_credit'")) & message.c.final_ms.is_(None)
_HELD = message.join(request, request.c.id == message.c.request_id).join(
    chunk, chunk.c.id == message.c.chunk_id
)


def accounts_waiting(database: Database) -> list[str]:
    """The accounts of which something is held for want of credit."""
    with database.read() as connection:
        requests = select(request.c.account).where(funds.IS_HELD)
        held = select(message.c.request_id).where(IS_HELD).distinct()
        messages = select(request.c.account).where(request.c.id.in_(held))
        return sorted(connection.scalars(requests.union(messages)))


def points_held(database: Database) -> dict[str, int]:
    """Points that each account lacks for what is held for want of credit: whole requests, and unsent messages."""
    held: dict[str, int] = defaultdict(int)
    with database.read() as connection:
        whole = select(request.c.account, func.sum(request.c.points).label("points")).where(funds.IS_HELD)
        single = select(request.c.account, func.sum(message.c.points).label("points"))
        single = single.select_from(message.join(request, request.c.id == message.c.request_id)).where(
            IS_HELD
        )
        for wanted in (whole, single):
            for row in connection.execute(wanted.group_by(request.c.account)):
                held[row.account] += int(row.points or 0)
    return dict(held)


def note_shortage(database: Database, alias: str) -> None:
    """A delivery status told of unsent messages, and no reply did: what counts is the credit when they were sent."""
    now_ms = database.now_ms()
    mine = select(func.min(chunk.c.credit)).select_from(_HELD).where(IS_HELD, chunk.c.account == alias)
    some = select(chunk.c.id).select_from(_HELD).where(IS_HELD, chunk.c.account == alias).exists()
    unknown = update(account).where(account.c.alias == alias, account.c.short_credit.is_(None), some)
    statement = unknown.values(
        short_credit=func.coalesce(mine.scalar_subquery(), account.c.credit, 0), short_ms=now_ms
    )
    database.write(lambda connection: connection.execute(statement), point="funds.shortage")


def end(database: Database, alias: str, hold_s: float) -> None:
    """Ends held messages that shall not go out any more: cancelled, past their deadline, or held for `hold_s`."""
    while _end(database, alias, int(hold_s * 1000)) == AT_ONCE:
        pass


def _end(database: Database, alias: str, hold_ms: int) -> int:
    now_ms = database.now_ms()
    verdict = case(
        (request.c.cancelled_ms.is_not(None), MessageState.CANCELLED.value),
        (request.c.deadline_ms <= now_ms, MessageState.EXPIRED.value),
        (chunk.c.answered_ms <= now_ms - hold_ms, MessageState.NO_CREDIT.value),
        else_=null(),
    ).label("verdict")

    def work(connection: Connection) -> int:
        rows = connection.execute(
            select(message.c.request_id, message.c.chunk_id, request.c.lane, verdict)
            .select_from(_HELD)
            .where(IS_HELD, request.c.account == alias, verdict.is_not(None))
            .distinct()
            .limit(AT_ONCE)
        ).all()
        _lock(connection, chunk, {row.chunk_id for row in rows})
        ended: dict[tuple[str, str], int] = defaultdict(int)
        for row in rows:
            mine = (message.c.request_id == row.request_id) & (message.c.chunk_id == row.chunk_id)
            statement = update(message).where(mine, IS_HELD).values(state=row.verdict, final_ms=now_ms)
            ended[row.lane, row.verdict] += connection.execute(statement).rowcount
        for (lane, state), count in ended.items():
            if count and (news := _ENDED.get(state)):
                kind, words = news
                record(connection, Event(kind, now_ms, alias, lane, detail=words.format(count=count)))
        return len(rows)

    return database.write(work, bulk=True, point="funds.end")


_ENDED = {
    MessageState.EXPIRED.value: (
        "messages_expired",
        "{count} messages passed their deadline while they waited for credit; they are not sent",
    ),
    MessageState.NO_CREDIT.value: (
        "credit_wait_over",
        "{count} messages were left unsent for want of credit, and no top-up came in time; they are not sent",
    ),
}


def ask_again(database: Database, alias: str) -> bool:
    """After a top-up: the batches with held messages are polled once more, at once. False where none is to be."""
    now_ms = database.now_ms()
    topped_ms = select(account.c.topped_ms).where(account.c.alias == alias).scalar_subquery()
    held = select(message.c.chunk_id).where(IS_HELD, message.c.chunk_id.is_not(None)).distinct()
    statement = (
        update(chunk)
        .where(
            chunk.c.id.in_(held),
            chunk.c.account == alias,
            chunk.c.batch_id.is_not(None),
            chunk.c.polled_ms.is_(None) | (chunk.c.polled_ms < topped_ms),
            topped_ms.is_not(None),
            chunk.c.next_poll_ms.is_(None) | (chunk.c.next_poll_ms > now_ms),
        )
        .values(next_poll_ms=now_ms)
    )

    def work(connection: Connection) -> bool:
        marked = connection.execute(statement).rowcount > 0
        if marked:
            # They are let go after the poll, by the credit as it is then.
            connection.execute(update(account).where(account.c.alias == alias).values(credit_asked_ms=None))
        return marked

    return database.write(work, point="funds.ask_again")


def release(database: Database, alias: str, *, capped: bool) -> tuple[int, set[str]]:
    """Lets held messages go that the credit covers now: otp first, bulk last, the oldest requests first.

    `capped`: the account counts texts to one number, and a text that was not sent does not count. Returns how many
    messages wait again, and in which lanes.
    """
    total, lanes = 0, set[str]()
    while True:
        count, some = _release_some(database, alias, capped)
        total, lanes = total + count, lanes | some
        if count < AT_ONCE:
            return total, lanes


_LANES_IN_ORDER = case((request.c.lane == "otp", 0), (request.c.lane == "normal", 1), else_=2)


def _release_some(database: Database, alias: str, capped: bool) -> tuple[int, set[str]]:
    now_ms = database.now_ms()

    def work(connection: Connection) -> tuple[int, set[str]]:
        purse = locked_purse(connection, alias)
        if purse.short or purse.topped_ms is None or purse.credit is None:
            return 0, set()
        confirmed = (
            (message.c.status == UNSENT)
            & (chunk.c.polled_ms >= purse.topped_ms)
            & (chunk.c.polled_rows >= chunk.c.size)
            & (chunk.c.poll_lease_ms.is_(None) | (chunk.c.poll_lease_ms < now_ms))
        )
        rows = connection.execute(
            select(message.c.request_id, message.c.seq, message.c.points, message.c.chunk_id, request.c.lane)
            .select_from(_HELD)
            .where(IS_HELD, confirmed, request.c.account == alias)
            .where(request.c.paused_ms.is_(None), request.c.cancelled_ms.is_(None))
            .order_by(_LANES_IN_ORDER, request.c.created_ms, message.c.request_id, message.c.seq)
            .limit(AT_ONCE)
        ).all()
        if not rows:
            return 0, set()
        spare = purse.credit - sum(row.points for row in rows)
        left = purse.credit - funds.promised(connection, alias, spare)
        rows = rows[: how_many((row.points for row in rows), left)]
        count = _release(connection, rows, capped, now_ms)
        if count:
            detail = f"{count} messages that were left unsent for want of credit go out again"
            record(connection, Event("messages_released", now_ms, account=alias, detail=detail))
        return count, {row.lane for row in rows}

    return database.write(work, bulk=True, point="funds.release")


def _release(connection: Connection, rows: Sequence[Any], capped: bool, now_ms: int) -> int:
    """The messages wait again, as if they had never been in a chunk. Returns how many there were."""
    of_request: dict[Any, list[Any]] = defaultdict(list)
    for row in rows:
        of_request[row.request_id].append(row)
    # In the order of claims and of callbacks: requests, chunks, messages.
    _lock(connection, request, of_request)
    _lock(connection, chunk, {row.chunk_id for row in rows})
    released = 0
    for request_id, some in of_request.items():
        which = (
            (message.c.request_id == request_id)
            & message.c.seq.in_([row.seq for row in some])
            & message.c.chunk_id.in_({row.chunk_id for row in some})
            & (message.c.status == UNSENT)
        )
        if capped:
            _give_back(connection, which)
        released += connection.execute(
            update(message)
            .where(which, IS_HELD)
            .values(
                state=MessageState.WAITING,
                due_ms=now_ms,
                chunk_id=None,
                position=None,
                status=None,
                cost=None,
                sent_ms=None,
            )
        ).rowcount
        points = sum(row.points for row in some)
        connection.execute(
            update(request)
            .where(request.c.id == request_id, request.c.cancelled_ms.is_(None))
            .values(
                next_due_ms=now_ms, funds=funds.COVERED, points=func.coalesce(request.c.points, 0) + points
            )
        )
    return released


def _give_back(connection: Connection, which: Any) -> None:
    for chunk_id, numbers in _by_chunk(connection, which).items():
        caps.give_back(connection, chunk_id, numbers=numbers)


def _by_chunk(connection: Connection, which: Any) -> dict[int, list[str]]:
    found: dict[int, list[str]] = defaultdict(list)
    for row in connection.execute(select(message.c.chunk_id, message.c.number).where(which, IS_HELD)):
        found[row.chunk_id].append(row.number)
    return found


def _lock(connection: Connection, table: Table, ids: Iterable[Any]) -> None:
    wanted = select(table.c.id).where(table.c.id.in_(list(ids))).order_by(table.c.id)
    connection.execute(wanted.with_for_update())
