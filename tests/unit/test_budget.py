"""What a credit covers."""

import uuid
from decimal import Decimal

import pytest

from worker.budget import Mode, Price, covered, how_many

A, B, C = (uuid.UUID(int=place) for place in (1, 2, 3))


@pytest.mark.parametrize(
    ("prices", "left", "mode", "short", "go"),
    [
        pytest.param([(100, 1)], "100", "hold", False, [A], id="covered to the point"),
        pytest.param([(101, 1)], "100.99", "hold", False, [], id="a point too much is held"),
        pytest.param([(60, 1), (60, 1)], "100", "hold", False, [A], id="no two by the same points"),
        pytest.param([(101, 1), (60, 1)], "100", "hold", False, [B], id="the next one is not held up"),
        pytest.param([(40, 1), (60, 1), (1, 1)], "100", "hold", False, [A, B], id="all is spent"),
        pytest.param([(0, 0)], "-5", "hold", False, [], id="less than nothing covers nothing"),
        pytest.param([(0, 0)], "0", "hold", False, [A], id="nothing costs nothing"),
        pytest.param([(500, 2)], "2", "send", False, [A], id="send: covered in part"),
        pytest.param([(500, 3)], "2", "send", False, [], id="send: not one message is covered"),
        pytest.param(
            [(500, 2)], "400", "send", True, [], id="send: the gateway says no, and the credit is no higher"
        ),
        pytest.param([(400, 2)], "400", "send", True, [A], id="send: covered, whatever was short before"),
        pytest.param([(500, 1), (5, 1)], "400", "send", False, [A], id="send: only one request in part"),
    ],
)
def test_which_requests_the_credit_covers(
    prices: list[tuple[int, int]], left: str, mode: Mode, short: bool, go: list[uuid.UUID]
) -> None:
    named = {name: Price(*price) for name, price in zip((A, B, C), prices, strict=False)}
    verdicts = covered(named, Decimal(left), mode, short=short)
    assert list(verdicts) == list(named)
    assert [name for name, goes in verdicts.items() if goes] == go


@pytest.mark.parametrize(
    ("points", "left", "count"),
    [
        ([1, 1, 1], "2", 2),
        ([1, 1, 1], "3", 3),
        ([3, 1], "2.5", 0),
        ([1, 3, 1], "3", 1),
        ([], "5", 0),
        ([1], "-1", 0),
    ],
)
def test_how_many_messages_the_credit_covers_in_their_order(points: list[int], left: str, count: int) -> None:
    assert how_many(points, Decimal(left)) == count
