"""Claiming: which messages make the next chunk, and what is never in one, on both databases."""

import uuid
from typing import Any

import pytest

from tests.support import bodies, ledger
from tests.support.servers import Clock
from worker.ledger import cancel, settle
from worker.ledger.accept import accept
from worker.ledger.claim import BOOKING_MARGIN_MS, claim, due, due_lanes
from worker.ledger.database import Database
from worker.packing import MAX_BYTES

ONE, TWO, THREE = bodies.numbers(3)


def numbers(claimed: Any) -> list[str]:
    return [one.number for one in claimed.packed.messages]


def test_the_oldest_go_first_and_small_requests_share_a_chunk(database: Database, clock: Clock) -> None:
    for number in (ONE, TWO, THREE):
        ledger.put(database, to=[number])
        clock.advance(1)
    claimed = ledger.taken(database, size=2)
    assert (numbers(claimed), claimed.more, claimed.packed.operation) == ([ONE, TWO], True, "sendSMS")
    rest = ledger.taken(database, size=2)
    assert (numbers(rest), rest.more) == ([THREE], False)
    assert ledger.take(database) is None


def test_a_long_request_goes_in_its_order_before_the_next_one(database: Database, clock: Clock) -> None:
    all_numbers = bodies.numbers(25)
    ledger.put(database, to=all_numbers[:15])
    clock.advance(1)
    ledger.put(database, to=all_numbers[15:])
    found = [ledger.taken(database, size=6) for _ in range(5)]
    assert [number for one in found for number in numbers(one)] == all_numbers
    assert [len(numbers(one)) for one in found] == [6, 6, 3, 6, 4]


def test_texts_of_several_requests_go_in_one_call(database: Database) -> None:
    for place, number in enumerate((ONE, TWO)):
        ledger.put(database, to=[number], text=f"第{place}則")
    claimed = ledger.taken(database)
    assert claimed.packed.operation == "sendParamSMS"
    assert dict(zip(numbers(claimed), claimed.packed.texts, strict=True)) == {ONE: "第0則", TWO: "第1則"}


@pytest.mark.parametrize(
    ("first", "second"),
    [
        ({"subject": "甲"}, {"subject": "乙"}),
        ({"subject": "甲"}, {}),
        ({"validity": 5}, {"validity": 10}),
        ({"validity": 5}, {}),
    ],
)
def test_requests_of_another_subject_or_validity_go_in_calls_of_their_own(
    database: Database, first: dict[str, Any], second: dict[str, Any]
) -> None:
    for place, fields in enumerate((first, second, first)):
        ledger.put(database, to=[bodies.numbers(3)[place]], **fields)
    found = [ledger.taken(database) for _ in range(2)]
    assert sorted(len(numbers(one)) for one in found) == [1, 2]
    assert {one.subject for one in found} == {first.get("subject", ""), second.get("subject", "")}
    assert {one.packed.validity_min for one in found} == {first.get("validity"), second.get("validity")}
    assert ledger.take(database) is None


def test_accounts_and_lanes_are_separate(database: Database) -> None:
    ledger.put(database, to=[ONE], lane="bulk")
    ledger.put(database, to=[TWO], account="shop")
    assert ledger.take(database) is None
    assert due_lanes(database) == [("default", "bulk"), ("shop", "normal")] or due_lanes(database) == [
        ("shop", "normal"),
        ("default", "bulk"),
    ]
    assert not due(database, "default", "normal")
    assert due(database, "shop", "normal")
    assert numbers(ledger.taken(database, account="shop")) == [TWO]
    assert numbers(ledger.taken(database, lane="bulk")) == [ONE]
    assert due_lanes(database) == []


def test_nothing_goes_before_it_is_due(database: Database, clock: Clock) -> None:
    later = ledger.moment(clock.now_ms + 60_000)
    key = ledger.put(database, messages=[{"to": ONE, "send_at": later}, {"to": TWO}])
    assert numbers(ledger.taken(database)) == [TWO]
    assert ledger.request_row(database, key).next_due_ms == clock.now_ms + 60_000
    clock.advance(59.999)
    assert (ledger.take(database), due(database, "default", "normal")) == (None, False)
    clock.advance(0.001)
    assert due(database, "default", "normal")
    assert numbers(ledger.taken(database)) == [ONE]
    assert ledger.request_row(database, key).next_due_ms is None


