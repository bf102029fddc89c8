"""The fault matrix of the calls that send nothing: asking again is safe, and never asked of a wrong login twice."""

from collections.abc import Callable
from datetime import UTC, datetime
from typing import Any, NamedTuple

import pytest

from every8d.emulator.faults import KINDS, OPERATIONS
from every8d.errors import GatewayError
from tests.support import bodies, running
from tests.support.matrix import CELLS, CODES, SENDS, TEXT, Bench, Cell, Means, compare
from worker import housekeeping
from worker.cancel import cancel, sweep_erasures
from worker.engine import Engine
from worker.ledger import accounts
from worker.ledger.tables import account

ONE_DATABASE = pytest.mark.parametrize("database_url", ["sqlite"], indirect=True)
SIZE = 2


class Seen(NamedTuple):
    """Of one cell: what the first look came to, calls until then, what came of it later, the breaker, the events."""

    at_first: Any
    calls: int
    later: Any
    breaker: str
    events: list[str]
    told: bool


def breaker(engine: Engine) -> str:
    return accounts.account_row(engine.database, running.ALIAS).breaker


def blocked(cell: Cell) -> tuple[str, list[str]]:
    """The breaker and the event of a refused account."""
    return ("locked" if cell.more["code"] == -999 else "open"), ["account_blocked"]


# --- getConnection


def logging_in(bench: Bench, cell: Cell) -> Seen:
    engine = bench.engine(cell)
    bench.befall(cell, "getConnection")
    request = running.enqueue(engine, to=bodies.numbers(SIZE), text=TEXT)
    running.send(engine)
    running.send(engine)
    at_first, calls = running.counts(engine, request), bench.control.calls("getConnection")
    told = cell.means is Means.ANSWERED or cell.words in bench.read() or cell.means is Means.BUSY
    bench.later(5)
    running.send(engine)
    running.send(engine)
    later = running.counts(engine, request), bench.control.calls("getConnection")
    return Seen(at_first, calls, later, breaker(engine), running.kinds(engine), told)


def logged_in(cell: Cell) -> Seen:
    sent, waiting = {"sent": SIZE}, {"waiting": SIZE}
    match cell.means:
        case Means.ANSWERED:
            return Seen(sent, 1, (sent, 1), "closed", [], True)
        case Means.BUSY:
            return Seen(sent, 2, (sent, 2), "closed", [], True)
        case Means.ACCOUNT:
            # One refused login, and never a second with that password.
            return Seen(waiting, 1, (waiting, 1), *blocked(cell), True)
        case _:
            return Seen(waiting, 1, (sent, 2), "closed", ["gateway_unreachable"], True)


# --- closeConnection


def closing(bench: Bench, cell: Cell) -> Seen:
    engine = bench.engine(cell)
    engine.sessions.key(running.ALIAS)
    bench.befall(cell, "closeConnection")
    told = True
    try:
        at_first: Any = engine.sessions.close(running.ALIAS)
    except GatewayError as error:
        at_first = type(error).__name__
        told = cell.words in str(error) + error.in_chinese()
    calls = bench.control.calls("closeConnection")
    bench.later(3)
    # Whatever was said: the key is not used again, and what comes next logs in.
    request = running.enqueue(engine, to=bodies.numbers(SIZE), text=TEXT)
    running.send(engine)
    later = running.counts(engine, request), bench.control.logins()
    return Seen(at_first, calls, later, breaker(engine), running.kinds(engine), told)


ERRORS = {
    Means.NOT_SENT: "Rejected",
    Means.TOO_LARGE: "Rejected",
    Means.NO_SUCH_CALL: "Rejected",
    Means.BUSY: "Busy",
    Means.SESSION: "SessionGone",
    Means.ACCOUNT: "AccountFault",
    Means.MESSAGE: "MessageFault",
    Means.UNKNOWN: "OutcomeUnknown",
}


def closed(cell: Cell) -> Seen:
    return Seen(ERRORS.get(cell.means, True), 1, ({"sent": SIZE}, 2), "closed", [], True)


# --- getDeliveryStatus


def polling(bench: Bench, cell: Cell) -> Seen:
    engine = bench.engine(cell)
    request = running.enqueue(engine, to=bodies.numbers(SIZE), text=TEXT)
    running.send(engine)
    bench.befall(cell, "getDeliveryStatus")
    bench.later(1)
    running.poll_now(engine)
    running.poll_now(engine)
    at_first, calls = running.counts(engine, request), bench.control.calls("getDeliveryStatus")
    told = cell.means in (Means.ANSWERED, Means.SESSION) or cell.words in bench.read()
    bench.later(30)
    running.poll_now(engine)
    later = running.counts(engine, request)
    return Seen(at_first, calls, later, breaker(engine), running.kinds(engine), told)


