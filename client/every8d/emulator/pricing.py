"""What the gateway charges for a text, in points (specification 1.2, and the box on prices there).

Lengths are counted in UTF-16 code units: the gateway is a .NET program and the air carries UCS-2, so a
character outside the Basic Multilingual Plane, such as most emoji, counts two.
"""

#: Longest text, in characters, that costs 1, 2, 3, 4 and 5 points in Taiwan.
DOMESTIC_STEPS = (70, 134, 201, 268, 333)
#: A longer text is split by the gateway into texts of this many characters.
LONGEST = DOMESTIC_STEPS[-1]
#: Foreign numbers get no long texts: each 70 characters are a text of their own …
ABROAD_PIECE = 70
#: … and cost three times the points.
ABROAD_FACTOR = 3


def length(text: str) -> int:
    """Characters as the gateway counts them."""
    if text.isascii():
        return len(text)
    return len(text) + sum(1 for character in text if character > "\uffff")


def _step(characters: int) -> int:
    for points, longest in enumerate(DOMESTIC_STEPS, start=1):
        if characters <= longest:
            return points
    raise AssertionError("callers split longer texts first")


def domestic_points(text: str) -> int:
    """Points for one Taiwanese number."""
    full, rest = divmod(length(text), LONGEST)
    return full * len(DOMESTIC_STEPS) + (_step(rest) if rest or not full else 0)


def abroad_points(text: str) -> int:
    """Points for one number outside +886."""
    return max(1, -(-length(text) // ABROAD_PIECE)) * ABROAD_FACTOR
