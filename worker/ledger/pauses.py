"""Pauses: nothing of a paused account, lane or request is claimed until it is resumed. Who, why and since when.

A claim looks for them in its own statement, so no call begins after a pause that was committed before its claim.
"""

import uuid
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from sqlalchemy import ColumnElement, Connection, Select, bindparam, literal, null, select, true, update
from sqlalchemy.dialects import postgresql, sqlite

from worker.ledger.database import Database
from worker.ledger.tables import account, lane, request
from worker.states import RequestState

#: Who pauses without being told to: a gateway that refuses us, a limit on points, a credit that does not suffice.
GATEWAY, LIMIT, CREDIT = "gateway", "limit", "credit"
BY_THEMSELVES = frozenset({GATEWAY, LIMIT, CREDIT})

#: The requests of which something may still go out.
OPEN = (RequestState.STAGED, RequestState.READY)


@dataclass(frozen=True, slots=True)
class Target:
    """What a pause is about: an account; one of its lanes; or, where `request` is set, that request alone."""

    account: str
    lane: str | None = None
    request: uuid.UUID | None = None

    @property
    def what(self) -> str:
        """account, lane or request."""
        return "request" if self.request else "lane" if self.lane else "account"

    def __str__(self) -> str:
        if self.request:
            return f"request {self.request}"
        return f"the {self.lane} lane of account {self.account}" if self.lane else f"account {self.account}"

    def in_chinese(self) -> str:
        """The same in Taiwan's Chinese."""
        if self.request:
            return f"發送編號 {self.request}"
        return f"帳號 {self.account} 的 {self.lane} 通道" if self.lane else f"帳號 {self.account}"


@dataclass(frozen=True, slots=True)
class Pause:
    """A pause that stands. `by` is an operator's name, or one of BY_THEMSELVES; `since` is in UTC."""

    what: str
    account: str
    lane: str | None
    request: str | None
    by: str
    why: str
    since: datetime | None


def nothing_paused(of_account: Any, of_lane: Any) -> ColumnElement[bool]:
    """SQL: neither the account nor this lane of it is paused. Columns or parameters; two looks at primary keys."""
    accounts = select(literal(1)).where(account.c.alias == of_account, account.c.paused.is_(True))
    lanes = select(literal(1)).where(
        lane.c.account == of_account, lane.c.lane == of_lane, lane.c.paused.is_(True)
    )
    return ~accounts.exists() & ~lanes.exists()


def put(
    database: Database, connection: Connection, target: Target, by: str, why: str, now_ms: int, *, over: bool
) -> bool:
    """Pauses within the caller's transaction. `over` replaces who and why of a pause that stands already.

    Returns whether anything changed: False where there is no such row, or where it is paused and `over` is False.
    """
    values = {"paused_ms": now_ms, "paused_by": by, "paused_reason": why}
    if target.request is not None:
        mine = (request.c.id == target.request) & (true() if over else request.c.paused_ms.is_(None))
        return connection.execute(update(request).where(mine).values(values)).rowcount == 1
    table = lane if target.lane else account
    if target.lane:
        dialect = postgresql if database.is_postgres else sqlite
        row = {"account": target.account, "lane": target.lane}
        connection.execute(dialect.insert(lane).values(row).on_conflict_do_nothing())
    mine = _row(target) & (true() if over else table.c.paused.is_(False))
    return connection.execute(update(table).where(mine).values(values | {"paused": True})).rowcount == 1


def lift(connection: Connection, target: Target, **more: Any) -> None:
    """Ends the pause within the caller's transaction; `more` are other columns of the same row to set."""
    values: dict[str, Any] = {"paused_ms": None, "paused_by": None, "paused_reason": None} | more
    if target.request is not None:
        connection.execute(update(request).where(request.c.id == target.request).values(values))
        return
    table = lane if target.lane else account
    connection.execute(update(table).where(_row(target)).values(values | {"paused": False}))


def standing(database: Database, *, of_account: str | None = None, requests: int = 1000) -> list[Pause]:
    """Every pause that stands, of all accounts or one: accounts, lanes, and at most so many requests, newest first."""
    accounts, lanes, paused = _ACCOUNTS, _LANES, _REQUESTS
    if of_account is not None:
        accounts = accounts.where(account.c.alias == of_account)
        lanes = lanes.where(lane.c.account == of_account)
        paused = paused.where(request.c.account == of_account)
    with database.read() as connection:
        return [
            *_pauses(connection, accounts.order_by(account.c.alias)),
            *_pauses(connection, lanes.order_by(lane.c.account, lane.c.lane)),
            *_pauses(connection, paused.order_by(request.c.paused_ms.desc()).limit(requests)),
        ]


def holding(connection: Connection, target: Target) -> list[Pause]:
    """The pauses that hold a request (all three set), a lane or an account back now."""
    found = _pauses(connection, _ACCOUNTS.where(account.c.alias == target.account))
    if target.lane:
        found += _pauses(
            connection, _LANES.where(lane.c.account == target.account, lane.c.lane == target.lane)
        )
    if target.request:
        found += _pauses(connection, _REQUESTS.where(request.c.id == target.request))
    return found


def stands(connection: Connection, target: Target) -> Pause | None:
    """The pause of exactly this, its row locked; None where it is not paused."""
    if target.request:
        wanted = _REQUESTS.where(request.c.id == target.request)
    elif target.lane:
        wanted = _LANES.where(_row(target))
    else:
        wanted = _ACCOUNTS.where(_row(target))
    found = _pauses(connection, wanted.with_for_update())
    return found[0] if found else None


def _row(target: Target) -> ColumnElement[bool]:
    if target.lane:
        return (lane.c.account == target.account) & (lane.c.lane == target.lane)
    return account.c.alias == target.account


def _pauses(connection: Connection, wanted: Select[Any]) -> list[Pause]:
    return [
        Pause(
            what=row.what,
            account=row.of_account,
            lane=row.of_lane,
            request=str(row.of_request) if row.of_request else None,
            by=row.paused_by or "",
            why=row.paused_reason or "",
            since=datetime.fromtimestamp(row.paused_ms / 1000, UTC) if row.paused_ms else None,
        )
        for row in connection.execute(wanted)
    ]


def _select(what: str, table: Any, of_account: Any, of_lane: Any, of_request: Any) -> Select[Any]:
    return select(
        literal(what).label("what"),
        of_account.label("of_account"),
        of_lane.label("of_lane"),
        of_request.label("of_request"),
        table.c.paused_by,
        table.c.paused_reason,
        table.c.paused_ms,
    )


_ACCOUNTS = _select("account", account, account.c.alias, null(), null()).where(account.c.paused.is_(True))
_LANES = _select("lane", lane, lane.c.account, lane.c.lane, null()).where(lane.c.paused.is_(True))
_REQUESTS = _select("request", request, request.c.account, request.c.lane, request.c.id).where(
    request.c.paused_ms.is_not(None), request.c.state.in_(OPEN)
)
#: For statements with parameters of these names.
LANE_GOES = nothing_paused(bindparam("account"), bindparam("lane"))
