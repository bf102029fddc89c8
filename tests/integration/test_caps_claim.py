"""Caps on texts to one number: over all requests and lanes, exact under claims at once, and nothing is dropped."""

import uuid
from collections import Counter
from decimal import Decimal
from functools import partial

import pytest
from sqlalchemy import func, select

from every8d.replies import Erased
from tests.support import bodies, ledger
from tests.support.servers import Clock
from worker.caps import Caps
from worker.ledger import cancel, caps, settle
from worker.ledger.bounds import Bounds
from worker.ledger.claim import Claim
from worker.ledger.database import Database
from worker.ledger.operators import settle_unknown
from worker.ledger.tables import number_use
from worker.token import encode

ONE, TWO, THREE = bodies.numbers(3)
HOUR = 3600


def capped(hour: int = 0, day: int = 0) -> Bounds:
    return Bounds(Caps(hour, day), None)


def numbers(claimed: Claim | None) -> list[str]:
    return [] if claimed is None else [one.number for one in claimed.packed.messages]


def uses(database: Database) -> int:
    with database.read() as connection:
        return connection.scalar(select(func.count()).select_from(number_use)) or 0


def test_what_is_over_the_cap_waits_for_its_time_and_then_goes(database: Database, clock: Clock) -> None:
    began = clock.now_ms
    ledger.put(database, to=[ONE, TWO])
    assert numbers(ledger.take(database, bounds=capped(hour=1))) == [ONE, TWO]
    clock.advance(600)
    key = ledger.put(database, to=[ONE, THREE], text="又一則")
    assert numbers(ledger.take(database, bounds=capped(hour=1))) == [THREE]
    held = [one for one in ledger.messages(database, key) if one.number == ONE]
    assert [(one.state, one.due_ms, one.chunk_id) for one in held] == [("waiting", began + HOUR * 1000, None)]
    assert ledger.request_row(database, key).next_due_ms == began + HOUR * 1000
    assert ledger.events(database) == {"cap_reached": 1}
    clock.advance(HOUR - 600.001)
    assert ledger.take(database, bounds=capped(hour=1)) is None
    clock.advance(0.001)
    assert numbers(ledger.take(database, bounds=capped(hour=1))) == [ONE]


def test_a_cap_holds_over_lanes_and_not_over_accounts(database: Database) -> None:
    for lane, account in (("otp", "default"), ("bulk", "default"), ("normal", "shop")):
        ledger.put(database, to=[ONE], lane=lane, account=account)
    assert numbers(ledger.take(database, lane="otp", bounds=capped(day=1))) == [ONE]
    assert ledger.take(database, lane="bulk", bounds=capped(day=1)) is None
    assert numbers(ledger.take(database, account="shop", bounds=capped(day=1))) == [ONE]


def test_a_day_and_an_hour_together(database: Database, clock: Clock) -> None:
    bounds, sent = capped(hour=2, day=3), []
    for place in range(6):
        ledger.put(database, to=[ONE], text=f"第{place}則")
    start = clock.now_ms
    for _ in range(3 * 24 * 4):
        while claimed := ledger.take(database, bounds=bounds):
            sent += [(clock.now_ms - start) / 3_600_000] * len(numbers(claimed))
        clock.advance(HOUR / 4)
    assert sent == [0, 0, 1, 24, 24, 25]


def test_one_number_often_in_a_request_keeps_to_the_cap(database: Database) -> None:
    ledger.put(database, to=[ONE] * 5, duplicates=True)
    found = [numbers(ledger.take(database, bounds=capped(hour=2))) for _ in range(3)]
    assert found == [[ONE], [ONE], []]
    assert ledger.states(database) == {"packed": 2, "waiting": 3}


def test_many_over_the_cap_hold_up_nobody(database: Database, clock: Clock) -> None:
    everybody = bodies.numbers(60)
    ledger.put(database, to=everybody)
    ledger.taken(database, bounds=capped(hour=1))
    clock.advance(1)
    again = ledger.put(database, to=everybody, text="再一次")
    clock.advance(1)
    ledger.put(database, to=["+886987654321"])
    assert numbers(ledger.take(database, size=5, bounds=capped(hour=1))) == ["+886987654321"]
    assert ledger.states(database, again) == {"waiting": 60}


def test_a_message_over_the_cap_ends_at_its_deadline(database: Database, clock: Clock) -> None:
    ledger.put(database, to=[ONE])
    ledger.taken(database, bounds=capped(day=1))
    deadline_ms = clock.now_ms + 60_000
    key = ledger.put(database, to=[ONE], deadline=ledger.moment(deadline_ms))
    assert ledger.take(database, bounds=capped(day=1)) is None
    assert [one.due_ms for one in ledger.messages(database, key)] == [deadline_ms]
    clock.advance(60)
    assert ledger.take(database, bounds=capped(day=1)) is None
    assert ledger.states(database, key) == {"expired": 1}


