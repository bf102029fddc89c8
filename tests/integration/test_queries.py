"""What people ask of the ledger: progress, messages, accounts, unknown chunks, events; on both databases."""

import traceback
import uuid
from decimal import Decimal

import pytest
from pydantic import SecretStr
from sqlalchemy import insert
from sqlalchemy.exc import SQLAlchemyError

from config import Account, Settings
from tests.support import bodies, ledger
from tests.support.servers import Clock
from worker import token
from worker.ledger import accounts, operators, queries, settle, texts
from worker.ledger.credit import keep_credit
from worker.ledger.database import Database
from worker.ledger.polls import claim_poll, store_last_page
from worker.ledger.progress import WORDS, RequestProgress, progress
from worker.ledger.tables import reply


def of(database: Database, key: uuid.UUID) -> RequestProgress:
    found = progress(database, key)
    assert found is not None
    return found


def test_a_request_goes_from_ready_over_sending_to_done(database: Database, clock: Clock) -> None:
    one, two, three, four = bodies.numbers(4)
    key = ledger.put(database, to=[one, two, three, four, one])
    seen = [of(database, key)]
    ledger.send(database, size=2, next_poll_ms=0)
    seen.append(of(database, key))
    lost = ledger.taken(database, size=1)
    seen.append(of(database, key))
    settle.unknown(database, ledger.whose(lost), "a read timeout")
    seen.append(of(database, key))
    assert [(found.state, found.counts, found.final) for found in seen] == [
        ("sending", {"waiting": 4, "duplicate": 1}, False),
        ("sending", {"waiting": 2, "duplicate": 1, "sent": 2}, False),
        ("sending", {"waiting": 1, "duplicate": 1, "sent": 2, "submitting": 1}, False),
        ("sending", {"waiting": 1, "duplicate": 1, "sent": 2, "unknown": 1}, False),
    ]
    poll = claim_poll(database, "default", 120)
    assert poll is not None
    store_last_page(database, poll, [ledger.row(one, 100), ledger.row(two, 103, cost="0.50")], lambda _: None)
    settle.refused(database, ledger.whose(ledger.taken(database)), -306, "no", new_part=1)
    operators.settle_unknown(database, token.encode(lost.id), "accept", batch_id=None, by="li", why="")
    done = of(database, key)
    assert (done.state, done.final, done.count, done.cost) == ("done", True, 5, Decimal("1.5"))
    assert done.counts == {"delivered": 1, "undelivered": 1, "refused": 1, "duplicate": 1, "sent": 1}


def test_the_answer_to_a_producer_has_every_word_and_no_more(database: Database) -> None:
    key = ledger.put(database, 2)
    answer = of(database, key).result()
    assert tuple(answer["messages"]) == WORDS
    assert (answer["request"], answer["state"], answer["count"], answer["cost"]) == (
        str(key),
        "ready",
        2,
        "0.00",
    )
    for secret in (*bodies.numbers(2), "您好"):
        assert secret not in str(answer)
    assert progress(database, uuid.uuid4()) is None


def test_a_booking_is_booked_until_its_time(database: Database, clock: Clock) -> None:
    key = ledger.put(database, 2, schedule="gateway", send_at=ledger.moment(clock.now_ms + 3_600_000))
    ledger.send(database)
    assert of(database, key).counts == {"booked": 2}
    clock.advance(3600)
    assert of(database, key).counts == {"sent": 2}


def test_the_messages_of_a_request_come_in_order_in_pages_and_by_state(
    database: Database, clock: Clock
) -> None:
    key = ledger.put(database, 5)
    claimed = ledger.send(database, size=2)
    found = texts.request_messages(database, str(key))
    assert [(one.seq, one.number, one.state) for one in found] == [
        (place, number, "sent" if place < 2 else "waiting") for place, number in enumerate(bodies.numbers(5))
    ]
    assert {one.chunk for one in found} == {token.encode(claimed.id), None}
    assert [one.seq for one in texts.request_messages(database, str(key), after_seq=1, limit=2)] == [2, 3]
    assert [one.seq for one in texts.request_messages(database, str(key), state="sent")] == [0, 1]
    assert bodies.numbers(1)[0] not in repr(found)
    for wrong in (str(uuid.uuid4()), "no id"):
        with pytest.raises(queries.NotFound):
            texts.request_messages(database, wrong)


def test_unknown_chunks_say_what_they_cost_and_whose_they_are(database: Database, clock: Clock) -> None:
    keys = {
        str(ledger.put(database, to=bodies.numbers(2, place * 10), text="長" * 71)) for place in range(12)
    }
    claimed = ledger.taken(database)
    settle.unknown(database, ledger.whose(claimed), "a read timeout")
    [found] = queries.unknown_chunks(database)
    assert (found.chunk, found.messages, found.points) == (token.encode(claimed.id), 24, 48)
    assert (found.reason, found.request_count, len(found.requests)) == ("a read timeout", 12, 10)
    assert set(found.requests) < keys
    assert queries.unknown_chunks(database, account="shop") == []


def test_accounts_say_what_waits_in_their_lanes(database: Database) -> None:
    settings = Settings(accounts={"shop": Account(user_id="0912345678", password=SecretStr("x"))})
    accounts.ensure_accounts(database, ["default"])
    ledger.put(database, 3)
    ledger.put(database, 2, lane="otp")
    ledger.taken(database, size=1)
    keep_credit(database, "default", Decimal("12.3456"))
    accounts.login_refused(database, "default", -101, "f" * 64, locked=False)
    default, shop = queries.account_states(database, settings)
    assert (default.alias, default.waiting) == ("default", {"otp": 2, "normal": 2, "bulk": 0})
    assert (default.credit, default.breaker, default.breaker_code) == (Decimal("12.3456"), "open", -101)
    assert (shop.alias, shop.breaker, shop.credit) == ("shop", "closed", None)
    assert "0912345678" not in repr(shop)


def test_events_are_followed_by_their_ids(database: Database, clock: Clock) -> None:
    for place in range(3):
        accounts.contended(database, f"a{place}")
        clock.advance(60)
    found = queries.events(database)
    assert [(one.account, one.severity) for one in found] == [(f"a{place}", "warning") for place in range(3)]
    assert [one.account for one in queries.events(database, limit=2)] == ["a1", "a2"]
    assert [one.account for one in queries.events(database, after=found[0].id)] == ["a1", "a2"]
    assert [one.account for one in queries.events(database, since=found[1].at)] == ["a1", "a2"]
    assert [one.account for one in queries.events(database, account="a1")] == ["a1"]
    assert queries.events(database, kind="nothing") == []


def test_points_survive_the_database_to_the_last_unit(database: Database) -> None:
    accounts.ensure_accounts(database, ["default"])
    for credit in ("0", "0.0001", "-12.5", "123456789.1234"):
        keep_credit(database, "default", Decimal(credit))
        [state] = queries.account_states(database, Settings())
        assert state.credit == Decimal(credit)


def test_an_error_of_the_database_shows_no_number_and_no_text(database: Database) -> None:
    """Errors are logged; SQLAlchemy would print what was to be written."""
    wrong = {"account": "default", "batch_id": "b", "number": "+886912345678", "text": "機密", "stored_ms": 1}
    with pytest.raises(SQLAlchemyError) as error:
        database.write(
            lambda connection: connection.execute(insert(reply), [wrong | {"account": None, "digest": "d"}])
        )
    printed = "".join(traceback.format_exception(error.value))
    for secret in ("912345678", "機密"):
        assert secret not in printed
