"""The sweeps: each looks at a state of the ledger and does what is due, so a lost doorbell or tick costs seconds."""

import contextlib

import structlog

from every8d.errors import AccountFault, GatewayError, SessionGone
from worker.breaker import BreakerOpenError
from worker.engine import Engine
from worker.ledger import accept, accounts, claim, polls, settle
from worker.ledger.queries import last_used_ms
from worker.session import SessionUnavailableError

_log = structlog.get_logger(__name__)


def sweep_due(engine: Engine) -> None:
    """Rings for each lane in which something is due."""
    for alias, lane in claim.due_lanes(engine.database):
        engine.bell.dispatch(alias, lane)


def sweep_polls(engine: Engine) -> None:
    """Rings for each account with a batch to poll."""
    for alias in polls.due_polls(engine.database):
        engine.bell.poll(alias)


def sweep_leases(engine: Engine) -> None:
    """Chunks whose worker is gone become unknown: never sent again by themselves."""
    for whose in settle.expire_leases(engine.database):
        _log.error("chunk unknown: its worker is gone", account=whose.account, lane=whose.lane)


def sweep_staged(engine: Engine) -> None:
    """Gives up requests whose seal did not come."""
    for request_id in accept.abandon_staged(engine.database, int(engine.settings.staged_timeout_s * 1000)):
        _log.warning("request abandoned", request=str(request_id))


def check_credit(engine: Engine) -> None:
    """Asks for each account's credit, and keeps it. An account that is blocked is not asked."""
    for alias in engine.settings.accounts:
        with contextlib.suppress(BreakerOpenError, SessionUnavailableError):
            try:
                ask_credit(engine, alias)
            except AccountFault as error:
                engine.sessions.refused(alias, error)
            except GatewayError as error:
                _log.warning("credit not known", account=alias, reason=str(error))


def ask_credit(engine: Engine, alias: str) -> None:
    """getCredit with the shared session; the answer is kept. Raises GatewayError and the session's errors."""
    engine.sessions.check(alias, accounts.account_row(engine.database, alias))
    gateway = engine.gateways.gateway(alias)
    session_key = engine.sessions.key(alias)
    try:
        credit = gateway.get_credit(session_key)
    except SessionGone:
        engine.sessions.gone(alias, session_key)
        credit = gateway.get_credit(engine.sessions.key(alias))
    accounts.keep_credit(engine.database, alias, credit)


def close_idle_session(engine: Engine) -> None:
    """closeConnection for accounts that are idle for as long as their setting says; off by default."""
    for alias, account in engine.settings.accounts.items():
        if not account.close_idle_min or not engine.sessions.present(alias):
            continue
        used_ms = max(last_used_ms(engine.database, alias) or 0, engine.sessions.made_ms(alias))
        idle_ms = engine.database.now_ms() - used_ms
        if idle_ms >= account.close_idle_min * 60_000:
            with contextlib.suppress(GatewayError, SessionUnavailableError):
                engine.sessions.close(alias)
                _log.info("session closed", account=alias, idle_min=round(idle_ms / 60_000))
