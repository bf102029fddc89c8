"""Doorbells: Celery tasks that carry ids only and say "look in the ledger". Ringing twice, or never, is harmless."""

from typing import TYPE_CHECKING

import structlog
from celery import Celery
from kombu.exceptions import OperationalError
from redis.exceptions import RedisError

if TYPE_CHECKING:
    from redis import Redis

#: While a bell has rung and nobody has looked, ringing again says nothing new.
COALESCE_MS = 1_000

_log = structlog.get_logger(__name__)


class Doorbell:
    """Rings for a lane, or for an account's polling."""

    def __init__(self, app: Celery, redis: "Redis") -> None:
        self._app = app
        self._redis = redis

    def dispatch(self, alias: str, lane: str) -> None:
        """Something of this lane may be due."""
        self._ring("every8d.dispatch", f"every8d.{lane}", {"account": alias, "lane": lane}, f"{alias}:{lane}")

    def poll(self, alias: str) -> None:
        """A batch of this account may be due for polling."""
        self._ring("every8d.poll", "every8d.status", {"account": alias}, f"{alias}:poll")

    def answered(self, name: str) -> None:
        """Somebody looks now: from here on a ring is news. `name` is `<account>:<lane>` or `<account>:poll`."""
        self._redis.delete(f"every8d:bell:{name}")

    def _ring(self, task: str, queue: str, arguments: dict[str, str], name: str) -> None:
        try:
            if self._redis.set(f"every8d:bell:{name}", "1", nx=True, px=COALESCE_MS):
                self._app.send_task(
                    task, kwargs=arguments, queue=queue, ignore_result=True, kwargsrepr=repr(arguments)
                )
        except (RedisError, OperationalError) as error:
            # The message is in the ledger; the look of a worker or of beat finds it.
            _log.warning("doorbell not rung", bell=name, error=type(error).__name__)
