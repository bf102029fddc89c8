"""Answers of the gateway that the ledger has not taken yet, on this host."""

from collections.abc import Iterable

from worker import spool
from worker.doctor.deployment import Deployment
from worker.doctor.finding import Finding, ok, problem

CHECK = "spool"


def judge(count: int, directory: str) -> Finding:
    """`count` answers wait."""
    if count:
        return problem(CHECK, "spool_waits", count=count, directory=directory)
    return ok(CHECK, "spool_empty")


def look(deployment: Deployment) -> Iterable[Finding]:
    """Counts the files."""
    directory = deployment.settings.spool_dir
    return [judge(spool.waiting(directory), str(directory))]
