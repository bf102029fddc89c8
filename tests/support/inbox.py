"""Callbacks for tests, as the web stores them."""

from typing import Any

from sqlalchemy import Row, func, insert, select, update

from worker.ledger.database import Database
from worker.ledger.tables import inbox

_DEFAULTS: dict[str, Any] = {
    "account": "default",
    "batch_id": None,
    "token": None,
    "position": None,
    "number": "",
    "status": 100,
    "sent_ms": None,
    "reported_ms": None,
    "text": None,
    "cost": None,
    "fields": "{}",
    "state": "waiting",
    "looks": 0,
    "reason": None,
    "chunk_id": None,
}


def bring(database: Database, *callbacks: dict[str, Any]) -> None:
    """Stores callbacks that are to be looked at now. What they do not name is empty; `status` is 100."""
    now_ms = database.now_ms()
    with database.read() as connection:
        before = connection.scalar(select(func.count()).select_from(inbox)) or 0
    rows = [
        _DEFAULTS | {"received_ms": now_ms, "look_ms": now_ms, "digest": f"d{before + place}"} | one
        for place, one in enumerate(callbacks)
    ]
    database.write(lambda connection: connection.execute(insert(inbox), rows))


def rows(database: Database) -> list[Row[Any]]:
    """The inbox, in the order in which it came."""
    with database.read() as connection:
        return list(connection.execute(select(inbox).order_by(inbox.c.id)))


def states(database: Database) -> list[tuple[str, str | None]]:
    """Each row's state and reason."""
    return [(row.state, row.reason) for row in rows(database)]


def again(database: Database) -> None:
    """Every row is to be looked at once more, as if it had just come."""
    with database.read() as connection:
        ids = list(connection.scalars(select(inbox.c.id)))
    statement = update(inbox).where(inbox.c.id.in_(ids)).values(look_ms=0, state="waiting")
    database.write(lambda connection: connection.execute(statement))
