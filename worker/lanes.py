"""Which queues each worker process drains, and its Celery command line."""

from collections.abc import Sequence
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class WorkerLane:
    """One kind of worker process: a lane, or `status`, which follows what was sent and answers questions."""

    name: str
    queues: tuple[str, ...]
    #: Threads. Gateway calls are waiting, not computing.
    concurrency: int
    #: Added to the operating system's niceness: on a small machine a campaign must not delay a code.
    nice: int = 0
    #: Tasks in hand for each thread. The normal lane's are accepted together (`worker.reception`), for which more than
    #: one commit's worth must be in hand.
    prefetch: int = 1


LANES: dict[str, WorkerLane] = {
    lane.name: lane
    for lane in (
        WorkerLane("otp", ("every8d.otp",), 16),
        # A bare send_task without a queue lands in `celery`.
        WorkerLane("normal", ("every8d.normal", "celery"), 16, prefetch=4),
        WorkerLane("bulk", ("every8d.bulk",), 16, nice=10),
        WorkerLane("status", ("every8d.status",), 8, nice=10),
    )
}


def worker_arguments(
    name: str, *, concurrency: int | None = None, loglevel: str = "INFO", extra: Sequence[str] = ()
) -> list[str]:
    """Celery's arguments for this lane's worker, after `python -m celery`. Raises KeyError for no such lane.

    The threads pool has no time limits; deadlines and the ledger's lease stand in for them.
    """
    lane = LANES[name]
    return [
        *("--quiet", "--app", "worker", "worker"),
        *("--queues", ",".join(lane.queues)),
        *("--pool", "threads", "--concurrency", str(concurrency or lane.concurrency)),
        *("--prefetch-multiplier", str(lane.prefetch)),
        *("--hostname", f"{lane.name}@%h", "--loglevel", loglevel),
        # Workers need nothing of each other; the ledger is what they share.
        *("--without-gossip", "--without-mingle"),
        *extra,
    ]


def beat_arguments(*, loglevel: str = "INFO") -> list[str]:
    """Celery's arguments for beat, to stand after `python -m celery`. RedBeat keeps its schedule in Redis."""
    return ["--quiet", "--app", "worker", "beat", "--loglevel", loglevel]
