"""The arithmetic of credit: what it proves, and that it proves nothing false, against every world that fits."""

from decimal import Decimal
from itertools import product
from typing import NamedTuple

import pytest
from hypothesis import assume, example, given, settings
from hypothesis import strategies as st

from worker.evidence import (
    HOPELESS,
    MOST,
    Reason,
    Standing,
    Unsure,
    Verdict,
    hindrance,
    judge,
    spent_elsewhere,
)


def standing(
    *prices: int | None, baseline: int = 1000, confirmed: int = 0, lowest: int | None = None, **more: object
) -> Standing:
    calls = tuple(
        Unsure(place, None if price is None else Decimal(price)) for place, price in enumerate(prices)
    )
    low = baseline - confirmed if lowest is None else lowest
    return Standing(Decimal(baseline), Decimal(confirmed), Decimal(low), calls, **more)  # type: ignore[arg-type]


def told(verdict: Verdict) -> tuple[str, set[int], set[int]]:
    return str(verdict.reason), set(verdict.sent), set(verdict.not_sent)


TABLE: dict[str, tuple[Standing, str, tuple[str, set[int], set[int]]]] = {
    "nothing is gone": (standing(3), "1000", ("proven", set(), {0})),
    "all is gone": (standing(3), "997", ("proven", {0}, set())),
    "costs that are confirmed do not count": (standing(3, confirmed=40), "957", ("proven", {0}, set())),
    "one of two": (standing(3, 5), "995", ("proven", {1}, {0})),
    "both": (standing(3, 5), "992", ("proven", {0, 1}, set())),
    "neither": (standing(3, 5), "1000", ("proven", set(), {0, 1})),
    "one of two of the same price": (standing(3, 3), "997", ("ambiguous", set(), set())),
    "both of the same price": (standing(3, 3), "994", ("proven", {0, 1}, set())),
    "neither of the same price": (standing(3, 3), "1000", ("proven", set(), {0, 1})),
    "a sum that two subsets have": (standing(2, 3, 5), "995", ("ambiguous", set(), set())),
    "decimals that do not fit": (standing(3), "997.5", ("no_fit", set(), set())),
    "a part of one": (standing(3), "998", ("no_fit", set(), set())),
    "points were added": (standing(3), "1100", ("rose", set(), set())),
    "points were added, and fewer than were spent": (
        standing(300, lowest=700),
        "1000",
        ("rose", set(), set()),
    ),
    "another system spends": (standing(3), "990", ("spent", set(), set())),
    "abroad, or too long": (standing(3, None), "997", ("price", set(), set())),
    "prices are not what we thought": (
        standing(3, prices_differ=True),
        "997",
        ("prices_differ", set(), set()),
    ),
    "the account is in doubt": (standing(3, doubted=True), "997", ("doubted", set(), set())),
    "too many": (standing(*[1] * 13), "995", ("too_many", set(), set())),
    "many, and nothing is gone": (standing(*[1] * 13), "1000", ("proven", set(), set(range(13)))),
    "many, and all is gone": (standing(*[1] * 13), "987", ("proven", set(range(13)), set())),
    "many, whose points may have come back": (
        standing(*[1] * 13, refunds=True),
        "1000",
        ("too_many", set(), set()),
    ),
    "many, and others' points may have come back": (
        standing(*[1] * 13, returns=Decimal(1)),
        "1000",
        ("too_many", set(), set()),
    ),
    "the credit ran out within one of two": (
        standing(10, 4, baseline=4),
        "0",
        ("short", set(), set()),
    ),
    "the credit ran out within the only one": (standing(10, baseline=4), "0", ("no_fit", set(), set())),
    "as many may have come back": (
        standing(3, returns=Decimal(3), refunds=True),
        "997",
        ("refunds", set(), set()),
    ),
    "sent, and some of others' came back": (
        standing(5, returns=Decimal(2), refunds=True),
        "996",
        ("proven", {0}, set()),
    ),
    "sent, and refunds are possible": (standing(5, refunds=True), "995", ("proven", {0}, set())),
    # All of its points may have come back.
    "not sent is not proven where refunds are possible": (
        standing(5, refunds=True),
        "1000",
        ("ambiguous", set(), set()),
    ),
    # Or a part of its messages was never sent.
    "a part came back": (standing(5, refunds=True), "997", ("refunds", set(), set())),
    "more came back than went": (
        standing(5, returns=Decimal(2), refunds=True),
        "1001",
        ("ambiguous", set(), set()),
    ),
}


@pytest.mark.parametrize("name", TABLE)
def test_what_a_credit_proves(name: str) -> None:
    facts, credit, expected = TABLE[name]
    assert told(judge(facts, Decimal(credit))) == expected


def test_a_callback_tells_equal_prices_apart() -> None:
    calls = (Unsure(1, Decimal(3), executed=True, unknown=False), Unsure(2, Decimal(3)))
    facts = Standing(Decimal(100), Decimal(0), Decimal(100), calls)
    assert told(judge(facts, Decimal(97))) == ("proven", set(), {2})
    assert told(judge(facts, Decimal(94))) == ("proven", {2}, set())
    # It was sent, and yet nothing is gone: one of the two is wrong.
    assert told(judge(facts, Decimal(100))) == ("no_fit", set(), set())


def test_what_somebody_settled_counts_but_is_not_settled_again() -> None:
    calls = (Unsure(1, Decimal(3), unknown=False), Unsure(2, Decimal(5)))
    facts = Standing(Decimal(100), Decimal(0), Decimal(100), calls)
    assert told(judge(facts, Decimal(97))) == ("proven", set(), {2})
    assert told(judge(facts, Decimal(92))) == ("proven", {2}, set())


