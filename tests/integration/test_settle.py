"""Settling: what each outcome of a gateway call makes of the chunk and its messages, on both databases."""

import uuid
from collections.abc import Callable
from typing import Any

import pytest

from every8d.replies import SendReply
from tests.support import bodies, ledger
from tests.support.servers import Clock
from worker.ledger import accounts, cancel, settle
from worker.ledger.claim import Claim
from worker.ledger.database import Database
from worker.ledger.queries import account_states

Settlement = Callable[[Database, settle.Whose], bool]


def accept_it(database: Database, whose: settle.Whose) -> bool:
    return settle.accepted(database, whose, ledger.reply(4), 0)


def lose_it(database: Database, whose: settle.Whose) -> bool:
    return settle.unknown(database, whose, "a read timeout")


def unsent(database: Database, whose: settle.Whose) -> bool:
    return settle.not_sent(database, whose, "unreachable")


def refuse_it(database: Database, whose: settle.Whose) -> bool:
    return settle.refused(database, whose, -306, "no", new_part=1)


SETTLEMENTS = [accept_it, lose_it, unsent, refuse_it]
CHUNK_STATES = dict(zip(SETTLEMENTS, ("accepted", "unknown", "not_sent", "refused"), strict=True))


def whole_state(database: Database, claimed: Claim) -> tuple[Any, ...]:
    messages = [tuple(one) for one in ledger.messages(database)]
    return (
        tuple(ledger.chunk_row(database, claimed)),
        tuple(messages),
        tuple(ledger.events(database).items()),
    )


def test_an_accepted_chunk_keeps_the_answer_and_is_to_be_polled(database: Database, clock: Clock) -> None:
    ledger.put(database, 4)
    claimed = ledger.taken(database)
    clock.advance(1)
    answer = ledger.reply(3, unsend=1)
    assert settle.accepted(database, ledger.whose(claimed), answer, clock.now_ms + 30_000)
    row = ledger.chunk_row(database, claimed)
    kept = (row.state, row.batch_id, row.sended, row.unsend, row.cost, row.credit, row.raw)
    assert kept == ("accepted", ledger.BATCH, 3, 1, 3, 100, answer.raw)
    assert (row.answered_ms, row.next_poll_ms, row.pending) == (clock.now_ms, clock.now_ms + 30_000, 4)
    assert (ledger.states(database), ledger.take(database)) == ({"packed": 4}, None)


@pytest.mark.parametrize(
    ("answer", "kinds"),
    [
        (ledger.reply(4), {}),
        (ledger.reply(3, unsend=1), {"credit_short": 1}),
        (ledger.reply(3), {"chunk_short": 1}),
        (ledger.reply(5), {"chunk_short": 1}),
        (ledger.reply(2, unsend=1), {"credit_short": 1, "chunk_short": 1}),
    ],
)
def test_counts_that_do_not_add_up_are_told(
    database: Database, answer: SendReply, kinds: dict[str, int]
) -> None:
    accounts.ensure_accounts(database, ["default"])
    ledger.put(database, 4)
    claimed = ledger.taken(database)
    settle.note_reply(database, ledger.whose(claimed), answer, 4)
    assert ledger.events(database) == kinds
    from config import Settings

    [state] = account_states(database, Settings())
    assert state.credit == 100


def test_an_unknown_chunk_is_never_sent_again_by_itself(database: Database, clock: Clock) -> None:
    ledger.put(database, 4)
    claimed = ledger.taken(database)
    assert lose_it(database, ledger.whose(claimed))
    for _ in range(10):
        clock.advance(3600)
        assert settle.expire_leases(database) == []
        assert ledger.take(database) is None
    assert (ledger.states(database), ledger.events(database)) == ({"packed": 4}, {"chunk_unknown": 1})


