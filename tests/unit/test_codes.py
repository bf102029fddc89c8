"""Codes and delivery statuses: every one of the specification and the field notes has a meaning."""

import pytest

from every8d import codes

ERRORS = [-3, -4, -8, -24, -27, -28, -41, -97, -98, -99, -100, -101, -300, -301, -306, -999]


@pytest.mark.parametrize("code", ERRORS)
def test_every_code_says_what_and_what_to_do_in_both_languages(code: int) -> None:
    text = codes.describe(code)
    assert codes.known(code)
    assert text != codes.describe(-12345)
    for english in (text.meaning, text.advice):
        assert english.isascii()
        assert english
    for chinese in (text.meaning_zh, text.advice_zh):
        assert any("\u4e00" <= character <= "\u9fff" for character in chinese)


@pytest.mark.parametrize("code", [-290, -12345, -1])
def test_an_unknown_code_says_so(code: int) -> None:
    assert not codes.known(code)
    assert "not in the documentation" in codes.describe(code).meaning


@pytest.mark.parametrize(
    ("status", "word", "final", "rank"),
    [
        (100, "delivered", True, 4),
        (301, "no_credit", True, 3),
        (303, "cancelled", True, 3),
        (500, "refused", True, 3),
        (-1, "refused", True, 3),
        (-2, "refused", True, 3),
        (-3, "refused", True, 3),
        (-4, "refused", True, 3),
        (-5, "refused", True, 3),
        (-6, "refused", True, 3),
        (-8, "refused", True, 3),
        (-10, "refused", True, 3),
        (-77, "refused", True, 3),
        (101, "undelivered", True, 2),
        (102, "undelivered", True, 2),
        (103, "undelivered", True, 2),
        (104, "undelivered", True, 2),
        (105, "undelivered", True, 2),
        (106, "undelivered", True, 2),
        (107, "undelivered", True, 2),
        (0, "sent", False, 1),
        (300, "booked", False, 1),
        (700, "sent", False, 0),
        (888, "sent", False, 0),
        (999, "reply", False, 0),
        (42, "unknown_status", False, 0),
        (108, "unknown_status", False, 0),
    ],
)
def test_delivery(status: int, word: str, final: bool, rank: int) -> None:
    found = codes.delivery(status)
    assert (found.status, found.word, found.final) == (status, word, final)
    assert found.meaning
    assert found.meaning_zh
    assert codes.rank(status) == rank
