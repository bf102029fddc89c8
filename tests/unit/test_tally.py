from web.tally import Tally


def test_the_first_is_told_at_once_and_the_others_once_a_minute_with_their_number() -> None:
    now = [0.0]
    told: list[tuple[float, str, int]] = []
    tally = Tally(lambda what, count: told.append((now[0], what, count)), clock=lambda: now[0], interval_s=60)
    for second in range(130):
        now[0] = float(second)
        tally.note("wrong secret")
    tally.note("too large")
    assert told == [
        (0.0, "wrong secret", 1),
        (60.0, "wrong secret", 60),
        (120.0, "wrong secret", 60),
        (129.0, "too large", 1),
    ]
