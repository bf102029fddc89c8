"""How fast, and by how many loops at once, an account's gateway is called: over all workers, in Redis.

Both are courtesy to the gateway, not what keeps a message from going twice: an emptied Redis forgets a second, no more.
"""

import contextlib
import threading
import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING

from redis.exceptions import RedisError

from config import Account
from worker.scripts import Scripts, run

if TYPE_CHECKING:
    from redis import Redis

#: A loop whose process died gives its place free after this.
PLACE_MS = 15_000
#: A process renews the places of its loops so often, however long their calls take.
RENEW_S = 4.0


class Limiter:
    """Permits and places for gateway calls."""

    def __init__(self, redis: "Redis", scripts: Scripts) -> None:
        self._redis = redis
        self._scripts = scripts
        self._held: set[Place] = set()
        self._closed = threading.Event()
        self._renewer: threading.Thread | None = None
        self._lock = threading.Lock()

    def close(self) -> None:
        """Ends the renewing; places end by themselves."""
        self._closed.set()

    def permit(self, alias: str, account: Account, lane: str) -> float:
        """Takes a permit for one call. Returns 0, or the seconds until it is worth asking again."""
        keys = [f"every8d:rate:{alias}"]
        return run(self._scripts.permit, keys, account.rate_limit_calls_s, lane) / 1000

    @contextmanager
    def place(self, alias: str, account: Account, lane: str) -> Iterator["Place | None"]:
        """A place among the loops of this lane (or `poll`), or None where all are taken."""
        place = Place(
            self._redis, self._scripts, f"every8d:places:{alias}:{lane}", account.calls_in_flight(lane)
        )
        if not place.keep():
            yield None
            return
        with self._lock:
            self._held.add(place)
            if self._renewer is None:
                self._renewer = threading.Thread(target=self._renew, name="every8d-places", daemon=True)
                self._renewer.start()
        try:
            yield place
        finally:
            with self._lock:
                self._held.discard(place)
            place.leave()

    def _renew(self) -> None:
        while not self._closed.wait(RENEW_S):
            with self._lock:
                held = list(self._held)
            for place in held:
                # Redis may be away; the loop itself finds out whether its place is still there.
                with contextlib.suppress(RedisError):
                    place.keep()


class Place:
    """One loop's place: renewed while its process lives, checked with `keep` before each call."""

    def __init__(self, redis: "Redis", scripts: Scripts, key: str, places: int) -> None:
        self._redis, self._scripts, self._key, self._places = redis, scripts, key, places
        self._name = uuid.uuid4().hex

    def keep(self) -> bool:
        """Takes or renews the place. False when others have all of them."""
        return run(self._scripts.slot, [self._key], self._name, self._places, PLACE_MS) == 1

    def leave(self) -> None:
        """Gives the place free."""
        self._redis.zrem(self._key, self._name)
