"""From the inbox to messages and chunks, on both databases: every way in which a callback comes."""

from decimal import Decimal
from typing import Any

import pytest
from pydantic import SecretStr
from sqlalchemy import select, update

from config import Account
from tests.support import bodies, inbox, ledger
from tests.support.servers import Clock
from worker import token
from worker.ledger import matching, settle
from worker.ledger.claim import Claim
from worker.ledger.database import Database
from worker.ledger.matching import Matched
from worker.ledger.operators import settle_unknown
from worker.ledger.polls import claim_poll, store_last_page
from worker.ledger.queries import events
from worker.ledger.tables import message, reply

OTHER = "00000000-8506-49b2-93b7-2505f651c12e"
HOUR_S = 3600


def accounts(**fields: Any) -> dict[str, Account]:
    return {"default": Account(user_id="demo", password=SecretStr("demo"), callbacks=True, **fields)}


def match(database: Database, **account: Any) -> Matched:
    return matching.match(database, accounts(**account), limit=500)


def sent(database: Database, count: int = 3, **how: Any) -> Claim:
    ledger.put(database, count)
    return ledger.send(database, **how)


def report(claimed: Claim, place: int = 0, status: int | None = 100, **fields: Any) -> dict[str, Any]:
    """A callback about a message of a chunk, with its token and a BatchID, as the gateway usually sends it."""
    one = claimed.packed.messages[place]
    usual = {"token": claimed.id, "batch_id": ledger.BATCH, "number": one.number, "position": place + 1}
    return usual | {"status": status} | fields


def statuses(database: Database) -> list[tuple[int | None, str]]:
    return [(one.status, one.state) for one in ledger.messages(database)]


def unknown(database: Database, count: int = 2) -> Claim:
    ledger.put(database, count)
    claimed = ledger.taken(database)
    assert settle.unknown(database, ledger.whose(claimed), "a read timeout")
    return claimed


def test_by_token_by_batch_id_and_by_number_without_a_position(database: Database, clock: Clock) -> None:
    claimed = sent(database, 4)
    inbox.bring(
        database,
        report(claimed, 0, batch_id=None),
        report(claimed, 1, 103, token=None),
        report(claimed, 2, 0, token=None, batch_id=ledger.BATCH.upper(), position=None),
        report(claimed, 3, position=77),
    )
    assert match(database) == Matched(4, 4)
    assert statuses(database) == [(100, "delivered"), (103, "undelivered"), (0, "packed"), (100, "delivered")]
    for place, row in enumerate(inbox.rows(database)):
        one = claimed.packed.messages[place]
        assert (row.state, row.look_ms, row.looks, row.reason) == ("matched", None, 1, None)
        assert (row.chunk_id, row.request_id, row.seq) == (claimed.id, one.request_id, one.seq)
        assert row.matched_ms == clock.now_ms
    assert ledger.chunk_row(database, claimed).pending == 1
    assert match(database) == Matched(0, 0)


def test_of_two_statuses_the_higher_one_stays_whichever_comes_first(database: Database) -> None:
    pairs = [(0, 100), (100, 0), (103, 100), (100, 103), (300, 303), (-3, 101), (777, 0)]
    claimed = sent(database, len(pairs) * 2)
    together = [report(claimed, place, one) for place, pair in enumerate(pairs) for one in pair]
    apart = [
        [report(claimed, place, pair[turn]) for place, pair in enumerate(pairs, len(pairs))]
        for turn in (0, 1)
    ]
    inbox.bring(database, *together)
    match(database)
    for some in apart:
        inbox.bring(database, *some)
        match(database)
    kept = [100, 100, 100, 100, 303, -3, 0]
    assert [status for status, _ in statuses(database)] == kept + kept


def test_what_a_report_says_beside_its_status_is_kept(database: Database, clock: Clock) -> None:
    claimed = sent(database, 1)
    sent_ms = clock.now_ms - 5000
    inbox.bring(database, report(claimed, status=0, sent_ms=sent_ms, cost=Decimal(2)), report(claimed))
    match(database)
    [one] = ledger.messages(database)
    assert (one.status, one.sent_ms, one.cost, one.final_ms) == (100, sent_ms, 2, clock.now_ms)


def test_a_status_that_cannot_be_read_changes_nothing_and_is_done_with(database: Database) -> None:
    claimed = sent(database, 1)
    inbox.bring(database, report(claimed, status=None))
    assert match(database) == Matched(1, 1)
    assert statuses(database) == [(None, "packed")]


