"""Accepting: pages, seals and idempotency, on both databases."""

import itertools
import uuid
from typing import Any

import pytest
from sqlalchemy import func, select

from every8d import body
from tests.support import bodies, ledger
from tests.support.servers import Clock
from worker.ledger.accept import Accepted, abandon_staged, accept
from worker.ledger.database import Database
from worker.ledger.progress import progress
from worker.ledger.tables import message, request

CONFLICT = "conflict"


def arrive(database: Database, raw: dict[str, Any], **how: Any) -> Accepted:
    return accept(database, body.parse(raw), **how)


def pages_of(request_id: uuid.UUID, count: int, size: int = 5, **fields: Any) -> list[dict[str, Any]]:
    return [
        bodies.page(request_id, number=n, to=bodies.numbers(size, n * size), **fields) for n in range(count)
    ]


def waiting(database: Database) -> int:
    """How many messages could be claimed, now or later."""
    with database.read() as connection:
        open_requests = select(request.c.id).where(request.c.next_due_ms.is_not(None))
        wanted = select(func.count()).where(
            message.c.due_ms.is_not(None), message.c.request_id.in_(open_requests)
        )
        return connection.scalar(wanted) or 0


def test_a_request_of_one_page_is_ready_at_once_and_accepting_it_again_changes_nothing(
    database: Database,
) -> None:
    one = body.parse(bodies.sealed(bodies.page(to=bodies.numbers(20))))
    first, again = accept(database, one), accept(database, one)
    assert (first.outcome, first.accepted, again.outcome, again.accepted) == ("ready", 20, "ready", 20)
    found = progress(database, one.request)
    assert found is not None
    assert (found.state, found.counts) == ("ready", {"waiting": 20})


def test_nothing_of_an_unsealed_request_can_be_claimed(database: Database) -> None:
    pages = pages_of(uuid.uuid4(), 2)
    assert [arrive(database, one).outcome for one in pages] == ["staged", "staged"]
    assert (waiting(database), ledger.take(database)) == (0, None)
    assert arrive(database, bodies.seal_alone(pages)).outcome == "ready"
    assert waiting(database) == 10


def test_pages_and_seal_come_in_any_order_and_the_last_one_opens_the_gate(database: Database) -> None:
    for order in itertools.permutations(range(4)):
        pages = pages_of(uuid.uuid4(), 3)
        parts = [*pages, bodies.seal_alone(pages)]
        answers = [arrive(database, parts[place]) for place in order]
        assert [one.outcome for one in answers] == ["staged", "staged", "staged", "ready"], order
        assert (answers[-1].pages, answers[-1].accepted, answers[-1].duplicates) == (3, 15, 0)
        rows = ledger.messages(database, body.parse(parts[0]).request)
        assert [one.seq for one in rows] == [page * 1000 + place for page in range(3) for place in range(5)]


def test_each_part_may_come_twice_at_any_time(database: Database) -> None:
    pages = pages_of(uuid.uuid4(), 2)
    seal = bodies.seal_alone(pages)
    outcomes = [arrive(database, one).outcome for one in (pages[0], pages[0], seal, seal, pages[1])]
    assert outcomes == ["staged", "staged", "staged", "staged", "ready"]
    again = [arrive(database, one) for one in (pages[0], seal, pages[1])]
    assert [(one.outcome, one.pages, one.accepted) for one in again] == [("ready", 2, 10)] * 3
    assert ledger.states(database) == {"waiting": 10}


def test_the_last_pages_at_once_make_one_ready_request_without_locking_each_other_out(
    database: Database,
) -> None:
    failures = ledger.failures(database)
    for _ in range(3):
        pages = pages_of(uuid.uuid4(), 8, size=20)
        parsed = [body.parse(one) for one in (*pages, bodies.seal_alone(pages))]
        answers = ledger.at_once([lambda one=one: accept(database, one) for one in parsed])
        assert sum(one.outcome == "ready" for one in answers) == 1
        assert ledger.states(database, parsed[0].request) == {"waiting": 160}
    assert waiting(database) == 480
    # On PostgreSQL a deadlock is repeated, after a second.
    assert failures == []


