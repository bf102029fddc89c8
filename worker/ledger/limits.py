"""Limits on points: how much an account may still spend, and the pause of its bulk lane when that is nothing.

Spent is what the gateway said of each chunk claimed in the hour or the day, or our price where it has said nothing;
what was certainly not sent, and points that came back for erased bookings, do not count. Chunk ids begin with
their time.
"""

from collections.abc import Sequence
from decimal import Decimal
from typing import NamedTuple
from weakref import WeakKeyDictionary

from sqlalchemy import Connection, bindparam, case, func, select, type_coerce

from worker import token
from worker.caps import DAY_MS, HOUR_MS
from worker.ledger import pauses
from worker.ledger.database import Database
from worker.ledger.events import Event, record
from worker.ledger.pauses import LIMIT, Target
from worker.ledger.tables import Points, chunk, lane
from worker.packing import Candidate
from worker.states import ChunkState

#: The lane that stops at a limit: codes and single texts go on.
LANE = "bulk"


class Limits(NamedTuple):
    """The most points in any hour and in any 24 hours; 0 for no limit."""

    hour: Decimal
    day: Decimal


class Spent(NamedTuple):
    """Points spent in the last hour and the last 24 hours, since an operator last resumed the lane."""

    hour: Decimal
    day: Decimal


class _Known(NamedTuple):
    """What a process remembers: points of the chunks before `end`, as they were at `at_ms`."""

    since_ms: int
    at_ms: int
    end: int
    spent: Spent


#: Chunks of the last two minutes are always counted anew, those before once a minute: a day may hold many.
RECENT_MS, REMEMBERED_MS = 120_000, 60_000
_remembered: WeakKeyDictionary[Database, dict[tuple[str, Limits], _Known]] = WeakKeyDictionary()

_NONE = Decimal(0)
_POINTS = func.coalesce(chunk.c.cost, chunk.c.points, _NONE) - func.coalesce(chunk.c.points_back, _NONE)
_COUNTS = chunk.c.state.in_((ChunkState.SUBMITTING, ChunkState.ACCEPTED, ChunkState.UNKNOWN))
_SPENT = select(
    type_coerce(func.sum(case((chunk.c.id >= bindparam("hour"), _POINTS))), Points),
    type_coerce(func.sum(_POINTS), Points),
).where(
    chunk.c.id >= bindparam("day"),
    chunk.c.id < bindparam("end"),
    chunk.c.account == bindparam("account"),
    _COUNTS,
)
_SINCE = select(lane.c.limit_since_ms).where(lane.c.account == bindparam("account"), lane.c.lane == LANE)
_END = (1 << 63) - 1


def spent(connection: Connection, account: str, limits: Limits, now_ms: int) -> Spent:
    """The account's points in the last hour and day, of all lanes. Without a limit a day nothing older is read."""
    since_ms = connection.scalar(_SINCE, {"account": account}) or 0
    return _sum(connection, account, _windows(limits, since_ms, now_ms), _END)


def _about(database: Database, connection: Connection, account: str, limits: Limits, now_ms: int) -> Spent:
    """The same, and never less: what left the windows, or came back, in the last minute may be counted still."""
    since_ms = connection.scalar(_SINCE, {"account": account}) or 0
    windows = _windows(limits, since_ms, now_ms)
    mine = _remembered.setdefault(database, {})
    known = mine.get((account, limits))
    if known is None or known.since_ms != since_ms or not 0 <= now_ms - known.at_ms < REMEMBERED_MS:
        end = token.first_id(now_ms - RECENT_MS)
        known = _Known(since_ms, now_ms, end, _sum(connection, account, windows, end))
        mine[account, limits] = known
    hour, day = (max(start, known.end) for start in windows)
    recent = _sum(connection, account, (hour, day), _END)
    return Spent(known.spent.hour + recent.hour, known.spent.day + recent.day)


def _windows(limits: Limits, since_ms: int, now_ms: int) -> tuple[int, int]:
    """The first chunk ids of the hour and of the day. What is a whole hour old is not of this hour any more."""
    hour_ms = max(now_ms - HOUR_MS + 1, since_ms)
    day_ms = max(now_ms - DAY_MS + 1, since_ms) if limits.day else hour_ms
    return token.first_id(hour_ms), token.first_id(day_ms)


def _sum(connection: Connection, account: str, windows: tuple[int, int], end: int) -> Spent:
    wanted = {"account": account, "hour": windows[0], "day": windows[1], "end": end}
    hour, day = connection.execute(_SPENT, wanted).one()
    return Spent(hour or _NONE, day or _NONE)


def within(
    database: Database,
    connection: Connection,
    account: str,
    limits: Limits,
    candidates: Sequence[Candidate],
    now_ms: int,
) -> list[Candidate]:
    """The first candidates that the limits leave room for. None: the bulk lane is paused, within this transaction.

    Where anything is left one message goes, whatever it costs: a limit below the price of a text would never let go.
    """
    used = _about(database, connection, account, limits, now_ms)
    if (room := _room(limits, used)) <= 0:
        used = spent(connection, account, limits, now_ms)
        room = _room(limits, used)
    if room <= 0:
        _pause(database, connection, account, limits, used, now_ms)
        return []
    chosen: list[Candidate] = []
    for one in candidates:
        room -= one.points
        if chosen and room < 0:
            break
        chosen.append(one)
    return chosen


def _room(limits: Limits, used: Spent) -> Decimal:
    return min(most - points for most, points in zip(limits, used, strict=True) if most)


def _pause(
    database: Database, connection: Connection, account: str, limits: Limits, used: Spent, now_ms: int
) -> None:
    reached = " and ".join(
        f"{points.normalize():f} of {most.normalize():f} points {span}"
        for most, points, span in zip(limits, used, ("an hour", "a day"), strict=True)
        if most and points >= most
    )
    why = f"{reached} are spent"
    if pauses.put(database, connection, Target(account, LANE), LIMIT, why, now_ms, over=False):
        advice = f"look why, then `every8d resume lane {account} {LANE} --by … --why …`"
        detail = f"the {LANE} lane of account {account} is paused: {why}; {advice}"
        record(connection, Event("limit_reached", now_ms, account, LANE, detail=detail))
