"""Whole requests that arrive at the same time are committed together, and each is answered for itself."""

import uuid

import pytest

from every8d import body
from tests.support import bodies, ledger
from worker.ledger.database import Database
from worker.ledger.intake import TOGETHER, Intake


def whole(request_id: uuid.UUID | None = None, count: int = 1, first: int = 0) -> body.Page:
    return body.parse(bodies.sealed(bodies.page(request_id, to=bodies.numbers(count, first))))


def test_many_at_once_are_all_there_once(database: Database) -> None:
    intake = Intake(database)
    pages = [whole(count=count, first=place * 100) for place, count in enumerate((1, 2, 3, 50) * 8)]
    answers = ledger.at_once([lambda page=page: intake.accept(page) for page in pages])
    assert [(one.request, one.outcome, one.accepted) for one in answers] == [
        (page.request, "ready", len(page.messages)) for page in pages
    ]
    assert ledger.states(database) == {"waiting": 56 * 8}
    taken = []
    while found := ledger.take(database):
        taken += [one.number for one in found.packed.messages]
    assert sorted(taken) == sorted(one.to for page in pages for one in page.messages)


def test_the_same_request_at_once_in_one_process_and_in_two_is_there_once(database: Database) -> None:
    key = uuid.uuid4()
    intakes = [Intake(database), Intake(database)]
    calls = [lambda n=n: intakes[n % 2].accept(whole(key, 5)) for n in range(12)]
    assert {one.outcome for one in ledger.at_once(calls)} == {"ready"}
    assert ledger.states(database) == {"waiting": 5}


def test_one_of_them_in_conflict_holds_up_none_of_the_others(database: Database) -> None:
    key = uuid.uuid4()
    intake = Intake(database)
    assert intake.accept(whole(key)).outcome == "ready"
    pages = [whole(first=place * 10 + 10) for place in range(6)] + [whole(key, 2)]
    answers = ledger.at_once([lambda page=page: intake.accept(page) for page in pages])
    assert [one.outcome for one in answers] == ["ready"] * 6 + ["conflict"]
    assert ledger.states(database) == {"waiting": 7}


def test_more_than_fits_in_one_transaction_goes_in_several(database: Database) -> None:
    intake = Intake(database)
    pages = [whole(count=TOGETHER - 1, first=place * 1000) for place in range(4)] + [
        whole(count=TOGETHER * 3)
    ]
    answers = ledger.at_once([lambda page=page: intake.accept(page) for page in pages])
    assert {one.outcome for one in answers} == {"ready"}
    assert ledger.states(database) == {"waiting": (TOGETHER - 1) * 4 + TOGETHER * 3}


def test_a_ledger_that_is_away_is_told_to_each_of_them(
    database: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    from sqlalchemy.exc import OperationalError

    def away(*_: object, **__: object) -> None:
        raise OperationalError("", {}, Exception("gone"))

    intake = Intake(database)
    monkeypatch.setattr(database, "write", away)

    def call() -> str:
        try:
            return intake.accept(whole()).outcome
        except OperationalError:
            return "away"

    assert ledger.at_once([call] * 4) == ["away"] * 4
    monkeypatch.undo()
    assert intake.accept(whole()).outcome == "ready"