def test_twelve_are_told_apart_and_a_reason_fits_the_ledger() -> None:
    facts = standing(*[2**place for place in range(MOST)], baseline=100_000)
    assert told(judge(facts, Decimal(100_000 - 0b101))) == ("proven", {0, 2}, set(range(MOST)) - {0, 2})
    assert all(len(reason) <= 16 for reason in Reason)
    assert Reason.AMBIGUOUS not in HOPELESS


def test_what_others_spend() -> None:
    assert spent_elsewhere(standing(3), Decimal(990)) == 7
    assert spent_elsewhere(standing(3), Decimal(997)) == 0
    assert spent_elsewhere(standing(3), Decimal(1200)) == 0
    assert spent_elsewhere(standing(3, None), Decimal(900)) == 0
    assert spent_elsewhere(standing(), Decimal(999)) == 1
    assert hindrance(standing()) is Reason.REFUNDS


class World(NamedTuple):
    """What really happened: of each call, and of the points of others."""

    prices: list[int]
    executed: list[bool]
    back: list[int]
    others_back: int
    returns: int
    refunds: bool
    credit: int
    confirmed: int


@st.composite
def worlds(draw: st.DrawFn) -> World:
    prices = draw(st.lists(st.integers(1, 6), min_size=1, max_size=5))
    refunds = draw(st.booleans())
    executed = [draw(st.booleans()) for _ in prices]
    returns = draw(st.integers(0, 8)) if refunds else 0
    back = [
        draw(st.integers(0, price)) if refunds and ran else 0
        for price, ran in zip(prices, executed, strict=True)
    ]
    return World(
        prices,
        executed,
        back,
        draw(st.integers(0, returns)),
        returns,
        refunds,
        draw(st.integers(0, 30) | st.just(1000)),
        draw(st.integers(0, 20)),
    )


def play(world: World) -> tuple[Standing, Decimal, list[int]]:
    """Spends the points as the gateway does: what the credit does not cover stays unsent. Also what each call cost."""
    credit, low, costs = world.credit, world.credit, []
    for price, ran in zip(world.prices, world.executed, strict=True):
        costs.append(min(price, credit) if ran else 0)
        credit -= costs[-1]
        low = min(low, credit)
    returned = sum(min(back, cost) for back, cost in zip(world.back, costs, strict=True)) + world.others_back
    now = credit + returned
    calls = tuple(Unsure(place, Decimal(price)) for place, price in enumerate(world.prices))
    baseline = world.credit + world.confirmed
    facts = Standing(
        Decimal(baseline),
        Decimal(world.confirmed),
        Decimal(min(world.credit, baseline)),
        calls,
        Decimal(world.returns),
        world.refunds,
    )
    return facts, Decimal(now), costs


@settings(max_examples=500, deadline=None)
@given(worlds())
@example(World([6, 4], [True, False], [0, 0], 0, 0, False, 4, 0))
@example(World([5], [True], [5], 0, 0, True, 1000, 0))
def test_nothing_false_is_ever_proven(world: World) -> None:
    facts, credit, costs = play(world)
    verdict = judge(facts, credit)
    for place in verdict.sent:
        assert costs[place] == world.prices[place]
    for place in verdict.not_sent:
        assert costs[place] == 0
    assert not verdict.sent & verdict.not_sent
    # A proof is a proof of all of them.
    known = verdict.sent | verdict.not_sent
    assert known in (set(), set(range(len(world.prices))))
    assert bool(known) == (verdict.reason is Reason.PROVEN)


@settings(max_examples=100, deadline=None)
@given(worlds(), st.integers(1, 40))
def test_points_that_were_added_prove_nothing_once_a_lower_credit_was_heard(world: World, added: int) -> None:
    assume(not world.refunds)
    facts, credit, _ = play(world)
    heard = Standing(facts.baseline, facts.confirmed, credit, facts.calls)
    assert judge(heard, credit + added).reason is Reason.ROSE


def brute(facts: Standing, drop: int) -> set[frozenset[int]]:
    """The subsets that explain the drop with some amounts that came back, by trying them all."""
    found = set()
    returns = int(facts.returns)
    for ran in product([False, True], repeat=len(facts.calls)):
        chosen = [one for one, did in zip(facts.calls, ran, strict=True) if did]
        cost = sum(int(one.points or 0) for one in chosen)
        for others in range(returns + 1):
            for own in range(cost + 1 if facts.refunds else 1):
                if cost - own - others == drop:
                    found.add(frozenset(one.chunk_id for one in chosen))
    return found


@settings(max_examples=300, deadline=None)
@given(worlds(), st.integers(-10, 30))
def test_it_proves_what_can_be_proven_and_no_more(world: World, drop: int) -> None:
    assume(world.credit == 1000)
    facts, _, _ = play(world)
    credit = facts.baseline - facts.confirmed - drop
    verdict = judge(facts, credit)
    fits = brute(facts, drop)
    price = sum(world.prices)
    if len(fits) != 1 or world.returns >= price:
        assert verdict.reason is not Reason.PROVEN
        return
    [only] = fits
    cost = sum(world.prices[place] for place in only)
    # The issue's own window, beside the only subset: within R below what it costs.
    within = cost - world.returns <= drop <= cost
    assert (verdict.reason is Reason.PROVEN) == within
    if within:
        assert verdict.sent == only