def test_a_booking_counts_at_its_own_time(database: Database, clock: Clock) -> None:
    at_ms = clock.now_ms + 2 * HOUR * 1000
    ledger.put(database, to=[ONE], schedule="gateway", send_at=ledger.moment(at_ms))
    booked = ledger.taken(database, bounds=capped(hour=1))
    assert booked.send_time_ms == at_ms
    ledger.put(database, to=[ONE])
    assert numbers(ledger.take(database, bounds=capped(hour=1))) == [ONE]
    clock.now_ms = at_ms - 600_000
    late = ledger.put(database, to=[ONE], text="晚一點")
    assert ledger.take(database, bounds=capped(hour=1)) is None
    assert ledger.messages(database, late)[0].due_ms == at_ms + HOUR * 1000
    # A booking for a time at which the number has had enough is not made; it goes later, from here.
    other = ledger.put(database, to=[ONE], schedule="gateway", send_at=ledger.moment(at_ms + 1_800_000))
    assert ledger.take(database, bounds=capped(hour=1)) is None
    assert ledger.messages(database, other)[0].due_ms == at_ms + HOUR * 1000


@pytest.mark.parametrize("end", ["not_sent", "refused", "resend", "refuse", "erased"])
def test_what_was_not_sent_after_all_does_not_count(database: Database, clock: Clock, end: str) -> None:
    booking = {"schedule": "gateway", "send_at": ledger.moment(clock.now_ms + HOUR * 1000)}
    ledger.put(database, to=[ONE, TWO], **(booking if end == "erased" else {}))
    claimed = ledger.taken(database, bounds=capped(day=1))
    whose = ledger.whose(claimed)
    assert uses(database) == 2
    match end:
        case "not_sent":
            assert settle.not_sent(database, whose, "unreachable")
        case "refused":
            assert settle.refused(database, whose, -306, "no", new_part=claimed.id)
        case "resend" | "refuse":
            assert settle.unknown(database, whose, "a timeout")
            assert uses(database) == 2
            settle_unknown(database, encode(claimed.id), end, batch_id=None, by="li", why="seen")  # type: ignore[arg-type]
        case _:
            assert settle.accepted(database, whose, ledger.reply(2), clock.now_ms)
            cancel.stop(database, claimed.packed.messages[0].request_id)
            [booked] = cancel.claim_erasures(database)
            cancel.erased(database, booked, Erased(2, Decimal(2)))
    assert uses(database) == 0
    ledger.put(database, to=[ONE], text="新的")
    sent: list[str] = []
    while found := ledger.take(database, bounds=capped(day=1)):
        sent += numbers(found)
    assert sent.count(ONE) == 1


def test_without_a_cap_nothing_is_written_down(database: Database) -> None:
    ledger.put(database, to=[ONE, TWO])
    ledger.taken(database)
    assert uses(database) == 0


def test_uses_older_than_a_day_are_forgotten(
    database: Database, clock: Clock, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(caps, "OLD_ROWS", 2)
    ledger.put(database, 5)
    ledger.taken(database, bounds=capped(hour=1))
    clock.advance(24 * HOUR - 0.001)
    ledger.put(database, to=["+886987654321"])
    ledger.taken(database, bounds=capped(hour=1))
    assert (caps.forget_old(database), uses(database)) == (0, 6)
    clock.advance(0.001)
    assert (caps.forget_old(database), uses(database)) == (5, 1)


def test_claims_at_once_of_several_lanes_keep_to_the_cap(database: Database) -> None:
    """Each claim sees what the others took: no number is in more chunks than its cap, whoever came first."""
    people = bodies.numbers(10)
    for lane in ("otp", "normal", "bulk"):
        for place in range(4):
            ledger.put(database, to=people, lane=lane, text=f"{lane} {place}")
    failures = ledger.failures(database)

    def drain(lane: str) -> list[tuple[str, uuid.UUID]]:
        mine: list[tuple[str, uuid.UUID]] = []
        while claimed := ledger.take(database, lane=lane, size=7, bounds=capped(hour=3)):
            mine += [(one.number, one.request_id) for one in claimed.packed.messages]
        return mine

    lanes = ("otp", "normal", "bulk") * 3
    parts = ledger.at_once([partial(drain, lane) for lane in lanes])
    taken = [one for part in parts for one in part]
    # A claim may find its requests locked and give up for this time; what is due goes with the next look.
    for lane in lanes:
        taken += drain(lane)
    assert Counter(number for number, _ in taken) == dict.fromkeys(people, 3)
    assert len(set(taken)) == len(taken) == uses(database) == 30
    assert ledger.states(database) == {"packed": 30, "waiting": 90}
    assert not set(failures) - {"DeadlockDetected"}
