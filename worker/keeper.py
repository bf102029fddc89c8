"""Keepers: each worker process has a thread for each lane that it serves, which sends what is due there.

A keeper is woken by the accepting tasks of its own process, and looks by itself once a second: doorbells may be
lost with Redis, and beat may be dead. Waking is a flag, so a thousand accepted messages wake it once; it is lowered
before the look, so none is missed. A task for each message would cost more than the message.
"""

import threading
from collections.abc import Callable

import structlog
from redis.exceptions import RedisError
from sqlalchemy.exc import SQLAlchemyError

#: Between looks that failed: the database or Redis is away.
AFTER_FAILURE_S = 1.0

_log = structlog.get_logger(__name__)


class Keeper(threading.Thread):
    """Calls `look` when woken, and every `interval_s`, until `stopping` is set. A look ends soon after that too."""

    def __init__(
        self, name: str, look: Callable[[], None], interval_s: float, stopping: threading.Event
    ) -> None:
        # A daemon: a look that does not end must not keep the process; `runtime.finish` waits for those that do.
        super().__init__(name=f"every8d-{name}", daemon=True)
        self._look = look
        self._interval_s = interval_s
        self._stopping = stopping
        self._woken = threading.Event()

    def wake(self) -> None:
        """Something is due, or the process is to stop."""
        self._woken.set()

    def run(self) -> None:
        """The thread's life."""
        while not self._stopping.is_set():
            self._woken.wait(self._interval_s)
            self._woken.clear()
            if self._stopping.is_set():
                return
            try:
                self._look()
            except (SQLAlchemyError, RedisError) as error:
                _log.warning("look failed", keeper=self.name, error=type(error).__name__)
                self._stopping.wait(AFTER_FAILURE_S)
            except Exception:  # noqa: BLE001 - whatever it is, it is logged, and the lane goes on
                # A keeper that dies takes its lane with it.
                _log.exception("look failed", keeper=self.name)
                self._stopping.wait(AFTER_FAILURE_S)
