"""Caps on texts to one number: what is over waits for its time, and what goes is written down for the next claim.

Only claims of accounts with a cap come here. They go one at a time (`exclusively`), so that two claims cannot each find
room for the same text.
"""

from collections.abc import Sequence
from typing import Any

from sqlalchemy import Connection, bindparam, delete, func, insert, select, update

from worker.caps import DAY_MS, Caps, earliest
from worker.ledger.database import Database
from worker.ledger.events import Event, record
from worker.ledger.tables import message, number_use
from worker.packing import Candidate

#: A sweep drops so many old rows at a time, and leaves the database to others in between.
OLD_ROWS = 5_000

_USES = select(number_use.c.number, number_use.c.at_ms).where(
    number_use.c.account == bindparam("account"),
    number_use.c.number.in_(bindparam("numbers", expanding=True)),
    number_use.c.at_ms > bindparam("since"),
)
_LATER = (
    update(message)
    .where(message.c.request_id == bindparam("of_request"), message.c.seq == bindparam("of_seq"))
    .values(due_ms=bindparam("later"))
)
_KEEP = insert(number_use).from_select(
    ["account", "number", "at_ms", "chunk_id"],
    select(
        bindparam("of_account", type_=number_use.c.account.type),
        message.c.number,
        bindparam("at", type_=number_use.c.at_ms.type),
        message.c.chunk_id,
    ).where(message.c.chunk_id == bindparam("of_chunk")),
)
_GIVE_BACK = delete(number_use).where(number_use.c.chunk_id == bindparam("of_chunk"))
_EXCLUSIVELY = select(func.pg_advisory_xact_lock(func.hashtextextended(bindparam("name"), 0)))


def exclusively(database: Database, connection: Connection, account: str) -> None:
    """Waits until no other transaction of the account is between here and its commit. SQLite has one writer anyway."""
    if database.is_postgres:
        connection.execute(_EXCLUSIVELY, {"name": f"every8d:{account}"})


def within(
    connection: Connection,
    requests: Sequence[Any],
    caps: Caps,
    candidates: Sequence[Candidate],
    at_ms: int,
    now_ms: int,
) -> list[Candidate]:
    """The candidates of these requests that may go out at `at_ms`. The others wait until they may, or their deadline.

    A number that stands twice among them is for the packing: a call has it once only.
    """
    account, deadlines = requests[0].account, {row.id: row.deadline_ms for row in requests}
    numbers = sorted({one.number for one in candidates})
    uses: dict[str, list[int]] = {}
    if numbers:
        of_numbers = {"account": account, "numbers": numbers, "since": at_ms - DAY_MS}
        for row in connection.execute(_USES, of_numbers):
            uses.setdefault(row.number, []).append(row.at_ms)
    free, later = [], []
    for one in candidates:
        moment = earliest(uses.get(one.number, ()), at_ms, caps)
        if moment <= at_ms:
            free.append(one)
            continue
        deadline_ms = deadlines[one.request_id]
        if deadline_ms is not None:
            moment = min(moment, deadline_ms)
        later.append({"of_request": one.request_id, "of_seq": one.seq, "later": moment})
    if later:
        connection.execute(_LATER, later)
        detail = f"{len(later)} messages wait: their numbers have had as many texts as the caps allow"
        alone = requests[0].id if len(requests) == 1 else None
        record(connection, Event("cap_reached", now_ms, account, requests[0].lane, alone, detail=detail))
    return free


def keep(connection: Connection, account: str, chunk_id: int, at_ms: int) -> None:
    """The chunk's messages, which must point to it already, are texts to their numbers at that time."""
    connection.execute(_KEEP, {"of_account": account, "of_chunk": chunk_id, "at": at_ms})


def give_back(connection: Connection, chunk_id: int, *, numbers: Sequence[str] | None = None) -> None:
    """The chunk's messages (or those to these numbers) were not sent after all: they do not count."""
    statement = _GIVE_BACK if numbers is None else _GIVE_BACK.where(number_use.c.number.in_(numbers))
    connection.execute(statement, {"of_chunk": chunk_id})


def forget_old(database: Database) -> int:
    """Drops uses that are older than a day, some at a time. Returns how many are gone."""
    before_ms, gone = database.now_ms() - DAY_MS, 0
    old = select(number_use.c.id).where(number_use.c.at_ms <= before_ms).limit(OLD_ROWS)
    statement = delete(number_use).where(number_use.c.id.in_(old))
    while dropped := database.write(lambda c: c.execute(statement).rowcount, bulk=True, point="caps.forget"):
        gone += dropped
    return gone
