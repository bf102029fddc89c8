"""What bounds an account's claims beyond what is due: caps on texts to one number, and limits on points.

An account without them has no Bounds, and its claims run no statement more.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from decimal import Decimal
from typing import Any

from sqlalchemy import Connection

from config import Account
from worker.caps import Caps
from worker.ledger import caps, limits
from worker.ledger.database import Database
from worker.ledger.limits import Limits
from worker.packing import Candidate


@dataclass(frozen=True, slots=True)
class Bounds:
    """The caps and the limits that a claim keeps to; None where there are none."""

    caps: Caps | None
    limits: Limits | None


def bounds_of(account: Account, lane: str) -> Bounds | None:
    """The bounds that the settings set for this lane of the account. Limits on points stop the bulk lane alone."""
    capped = Caps(account.cap_hour, account.cap_day) if account.cap_hour or account.cap_day else None
    limited = None
    if lane == limits.LANE and (account.points_hour or account.points_day):
        limited = Limits(Decimal(str(account.points_hour)), Decimal(str(account.points_day)))
    return Bounds(capped, limited) if capped or limited else None


def within(
    database: Database,
    connection: Connection,
    bounds: Bounds,
    requests: Sequence[Any],
    candidates: list[Candidate],
    now_ms: int,
) -> list[Candidate]:
    """The candidates of these locked requests that may go out now; none may mean that the lane is paused since.

    From here to the commit no other claim of the account comes as far: requests are always locked first.
    """
    account = requests[0].account
    caps.exclusively(database, connection, account)
    if bounds.caps is not None:
        at_ms = time_of_texts(requests[0], now_ms)
        candidates = caps.within(connection, requests, bounds.caps, candidates, at_ms, now_ms)
    if bounds.limits is not None and candidates:
        candidates = limits.within(database, connection, account, bounds.limits, candidates, now_ms)
    return candidates


def keep(connection: Connection, bounds: Bounds, first: Any, chunk_id: int, now_ms: int) -> None:
    """What the next claims must know of this chunk, whose messages point to it. `first` is its first request."""
    if bounds.caps is not None:
        caps.keep(connection, first.account, chunk_id, time_of_texts(first, now_ms))


def time_of_texts(request: Any, now_ms: int) -> int:
    """When the texts of a claim go out: now, or at the time that they are booked for."""
    return max(now_ms, request.send_at_ms) if request.schedule == "gateway" else now_ms
