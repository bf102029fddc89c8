"""Accepting single requests without a task for each: what arrives together is committed and acknowledged together.

Celery's way from the queue to a function makes a request object, takes a pool's thread and a tracer, and acknowledges
each task by itself: twice as much work as the accepting. So the usual bodies of the normal lane (one page with its
seal, nobody waiting for the answer) go from the consumer straight to one thread, which commits whatever has come
meanwhile in one transaction. Everything else takes Celery's way: other lanes, pages of long lists, answers that are
waited for, bodies that cannot be accepted, what the ledger has already, retries, and all of it while the ledger is
away. Nothing is acknowledged before it is committed; what a dying process leaves is delivered again, and harmless.
"""

import time
from collections import deque
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any
from weakref import WeakKeyDictionary

import structlog
from celery.worker.strategy import default
from kombu.transport import redis, virtual
from redis.exceptions import RedisError
from sqlalchemy.exc import SQLAlchemyError

from worker import accepting, runtime
from worker.ledger.intake import GATHER_S, TOGETHER

if TYPE_CHECKING:
    from worker.keeper import Keeper

#: The queue whose bodies are accepted together.
QUEUE = "every8d.normal"
#: A look without being woken; waking is what counts.
LOOK_S = 1.0

_receptions: "WeakKeyDictionary[Any, Reception]" = WeakKeyDictionary()
_log = structlog.get_logger(__name__)


@dataclass(frozen=True, slots=True, repr=False)
class _Arrived:
    """One message of the broker, the body in it, and what hands it over to Celery's way."""

    message: Any
    body: object
    usual: Callable[[], Any]


def strategy(task: Any, app: Any, consumer: Any, **options: Any) -> Callable[..., Any]:
    """Celery's `Strategy` of the task `every8d.accept`: what the consumer does with each of its messages."""
    usual: Callable[..., Any] = default(task, app, consumer, **options)
    hub = getattr(consumer, "hub", None)
    if hub is None or QUEUE not in app.amqp.queues.consume_from:
        # Pools without an event loop (solo, gevent) acknowledge in another way.
        return usual
    # The consumer begins anew after each lost connection; the loop stays, and so does the thread.
    reception = _receptions.setdefault(hub, Reception(hub))
    revoked, counts = consumer.controller.state.revoked, consumer.controller.state.total_count

    def handle(message: Any, payload: Any, ack: Any, reject: Any, callbacks: Any, **more: Any) -> Any:
        def hand_over() -> Any:
            return usual(message, payload, ack, reject, callbacks, **more)

        body = None if message.headers.get("id") in revoked else _plain(message)
        if body is None:
            return hand_over()
        counts[task.name] += 1
        reception.put(_Arrived(message, body, hand_over))
        return None

    return handle


class Reception:
    """The bodies that have arrived and are not committed yet, and the thread that commits them."""

    def __init__(self, hub: Any) -> None:
        self._hub = hub
        self._waiting: deque[_Arrived] = deque()
        self._keeper: Keeper | None = None

    def put(self, one: _Arrived) -> None:
        """Called by the consumer's loop."""
        self._waiting.append(one)
        if self._keeper is None:
            self._keeper = runtime.keep("reception", self._look, LOOK_S)
        self._keeper.wake()

    def _look(self) -> None:
        crowded = False
        while self._waiting:
            if crowded:
                # As in `worker.ledger.intake`: in a crowd a commit is worth waiting for a few more.
                time.sleep(GATHER_S)
            some = [self._waiting.popleft() for _ in range(min(len(self._waiting), TOGETHER))]
            crowded = len(some) > 1
            committed: frozenset[int] = frozenset()
            try:
                together = accepting.arrive_together(runtime.engine(), [one.body for one in some])
                committed = together.places
                for alias, lane in together.lanes:
                    runtime.wake(alias, lane)
            except Exception as error:  # noqa: BLE001 - Celery's way tries each alone, and knows what to do with failures
                known = isinstance(error, (SQLAlchemyError, RedisError))
                _log.log(
                    30 if known else 40, "not accepted together; each alone now", error=type(error).__name__
                )
            # Channels belong to the consumer's loop, so it acknowledges, and it hands over.
            if committed:
                done = [one.message for place, one in enumerate(some) if place in committed]
                self._hub.call_soon(_acknowledge, done)
            for place, one in enumerate(some):
                if place not in committed:
                    self._hub.call_soon(one.usual)


def _plain(message: Any) -> object:
    """The body of an ordinary call of the normal lane of which nobody waits for the result; None for any other."""
    headers = message.headers
    if message.delivery_info.get("routing_key") != QUEUE or not headers.get("ignore_result"):
        return None
    if headers.get("eta") or headers.get("expires") or headers.get("retries"):
        return None
    try:
        arguments, named, _ = message.decode()
        return named["body"] if not arguments and named.keys() == {"body"} else None
    except Exception:  # noqa: BLE001 - anybody can publish anything; Celery's way has an answer to each
        return None


def _acknowledge(messages: Iterable[Any]) -> None:
    """Acknowledges messages that came by one connection, in one round trip where the broker is Redis."""
    by_channel: dict[int, list[Any]] = {}
    for one in messages:
        by_channel.setdefault(id(one.channel), []).append(one)
    for some in by_channel.values():
        channel = some[0].channel
        if not isinstance(channel, redis.Channel):
            for one in some:
                one.ack_log_error(_log, (OSError,))
            continue
        try:
            # What kombu's own acknowledgement sends, for many.
            with channel.qos.pipe_or_acquire() as pipe:
                for one in some:
                    channel.qos._remove_from_indices(one.delivery_tag, pipe)
                pipe.execute()
        except (RedisError, OSError) as error:
            # They are delivered again, and found to be in the ledger.
            _log.warning("not acknowledged", messages=len(some), error=type(error).__name__)
            continue
        forget: Any = virtual.QoS.ack
        for one in some:
            forget(channel.qos, one.delivery_tag)
