"""Requests against the credit: priced when they come to the front, held where it does not cover them, let go later.

A price is judged under the lock of the account's row: two requests are never both covered by the same points.
"""

import uuid
from collections.abc import Collection, Iterable, Mapping
from decimal import Decimal
from typing import Any

from sqlalchemy import Connection, bindparam, func, literal_column, select, update

from worker.budget import Mode, Price, covered
from worker.ledger.credit import locked_purse
from worker.ledger.database import Database
from worker.ledger.events import Event, record
from worker.ledger.pauses import CREDIT
from worker.ledger.tables import chunk, message, request
from worker.states import RequestState

#: What `request.funds` says: its price was held against the credit, and found too high, or covered.
HELD, COVERED = "held", "covered"
#: A credit that was heard of so lately is good enough to let a request go, though not to hold it.
RECENT_MS = 60_000
#: Requests in one transaction.
AT_ONCE = 500

IS_HELD = (
    request.c.paused_ms.is_not(None)
    & (request.c.paused_by == CREDIT)
    & (request.c.state == RequestState.READY)
    & request.c.next_due_ms.is_not(None)
)
# A word of the statement, not a parameter: SQLite would not see that the index of these is meant.
_UNDER_WAY = select(func.coalesce(func.sum(chunk.c.points), 0)).where(
    chunk.c.account == bindparam("alias"), chunk.c.state == literal_column("'submitting'")
)
_PROMISED_TO = (
    (request.c.account == bindparam("alias"))
    & request.c.next_due_ms.is_not(None)
    & request.c.paused_ms.is_(None)
    & request.c.funds.is_not(None)
)
_PROMISED_AT_MOST = select(func.coalesce(func.sum(request.c.points), 0)).where(_PROMISED_TO)
_PROMISED = (
    select(func.coalesce(func.sum(message.c.points), 0))
    .select_from(message.join(request, request.c.id == message.c.request_id))
    .where(_PROMISED_TO, message.c.due_ms.is_not(None))
)


def promised(connection: Connection, alias: str, spare: Decimal) -> Decimal:
    """Points that calls under way and requests that were let go will still take, or more where that leaves `spare`.

    What each request cost at first is summed quickly; what of it still waits only where money is tight.
    """
    under_way = Decimal(connection.scalar(_UNDER_WAY, {"alias": alias}) or 0)
    at_most = Decimal(connection.scalar(_PROMISED_AT_MOST, {"alias": alias}) or 0)
    if under_way + at_most <= spare:
        return under_way + at_most
    return under_way + Decimal(connection.scalar(_PROMISED, {"alias": alias}) or 0)


_PRICES = (
    select(
        message.c.request_id,
        func.sum(message.c.points).label("points"),
        func.min(message.c.points).label("least"),
    )
    .where(message.c.request_id.in_(bindparam("ids", expanding=True)), message.c.due_ms.is_not(None))
    .group_by(message.c.request_id)
)


def prices(connection: Connection, ids: Iterable[uuid.UUID]) -> dict[uuid.UUID, Price]:
    """What is waiting of the requests, priced, in the order of the ids."""
    wanted = list(ids)
    rows = connection.execute(_PRICES, {"ids": wanted}) if wanted else ()
    found = {row.request_id: Price(int(row.points), int(row.least)) for row in rows}
    return {one: found.get(one, Price(0, 0)) for one in wanted}


