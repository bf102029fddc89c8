"""Cancelling in the ledger: what is stopped here, what is erased there, and what is said of it."""

import uuid
from decimal import Decimal

from every8d.replies import Erased
from tests.support import bodies, ledger
from tests.support.servers import Clock
from worker.ledger import cancel, settle
from worker.ledger.claim import Claim
from worker.ledger.database import Database
from worker.ledger.polls import claim_poll, store_last_page
from worker.ledger.progress import progress
from worker.states import EraseState

HOUR_MS = 3_600_000


def booked(
    database: Database, clock: Clock, count: int = 3, *, batch_id: str = ledger.BATCH
) -> tuple[uuid.UUID, Claim]:
    """A request that the gateway has booked for in an hour."""
    at = ledger.moment(clock.now_ms + HOUR_MS)
    key = ledger.put(database, count, schedule="gateway", send_at=at)
    return key, ledger.send(database, only=key, batch_id=batch_id, next_poll_ms=clock.now_ms + HOUR_MS)


def counts(database: Database, key: uuid.UUID) -> tuple[int, int, str, int, int]:
    found = cancel.cancel_counts(database, key)
    return found.stopped, found.erased, f"{found.points_back:.2f}", found.too_late, found.pending


def erasing(database: Database, key: uuid.UUID) -> cancel.Booked:
    [one] = cancel.claim_erasures(database, only=key)
    return one


def poll(database: Database, rows: dict[str, int]) -> None:
    claimed = claim_poll(database, "default", 120)
    assert claimed is not None
    found = [ledger.row(number, status) for number, status in rows.items()]
    store_last_page(database, claimed, found, lambda _: database.now_ms() + 1)


def test_what_waits_is_stopped_once(database: Database) -> None:
    key, other = ledger.put(database, 5), ledger.put(database, 2)
    assert (cancel.stop(database, key), cancel.stop(database, key)) == (5, 0)
    assert cancel.stop(database, uuid.uuid4()) is None
    assert counts(database, key) == (5, 0, "0.00", 0, 0)
    assert ledger.states(database, other) == {"waiting": 2}
    found = progress(database, key)
    assert found is not None
    assert (found.state, found.final, found.counts) == ("cancelled", True, {"cancelled": 5})
    assert ledger.events(database) == {"request_cancelled": 1}


def test_what_was_never_to_be_sent_is_not_too_late(database: Database) -> None:
    one, two, three = bodies.numbers(3)
    key = ledger.put(database, to=[one, one, two, three])
    claimed = ledger.taken(database, size=1)
    settle.refused(database, ledger.whose(claimed), -306, "no", new_part=1)
    assert cancel.stop(database, key) == 2
    assert ledger.states(database, key) == {"refused": 1, "duplicate": 1, "cancelled": 2}
    assert counts(database, key) == (2, 0, "0.00", 0, 0)


def test_what_is_on_its_way_is_pending_and_then_too_late(database: Database, clock: Clock) -> None:
    key = ledger.put(database, 5)
    claimed = ledger.taken(database, size=3)
    assert cancel.stop(database, key) == 2
    assert counts(database, key) == (2, 0, "0.00", 0, 3)
    settle.accepted(database, ledger.whose(claimed), ledger.reply(3), clock.now_ms)
    assert counts(database, key) == (2, 0, "0.00", 3, 0)
    poll(database, dict.fromkeys(bodies.numbers(3), 100))
    assert counts(database, key) == (2, 0, "0.00", 3, 0)
    assert cancel.claim_erasures(database) == []


def test_a_booking_is_erased(database: Database, clock: Clock) -> None:
    key, claimed = booked(database, clock)
    assert cancel.stop(database, key) == 0
    assert counts(database, key) == (0, 0, "0.00", 0, 3)
    one = erasing(database, key)
    assert (one.chunk_id, one.account, one.batch_id) == (claimed.id, "default", ledger.BATCH)
    assert cancel.claim_erasures(database) == []
    cancel.erased(database, one, Erased(3, Decimal("3.00")))
    assert counts(database, key) == (0, 3, "3.00", 0, 0)
    row = ledger.chunk_row(database, claimed)
    assert (row.erase, row.pending, row.next_poll_ms, row.final_ms) == ("erased", 0, None, clock.now_ms)
    assert cancel.claim_erasures(database) == []


def test_a_booking_that_was_erased_in_part_is_polled_for_which(database: Database, clock: Clock) -> None:
    key, claimed = booked(database, clock)
    cancel.stop(database, key)
    cancel.erased(database, erasing(database, key), Erased(2, Decimal("2.00")))
    assert ledger.chunk_row(database, claimed).next_poll_ms == clock.now_ms
    one, two, three = bodies.numbers(3)
    poll(database, {one: 303, two: 303, three: 301})
    assert ledger.states(database, key) == {"cancelled": 2, "no_credit": 1}
    assert counts(database, key) == (0, 2, "2.00", 0, 0)


