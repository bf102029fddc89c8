"""What may be in a text: line ends as one character, nothing that XML or a handset cannot carry."""

from __future__ import annotations

import re

from every8d.errors import InvalidText

# XML 1.0 forbids these; all but the line ends are invisible, so dropping them changes nothing that is read.
_UNUSUAL = re.compile("[\x00-\x08\x0b-\x1f\x7f\ud800-\udfff\ufffe\uffff]")
_BROKEN = re.compile("[\ud800-\udfff]")
_INVISIBLE = re.compile("[\x00-\x08\x0e-\x1f\x7f\ufffe\uffff]")


def clean(text: str) -> str:
    r"""The text as it will be sent and priced: `\r\n`, `\r`, `\v`, `\f` become `\n`, control characters go.

    Raises InvalidText("broken") for half a surrogate pair: that is damage from a wrong decoding, and
    nobody knows what stood there.
    """
    if _UNUSUAL.search(text) is None:
        return text
    if _BROKEN.search(text):
        raise InvalidText("broken")
    lines = text.replace("\r\n", "\n").replace("\r", "\n").replace("\v", "\n").replace("\f", "\n")
    return _INVISIBLE.sub("", lines)


def body(text: str) -> str:
    """`clean`, for a text that a person shall receive: raises InvalidText("empty") where nothing is left."""
    cleaned = clean(text)
    if not cleaned.strip():
        raise InvalidText("empty")
    return cleaned