def test_one_request_published_eight_times_at_once_is_one_request(database: Database) -> None:
    one = body.parse(bodies.sealed(bodies.page(to=bodies.numbers(50))))
    answers = ledger.at_once([lambda: accept(database, one)] * 8)
    assert {(answer.outcome, answer.accepted) for answer in answers} == {("ready", 50)}
    assert ledger.states(database) == {"waiting": 50}
    assert len(ledger.taken(database).packed.messages) == 50


def test_the_same_key_with_two_lists_at_once_sends_one_of_them_and_tells_the_others(
    database: Database,
) -> None:
    key = uuid.uuid4()
    parsed = [
        body.parse(bodies.sealed(bodies.page(key, to=bodies.numbers(10, first * 100)))) for first in range(4)
    ]
    answers = ledger.at_once([lambda one=one: accept(database, one) for one in parsed])
    assert sorted(one.outcome for one in answers) == [CONFLICT, CONFLICT, CONFLICT, "ready"]
    assert ledger.states(database) == {"waiting": 10}


def test_another_header_under_the_same_id_is_a_conflict(database: Database) -> None:
    others = {
        "text": "再見",
        "subject": "x",
        "deadline": 60,
        "validity": 5,
        "lane": "bulk",
        "account": "shop",
        "duplicates": True,
        "send_at": "2030-01-01T08:00:00+08:00",
    }
    for field, other in others.items():
        for prepare in (bodies.sealed, lambda page: page):
            kept = bodies.page(to=bodies.numbers(3))
            assert arrive(database, prepare(kept)).outcome != CONFLICT
            for again in (bodies.sealed(kept | {field: other}), kept | {field: other, "page": 1}):
                assert arrive(database, again).outcome == CONFLICT, field
    assert ledger.states(database) == {"waiting": 3 * 2 * len(others)}


def test_another_page_under_the_same_number_is_a_conflict_and_writes_nothing(database: Database) -> None:
    pages = pages_of(uuid.uuid4(), 2)
    other = pages[0] | {"to": bodies.numbers(7, 900)}
    arrive(database, pages[0])
    assert arrive(database, other).outcome == CONFLICT
    assert [arrive(database, one).outcome for one in (pages[1], bodies.seal_alone(pages))] == [
        "staged",
        "ready",
    ]
    assert arrive(database, other).outcome == CONFLICT
    assert ledger.states(database) == {"waiting": 10}


def test_another_seal_is_a_conflict_before_and_after_the_pages_are_there(database: Database) -> None:
    pages = pages_of(uuid.uuid4(), 3)
    mine, others = bodies.seal_alone(pages[:2]), bodies.seal_alone(pages)
    assert arrive(database, mine).outcome == "staged"
    assert arrive(database, others).outcome == CONFLICT
    assert [arrive(database, one).outcome for one in pages[:2]] == ["staged", "ready"]
    assert arrive(database, others).outcome == CONFLICT
    assert arrive(database, pages[2]).outcome == CONFLICT
    assert ledger.states(database) == {"waiting": 10}


