"""When a text to one number may go under caps on texts an hour and a day."""

import random

import pytest

from worker.caps import DAY_MS, HOUR_MS, Caps, earliest

NOW = 1_767_225_600_000
MINUTE = 60_000


@pytest.mark.parametrize(
    ("hour", "day", "ago_min", "in_min"),
    [
        (1, 0, [], 0),
        (1, 0, [60], 0),
        (1, 0, [59], 1),
        (1, 0, [0], 60),
        (2, 0, [59], 0),
        (2, 0, [59, 10], 1),
        (2, 0, [10, 59], 1),
        (2, 0, [50, 40, 30], 20),
        (0, 1, [60], 1380),
        (0, 3, [1, 2, 3], 1437),
        (1, 3, [61, 200, 300], 1140),
        (1, 3, [30, 200], 30),
        # Bookings to come count as well, and a text may go between two of them where there is room.
        (1, 0, [-30], 90),
        (1, 0, [-60], 0),
        (1, 0, [30, -30], 90),
        (1, 0, [60, -60], 0),
        (1, 0, [30, -90], 30),
        (2, 0, [30, -20], 30),
        (2, 0, [45, -20], 0),
        (2, 0, [30, 20, -20], 40),
        (2, 0, [30, -20, -25], 80),
    ],
)
def test_the_first_moment_for_one_more_text(hour: int, day: int, ago_min: list[int], in_min: int) -> None:
    uses = [NOW - minutes * MINUTE for minutes in ago_min]
    assert earliest(uses, NOW, Caps(hour, day)) == NOW + in_min * MINUTE


def most_in(moments: list[int], span: int) -> int:
    """The most moments that any span holds, counted the slow way."""
    return max(sum(start <= one < start + span for one in moments) for start in moments)


@pytest.mark.parametrize("seed", range(20))
def test_whoever_keeps_to_it_never_breaks_a_cap(seed: int) -> None:
    chance = random.Random(seed)
    caps = Caps(chance.randint(1, 4), chance.randint(2, 9))
    moments: list[int] = []
    for _ in range(40):
        wanted = NOW + chance.randrange(3 * DAY_MS)
        found = earliest(moments, wanted, caps)
        assert found >= wanted
        moments.append(found)
    assert most_in(moments, HOUR_MS) <= caps.hour
    assert most_in(moments, DAY_MS) <= caps.day
