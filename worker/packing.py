"""Packing: which of the due messages go out together, and by which operation. Pure."""

import uuid
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import NamedTuple, Protocol

#: The most bytes of one call's texts. ASP.NET refuses more than 4 MiB, and XML inside XML grows.
MAX_BYTES = 2 * 1024 * 1024

SEND_SMS = "sendSMS"
SEND_MESSAGE = "sendMessage"
SEND_PARAM_SMS = "sendParamSMS"


class Candidate(NamedTuple):
    """A due message as the ledger keeps it. An empty `text` means the request's."""

    request_id: uuid.UUID
    seq: int
    number: str
    text: str | None
    name: str | None
    email: str | None
    points: int
    part: int | None
    attempts: int


class Header(Protocol):
    """What packing reads of a request."""

    @property
    def text(self) -> str | None:
        """The text of all its messages that have none of their own."""

    @property
    def validity_min(self) -> int | None:
        """The gateway's retryTime, in minutes."""


@dataclass(frozen=True, slots=True, repr=False)
class Packed:
    """The messages of one call, in the order of the batch. `text` is set exactly where all have the same."""

    operation: str
    messages: tuple[Candidate, ...]
    texts: tuple[str, ...]
    text: str | None
    validity_min: int | None
    points: int


def pack(
    candidates: Sequence[Candidate],
    headers: Mapping[uuid.UUID, Header],
    size: int,
    operations_off: frozenset[str] = frozenset(),
) -> Packed | None:
    """The first candidates that may share a call, at most `size` of them. None where there is no candidate.

    All candidates have one pack key. A number stands in a call once only, because a row of the delivery status has
    no other name. A call that carries a validity has one text; so has each part of a halved chunk its own call.
    """
    if not candidates:
        return None
    first = candidates[0]
    validity = headers[first.request_id].validity_min
    if SEND_MESSAGE in operations_off:
        # The gateway does not know the operation: its own default validity is better than no text at all.
        validity = None
    chosen: list[Candidate] = []
    texts: list[str] = []
    numbers: set[str] = set()
    left = MAX_BYTES
    for one in candidates:
        text = one.text if one.text is not None else headers[one.request_id].text or ""
        if one.part != first.part or one.number in numbers:
            continue
        if validity is not None and texts and text != texts[0]:
            continue
        # Attributes are escaped twice, at worst to ten bytes; 100 are the number, the tags and their escapes.
        left -= len(text) * 4 + (len(one.name or "") + len(one.email or "")) * 10 + 100
        if (chosen and left < 0) or len(chosen) == size:
            break
        chosen.append(one)
        texts.append(text)
        numbers.add(one.number)
    same = all(text == texts[0] for text in texts)
    plain = not any(one.name or one.email for one in chosen)
    operation = SEND_PARAM_SMS
    if same and plain:
        operation = SEND_MESSAGE if validity is not None else SEND_SMS
    return Packed(
        operation,
        tuple(chosen),
        tuple(texts),
        texts[0] if same else None,
        validity,
        sum(one.points for one in chosen),
    )