def test_messages_past_their_deadline_expire_and_what_is_behind_them_goes(
    database: Database, clock: Clock
) -> None:
    deadline = ledger.moment(clock.now_ms + 10_000)
    key = ledger.put(database, 3, deadline=deadline)
    assert len(numbers(ledger.taken(database, size=1))) == 1
    clock.advance(10)
    ledger.put(database, to=["+886987654321"])
    assert numbers(ledger.taken(database)) == ["+886987654321"]
    assert ledger.states(database, key) == {"packed": 1, "expired": 2}
    assert all(one.due_ms is None for one in ledger.messages(database, key))
    assert ledger.events(database) == {"messages_expired": 1}


def test_a_deadline_after_all_has_gone_out_is_no_event(database: Database, clock: Clock) -> None:
    ledger.put(database, 2, deadline=ledger.moment(clock.now_ms + 1_000))
    assert ledger.taken(database, size=2).more
    clock.advance(2)
    assert (ledger.take(database), ledger.events(database)) == (None, {})


def test_a_number_that_stands_twice_goes_in_another_call(database: Database) -> None:
    ledger.put(
        database, messages=[{"to": ONE}, {"to": ONE, "text": "再見"}, {"to": TWO}, {"to": ONE, "text": "三"}]
    )
    found = [numbers(ledger.taken(database)) for _ in range(3)]
    assert found == [[ONE, TWO], [ONE], [ONE]]
    assert ledger.take(database) is None


def test_wanted_duplicates_go_in_calls_of_their_own(database: Database) -> None:
    ledger.put(database, to=[ONE] * 3, duplicates=True)
    assert [numbers(ledger.taken(database)) for _ in range(3)] == [[ONE]] * 3


def test_a_call_has_one_text_where_it_carries_a_validity(database: Database) -> None:
    ledger.put(database, messages=[{"to": ONE}, {"to": TWO, "text": "二"}, {"to": THREE}], validity=5)
    first, second = ledger.taken(database), ledger.taken(database)
    assert (numbers(first), first.packed.operation, first.packed.text) == (
        [ONE, THREE],
        "sendMessage",
        "您好",
    )
    assert (numbers(second), second.packed.text) == ([TWO], "二")


def test_without_sendmessage_the_validity_is_left_out(database: Database) -> None:
    ledger.put(database, messages=[{"to": ONE}, {"to": TWO, "text": "二"}], validity=5)
    claimed = ledger.taken(database, operations_off=frozenset({"sendMessage"}))
    assert (claimed.packed.operation, claimed.packed.validity_min) == ("sendParamSMS", None)


def test_long_texts_are_divided_by_bytes(database: Database) -> None:
    rows = [
        {"to": number, "text": f"{place:03}" + "長" * 2_900}
        for place, number in enumerate(bodies.numbers(200))
    ]
    ledger.put(database, messages=rows, text=None)
    found = []
    while claimed := ledger.take(database):
        found.append(claimed)
    sizes = [sum(len(text.encode()) for text in one.packed.texts) for one in found]
    assert max(sizes) <= MAX_BYTES
    assert len(found) > 1
    assert [number for one in found for number in numbers(one)] == bodies.numbers(200)


def test_a_booking_goes_alone_with_its_time(database: Database, clock: Clock) -> None:
    at_ms = clock.now_ms + 3_600_000
    for number in (ONE, TWO):
        ledger.put(database, to=[number], schedule="gateway", send_at=ledger.moment(at_ms))
    ledger.put(database, to=[THREE])
    found = [ledger.taken(database) for _ in range(3)]
    assert sorted((len(numbers(one)), one.send_time_ms or 0) for one in found) == [
        (1, 0),
        (1, at_ms),
        (1, at_ms),
    ]