def test_a_definite_no_makes_the_messages_wait_again_without_using_a_try(database: Database) -> None:
    ledger.put(database, 4)
    for attempt in range(3):
        claimed = ledger.taken(database)
        assert unsent(database, ledger.whose(claimed)), attempt
        row = ledger.chunk_row(database, claimed)
        assert (row.state, row.pending, row.attempt) == ("not_sent", 0, 1)
        found = {(one.chunk_id, one.position, one.attempts, one.state) for one in ledger.messages(database)}
        assert found == {(None, None, 0, "waiting")}


def test_a_chunk_that_has_used_its_tries_is_halved_and_a_message_alone_refused(database: Database) -> None:
    ledger.put(database, 2)
    for sizes in ([2], [2], [2], [1, 1]):
        claims = [ledger.taken(database) for _ in sizes]
        assert [len(one.packed.messages) for one in claims] == sizes
        for place, one in enumerate(claims):
            tries = settle.Tries(3, 1000 + place * 2)
            assert settle.not_sent(database, ledger.whose(one), "busy", code=-99, tries=tries)
    assert ledger.states(database) == {"refused": 2}
    assert all((one.code, one.due_ms) == (-99, None) and one.final_ms for one in ledger.messages(database))
    assert ledger.events(database) == {"message_refused": 2}


def test_loops_that_meet_the_same_trouble_in_one_spell_use_up_one_try(database: Database) -> None:
    ledger.put(database, 1)
    for turn in range(20):
        claimed = ledger.taken(database)
        assert settle.not_sent(database, ledger.whose(claimed), "busy", code=-99, tries=settle.Tries(3, 1))
        if turn == 0:
            accounts.lane_failed(database, claimed.account, claimed.lane, "busy", 60)
    assert ledger.states(database) == {"waiting": 1}
    assert [one.attempts for one in ledger.messages(database)] == [1]


def test_a_refused_chunk_is_halved_until_the_one_at_fault_is_alone(database: Database) -> None:
    for size, at_fault in ((2, 0), (2, 1), (3, 1), (5, 4), (8, 3), (16, 0), (16, 15)):
        key = ledger.put(database, to=bodies.numbers(size))
        bad = bodies.numbers(size)[at_fault]
        sent: list[str] = []
        calls = 0
        while claimed := ledger.take(database):
            numbers = [one.number for one in claimed.packed.messages]
            calls += 1
            if bad in numbers:
                assert settle.refused(database, ledger.whose(claimed), -306, "no", new_part=claimed.id)
            else:
                assert settle.accepted(database, ledger.whose(claimed), ledger.reply(len(numbers)), 0)
                sent += numbers
        assert sorted([*sent, bad]) == bodies.numbers(size)
        assert ledger.states(database, key) == {"packed": size - 1, "refused": 1}
        assert calls <= 2 * size.bit_length() + 1


def test_the_halves_go_in_calls_of_their_own_also_beside_other_messages(
    database: Database, clock: Clock
) -> None:
    ledger.put(database, to=bodies.numbers(4))
    assert refuse_it(database, ledger.whose(ledger.taken(database)))
    ledger.put(database, to=bodies.numbers(4, 100))
    found = [[one.number for one in ledger.taken(database).packed.messages] for _ in range(3)]
    halves = [bodies.numbers(2), bodies.numbers(2, 2), bodies.numbers(4, 100)]
    assert sorted(found) == sorted(halves)


def test_a_half_that_was_not_sent_stays_a_half(database: Database) -> None:
    ledger.put(database, 4)
    refuse_it(database, ledger.whose(ledger.taken(database)))
    half = ledger.taken(database)
    unsent(database, ledger.whose(half))
    sizes = [len(ledger.taken(database).packed.messages) for _ in range(2)]
    assert (sizes, ledger.take(database)) == ([2, 2], None)


