"""Times to and from the gateway: Taipei, whatever the shape."""

from datetime import UTC, datetime, timedelta, timezone

import pytest

from every8d.times import TAIPEI, aware, from_gateway, to_gateway


def taipei(*parts: int) -> datetime:
    return datetime(*parts, tzinfo=TAIPEI)  # type: ignore[arg-type]  # year, month, day, …


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        pytest.param("2015/09/23 15:37:05", taipei(2015, 9, 23, 15, 37, 5), id="as the service writes it"),
        pytest.param("2010/3/20 03:27:50", taipei(2010, 3, 20, 3, 27, 50), id="not zero-padded"),
        pytest.param("2010/03/23 12:05:09 ", taipei(2010, 3, 23, 12, 5, 9), id="a trailing blank"),
        pytest.param("20090210120000", taipei(2009, 2, 10, 12, 0, 0), id="compact, as in callbacks"),
        pytest.param("20180101120002", taipei(2018, 1, 1, 12, 0, 2), id="compact, live sample"),
        pytest.param("2010/3/20 3:7:5", taipei(2010, 3, 20, 3, 7, 5), id="nothing padded"),
        pytest.param("2010-03-20T03:27:50.123", taipei(2010, 3, 20, 3, 27, 50), id="ISO with a fraction"),
        pytest.param("", None, id="empty"),
        pytest.param("   ", None, id="blanks"),
        pytest.param("2010/13/20 03:27:50", None, id="no such month"),
        pytest.param("20090210250000", None, id="no such hour"),
        pytest.param("2009021012000", None, id="a digit short"),
        pytest.param("２０１０/03/20 03:27:50", None, id="full-width digits are not the gateway's"),
        pytest.param("tomorrow", None, id="words"),
    ],
)
def test_from_gateway(text: str, expected: datetime | None) -> None:
    assert from_gateway(text) == expected
    if expected is not None:
        assert from_gateway(text).utcoffset() == timedelta(hours=8)  # type: ignore[union-attr]  # compared above


@pytest.mark.parametrize(
    ("moment", "expected"),
    [
        (datetime(2009, 1, 31, 15, 30), "20090131153000"),  # noqa: DTZ001 - naive means Taipei
        (taipei(2009, 1, 31, 15, 30, 0), "20090131153000"),
        (datetime(2009, 1, 31, 7, 30, tzinfo=UTC), "20090131153000"),
        (datetime(2009, 1, 30, 18, 30, tzinfo=timezone(timedelta(hours=-13))), "20090131153000"),
        (datetime(2009, 1, 31, 23, 59, 59, 999999, tzinfo=TAIPEI), "20090131235959"),
        (datetime(2008, 12, 31, 16, 0, tzinfo=UTC), "20090101000000"),
    ],
)
def test_to_gateway(moment: datetime, expected: str) -> None:
    assert to_gateway(moment) == expected
    assert from_gateway(expected) == aware(moment).replace(microsecond=0)


def test_a_time_with_a_zone_keeps_it() -> None:
    moment = datetime(2020, 1, 1, tzinfo=UTC)
    assert aware(moment) is moment
