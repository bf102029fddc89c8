"""Accounts and lanes in the ledger: the breaker, pauses, and the waits after a gateway that did not answer."""

import secrets
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any

from sqlalchemy import Connection, bindparam, select, update
from sqlalchemy.dialects import postgresql, sqlite

from worker.ledger import pauses
from worker.ledger.database import Database
from worker.ledger.events import Event, record
from worker.ledger.tables import account, lane

#: Refused logins without a success between them, over all passwords, after which only an operator goes on.
#: The gateway itself locks the account at ten.
REFUSALS_LIMIT = 6


@dataclass(frozen=True, slots=True, repr=False)
class AccountRow:
    """What the ledger keeps of an account. `fingerprint` is of the password that was refused."""

    alias: str
    breaker: str
    breaker_code: int | None
    refusals: int
    salt: str
    fingerprint: str | None
    paused: bool
    paused_reason: str | None
    operations_off: frozenset[str]


_ROW = (
    account.c.alias,
    account.c.breaker,
    account.c.breaker_code,
    account.c.refusals,
    account.c.salt,
    account.c.fingerprint,
    account.c.paused,
    account.c.paused_reason,
    account.c.operations_off,
)


def ensure_accounts(database: Database, aliases: Iterable[str]) -> None:
    """A row for each account of the settings. An account's salt is made once and stays."""
    dialect = postgresql if database.is_postgres else sqlite

    def work(connection: Connection) -> None:
        for alias in aliases:
            row = {"alias": alias, "salt": secrets.token_hex(16)}
            connection.execute(dialect.insert(account).values(row).on_conflict_do_nothing())

    database.write(work, point="account.ensure")


def account_row(database: Database, alias: str) -> AccountRow:
    """The account's state now. Raises LookupError where `ensure_accounts` has not run for it."""
    with database.read() as connection:
        row = connection.execute(select(*_ROW).where(account.c.alias == alias)).first()
    if row is None:
        raise LookupError(f"the ledger has no account {alias}")
    return _account_row(row)


def _account_row(row: Sequence[Any]) -> AccountRow:
    kept: list[Any] = list(row)
    kept[-1] = frozenset(kept[-1].split())
    return AccountRow(*kept)


def begin_login(database: Database, alias: str) -> bool:
    """Written before each login: a ledger that cannot be written means no login, because a refusal could not be kept.

    Logins that began and whose end nobody wrote down count as refusals: after six of them the breaker locks, and
    False is returned.
    """
    now_ms = database.now_ms()

    def work(connection: Connection) -> bool:
        mine = account.c.alias == alias
        connection.execute(update(account).where(mine).values(logins_begun=account.c.logins_begun + 1))
        begun = connection.scalar(select(account.c.logins_begun).where(mine)) or 0
        if begun > REFUSALS_LIMIT:
            connection.execute(update(account).where(mine).values(breaker="locked", breaker_ms=now_ms))
            detail = (
                f"{REFUSALS_LIMIT} logins of account {alias} began and did not end: its workers die, or cannot "
                "write; look at their logs, then `every8d accounts unblock`"
            )
            record(connection, Event("account_blocked", now_ms, account=alias, detail=detail))
        return begun <= REFUSALS_LIMIT

    return database.write(work, point="session.begin_login")


def end_login(database: Database, alias: str) -> None:
    """The login ended, in whatever way, and what is to be kept of it is kept."""
    statement = update(account).where(account.c.alias == alias).values(logins_begun=0)
    database.write(lambda connection: connection.execute(statement), point="session.end_login")


def login_refused(database: Database, alias: str, code: int, fingerprint: str, *, locked: bool) -> None:
    """Opens the breaker for this password, for every worker and across restarts; an event says what to do."""
    now_ms = database.now_ms()

    def work(connection: Connection) -> None:
        kept = connection.execute(
            select(account.c.refusals, account.c.breaker, account.c.fingerprint)
            .where(account.c.alias == alias)
            .with_for_update()
        ).one()
        if kept.breaker == "locked" or (
            kept.breaker == "open" and kept.fingerprint == fingerprint and not locked
        ):
            # Calls that were under way when the first was refused: the same news, not another refusal.
            return
        refusals = kept.refusals + 1
        state = "locked" if locked or refusals >= REFUSALS_LIMIT else "open"
        connection.execute(
            update(account)
            .where(account.c.alias == alias)
            .values(
                breaker=state,
                breaker_code=code,
                breaker_ms=now_ms,
                refusals=refusals,
                fingerprint=fingerprint,
            )
        )
        advice = (
            "the account is locked: ask the vendor, then `every8d accounts unblock`"
            if state == "locked"
            else "put the right password into the settings, or `every8d accounts unblock` if it was right"
        )
        detail = f"the gateway refused the login of account {alias} ({code}); nothing of it is sent; {advice}"
        record(connection, Event("account_blocked", now_ms, account=alias, detail=detail))

    database.write(work, point="session.refused")


