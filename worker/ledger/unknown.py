"""What is known of unknown chunks, for whoever has to decide: their age, the credit then and now, callbacks."""

from collections.abc import Collection
from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal

from sqlalchemy import case, func, select

import config
from worker import token
from worker.evidence import Reason
from worker.ledger.database import Database
from worker.ledger.prices import callbacks_of, certain_prices, claimed_since
from worker.ledger.queries import at, moment
from worker.ledger.tables import account, chunk
from worker.states import ChunkState


@dataclass(frozen=True, slots=True)
class Evidence:
    """Of one unknown chunk. Points; times aware, in UTC. `proof` is why its account's credit proves nothing so far."""

    chunk: str
    unknown_since: datetime
    #: What it would cost, where that is certain.
    predicted: Decimal | None
    #: The account's credit as last heard; not necessarily at a quiet moment.
    credit: Decimal | None
    credit_at: datetime | None
    #: The credit that it is compared with, and the costs that are confirmed since; None where there is none.
    baseline: Decimal | None
    baseline_at: datetime | None
    confirmed: Decimal | None
    #: Callbacks with its token that have come.
    callbacks: int
    proof: Reason


def evidence(
    database: Database, tokens: Collection[str], settings: config.Settings | None = None
) -> dict[str, Evidence]:
    """What is known of these unknown chunks, by token."""
    settings = settings or config.load()
    with database.read() as connection:
        rows = connection.execute(
            select(
                chunk.c.id,
                chunk.c.account,
                chunk.c.claimed_ms,
                chunk.c.answered_ms,
                chunk.c.evidence,
                account.c.credit,
                account.c.credit_ms,
                account.c.baseline,
                account.c.baseline_ms,
            )
            .select_from(chunk.outerjoin(account, account.c.alias == chunk.c.account))
            .where(chunk.c.id.in_([token.decode(one) for one in tokens]), chunk.c.state == ChunkState.UNKNOWN)
        ).all()
        prices = certain_prices(connection, [row.id for row in rows])
        heard: dict[int, int] = {}
        confirmed: dict[str, Decimal] = {}
        said = (chunk.c.state == ChunkState.ACCEPTED) & chunk.c.cost.is_not(None)
        for alias, baseline_ms in {(row.account, row.baseline_ms) for row in rows}:
            heard |= callbacks_of(connection, alias, [row.id for row in rows if row.account == alias])
            if baseline_ms is not None:
                total = select(func.sum(case((said, chunk.c.cost)))).where(claimed_since(alias, baseline_ms))
                confirmed[alias] = connection.scalar(total) or Decimal(0)
    found = {}
    for row in rows:
        comparable = row.baseline_ms is not None and row.claimed_ms > row.baseline_ms
        mine = settings.accounts.get(row.account)
        name = token.encode(row.id)
        found[name] = Evidence(
            chunk=name,
            unknown_since=at(row.answered_ms or row.claimed_ms),
            predicted=prices.get(row.id),
            credit=row.credit,
            credit_at=moment(row.credit_ms),
            baseline=row.baseline if comparable else None,
            baseline_at=moment(row.baseline_ms) if comparable else None,
            confirmed=confirmed.get(row.account) if comparable else None,
            callbacks=heard.get(row.id, 0),
            proof=_proof(row.evidence, exclusive=mine is not None and mine.exclusive, comparable=comparable),
        )
    return found


def _proof(found: str | None, *, exclusive: bool, comparable: bool) -> Reason:
    if not exclusive:
        return Reason.NOT_EXCLUSIVE
    if found is not None:
        return Reason(found)
    return Reason.TOO_EARLY if comparable else Reason.NO_BASELINE
