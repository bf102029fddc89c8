"""What an account's credit proves of calls whose outcome is not known. Pure arithmetic: nothing here asks or writes.

A credit is compared with an earlier one, the baseline, less every cost that the gateway has confirmed since. What is
missing then, the drop, is what the calls without an answer have cost. All amounts are points.

Of the calls, any subset may have been executed. A subset fits a drop that is at most its price. The drop may be
smaller by whatever can have come back meanwhile: of other messages (`returns`), and, where the account gets refunds,
of the subset's own. Something is proven only where exactly one subset fits.

What this cannot see: points added, or spent by others, that come to exactly the price of such a call, between two
looks at the credit. Therefore the account must be exclusive, and the lowest credit heard in between counts.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from decimal import Decimal
from enum import StrEnum
from itertools import combinations

#: More calls than these are not told apart: there would be too many subsets, and one of them nearly always fits.
#: Where nothing can have come back, that none of them was executed, or all were, is proven of any number.
MOST = 12
ZERO = Decimal(0)


class Reason(StrEnum):
    """Why the credit does, or does not, prove what became of a call. At most 16 letters: the ledger keeps it."""

    PROVEN = "proven"
    #: The settings do not say that nobody else spends the account's credit.
    NOT_EXCLUSIVE = "not_exclusive"
    #: The gateway may still be executing it, or the account is not quiet.
    TOO_EARLY = "too_early"
    #: It was called before the credit that others are compared with.
    NO_BASELINE = "no_baseline"
    #: Points were gone lately that no call of ours explains.
    DOUBTED = "doubted"
    #: A call among them whose price is not certain: abroad, longer than 333 characters, or dissolved meanwhile.
    PRICE = "price"
    #: Confirmed costs differ from our prices, so the prices of the others are not certain.
    PRICES_DIFFER = "prices_differ"
    TOO_MANY = "too_many"
    #: As many points may have come back as the calls have cost.
    REFUNDS = "refunds"
    #: The credit is higher than it was: points were added.
    ROSE = "rose"
    #: More points are gone than all the calls can have cost: somebody else spends.
    SPENT = "spent"
    #: Points are gone, and no subset of the calls costs so many.
    NO_FIT = "no_fit"
    AMBIGUOUS = "ambiguous"
    #: The credit may have run out in the middle of a call, which makes its cost any part of its price.
    SHORT = "short"


#: For these it does not become better by waiting: a new baseline is taken, for the calls to come.
HOPELESS = frozenset(
    {
        Reason.DOUBTED,
        Reason.PRICE,
        Reason.PRICES_DIFFER,
        Reason.TOO_MANY,
        Reason.ROSE,
        Reason.SPENT,
        Reason.NO_FIT,
        Reason.SHORT,
    }
)


@dataclass(frozen=True, slots=True)
class Unsure:
    """A call since the baseline whose cost the gateway has not said. `points` is its price; None: not certain."""

    chunk_id: int
    points: Decimal | None
    #: Nobody has settled it, so a proof may.
    unknown: bool = True
    #: A callback says that it was executed.
    executed: bool = False


@dataclass(frozen=True, slots=True)
class Standing:
    """What the ledger knows of an account's points since the baseline was taken."""

    baseline: Decimal
    #: Costs that the gateway has confirmed since.
    confirmed: Decimal
    #: The lowest credit that the gateway has said since.
    lowest: Decimal
    calls: tuple[Unsure, ...]
    #: The points of other messages that can have come back since.
    returns: Decimal = ZERO
    #: Points of the calls themselves can have come back, too.
    refunds: bool = False
    prices_differ: bool = False
    doubted: bool = False

    @property
    def price(self) -> Decimal:
        """Of all the calls together, as far as it is certain."""
        return sum((one.points or ZERO for one in self.calls), ZERO)

    @property
    def all_returns(self) -> Decimal:
        """What can have come back, of the calls and of others."""
        return self.returns + (self.price if self.refunds else ZERO)


@dataclass(frozen=True, slots=True)
class Verdict:
    """What is proven of which chunks (by their ids), and why, or why nothing is. `drop` in points."""

    reason: Reason
    drop: Decimal
    sent: frozenset[int] = frozenset()
    not_sent: frozenset[int] = frozenset()


def hindrance(standing: Standing) -> Reason | None:
    """Why no credit can prove anything, whatever it is; None where one may."""
    unknown = sum((one.points or ZERO for one in standing.calls if one.unknown), ZERO)
    if standing.doubted:
        return Reason.DOUBTED
    if any(one.points is None or one.points <= 0 for one in standing.calls):
        return Reason.PRICE
    if standing.prices_differ:
        return Reason.PRICES_DIFFER
    if len(standing.calls) > MOST and (standing.returns or standing.refunds):
        return Reason.TOO_MANY
    return Reason.REFUNDS if standing.returns >= unknown else None


def judge(standing: Standing, credit: Decimal) -> Verdict:
    """What this credit proves. It was taken while nothing of the account was under way, and so was the baseline."""
    drop = standing.baseline - standing.confirmed - credit
    if (reason := hindrance(standing)) is not None:
        return Verdict(reason, drop)
    returns = standing.all_returns
    if credit > standing.lowest + returns or drop < -returns:
        return Verdict(Reason.ROSE, drop)
    if drop > standing.price:
        return Verdict(Reason.SPENT, drop)
    many = len(standing.calls) > MOST
    subsets = _none_and_all(standing.calls) if many else _subsets(standing.calls)
    found = [subset for subset in subsets if _fits(standing, subset, drop)]
    if many and not found:
        return Verdict(Reason.TOO_MANY, drop)
    if len(found) != 1:
        return Verdict(Reason.AMBIGUOUS if found else Reason.NO_FIT, drop)
    cost = _cost(found[0])
    if drop < cost - standing.returns:
        # It fits only if points of its own came back; they may also never have been taken.
        return Verdict(Reason.REFUNDS, drop)
    if found[0] and drop != standing.price and credit < standing.price + returns:
        # At the most that all of them can cost, or at nothing, no part of a call can be missing.
        return Verdict(Reason.SHORT, drop)
    executed = {one.chunk_id for one in found[0]}
    unknown = {one.chunk_id for one in standing.calls if one.unknown}
    return Verdict(Reason.PROVEN, drop, frozenset(unknown & executed), frozenset(unknown - executed))


def spent_elsewhere(standing: Standing, credit: Decimal) -> Decimal:
    """Points that are gone and that no call of ours can have cost; 0 where that is not certain."""
    if standing.prices_differ or any(one.points is None for one in standing.calls):
        return ZERO
    return max(ZERO, standing.baseline - standing.confirmed - credit - standing.price)


def _subsets(calls: tuple[Unsure, ...]) -> Iterator[tuple[Unsure, ...]]:
    """Those that may have been executed: with each of those that certainly were."""
    certain = tuple(one for one in calls if one.executed)
    others = [one for one in calls if not one.executed]
    for size in range(len(others) + 1):
        for chosen in combinations(others, size):
            yield certain + chosen


def _none_and_all(calls: tuple[Unsure, ...]) -> set[tuple[Unsure, ...]]:
    """The two ends: each call has a price, so no other subset costs as little, or as much, as these do."""
    return {tuple(one for one in calls if one.executed), calls}


def _fits(standing: Standing, subset: tuple[Unsure, ...], drop: Decimal) -> bool:
    cost = _cost(subset)
    least = -standing.returns if standing.refunds else cost - standing.returns
    return least <= drop <= cost


def _cost(subset: tuple[Unsure, ...]) -> Decimal:
    return sum((one.points or ZERO for one in subset), ZERO)
