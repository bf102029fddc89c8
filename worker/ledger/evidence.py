"""The ledger's side of credit as evidence: what was called since the baseline, and the commit of what is proven.

Everything is looked at twice, before the credit is asked for and after, each time under the account's lock, which
claims wait for. What happened in between is seen then, because a call is in the ledger before it is made; so a gate
that somebody did not respect, or that ended early, costs a proof but makes no false one.
"""

from collections.abc import Collection, Sequence
from dataclasses import dataclass, replace
from decimal import Decimal
from typing import Any

from sqlalchemy import Connection, case, func, or_, select, update

from worker import token
from worker.evidence import HOPELESS, ZERO, Reason, Standing, Unsure, Verdict, judge, spent_elsewhere
from worker.ledger import gate
from worker.ledger.database import Database
from worker.ledger.events import Event, record
from worker.ledger.operators import decide
from worker.ledger.prices import callbacks_of, certain_prices, claimed_since
from worker.ledger.tables import account, chunk
from worker.states import ChunkState, EraseState

#: Chunks settled by a comparison of credits.
CREDIT = "credit"
#: After points were gone that no call of ours explains, credit proves nothing for so long.
DOUBT_MS = 86_400_000


@dataclass(frozen=True, slots=True)
class Rules:
    """What the settings say of an account's evidence. `unknown_after_ms`: how long the gateway may go on executing."""

    unknown_after_ms: int
    refunds: bool


@dataclass(frozen=True, slots=True)
class Look:
    """An account at one moment."""

    #: Something may still be executed at the gateway: a credit would say nothing.
    busy: bool
    baseline_ms: int | None
    #: Calls since the baseline, or since `since_ms` where there is none.
    calls: int
    #: When the last of them was claimed.
    latest_ms: int
    #: None without a baseline.
    standing: Standing | None
    #: The unknown chunks since the baseline that a proof could settle.
    unknown: tuple[int, ...] = ()


def look(database: Database, alias: str, rules: Rules, since_ms: int) -> Look:
    """How things stand now."""
    return database.write(
        lambda connection: _look(connection, alias, rules, since_ms, database.now_ms()),
        point="reconcile.look",
    )


def in_flight(database: Database, alias: str, rules: Rules) -> bool:
    """Whether calls of the account that spend or bring back points are under way: a look that holds nobody up."""
    with database.read() as connection:
        return _in_flight(connection, alias, database.now_ms() - rules.unknown_after_ms)


def take_turn(database: Database, alias: str, wait_ms: int) -> bool:
    """True where nobody has set about comparing credits for so long, and we are the one who does."""
    now_ms = database.now_ms()
    last = account.c.compared_ms
    mine = (
        update(account)
        .where(account.c.alias == alias, or_(last.is_(None), last <= now_ms - wait_ms, last > now_ms))
        .values(compared_ms=now_ms)
    )
    return database.write(lambda connection: connection.execute(mine).rowcount == 1, point="reconcile.turn")


def keep_reason(database: Database, ids: Collection[int], reason: Reason) -> None:
    """Keeps why the credit proves nothing of these chunks so far."""
    database.write(lambda connection: _mark(connection, ids, reason), point="reconcile.mark")


def conclude(
    database: Database,
    alias: str,
    rules: Rules,
    first: Look,
    credit: Decimal,
    *,
    since_ms: int,
    returns: Decimal = ZERO,
    prices_differ: bool = False,
    gate_by: str | None = None,
    anew: bool = False,
) -> Verdict | None:
    """Commits what the credit proves, and makes it the baseline where everything before is settled or hopeless.

    `first` is the look before the credit was asked for. None where anything happened since, so that the credit says
    nothing. `gate_by`: the gate must still be closed by him, and is opened. `anew`: a new baseline in any case.
    """

    def work(connection: Connection) -> Verdict | None:
        now_ms = database.now_ms()
        second = _look(connection, alias, rules, since_ms, now_ms)
        closed = gate_by is None or _holds_gate(connection, alias, gate_by, now_ms)
        if gate_by is not None:
            gate.reopen(connection, alias, gate_by)
        if (
            not closed
            or second.busy
            or (second.calls, second.baseline_ms) != (first.calls, first.baseline_ms)
        ):
            return None
        if second.standing is None:
            _take_baseline(connection, alias, credit, second, now_ms)
            return None
        standing = replace(
            second.standing,
            returns=returns,
            prices_differ=second.standing.prices_differ or prices_differ,
        )
        verdict = judge(standing, credit)
        spent = spent_elsewhere(standing, credit)
        if spent:
            _doubt(connection, alias, spent, now_ms)
        if second.unknown:
            _apply(connection, standing, verdict, credit, now_ms)
        if anew or not second.unknown or verdict.reason is Reason.PROVEN or verdict.reason in HOPELESS:
            if second.unknown and verdict.reason is not Reason.PROVEN:
                _tell(connection, alias, second.unknown, verdict, now_ms)
            _take_baseline(connection, alias, credit, second, now_ms)
        return verdict if second.unknown else None

    return database.write(work, point="reconcile.conclude")


