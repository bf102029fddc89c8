"""What a text costs: characters, segments and points (specification 1.2).

Taiwan: 1-70 characters 1 point, 71-134 2, 135-201 3, 202-268 4, 269-333 5. The gateway splits a longer text
by itself; the specification does not say where. Our reading: full messages of 333 characters, then the rest,
each priced by the same table. Abroad there are no long messages: each 70 characters are one, at three points.
"""

from __future__ import annotations

from bisect import bisect_left
from typing import Final

from every8d.text import clean

#: The last character count of each price step: up to 70 costs 1 point, up to 134 costs 2, …
STEPS: Final = (70, 134, 201, 268, 333)
#: The longest text that is one long message in Taiwan, in characters.
LONGEST: Final = STEPS[-1]
#: Characters in one message to a number outside Taiwan.
ABROAD_PIECE: Final = 70
#: What a message abroad costs, in points.
ABROAD_FACTOR: Final = 3


def characters(text: str) -> int:
    r"""How many characters the gateway counts, after `text.clean`: a line end is one.

    A character outside the basic plane (most emoji) counts two: messages travel as UTF-16, where it takes
    two code units, and the gateway's platform measures strings in those.
    """
    cleaned = clean(text)
    if cleaned.isascii():
        return len(cleaned)
    # A byte count beats a loop over the characters, and gives exactly the code units.
    return len(cleaned.encode("utf-16-le")) // 2


def segments(text: str, *, abroad: bool = False) -> int:
    """The priced parts of the text; 0 for an empty one. Raises InvalidText where the text is damaged."""
    count = characters(text)
    if abroad:
        return -(-count // ABROAD_PIECE)
    full, rest = divmod(count, LONGEST)
    return full * len(STEPS) + (bisect_left(STEPS, rest) + 1 if rest else 0)


def points(text: str, *, abroad: bool = False) -> int:
    """What the text costs for one recipient, in points: one a segment, three a segment abroad."""
    return segments(text, abroad=abroad) * (ABROAD_FACTOR if abroad else 1)
