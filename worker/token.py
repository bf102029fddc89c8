"""The ids of chunks: 41 bits of milliseconds, 22 of chance. Time-ordered, and fit for a BIGINT.

Written in base 32 (Crockford's letters) an id is the token in the subject of its gateway call: a callback that brings
the subject back names the call that sent the message, even when the BatchID never reached us.
"""

import re
import secrets

_LETTERS = "0123456789ABCDEFGHJKMNPQRSTVWXYZ"
_LENGTH = 13
_TOKEN = re.compile(rf"\[e8d:([{_LETTERS}]{{{_LENGTH}}})\]")


def new_id(now_ms: int) -> int:
    """A new chunk's id, for a time in milliseconds since 1970."""
    return first_id(now_ms) | secrets.randbits(22)


def first_id(at_ms: int) -> int:
    """The least id of that millisecond: those made from then on are not below it."""
    return (at_ms & ((1 << 41) - 1)) << 22


def encode(chunk_id: int) -> str:
    """The id in 13 letters of base 32."""
    return "".join(_LETTERS[chunk_id >> shift & 31] for shift in range(5 * (_LENGTH - 1), -1, -5))


def decode(letters: str) -> int:
    """The id of 13 letters. Raises ValueError for anything else."""
    if len(letters) != _LENGTH or any(letter not in _LETTERS for letter in letters):
        raise ValueError("not a chunk's token")
    number = 0
    for letter in letters:
        number = number << 5 | _LETTERS.index(letter)
    if number >= 1 << 63:
        raise ValueError("not a chunk's token")
    return number


def subject(chunk_id: int, title: str) -> str:
    """The subject of a chunk's call: the producer's own words, then the token."""
    token = f"[e8d:{encode(chunk_id)}]"
    return f"{title} {token}" if title else token


def find(text: str) -> int | None:
    """The chunk's id in a subject that came back, or None. The last one is ours: before it stand others' words."""
    found = _TOKEN.findall(text)
    try:
        return decode(found[-1]) if found else None
    except ValueError:
        return None
