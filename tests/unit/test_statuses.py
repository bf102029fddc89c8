"""Delivery statuses: which one counts, and when to ask again."""

import uuid
from datetime import UTC, datetime
from decimal import Decimal
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import SecretStr

from config import Account
from every8d import codes
from every8d.replies import StatusRow
from worker.states import FINAL
from worker.statuses import Change, Known, changes, first_poll_ms, next_poll_ms, plain_number

REQUEST = uuid.uuid4()
NUMBER = "+886912345678"
NOW = 1_767_225_600_000
AT = datetime(2026, 1, 1, tzinfo=UTC)
HOUR = 3_600_000


def account(**fields: Any) -> Account:
    return Account(user_id="demo", password=SecretStr("demo"), **fields)


def row(
    status: int | None, cost: str | None = "1.00", number: str = NUMBER, at: datetime | None = AT
) -> StatusRow:
    return StatusRow("", number, at, None if cost is None else Decimal(cost), status, str(status or ""), ())


def known(status: int | None = None, state: str = "packed", final_ms: int | None = None) -> Known:
    cost, sent = (None, None) if status is None else (Decimal(1), NOW)
    return Known(REQUEST, 0, status, cost, state, sent, final_ms)


def change(was: Known, *rows: StatusRow, now_ms: int = NOW) -> Change | None:
    found = changes({NUMBER: was}, rows, now_ms)
    assert len(found) <= 1
    return found[0] if found else None


@pytest.mark.parametrize(
    ("status", "state"),
    [
        (100, "delivered"),
        *((status, "undelivered") for status in range(101, 108)),
        (303, "cancelled"),
        (500, "undelivered"),
        (-1, "undelivered"),
        (-99_999, "undelivered"),
    ],
)
def test_a_final_status_ends_the_message(status: int, state: str) -> None:
    found = change(known(0), row(status))
    assert found is not None
    assert (found.state, found.final_ms) == (state, NOW)
    assert found.state in FINAL


@pytest.mark.parametrize("status", [0, 300, 700, 888, 999, 777, 12345])
def test_any_other_status_is_kept_and_ends_nothing(status: int) -> None:
    found = change(known(), row(status))
    assert found is not None
    assert (found.status, found.state, found.final_ms) == (status, "packed", None)


@given(
    st.lists(
        st.sampled_from([0, 100, 101, 107, 300, 301, 303, 500, 700, 777, -3, -8]), min_size=1, max_size=6
    )
)
def test_the_highest_rank_wins_in_any_order(statuses: list[int]) -> None:
    was = known()
    for status in statuses:
        if found := change(was, row(status)):
            was = Known(*found[:2], found.status, found.cost, found.state, found.sent_ms, found.final_ms)
    assert was.status is not None
    assert codes.rank(was.status) == max(map(codes.rank, statuses))
    assert (was.state != "packed") == codes.delivery(was.status).final
    # Held for a top-up only where the gateway has never said anything else that is final, nor anything after it.
    held = was.state == "no_credit" and was.final_ms is None
    told = statuses[statuses.index(301) :] if 301 in statuses else []
    before = statuses[: statuses.index(301)] if 301 in statuses else []
    final_before = any(codes.delivery(status).final for status in before)
    assert held == (bool(told) and set(told) == {301} and not final_before)
    assert (was.final_ms is not None) == (was.state != "packed" and not held)


def test_a_message_that_was_left_unsent_is_held() -> None:
    found = change(known(), row(301))
    assert found is not None
    assert (found.status, found.state, found.final_ms) == (301, "no_credit", None)


@pytest.mark.parametrize("status", [0, 300, 107, 777])
def test_a_held_message_of_which_the_gateway_says_anything_else_is_held_no_longer(status: int) -> None:
    found = change(known(301, "no_credit"), row(status))
    assert found is not None
    assert (found.status, found.state, found.final_ms) == (301, "no_credit", NOW)


def test_a_message_that_was_cancelled_while_it_was_held_stays_so() -> None:
    found = change(known(301, "cancelled", NOW), row(301, "2.00"))
    assert found is not None
    assert (found.state, found.final_ms) == ("cancelled", NOW)


