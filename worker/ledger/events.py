"""Events: what an operator or a producer should hear of, written in the transaction of the change itself."""

import uuid
from dataclasses import asdict, dataclass

from sqlalchemy import Connection, insert

from worker.ledger.tables import event

#: How loud each kind is; what is not named is "info".
SEVERITIES = {
    "account_blocked": "alert",
    "account_contended": "warning",
    "account_paused": "alert",
    "chunk_short": "alert",
    "chunk_unknown": "alert",
    "credit_no_proof": "warning",
    "credit_short": "alert",
    "credit_unexplained": "alert",
    "credit_wait_over": "warning",
    "dead_letter": "warning",
    "gateway_unreachable": "warning",
    "limit_reached": "alert",
    "low_credit": "alert",
    "message_refused": "warning",
    "operation_off": "warning",
    "polling_given_up": "warning",
    "request_abandoned": "warning",
    "request_held": "warning",
    "request_refused": "warning",
    "sent_after_all": "alert",
}


@dataclass(frozen=True, slots=True)
class Event:
    """One event. `detail` is for people, and never holds a number, a text or a secret."""

    kind: str
    at_ms: int
    account: str | None = None
    lane: str | None = None
    request_id: uuid.UUID | None = None
    chunk_id: int | None = None
    detail: str = ""


def record(connection: Connection, one: Event) -> None:
    """Writes the event; it is there exactly if the transaction is."""
    connection.execute(insert(event).values(asdict(one)))
