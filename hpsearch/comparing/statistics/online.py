"""The error rate of many challenges, one after another: the level at which the next one is decided.

All challenges of one champion share its scores, so that their tests depend on one another in a way that no model
describes. The default, e-LOND, needs no independence (Xu and Ramdas 2024, "Online multiple testing with e-values"): at
most a share `rate` of the titles is expected to be false, after any number of challenges. Its levels follow from the
number of titles alone, which is the same for all challenges of one champion, and a new champion is measured anew.
LORD++, SAFFRON and alpha investing hold for independent tests only; alpha spending bounds the chance of any false
title at all.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from enum import StrEnum

from scipy import special


class Method(StrEnum):
    """How the error rate is spent."""

    E_LOND = "e-lond"
    SPENDING = "alpha spending"
    LORD = "lord++"
    SAFFRON = "saffron"
    INVESTING = "alpha investing"

    @property
    def promise(self) -> str:
        """What holds, in one sentence."""
        return _PROMISES[self]


_SHARE = "at most this share of the titles is expected to be false"
_INDEPENDENT = f"{_SHARE}, if the tests were independent, which challenges of one champion are not"
_PROMISES = {
    Method.E_LOND: f"{_SHARE}, however the challenges depend on one another",
    Method.SPENDING: "the chance of even one false title is at most this, however the challenges depend on one another",
    Method.LORD: _INDEPENDENT,
    Method.SAFFRON: _INDEPENDENT,
    Method.INVESTING: _INDEPENDENT,
}


@dataclass(frozen=True, kw_only=True)
class Budget:
    """The error rate of a whole campaign and how it is spent.

    Attributes:
        rate: The largest share of false titles that is expected, or with alpha spending the chance of any.
        method: How it is spent.
        expected: For e-LOND and alpha spending: the number of challenges over which half of the rate is spent, nearly
            evenly; the other half lasts for all that follow.
        wealth: The rate that is there before the first title, for the other methods; None for their published default.
        candidate: SAFFRON's lambda: a test whose p is at most this costs nothing.
    """

    rate: float = 0.05
    method: Method = Method.E_LOND
    expected: int = 50
    wealth: float | None = None
    candidate: float = 0.5

    def __post_init__(self) -> None:
        """Refuse rates that are none.

        Raises:
            ValueError: A rate or lambda outside 0 to 1, no expected challenge, more wealth than there is rate.
        """
        if not (0 < self.rate < 1 and 0 < self.candidate < 1 and self.expected >= 1):
            raise ValueError("rate and candidate lie between 0 and 1, and at least one challenge is expected")
        if self.wealth is not None and not 0 < self.wealth < self.rate:
            raise ValueError(f"the wealth at the start lies between 0 and the rate of {self.rate:g}")


@dataclass(frozen=True)
class Finished:
    """A challenge that ended: whether it won the title, and its p, which is 1 / evidence and at most 1."""

    accepted: bool
    p: float = 1.0


def next_level(budget: Budget, history: Sequence[Finished]) -> float:
    """Return the level of the challenge that follows those of the history, given in the order in which they began."""
    if budget.method in {Method.E_LOND, Method.SPENDING}:
        titles = sum(each.accepted for each in history) if budget.method is Method.E_LOND else 0
        return min(budget.rate * even_share(len(history) + 1, budget.expected) * (titles + 1), 1.0)
    if budget.method is Method.LORD:
        return _lord(budget, history)
    if budget.method is Method.SAFFRON:
        return _saffron(budget, history)
    spent = _rewarded(budget, history, [each.accepted for each in history], share=1.0)
    return spent / (1 + spent)


def even_share(place: int, expected: int) -> float:
    """Return N / ((t + N - 1) (t + N)) for place t and N expected: all shares sum to 1, and the first N to a half."""
    return expected / ((place + expected - 1) * (place + expected))


def recent_share(place: int) -> float:
    """Return the share of Javanmard and Montanari (2018, equation 31), which LORD++ uses; all sum to 1."""
    return 0.07720838 * math.log(max(place, 2)) / (place * math.exp(math.sqrt(math.log(place))))


def power_share(place: int) -> float:
    """Return the share in proportion to t^-1.6 that SAFFRON and alpha investing use; all sum to 1."""
    return float(place**-1.6 / special.zeta(1.6))


def _lord(budget: Budget, history: Sequence[Finished]) -> float:
    """Return the level of LORD++ (Ramdas, Yang, Wainwright and Jordan 2017)."""
    now, start = len(history) + 1, budget.rate / 10 if budget.wealth is None else budget.wealth
    level = start * recent_share(now)
    for number, title in enumerate(_titles(history)):
        level += (budget.rate - (start if number == 0 else 0.0)) * recent_share(now - title)
    return level


def _saffron(budget: Budget, history: Sequence[Finished]) -> float:
    """Return the level of SAFFRON (Ramdas, Zrnic, Wainwright and Jordan 2018)."""
    cheap = [each.p <= budget.candidate for each in history]
    return min(budget.candidate, _rewarded(budget, history, cheap, share=1 - budget.candidate))


def _rewarded(budget: Budget, history: Sequence[Finished], cheap: Sequence[bool], *, share: float) -> float:
    """Return the sum of what the start and each title still give, each counted in tests that were not cheap since.

    With `cheap` the titles themselves it is alpha investing (Foster and Stine 2008) as Ramdas et al. 2018 write it.
    """
    now, start = len(history) + 1, budget.rate / 2 if budget.wealth is None else budget.wealth
    total = start * power_share(now - sum(cheap))
    for number, title in enumerate(_titles(history)):
        place = now - title - sum(cheap[title:])
        total += (budget.rate - (start if number == 0 else 0.0)) * power_share(place)
    return share * total


def _titles(history: Sequence[Finished]) -> list[int]:
    """Return the places of the challenges that won, from 1."""
    return [place for place, each in enumerate(history, start=1) if each.accepted]
