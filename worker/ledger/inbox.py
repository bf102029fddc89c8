"""The inbox: what the gateway's callbacks brought, stored before anything is made of it.

Whoever stores answers 200 only after this commit. The gateway repeats a report until it hears 200, so the same
report comes again and again; it is one row. What a row means for a message is found out later (`worker.matching`).
"""

import hashlib
import json
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from decimal import Decimal

from sqlalchemy import Connection
from sqlalchemy.dialects import postgresql, sqlite

from every8d.callback import CallbackReport
from worker import token
from worker.ledger.database import Database
from worker.ledger.rows import milliseconds
from worker.ledger.tables import inbox
from worker.statuses import plain_number

#: What the ledger keeps of a number, and of a name in capitals the parameter that brings the text.
_NUMBER_LENGTH = 20
_TEXT = "SM"

_INSERT = {
    True: postgresql.insert(inbox).on_conflict_do_nothing(index_elements=["digest"]),
    False: sqlite.insert(inbox).on_conflict_do_nothing(index_elements=["digest"]),
}


@dataclass(frozen=True, slots=True, repr=False)
class Arrived:
    """A callback as a row of the inbox; its columns are explained there. No repr shows it."""

    account: str
    batch_id: str | None
    token: int | None
    position: int | None
    number: str
    status: int | None
    sent_ms: int | None
    reported_ms: int | None
    text: str | None
    cost: Decimal | None
    fields: str
    digest: str


def arrived(account: str, report: CallbackReport) -> Arrived:
    """The row of a report that came for an account."""
    # The text of an ordinary report is the one that was sent: the ledger has it, or has been told to forget it.
    ordinary = report.status is not None and not report.is_reply
    kept = {name: value for name, value in report.fields.items() if not (ordinary and name.upper() == _TEXT)}
    return Arrived(
        account=account,
        batch_id=report.batch_id or None,
        token=token.find(report.subject),
        position=report.position,
        number=plain_number(report.mobile)[:_NUMBER_LENGTH],
        status=report.status,
        sent_ms=milliseconds(report.sent_time),
        reported_ms=milliseconds(report.report_time),
        text=report.text if report.is_reply else None,
        # 0 comes with delivered messages, too: it would take away a cost that is known.
        cost=report.charge or None,
        fields=json.dumps(kept, ensure_ascii=False),
        digest=_digest(account, report),
    )


def store(database: Database, rows: Sequence[Arrived]) -> None:
    """Commits the rows that are not there yet, all in one transaction. Raises SQLAlchemyError; then none is stored."""

    if not rows:
        return
    now_ms = database.now_ms()
    when = {"received_ms": now_ms, "look_ms": now_ms}
    # In one order everywhere: two processes that store the same reports cannot wait for each other.
    values = [{**asdict(row), **when} for row in sorted(rows, key=lambda row: row.digest)]

    def work(connection: Connection) -> None:
        connection.execute(_INSERT[database.is_postgres], values)

    database.write(work, point="callback.stored")


def _digest(account: str, report: CallbackReport) -> str:
    """The identity of a report: all that came, in whatever order and case."""
    everything = sorted((name.upper(), value) for name, value in report.fields.items())
    return hashlib.sha256(json.dumps([account, everything]).encode()).hexdigest()
