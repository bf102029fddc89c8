"""Phone numbers: whatever people type, to E.164 (`+886912345678`) or a clear refusal.

`phonenumbers` knows every country's numbers; the usual Taiwanese mobile does not need it, and is many.
"""

from __future__ import annotations

import re
import unicodedata
from typing import Final

from every8d.errors import InvalidNumber

# What phonenumbers calls a valid Taiwanese mobile; a test compares the two over the whole 09x space.
_MOBILE: Final = re.compile(r"(?:0|\+886)(9[0-8][0-9]{7})")
_SEPARATORS: Final = re.compile(r"[\s()./-]")
_PLAIN: Final = re.compile(r"\+?[0-9]{3,20}")
# Dashes of every kind that people and word processors use, made into one that the separators know.
_DASHES: Final = dict.fromkeys(map(ord, "‐‑‒–—―−ー－﹣"), "-")


def parse(text: str, *, abroad: bool = False) -> str:
    """The number in E.164. Blanks, dashes, dots, brackets, full-width digits are understood; Taiwan is home.

    Raises InvalidNumber with a reason (`empty`, `not_a_number`, `landline`, `not_mobile`, or `abroad` where
    that is not allowed); the error never holds the number. Specification 1.2, parameter mobile.
    """
    match = _MOBILE.fullmatch(text)
    if match is not None:
        return "+886" + match[1]
    return _parse_slowly(_simplified(text), abroad=abroad)


def is_abroad(e164: str) -> bool:
    """Whether a number in E.164 is outside Taiwan (+886)."""
    return not e164.startswith("+886")


def _simplified(text: str) -> str:
    """ASCII digits with at most a plus before them."""
    # Invisible marks of writing direction come along when a number is copied from an address book.
    visible = "".join(char for char in text if unicodedata.category(char) != "Cf")
    typed = unicodedata.normalize("NFKC", visible).translate(_DASHES).strip()
    if not typed:
        raise InvalidNumber("empty")
    # "912345678.0" is a spreadsheet's number, and its last 0 is no digit of the phone's.
    # A slash would join two numbers into one.
    if re.search(r"\.0+$|/", typed):
        raise InvalidNumber("not_a_number")
    bare = _SEPARATORS.sub("", typed)
    # phonenumbers would take letters for digits, and read only the first of several numbers.
    if _PLAIN.fullmatch(bare) is None:
        raise InvalidNumber("not_a_number")
    return bare


def _parse_slowly(bare: str, *, abroad: bool) -> str:
    # Loading the metadata takes longer than a thousand numbers of the fast path.
    import phonenumbers
    from phonenumbers import PhoneNumberType

    match = _MOBILE.fullmatch(bare)
    if match is not None:
        return "+886" + match[1]
    try:
        number = phonenumbers.parse(bare, "TW")
    except phonenumbers.NumberParseException:
        raise InvalidNumber("not_a_number") from None
    if not phonenumbers.is_valid_number(number):
        raise InvalidNumber("not_a_number")
    if number.country_code != 886 and not abroad:
        raise InvalidNumber("abroad")
    kind = phonenumbers.number_type(number)
    if kind == PhoneNumberType.FIXED_LINE:
        raise InvalidNumber("landline")
    if kind not in (PhoneNumberType.MOBILE, PhoneNumberType.FIXED_LINE_OR_MOBILE):
        raise InvalidNumber("not_mobile")
    return str(phonenumbers.format_number(number, phonenumbers.PhoneNumberFormat.E164))
