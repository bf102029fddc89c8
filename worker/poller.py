"""Polling: following accepted batches page by page until every message is final, then for replies."""

import random
import time

import structlog

from every8d.errors import AccountFault, GatewayError, MessageFault, SessionGone
from every8d.replies import StatusPage
from worker import points, token
from worker.breaker import BreakerOpenError
from worker.engine import Engine
from worker.ledger import accounts, polls
from worker.ledger.statusrows import PAGE_ROWS
from worker.session import SessionUnavailableError
from worker.statuses import next_poll_ms

#: A poll that its process did not end is taken over by another after this.
LEASE_S = 120.0
#: Rows for each message of a batch, at most: the gateway splits long texts. A COUNT beyond it is not believed.
MOST_ROWS = 20
#: After a poll that failed the batch is asked for again after at most so long, give or take a half.
AGAIN_S = 20.0

_log = structlog.get_logger(__name__)


def poll(engine: Engine, alias: str) -> None:
    """Polls the account's batches that are due, for at most a slice of time. Harmless to call at any moment."""
    engine.bell.answered(f"{alias}:poll")
    if alias not in engine.settings.accounts:
        return
    with engine.limiter.place(alias, engine.account(alias), "poll") as place:
        if place is None:
            return
        until = time.monotonic() + engine.settings.slice_s
        if polls.due(engine.database, alias, at_least=2):
            # Others may join; how many is the limiter's to say.
            engine.bell.poll(alias)
        while _next(engine, alias):
            if engine.stopping.is_set() or time.monotonic() >= until or not place.keep():
                break
        else:
            return
    engine.bell.poll(alias)


def _next(engine: Engine, alias: str) -> bool:
    """One batch. False where none is due, or the gateway cannot be asked now."""
    row = accounts.account_row(engine.database, alias)
    try:
        engine.sessions.check(alias, row)
    except BreakerOpenError:
        return False
    claimed = polls.claim_poll(engine.database, alias, LEASE_S)
    if claimed is None:
        return False
    try:
        _all_pages(engine, claimed)
    except MessageFault as error:
        # About this batch alone: an answer without rows, so that it is asked for less and less, and then no more.
        _log.warning("poll refused", account=alias, chunk=token.encode(claimed.chunk_id), reason=str(error))
        _finish(engine, claimed, StatusPage(0, (), str(error.code)))
    except (GatewayError, SessionUnavailableError, BreakerOpenError) as error:
        # Asking again is always safe; what was stored is stored, and the next poll goes on with the same page.
        again_s = min(AGAIN_S, max(1.0, engine.account(alias).first_poll_after_s))
        wait_ms = int(again_s * random.uniform(500, 1500))  # noqa: S311 - jitter is no secret
        polls.postpone_poll(engine.database, claimed, engine.database.now_ms() + wait_ms)
        _log.warning("poll failed", account=alias, chunk=token.encode(claimed.chunk_id), reason=str(error))
        if isinstance(error, AccountFault):
            engine.sessions.refused(alias, error)
        return False
    return True


def _all_pages(engine: Engine, claimed: polls.PollClaim) -> None:
    page = claimed.page
    while True:
        status = _page(engine, claimed, page)
        covered = page * PAGE_ROWS >= min(status.count, claimed.size * MOST_ROWS) or not status.rows
        if covered:
            _finish(engine, claimed, status)
            return
        polls.store_page(engine.database, claimed, status.rows, page + 1)
        page += 1


def _page(engine: Engine, claimed: polls.PollClaim, page: int) -> StatusPage:
    account = engine.account(claimed.account)
    gateway = engine.gateways.gateway(claimed.account)
    while wait_s := engine.limiter.permit(f"{claimed.account}:poll", account, "poll"):
        time.sleep(wait_s)
    session_key = engine.sessions.key(claimed.account)
    try:
        with points.call("getDeliveryStatus"):
            return gateway.get_delivery_status(session_key, claimed.batch_id, page)
    except SessionGone:
        engine.sessions.gone(claimed.account, session_key)
    session_key = engine.sessions.key(claimed.account)
    with points.call("getDeliveryStatus"):
        return gateway.get_delivery_status(session_key, claimed.batch_id, page)


def _finish(engine: Engine, claimed: polls.PollClaim, status: StatusPage) -> None:
    account, now_ms = engine.account(claimed.account), engine.database.now_ms()

    def plan(still_pending: int) -> int | None:
        return next_poll_ms(
            account,
            now_ms,
            polls=claimed.polls + 1,
            pending=still_pending,
            answered_ms=claimed.answered_ms,
            send_time_ms=claimed.send_time_ms,
        )

    # Only a poll that began at the first page has seen every row as it is now.
    count = status.count if claimed.page == 1 else None
    pending = polls.store_last_page(engine.database, claimed, status.rows, plan, count=count)
    _log.info(
        "poll",
        account=claimed.account,
        chunk=token.encode(claimed.chunk_id),
        rows=status.count,
        pending=pending,
    )
