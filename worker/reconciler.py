"""Settling unknown chunks by evidence: the account's credit, and the policy of its otp lane.

The credit proves something for an account that the settings call exclusive, and only while nothing of it is under
way. Baselines are taken at quiet moments, as they come. For a proof the account's gate is closed, for three seconds
at most: long enough for the calls in flight to end, and for two getCredits that must agree. Anything that happens in
between, that does not agree, or that takes too long leaves the chunks as they are, and the gate opens by itself.
"""

import contextlib
import time
from dataclasses import dataclass, replace
from decimal import Decimal

import structlog
from redis.exceptions import RedisError
from sqlalchemy import select
from sqlalchemy.exc import SQLAlchemyError

from config import Account
from every8d.errors import AccountFault, Every8dError, GatewayError
from worker import housekeeping, token
from worker.breaker import BreakerOpenError
from worker.engine import Engine
from worker.evidence import HOPELESS, ZERO, hindrance
from worker.ledger import evidence, gate, prices
from worker.ledger.database import Database
from worker.ledger.evidence import Look, Rules
from worker.ledger.operators import settle_unknown
from worker.ledger.tables import account, chunk
from worker.session import SessionUnavailableError
from worker.states import ChunkState

#: Between two looks of a keeper.
LOOK_S = 5.0
#: Between the two getCredits that must agree.
APART_S = 1.2
#: Calls in flight may take so long to end, once the gate is closed.
DRAIN_S = 1.0
#: A baseline is taken anew so often, where the account is quiet.
BASELINE_EVERY_MS = 60_000
#: While chunks are unknown the credit is asked for so often: the lowest one tells of points that are added later.
WATCH_EVERY_MS = 20_000
#: A comparison that proved nothing is repeated after a quarter of the time since, within these bounds.
AGAIN_MS, AGAIN_CEILING_MS = gate.EVERY_MS, 1_800_000
#: What could not be proven for so long is given up, for the sake of the calls to come.
HOPE_MS = 6 * 3_600_000
#: Settled by the account's setting.
SETTING = "setting"

_log = structlog.get_logger(__name__)


def sweep(engine: Engine) -> None:
    """`look` for every account."""
    for alias in engine.settings.accounts:
        if engine.stopping.is_set():
            return
        try:
            look(engine, alias)
        except (SQLAlchemyError, RedisError) as error:
            # The others' unknown chunks are none of this account's business.
            _log.warning("look failed", account=alias, error=type(error).__name__)


def wanted(account: Account) -> bool:
    """Whether the account's settings leave anything to do here."""
    return account.exclusive or account.otp_unknown == "resend"


def look(engine: Engine, alias: str) -> None:
    """Settles what can be settled now. Harmless to call at any moment, by any number of processes."""
    account = engine.account(alias)
    if account.otp_unknown == "resend":
        resend_otp(engine.database, alias, int(account.otp_resend_after_s * 1000))
    if account.exclusive:
        try:
            _compare(engine, alias, Rules(int(account.unknown_after_s * 1000), account.refunds))
        except AccountFault as error:
            engine.sessions.refused(alias, error)
        except (GatewayError, SessionUnavailableError, BreakerOpenError, OSError) as error:
            _log.warning("credits not compared", account=alias, reason=type(error).__name__)


def resend_otp(database: Database, alias: str, after_ms: int) -> None:
    """The otp lane's unknown chunks of which nothing was heard for so long go out again: a code may come twice."""
    now_ms = database.now_ms()
    due = select(chunk.c.id).where(
        chunk.c.account == alias,
        chunk.c.state == ChunkState.UNKNOWN,
        chunk.c.lane == "otp",
        chunk.c.answered_ms <= now_ms - after_ms,
    )
    with database.read() as connection:
        ids = list(connection.scalars(due))
        # The callback that carries its token says that it was sent; whoever matches it settles the chunk.
        heard = prices.callbacks_of(connection, alias, ids) if ids else {}
    for chunk_id in ids:
        if chunk_id in heard:
            continue
        why = f"nothing was heard of it for {after_ms / 1000:g} s; otp_unknown is resend"
        # Somebody else may have settled it meanwhile.
        with contextlib.suppress(Every8dError):
            settle_unknown(database, token.encode(chunk_id), "resend", batch_id=None, by=SETTING, why=why)


@dataclass(frozen=True, slots=True)
class _Situation:
    """What is cheap to see before anything is locked or asked."""

    baseline_ms: int | None
    compared_ms: int
    credit_ms: int
    #: When the youngest unknown chunk since the baseline became unknown; None where there is none.
    youngest_ms: int | None


