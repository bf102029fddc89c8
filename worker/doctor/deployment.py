"""What the checks look at: the settings, the ledger, the Redis servers and the workers that answer."""

import time
from collections.abc import Callable
from contextlib import ExitStack
from dataclasses import dataclass, field
from functools import cached_property
from types import TracebackType

from redis import Redis
from redis.backoff import NoBackoff
from redis.retry import Retry

from config import Settings
from config.settings import redis_address
from worker.doctor.workers import Worker, ask
from worker.ledger import queries
from worker.ledger.database import Database

#: For a server to answer; one that needs longer is not well.
ANSWER_S = 5.0


@dataclass
class Deployment:
    """One deployment, each part of it reached when a check first needs it. A context manager: it closes them.

    `clock` is this host's time in seconds since 1970. `web_url` and `flower_url` say where the two are reached; None:
    on this host.
    """

    settings: Settings
    clock: Callable[[], float] = time.time
    #: How long workers have to answer; they do so between two tasks.
    workers_s: float = 3.0
    web_url: str | None = None
    flower_url: str | None = None
    _open: ExitStack = field(default_factory=ExitStack, init=False, repr=False)

    @cached_property
    def ledger(self) -> Database:
        """The ledger, however old. Raises LedgerMissing, SQLAlchemyError."""
        database = queries.open_ledger(self.settings, of_any_age=True)
        self._open.callback(database.close)
        return database

    @cached_property
    def redis(self) -> Redis:
        """Where session keys, locks and the limiter are, and beat's schedule."""
        return self._client(self.settings.redis_url)

    @cached_property
    def stores(self) -> dict[str, Redis]:
        """The Redis servers: `redis`, and `broker` where that is another one. A broker that is no Redis is not here."""
        found = {"redis": self.redis}
        broker = redis_address(self.settings.broker_url)
        if broker and broker != self.settings.redis_url:
            found["broker"] = self._client(broker)
        return found

    @cached_property
    def workers(self) -> tuple[Worker, ...]:
        """Every worker that answers on the broker, of other programs as well.

        Raises RedisError, kombu's OperationalError.
        """
        if redis_address(self.settings.broker_url):
            # Kombu would try again and again, for each check that asks.
            self.stores.get("broker", self.redis).ping()
        return ask(self.settings, self.workers_s)

    def _client(self, url: str) -> Redis:
        client = Redis.from_url(url, socket_timeout=ANSWER_S, retry=Retry(NoBackoff(), 0))
        self._open.callback(client.close)
        return client

    def __enter__(self) -> "Deployment":
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._open.close()
