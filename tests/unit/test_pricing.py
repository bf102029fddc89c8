"""What a text costs, by the table of specification 1.2."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from every8d import pricing
from every8d.errors import InvalidText

TABLE = [
    (0, 0),
    (1, 1), (70, 1),
    (71, 2), (134, 2),
    (135, 3), (201, 3),
    (202, 4), (268, 4),
    (269, 5), (333, 5),
    # Beyond, the gateway splits: full messages of 333 and the rest, each by the same table.
    (334, 6), (403, 6), (404, 7), (666, 10), (667, 11), (999, 15),
]  # fmt: skip


@pytest.mark.parametrize(("length", "expected"), TABLE)
@pytest.mark.parametrize("character", ["a", "字", "é"])
def test_taiwan(length: int, expected: int, character: str) -> None:
    assert pricing.segments(character * length) == expected
    assert pricing.points(character * length) == expected


@pytest.mark.parametrize(
    ("length", "segments", "points"),
    [
        (0, 0, 0),
        (1, 1, 3),
        (70, 1, 3),
        (71, 2, 6),
        (140, 2, 6),
        (141, 3, 9),
        (333, 5, 15),
        (334, 5, 15),
        (351, 6, 18),
    ],
)
def test_abroad_every_70_characters_are_a_message_at_three_points(
    length: int, segments: int, points: int
) -> None:
    assert pricing.segments("字" * length, abroad=True) == segments
    assert pricing.points("字" * length, abroad=True) == points


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        pytest.param("", 0, id="empty"),
        pytest.param("abc", 3, id="ASCII"),
        pytest.param("您好，世界", 5, id="Chinese"),
        pytest.param("a\r\nb\rc\nd", 7, id="a line end is one"),
        pytest.param("😀", 2, id="an emoji is two code units"),
        pytest.param("👨\u200d👩\u200d👧", 8, id="a family of emoji"),
        pytest.param("𠮷", 2, id="a rare Han character is two"),
        pytest.param("a\x00b\x07", 2, id="control characters are not sent"),
        pytest.param("a\tb", 3, id="a tab is sent"),
        pytest.param("ﾊﾝ", 2, id="half-width kana"),
    ],
)
def test_characters(text: str, expected: int) -> None:
    assert pricing.characters(text) == expected


def test_half_a_surrogate_pair_is_refused() -> None:
    with pytest.raises(InvalidText) as caught:
        pricing.points("a\ud83d")
    assert caught.value.reason == "broken"


@given(st.integers(0, 5000), st.booleans())
def test_one_more_character_never_costs_less(length: int, abroad: bool) -> None:
    less, more = ("字" * count for count in (length, length + 1))
    assert pricing.points(less, abroad=abroad) <= pricing.points(more, abroad=abroad)
    assert pricing.points(more, abroad=abroad) - pricing.points(less, abroad=abroad) in (
        (0, 3) if abroad else (0, 1)
    )


@given(st.integers(0, 20), st.integers(0, 332))
def test_a_long_text_costs_the_sum_of_its_pieces(full: int, rest: int) -> None:
    assert pricing.points("a" * (333 * full + rest)) == 5 * full + pricing.points("a" * rest)


@given(st.text(), st.booleans())
def test_no_text_is_free_but_the_empty_one(text: str, abroad: bool) -> None:
    counted = pricing.characters(text)
    assert (pricing.points(text, abroad=abroad) == 0) == (counted == 0)
    assert pricing.points(text, abroad=True) == 3 * -(-counted // 70)


@given(st.text(st.characters(exclude_categories=["Cs", "Cc"], exclude_characters="\ufffe\uffff")))
def test_characters_are_utf_16_code_units(text: str) -> None:
    assert pricing.characters(text) == sum(2 if ord(character) > 0xFFFF else 1 for character in text)
