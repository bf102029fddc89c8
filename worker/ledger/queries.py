"""What operators ask of the ledger: plain reads, with dataclasses as answers. Times are aware, in UTC."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from decimal import Decimal
from typing import TYPE_CHECKING

from sqlalchemy import Connection, func, inspect, select, text

import config
from every8d.errors import Every8dError
from worker import token
from worker.ledger import tables
from worker.ledger.database import Database
from worker.ledger.events import SEVERITIES
from worker.ledger.pauses import Pause, standing
from worker.states import ChunkState

if TYPE_CHECKING:
    import uuid


class LedgerMissing(Every8dError):
    """There is no ledger at this address yet."""


class LedgerOld(Every8dError):
    """The ledger's tables are those of an older version: `every8d migrate`."""


class NotFound(Every8dError):
    """The ledger has no such thing."""


def open_ledger(settings: config.Settings | None = None, *, of_any_age: bool = False) -> Database:
    """The ledger of the settings, for a command.

    Raises LedgerMissing, LedgerOld, SettingsError, SQLAlchemyError.
    """
    settings = settings or config.load()
    if settings.database_url.startswith("sqlite:///") and not _sqlite_file(settings.database_url):
        raise LedgerMissing(
            "there is no ledger yet: start the system with `every8d up`, or migrate with `every8d migrate`"
        )
    database = Database(settings.database_url, pool_size=2)
    with database.read() as connection:
        if not inspect(connection).has_table("chunk"):
            raise LedgerMissing("the ledger is empty: run `every8d migrate`")
        # Migrations are numbered, with as many digits each. A later one may well have all that is asked for.
        if not of_any_age and _revision(connection) < tables.REVISION:
            raise LedgerOld("the ledger's tables are those of an older version: run `every8d migrate`")
    return database


def _revision(connection: Connection) -> str:
    """The ledger's last migration. Without Alembic, whose import takes longer than most commands."""
    if not inspect(connection).has_table("alembic_version"):
        return tables.REVISION  # made from the tables themselves
    return str(connection.scalar(text("SELECT version_num FROM alembic_version")) or "")


def _sqlite_file(url: str) -> bool:
    from pathlib import Path

    return Path(url.removeprefix("sqlite:///")).exists()


@dataclass(frozen=True, slots=True)
class AccountState:
    """One account: its breaker, its credit, and what waits in its lanes."""

    alias: str
    user_id: str
    breaker: str
    breaker_code: int | None
    breaker_since: datetime | None
    refusals: int
    paused: bool
    paused_until: datetime | None
    pause_reason: str
    credit: Decimal | None
    credit_at: datetime | None
    waiting: Mapping[str, int]
    #: The account's own pause and those of its lanes.
    pauses: tuple[Pause, ...] = ()
    paused_requests: int = 0


def account_states(database: Database, settings: config.Settings | None = None) -> list[AccountState]:
    """Every account of the settings, and those that only the ledger knows, by alias."""
    settings = settings or config.load()
    with database.read() as connection:
        rows = {row.alias: row for row in connection.execute(select(tables.account))}
        waiting = connection.execute(
            select(tables.request.c.account, tables.request.c.lane, func.count().label("n"))
            .select_from(
                tables.message.join(tables.request, tables.request.c.id == tables.message.c.request_id)
            )
            .where(tables.message.c.due_ms.is_not(None), tables.request.c.next_due_ms.is_not(None))
            .group_by(tables.request.c.account, tables.request.c.lane)
        ).all()
    paused: dict[str, list[Pause]] = {}
    for pause in standing(database, requests=1_000_000):
        paused.setdefault(pause.account, []).append(pause)
    counts: dict[str, dict[str, int]] = {}
    for one in waiting:
        counts.setdefault(one.account, {})[one.lane] = one.n
    states = []
    for alias in sorted(set(rows) | set(settings.accounts)):
        row, account = rows.get(alias), settings.accounts.get(alias)
        states.append(
            AccountState(
                alias=alias,
                user_id=_masked(account.user_id) if account else "",
                breaker=row.breaker if row else "closed",
                breaker_code=row.breaker_code if row else None,
                breaker_since=moment(row.breaker_ms) if row else None,
                refusals=row.refusals if row else 0,
                paused=row.paused if row else False,
                paused_until=None,
                pause_reason=(row.paused_reason or "") if row else "",
                credit=row.credit if row else None,
                credit_at=moment(row.credit_ms) if row else None,
                waiting={lane: counts.get(alias, {}).get(lane, 0) for lane in ("otp", "normal", "bulk")},
                pauses=tuple(one for one in paused.get(alias, ()) if one.what != "request"),
                paused_requests=sum(one.what == "request" for one in paused.get(alias, ())),
            )
        )
    return states


def last_used_ms(database: Database, alias: str) -> int | None:
    """When the account's last send was answered, in milliseconds since 1970; None: never."""
    with database.read() as connection:
        used: int | None = connection.scalar(
            select(tables.account.c.used_ms).where(tables.account.c.alias == alias)
        )
        return used


