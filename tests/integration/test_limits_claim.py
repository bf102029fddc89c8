"""Limits on points: the bulk lane goes up to them and pauses, an operator lets it go on, other lanes do not stop."""

from decimal import Decimal

import pytest

from tests.support import bodies, ledger
from tests.support.servers import Clock
from worker.ledger import accounts, settle
from worker.ledger.bounds import Bounds
from worker.ledger.claim import Claim, due, due_lanes
from worker.ledger.controls import resume
from worker.ledger.database import Database
from worker.ledger.limits import Limits, spent
from worker.ledger.pauses import Target, standing

HOUR = 3600
BULK = Target("default", "bulk")


def limited(hour: float = 0, day: float = 0) -> Bounds:
    return Bounds(None, Limits(Decimal(str(hour)), Decimal(str(day))))


@pytest.fixture(autouse=True)
def _account(database: Database) -> None:
    accounts.ensure_accounts(database, ["default"])


def drain(database: Database, bounds: Bounds, **how: int) -> list[Claim]:
    """What the bulk lane sends until it stops."""
    found: list[Claim] = []
    while claimed := ledger.take(database, lane="bulk", bounds=bounds, **how):
        assert settle.accepted(
            database, ledger.whose(claimed), ledger.reply(len(claimed.packed.messages)), database.now_ms()
        )
        found.append(claimed)
    return found


def sizes(found: list[Claim]) -> list[int]:
    return [len(one.packed.messages) for one in found]


def test_a_campaign_stops_at_the_limit_and_goes_on_when_told(database: Database, clock: Clock) -> None:
    key = ledger.put(database, 100, lane="bulk")
    assert sizes(drain(database, limited(hour=25), size=10)) == [10, 10, 5]
    [pause] = standing(database)
    assert (pause.what, pause.account, pause.lane, pause.by) == ("lane", "default", "bulk", "limit")
    assert pause.why == "25 of 25 points an hour are spent"
    assert ledger.events(database) == {"limit_reached": 1}
    assert (due(database, "default", "bulk"), due_lanes(database)) == (False, [])
    # It stays so, whatever time passes: somebody has to look first.
    clock.advance(2 * HOUR)
    assert ledger.take(database, lane="bulk", bounds=limited(hour=25)) is None
    resume(database, BULK, by="li", why="it is wanted")
    assert sizes(drain(database, limited(hour=25), size=10)) == [10, 10, 5]
    # Within the hour a resumed lane may spend the limit again.
    clock.advance(60)
    resume(database, BULK, by="li", why="still wanted")
    assert sizes(drain(database, limited(hour=25), size=10)) == [10, 10, 5]
    assert ledger.states(database, key) == {"packed": 75, "waiting": 25}
    assert ledger.events(database) == {"limit_reached": 3, "resumed": 2}


def test_the_hour_and_the_day_move_on(database: Database, clock: Clock) -> None:
    ledger.put(database, 100, lane="bulk")
    bounds = limited(hour=10, day=15)
    assert sizes([ledger.taken(database, lane="bulk", size=9, bounds=bounds)]) == [9]
    clock.advance(HOUR + 1)
    # The day has room for six still, the hour for ten.
    assert sizes(drain(database, bounds)) == [6]
    assert [one.why for one in standing(database)] == ["15 of 15 points a day are spent"]
    resume(database, BULK, by="li", why="")
    clock.advance(24 * HOUR)
    assert sizes(drain(database, bounds)) == [10]


def test_other_lanes_spend_of_it_and_are_not_stopped(database: Database) -> None:
    ledger.put(database, 8, lane="otp")
    ledger.taken(database, lane="otp")
    ledger.put(database, 5, lane="bulk")
    assert sizes(drain(database, limited(hour=10))) == [2]
    ledger.put(database, 3, lane="normal")
    assert len(ledger.taken(database).packed.messages) == 3
    assert standing(database)[0].why == "10 of 10 points an hour are spent"


@pytest.mark.parametrize(
    ("end", "points"),
    [("accepted", "7"), ("partly", "4"), ("unknown", "6"), ("submitting", "6"), ("not_sent", "0")],
)
def test_what_counts_as_spent(database: Database, clock: Clock, end: str, points: str) -> None:
    ledger.put(database, 6, lane="bulk")
    claimed = ledger.taken(database, lane="bulk")
    whose = ledger.whose(claimed)
    match end:
        case "accepted":
            # By the gateway's word, where it has said one.
            settle.accepted(database, whose, ledger.reply(7), clock.now_ms)
        case "partly":
            settle.accepted(database, whose, ledger.reply(4, unsend=2), clock.now_ms)
        case "unknown":
            settle.unknown(database, whose, "a timeout")
        case "not_sent":
            settle.not_sent(database, whose, "unreachable")
    with database.read() as connection:
        used = spent(connection, "default", Limits(Decimal(10), Decimal(10)), clock.now_ms)
        other = spent(connection, "shop", Limits(Decimal(10), Decimal(10)), clock.now_ms)
    assert used == (Decimal(points), Decimal(points))
    assert other == (0, 0)


def test_a_text_that_costs_more_than_is_left_goes_alone(database: Database) -> None:
    ledger.put(database, to=bodies.numbers(4), lane="bulk", text="長" * 300)
    assert sizes([ledger.taken(database, lane="bulk", bounds=limited(hour=3))]) == [1]
    assert ledger.take(database, lane="bulk", bounds=limited(hour=3)) is None
    assert standing(database)[0].why == "5 of 3 points an hour are spent"


def test_an_operators_pause_is_not_the_limits(database: Database, clock: Clock) -> None:
    """Ending it gives no new room: nobody has looked at what was spent."""
    from worker.ledger.controls import pause

    ledger.put(database, 20, lane="bulk")
    assert sizes([ledger.taken(database, lane="bulk", size=10, bounds=limited(hour=10))]) == [10]
    pause(database, BULK, by="li", why="lunch")
    resume(database, BULK, by="li", why="")
    assert drain(database, limited(hour=10)) == []
    assert [one.by for one in standing(database)] == ["limit"]


def test_what_is_remembered_never_pauses_too_early_nor_too_late(database: Database, clock: Clock) -> None:
    """A process counts older chunks once a minute; what changes meanwhile is looked at before it pauses."""
    ledger.put(database, 60, lane="bulk")
    first = ledger.taken(database, lane="bulk", size=10)
    clock.advance(300)
    bounds = limited(hour=25)
    assert sizes([ledger.taken(database, lane="bulk", size=10, bounds=bounds)]) == [10]
    # The remembered ten come back: there is room for fifteen more, not for five.
    settle.not_sent(database, ledger.whose(first), "unreachable")
    assert sizes(drain(database, bounds, size=10)) == [5, 10]
    assert [one.why for one in standing(database)] == ["25 of 25 points an hour are spent"]


def test_claims_at_once_do_not_go_beyond_the_limit(database: Database) -> None:
    ledger.put(database, 200, lane="bulk")

    def go() -> int:
        return sum(
            len(claimed.packed.messages)
            for _ in range(8)
            if (claimed := ledger.take(database, lane="bulk", size=7, bounds=limited(hour=50)))
        )

    assert sum(ledger.at_once([go] * 6)) == 50
    assert ledger.events(database) == {"limit_reached": 1}
