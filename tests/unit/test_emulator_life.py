"""What becomes of a message: a function of its number and the clock."""

import pytest

from every8d.emulator.life import Habits, changes, magic_of, ordinary_status, replies, status_at
from every8d.emulator.numbers import is_abroad, read_number

ORDINARY = 886_912_345_678
HABITS = Habits(deliver_after_s=10.0)
VALIDITY_S = 600.0


def magic_number(code: int) -> int:
    return 886_900_900_000 + code * 100 + 42


def life(number: int, after_s: float, habits: Habits = HABITS) -> int:
    return status_at(changes(number, magic_of(number), 1000.0, VALIDITY_S, habits), 1000.0 + after_s)


@pytest.mark.parametrize(
    ("code", "soon", "later", "much_later"),
    [
        (0, 0, 0, 0),
        (3, -3, -3, -3),
        (8, -8, -8, -8),
        (101, 0, 101, 101),
        (104, 0, 104, 104),
        (107, 0, 107, 107),
        (108, 0, 0, 107),
        (110, 0, 107, 100),
        (205, 0, 100, 100),
        (700, 0, 700, 700),
        (777, 0, 777, 777),
        (888, 0, 888, 888),
        (911, 0, 100, 100),
    ],
)
def test_magic_numbers(code: int, soon: int, later: int, much_later: int) -> None:
    number = magic_number(code)
    assert [life(number, after) for after in (1.0, 13.0, 700.0)] == [soon, later, much_later]


def test_an_ordinary_number_is_delivered_within_a_fifth_of_the_delay() -> None:
    assert life(ORDINARY, 9.9) == 0
    assert life(ORDINARY, 12.0) == 100


@pytest.mark.parametrize("after_s", [0.0, 9.0, 10.0, 10.4, 11.0, 11.7, 12.0, 90.0])
def test_the_quick_way_agrees(after_s: float) -> None:
    for number in range(ORDINARY, ORDINARY + 200):
        assert ordinary_status(number, 1000.0, 1000.0 + after_s, HABITS) == life(number, after_s)


def test_a_share_fails_and_a_share_replies_always_the_same_ones() -> None:
    habits = Habits(10.0, fail_permille=100, reply_permille=100)
    numbers = range(ORDINARY, ORDINARY + 10_000)
    ends = [life(number, 99.0, habits) for number in numbers]
    assert set(ends) == {100, 101, 103}
    assert 800 < sum(end != 100 for end in ends) < 1200
    answers = sum(
        bool(replies(number, None, changes(number, None, 0.0, VALIDITY_S, habits), habits))
        for number in numbers
    )
    assert 700 < answers < 1200
    assert ends == [life(number, 99.0, habits) for number in numbers]


@pytest.mark.parametrize(("code", "count"), [(911, 1), (912, 2), (913, 1), (101, 0), (0, 0)])
def test_replies_come_after_the_delivery(code: int, count: int) -> None:
    number = magic_number(code)
    moments = changes(number, code, 1000.0, VALIDITY_S, HABITS)
    found = replies(number, code, moments, HABITS)
    assert len(found) == count
    assert all(reply.at > moments[-1][0] for reply in found)


@pytest.mark.parametrize("number", [ORDINARY, 886_900_000_001, 886_900_910_000 + 4200, 85_212_345_678])
def test_other_numbers_are_ordinary(number: int) -> None:
    assert magic_of(number) is None


@pytest.mark.parametrize(
    ("text", "number", "abroad"),
    [
        ("0912345678", 886_912_345_678, False),
        ("+886912345678", 886_912_345_678, False),
        (" +886912345678 ", 886_912_345_678, False),
        ("+85212345678", 85_212_345_678, True),
        ("+1 2025550123", None, None),
        ("886912345678", None, None),
        ("09123456789", None, None),
        ("091234567", None, None),
        ("+886212345678", None, None),
        ("0212345678", None, None),
        ("+0912345678", None, None),
        ("０９１２３４５６７８", None, None),
        ("09_2345678", None, None),
        ("+", None, None),
        ("", None, None),
    ],
)
def test_numbers(text: str, number: int | None, abroad: bool | None) -> None:
    assert read_number(text) == number
    if number is not None:
        assert is_abroad(number) is abroad