@dataclass(frozen=True, slots=True)
class UnknownChunk:
    """A chunk of which nobody knows whether it was sent. `points` is what it would cost, priced by us."""

    chunk: str
    account: str
    lane: str
    operation: str
    messages: int
    points: Decimal
    called_at: datetime
    reason: str
    requests: tuple[str, ...]
    request_count: int


def unknown_chunks(database: Database, *, account: str | None = None, limit: int = 100) -> list[UnknownChunk]:
    """The unknown chunks, oldest first."""
    chunk = tables.chunk
    wanted = select(chunk).where(chunk.c.state == ChunkState.UNKNOWN).order_by(chunk.c.id).limit(limit)
    if account is not None:
        wanted = wanted.where(chunk.c.account == account)
    with database.read() as connection:
        rows = connection.execute(wanted).all()
        requests: dict[int, list[uuid.UUID]] = {row.id: [] for row in rows}
        of_chunks = select(tables.message.c.chunk_id, tables.message.c.request_id).where(
            tables.message.c.chunk_id.in_(list(requests))
        )
        for one in connection.execute(of_chunks.distinct()):
            requests[one.chunk_id].append(one.request_id)
    return [
        UnknownChunk(
            chunk=token.encode(row.id),
            account=row.account,
            lane=row.lane,
            operation=row.operation,
            messages=row.size,
            points=row.points or Decimal(0),
            called_at=at(row.claimed_ms),
            reason=row.why or "",
            requests=tuple(str(one) for one in sorted(requests[row.id])[:10]),
            request_count=len(requests[row.id]),
        )
        for row in rows
    ]


@dataclass(frozen=True, slots=True)
class DeadBody:
    """A task body that could not be accepted: ids and sizes, never its contents."""

    id: str
    at: datetime
    task: str
    reason: str
    request: str | None
    account: str | None
    page: int | None
    messages: int | None
    bytes: int


def dead_bodies(database: Database, *, since: datetime | None = None, limit: int = 100) -> list[DeadBody]:
    """The dead letters, newest first."""
    dead = tables.dead_letter
    wanted = select(dead).order_by(dead.c.id.desc()).limit(limit)
    if since is not None:
        wanted = wanted.where(dead.c.at_ms >= int(since.timestamp() * 1000))
    with database.read() as connection:
        rows = connection.execute(wanted).all()
    return [
        DeadBody(
            id=str(row.id),
            at=at(row.at_ms),
            task=row.task,
            reason=row.reason,
            request=str(row.request_id) if row.request_id else None,
            account=row.account,
            page=row.page,
            messages=row.messages,
            bytes=len(row.body.encode()),
        )
        for row in rows
    ]


def last_event_id(database: Database) -> int:
    """The newest event's id; 0 where there is none."""
    with database.read() as connection:
        return connection.scalar(select(func.max(tables.event.c.id))) or 0


@dataclass(frozen=True, slots=True)
class EventRow:
    """One event; `text` is safe to print."""

    id: int
    at: datetime
    severity: str
    kind: str
    account: str | None
    request: str | None
    chunk: str | None
    text: str


def events(
    database: Database,
    *,
    since: datetime | None = None,
    account: str | None = None,
    kind: str | None = None,
    after: int | None = None,
    limit: int = 100,
) -> list[EventRow]:
    """The newest events, oldest first; with `after`, those with a higher id, to follow them."""
    event = tables.event
    wanted = select(event).limit(limit)
    if since is not None:
        wanted = wanted.where(event.c.at_ms >= int(since.timestamp() * 1000))
    if account is not None:
        wanted = wanted.where(event.c.account == account)
    if kind is not None:
        wanted = wanted.where(event.c.kind == kind)
    if after is not None:
        wanted = wanted.where(event.c.id > after).order_by(event.c.id)
    else:
        wanted = wanted.order_by(event.c.id.desc())
    with database.read() as connection:
        rows = connection.execute(wanted).all()
    found = [
        EventRow(
            id=row.id,
            at=at(row.at_ms),
            severity=SEVERITIES.get(row.kind, "info"),
            kind=row.kind,
            account=row.account,
            request=str(row.request_id) if row.request_id else None,
            chunk=token.encode(row.chunk_id) if row.chunk_id else None,
            text=row.detail,
        )
        for row in rows
    ]
    return found if after is not None else found[::-1]


def at(milliseconds: int) -> datetime:
    """Milliseconds since 1970 as an aware datetime in UTC."""
    return datetime.fromtimestamp(milliseconds / 1000, UTC)


def moment(milliseconds: int | None) -> datetime | None:
    """The same; nothing stays nothing."""
    return None if milliseconds is None else at(milliseconds)


def _masked(user_id: str) -> str:
    return user_id[:2] + "***"
