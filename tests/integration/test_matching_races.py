"""Several at once: two matchers, polling and matching, the sender's commit and the callback's."""

from functools import partial
from typing import Any

import pytest
from pydantic import SecretStr

from config import Account
from every8d.replies import SendReply, StatusRow
from tests.support import inbox, ledger
from tests.support.servers import Clock
from worker.ledger import aftermath, matching, settle
from worker.ledger.claim import Claim
from worker.ledger.database import Database
from worker.ledger.polls import PollClaim, claim_poll, store_last_page, store_page

ACCOUNTS = {"default": Account(user_id="demo", password=SecretStr("demo"), callbacks=True)}


def match_all(database: Database, limit: int = 20) -> int:
    """Until nothing is due that another matcher has not in hand. Returns how many rows were matched here."""
    matched = 0
    while (done := matching.match(database, ACCOUNTS, limit=limit)).looked:
        matched += done.matched
    return matched


def reports(claimed: Claim, *wanted: int, **fields: Any) -> list[dict[str, Any]]:
    return [
        {"token": claimed.id, "batch_id": ledger.BATCH, "number": one.number, "status": status} | fields
        for status in wanted
        for one in claimed.packed.messages
    ]


def test_several_matchers_match_each_report_once(database: Database, clock: Clock) -> None:
    failed = ledger.failures(database)
    chunks = []
    for _ in range(4):
        ledger.put(database, 25)
        chunks.append(ledger.send(database))
    # In turns: each transaction is about all of the chunks.
    per_chunk = [reports(claimed, 0, 100, 103) + reports(claimed, 999, text="好") for claimed in chunks]
    inbox.bring(database, *(one for together in zip(*per_chunk, strict=True) for one in together))
    assert sum(ledger.at_once([lambda: match_all(database)] * 4)) == 400
    assert {row.looks for row in inbox.rows(database)} == {1}
    assert ledger.states(database) == {"delivered": 100}
    assert {ledger.chunk_row(database, claimed).pending for claimed in chunks} == {0}
    assert failed == []


def test_several_matchers_settle_an_unknown_chunk_once(database: Database, clock: Clock) -> None:
    ledger.put(database, 40)
    claimed = ledger.taken(database)
    assert settle.unknown(database, ledger.whose(claimed), "a reset")
    inbox.bring(database, *reports(claimed, 100))
    assert sum(ledger.at_once([lambda: match_all(database, 5)] * 4)) == 40
    assert ledger.events(database) == {"chunk_unknown": 1, "chunk_settled": 1}
    assert ledger.chunk_row(database, claimed).pending == 0


def test_several_matchers_tell_once_of_what_was_sent_after_all(database: Database, clock: Clock) -> None:
    ledger.put(database, 40)
    claimed = ledger.taken(database)
    assert settle.not_sent(database, ledger.whose(claimed), "no route")
    inbox.bring(database, *reports(claimed, 100))
    assert sum(ledger.at_once([lambda: match_all(database, 5)] * 4)) == 0
    assert ledger.events(database) == {"sent_after_all": 1}


def read(database: Database, poll: PollClaim, rows: list[StatusRow], again_ms: int) -> int:
    """A poll of two pages. Returns how many messages are still open."""
    store_page(database, poll, rows[:100], 2)
    return store_last_page(database, poll, rows[100:], lambda _: again_ms)


@pytest.mark.parametrize(("called_back", "polled"), [(100, 103), (103, 100), (100, 0), (0, 100)])
def test_of_a_poll_and_callbacks_at_once_the_higher_status_stays(
    database: Database, clock: Clock, called_back: int, polled: int
) -> None:
    failed = ledger.failures(database)
    ledger.put(database, 200)
    claimed = ledger.send(database)
    for turn in range(3):
        inbox.bring(database, *reports(claimed, called_back))
        poll = claim_poll(database, "default", 120)
        if poll is None:
            # The callbacks were last, and ended the polling.
            assert turn > 0
            return
        rows = [ledger.row(one.number, polled) for one in claimed.packed.messages]

        ledger.at_once(
            [partial(read, database, poll, rows, clock.now_ms), *[lambda: match_all(database)] * 2]
        )
        assert {one.status for one in ledger.messages(database)} == {100}
        # Whoever was last has counted all.
        assert ledger.chunk_row(database, claimed).pending == 0
        assert failed == []


def accepted(database: Database, claimed: Claim, answer: SendReply, next_poll_ms: int) -> bool:
    """What a sender does with the gateway's answer."""
    whose = ledger.whose(claimed)
    done = settle.accepted(database, whose, answer, next_poll_ms)
    return done or aftermath.answer_came_late(database, whose, answer, next_poll_ms)


@pytest.mark.parametrize("before", ["submitting", "unknown"])
def test_the_senders_commit_and_the_callbacks(database: Database, clock: Clock, before: str) -> None:
    """Whichever is first, the chunk is accepted with its BatchID, and every report is matched then."""
    failed = ledger.failures(database)
    for turn in range(10):
        ledger.put(database, 5)
        claimed, batch_id = ledger.taken(database), f"b{turn}"
        if before == "unknown":
            assert settle.unknown(database, ledger.whose(claimed), "its worker was slow")
        answer = ledger.reply(5, batch_id=batch_id)
        inbox.bring(database, *reports(claimed, 0, 100, batch_id=batch_id))

        accept = partial(accepted, database, claimed, answer, clock.now_ms + 30_000)
        ledger.at_once([accept, *[lambda: match_all(database, 3)] * 2])
        clock.advance(1)
        match_all(database)
        row = ledger.chunk_row(database, claimed)
        assert (row.state, row.batch_id, row.pending) == ("accepted", batch_id, 0)
        assert {state for state, _ in inbox.states(database)} == {"matched"}
    assert set(ledger.states(database)) == {"delivered"}
    assert "sent_after_all" not in ledger.events(database)
    assert failed == []


def test_reports_that_come_while_a_chunk_is_given_up_as_not_sent(database: Database, clock: Clock) -> None:
    """The one or the other, never both: a chunk that is settled as sent does not release its messages."""
    for turn in range(10):
        key = ledger.put(database, 3)
        claimed = ledger.taken(database, only=key)
        assert settle.unknown(database, ledger.whose(claimed), "a reset")
        inbox.bring(database, *reports(claimed, 100, batch_id=f"b{turn}"))

        calls: list[Any] = [
            partial(settle.not_sent, database, ledger.whose(claimed), "a late and definite no"),
            lambda: matching.match(database, ACCOUNTS, limit=500),
        ]
        released, done = ledger.at_once(calls)
        states = ledger.states(database, key)
        if released:
            assert (states, done.matched, done.sent_after_all) == ({"waiting": 3}, 0, (claimed.id,))
        else:
            assert (states, done.settled) == ({"delivered": 3}, (claimed.id,))