def polled(cell: Cell) -> Seen:
    sent, delivered = {"sent": SIZE}, {"delivered": SIZE}
    match cell.means:
        case Means.ANSWERED:
            return Seen(delivered, 1, delivered, "closed", [], True)
        case Means.SESSION:
            return Seen(delivered, 2, delivered, "closed", [], True)
        case Means.ACCOUNT:
            return Seen(sent, 1, sent, *blocked(cell), True)
        case _:
            return Seen(sent, 1, delivered, "closed", [], True)


# --- getCredit


def asking(bench: Bench, cell: Cell) -> Seen:
    engine = bench.engine(cell)
    engine.sessions.key(running.ALIAS)
    bench.later(3)
    bench.befall(cell, "getCredit")
    housekeeping.check_credit(engine)

    def kept() -> Any:
        [row] = running.rows(engine, account)
        return row.credit

    at_first, calls = kept(), bench.control.calls("getCredit")
    told = cell.means in (Means.ANSWERED, Means.SESSION) or cell.words in bench.read()
    bench.later(60)
    housekeeping.check_credit(engine)
    return Seen(at_first, calls, kept(), breaker(engine), running.kinds(engine), told)


def asked(cell: Cell) -> Seen:
    match cell.means:
        case Means.ANSWERED:
            return Seen(1000, 1, 1000, "closed", [], True)
        case Means.SESSION:
            return Seen(1000, 2, 1000, "closed", [], True)
        case Means.ACCOUNT:
            return Seen(None, 1, None, *blocked(cell), True)
        case _:
            return Seen(None, 1, 1000, "closed", [], True)


# --- eraseBooking


def erasing(bench: Bench, cell: Cell) -> Seen:
    engine = bench.engine(cell)
    at = datetime.fromtimestamp(bench.clock.now_ms // 1000 + 7200, UTC).isoformat()
    request = running.enqueue(engine, to=bodies.numbers(SIZE), text=TEXT, schedule="gateway", send_at=at)
    running.send(engine)
    bench.later(3)
    bench.befall(cell, "eraseBooking")

    def counted() -> dict[str, Any]:
        found = cancel(engine, request)
        assert found is not None
        return {name: found[name] for name in ("erased", "too_late", "pending") if found[name]}

    at_first, calls = counted(), bench.control.calls("eraseBooking")
    told = cell.means is not Means.UNKNOWN or cell.words in bench.read()
    bench.later(61)
    running.poll_now(engine)
    sweep_erasures(engine)
    # Nobody gets a text that was cancelled, unless the gateway says that it is too late.
    later = counted(), bench.control.summary().cancelled
    return Seen(at_first, calls, later, breaker(engine), running.kinds(engine), told)


def erased(cell: Cell) -> Seen:
    pending, done, cancelled = {"pending": SIZE}, {"erased": SIZE}, ["request_cancelled"]
    match cell.means:
        case Means.ANSWERED:
            return Seen(done, 1, (done, SIZE), "closed", cancelled, True)
        case Means.SESSION:
            return Seen(done, 2, (done, SIZE), "closed", cancelled, True)
        case Means.ACCOUNT:
            state, events = blocked(cell)
            return Seen(pending, 1, (pending, 0), state, [*cancelled, *events], True)
        case Means.MESSAGE if cell.more["code"] != -8:
            late = {"too_late": SIZE}
            return Seen(late, 1, (late, 0), "closed", cancelled, True)
        case _:
            return Seen(pending, 1, (done, SIZE), "closed", cancelled, True)


Scene = Callable[[Bench, Cell], Seen]
SCENES: dict[str, tuple[Scene, Callable[[Cell], Seen]]] = {
    "getConnection": (logging_in, logged_in),
    "closeConnection": (closing, closed),
    "getDeliveryStatus": (polling, polled),
    "getCredit": (asking, asked),
    "eraseBooking": (erasing, erased),
}


@pytest.mark.parametrize("operation", SCENES)
@pytest.mark.parametrize("slow", [False, True], ids=["answered", "only the deadline ends it"])
@ONE_DATABASE
def test_asks(bench: Bench, operation: str, slow: bool) -> None:
    scene, wanted = SCENES[operation]
    cells = [cell for cell in CELLS if cell.slow == slow]
    compare(bench.play(cells, scene), {str(cell): wanted(cell) for cell in cells})


def test_the_matrix_is_whole() -> None:
    assert {*SENDS, *SCENES} == set(OPERATIONS)
    assert {cell.kind for cell in CELLS} == KINDS
    # The field notes' codes.
    assert {-24, -27, -28, -41, -97, -98, -99, -100, -101, -290, -300, -301, -306, -999} <= CODES.keys()
    assert {-3, -4, -8} <= CODES.keys()