def test_before_the_send_is_committed_a_report_waits_and_is_matched_then(
    database: Database, clock: Clock
) -> None:
    ledger.put(database, 1)
    claimed = ledger.taken(database)
    inbox.bring(database, report(claimed), report(claimed))
    for _ in range(3):
        assert match(database) == Matched(2, 0)
        assert inbox.states(database) == [("waiting", "submitting")] * 2
        assert not matching.due(database)
        clock.advance(1)
        assert matching.due(database)
    assert settle.accepted(database, ledger.whose(claimed), ledger.reply(1), clock.now_ms)
    assert match(database) == Matched(2, 2)
    assert statuses(database) == [(100, "delivered")]
    assert ledger.events(database) == {}


def test_without_its_token_such_a_report_is_found_by_its_batch_id_soon_after(
    database: Database, clock: Clock
) -> None:
    ledger.put(database, 1)
    claimed = ledger.taken(database)
    inbox.bring(database, report(claimed, token=None))
    match(database)
    assert inbox.states(database) == [("unmatched", "no_chunk")]
    assert settle.accepted(database, ledger.whose(claimed), ledger.reply(1), clock.now_ms)
    clock.advance(1)
    assert match(database) == Matched(1, 1)
    assert statuses(database) == [(100, "delivered")]


@pytest.mark.parametrize("status", [100, 0, 103, -3, 999])
def test_a_callback_with_its_token_settles_an_unknown_chunk(
    database: Database, clock: Clock, status: int
) -> None:
    claimed = unknown(database)
    clock.advance(10)
    inbox.bring(database, report(claimed, 0, status, text="好" if status == 999 else None))
    assert match(database, first_poll_s=50) == Matched(1, 1, (claimed.id,))
    row = ledger.chunk_row(database, claimed)
    assert (row.state, row.batch_id, row.settled_by) == ("accepted", ledger.BATCH, "callback")
    assert (row.answered_ms, row.settled_ms) == (clock.now_ms, clock.now_ms)
    assert (row.next_poll_ms, row.pending) == (clock.now_ms + 50_000, 1 if status not in (0, 999) else 2)
    assert ledger.BATCH in row.settled_why
    assert ledger.events(database) == {"chunk_unknown": 1, "chunk_settled": 1}
    [said] = events(database, kind="chunk_settled")
    assert (said.severity, said.chunk) == ("info", token.encode(claimed.id))
    # The gateway's answer, which comes after all, finds it settled.
    assert not settle.unknown(database, ledger.whose(claimed), "again")
    assert not settle.not_sent(database, ledger.whose(claimed), "too late")
    clock.advance(50)
    poll = claim_poll(database, "default", 120)
    assert poll is not None
    delivered = [ledger.row(one, 100) for one in bodies.numbers(2)]
    assert store_last_page(database, poll, delivered, lambda _: None) == 0


def test_all_reports_of_an_unknown_chunk_in_one_look_and_each_twice(database: Database) -> None:
    claimed = unknown(database, 3)
    inbox.bring(database, *[report(claimed, place) for place in (0, 1, 2, 0, 1, 2)])
    assert match(database) == Matched(6, 6, (claimed.id,))
    row = ledger.chunk_row(database, claimed)
    # Everything is known: with callbacks there is nothing to poll for.
    assert (row.state, row.pending, row.next_poll_ms) == ("accepted", 0, None)
    assert ledger.states(database) == {"delivered": 3}
    assert ledger.events(database) == {"chunk_unknown": 1, "chunk_settled": 1}


def test_an_unknown_chunk_whose_report_has_no_batch_id_is_sent_and_learns_it_later(
    database: Database, clock: Clock
) -> None:
    claimed = unknown(database, 2)
    inbox.bring(database, report(claimed, 0, 0, batch_id=None))
    assert match(database) == Matched(1, 1, (claimed.id,))
    row = ledger.chunk_row(database, claimed)
    assert (row.state, row.batch_id, row.pending, row.next_poll_ms) == ("accepted", None, 0, None)
    assert statuses(database) == [(0, "sent"), (None, "sent")]
    clock.advance(5)
    inbox.bring(database, report(claimed, 1, 103))
    assert match(database) == Matched(1, 1)
    row = ledger.chunk_row(database, claimed)
    assert (row.batch_id, row.next_poll_ms) == (ledger.BATCH, clock.now_ms + 300_000)
    assert statuses(database) == [(0, "sent"), (103, "undelivered")]


def test_a_chunk_that_an_operator_accepted_without_its_batch_id_takes_it(
    database: Database, clock: Clock
) -> None:
    claimed = unknown(database, 2)
    settle_unknown(
        database, token.encode(claimed.id), "accept", batch_id=None, by="小林", why="the vendor's console"
    )
    assert statuses(database) == [(None, "sent")] * 2
    inbox.bring(database, report(claimed, 0, 100))
    assert match(database) == Matched(1, 1)
    row = ledger.chunk_row(database, claimed)
    assert (row.batch_id, row.settled_by, row.next_poll_ms) == (
        ledger.BATCH,
        "小林",
        clock.now_ms + 300_000,
    )
    assert statuses(database) == [(100, "delivered"), (None, "sent")]


