"""Every lane has a worker that listens, and nobody listens who would throw its tasks away."""

from collections.abc import Iterable

from worker.doctor.deployment import Deployment
from worker.doctor.finding import Finding, ok, problem
from worker.doctor.workers import Worker
from worker.lanes import LANES

CHECK = "lanes"

#: A worker that does not know it acknowledges our pages and drops them.
TASK = "every8d.accept"


def judge(workers: Iterable[Worker]) -> list[Finding]:
    """`workers` are all that answer, of other programs as well."""
    workers = list(workers)
    queues = {queue: name for name, lane in LANES.items() for queue in lane.queues}
    found = [
        problem(CHECK, "lane_eaten", worker=one.name, queues=", ".join(sorted(one.queues & queues.keys())))
        for one in workers
        if one.queues & queues.keys() and not _knows(one)
    ]
    heard = {queue for one in workers if _knows(one) for queue in one.queues}
    found += [
        problem(CHECK, "lane_unheard", queue=queue, lane=lane)
        for queue, lane in queues.items()
        if queue not in heard
    ]
    return found or [ok(CHECK, "lanes_heard", workers=sum(one.ours for one in workers))]


def _knows(worker: Worker) -> bool:
    return worker.tasks is None or TASK in worker.tasks


def look(deployment: Deployment) -> Iterable[Finding]:
    """Asks the workers."""
    return judge(deployment.workers)
