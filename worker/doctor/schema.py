"""Whether the ledger has the tables that this version needs."""

from collections.abc import Iterable

from worker.doctor.deployment import Deployment
from worker.doctor.finding import Finding, ok, problem
from worker.ledger import migrate

CHECK = "migrations"


def judge(age: migrate.Age) -> Finding:
    """`age` is the ledger's, against this version."""
    if age is migrate.Age.CURRENT:
        return ok(CHECK, "schema_current")
    return problem(CHECK, f"schema_{age}")


def look(deployment: Deployment) -> Iterable[Finding]:
    """Reads the revision in the ledger."""
    return [judge(migrate.age(deployment.ledger))]
