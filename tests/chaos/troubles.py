"""Killing processes at random, while the run goes on."""

import contextlib
import random
import threading
import time
from collections import Counter
from collections.abc import Callable

import psutil
from redis import Redis
from redis.exceptions import RedisError

from tests.chaos.plan import EMPTIED, KILL_S, VICTIMS
from worker.system.system import System

#: A process is let live so long before it can be killed: dying in its imports proves nothing.
GROWN_UP_S = 3.0
#: For Valkey to come back before it is emptied.
BACK_S = 20.0


class Troubles:
    """Kills until it is stopped. `deaths` counts by name; `emptied` is how often Valkey lost what it held."""

    def __init__(self, system: System, seed: int, tell: Callable[[str], None]) -> None:
        self._system = system
        self._random = random.Random(seed)
        self._tell = tell
        self._stopping = threading.Event()
        self._thread = threading.Thread(target=self._run)
        self.deaths: Counter[str] = Counter()
        self.emptied = 0

    def start(self) -> None:
        """Begins to kill."""
        self._thread.start()

    def stop(self) -> None:
        """Kills no more."""
        self._stopping.set()
        self._thread.join()

    def _run(self) -> None:
        while not self._stopping.wait(self._random.uniform(*KILL_S)):
            name = self._random.choices(list(VICTIMS), list(VICTIMS.values()))[0]
            # Drawn in any case, so that the same seed means the same choices.
            emptied = self._random.random() < EMPTIED
            pid = self._system.supervisor.pids().get(name)
            if pid is None:
                continue
            with contextlib.suppress(psutil.NoSuchProcess):
                process = psutil.Process(pid)
                if time.time() - process.create_time() < GROWN_UP_S:
                    continue
                process.kill()
                self.deaths[name] += 1
                self._tell(f"killed {name}")
            if name == "valkey" and emptied:
                self._empty()

    def _empty(self) -> None:
        until = time.monotonic() + BACK_S
        while time.monotonic() < until:
            with contextlib.suppress(RedisError), Redis.from_url(self._system.settings.redis_url) as redis:
                redis.flushall()
                self.emptied += 1
                self._tell("emptied valkey")
                return
            time.sleep(0.05)
