"""Which call and message a callback is of, and when it is looked at again."""

import uuid
from typing import Any

import pytest

from worker.reports import (
    CEILING_MS,
    GIVE_UP_MS,
    Call,
    Owner,
    Reason,
    Report,
    judge,
    look_again_ms,
    owner,
    same_batch,
)
from worker.statuses import Known

NOW = 1_767_225_600_000
HOUR = 3_600_000
BATCH = "220478cc-8506-49b2-93b7-2505f651c12e"
OTHER = "00000000-8506-49b2-93b7-2505f651c12e"
ONE, TWO = "+886911000001", "+886911000002"


def report(**fields: Any) -> Report:
    values = dict.fromkeys(Report._fields) | {"id": 1, "account": "default", "received_ms": NOW, "looks": 0}
    return Report(**(values | {"number": ONE, "status": 100, "digest": "d"} | fields))


def call(state: str = "accepted", batch_id: str | None = BATCH, account: str = "default") -> Call:
    return Call(7, account, "bulk", state, 2, batch_id, NOW, NOW, None, 0, 2, None, None)


@pytest.mark.parametrize(
    ("state", "of_chunk", "of_report", "reason"),
    [
        ("accepted", BATCH, BATCH, None),
        ("accepted", BATCH, BATCH.upper(), None),
        ("accepted", BATCH, None, None),
        ("accepted", None, BATCH, None),
        ("accepted", BATCH, OTHER, Reason.OTHER_BATCH),
        ("unknown", None, BATCH, None),
        ("unknown", None, None, None),
        ("submitting", None, BATCH, Reason.SUBMITTING),
        ("not_sent", None, BATCH, Reason.SAID_NOT_SENT),
        ("refused", None, BATCH, Reason.SAID_NOT_SENT),
    ],
)
def test_what_a_call_says_to_a_report(
    state: str, of_chunk: str | None, of_report: str | None, reason: Reason | None
) -> None:
    one = call(state, of_chunk)
    match = judge(report(batch_id=of_report), [one])
    assert (match.call, match.reason) == (one, reason)


def test_a_report_is_of_one_call_of_its_own_account() -> None:
    assert judge(report(), []).reason is Reason.NO_CHUNK
    assert judge(report(), [call(account="shop")]).reason is Reason.NO_CHUNK
    assert judge(report(), [call(), call()]).reason is Reason.TWO_CHUNKS
    mine = call()
    assert judge(report(), [call(account="shop"), mine]).call is mine


@pytest.mark.parametrize(
    ("state", "batch_id", "said", "learnt"),
    [
        ("unknown", None, BATCH, ("accepted", BATCH, True, True)),
        ("unknown", None, None, ("accepted", None, True, False)),
        ("accepted", None, BATCH, ("accepted", BATCH, False, True)),
        ("accepted", BATCH, BATCH.upper(), ("accepted", BATCH, False, False)),
    ],
)
def test_what_a_call_learns_of_a_report(
    state: str, batch_id: str | None, said: str | None, learnt: tuple[Any, ...]
) -> None:
    one = call(state, batch_id)
    one.learn(report(batch_id=said))
    assert (one.state, one.batch_id, one.settled, one.named) == learnt


def message(number: str, position: int | None) -> Owner:
    return Owner(7, position, number, Known(uuid.uuid4(), position or 0, None, None, "packed", None, None))


def test_the_number_names_the_message_and_the_running_number_only_one_of_several() -> None:
    first, second, twin = message(ONE, 1), message(TWO, 2), message(TWO, 3)
    table = [
        # number, MR, messages, found
        (ONE, 1, [first, second], first),
        (ONE, None, [first, second], first),
        (ONE, 2, [first, second], first),
        ("", 1, [first, second], None),
        ("+886911000009", 1, [first, second], None),
        (TWO, 3, [first, second, twin], twin),
        (TWO, 9, [first, second, twin], None),
        (ONE, 1, [], None),
    ]
    for number, position, messages, found in table:
        assert owner(report(number=number, position=position), messages) is found, (number, position)


def test_waits_grow_up_to_a_ceiling_and_end_after_three_days() -> None:
    def wait(looks: int, reason: Reason = Reason.NO_CHUNK, age_ms: int = 0) -> int | None:
        found = look_again_ms(report(looks=looks, received_ms=NOW - age_ms), reason, NOW)
        return None if found is None else found - NOW

    assert [wait(looks) for looks in range(4)] == [1000, 2000, 4000, 8000]
    assert wait(1000) == wait(30) == CEILING_MS == 6 * HOUR
    assert wait(20, age_ms=GIVE_UP_MS - 1) == CEILING_MS
    for reason in (Reason.NO_CHUNK, Reason.NO_MESSAGE, Reason.TWO_CHUNKS):
        assert wait(3, reason, GIVE_UP_MS) is None
    assert GIVE_UP_MS == 72 * HOUR
    # A call under way is settled within its lease, however old the callback: it is asked for again and again.
    assert wait(50, Reason.SUBMITTING, GIVE_UP_MS) == 1000
    # Looking again changes nothing.
    assert wait(0, Reason.SAID_NOT_SENT) is wait(0, Reason.OTHER_BATCH) is None


def test_a_batch_id_is_a_guid_in_any_case() -> None:
    assert same_batch(BATCH, BATCH.upper())
    assert not same_batch(BATCH, OTHER)


def test_no_repr_shows_a_number_or_a_text() -> None:
    match = judge(report(text="private"), [call()])
    match.owner = message(ONE, 1)
    for shown in (repr(match), repr(match.report), repr(match.owner)):
        assert ONE not in shown
        assert "private" not in shown
