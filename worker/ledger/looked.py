"""Rows of the inbox after a look: matched, or when to look again, and why not."""

from collections.abc import Sequence

from sqlalchemy import Connection, bindparam, text, update

from worker.ledger.database import Database
from worker.ledger.rows import joined
from worker.ledger.tables import inbox
from worker.reports import CEILING_MS, Match, Reason, ReportState, look_again_ms

_MARK_MANY = text(
    "UPDATE inbox SET state = d.state, look_ms = d.look_ms, looks = inbox.looks + 1, reason = d.reason, "
    "matched_ms = d.matched_ms, chunk_id = d.chunk_id, request_id = d.request_id, seq = d.seq "
    "FROM unnest(CAST(string_to_array(:ids, ',', '') AS bigint[]), string_to_array(:state, ',', ''), "
    "CAST(string_to_array(:look, ',', '') AS bigint[]), string_to_array(:reason, ',', ''), "
    "CAST(string_to_array(:matched, ',', '') AS bigint[]), CAST(string_to_array(:chunk, ',', '') AS bigint[]), "
    "CAST(string_to_array(:request, ',', '') AS uuid[]), CAST(string_to_array(:seq, ',', '') AS int[])) "
    "AS d(id, state, look_ms, reason, matched_ms, chunk_id, request_id, seq) WHERE inbox.id = d.id"
)
_MARK_ONE = (
    update(inbox)
    .where(inbox.c.id == bindparam("of_row"))
    .values(
        state=bindparam("to_state"),
        look_ms=bindparam("to_look"),
        looks=inbox.c.looks + 1,
        reason=bindparam("to_reason"),
        matched_ms=bindparam("to_matched"),
        chunk_id=bindparam("to_chunk"),
        request_id=bindparam("to_request"),
        seq=bindparam("to_seq"),
    )
)


def mark(database: Database, connection: Connection, matches: Sequence[Match], now_ms: int) -> None:
    """Writes what was found of each row, within the caller's transaction, which has them locked."""
    rows = []
    for match in matches:
        report, reason = match.report, match.reason
        state = ReportState.MATCHED if reason is None else ReportState.UNMATCHED
        if reason is Reason.SUBMITTING:
            state = ReportState.WAITING
        found = match.owner.known if match.owner is not None else None
        rows.append(
            (
                report.id,
                state,
                None if reason is None else look_again_ms(report, reason, now_ms),
                reason,
                now_ms if reason is None else None,
                match.call.id if match.call is not None else None,
                found.request_id if found is not None else None,
                found.seq if found is not None else None,
            )
        )
    if database.is_postgres:
        names = ("ids", "state", "look", "reason", "matched", "chunk", "request", "seq")
        columns = zip(*rows, strict=True)
        connection.execute(_MARK_MANY, dict(zip(names, (joined(column) for column in columns), strict=True)))
        return
    places = ("of_row", "to_state", "to_look", "to_reason", "to_matched", "to_chunk", "to_request", "to_seq")
    connection.execute(_MARK_ONE, [dict(zip(places, row, strict=True)) for row in rows])


def put_off(database: Database, row_id: int) -> None:
    """A row that no transaction takes: looked at again much later, perhaps by another version."""
    values = {
        "state": ReportState.UNMATCHED,
        "reason": Reason.FAILED,
        "look_ms": database.now_ms() + CEILING_MS,
        "looks": inbox.c.looks + 1,
    }
    statement = update(inbox).where(inbox.c.id == row_id, inbox.c.look_ms.is_not(None)).values(values)
    database.write(lambda connection: connection.execute(statement), point="callback.put_off")
