"""Accounts that may not log in, and what is paused."""

from collections.abc import Iterable

from worker.doctor.deployment import Deployment
from worker.doctor.finding import Finding, ok, problem, unseen, warning
from worker.ledger import migrate, queries
from worker.ledger.queries import AccountState

CHECK = "breakers"


def judge(accounts: Iterable[AccountState]) -> list[Finding]:
    """A pause is a warning: somebody wanted it, or the gateway itself did and an event says so."""
    accounts = list(accounts)
    found = [
        problem(CHECK, f"breaker_{one.breaker}", account=one.alias, code=one.breaker_code or "–")
        for one in accounts
        if one.breaker != "closed"
    ]
    found += [
        warning(CHECK, "stands_paused", account=one.alias, lane=each.lane or "*", by=each.by)
        for one in accounts
        for each in one.pauses
    ]
    return found or [ok(CHECK, "breakers_closed", count=len(accounts))]


def look(deployment: Deployment) -> Iterable[Finding]:
    """Reads the accounts in the ledger, where it has the columns for it."""
    if migrate.age(deployment.ledger) is migrate.Age.OLDER:
        return [unseen(CHECK, "schema_older")]
    return judge(queries.account_states(deployment.ledger, deployment.settings))