def login_accepted(database: Database, alias: str) -> None:
    """Closes the breaker: this password works."""
    now_ms = database.now_ms()
    statement = (
        update(account)
        .where(account.c.alias == alias)
        .values(breaker="closed", breaker_code=None, breaker_ms=now_ms, refusals=0, fingerprint=None)
    )
    database.write(lambda connection: connection.execute(statement), point="session.accepted")


def turn_operation_off(database: Database, alias: str, operation: str) -> None:
    """The gateway does not know this operation: the account does without it from now on."""
    now_ms = database.now_ms()

    def work(connection: Connection) -> None:
        kept = connection.scalar(
            select(account.c.operations_off).where(account.c.alias == alias).with_for_update()
        )
        off = set((kept or "").split())
        if operation in off:
            return
        connection.execute(
            update(account)
            .where(account.c.alias == alias)
            .values(operations_off=" ".join(sorted(off | {operation})))
        )
        detail = f"the gateway does not know {operation}; account {alias} does without it"
        record(connection, Event("operation_off", now_ms, account=alias, detail=detail))

    database.write(work, point="account.operation_off")


def pause_account(database: Database, alias: str, reason: str) -> None:
    """Nothing of the account goes out until an operator resumes or unblocks it. An operator's own pause stays."""
    now_ms = database.now_ms()

    def work(connection: Connection) -> None:
        target = pauses.Target(alias)
        if pauses.put(database, connection, target, pauses.GATEWAY, reason, now_ms, over=False):
            record(connection, Event("account_paused", now_ms, account=alias, detail=reason))

    database.write(work, point="account.pause")


def contended(database: Database, alias: str) -> None:
    """Another system takes the account's session away faster than we may log in."""
    now_ms = database.now_ms()
    detail = (
        f"another system closes the session of account {alias}, or logs in as it; its messages wait between "
        "logins. Give each system an account of its own"
    )
    news = Event("account_contended", now_ms, account=alias, detail=detail)
    database.write(lambda connection: record(connection, news), point="session.contended")


@dataclass(frozen=True, slots=True)
class Gate:
    """Whether a lane's calls may go out: the account's row, and the lane's wait after failures."""

    account: AccountRow
    #: Milliseconds until something of this lane may go out again; 0 means now.
    wait_ms: int
    failures: int
    lane_paused: bool = False


_GATE = (
    select(*_ROW, lane.c.resume_ms, lane.c.failures, lane.c.paused.label("lane_paused"))
    .select_from(
        account.outerjoin(lane, (lane.c.account == account.c.alias) & (lane.c.lane == bindparam("of_lane")))
    )
    .where(account.c.alias == bindparam("of_account"))
)


def gate(database: Database, alias: str, name: str) -> Gate:
    """The state of an account and one of its lanes, in one look. Raises LookupError as `account_row` does."""
    with database.read() as connection:
        row = connection.execute(_GATE, {"of_account": alias, "of_lane": name}).first()
    if row is None:
        raise LookupError(f"the ledger has no account {alias}")
    wait_ms = max(0, (row.resume_ms or 0) - database.now_ms())
    return Gate(_account_row(row[:-3]), wait_ms, row.failures or 0, bool(row.lane_paused))


def lane_failed(database: Database, alias: str, name: str, why: str, ceiling_s: float) -> float:
    """A call of the lane could not be made: the lane waits, longer each time. Returns the wait in seconds.

    Loops that fail while the lane waits already failed by the same fault, and make the wait no longer.
    """
    now_ms = database.now_ms()

    def work(connection: Connection) -> float:
        mine = (lane.c.account == alias) & (lane.c.lane == name)
        dialect = postgresql if database.is_postgres else sqlite
        # The row first: what is not there cannot be locked.
        connection.execute(dialect.insert(lane).values(account=alias, lane=name).on_conflict_do_nothing())
        kept = connection.execute(
            select(lane.c.failures, lane.c.resume_ms).where(mine).with_for_update()
        ).one()
        if kept.resume_ms > now_ms:
            return float(kept.resume_ms - now_ms) / 1000
        failures = int(kept.failures) + 1
        wait_s = min(ceiling_s, 2.0 ** min(failures - 1, 16))
        values = {"resume_ms": now_ms + int(wait_s * 1000), "failures": failures, "reason": why}
        connection.execute(update(lane).where(mine).values(values))
        if failures == 1:
            detail = f"{why}; the {name} lane of account {alias} waits and goes on by itself"
            record(connection, Event("gateway_unreachable", now_ms, account=alias, lane=name, detail=detail))
        return wait_s

    return database.write(work, point="lane.failed")


def lane_went_well(database: Database, alias: str, name: str) -> None:
    """A call went through after failures: the lane's waits begin anew."""
    statement = (
        update(lane)
        .where(lane.c.account == alias, lane.c.lane == name)
        .values(failures=0, resume_ms=0, reason=None)
    )
    database.write(lambda connection: connection.execute(statement), point="lane.went_well")