def _look(connection: Connection, alias: str, rules: Rules, since_ms: int, now_ms: int) -> Look:
    # The lock that every claim of the account waits for: from here on no call begins until we commit.
    row = connection.execute(
        select(
            account.c.baseline,
            account.c.baseline_ms,
            account.c.lowest,
            account.c.doubt_ms,
            account.c.erase_lost_ms,
        )
        .where(account.c.alias == alias)
        .with_for_update()
    ).one()
    ripe_ms = now_ms - rules.unknown_after_ms
    after_ms = row.baseline_ms if row.baseline_ms is not None else since_ms
    since = claimed_since(alias, after_ms)
    # The unknown ones are locked too: none of them is settled by others between these statements.
    unknown = connection.execute(
        select(chunk.c.id, chunk.c.claimed_ms, chunk.c.answered_ms, chunk.c.lease_ms)
        .where(chunk.c.account == alias, chunk.c.state == ChunkState.UNKNOWN)
        .order_by(chunk.c.id)
        .with_for_update()
    ).all()
    said = (chunk.c.state == ChunkState.ACCEPTED) & chunk.c.cost.is_not(None)
    whole = said & (chunk.c.unsend == 0)
    plain = connection.execute(
        select(
            func.count().label("calls"),
            func.max(chunk.c.claimed_ms).label("latest_ms"),
            func.sum(case((said, chunk.c.cost))).label("confirmed"),
            func.min(case((said, chunk.c.credit))).label("lowest"),
            func.sum(case((whole & (chunk.c.cost != chunk.c.points), 1), else_=0)).label("differing"),
        ).where(since)
    ).one()
    busy = (
        _in_flight(connection, alias, ripe_ms)
        or any((one.answered_ms or one.lease_ms) > ripe_ms for one in unknown)
        or (row.erase_lost_ms is not None and row.erase_lost_ms > ripe_ms)
    )
    latest_ms = max([plain.latest_ms or 0, *(one.claimed_ms for one in unknown)])
    if row.baseline is None or row.baseline_ms is None:
        return Look(busy, row.baseline_ms, plain.calls, latest_ms, None)
    calls = _unsure(
        connection, alias, since, [one.id for one in unknown if one.claimed_ms > row.baseline_ms], said
    )
    standing = Standing(
        baseline=row.baseline,
        confirmed=plain.confirmed or ZERO,
        lowest=min(one for one in (row.baseline, row.lowest, plain.lowest) if one is not None),
        calls=calls,
        refunds=rules.refunds,
        prices_differ=bool(plain.differing),
        doubted=row.doubt_ms is not None and row.doubt_ms > now_ms - DOUBT_MS,
    )
    open_ones = tuple(one.chunk_id for one in calls if one.unknown)
    return Look(busy, row.baseline_ms, plain.calls, latest_ms, standing, open_ones)


def _in_flight(connection: Connection, alias: str, ripe_ms: int) -> bool:
    """The register of calls: sends, and erasures, which bring points back."""
    sends = select(chunk.c.id).where(chunk.c.account == alias, chunk.c.state == ChunkState.SUBMITTING)
    # One whose process died stays so until it is asked again: no longer than the gateway may go on executing it.
    erasures = select(chunk.c.id).where(
        chunk.c.account == alias,
        chunk.c.erase == EraseState.ASKING,
        chunk.c.erase_ms.is_not(None),
        chunk.c.erase_ms > ripe_ms,
    )
    return any(connection.execute(one.limit(1)).first() is not None for one in (sends, erasures))