SAID_NOT_SENT = [("not_sent", "no route"), ("refused", "-306")]


@pytest.mark.parametrize(("state", "why"), SAID_NOT_SENT)
def test_what_was_said_not_to_be_sent_and_is_reported_raises_one_alert(
    database: Database, clock: Clock, state: str, why: str
) -> None:
    ledger.put(database, 2)
    claimed = ledger.taken(database)
    if state == "not_sent":
        settle.not_sent(database, ledger.whose(claimed), why)
    else:
        settle.refused(database, ledger.whose(claimed), -306, why, new_part=1)
    before = ledger.states(database)
    inbox.bring(database, report(claimed, 0), report(claimed, 1))
    assert match(database) == Matched(2, 0, (), (claimed.id,))
    clock.advance(60)
    inbox.bring(database, report(claimed, 0, 103))
    inbox.again(database)
    assert match(database) == Matched(3, 0)
    assert inbox.states(database) == [("unmatched", "said_not_sent")] * 3
    assert not matching.due(database)
    assert ledger.states(database) == before == {"waiting": 2}
    [alert] = events(database, kind="sent_after_all")
    assert (alert.severity, alert.chunk) == ("alert", token.encode(claimed.id))
    assert "may go out twice" in alert.text


def test_a_second_batch_of_one_chunk_raises_one_alert(database: Database) -> None:
    claimed = sent(database, 2)
    inbox.bring(database, report(claimed, 0, 103, batch_id=OTHER), report(claimed, 0, 100))
    assert match(database) == Matched(2, 1, (), (claimed.id,))
    assert inbox.states(database) == [("unmatched", "other_batch"), ("matched", None)]
    assert statuses(database) == [(100, "delivered"), (None, "packed")]
    assert ledger.chunk_row(database, claimed).batch_id == ledger.BATCH
    assert ["second batch" in one.text for one in events(database, kind="sent_after_all")] == [True]


def test_what_fits_nothing_is_kept_and_looked_for_for_three_days(database: Database, clock: Clock) -> None:
    claimed = sent(database, 1)
    strange = [
        {"batch_id": OTHER, "number": "+886911000000", "status": 100},
        {"token": token.new_id(clock.now_ms + 5), "number": "+886911000000"},
        report(claimed, number="+886911000000"),
        report(claimed, number=""),
        report(claimed, account="shop"),
        {"status": None},
    ]
    inbox.bring(database, *strange)
    looks = 0
    while matching.due(database):
        assert match(database) == Matched(len(strange), 0)
        looks += 1
        rows = inbox.rows(database)
        assert {row.state for row in rows} == {"unmatched"}
        assert {row.looks for row in rows} == {looks}
        following = rows[0].look_ms
        if following is not None:
            clock.now_ms = following
    assert 20 < looks < 40
    [aged] = {clock.now_ms - row.received_ms for row in rows}
    assert 72 * HOUR_S * 1000 <= aged < 78 * HOUR_S * 1000
    reasons = ["no_chunk", "no_chunk", "no_message", "no_message", "no_chunk", "no_chunk"]
    assert [row.reason for row in rows] == reasons
    assert ledger.events(database) == {}
    assert statuses(database) == [(None, "packed")]


def test_a_batch_id_that_two_chunks_have_is_no_name(database: Database, clock: Clock) -> None:
    claimed = unknown(database, 1)
    ledger.put(database, to=bodies.numbers(1, 50))
    other = ledger.send(database)
    settle_unknown(
        database,
        token.encode(claimed.id),
        "accept",
        batch_id=ledger.BATCH,
        by="小林",
        why="a slip of the pen",
    )
    inbox.bring(database, report(other, token=None), report(other))
    match(database)
    assert inbox.states(database) == [("unmatched", "two_chunks"), ("matched", None)]


def test_a_reply_is_stored_once_from_polling_and_callbacks(database: Database, clock: Clock) -> None:
    claimed = sent(database, 2)
    replied_ms = 1_767_225_660_000
    said = report(claimed, 0, 999, text="好", reported_ms=replied_ms)
    inbox.bring(database, said, said, said | {"text": "不好"}, said | {"number": "+8618611111111"})
    assert match(database) == Matched(4, 4)
    # Replies are no statuses.
    assert statuses(database) == [(None, "packed")] * 2
    poll = claim_poll(database, "default", 120)
    assert poll is not None
    number = claimed.packed.messages[0].number
    rows = [ledger.row(number, 0, replies=["好"])]
    store_last_page(database, poll, rows, lambda _: None)
    with database.read() as connection:
        found = connection.execute(select(reply).order_by(reply.c.id)).all()
    key = claimed.packed.messages[0].request_id
    assert [(one.number, one.text, one.request_id, one.replied_ms) for one in found] == [
        (number, "好", key, replied_ms),
        (number, "不好", key, replied_ms),
        ("+8618611111111", "好", None, replied_ms),
    ]
    assert {one.batch_id for one in found} == {ledger.BATCH}


