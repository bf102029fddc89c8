"""Which workers answer on the broker, and what they say of themselves."""

from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from celery import Celery

from config import Settings
from config.celery import celery_config

#: Kombu's, where a worker's configuration names none.
DEFAULT_VISIBILITY_S = 3600.0


@dataclass(frozen=True, slots=True)
class Worker:
    """One worker of the broker, ours or another program's."""

    name: str
    queues: frozenset[str]
    #: Names of the tasks that it can run; None where it was too busy to say.
    tasks: frozenset[str] | None
    #: Threads or processes; 0 where it does not say.
    concurrency: int
    #: After so long it gives a task that nobody has acknowledged to somebody else.
    visibility_s: float
    #: When the last of the tasks that it holds back shall run; None where it holds none.
    latest_eta: datetime | None

    @property
    def ours(self) -> bool:
        """Whether it serves one of this project's lanes."""
        return any(name.startswith("every8d.") for name in self.queues)


def ask(settings: Settings, within_s: float) -> tuple[Worker, ...]:
    """All workers that answer in time, by name. Raises kombu's OperationalError, RedisError."""
    with Celery("every8d-doctor", set_as_current=False) as app:
        app.conf.update(celery_config(settings))
        queues = app.control.inspect(timeout=within_s).active_queues() or {}
        # Now that their number is known, nobody waits longer than the last of them takes.
        asked = app.control.inspect(destination=sorted(queues), timeout=within_s, limit=len(queues))
        answers: tuple[dict[str, Any], ...] = ({}, {}, {}, {})
        if queues:
            answers = tuple(
                one() or {} for one in (asked.conf, asked.stats, asked.scheduled, asked.registered)
            )
    return tuple(_worker(name, queues[name], *(one.get(name) for one in answers)) for name in sorted(queues))


def _worker(name: str, queues: Any, conf: Any, stats: Any, scheduled: Any, registered: Any) -> Worker:
    transport = (conf or {}).get("broker_transport_options") or {}
    etas = [datetime.fromisoformat(one["eta"]) for one in scheduled or () if one.get("eta")]
    return Worker(
        name,
        frozenset(one["name"] for one in queues),
        # A task with a rate limit or the like has it behind its name.
        None if registered is None else frozenset(one.partition(" ")[0] for one in registered),
        int(((stats or {}).get("pool") or {}).get("max-concurrency") or 0),
        float(transport.get("visibility_timeout") or DEFAULT_VISIBILITY_S),
        max((eta if eta.tzinfo else eta.replace(tzinfo=UTC) for eta in etas), default=None),
    )
