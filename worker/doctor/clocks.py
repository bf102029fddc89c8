"""This host's clock against the database's, by which leases, due times and booked sends go."""

import time
from collections.abc import Iterable

from sqlalchemy import text

from worker.doctor.deployment import Deployment
from worker.doctor.finding import Finding, ok, problem

CHECK = "clocks"

#: Session keys are dropped five seconds before midnight by the host's clock (`worker.session`).
APART_S = 2.0

_NOW = text("SELECT extract(epoch FROM clock_timestamp())")


def judge(ahead_s: float) -> Finding:
    """`ahead_s`: this host's clock is so many seconds ahead of the database's."""
    if abs(ahead_s) > APART_S:
        return problem(CHECK, "clocks_apart", seconds=f"{ahead_s:+.1f}")
    return ok(CHECK, "clocks_together", seconds=f"{abs(ahead_s):.1f}")


def look(deployment: Deployment) -> Iterable[Finding]:
    """Half of the question's way is taken off. SQLite has no clock but the host's."""
    ledger = deployment.ledger
    if not ledger.is_postgres:
        return [ok(CHECK, "clock_one")]
    with ledger.read() as connection:
        connection.scalar(_NOW)  # the connection is made before, not within, what is measured
        began, host = time.monotonic(), deployment.clock()
        theirs = float(connection.scalar(_NOW) or 0)
        return [judge(host + (time.monotonic() - began) / 2 - theirs)]
