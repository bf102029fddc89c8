"""The verdict of `./run chaos`: it must see each kind of loss, or a good table would mean nothing."""

from collections import Counter

import pytest

from tests.chaos.counting import Count, Execution, Row, count
from tests.chaos.plan import FAULTS, shares

ONE, OTHER = "+886910000001", "+886910000002"
TEXT, WRONG = "a" * 64, "b" * 64


def counted(row: Row | None, *texts: str, confirmed: bool = True) -> Count:
    """The count of one message that the gateway executed with these texts."""
    executions = [Execution(ONE, text) for text in texts]
    return count({ONE: TEXT}, [ONE] if confirmed else [], [row] if row else [], executions)


def row(state: str, chunk: str | None = None) -> Row:
    return Row(ONE, "otp", state, chunk)


@pytest.mark.parametrize(
    ("kept", "texts", "wrong"),
    [
        pytest.param(row("delivered", "accepted"), [TEXT], [], id="delivered"),
        pytest.param(row("packed", "accepted"), [TEXT], [], id="sent, not yet delivered"),
        pytest.param(row("packed", "unknown"), [], [], id="held, not executed"),
        pytest.param(row("packed", "unknown"), [TEXT], [], id="held, executed"),
        pytest.param(row("packed", "accepted"), [], ["1 lost"], id="called accepted, never executed"),
        pytest.param(row("delivered", "accepted"), [], ["1 lost"], id="called delivered, never executed"),
        pytest.param(row("waiting"), [], ["1 lost"], id="never sent"),
        pytest.param(row("refused", "refused"), [], ["1 lost"], id="refused, with nothing wrong with it"),
        pytest.param(None, [], ["1 lost"], id="confirmed, and not in the ledger"),
        pytest.param(row("delivered", "accepted"), [TEXT, TEXT], ["1 sent twice"], id="doubled"),
        pytest.param(row("packed", "unknown"), [TEXT, TEXT], ["1 sent twice"], id="doubled, and held"),
        pytest.param(
            row("waiting"), [TEXT], ["1 executed, though the ledger says not"], id="will be sent again"
        ),
        pytest.param(
            row("refused", "refused"), [TEXT], ["1 executed, though the ledger says not"], id="called refused"
        ),
        pytest.param(
            row("delivered", "accepted"),
            [WRONG],
            ["1 executed with a text that nobody enqueued"],
            id="another's text",
        ),
    ],
)
def test_a_message_is_right_or_wrong(kept: Row | None, texts: list[str], wrong: list[str]) -> None:
    assert counted(kept, *texts).wrong() == wrong


def test_what_nobody_confirmed_is_committed_by_the_ledger_alone() -> None:
    assert counted(None, confirmed=False).committed.total() == 0
    assert counted(row("delivered", "accepted"), TEXT, confirmed=False).committed == Counter(otp=1)
    # Executed, and the ledger has never heard of it.
    assert counted(None, TEXT, confirmed=False).wrong() == ["1 executed, though the ledger says not"]


def test_a_text_to_a_number_of_nobody_is_seen() -> None:
    assert count({ONE: TEXT}, [], [], [Execution(OTHER, TEXT)]).wrong() == [
        "1 executed with a text that nobody enqueued"
    ]


def test_the_counts_add_up() -> None:
    found = count(
        {ONE: TEXT, OTHER: TEXT},
        [ONE, OTHER],
        [row("packed", "unknown"), Row(OTHER, "bulk", "delivered", "accepted")],
        [Execution(ONE, TEXT), Execution(OTHER, TEXT)],
    )
    assert found.committed == Counter(otp=1, bulk=1)
    assert (found.executed, found.delivered, found.held, found.held_executed) == (2, 1, 1, 1)
    assert found.wrong() == []


def test_all_faults_together_befall_the_share_of_calls_that_shall_fail_and_each_as_often() -> None:
    passed, befallen = 1.0, []
    for share in shares(len(FAULTS), 0.2):
        befallen.append(passed * share)
        passed *= 1 - share
    assert sum(befallen) == pytest.approx(0.2)
    assert befallen == pytest.approx([0.2 / len(FAULTS)] * len(FAULTS))