def test_a_booking_whose_call_was_under_way_is_erased_when_the_gateway_has_it(
    database: Database, clock: Clock
) -> None:
    key = ledger.put(database, 2, schedule="gateway", send_at=ledger.moment(clock.now_ms + HOUR_MS))
    claimed = ledger.taken(database)
    cancel.stop(database, key)
    assert (cancel.claim_erasures(database), counts(database, key)) == ([], (0, 0, "0.00", 0, 2))
    settle.accepted(database, ledger.whose(claimed), ledger.reply(2), clock.now_ms + HOUR_MS)
    assert counts(database, key) == (0, 0, "0.00", 0, 2)
    assert erasing(database, key).chunk_id == claimed.id


def test_bookings_that_nobody_cancelled_are_let_alone(database: Database, clock: Clock) -> None:
    mine, _ = booked(database, clock, batch_id="mine")
    booked(database, clock, batch_id="others")
    assert cancel.claim_erasures(database) == []
    cancel.stop(database, mine)
    assert [one.batch_id for one in cancel.claim_erasures(database)] == ["mine"]


def test_an_erasure_whose_process_died_is_asked_again(database: Database, clock: Clock) -> None:
    key, _ = booked(database, clock)
    cancel.stop(database, key)
    erasing(database, key)
    clock.advance(cancel.ASK_AGAIN_MS / 1000 - 0.001)
    assert cancel.claim_erasures(database) == []
    clock.advance(0.001)
    erasing(database, key)


def test_several_sweeps_at_once_erase_each_booking_once(database: Database, clock: Clock) -> None:
    for place in range(6):
        cancel.stop(database, booked(database, clock, 1, batch_id=f"b{place}")[0])
    found = ledger.at_once([lambda: cancel.claim_erasures(database)] * 4)
    assert sorted(one.batch_id for part in found for one in part) == [f"b{place}" for place in range(6)]


def test_an_erasure_that_cannot_be_now_is_tried_again_until_its_time_has_come(
    database: Database, clock: Clock
) -> None:
    key, _ = booked(database, clock)
    cancel.stop(database, key)
    cancel.erasure_ended(database, erasing(database, key), EraseState.WANTED, again_ms=clock.now_ms + 15_000)
    assert cancel.claim_erasures(database) == []
    clock.advance(15)
    again = erasing(database, key)
    assert counts(database, key) == (0, 0, "0.00", 0, 3)
    cancel.erasure_ended(database, again, EraseState.WANTED, again_ms=clock.now_ms + 15_000)
    clock.advance(HOUR_MS / 1000)
    assert cancel.claim_erasures(database) == []


def test_a_booking_that_was_sent_is_too_late(database: Database, clock: Clock) -> None:
    key, claimed = booked(database, clock)
    cancel.stop(database, key)
    cancel.erasure_ended(database, erasing(database, key), EraseState.TOO_LATE)
    assert counts(database, key) == (0, 0, "0.00", 3, 0)
    assert ledger.chunk_row(database, claimed).next_poll_ms == clock.now_ms


def lost(database: Database, clock: Clock) -> tuple[uuid.UUID, Claim]:
    """A booking whose eraseBooking was asked and not answered."""
    key, claimed = booked(database, clock)
    cancel.stop(database, key)
    cancel.erasure_ended(database, erasing(database, key), EraseState.UNKNOWN)
    assert counts(database, key) == (0, 0, "0.00", 0, 3)
    assert cancel.claim_erasures(database) == []
    assert ledger.chunk_row(database, claimed).next_poll_ms == clock.now_ms
    return key, claimed


def test_a_lost_answer_is_settled_by_polling_as_erased(database: Database, clock: Clock) -> None:
    key, claimed = lost(database, clock)
    poll(database, dict.fromkeys(bodies.numbers(3), 303))
    row = ledger.chunk_row(database, claimed)
    assert (row.erase, row.erased, counts(database, key)) == ("erased", 3, (0, 3, "0.00", 0, 0))


def test_a_lost_answer_is_settled_by_polling_as_too_late(database: Database, clock: Clock) -> None:
    key, claimed = lost(database, clock)
    poll(database, dict.fromkeys(bodies.numbers(3), 100))
    row = ledger.chunk_row(database, claimed)
    assert (row.erase, counts(database, key)) == ("too_late", (0, 0, "0.00", 3, 0))


def test_a_lost_question_is_asked_again_when_polling_finds_the_booking_untouched(
    database: Database, clock: Clock
) -> None:
    key, claimed = lost(database, clock)
    poll(database, dict.fromkeys(bodies.numbers(3), 300))
    assert ledger.chunk_row(database, claimed).erase == "wanted"
    cancel.erased(database, erasing(database, key), Erased(3, Decimal("3.00")))
    assert counts(database, key) == (0, 3, "3.00", 0, 0)


def test_a_status_from_before_the_erasure_does_not_undo_it(database: Database, clock: Clock) -> None:
    key, _ = booked(database, clock)
    clock.advance(HOUR_MS / 1000 - 1)
    assert claim_poll(database, "default", 120) is None
    cancel.stop(database, key)
    one = erasing(database, key)
    clock.advance(1)
    poller = claim_poll(database, "default", 120)
    assert poller is not None
    cancel.erased(database, one, Erased(3, Decimal("3.00")))
    rows = [ledger.row(number, 300) for number in bodies.numbers(3)]
    assert store_last_page(database, poller, rows, lambda _: None) == 0
    assert ledger.states(database, key) == {"cancelled": 3}
