"""The emulator's clock, and the gateway's ways of writing a time."""

from datetime import UTC, datetime

import pytest

from every8d.emulator.clock import Clock, compact, read_send_time, slashed, taipei_day

MOMENT = datetime(2015, 9, 23, 7, 37, 5, tzinfo=UTC).timestamp()  # 15:37:05 in Taipei
EARLY = datetime(2010, 3, 19, 19, 27, 50, tzinfo=UTC).timestamp()  # the 20th, 03:27:50, in Taipei


def test_times_as_the_gateway_writes_them() -> None:
    assert slashed(MOMENT) == "2015/09/23 15:37:05"
    assert slashed(EARLY, padded=False) == "2010/3/20 03:27:50"
    assert compact(MOMENT + 0.9) == "20150923153705"


@pytest.mark.parametrize(
    ("text", "moment"),
    [
        ("20150923153705", MOMENT),
        ("2015092315370", None),
        ("201509231537055", None),
        ("20150931153705", None),
        ("20150923243705", None),
        ("2015/09/23 15:", None),
        ("２０１５０９２３１５３７０５", None),
        ("", None),
    ],
)
def test_send_time(text: str, moment: float | None) -> None:
    assert read_send_time(text) == moment


def test_the_day_ends_at_midnight_in_taipei() -> None:
    last = datetime(2026, 1, 1, 15, 59, 59, tzinfo=UTC).timestamp()
    assert taipei_day(last) == taipei_day(last - 86_399)
    assert taipei_day(last + 1) == taipei_day(last) + 1


def test_the_clock_runs_on_from_where_it_is_put() -> None:
    machine = [1000.0]
    clock = Clock(lambda: machine[0])
    clock.move_to(50.0)
    machine[0] += 7
    assert clock.now() == 57.0
    clock.advance(3)
    assert clock.now() == 60.0