def _compare(engine: Engine, alias: str, rules: Rules) -> None:
    database = engine.database
    seen, now_ms = _situation(database, alias), database.now_ms()
    if seen.youngest_ms is None:
        stale = seen.baseline_ms is None or now_ms - seen.baseline_ms >= BASELINE_EVERY_MS
        if stale and evidence.take_turn(database, alias, int(LOOK_S * 1000)):
            _rebase(engine, alias, rules)
        return
    ripe_ms = seen.youngest_ms + rules.unknown_after_ms
    if now_ms < ripe_ms:
        if now_ms - seen.credit_ms >= WATCH_EVERY_MS and evidence.take_turn(database, alias, WATCH_EVERY_MS):
            housekeeping.ask_credit(engine, alias)
        return
    wait_ms = int(LOOK_S * 1000)
    if seen.compared_ms >= ripe_ms:
        wait_ms = min(max(AGAIN_MS, (now_ms - ripe_ms) // 4), AGAIN_CEILING_MS)
    if evidence.take_turn(database, alias, wait_ms):
        _prove(engine, alias, rules, too_old=now_ms - ripe_ms > HOPE_MS)


def _situation(database: Database, alias: str) -> _Situation:
    with database.read() as connection:
        row = connection.execute(
            select(account.c.baseline_ms, account.c.compared_ms, account.c.credit_ms).where(
                account.c.alias == alias
            )
        ).one()
        unknown = connection.execute(
            select(chunk.c.claimed_ms, chunk.c.answered_ms, chunk.c.lease_ms).where(
                chunk.c.account == alias, chunk.c.state == ChunkState.UNKNOWN
            )
        ).all()
    open_ones = [
        one.answered_ms or one.lease_ms
        for one in unknown
        if row.baseline_ms is not None and one.claimed_ms > row.baseline_ms
    ]
    return _Situation(row.baseline_ms, row.compared_ms or 0, row.credit_ms or 0, max(open_ones, default=None))


def _rebase(engine: Engine, alias: str, rules: Rules, *, anew: bool = False) -> None:
    """A baseline, if the account happens to be quiet from before the question to after the answer."""
    if evidence.in_flight(engine.database, alias, rules):
        return
    since_ms = engine.database.now_ms() - prices.ID_EARLIER_MS
    first = evidence.look(engine.database, alias, rules, since_ms)
    if first.busy or (first.unknown and not anew):
        return
    credit = _agreed(engine, alias)
    if credit is not None:
        returns, differ = _surroundings(engine.database, alias, rules, first)
        evidence.conclude(
            engine.database,
            alias,
            rules,
            first,
            credit,
            since_ms=since_ms,
            returns=returns,
            prices_differ=differ,
            anew=anew,
        )


def _prove(engine: Engine, alias: str, rules: Rules, *, too_old: bool) -> None:
    database = engine.database
    now = evidence.look(database, alias, rules, 0)
    if now.standing is None:
        return
    if not now.unknown:
        # Callbacks are here of all of them; whoever matches those is late.
        if too_old:
            _rebase(engine, alias, rules, anew=True)
        return
    returns, differ = _surroundings(database, alias, rules, now)
    standing = replace(now.standing, returns=returns, prices_differ=now.standing.prices_differ or differ)
    reason = hindrance(standing)
    if reason is not None:
        # No credit could prove anything now, so nobody has to wait at the gate for it.
        evidence.keep_reason(database, now.unknown, reason)
    if reason in HOPELESS or too_old:
        _rebase(engine, alias, rules, anew=True)
    elif reason is None:
        _at_the_gate(engine, alias, rules)


def _at_the_gate(engine: Engine, alias: str, rules: Rules) -> None:
    database, by = engine.database, f"{engine.worker}:{token.encode(token.new_id(engine.database.now_ms()))}"
    if not gate.close(database, alias, by):
        return
    try:
        first = _quiet(engine, alias, rules)
        if first is None:
            return
        credit = _agreed(engine, alias)
        if credit is None:
            return
        # After the first look: nothing was called since, or the second look sees it.
        returns, differ = _surroundings(database, alias, rules, first)
        verdict = evidence.conclude(
            database,
            alias,
            rules,
            first,
            credit,
            since_ms=0,
            returns=returns,
            prices_differ=differ,
            gate_by=by,
        )
        if verdict is not None:
            _log.info(
                "credits compared",
                account=alias,
                reason=str(verdict.reason),
                sent=len(verdict.sent),
                not_sent=len(verdict.not_sent),
            )
    finally:
        # Should this fail, it opens by itself.
        with contextlib.suppress(SQLAlchemyError):
            gate.open_again(database, alias, by)


def _quiet(engine: Engine, alias: str, rules: Rules) -> Look | None:
    """The account once the calls that were in flight have ended; None where they take too long."""
    until = time.monotonic() + DRAIN_S
    while True:
        # First without a lock: those that are under way have to take it to end.
        if not evidence.in_flight(engine.database, alias, rules):
            found = evidence.look(engine.database, alias, rules, 0)
            return None if found.busy else found
        if time.monotonic() >= until or engine.stopping.wait(0.05):
            return None


def _agreed(engine: Engine, alias: str) -> Decimal | None:
    """The credit, where two questions some time apart have the same answer."""
    first = housekeeping.ask_credit(engine, alias)
    if engine.stopping.wait(APART_S):
        return None
    second = housekeeping.ask_credit(engine, alias)
    return second if first == second else None


def _surroundings(database: Database, alias: str, rules: Rules, found: Look) -> tuple[Decimal, bool]:
    """The points of others that can have come back, and whether delivery statuses tell other prices than ours."""
    if found.baseline_ms is None:
        return ZERO, False
    returns = ZERO
    if rules.refunds:
        returns = prices.may_come_back(
            database, alias, baseline_ms=found.baseline_ms, now_ms=database.now_ms()
        )
    return returns, prices.prices_differ(database, alias, found.baseline_ms)
