"""Polling's side of the ledger: pages, ranks, replies, leases, on both databases."""

from typing import Any

from sqlalchemy import select

from every8d.replies import StatusRow
from tests.support import bodies, ledger
from tests.support.servers import Clock
from worker.ledger.claim import Claim
from worker.ledger.database import Database
from worker.ledger.polls import PollClaim, claim_poll, due_polls, postpone_poll, store_last_page, store_page
from worker.ledger.tables import reply
from worker.ledger.texts import replies


def sent(database: Database, count: int = 3, **how: Any) -> Claim:
    """A batch that the gateway has and that is due for polling."""
    ledger.put(database, count)
    return ledger.send(database, size=5000, **how)


def polled(database: Database, lease_s: float = 120) -> PollClaim:
    found = claim_poll(database, "default", lease_s)
    assert found is not None
    return found


def finish(database: Database, poll: PollClaim, rows: list[StatusRow], again_ms: int | None = None) -> int:
    return store_last_page(database, poll, rows, lambda _: again_ms)


def poll_all(database: Database, clock: Clock, rows: list[StatusRow]) -> int:
    """One whole poll of one page, due again at once."""
    return finish(database, polled(database), rows, clock.now_ms)


def statuses(database: Database) -> list[tuple[int | None, str]]:
    return [(one.status, one.state) for one in ledger.messages(database)]


def delivered(count: int, first: int = 0) -> list[StatusRow]:
    return [ledger.row(number, 100) for number in bodies.numbers(count, first)]


def test_a_batch_is_polled_when_it_is_due_by_one_process_at_a_time(database: Database, clock: Clock) -> None:
    claimed = sent(database, next_poll_ms=clock.now_ms + 30_000)
    assert (claim_poll(database, "default", 120), due_polls(database)) == (None, [])
    clock.advance(30)
    assert (claim_poll(database, "shop", 120), due_polls(database)) == (None, ["default"])
    poll = polled(database)
    assert (poll.chunk_id, poll.batch_id, poll.size, poll.page, poll.polls) == (
        claimed.id,
        ledger.BATCH,
        3,
        1,
        0,
    )
    assert claim_poll(database, "default", 120) is None


def test_of_several_batches_the_one_that_is_due_longest_goes_first_and_each_once(
    database: Database, clock: Clock
) -> None:
    for place in (3, 1, 2):
        ledger.put(database, to=bodies.numbers(1, place))
        ledger.send(database, batch_id=f"b{place}", next_poll_ms=clock.now_ms - 1000 + place)
    assert polled(database).batch_id == "b1"
    found = ledger.at_once([lambda: claim_poll(database, "default", 120)] * 4)
    assert sorted(one.batch_id for one in found if one is not None) == ["b2", "b3"]


def test_the_last_page_counts_what_is_open_and_plans_the_next_poll(database: Database, clock: Clock) -> None:
    claimed = sent(database, 3)
    asked: list[int] = []

    def plan(pending: int) -> int:
        asked.append(pending)
        return clock.now_ms + 60_000

    one, two, three = bodies.numbers(3)
    rows = [ledger.row(one, 100), ledger.row(two, 101), ledger.row(three, 0)]
    assert store_last_page(database, polled(database), rows, plan) == 1
    row = ledger.chunk_row(database, claimed)
    assert (asked, row.pending, row.polls, row.final_ms) == ([1], 1, 1, None)
    assert (row.next_poll_ms, row.poll_lease_ms, row.poll_page) == (clock.now_ms + 60_000, None, 1)
    assert statuses(database) == [(100, "delivered"), (101, "undelivered"), (0, "packed")]
    clock.advance(60)
    assert finish(database, polled(database), [ledger.row(three, 100)]) == 0
    row = ledger.chunk_row(database, claimed)
    assert (row.pending, row.polls, row.final_ms, row.next_poll_ms) == (0, 2, clock.now_ms, None)
    assert ledger.events(database) == {}


def test_a_batch_that_is_given_up_is_told(database: Database) -> None:
    sent(database, 2)
    assert finish(database, polled(database), [], None) == 2
    assert ledger.events(database) == {"polling_given_up": 1}


def test_a_batch_of_2500_is_three_pages_and_each_row_finds_its_message(
    database: Database, clock: Clock
) -> None:
    claimed = sent(database, 2500)
    poll = polled(database)
    store_page(database, poll, delivered(1000), 2)
    store_page(database, poll, delivered(1000, 1000), 3)
    assert ledger.chunk_row(database, claimed).poll_page == 3
    assert finish(database, poll, delivered(500, 2000)) == 0
    assert ledger.states(database) == {"delivered": 2500}
    assert {one.cost for one in ledger.messages(database)} == {1}


def test_a_poll_that_broke_off_goes_on_where_it_stopped(database: Database, clock: Clock) -> None:
    sent(database, 2500)
    poll = polled(database)
    store_page(database, poll, delivered(1000), 2)
    postpone_poll(database, poll, clock.now_ms + 20_000)
    assert claim_poll(database, "default", 120) is None
    clock.advance(20)
    again = polled(database)
    assert (again.page, again.polls) == (2, 0)
    store_page(database, again, delivered(1000, 1000), 3)
    assert finish(database, again, delivered(500, 2000), clock.now_ms) == 0
    assert polled(database).page == 1


def test_rows_that_change_places_between_pages_lose_nothing(database: Database, clock: Clock) -> None:
    """One row stands on two pages, another on none: the next poll finds it."""
    sent(database, 1500)
    poll = polled(database)
    store_page(database, poll, delivered(1000), 2)
    assert finish(database, poll, delivered(499, 999), clock.now_ms) == 2
    again = polled(database)
    store_page(database, again, delivered(1000, 500), 2)
    assert finish(database, again, delivered(500)) == 0
    assert ledger.states(database) == {"delivered": 1500}


