import uuid
from decimal import Decimal

import pytest

from every8d.receipt import Receipt, RequestStatus
from worker.system.demo import Part, Story, problems

ID = uuid.UUID(int=1)


def part(title: str, messages: dict[str, int], *, final: bool = True, count: int = 10) -> Part:
    receipt = Receipt(ID, "default", "bulk", count, count, 1, 0, confirmed=True)
    return Part(
        title, receipt, RequestStatus(ID, "default", "bulk", "done", count, messages, Decimal(0), final)
    )


def story(*parts: Part, sent: int = 10, doubled: int = 0) -> Story:
    return Story(0.0, list(parts), gateway={"sent": sent, "doubled": doubled})


@pytest.mark.parametrize(
    ("told", "expected"),
    [
        (story(part("campaign", {"delivered": 9, "undelivered": 1})), []),
        (story(part("booking", {"cancelled": 10}), sent=0), []),
        (
            story(part("campaign", {"sent": 2, "delivered": 8}, final=False)),
            ["campaign is not final (2 sent, 8 delivered)"],
        ),
        (story(part("campaign", {"unknown": 10})), ["campaign has 0 of 10 messages settled"]),
        (story(part("campaign", {"cancelled": 10})), ["campaign has 10 messages cancelled"]),
        (story(part("booking", {"delivered": 10}), sent=0), ["booking has 0 messages cancelled"]),
        (story(part("campaign", {"delivered": 10}), sent=9), ["the gateway sent 9 instead of 10, 0 doubled"]),
        (
            story(part("campaign", {"delivered": 10}), doubled=1),
            ["the gateway sent 10 instead of 10, 1 doubled"],
        ),
    ],
    ids=[
        "delivered",
        "cancelled",
        "not-final",
        "unknown",
        "wrongly-cancelled",
        "not-cancelled",
        "lost",
        "doubled",
    ],
)
def test_what_is_not_right_at_the_end(told: Story, expected: list[str]) -> None:
    assert problems(told) == expected
