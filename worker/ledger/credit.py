"""An account's credit in the ledger: what the gateway says is left, when it ran short, and the low-credit alarm.

Whoever judges prices, or lets go what was held, locks the account's row first: two requests are never both covered by
the same points.
"""

from dataclasses import dataclass
from decimal import Decimal
from typing import Any

from sqlalchemy import Connection, select, update

from worker.ledger.database import Database
from worker.ledger.events import Event, record
from worker.ledger.tables import account, request


@dataclass(frozen=True, slots=True)
class Purse:
    """What an account has. `short`: the gateway left messages unsent, and the credit has not risen since."""

    credit: Decimal | None
    credit_ms: int
    topped_ms: int | None
    short: bool


def locked_purse(connection: Connection, alias: str) -> Purse:
    """The account's credit, its row locked until the caller's transaction ends."""
    row = connection.execute(
        select(account.c.credit, account.c.credit_ms, account.c.short_credit, account.c.topped_ms)
        .where(account.c.alias == alias)
        .with_for_update()
    ).one()
    short = row.short_credit is not None and row.topped_ms is None
    return Purse(row.credit, row.credit_ms or 0, row.topped_ms, short)


def keep_credit(
    database: Database, alias: str, credit: Decimal, *, alarm_below: float = 0, asked_ms: int | None = None
) -> None:
    """The account's credit in points, as getCredit said it, asked at `asked_ms` (now, where that is not told).

    An account whose messages were left unsent is topped up once the credit is above the least since then. Below
    `alarm_below` an alarm is raised, once until it is above again.
    """
    now_ms = database.now_ms()

    def work(connection: Connection) -> None:
        mine = account.c.alias == alias
        row = connection.execute(
            select(
                account.c.short_credit,
                account.c.short_ms,
                account.c.topped_ms,
                account.c.low_credit_ms,
                account.c.lowest,
            )
            .where(mine)
            .with_for_update()
        ).first()
        if row is None:
            return
        lowest = credit if row.lowest is None else min(row.lowest, credit)
        values: dict[str, Any] = {"credit": credit, "credit_ms": now_ms, "lowest": lowest}
        # What was asked before the gateway ran short says nothing of a top-up.
        if row.short_credit is not None and (row.short_ms or 0) <= (now_ms if asked_ms is None else asked_ms):
            if credit > row.short_credit:
                values["topped_ms"] = row.topped_ms or now_ms
            else:
                values |= {"short_credit": credit, "topped_ms": None}
        if row.low_credit_ms is not None and credit >= Decimal(str(alarm_below)):
            values["low_credit_ms"] = None
        connection.execute(update(account).where(mine).values(values))
        _alarm(connection, alias, credit, alarm_below, now_ms)

    database.write(work, point="funds.credit")


def alarm(database: Database, alias: str, credit: Decimal, below: float) -> None:
    """Raises the low-credit alarm of an account, where it does not stand yet: a send's answer has told this credit."""
    now_ms = database.now_ms()
    database.write(
        lambda connection: _alarm(connection, alias, credit, below, now_ms), point="funds.low_credit"
    )


def _alarm(connection: Connection, alias: str, credit: Decimal, below: float, now_ms: int) -> None:
    if credit >= Decimal(str(below)):
        return
    quiet = (account.c.alias == alias) & account.c.low_credit_ms.is_(None)
    if connection.execute(update(account).where(quiet).values(low_credit_ms=now_ms)).rowcount:
        detail = f"the credit of account {alias} is {credit:.2f} points, below {below:g}: top it up"
        record(connection, Event("low_credit", now_ms, account=alias, detail=detail))


def begin_asking(database: Database, alias: str, every_s: float) -> bool:
    """Whether it is this caller's turn to ask for the credit: at once after a shortage, then once in `every_s`."""
    now_ms = database.now_ms()
    asked_ms = account.c.credit_asked_ms
    due = asked_ms.is_(None) | (asked_ms <= now_ms - int(every_s * 1000))
    mine = update(account).where(account.c.alias == alias, due).values(credit_asked_ms=now_ms)
    return database.write(lambda connection: connection.execute(mine).rowcount == 1, point="funds.ask")


def ran_short(connection: Connection, alias: str, credit: Decimal, now_ms: int) -> None:
    """The gateway has left messages unsent, with so much credit left. Within the caller's transaction.

    The prices of what still waits in the bulk lane are held against the credit anew.
    """
    connection.execute(
        update(account)
        .where(account.c.alias == alias)
        .values(short_credit=credit, short_ms=now_ms, topped_ms=None, credit_asked_ms=None)
    )
    connection.execute(
        update(request)
        .where(
            request.c.account == alias,
            request.c.lane == "bulk",
            request.c.next_due_ms.is_not(None),
            request.c.paused_ms.is_(None),
            request.c.funds.is_not(None),
        )
        .values(funds=None)
    )
