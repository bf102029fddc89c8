"""The ledger's promises: a commit that a crash forgets is a text sent twice."""

from collections.abc import Iterable, Mapping

from sqlalchemy import text

from worker.doctor.deployment import Deployment
from worker.doctor.finding import Finding, ok, problem
from worker.ledger.database import Database

CHECK = "durability"

_POSTGRES = ("fsync", "full_page_writes", "synchronous_commit", "transaction_read_only")
#: `PRAGMA synchronous`, as a number: FULL.
_FULL = 2


def judge_postgres(settings: Mapping[str, str]) -> list[Finding]:
    """`settings` are those of a connection of ours, so what a pooler makes of it is seen as well."""
    wrong = [name for name in ("fsync", "full_page_writes") if settings[name] != "on"]
    if settings["synchronous_commit"] in ("off", "local"):
        wrong.append("synchronous_commit")
    bad = [problem(CHECK, "postgres_forgets", setting=name, value=settings[name]) for name in wrong]
    if settings["transaction_read_only"] == "on":
        bad.append(problem(CHECK, "read_only"))
    return bad or [ok(CHECK, "durable", database="PostgreSQL")]


def judge_sqlite(journal: str, synchronous: int) -> Finding:
    """`journal` and `synchronous` are the pragmas of a connection of ours."""
    if journal != "wal" or synchronous < _FULL:
        return problem(CHECK, "sqlite_forgets", journal=journal, synchronous=synchronous)
    return ok(CHECK, "durable", database="SQLite")


def look(deployment: Deployment) -> Iterable[Finding]:
    """Asks a connection as the workers make it."""
    ledger = deployment.ledger
    return judge_postgres(_postgres(ledger)) if ledger.is_postgres else [_sqlite(ledger)]


def _postgres(ledger: Database) -> dict[str, str]:
    with ledger.read() as connection:
        return {name: str(connection.scalar(text(f"SHOW {name}"))) for name in _POSTGRES}


def _sqlite(ledger: Database) -> Finding:
    with ledger.read() as connection:
        journal = str(connection.scalar(text("PRAGMA journal_mode")))
        return judge_sqlite(journal, int(connection.scalar(text("PRAGMA synchronous")) or 0))
