"""The gate of an exclusive account: while it is closed no call that spends begins, so that two credits compare.

It is in the ledger, and opens by itself after three seconds by the database's clock: a reconciler that dies leaves it
neither open nor shut. Whoever begins a call reads it in the transaction that registers the call (a chunk that is
`submitting`, a booking that is `asking`), under a lock that closing waits for. So when closing has been committed,
every call that may still be made is in the register. The lock is of a kind that does not hold up those who note
credits in the same row.
"""

from sqlalchemy import Connection, bindparam, select, update

from worker.ledger.database import Database
from worker.ledger.tables import account

#: A gate is closed for so long at most.
CLOSED_MS = 3_000
#: And so often at most, counted from one closing to the next.
EVERY_MS = 60_000

_MINE = account.c.alias == bindparam("of_account")
_READ = (
    select(account.c.gate_ms, account.c.baseline_ms).where(_MINE).with_for_update(read=True, key_share=True)
)
_LOCKED = select(account.c.gate_ms, account.c.gate_closed_ms).where(_MINE).with_for_update()
_FORGET = update(account).where(_MINE).values(baseline=None, baseline_ms=None)
_CLOSE = (
    update(account)
    .where(_MINE)
    .values(gate_ms=bindparam("until"), gate_by=bindparam("by"), gate_closed_ms=bindparam("now"))
)
_OPEN = update(account).where(_MINE, account.c.gate_by == bindparam("by")).values(gate_ms=None, gate_by=None)


def is_closed(gate_ms: int | None, now_ms: int) -> bool:
    """Whether a gate that was closed until then is closed now. Nobody closes one for longer than he may."""
    # Twice, because clocks may differ a little; a row that is further off is nobody's gate.
    return gate_ms is not None and now_ms < gate_ms <= now_ms + 2 * CLOSED_MS


def passes(database: Database, connection: Connection, alias: str, at_ms: int) -> bool:
    """Whether a call may begin that the caller's transaction is about to register, as claimed at `at_ms`.

    From here to the end of the transaction the gate cannot be closed, nor a baseline be taken.
    """
    row = connection.execute(_READ, {"of_account": alias}).first()
    if row is None:
        return True
    # By the time now: the caller may have waited for the lock.
    if is_closed(row.gate_ms, database.now_ms()):
        return False
    if row.baseline_ms is not None and row.baseline_ms >= at_ms:
        # By its time the call would be older than a credit that does not contain it: that one is worth nothing now.
        connection.execute(_FORGET, {"of_account": alias})
    return True


def close(database: Database, alias: str, by: str) -> bool:
    """Closes the gate for three seconds. False where somebody has closed it, or had, less than a minute ago."""

    def work(connection: Connection) -> bool:
        row = connection.execute(_LOCKED, {"of_account": alias}).first()
        now_ms = database.now_ms()
        if row is None or is_closed(row.gate_ms, now_ms):
            return False
        if row.gate_closed_ms is not None and 0 <= now_ms - row.gate_closed_ms < EVERY_MS:
            return False
        connection.execute(
            _CLOSE, {"of_account": alias, "until": now_ms + CLOSED_MS, "by": by, "now": now_ms}
        )
        return True

    return database.write(work, point="gate.close")


def reopen(connection: Connection, alias: str, by: str) -> None:
    """Opens the gate, if it is still ours, within the caller's transaction."""
    connection.execute(_OPEN, {"of_account": alias, "by": by})


def open_again(database: Database, alias: str, by: str) -> None:
    """Opens the gate, if it is still ours."""
    database.write(lambda connection: reopen(connection, alias, by), point="gate.open")


def forget_baseline(connection: Connection, alias: str) -> None:
    """Points may come back that nobody has counted: from now on the credit is compared with a later one."""
    connection.execute(_FORGET, {"of_account": alias})
