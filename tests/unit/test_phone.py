"""Numbers as people type them: E.164, or a refusal that says why and never which."""

import random

import phonenumbers
import pytest

from every8d import phone
from every8d.errors import Every8dError, InvalidNumber


@pytest.mark.parametrize(
    "text",
    [
        "0912345678",
        "+886912345678",
        "+886 912-345-678",
        "0912-345-678",
        "0912 345 678",
        "(0912) 345.678",
        "０９１２３４５６７８",
        "＋８８６９１２３４５６７８",
        "０９１２－３４５－６７８",
        "0912\u2013345\u2013678",
        "  0912345678\t",
        "0912\u3000345\u3000678",
        "0912\u00a0345678",
        "886912345678",
        "+8860912345678",
        "912345678",
        "002886912345678",
        "\u202a0912345678\u202c",
        "\ufeff0912345678",
    ],
)
def test_a_taiwanese_mobile(text: str) -> None:
    assert phone.parse(text) == "+886912345678"


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("", "empty"),
        ("   ", "empty"),
        ("\u202a\u202c", "empty"),
        ("02-2345-6789", "landline"),
        ("(02)23456789", "landline"),
        ("+886 2 2345 6789", "landline"),
        ("0800-080-412", "not_mobile"),
        ("09123456789", "not_a_number"),  # the specification's own sample is a digit too long
        ("091234567", "not_a_number"),
        ("0992345678", "not_mobile"),
        ("hello", "not_a_number"),
        ("0912ABC678", "not_a_number"),
        ("0912345678,0922333444", "not_a_number"),
        ("0912345678/0922333444", "not_a_number"),
        ("0912345678 ext. 5", "not_a_number"),
        ("0912345678;ext=5", "not_a_number"),
        ("0912345678#5", "not_a_number"),
        ("912345678.0", "not_a_number"),
        ("9.12346E+08", "not_a_number"),
        ("++886912345678", "not_a_number"),
        ("0912+345678", "not_a_number"),
        ("٠٩١٢٣٤٥٦٧٨", "not_a_number"),
        ("+85291234567", "abroad"),
        ("+1 650 253 0000", "abroad"),
        ("+81 90 1234 5678", "abroad"),
        ("+852123", "not_a_number"),
        ("1" * 500, "not_a_number"),
    ],
)
def test_refused(text: str, reason: str) -> None:
    with pytest.raises(InvalidNumber) as caught:
        phone.parse(text)
    assert caught.value.reason == reason
    assert isinstance(caught.value, ValueError)
    assert isinstance(caught.value, Every8dError)


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("+85291234567", "+85291234567"),
        ("+81 90-1234-5678", "+819012345678"),
        ("+1 650 253 0000", "+16502530000"),
        ("00285291234567", "+85291234567"),
        ("0912345678", "+886912345678"),
    ],
)
def test_abroad_where_it_is_allowed(text: str, expected: str) -> None:
    assert phone.parse(text, abroad=True) == expected


def test_a_landline_abroad_is_one() -> None:
    with pytest.raises(InvalidNumber) as caught:
        phone.parse("+81 3-1234-5678", abroad=True)
    assert caught.value.reason == "landline"


def test_is_abroad() -> None:
    assert not phone.is_abroad("+886912345678")
    assert phone.is_abroad("+85291234567")


def test_the_error_names_the_row_and_never_the_number() -> None:
    with pytest.raises(InvalidNumber) as caught:
        phone.parse("02-2345-6789")
    error = caught.value
    error.row = 17
    assert str(error) == "row 17: a landline number: texts go to mobiles only"
    assert error.in_chinese() == "第 17 列：市內電話無法接收簡訊，請改用手機號碼"
    for shown in (str(error), repr(error), error.in_chinese(), repr(error.args)):
        assert "2345" not in shown


def by_the_library(text: str) -> str | None:
    number = phonenumbers.parse(text, "TW")
    if not phonenumbers.is_valid_number_for_region(number, "TW"):
        return None
    if phonenumbers.number_type(number) != phonenumbers.PhoneNumberType.MOBILE:
        return None
    return str(phonenumbers.format_number(number, phonenumbers.PhoneNumberFormat.E164))


def by_us(text: str) -> str | None:
    try:
        return phone.parse(text)
    except InvalidNumber:
        return None


# Every prefix of four digits, and behind each the edges and a few at random: where phonenumbers learns of new
# blocks, this fails, and the fast path must learn of them too.
def test_the_fast_path_agrees_with_phonenumbers_over_the_09_space() -> None:
    random_ = random.Random(8)
    for prefix in range(1000):
        tails = [0, 999_999, random_.randrange(1_000_000), random_.randrange(1_000_000)]
        for text in (f"0{900 + prefix // 10:03d}{prefix % 10}{tail // 10:05d}" for tail in tails):
            assert by_us(text) == by_the_library(text), text
            assert by_us("+886" + text[1:]) == by_the_library("+886" + text[1:]), text


@pytest.mark.parametrize("length", range(4, 14))
def test_the_fast_path_agrees_on_lengths(length: int) -> None:
    text = ("0912345678" + "90123")[:length]
    assert by_us(text) == by_the_library(text)
