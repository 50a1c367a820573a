"""The rules of a challenge, fixed before its first training: its level, its seeds, what is worth finding."""

import math
from collections.abc import Sequence

from hpsearch.comparing.statistics.online import Budget, Finished, Method, next_level
from hpsearch.comparing.statistics.sequential import (
    Judgement,
    Noise,
    Plan,
    fewest_pairs,
    judge,
    pooled_noise,
    smallest_found,
)
from hpsearch.errors import HpsearchError
from hpsearch.referee.ledger import Challenge, Decision, SeedNoise, Terms, Title


def planned(
    title: Title, contender: int, *, note: str = "", worth: float | None = None, most: int | None = None
) -> Challenge:
    """Return the next challenge of a title with its rules, which follow from the ledger.

    Raises:
        HpsearchError: Nothing could be accepted by these rules.
    """
    noise = noise_of(title)
    if worth is not None and not title.terms.margin < worth < math.inf:
        raise HpsearchError(
            f"--worth={worth:g}: an improvement worth finding is larger than the margin, {title.terms.margin:g}"
        )
    new = Challenge(
        number=len(title.challenges) + 1,
        contender=contender,
        champion=title.reign.champion,
        reign=title.reign.number,
        level=next_level(budget_of(title.terms), history_of(title)),
        margin=title.terms.margin,
        most=most or title.terms.most,
        worth=worth,
        noise=None if noise is None else SeedNoise(sd=noise.sd, df=noise.df),
        measured=max(len(title.measured(title.reign)), 1),
        note=note,
    )
    if fewest_pairs(plan_of(title.terms, new)) is None:
        raise HpsearchError(
            f"{new.most} seeds can never be the evidence of {1 / new.level:.4g} that the error budget asks for: allow "
            "more with --most"
        )
    return new


def budget_of(terms: Terms) -> Budget:
    """Return the error budget of a title."""
    return Budget(rate=terms.rate, method=Method(terms.method), expected=terms.expected)


def history_of(title: Title) -> list[Finished]:
    """Return the challenges that have used some of the budget, in their order; one that is open has not won."""
    found = []
    for number in title.challenges:
        verdict = title.verdicts.get(number)
        accepted = verdict is not None and verdict.decision is Decision.ACCEPTED
        evidence = (verdict.evidence if verdict else None) or 1.0
        found.append(Finished(accepted, min(1.0, 1 / evidence)))
    return found


def noise_of(title: Title) -> Noise | None:
    """Return the noise over seeds, from the champions' values; None where they do not differ."""
    return pooled_noise([title.noise_sample(each) for each in title.reigns])


def plan_of(terms: Terms, opened: Challenge) -> Plan:
    """Return the rules of a challenge as the statistics have them."""
    noise = None if opened.noise is None else Noise(opened.noise.sd, opened.noise.df)
    return Plan(
        level=opened.level, goal=terms.goal, margin=opened.margin, most=opened.most, worth=opened.worth, noise=noise,
        measured=opened.measured,
    )  # fmt: skip


def judged(title: Title, opened: Challenge, champion: Sequence[float], challenger: Sequence[float]) -> Judgement:
    """Return what the pairs of a challenge say, by its rules."""
    measured = title.measured(title.reigns[opened.reign])
    return judge(plan_of(title.terms, opened), champion, challenger, measured=measured)


def sees_more(title: Title, opened: Challenge, *, worth: float | None, most: int | None) -> bool:
    """Whether a plan has more seeds than a challenge had, or looks for a smaller improvement."""
    if (most or title.terms.most) > opened.most or worth is None:
        return (most or title.terms.most) > opened.most
    before = smallest_found(plan_of(title.terms, opened)) if opened.worth is None else opened.worth
    return before is None or worth < before


def told(opened: Challenge) -> str:
    """Return the rules of a challenge, as the end of a sentence."""
    worth = "" if opened.worth is None else f", for an improvement of {opened.worth:g}"
    return f": at most {opened.most} seeds{worth}"


def require_same(opened: Challenge, *, worth: float | None, most: int | None) -> None:
    """Refuse other rules for a challenge that has begun.

    Raises:
        HpsearchError: Another `worth` or `most` is asked for.
    """
    for name, asked, own in (("worth", worth, opened.worth), ("most", most, opened.most)):
        if asked is not None and asked != own:
            raise HpsearchError(
                f"--{name}={asked:g}: challenge {opened.number} was interrupted, and goes on by the rules it began "
                f"with{told(opened)}; leave --{name} out, and ask again with it when that is decided"
            )