def judge(
    database: Database, alias: str, ids: Collection[uuid.UUID], mode: Mode, *, asked: bool
) -> list[uuid.UUID] | None:
    """Holds the prices of requests of the bulk lane against the credit. Returns those that are held for want of it.

    None, and nothing written: they cannot be judged by the credit that is known. Not with `asked`: the caller has just
    asked for it.
    """
    now_ms = database.now_ms()
    with database.read() as connection:
        # Before the lock, because it takes its time. Messages may be cancelled meanwhile, but none is added.
        priced = prices(connection, ids)

    def work(connection: Connection) -> list[uuid.UUID] | None:
        purse = locked_purse(connection, alias)
        rows = connection.execute(
            select(request.c.id, request.c.deadline_ms)
            .where(request.c.id.in_(list(priced)), request.c.funds.is_(None), request.c.paused_ms.is_(None))
            .order_by(request.c.id)
            .with_for_update()
        ).all()
        # What is past its deadline costs nothing: the next claim ends it.
        free = {row.id for row in rows if row.deadline_ms is not None and row.deadline_ms <= now_ms}
        open_ids = {row.id for row in rows}
        wanted = {
            one: Price(0, 0) if one in free else price for one, price in priced.items() if one in open_ids
        }
        credit = purse.credit or Decimal(0)
        spare = credit - sum(price.points for price in wanted.values())
        verdicts = covered(wanted, credit - promised(connection, alias, spare), mode, short=purse.short)
        recent = purse.credit is not None and purse.credit_ms >= now_ms - RECENT_MS
        if not asked and not (recent and all(verdicts.values())):
            return None
        _write(connection, alias, wanted, verdicts, credit, now_ms)
        return [one for one, goes in verdicts.items() if not goes]

    return database.write(work, point="funds.judge")


_VERDICT = update(request).where(request.c.id == bindparam("of_request"))


def _write(
    connection: Connection,
    alias: str,
    priced: Mapping[uuid.UUID, Price],
    verdicts: Mapping[uuid.UUID, bool],
    credit: Decimal,
    now_ms: int,
) -> None:
    go = [
        {"of_request": one, "funds": COVERED, "points": priced[one].points}
        for one in verdicts
        if verdicts[one]
    ]
    if go:
        connection.execute(_VERDICT, go)
    for one, goes in verdicts.items():
        if goes:
            continue
        why = f"it costs {priced[one].points} points, and {credit:.2f} are left"
        held = {"paused_ms": now_ms, "paused_by": CREDIT, "paused_reason": why}
        held |= {"of_request": one, "funds": HELD, "points": priced[one].points}
        connection.execute(_VERDICT, held)
        detail = f"request {one} is held: {why}. It goes on by itself after a top-up, or resume it as it is"
        record(connection, Event("request_held", now_ms, alias, "bulk", request_id=one, detail=detail))


def let_go(database: Database, alias: str, mode: Mode) -> dict[uuid.UUID, str]:
    """Lets the account's held requests go that its credit covers now, oldest first. Returns them with their lanes."""
    gone: dict[uuid.UUID, str] = {}
    while True:
        some = _let_go(database, alias, mode)
        gone |= some
        if len(some) < AT_ONCE:
            return gone


def _let_go(database: Database, alias: str, mode: Mode) -> dict[uuid.UUID, str]:
    now_ms = database.now_ms()

    def work(connection: Connection) -> dict[uuid.UUID, str]:
        purse = locked_purse(connection, alias)
        rows = connection.execute(
            select(request.c.id, request.c.lane, request.c.deadline_ms)
            .where(IS_HELD, request.c.account == alias)
            .order_by(request.c.created_ms, request.c.id)
            .limit(AT_ONCE)
            .with_for_update()
        ).all()
        if not rows:
            return {}
        # What is past its deadline costs nothing: the next claim ends it.
        late = {row.id for row in rows if row.deadline_ms is not None and row.deadline_ms <= now_ms}
        priced = prices(connection, [row.id for row in rows if row.id not in late])
        credit = purse.credit or Decimal(0)
        spare = credit - sum(price.points for price in priced.values())
        left = credit - promised(connection, alias, spare)
        verdicts = covered(priced, left, mode, short=purse.short) | dict.fromkeys(late, True)
        gone = [row for row in rows if verdicts[row.id]]
        for row in gone:
            _resume(connection, alias, row, priced.get(row.id, Price(0, 0)), credit, now_ms)
        return {row.id: row.lane for row in gone}

    return database.write(work, point="funds.resume")


def _resume(connection: Connection, alias: str, row: Any, price: Price, credit: Decimal, now_ms: int) -> None:
    values = {"paused_ms": None, "paused_by": None, "paused_reason": None}
    connection.execute(
        update(request)
        .where(request.c.id == row.id)
        .values(values | {"funds": COVERED, "points": price.points})
    )
    detail = f"request {row.id} goes on: it costs {price.points} points, and {credit:.2f} are left"
    record(connection, Event("request_funded", now_ms, alias, row.lane, request_id=row.id, detail=detail))
