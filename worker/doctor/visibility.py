"""Redis hands a task to a second worker after a worker's visibility timeout; the shortest of all workers counts.

The timeout belongs to whoever consumes, and every consumer of a Redis database looks through all unacknowledged
tasks: another program's worker with a short one would run our tasks again and again.
"""

from collections.abc import Iterable, Iterator
from datetime import UTC, datetime

from config import Settings
from config.celery import LONGEST_COUNTDOWN_S, VISIBILITY_TIMEOUT_S
from worker.doctor.deployment import Deployment
from worker.doctor.finding import Finding, ok, problem
from worker.doctor.workers import Worker

CHECK = "visibility"


def needed_s(settings: Settings) -> float:
    """The longest countdown, and after it the longest task: a slice whose last gateway call takes all its time."""
    longest_call_s = max((one.call_deadline_s for one in settings.accounts.values()), default=0.0)
    return LONGEST_COUNTDOWN_S + settings.slice_s + longest_call_s


def judge(longest_s: float, workers: Iterable[Worker], now: datetime) -> Iterator[Finding]:
    """`longest_s` is how long a task of ours may stay unacknowledged."""
    workers = list(workers)
    shortest_s = min((one.visibility_s for one in workers), default=float(VISIBILITY_TIMEOUT_S))
    for one in workers:
        if one.visibility_s <= longest_s:
            yield problem(
                CHECK,
                "visibility_short",
                worker=one.name,
                seconds=round(one.visibility_s),
                needed=round(longest_s),
            )
        waits_s = (one.latest_eta - now).total_seconds() if one.latest_eta else 0.0
        if waits_s > shortest_s:
            yield problem(
                CHECK,
                "countdown_long",
                worker=one.name,
                seconds=round(waits_s),
                shortest=round(shortest_s),
            )
    if shortest_s > longest_s:
        yield ok(CHECK, "visibility_long_enough", seconds=round(shortest_s), needed=round(longest_s))


def look(deployment: Deployment) -> Iterable[Finding]:
    """What the workers say of themselves. RabbitMQ has no such timeout."""
    if not deployment.settings.broker_url.startswith(("redis", "rediss", "sentinel")):
        return [ok(CHECK, "visibility_no_redis")]
    now = datetime.fromtimestamp(deployment.clock(), UTC)
    return judge(needed_s(deployment.settings), deployment.workers, now)