def _unsure(
    connection: Connection, alias: str, since: Any, unknown: Sequence[int], said: Any
) -> tuple[Unsure, ...]:
    """The unknown chunks since the baseline, and those that were settled without the gateway's own word on the cost.

    Of the latter people may be mistaken, or a callback may have told no cost: they count, whatever was said of them.
    """
    settled = connection.execute(
        select(chunk.c.id, chunk.c.state, chunk.c.settled_by)
        .where(
            since,
            ~said,
            or_(chunk.c.settled_by.is_not(None), chunk.c.state == ChunkState.ACCEPTED),
            chunk.c.state != ChunkState.UNKNOWN,
        )
        .order_by(chunk.c.id)
        .with_for_update()
    ).all()
    ids = [*unknown, *(row.id for row in settled)]
    if not ids:
        return ()
    prices, reported = certain_prices(connection, ids), callbacks_of(connection, alias, ids)
    told = {row.id for row in settled if row.state == ChunkState.ACCEPTED and row.settled_by == "callback"}
    # One that a callback is here of is settled by whoever matches that, with its BatchID.
    return tuple(
        Unsure(
            one,
            prices.get(one),
            unknown=one in unknown and one not in reported,
            executed=one in told or one in reported,
        )
        for one in ids
    )


def _holds_gate(connection: Connection, alias: str, by: str, now_ms: int) -> bool:
    row = connection.execute(
        select(account.c.gate_ms, account.c.gate_by).where(account.c.alias == alias)
    ).one()
    return bool(row.gate_by == by and gate.is_closed(row.gate_ms, now_ms))


def _apply(
    connection: Connection, standing: Standing, verdict: Verdict, credit: Decimal, now_ms: int
) -> None:
    _mark(connection, [one.chunk_id for one in standing.calls if one.unknown], verdict.reason)
    for chunk_id in sorted(verdict.sent | verdict.not_sent):
        sent = chunk_id in verdict.sent
        why = (
            f"the credit was {standing.baseline:.2f}, costs of {standing.confirmed:.2f} are confirmed since, and it is "
            f"{credit:.2f}: {verdict.drop:.2f} are gone, which can only mean that it was "
            f"{'sent' if sent else 'not sent'}"
        )
        decision = "accept" if sent else "resend"
        decide(connection, chunk_id, decision, batch_id=None, by=CREDIT, why=why, now_ms=now_ms)  # type: ignore[arg-type]


def _mark(connection: Connection, ids: Collection[int], reason: Reason) -> None:
    connection.execute(
        update(chunk)
        .where(chunk.c.id.in_(list(ids)), chunk.c.state == ChunkState.UNKNOWN)
        .values(evidence=reason)
    )


def _take_baseline(connection: Connection, alias: str, credit: Decimal, found: Look, now_ms: int) -> None:
    # Never before a call that it contains: clocks may differ a little.
    connection.execute(
        update(account)
        .where(account.c.alias == alias)
        .values(baseline=credit, baseline_ms=max(now_ms, found.latest_ms), lowest=credit)
    )


def _tell(connection: Connection, alias: str, ids: tuple[int, ...], verdict: Verdict, now_ms: int) -> None:
    for chunk_id in ids:
        detail = (
            f"the credit proves nothing of chunk {token.encode(chunk_id)} ({verdict.reason}; {verdict.drop:.2f} points "
            "are gone); it is held: see `every8d unknown`"
        )
        record(connection, Event("credit_no_proof", now_ms, account=alias, chunk_id=chunk_id, detail=detail))


def _doubt(connection: Connection, alias: str, spent: Decimal, now_ms: int) -> None:
    kept = connection.scalar(select(account.c.doubt_ms).where(account.c.alias == alias))
    connection.execute(update(account).where(account.c.alias == alias).values(doubt_ms=now_ms))
    if kept is not None and kept > now_ms - DOUBT_MS:
        return
    detail = (
        f"{spent:.2f} points of account {alias} are gone that no call of ours explains; for a day its credit proves "
        "nothing. If another system uses it, say exclusive = false in the settings"
    )
    record(connection, Event("credit_unexplained", now_ms, account=alias, detail=detail))