def test_what_says_nothing_new_changes_nothing() -> None:
    assert change(known(100, "delivered", NOW), row(100)) is None
    assert change(known(100, "delivered", NOW), row(None)) is None
    assert change(known(100, "delivered", NOW), row(100, None, at=None)) is None
    assert changes({}, [row(100)], NOW) == []


def test_a_later_cost_is_news_and_leaves_when_it_was_final() -> None:
    found = change(known(100, "delivered", NOW - 5), row(100, "2.00"))
    assert found is not None
    assert (found.cost, found.final_ms) == (2, NOW - 5)


def test_a_row_without_a_cost_keeps_the_one_that_is_known() -> None:
    found = change(known(0), row(100, None, at=None))
    assert found is not None
    assert (found.cost, found.sent_ms, found.status) == (1, NOW, 100)


def test_a_message_that_was_erased_stays_so_until_it_was_delivered_after_all() -> None:
    erased = known(None, "cancelled", NOW - 5)
    booked = change(erased, row(300))
    assert booked is not None
    assert (booked.state, booked.final_ms) == ("cancelled", NOW - 5)
    delivered = change(erased, row(100))
    assert delivered is not None
    assert delivered.state == "delivered"


@pytest.mark.parametrize(
    ("written", "number"),
    [
        ("+886912345678", "+886912345678"),
        (" +886912345678    ", "+886912345678"),
        ("0912345678", "+886912345678"),
        ("+85291234567", "+85291234567"),
        ("", ""),
    ],
)
def test_the_gateways_numbers_are_ours(written: str, number: str) -> None:
    assert plain_number(written) == number


def test_the_first_poll_waits_for_the_carrier_for_callbacks_and_for_a_booked_time() -> None:
    assert first_poll_ms(account(), NOW, None) == NOW + 30_000
    assert first_poll_ms(account(callbacks=True), NOW, None) == NOW + 300_000
    assert first_poll_ms(account(callbacks=True, first_poll_s=5), NOW, None) == NOW + 5_000
    assert first_poll_ms(account(), NOW, NOW + HOUR) == NOW + HOUR + 30_000
    assert first_poll_ms(account(), NOW, NOW - HOUR) == NOW + 30_000


def test_polls_come_ever_less_often_up_to_the_ceiling() -> None:
    waits = [
        next_poll_ms(account(), NOW, polls=polls, pending=1, answered_ms=NOW, send_time_ms=None)
        for polls in (1, 2, 3, 6, 7, 1000)
    ]
    assert [wait and (wait - NOW) // 1000 for wait in waits] == [60, 120, 240, 1800, 1800, 1800]


@pytest.mark.parametrize(
    ("fields", "pending", "age_h", "send_in_h", "wait_h"),
    [
        pytest.param({"poll_ceiling_s": 3600}, 1, 119.9, None, 1, id="open"),
        pytest.param({}, 1, 120.1, None, None, id="open for too long"),
        pytest.param({"poll_ceiling_s": 3600}, 1, 200, -10, 1, id="booked, open since its time"),
        pytest.param({}, 0, 1, None, 1, id="all final: replies, hourly"),
        pytest.param({}, 0, 70.9, None, 1, id="the last look for replies"),
        pytest.param({}, 0, 71.1, None, None, id="the window for replies is over"),
        pytest.param({"callbacks": True}, 0, 1, None, None, id="replies come by callback"),
        pytest.param({"reply_window_h": 0}, 0, 0, None, None, id="no replies wanted"),
    ],
)
def test_when_a_batch_is_asked_for_again(
    fields: dict[str, Any], pending: int, age_h: float, send_in_h: float | None, wait_h: float | None
) -> None:
    again = next_poll_ms(
        account(**fields),
        NOW,
        polls=50,
        pending=pending,
        answered_ms=NOW - int(age_h * HOUR),
        send_time_ms=None if send_in_h is None else NOW + int(send_in_h * HOUR),
    )
    assert again == (None if wait_h is None else NOW + wait_h * HOUR)