def test_numbers_that_the_gateway_names_are_refused_and_the_others_go_on_together(database: Database) -> None:
    ledger.put(database, 5)
    claimed = ledger.taken(database)
    named = bodies.numbers(5)[1:3]
    assert settle.refused(database, ledger.whose(claimed), -306, "no", named=named, new_part=1)
    assert ledger.states(database) == {"refused": 2, "waiting": 3}
    assert {one.number for one in ledger.messages(database) if one.state == "refused"} == set(named)
    again = ledger.taken(database)
    assert [one.number for one in again.packed.messages] == [n for n in bodies.numbers(5) if n not in named]


def test_a_message_alone_is_refused(database: Database) -> None:
    ledger.put(database, 1)
    claimed = ledger.taken(database)
    assert settle.refused(database, ledger.whose(claimed), -24, "no", new_part=1)
    [one] = ledger.messages(database)
    assert (one.state, one.code, one.due_ms) == ("refused", -24, None)
    assert ledger.take(database) is None


@pytest.mark.parametrize("late", SETTLEMENTS)
def test_an_answer_after_the_lease_still_settles(database: Database, clock: Clock, late: Settlement) -> None:
    ledger.put(database, 4)
    claimed = ledger.taken(database, lease_s=90)
    clock.advance(90)
    assert settle.expire_leases(database) == []
    clock.advance(0.001)
    assert [one.id for one in settle.expire_leases(database)] == [claimed.id]
    assert ledger.chunk_row(database, claimed).state == "unknown"
    assert late(database, ledger.whose(claimed)) == (late is not lose_it)
    assert ledger.chunk_row(database, claimed).state == CHUNK_STATES[late]
    free = late in (unsent, refuse_it)
    assert ledger.states(database) == ({"waiting": 4} if free else {"packed": 4})


@pytest.mark.parametrize("first", [accept_it, unsent, refuse_it])
def test_a_second_settlement_changes_nothing(database: Database, clock: Clock, first: Settlement) -> None:
    ledger.put(database, 4)
    claimed = ledger.taken(database)
    assert first(database, ledger.whose(claimed))
    before = whole_state(database, claimed)
    clock.advance(1000)
    for second in SETTLEMENTS:
        assert second(database, ledger.whose(claimed)) is False
    assert settle.expire_leases(database) == []
    assert whole_state(database, claimed) == before


@pytest.mark.parametrize("outcome", [unsent, refuse_it])
def test_what_comes_back_of_a_request_that_was_cancelled_meanwhile_is_cancelled(
    database: Database, outcome: Settlement
) -> None:
    doomed, other = ledger.put(database, to=bodies.numbers(2)), ledger.put(database, to=bodies.numbers(2, 50))
    claimed = ledger.taken(database)
    assert cancel.stop(database, doomed) == 0
    assert cancel.cancel_counts(database, doomed).pending == 2
    assert outcome(database, ledger.whose(claimed))
    assert ledger.states(database, doomed) == {"cancelled": 2}
    assert ledger.states(database, other) == {"waiting": 2}
    counts = cancel.cancel_counts(database, doomed)
    assert (counts.stopped, counts.erased, counts.too_late, counts.pending) == (2, 0, 0, 0)
    assert all(one.request_id == other for one in ledger.taken(database).packed.messages)


def test_two_outcomes_at_once_settle_once(database: Database) -> None:
    """An answer that comes as the sweep finds the lease expired."""
    for _ in range(5):
        ledger.put(database, to=bodies.numbers(1, int(uuid.uuid4()) % 10**6))
        whose = ledger.whose(ledger.taken(database))
        answers = ledger.at_once(
            [lambda w=whose: accept_it(database, w), lambda w=whose: unsent(database, w)]
        )
        assert sorted(answers) == [False, True]


def test_a_chunk_that_was_given_back_goes_at_once(database: Database) -> None:
    ledger.put(database, 2)
    assert settle.given_back(database, ledger.whose(ledger.taken(database)), "too late to call")
    assert len(ledger.taken(database).packed.messages) == 2
    assert ledger.events(database) == {}