def test_a_booking_that_may_be_late_at_the_gateway_is_kept_and_goes_at_its_time(
    database: Database, clock: Clock
) -> None:
    at_ms = clock.now_ms + 3_600_000
    key = ledger.put(database, to=[ONE], schedule="gateway", send_at=ledger.moment(at_ms))
    clock.now_ms = at_ms - BOOKING_MARGIN_MS + 1
    ledger.put(database, to=[TWO])
    # It holds up nobody.
    assert numbers(ledger.taken(database)) == [TWO]
    assert ledger.take(database) is None
    assert ledger.request_row(database, key).next_due_ms == at_ms
    clock.now_ms = at_ms
    late = ledger.taken(database)
    assert (numbers(late), late.send_time_ms) == ([ONE], None)


def test_a_booking_is_not_handed_over_when_its_time_comes_within_the_lease(
    database: Database, clock: Clock
) -> None:
    ledger.put(database, 1, schedule="gateway", send_at=ledger.moment(clock.now_ms + 300_000))
    assert ledger.take(database, lease_s=360) is None
    ledger.put(database, 1, schedule="gateway", send_at=ledger.moment(clock.now_ms + 300_000))
    assert ledger.taken(database, lease_s=90).send_time_ms == clock.now_ms + 300_000


def test_only_looks_at_one_request_alone(database: Database) -> None:
    older, mine = ledger.put(database, to=[ONE]), ledger.put(database, to=[TWO])
    assert numbers(ledger.taken(database, only=mine)) == [TWO]
    assert ledger.take(database, only=mine) is None
    assert ledger.take(database, only=uuid.uuid4()) is None
    assert numbers(ledger.taken(database, only=older)) == [ONE]


def test_a_claim_writes_its_chunk_and_points_its_messages(database: Database, clock: Clock) -> None:
    ledger.put(database, 3)
    claimed = ledger.taken(database, lease_s=90)
    row = ledger.chunk_row(database, claimed)
    assert (row.state, row.size, row.pending, row.points, row.attempt) == ("submitting", 3, 3, 3, 1)
    assert (
        (row.claimed_ms, row.lease_ms)
        == (clock.now_ms, claimed.lease_ms)
        == (clock.now_ms, clock.now_ms + 90_000)
    )
    found = [(one.chunk_id, one.position, one.due_ms, one.state) for one in ledger.messages(database)]
    assert found == [(claimed.id, place, None, "packed") for place in (1, 2, 3)]
    for secret in (bodies.numbers(1)[0], "您好"):
        assert secret not in repr(claimed)


def test_requests_with_nothing_left_hold_up_nobody(database: Database, clock: Clock) -> None:
    """A request whose messages filled their chunks exactly still looks due, until the next claim finds nothing."""
    for place in range(4):
        ledger.put(database, to=bodies.numbers(2, place * 10))
        clock.advance(1)
    found = [ledger.taken(database, size=2) for _ in range(4)]
    assert len({one.id for one in found}) == 4
    assert (ledger.take(database, size=2), due(database, "default", "normal")) == (None, False)


def test_a_released_message_is_due_again_whatever_its_request_was(database: Database, clock: Clock) -> None:
    key = ledger.put(database, 4)
    first, second = ledger.taken(database, size=2), ledger.taken(database, size=2)
    assert ledger.take(database) is None
    assert ledger.request_row(database, key).next_due_ms is None
    clock.advance(5)
    settle.not_sent(database, ledger.whose(first), "unreachable")
    assert ledger.request_row(database, key).next_due_ms == clock.now_ms
    assert numbers(ledger.taken(database)) == numbers(first)
    settle.accepted(database, ledger.whose(second), ledger.reply(2), clock.now_ms)
    assert ledger.take(database) is None


def test_a_cancelled_request_is_not_claimed(database: Database) -> None:
    cancel.stop(database, ledger.put(database, 3))
    assert (ledger.take(database), due_lanes(database)) == (None, [])


def test_a_staged_request_is_not_claimed_by_name_either(database: Database) -> None:
    from every8d import body

    page = body.parse(bodies.page(to=[ONE]))
    accept(database, page)
    assert claim(database, "default", "normal", _terms(), only=page.request) is None


def _terms() -> Any:
    from worker.ledger.claim import Terms

    return Terms(500, 90, "test")
