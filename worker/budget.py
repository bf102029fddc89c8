"""What a credit covers: requests in their order, and single messages in theirs. Points throughout. Pure."""

import uuid
from collections.abc import Iterable, Mapping
from decimal import Decimal
from typing import Literal, NamedTuple

Mode = Literal["hold", "send"]


class Price(NamedTuple):
    """What a request's waiting messages cost together, and the cheapest of them; nothing waits where both are 0."""

    points: int
    least: int


def covered(
    prices: Mapping[uuid.UUID, Price], left: Decimal, mode: Mode, *, short: bool
) -> dict[uuid.UUID, bool]:
    """Which of the requests may go out, one after the other, with so many points left.

    `send` lets a request begin that is covered in part: what is covered is the gateway's to say, and it leaves the
    rest unsent. Not while the account is `short`: the gateway has left messages unsent, and the credit is no higher.
    """
    verdicts = {}
    for name, price in prices.items():
        in_part = mode == "send" and not short and left >= price.least
        verdicts[name] = price.points <= left or in_part
        if verdicts[name]:
            left -= price.points
    return verdicts


def how_many(points: Iterable[int], left: Decimal) -> int:
    """How many messages of these prices, in their order, so many points cover."""
    count = 0
    for each in points:
        left -= each
        if left < 0:
            break
        count += 1
    return count
