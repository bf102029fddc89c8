"""What accepting makes of messages: duplicates, times, prices, and requests that were cancelled meanwhile."""

import uuid

import pytest

from every8d import body
from tests.support import bodies, ledger
from tests.support.servers import Clock
from worker.ledger import cancel
from worker.ledger.accept import accept
from worker.ledger.database import Database

NUMBER, OTHER = bodies.numbers(2)


DUPLICATES = {
    "the same number": ([{"to": NUMBER}, {"to": NUMBER}], False, 1),
    "two numbers": ([{"to": NUMBER}, {"to": OTHER}], False, 0),
    "the same text, spelled out": ([{"to": NUMBER}, {"to": NUMBER, "text": "您好"}], False, 1),
    "another text": ([{"to": NUMBER}, {"to": NUMBER, "text": "再見"}], False, 0),
    "the same text, another name": ([{"to": NUMBER}, {"to": NUMBER, "name": "王"}], False, 1),
    "four times": ([{"to": NUMBER}] * 4, False, 3),
    "asked for": ([{"to": NUMBER}, {"to": NUMBER}], True, 0),
}


@pytest.mark.parametrize("pages", [1, 2])
def test_the_same_number_with_the_same_text_goes_once_unless_asked_for(
    database: Database, pages: int
) -> None:
    for case, (messages, wanted, duplicates) in DUPLICATES.items():
        key = uuid.uuid4()
        if pages == 1:
            parts = [bodies.sealed(bodies.page(key, messages=messages, duplicates=wanted))]
        else:
            halves = enumerate((messages[:1], messages[1:]))
            made = [bodies.page(key, number=n, messages=half, duplicates=wanted) for n, half in halves]
            parts = [*made, bodies.seal_alone(made)]
        for _ in range(2):
            last = [accept(database, body.parse(one)) for one in parts][-1]
            assert (last.outcome, last.accepted, last.duplicates) == ("ready", len(messages), duplicates), (
                case
            )
        found = ledger.messages(database, key)
        assert sum(one.state == "duplicate" for one in found) == duplicates, case
        # The first of them is the one that goes.
        assert found[0].state == "waiting", case
        assert all(
            (one.due_ms is None) == (one.final_ms is not None) == (one.state != "waiting") for one in found
        )


def test_a_message_is_due_when_it_was_asked_for_and_its_request_when_the_first_of_them_is(
    database: Database, clock: Clock
) -> None:
    now = clock.now_ms
    key = ledger.put(
        database,
        messages=[
            {"to": NUMBER},
            {"to": OTHER, "send_at": ledger.moment(now + 5_000)},
        ],
        send_at=ledger.moment(now + 60_000),
    )
    assert [one.due_ms for one in ledger.messages(database)] == [now + 60_000, now + 5_000]
    assert ledger.request_row(database, key).next_due_ms == now + 5_000


def test_a_booking_is_due_at_once(database: Database, clock: Clock) -> None:
    key = ledger.put(database, 1, send_at=ledger.moment(clock.now_ms + 3_600_000), schedule="gateway")
    assert ledger.request_row(database, key).next_due_ms == clock.now_ms


def test_messages_are_priced_by_their_own_text_and_the_requests_text_is_not_repeated(
    database: Database,
) -> None:
    ledger.put(
        database,
        messages=[
            {"to": NUMBER},
            {"to": OTHER, "text": "您好"},
            {"to": "+85291234567"},
            {"to": NUMBER, "text": "長" * 71},
        ],
    )
    assert [(one.points, one.text) for one in ledger.messages(database)] == [
        (1, None),
        (1, None),
        (3, None),
        (2, "長" * 71),
    ]


def test_many_and_few_messages_are_written_alike(database: Database) -> None:
    """PostgreSQL copies many rows and inserts few: names, texts and numbers survive both ways."""
    words = 'tab\tline\nback\\slash "quotes" \\N 😀'
    for count in (3, 30):
        rows = [
            {"to": number, "text": words, "name": "王\\N", "email": "a@b.c"}
            for number in bodies.numbers(count)
        ]
        key = ledger.put(database, messages=rows, text=None)
        kept = [(one.number, one.text, one.name, one.email) for one in ledger.messages(database, key)]
        assert kept == [(one["to"], words, "王\\N", "a@b.c") for one in rows]


def test_what_comes_of_a_request_that_was_cancelled_while_it_was_staged_is_cancelled(
    database: Database,
) -> None:
    key = uuid.uuid4()
    pages = [bodies.page(key, number=n, to=bodies.numbers(5, n * 5)) for n in range(2)]
    accept(database, body.parse(pages[0]))
    assert cancel.stop(database, key) == 5
    answers = [accept(database, body.parse(one)) for one in (pages[1], bodies.seal_alone(pages))]
    assert [(one.outcome, one.pages, one.accepted) for one in answers] == [("refused", 0, 0)] * 2
    assert all("cancelled" in (one.reason or "") for one in answers)
    assert (ledger.states(database), ledger.take(database)) == ({"cancelled": 10}, None)


def test_a_request_that_was_cancelled_after_its_seal_stays_cancelled(database: Database) -> None:
    page = bodies.sealed(bodies.page(to=bodies.numbers(5)))
    accept(database, body.parse(page))
    cancel.stop(database, body.parse(page).request)
    again = accept(database, body.parse(page))
    assert (again.outcome, again.accepted) == ("ready", 5)
    assert (ledger.states(database), ledger.take(database)) == ({"cancelled": 5}, None)


@pytest.mark.timeout(60)
def test_a_large_request_is_sealed_before_the_database_has_seen_how_large_it_is(database: Database) -> None:
    # The statistics know requests of one message only: by them a plan that compares each message of the large one
    # with all the others looks cheap, and takes minutes.
    for number in bodies.numbers(300, 50_000):
        accept(database, body.parse(bodies.sealed(bodies.page(to=[number]))))
    with database.engine.begin() as connection:
        connection.exec_driver_sql("ANALYZE")
    request, texts = uuid.uuid4(), [{"to": to, "text": f"您好 {to}"} for to in bodies.numbers(19_999)]
    texts.append(texts[0])
    pages = [
        bodies.page(request, number=number, messages=texts[first : first + 1000])
        for number, first in enumerate(range(0, 20_000, 1000))
    ]
    for one in pages:
        assert accept(database, body.parse(one)).outcome == "staged"
    sealed = accept(database, body.parse(bodies.seal_alone(pages)))
    assert (sealed.outcome, sealed.accepted, sealed.duplicates) == ("ready", 20_000, 1)