def test_replies_whose_time_cannot_be_read_are_each_kept(database: Database) -> None:
    claimed = sent(database, 1)
    inbox.bring(database, report(claimed, 0, 999, text="好"), report(claimed, 0, 999, text="好"))
    assert match(database) == Matched(2, 2)
    with database.read() as connection:
        assert len(connection.execute(select(reply)).all()) == 2


@pytest.mark.parametrize(
    ("account", "hours", "next_h"),
    [
        ({"callbacks": True}, 0, None),
        ({"callbacks": False}, 0, 1),
        ({"callbacks": False}, 71.5, None),
        ({"callbacks": False, "reply_window_h": 0}, 0, None),
    ],
)
def test_when_all_are_final_polling_ends_or_goes_on_for_the_replies(
    database: Database, clock: Clock, account: dict[str, Any], hours: float, next_h: float | None
) -> None:
    claimed = sent(database, 2)
    clock.advance(hours * HOUR_S)
    before = ledger.chunk_row(database, claimed)
    settings = {"default": Account(user_id="demo", password=SecretStr("demo"), **account)}
    inbox.bring(database, report(claimed, 0), report(claimed, 0))
    matching.match(database, settings, limit=500)
    row = ledger.chunk_row(database, claimed)
    assert (row.pending, row.final_ms, row.next_poll_ms) == (1, None, before.next_poll_ms)
    inbox.bring(database, report(claimed, 1, 103))
    matching.match(database, settings, limit=500)
    row = ledger.chunk_row(database, claimed)
    wanted = None if next_h is None else clock.now_ms + int(next_h * HOUR_S * 1000)
    assert (row.pending, row.final_ms, row.next_poll_ms) == (0, clock.now_ms, wanted)
    # A better status of what is final already ends nothing anew.
    clock.advance(1)
    inbox.bring(database, report(claimed, 1, 100))
    matching.match(database, settings, limit=500)
    assert ledger.chunk_row(database, claimed).final_ms == clock.now_ms - 1000
    assert statuses(database) == [(100, "delivered")] * 2


def test_of_what_was_left_unsent_for_want_of_credit_nothing_more_is_to_be_heard(
    database: Database, clock: Clock
) -> None:
    claimed = sent(database, 2)
    inbox.bring(database, report(claimed, 0, 301), report(claimed, 1, 100))
    assert match(database) == Matched(2, 2)
    assert statuses(database) == [(301, "no_credit"), (100, "delivered")]
    # Held for a top-up, not final.
    assert [one.final_ms for one in ledger.messages(database)] == [None, clock.now_ms]
    row = ledger.chunk_row(database, claimed)
    assert (row.pending, row.next_poll_ms) == (0, None)
    inbox.bring(database, report(claimed, 0, 100))
    match(database)
    assert ledger.states(database) == {"delivered": 2}
    assert ledger.chunk_row(database, claimed).pending == 0


def test_of_an_account_that_the_settings_do_not_have_statuses_are_kept_all_the_same(
    database: Database,
) -> None:
    claimed = sent(database, 1)
    doubtful = unknown(database, 1)
    inbox.bring(database, report(claimed), report(doubtful, batch_id=OTHER))
    assert matching.match(database, {}, limit=500) == Matched(2, 2, (doubtful.id,))
    assert ledger.states(database) == {"delivered": 2}
    assert ledger.chunk_row(database, doubtful).batch_id == OTHER


def test_a_message_that_left_its_chunk_is_not_touched(database: Database, clock: Clock) -> None:
    claimed = sent(database, 2)
    [first, _] = ledger.messages(database)
    # As when it was left unsent for want of credit, and waits again.
    mine = (message.c.request_id == first.request_id) & (message.c.seq == first.seq)
    database.write(
        lambda connection: connection.execute(
            update(message).where(mine).values(state="waiting", due_ms=clock.now_ms, chunk_id=None)
        )
    )
    inbox.bring(database, report(claimed, 0), report(claimed, 1))
    assert match(database) == Matched(2, 1)
    assert inbox.states(database)[0] == ("unmatched", "no_message")
    assert statuses(database) == [(None, "waiting"), (100, "delivered")]
