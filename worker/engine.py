"""What a worker process works with, made once: settings, ledger, Redis, gateways. Tests make their own."""

import os
import socket
import threading
from dataclasses import dataclass, field
from typing import Any

from celery import Celery
from redis import Redis

from config import Account, Settings
from worker.departures import Departures
from worker.doorbell import Doorbell
from worker.gateways import Gateways
from worker.ledger.accounts import ensure_accounts
from worker.ledger.database import Database
from worker.ledger.intake import Intake
from worker.limiter import Limiter
from worker.scripts import Scripts
from worker.session import Sessions
from worker.spool import Spool


@dataclass(frozen=True, slots=True, repr=False)
class Engine:
    """The parts of one worker process, shared by its threads."""

    settings: Settings
    database: Database
    redis: "Redis"
    intake: Intake
    gateways: Gateways
    sessions: Sessions
    limiter: Limiter
    bell: Doorbell
    spool: Spool
    departures: Departures
    #: Who claims, for operators: host and process id.
    worker: str
    #: Set when the process is asked to stop: loops end between two calls.
    stopping: threading.Event = field(default_factory=threading.Event)

    def account(self, alias: str) -> Account:
        """The settings of an account. Raises KeyError for an alias that they do not have."""
        return self.settings.accounts[alias]

    def close(self) -> None:
        """Closes every connection."""
        self.limiter.close()
        self.gateways.close()
        self.redis.close()
        self.departures.close()
        self.database.close()


def make_redis(settings: Settings) -> "Redis":
    """The client for sessions, locks and limiter. Its pool is larger than any worker's threads."""
    over_network: dict[str, Any] = {}
    if not settings.redis_url.startswith("unix"):
        over_network = {"socket_connect_timeout": 5, "socket_keepalive": True}
    return Redis.from_url(
        settings.redis_url, socket_timeout=10, health_check_interval=25, max_connections=300, **over_network
    )


def make_engine(
    settings: Settings,
    app: Celery,
    *,
    database: Database | None = None,
    stopping: threading.Event | None = None,
) -> Engine:
    """An engine for these settings. Raises SQLAlchemy's errors where the ledger cannot be reached."""
    database = database or Database(settings.database_url, pool_size=settings.database_pool_size)
    redis = make_redis(settings)
    scripts = Scripts(redis)
    gateways = Gateways(settings)
    ensure_accounts(database, settings.accounts)
    return Engine(
        settings=settings,
        database=database,
        redis=redis,
        intake=Intake(database),
        gateways=gateways,
        sessions=Sessions(redis, scripts, database, gateways),
        limiter=Limiter(redis, scripts),
        bell=Doorbell(app, redis),
        spool=Spool(settings.spool_dir),
        departures=Departures(settings.calls_dir),
        worker=f"{socket.gethostname()}:{os.getpid()}",
        stopping=stopping or threading.Event(),
    )
