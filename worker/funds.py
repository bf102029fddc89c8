"""Funds: what a credit does not cover is held before it goes out, and let go again after a top-up.

A request of the bulk lane is priced once, when it first comes to the front. Messages that the gateway left unsent all
the same are held until the credit has risen, and until the gateway, asked once more, still says that they are unsent.
"""

import uuid
from collections.abc import Collection

import structlog

from worker import housekeeping
from worker.apart import Apart
from worker.engine import Engine
from worker.ledger import credit, funds, unpaid

#: How often the credit of an account is asked for while something of it is held.
ASK_EVERY_S = 60.0

_log = structlog.get_logger(__name__)


def price(engine: Engine, alias: str, ids: Collection[uuid.UUID]) -> None:
    """Holds the prices of requests against the account's credit, which is asked for where what is known does not do.

    Raises what `housekeeping.ask_credit` raises; nothing is decided then.
    """
    mode = engine.account(alias).campaign_funds
    held = funds.judge(engine.database, alias, ids, mode, asked=False)
    if held is None:
        housekeeping.ask_credit(engine, alias)
        held = funds.judge(engine.database, alias, ids, mode, asked=True)
    if held:
        _log.warning("requests held for want of credit", account=alias, requests=[str(one) for one in held])


def sweep(engine: Engine) -> None:
    """Looks after what is held for want of credit. Harmless to call at any moment, and by several at once."""
    apart = Apart("sweep_funds")
    for alias in unpaid.accounts_waiting(engine.database):
        if engine.stopping.is_set():
            return
        if alias in engine.settings.accounts:
            with apart.account(alias):
                _look(engine, alias)


def _look(engine: Engine, alias: str) -> None:
    database, account = engine.database, engine.account(alias)
    unpaid.end(database, alias, account.no_credit_hold_h * 3600)
    if not credit.begin_asking(database, alias, min(ASK_EVERY_S, engine.settings.credit_interval_s)):
        return
    unpaid.note_shortage(database, alias)
    if not housekeeping.try_credit(engine, alias):
        return
    if unpaid.ask_again(database, alias):
        engine.bell.poll(alias)
    capped = bool(account.cap_hour or account.cap_day)
    messages, lanes = unpaid.release(database, alias, capped=capped)
    requests = funds.let_go(database, alias, account.campaign_funds)
    for lane in sorted(lanes.union(requests.values())):
        engine.bell.dispatch(alias, lane)
    if messages or requests:
        names = [str(one) for one in requests]
        _log.info("held for want of credit, now let go", account=alias, messages=messages, requests=names)
