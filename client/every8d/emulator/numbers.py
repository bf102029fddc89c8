"""Mobile numbers as the gateway takes them: `+886912345678`, `0912345678`, or `+` and a foreign number.

Inside the emulator a number is an integer, 886912345678: eight bytes a message, however many there are.
"""

TAIWAN = 886_000_000_000
FIRST_MOBILE = 886_900_000_000
LAST_MOBILE = 886_999_999_999


def read_number(text: str) -> int | None:
    """The number, or None where it is malformed (code -306). Blanks around it are forgiven."""
    text = text.strip()
    if not text.isascii():
        return None
    if len(text) == 10 and text.startswith("09") and text.isdigit():
        return TAIWAN + int(text)
    if not text.startswith("+"):
        return None
    digits = text[1:]
    if not (digits.isdigit() and 7 <= len(digits) <= 15) or digits[0] == "0":
        return None
    number = int(digits)
    if digits.startswith("886") and not FIRST_MOBILE <= number <= LAST_MOBILE:
        return None
    return number


def is_abroad(number: int) -> bool:
    """Whether it costs three times as much and needs the account's international switch."""
    return not FIRST_MOBILE <= number <= LAST_MOBILE
