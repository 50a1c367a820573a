"""From the ledger of a title to what the referee answers: a decision, the history, what a challenge would cost."""

import math
import statistics
from collections.abc import Iterator, Sequence

from hpsearch.comparing.statistics.arrays import as_array
from hpsearch.comparing.statistics.intervals import mean_interval
from hpsearch.comparing.statistics.online import Method, next_level
from hpsearch.comparing.statistics.sequential import Plan, power, smallest_found
from hpsearch.referee.challenge import Ended, seconds_each
from hpsearch.referee.ledger import MOST, Challenge, Decision, Opening, Reign, Title, Verdict
from hpsearch.referee.opening import worth_of
from hpsearch.referee.rules import budget_of, history_of, judged, noise_of, plan_of
from hpsearch.referee.shapes import (
    Answer,
    BudgetLeft,
    Chance,
    Crowned,
    History,
    NoiseFloor,
    Opened,
    Pair,
    PlanAnswer,
    Quoted,
    TestScores,
    Told,
)
from hpsearch.referee.snapshot import changed_packages

_NAMED = 5
"""The most packages, or files, that are named."""


def answer_of(ended: Ended) -> Answer:
    """Return the answer of a challenge that has ended."""
    title, opened, verdict = ended.title, ended.challenge, ended.verdict
    decision, reason = _now(title, opened, verdict)
    pairs = tuple(_pairs(title, opened, verdict.seeds))
    return Answer(
        title=title.terms.name,
        metric=title.terms.metric,
        goal=title.terms.goal,
        decision=decision,
        reason=reason,
        challenge=opened.number,
        contender=opened.contender,
        against=opened.champion,
        note=opened.note,
        from_ledger=ended.again,
        advice=_advice(title, opened, verdict),
        warnings=tuple(_warnings(title, opened, verdict.seeds)),
        outcome=verdict.outcome,
        estimate=verdict.estimate,
        interval=verdict.interval,
        margin=opened.margin,
        evidence=verdict.evidence,
        needed=1 / opened.level,
        level=opened.level,
        pairs=pairs,
        seeds_used=len(pairs),
        seeds_left=opened.most - len(pairs),
        budget=budget_left(title),
        noise=noise_floor(title),
        champion=crowned(title, title.reign),
    )


def _now(title: Title, opened: Challenge, verdict: Verdict) -> tuple[Decision, str]:
    """Return the decision as it stands now: who has lost the title since is not accepted any more."""
    if verdict.decision is not Decision.ACCEPTED or title.reign.champion == opened.contender:
        return verdict.decision, verdict.reason
    after = next(each for each in title.reigns if each.challenge == opened.number).number + 1
    by = title.reigns[after].challenge
    return Decision.REJECTED, f"It won the title in challenge {opened.number} and lost it in challenge {by}."


def _warnings(title: Title, opened: Challenge, seeds: Sequence[int]) -> Iterator[str]:
    """Yield what makes champion and challenger less comparable."""
    champion, challenger = title.contenders[opened.champion], title.contenders[opened.contender]
    if champion.data != challenger.data:
        yield "The two were trained on different data: their scores compare only on the same validation examples."
    if opened.over not in (None, opened.champion):
        yield (
            f"Contender {opened.champion} won the title while this challenge waited: the challenger was made from "
            f"contender {opened.over}, without what won."
        )
    if changed := challenger.looks_changed(champion):
        yield f"This is no part of the code, and has changed since the champion came: {_some(changed)}."
    told: set[tuple[str, str]] = set()
    for seed in seeds:
        pair = [title.trained[who.number, opened.reign, seed].environment for who in (champion, challenger)]
        before, after = pair
        if before is None or after is None or before == after or (before, after) in told:
            continue
        told.add((before, after))
        changed = changed_packages(title.folder, before, after)
        yield f"The packages changed between the two trainings on seed {seed}: {_some(changed)}."


def _some(names: Sequence[str]) -> str:
    more = f" and {len(names) - _NAMED} more" if len(names) > _NAMED else ""
    return f"{', '.join(names[:_NAMED])}{more}"


def _advice(title: Title, opened: Challenge, verdict: Verdict) -> str:
    """Return what could be asked next where seeds have not shown what they may yet show; else an empty text."""
    if verdict.decision not in (Decision.REJECTED, Decision.UNDECIDED) or verdict.estimate is None:
        return ""
    most = min(2 * opened.most, MOST)
    written = [f"{verdict.estimate:.{digits}g}" for digits in (2, 3, 6)]
    worth = next((each for each in written if float(each) > opened.margin), None)
    differ = len({(pair.champion, pair.challenger) for pair in _pairs(title, opened, verdict.seeds)}) > 1
    if worth is None or most == opened.most or (len(verdict.seeds) > 1 and not differ):
        return ""
    return (
        f"It leads by {verdict.estimate:.3g}, which this plan could hardly show: `--worth {worth} "
        f"--most {most}` asks again, with what was trained and the next share of the error budget."
    )


def _pairs(title: Title, opened: Challenge, seeds: Sequence[int]) -> list[Pair]:
    found = []
    for seed in seeds:
        theirs = title.trained[opened.champion, opened.reign, seed].value
        ours = title.trained[opened.contender, opened.reign, seed].value
        if theirs is not None and ours is not None:
            found.append(Pair(seed=seed, champion=theirs, challenger=ours))
    return found


def budget_left(title: Title) -> BudgetLeft:
    """Return what is left of the error budget."""
    terms = title.terms
    level = next_level(budget_of(terms), history_of(title))
    return BudgetLeft(
        method=terms.method,
        rate=terms.rate,
        promise=Method(terms.method).promise,
        challenges=len(title.challenges),
        next_level=level,
    )


