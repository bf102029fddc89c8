"""What chunks cost by our prices, where those are certain, and how many points of others may come back."""

from collections.abc import Collection
from decimal import Decimal
from typing import Any

from sqlalchemy import BigInteger, Connection, Integer, and_, case, func, or_, select, type_coerce

from worker import token
from worker.ledger.database import Database
from worker.ledger.tables import POINT_UNITS, chunk, inbox, message
from worker.states import ChunkState, MessageState

#: The price of the longest text that is one message (specification 1.2); what is above is split, nobody says how.
LONGEST_POINTS = 5
#: Points of a text may come back for so long after it was sent: five times the usual validity, and a weekend.
RETURNS_MS = 7 * 86_400_000
#: A chunk's id may be older than its claim: its worker waited for locks.
ID_EARLIER_MS = 600_000
_DOMESTIC = "+886%"


def claimed_since(alias: str, after_ms: int) -> Any:
    """SQL: the account's chunks that were claimed after that. Ids are by time, so the primary key finds them."""
    return (
        (chunk.c.account == alias)
        & (chunk.c.id >= token.first_id(max(0, after_ms - ID_EARLIER_MS)))
        & (chunk.c.claimed_ms > after_ms)
    )


def certain_prices(connection: Connection, ids: Collection[int]) -> dict[int, Decimal]:
    """The prices in points of those chunks that hold texts to Taiwan of at most 333 characters and nothing else.

    A chunk whose messages have left it is not among them.
    """
    rows = connection.execute(
        select(chunk.c.id, chunk.c.points)
        .join(message, message.c.chunk_id == chunk.c.id)
        .where(chunk.c.id.in_(list(ids)))
        .group_by(chunk.c.id, chunk.c.points, chunk.c.size)
        .having(
            and_(
                func.count() == chunk.c.size,
                func.min(message.c.points) >= 1,
                func.max(message.c.points) <= LONGEST_POINTS,
                func.sum(case((message.c.number.like(_DOMESTIC), 0), else_=1)) == 0,
                func.sum(message.c.points) * POINT_UNITS == type_coerce(chunk.c.points, BigInteger),
            )
        )
    )
    return {row.id: row.points for row in rows}


def callbacks_of(connection: Connection, alias: str, ids: Collection[int]) -> dict[int, int]:
    """How many callbacks have come that carry the token of each of these chunks, where any has."""
    # A callback comes after the call: the index by time keeps this short.
    since_ms = min(ids, default=0) >> 22
    rows = connection.execute(
        select(inbox.c.token, func.count().label("n"))
        .where(inbox.c.account == alias, inbox.c.received_ms >= since_ms, inbox.c.token.in_(list(ids)))
        .group_by(inbox.c.token)
    )
    return {row.token: row.n for row in rows}


def prices_differ(database: Database, alias: str, after_ms: int) -> bool:
    """Whether delivery statuses tell other costs than ours of texts that were sent after that."""
    cost = type_coerce(message.c.cost, BigInteger)
    odd = (
        select(chunk.c.id)
        .join(message, message.c.chunk_id == chunk.c.id)
        .where(
            claimed_since(alias, after_ms),
            message.c.cost.is_not(None),
            cost != message.c.points * POINT_UNITS,
            message.c.state.not_in((MessageState.NO_CREDIT, MessageState.CANCELLED)),
        )
        .limit(1)
    )
    with database.read() as connection:
        return connection.execute(odd).first() is not None


def may_come_back(database: Database, alias: str, *, baseline_ms: int, now_ms: int) -> Decimal:
    """The most points that can come back for the account's texts, but for unknown chunks since the baseline.

    Those of every text of the last days that is not known to be delivered, whenever it was sent.
    """
    # Long enough ago for all but bookings, which may be handed over months before their time.
    from_ms = now_ms - RETURNS_MS
    lately = or_(chunk.c.id >= token.first_id(max(0, from_ms)), chunk.c.send_time_ms >= from_ms)
    with database.read() as connection:
        return _undelivered(connection, alias, lately) + _others(connection, alias, lately, baseline_ms)


def _undelivered(connection: Connection, alias: str, lately: Any) -> Decimal:
    """The texts of accepted chunks: each at the higher of our price and the gateway's."""
    price, cost = message.c.points * POINT_UNITS, type_coerce(message.c.cost, BigInteger)
    units = connection.scalar(
        select(func.sum(case((cost > price, cost), else_=price)))
        .select_from(chunk)
        .join(message, message.c.chunk_id == chunk.c.id)
        .where(
            chunk.c.account == alias,
            lately,
            chunk.c.state == ChunkState.ACCEPTED,
            message.c.state != MessageState.DELIVERED,
        )
    )
    return Decimal(units or 0) / POINT_UNITS


def _others(connection: Connection, alias: str, lately: Any, baseline_ms: int) -> Decimal:
    """Chunks that cost more than our price; those that may have been executed, whatever was said of them."""
    cost, price = type_coerce(chunk.c.cost, BigInteger), type_coerce(chunk.c.points, BigInteger)
    accepted = chunk.c.state == ChunkState.ACCEPTED
    doubtful = ~accepted & chunk.c.settled_by.is_not(None)
    earlier = (chunk.c.state == ChunkState.UNKNOWN) & (chunk.c.claimed_ms <= baseline_ms)
    units = connection.scalar(
        select(
            func.sum(
                case(
                    (accepted & (cost > price), cost - price),
                    (or_(doubtful, earlier), price),
                    else_=type_coerce(0, Integer),
                )
            )
        ).where(chunk.c.account == alias, lately)
    )
    return Decimal(units or 0) / POINT_UNITS
