"""Which call a fault befalls, and what a test may not ask for."""

from typing import Any

import pytest

from every8d.emulator.faults import Fault, FaultBook
from every8d.emulator.switches import Switches


def kinds(book: FaultBook, *operations: str) -> list[str | None]:
    taken = [book.take(operation) for operation in operations]
    return [None if fault is None else fault.kind for fault in taken]


def test_a_fault_strikes_as_often_as_it_says_and_only_its_operation() -> None:
    book = FaultBook()
    book.add(Fault("drop", "sendSMS", count=2))
    assert kinds(book, "getCredit", "sendSMS", "sendSMS", "sendSMS") == [None, "drop", "drop", None]


def test_skip_lets_calls_pass_first_and_the_next_fault_waits_its_turn() -> None:
    book = FaultBook()
    book.add(Fault("drop", "sends", skip=1))
    book.add(Fault("html", "*"))
    assert kinds(book, "sendSMS", "sendMessage", "getCredit") == ["html", "drop", None]


def test_a_share_repeats_for_the_same_seed() -> None:
    book = FaultBook()
    book.add(Fault("reset", share=0.2, count=None))
    book.seed(1)
    first = kinds(book, *["sendSMS"] * 500)
    book.seed(1)
    assert kinds(book, *["sendSMS"] * 500) == first
    assert 50 < first.count("reset") < 150


@pytest.mark.parametrize(
    "wrong",
    [
        {"kind": "explode"},
        {"kind": "drop", "operation": "sendFax"},
        {"kind": "drop", "when": "during"},
        {"kind": "http", "status": 42},
        {"kind": "drop", "count": "3"},
        {"kind": "drop", "count": True},
    ],
)
def test_nonsense_is_refused(wrong: dict[str, Any]) -> None:
    with pytest.raises(ValueError, match=r"."):
        Fault(**wrong)


@pytest.mark.parametrize(
    ("name", "value"),
    [("second_login", "keeps"), ("echo_subject", False), ("cost_digits", 0), ("idle_close_s", 2)],
)
def test_switches_take_their_values(name: str, value: Any) -> None:
    switches = Switches()
    switches.set(name, value)
    assert getattr(switches, name) == value


@pytest.mark.parametrize(
    ("name", "value"), [("second_login", "maybe"), ("echo_subject", "no"), ("cost_digits", 3), ("colour", 1)]
)
def test_switches_refuse_others(name: str, value: Any) -> None:
    with pytest.raises(ValueError, match="switch"):
        Switches().set(name, value)