def noise_floor(title: Title) -> NoiseFloor:
    """Return the noise over seeds and the differences that seeds can show."""
    noise = noise_of(title)
    if noise is None:
        df = sum(max(len(title.noise_sample(each)) - 1, 0) for each in title.reigns)
        return NoiseFloor(sd=None, df=df, smallest={})
    known = {str(k): smallest_shown(noise.sd, k) for k in sorted({2, 3, 5, title.terms.most})}
    return NoiseFloor(sd=noise.sd, df=noise.df, smallest=known)


def smallest_shown(sd: float, seeds: int) -> float:
    """Return the smallest difference of two configurations that k pairs of seeds show: (z.975 + z.8) sd sqrt(2 / k).

    The normal approximation, with independent noise of equal size on both sides: a floor, not a promise.
    """
    normal = statistics.NormalDist()
    return (normal.inv_cdf(0.975) + normal.inv_cdf(0.8)) * sd * math.sqrt(2 / seeds)


def quoted(title: Title, reign: Reign) -> Quoted:
    """Return what may be quoted of a reign's champion."""
    values = title.measured(reign)
    tried = sum((reign.champion, reign.number, seed) in title.trained for seed in range(title.terms.measured))
    several = len(values) > 1
    return Quoted(
        mean=statistics.fmean(values) if values else None,
        interval=mean_interval(as_array(values), seed=0)[0] if several and len(set(values)) > 1 else None,
        sd=statistics.stdev(values) if several else None,
        seeds=len(values),
        failed=tried - len(values),
    )


def crowned(title: Title, reign: Reign) -> Crowned:
    """Return a reign as it is told."""
    contender = title.contenders[reign.champion]
    opened = title.challenges.get(reign.challenge or 0)
    verdict = title.verdicts.get(reign.challenge or 0)
    return Crowned(
        reign=reign.number,
        contender=contender.number,
        since=reign.since,
        challenge=reign.challenge,
        note=opened.note if opened else "",
        by=contender.by,
        snapshot=contender.snapshot,
        revision=contender.revision,
        overrides=contender.overrides,
        won_by=verdict.estimate if verdict else None,
        evidence=verdict.evidence if verdict else None,
        quoted=quoted(title, reign),
    )


def history_of_title(title: Title) -> History:
    """Return the history of a title."""
    terms = title.terms
    return History(
        title=terms.name,
        metric=terms.metric,
        goal=terms.goal,
        margin=terms.margin,
        most=terms.most,
        budget=budget_left(title),
        noise=noise_floor(title),
        champion=crowned(title, title.reign),
        reigns=tuple(crowned(title, each) for each in title.reigns),
        challenges=tuple(_told(title, each) for each in title.challenges.values()),
        openings=tuple(opened_of(title, each) for each in title.openings.values()),
    )


def opened_of(title: Title, opening: Opening) -> Opened:
    """Return an opening of the test split as it is told."""
    return Opened(
        title=title.terms.name,
        number=opening.number,
        time=opening.time,
        first=opening.first,
        present=opening.present,
        seeds=opening.seeds,
        worth=worth_of(opening.number),
        result=None if opening.result is None else TestScores.model_validate(opening.result),
    )


def _told(title: Title, opened: Challenge) -> Told:
    verdict = title.verdicts.get(opened.number)
    seeds = verdict.seeds if verdict else _trained_so_far(title, opened)
    return Told(
        number=opened.number,
        time=opened.time,
        contender=opened.contender,
        against=opened.champion,
        note=opened.note,
        by=title.contenders[opened.contender].by,
        decision=verdict.decision if verdict else None,
        reason=verdict.reason if verdict else _so_far(title, opened, seeds),
        outcome=verdict.outcome if verdict else None,
        estimate=verdict.estimate if verdict else None,
        interval=verdict.interval if verdict else None,
        evidence=verdict.evidence if verdict else None,
        level=opened.level,
        seeds_used=len(seeds),
    )


def _trained_so_far(title: Title, opened: Challenge) -> tuple[int, ...]:
    both = (opened.champion, opened.contender)
    return tuple(
        seed
        for seed in range(opened.most)
        if all((known := title.trained.get((who, opened.reign, seed))) and known.value is not None for who in both)
    )


def _so_far(title: Title, opened: Challenge, seeds: Sequence[int]) -> str:
    if not seeds:
        return "Open: there is no pair of trainings yet."
    pairs = _pairs(title, opened, seeds)
    found = judged(title, opened, [p.champion for p in pairs], [p.challenger for p in pairs])
    return found.reason


def plan_answer(title: Title, opened: Challenge, *, known: Answer | None) -> PlanAnswer:
    """Return what a challenge would cost, and what it could find."""
    plan, seeds = plan_of(title.terms, opened), range(opened.most)
    champions, own = (
        sum((who, opened.reign, seed) not in title.trained for seed in seeds)
        for who in (opened.champion, opened.contender)
    )
    found = smallest_found(plan)
    effects = {0.0, title.terms.margin, *(each for each in (found, opened.worth) if each is not None)}
    return PlanAnswer(
        title=title.terms.name,
        level=opened.level,
        margin=opened.margin,
        most=opened.most,
        worth=opened.worth,
        noise=noise_floor(title),
        smallest_found=found,
        trainings=own,
        trainings_of_the_champion=champions,
        seconds_each=seconds_each(title),
        power=tuple(_chance(plan, effect) for effect in sorted(effects)) if plan.noise is not None else (),
        known=known,
    )


def _chance(plan: Plan, effect: float) -> Chance:
    found = power(plan, effect)
    return Chance(
        effect=effect, accepted=found.accepted, rejected=found.rejected, undecided=found.undecided, pairs=found.pairs
    )
