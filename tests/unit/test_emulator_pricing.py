"""The emulator's prices, against literals typed from the specification (1.2, and the box on prices)."""

import pytest

from every8d.emulator.pricing import abroad_points, domestic_points, length


@pytest.mark.parametrize(
    ("characters", "points"),
    [
        (1, 1), (70, 1),
        (71, 2), (134, 2),
        (135, 3), (201, 3),
        (202, 4), (268, 4),
        (269, 5), (333, 5),
        # Beyond 333 the gateway splits: 333 and the rest, each at its own price.
        (334, 6), (403, 6), (404, 7), (666, 10), (667, 11), (1000, 16),
    ],
)  # fmt: skip
@pytest.mark.parametrize("character", ["a", "字"])
def test_domestic(characters: int, points: int, character: str) -> None:
    assert domestic_points(character * characters) == points


@pytest.mark.parametrize(
    ("characters", "points"),
    [(1, 3), (70, 3), (71, 6), (134, 6), (140, 6), (141, 9), (333, 15), (350, 15), (351, 18)],
)
def test_abroad_three_times_and_no_long_texts(characters: int, points: int) -> None:
    assert abroad_points("字" * characters) == points


def test_a_character_outside_the_bmp_counts_two() -> None:
    assert length("字👍") == 3
    assert domestic_points("👍" * 35) == 1
    assert domestic_points("👍" * 36) == 2