def test_a_page_that_is_written_while_its_request_is_sealed_without_it_is_never_sent(
    database: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    pages = pages_of(uuid.uuid4(), 3)
    arrive(database, pages[0])
    if not database.is_postgres:
        pytest.skip("SQLite has one writer: nothing happens while a page is written")
    from worker.ledger import accept as module

    insert = module.insert_messages

    def sealed_meanwhile(*arguments: Any) -> None:
        insert(*arguments)
        monkeypatch.setattr(module, "insert_messages", insert)
        [sealed] = ledger.at_once([lambda: arrive(database, bodies.seal_alone(pages[:1]))])
        assert sealed.outcome == "ready"

    monkeypatch.setattr(module, "insert_messages", sealed_meanwhile)
    assert arrive(database, pages[2]).outcome == CONFLICT
    assert ledger.states(database) == {"waiting": 5}


@pytest.mark.parametrize("change", [{"count": 11}, {"hash": "0" * 64}, {"pages": 1}])
def test_a_seal_that_does_not_fit_its_pages_refuses_the_request(
    database: Database, change: dict[str, Any]
) -> None:
    pages = pages_of(uuid.uuid4(), 2)
    seal = bodies.seal_alone(pages)
    seal["seal"] |= change
    answers = [arrive(database, one) for one in (*pages, seal)]
    assert (answers[-1].outcome, answers[-1].reason) == ("refused", "seal_does_not_fit")
    assert (waiting(database), ledger.states(database)) == (0, {"refused": 10})
    assert arrive(database, bodies.seal_alone(pages)).outcome in ("refused", CONFLICT)


def test_a_refusing_seal_refuses_all_that_is_there_and_all_that_comes(database: Database) -> None:
    pages = pages_of(uuid.uuid4(), 3)
    seal = bodies.seal_alone(pages)
    seal["seal"]["refused"] = {
        "reason": "invalid_rows",
        "rows": [{"row": 17, "reason": "landline"}],
        "count": 1,
    }
    outcomes = [arrive(database, one).outcome for one in (pages[0], seal, pages[1], seal, pages[2])]
    assert outcomes == ["staged", "refused", "refused", "refused", "refused"]
    found = progress(database, body.parse(seal).request)
    assert found is not None
    assert (found.state, found.reason, found.final) == ("refused", "invalid_rows", True)
    assert (waiting(database), ledger.events(database)) == (0, {"request_refused": 1})


def test_the_workers_own_verdict_refuses_the_request(database: Database) -> None:
    pages = pages_of(uuid.uuid4(), 2)
    arrive(database, pages[0])
    assert arrive(database, pages[1], refused="no account").outcome == "refused"
    assert arrive(database, bodies.seal_alone(pages)).outcome == "refused"
    assert (waiting(database), ledger.states(database)) == (0, {"refused": 5})


def test_a_request_without_a_seal_is_abandoned_in_time_and_goes_on_when_its_producer_comes_back(
    database: Database, clock: Clock
) -> None:
    pages = pages_of(uuid.uuid4(), 2)
    key = body.parse(pages[0]).request
    arrive(database, pages[0])
    clock.advance(899)
    assert abandon_staged(database, 900_000) == []
    clock.advance(1)
    assert abandon_staged(database, 900_000) == [key]
    assert abandon_staged(database, 900_000) == []
    assert (waiting(database), ledger.events(database)) == (0, {"request_abandoned": 1})
    answers = [arrive(database, one) for one in (pages[0], pages[1], bodies.seal_alone(pages))]
    assert [one.outcome for one in answers] == ["staged", "staged", "ready"]
    assert (waiting(database), ledger.states(database)) == (10, {"waiting": 10})


def test_a_ready_request_is_never_abandoned(database: Database, clock: Clock) -> None:
    ledger.put(database, 3)
    clock.advance(100_000)
    assert (abandon_staged(database, 900_000), waiting(database)) == ([], 3)


@pytest.mark.parametrize("abandoned", [False, True])
def test_a_page_without_its_seal_and_then_with_it_is_sent(
    database: Database, clock: Clock, abandoned: bool
) -> None:
    page = bodies.page(to=bodies.numbers(5))
    assert arrive(database, page).outcome == "staged"
    if abandoned:
        clock.advance(1000)
        assert len(abandon_staged(database, 900_000)) == 1
    again = arrive(database, bodies.sealed(page))
    assert (again.outcome, again.pages, again.accepted) == ("ready", 1, 5)
    assert waiting(database) == 5


def test_a_producer_that_comes_back_with_other_pages_is_told(database: Database) -> None:
    pages = pages_of(uuid.uuid4(), 2)
    arrive(database, pages[0])
    whole = bodies.sealed(pages[0] | {"to": bodies.numbers(10)})
    assert arrive(database, whole).outcome == CONFLICT
    assert waiting(database) == 0
