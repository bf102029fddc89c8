"""The engine of this process: made when first needed, after any fork, and shared by the threads; and its keepers."""

import atexit
import gc
import threading
import time
from collections.abc import Callable
from functools import partial

import structlog
from celery import Celery
from redis.exceptions import RedisError
from sqlalchemy.exc import SQLAlchemyError

import config
from config import Lane
from worker import aftermath, cancel, funds, housekeeping, matching, poller, reconciler
from worker.dispatch import dispatch
from worker.engine import Engine, make_engine
from worker.keeper import AFTER_FAILURE_S, Keeper
from worker.ledger import claim, polls

#: Between the status process's own sweeps, which do what beat asks for, should beat or its ticks be lost.
SWEEPS_S = 10.0

_log = structlog.get_logger(__name__)
_lock = threading.Lock()
_engine: Engine | None = None
_app: Celery | None = None
_keepers: dict[tuple[str, str], Keeper] = {}
#: Held while keepers are added or listed. A signal's handler lists them too, whatever it interrupts: reentrant.
_keepers_lock = threading.RLock()
_stopping = threading.Event()


def bind(app: Celery) -> None:
    """The Celery application of this process: what rings doorbells."""
    global _app  # noqa: PLW0603 - one per process
    _app = app


def engine() -> Engine:
    """This process's engine."""
    global _engine  # noqa: PLW0603 - one per process, made under a lock
    if _engine is None:
        with _lock:
            if _engine is None:
                if _app is None:
                    raise RuntimeError("worker.celery is not loaded: nothing could ring doorbells")
                _engine = make_engine(config.load(), _app, stopping=_stopping)
    return _engine


def start(queues: list[str]) -> None:
    """Begins the keepers of this process, for the lanes whose queues it drains."""
    # A cold shutdown sends no `worker_shutdown`. Once is enough; a second wait finds all of them ended.
    atexit.register(finish)
    lanes = {name.removeprefix("every8d.") for name in queues if name.startswith("every8d.")}
    threading.Thread(target=_start, args=(lanes,), name="every8d-start", daemon=True).start()


def wake(alias: str, lane: str) -> None:
    """Something of this lane is due: this process's keeper looks now; where it has none, a doorbell is rung."""
    keeper = _keepers.get((alias, lane))
    if keeper is not None:
        keeper.wake()
    else:
        engine().bell.dispatch(alias, lane)


def keep(name: str, look: Callable[[], None], interval_s: float) -> Keeper:
    """A further keeper of this process, which ends with the others."""
    keeper = Keeper(name, look, interval_s, _stopping)
    with _keepers_lock:
        keeper.start()
        _keepers["all", f"{name}-{len(_keepers)}"] = keeper
    return keeper


def stop() -> None:
    """Loops end between two gateway calls; no new one begins."""
    _stopping.set()
    for keeper in _kept():
        keeper.wake()


def finish() -> None:
    """Waits for the keepers' calls that are under way: each ends within its deadline, and is settled."""
    stop()
    slowest = max((one.call_deadline_s for one in config.load().accounts.values()), default=0.0)
    until = time.monotonic() + slowest + 10
    for keeper in _kept():
        keeper.join(max(0.0, until - time.monotonic()))


def forget() -> None:
    """A forked child makes its own connections."""
    global _engine  # noqa: PLW0603 - one per process
    _engine = None


def _start(lanes: set[str]) -> None:
    while True:
        try:
            mine = engine()
            break
        except (SQLAlchemyError, RedisError) as error:
            _log.warning("the ledger cannot be reached yet", error=type(error).__name__)
            if _stopping.wait(AFTER_FAILURE_S):
                return
    for alias in mine.settings.accounts:
        try:
            # Made now, or the first message would wait for it.
            mine.gateways.gateway(alias)
        except Exception as error:  # noqa: BLE001 - whatever it is, the other accounts go on
            # Its keepers try again with whatever is due. The error's text might show the proxy's password.
            _log.error(
                "no client for this account: check its ca_file and proxy",
                account=alias,
                error=type(error).__name__,
            )
        for lane in sorted(lanes & set(Lane)):
            _keep(mine, alias, lane, partial(_look, mine, alias, lane))
        if "status" in lanes:
            _keep(mine, alias, "poll", partial(_look_for_polls, mine, alias))
            if reconciler.wanted(mine.account(alias)):
                _keep(mine, alias, "reconcile", partial(reconciler.look, mine, alias), reconciler.LOOK_S)
    _keep(mine, "all", "aftermath", partial(aftermath.settle_left_behind, mine), SWEEPS_S).wake()
    if "status" in lanes:
        _keep(mine, "all", "sweeps", partial(_sweep, mine), SWEEPS_S)
        _keep(mine, "all", "inbox", partial(matching.match, mine))
    # What was imported and made so far stays: looking through it for garbage again and again would hold every thread
    # up for a tenth of a second.
    gc.collect()
    gc.freeze()


def _keep(
    mine: Engine, alias: str, name: str, look: partial[None], interval_s: float | None = None
) -> Keeper:
    keeper = Keeper(f"{alias}-{name}", look, interval_s or mine.settings.look_interval_s, mine.stopping)
    with _keepers_lock:
        # First, since what is listed must be one that can be joined.
        keeper.start()
        _keepers[alias, name] = keeper
    return keeper


def _kept() -> list[Keeper]:
    with _keepers_lock:
        return list(_keepers.values())


def _look(mine: Engine, alias: str, lane: str) -> None:
    if claim.due(mine.database, alias, lane):
        dispatch(mine, alias, lane)


def _look_for_polls(mine: Engine, alias: str) -> None:
    if polls.due(mine.database, alias):
        poller.poll(mine, alias)


def _sweep(mine: Engine) -> None:
    housekeeping.sweep_leases(mine)
    housekeeping.sweep_staged(mine)
    housekeeping.sweep_number_use(mine)
    cancel.sweep_erasures(mine)
    funds.sweep(mine)
