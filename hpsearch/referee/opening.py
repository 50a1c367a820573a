"""The test split, which stays sealed through all challenges: opened for the first champion and the present one."""

import re
from collections.abc import Callable, Sequence
from pathlib import Path

from hpsearch.comparing.statistics.arrays import as_array, is_constant, size_of
from hpsearch.comparing.statistics.intervals import t_interval
from hpsearch.comparing.statistics.two_samples import paired_t
from hpsearch.errors import HpsearchError, SearchFailedError
from hpsearch.experiment.state import RunState
from hpsearch.records import Outcome
from hpsearch.referee.challenge import holding, measure
from hpsearch.referee.ledger import MOST, Contender, Ledger, Opening, Title
from hpsearch.referee.trainings import Trainings, Watch
from hpsearch.space import Space
from hpsearch.space.checks import no_test_split

_TEST = "test/"


def confirm(
    folder: Path, project: Path, *, seeds: int | None, watch: Watch, tell: Callable[[str], None]
) -> tuple[Title, Opening]:
    """Train the first champion and the present one on fresh seeds and score both on the test split.

    The opening is in the ledger before anybody can see a score. What was opened for a champion is not opened for it
    once more: the answer comes from the ledger.

    Raises:
        HpsearchError: The first champion is the present one, or there is no test split.
        SearchFailedError: Too few trainings came to a test score.
        InterruptedChallengeError: It was interrupted; the same call goes on.
    """
    with holding(folder, tell) as ledger:
        measure(ledger, project, watch)
        title = ledger.title
        first, present = title.contenders[title.reigns[0].champion], title.champion
        if first is present:
            has = "still has the title" if len(title.reigns) == 1 else "has won the title back"
            raise HpsearchError(
                f"the first champion of {title.terms.name} {has}: the test split would be opened for nothing"
            )
        known = next((each for each in title.openings.values() if each.present == present.number), None)
        if known is not None and known.result is not None:
            return title, known
        with Trainings(ledger, project, watch) as trainings:
            for contender in (first, present):
                if refusal := no_test_score(trainings.space(contender)):
                    raise HpsearchError(refusal)
            opening = known or _begun(ledger, first, present, seeds)
            if opening.number > 1:
                tell(worth_of(opening.number))
            for contender in (first, present):
                if not hasattr(trainings.space(contender).interface, "lacks_test"):  # a program, or a function
                    _require_score(title, trainings.tested(contender, opening.number, [0]))
            scored = [trainings.tested(each, opening.number, range(opening.seeds)) for each in (first, present)]
            result = _result(title, scored)
            ledger.write(opening.model_copy(update={"result": result}))
        return title, title.openings[opening.number]


def test_metric(metric: str) -> str:
    """Return the test score that belongs to a metric."""
    return _TEST + metric.removeprefix("val/")


def no_test_score(space: Space) -> str | None:
    """Explain why the trainings of a space cannot be scored on a test split, as far as that is known before them."""
    config = space.config({})
    pattern = getattr(getattr(config, "metrics", None), "pattern", None) if hasattr(config, "command") else None
    wanted = test_metric(space.objective.metric)
    group = wanted.replace("/", "__")
    if pattern is None or group in re.compile(pattern).groupindex:
        return no_test_split(space)
    return (
        f"the program's pattern {pattern!r} has no group {group}, so that {wanted} is never heard and `hpsearch "
        "champion confirm` has nothing to compare: a title whose program prints it, and whose pattern has that group, "
        "can be confirmed"
    )


def _require_score(title: Title, runs: Sequence[RunState]) -> None:
    """Stop after the first training where it tells no test score.

    Raises:
        SearchFailedError: It does not.
    """
    metric = _metric_of(title, [runs])
    for run in runs:
        if run.outcome is Outcome.COMPLETE and metric not in run.scores:
            raise SearchFailedError(
                f"the first training told no {metric}, the test score of {title.terms.metric}, so that the others were "
                "not begun: a program prints it, a function reports it"
            )


def worth_of(number: int) -> str:
    """Return what an opening of the test split is worth, in a sentence."""
    if number == 1:
        return "The first opening: nothing was chosen by these test scores, so they may be reported."
    return (
        f"Opening {number}: the test scores were seen {number - 1} times before, and what won the title since may have "
        "been chosen by them. The first opening is the one to report; this one needs fresh test data to count as much."
    )


def _begun(ledger: Ledger, first: Contender, present: Contender, seeds: int | None) -> Opening:
    number = len(ledger.title.openings) + 1
    opening = Opening(
        number=number,
        first=first.number,
        present=present.number,
        seeds=ledger.title.terms.measured if seeds is None else seeds,
    )
    ledger.write(opening)
    return opening


def _result(title: Title, scored: Sequence[Sequence[RunState]]) -> dict[str, object]:
    """Return the paired comparison on the test split, for the JSON of the ledger.

    Raises:
        SearchFailedError: Fewer than two pairs have a test score.
    """
    metric = _metric_of(title, scored)
    by_seed = [
        {(run.replicate or 0) % MOST: run.scores[metric] for run in runs if metric in run.scores} for runs in scored
    ]
    shared = [seed for seed in by_seed[0] if seed in by_seed[1]]
    first, present = ([scores[seed] for seed in shared] for scores in by_seed)
    if len(shared) < 2:
        ends = {f"{run.outcome}: {run.reason}" if run.reason else f"{run.outcome}" for runs in scored for run in runs}
        raise SearchFailedError(f"fewer than two seeds have a {metric} of both champions: {'; '.join(sorted(ends))}")
    gains = as_array([title.terms.goal.sign * (b - a) for a, b in zip(first, present, strict=True)])
    mean = float(gains.mean())
    result: dict[str, object] = {"metric": metric, "first": first, "present": present, "improvement": mean}
    if is_constant(gains, scale=size_of(as_array(first), as_array(present))):
        return {**result, "interval": None, "p": None}
    tested = paired_t(gains)
    low, high = t_interval(mean, tested.error or 0.0, len(gains) - 1)
    return {**result, "interval": [low, high], "p": tested.p}


def _metric_of(title: Title, scored: Sequence[Sequence[RunState]]) -> str:
    """Return the test score that belongs to the title's metric.

    Raises:
        SearchFailedError: No training has it.
    """
    metric = test_metric(title.terms.metric)
    known = sorted({name for runs in scored for run in runs for name in run.scores if name.startswith(_TEST)})
    if known and metric not in known:
        raise SearchFailedError(
            f"no training told {metric}, which belongs to {title.terms.metric}; told: {', '.join(known)}"
        )
    return metric
