"""The fault matrix of the three calls that send: outcome, ledger, calls made, and what an operator reads."""

from typing import Any, NamedTuple

import pytest

from tests.support import running
from tests.support.matrix import CELLS, SENDS, Bench, Cell, Means, compare, fields
from tests.support.waiting import wait_for
from worker.ledger import accounts
from worker.ledger.tables import message

#: The cells differ in the answer and not in the ledger; what each meaning does is shown on both databases.
ONE_DATABASE = pytest.mark.parametrize("database_url", ["sqlite"], indirect=True)
SIZE = 3


class Seen(NamedTuple):
    """Of one cell: chunks and messages at the end, calls that send, texts that went out, events, the breaker."""

    chunks: list[str]
    messages: dict[str, int]
    calls: int
    texts: int
    events: list[str]
    breaker: str
    told: bool


def expected(cell: Cell, operation: str) -> Seen:
    """What each meaning is worth: the architecture's table of outcomes, in the ledger's words."""
    sent, again = {"sent": SIZE}, ["accepted", "not_sent"]
    match cell.means:
        case Means.ANSWERED:
            return Seen(["accepted"], sent, 1, SIZE, [], "closed", True)
        case Means.NO_SUCH_CALL if operation == "sendMessage":
            return Seen(again, sent, 2, SIZE, ["operation_off"], "closed", True)
        case Means.NOT_SENT | Means.NO_SUCH_CALL | Means.BUSY | Means.SESSION:
            return Seen(again, sent, 2, SIZE, [], "closed", True)
        case Means.TOO_LARGE | Means.MESSAGE:
            return Seen(["accepted", "accepted", "refused"], sent, 3, SIZE, [], "closed", True)
        case Means.ACCOUNT:
            breaker = "locked" if cell.more["code"] == -999 else "open"
            return Seen(["not_sent"], {"waiting": SIZE}, 1, 0, ["account_blocked"], breaker, True)
        case Means.UNKNOWN:
            events = ["chunk_unknown", "gateway_unreachable"]
            return Seen(["unknown"], {"unknown": SIZE}, 1, SIZE * cell.executed, events, "closed", True)


def scene(bench: Bench, cell: Cell, operation: str) -> Seen:
    """One request whose first call the cell befalls; then hours of looking again."""
    engine = bench.engine(cell)
    engine.sessions.key(running.ALIAS)
    bench.later(0)
    bench.befall(cell, operation)
    request = running.enqueue(engine, **fields(operation, SIZE))
    running.send(engine)
    # What an operator reads while it is fresh: the chunk, and where it matters an event.
    told = cell.means is Means.ANSWERED or cell.words in bench.read()
    for wait_s in (1, 3600, 100_000):
        bench.later(wait_s)
        running.send(engine)
    wanted = expected(cell, operation).texts
    # What the gateway executes late, it executes once.
    wait_for(lambda: bench.control.summary().total >= wanted, within_s=5)
    summary = bench.control.summary()
    assert summary.doubled_count == 0, str(cell)
    assert {one.attempts for one in running.rows(engine, message)} == {0}, str(cell)
    return Seen(
        sorted(running.chunk_states(engine)),
        running.counts(engine, request),
        sum(bench.control.calls(name) for name in SENDS),
        summary.total,
        running.kinds(engine),
        accounts.account_row(engine.database, running.ALIAS).breaker,
        told,
    )


@pytest.mark.parametrize("operation", SENDS)
@ONE_DATABASE
def test_sends(bench: Bench, operation: str) -> None:
    cells = [cell for cell in CELLS if not cell.slow]
    seen = bench.play(cells, lambda bench, cell: scene(bench, cell, operation))
    compare(seen, {str(cell): expected(cell, operation) for cell in cells})


@pytest.mark.parametrize("operation", SENDS)
@ONE_DATABASE
def test_sends_that_only_the_deadline_ends(bench: Bench, operation: str) -> None:
    cells = [cell for cell in CELLS if cell.slow]
    seen: dict[str, Any] = bench.play(cells, lambda bench, cell: scene(bench, cell, operation))
    compare(seen, {str(cell): expected(cell, operation) for cell in cells})


@pytest.mark.parametrize("operation", SENDS)
def test_each_meaning(bench: Bench, operation: str) -> None:
    cells = list({cell.means: cell for cell in CELLS if not cell.slow}.values())
    compare(
        bench.play(cells, lambda bench, cell: scene(bench, cell, operation)),
        {str(cell): expected(cell, operation) for cell in cells},
    )