def test_a_poll_whose_lease_ran_out_is_taken_over_and_its_first_owner_moves_nothing(
    database: Database, clock: Clock
) -> None:
    claimed = sent(database, 2500)
    slow = polled(database, 120)
    clock.advance(121)
    new = polled(database, 120)
    store_page(database, new, delivered(1000), 2)
    store_page(database, new, delivered(1000, 1000), 3)
    # The first owner wakes up: what it read is stored, where to go on is not its business any more.
    store_page(database, slow, delivered(1000), 2)
    assert ledger.chunk_row(database, claimed).poll_page == 3
    assert finish(database, slow, delivered(100, 2000), None) == 400
    postpone_poll(database, slow, 0)
    row = ledger.chunk_row(database, claimed)
    assert (row.poll_page, row.polls, row.poll_lease_ms) == (3, 0, new.lease_ms)
    assert (claim_poll(database, "default", 120), ledger.events(database)) == (None, {})
    assert finish(database, new, delivered(500, 2000)) == 0


RANKS = [
    # first, second, kept, state
    (0, 100, 100, "delivered"),
    (100, 0, 100, "delivered"),
    (100, 103, 100, "delivered"),
    (103, 100, 100, "delivered"),
    (103, 0, 103, "undelivered"),
    (103, 301, 301, "no_credit"),
    (301, 103, 301, "no_credit"),
    (300, 303, 303, "cancelled"),
    (303, 300, 303, "cancelled"),
    (500, 0, 500, "undelivered"),
    (-3, 101, -3, "undelivered"),
    (777, 0, 0, "packed"),
    (0, 777, 0, "packed"),
    (777, 778, 778, "packed"),
    (-12345, 0, -12345, "undelivered"),
    (0, None, 0, "packed"),
    (None, 100, 100, "delivered"),
]


def test_of_two_statuses_the_higher_rank_wins_whenever_it_comes(database: Database, clock: Clock) -> None:
    for place, (first, second, kept, state) in enumerate(RANKS):
        [number] = bodies.numbers(1, place)
        key = ledger.put(database, to=[number])
        ledger.send(database, batch_id=f"b{place}")
        finals = set()
        for status in (first, second, first, second):
            poll_all(database, clock, [ledger.row(number, status)])
            [one] = ledger.messages(database, key)
            finals |= {one.final_ms} - {None}
            clock.advance(1)
        assert finish(database, polled(database), []) == (state == "packed")
        # 777 and 778 have one rank: the newest is kept. The first final status says when it was final.
        assert (one.status, one.state, len(finals)) == (kept, state, state != "packed"), (first, second)


def test_a_later_row_without_a_cost_or_a_time_leaves_what_is_known(database: Database, clock: Clock) -> None:
    sent(database, 1)
    [number] = bodies.numbers(1)
    poll_all(database, clock, [ledger.row(number, 0, cost="2.50")])
    [before] = ledger.messages(database)
    poll_all(database, clock, [ledger.row(number, 100, cost=None)._replace(sent_time=None)])
    [after] = ledger.messages(database)
    assert (str(before.cost), before.sent_ms) == ("2.5", 1_767_225_660_000)
    assert (after.status, after.cost, after.sent_ms) == (100, before.cost, before.sent_ms)


def test_rows_of_numbers_that_are_not_in_the_batch_change_nothing(database: Database, clock: Clock) -> None:
    sent(database, 1)
    ledger.put(database, to=bodies.numbers(1, 500))
    assert poll_all(database, clock, delivered(1, 500)) == 1
    assert statuses(database) == [(None, "packed"), (None, "waiting")] or statuses(database) == [
        (None, "waiting"),
        (None, "packed"),
    ]


def test_the_gateways_ways_to_write_a_number_find_the_message(database: Database, clock: Clock) -> None:
    sent(database, 2)
    one, two = bodies.numbers(2)
    rows = [ledger.row(f" {one}   ", 100), ledger.row("0" + two.removeprefix("+886"), 100)]
    assert poll_all(database, clock, rows) == 0


def test_a_reply_is_stored_once_however_often_it_comes(database: Database, clock: Clock) -> None:
    claimed = sent(database, 2)
    one, two = bodies.numbers(2)
    key = claimed.packed.messages[0].request_id
    for _ in range(3):
        rows = [ledger.row(one, 100, replies=["好", "好", "不好"]), ledger.row(two, 0, replies=["好"])]
        poll_all(database, clock, rows)
    found = {(reply.number, reply.text, reply.request, reply.batch_id) for reply in replies(database)}
    assert found == {(n, t, str(key), ledger.BATCH) for n, t in ((one, "好"), (one, "不好"), (two, "好"))}
    assert len(replies(database)) == 3
    # Not by the letters of the time: a callback writes it in another way.
    again = ledger.row(one, 100, replies=["好"])
    again = again._replace(replies=tuple(said._replace(time_raw="20260101080100") for said in again.replies))
    poll_all(database, clock, [again])
    assert len(replies(database)) == 3


def test_a_reply_of_an_unknown_number_is_kept_without_a_message(database: Database, clock: Clock) -> None:
    sent(database, 1)
    poll_all(database, clock, [ledger.row("+886" + "9" * 40, 0, replies=["喂"])])
    with database.read() as connection:
        [kept] = connection.execute(select(reply)).all()
    assert (kept.text, kept.request_id, kept.seq) == ("喂", None, None)
