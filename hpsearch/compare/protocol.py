"""Which runs are compared with which, by which test, and why."""

from collections.abc import Sequence

from hpsearch.compare.comparison import Comparison, ExperimentSummary, Unit
from hpsearch.errors import HpsearchError, UnknownNameError
from hpsearch.records import FinishedRun, Goal

ADJUSTMENTS = ("holm", "hommel", "bh", "none")
UNITS = ("auto", *(str(unit) for unit in Unit))


def compare_runs(
    runs: Sequence[FinishedRun],
    *,
    metric: str,
    goal: Goal,
    unit: str = "auto",
    baseline: str | None = None,
    margin: float | None = None,
    alpha: float = 0.05,
    adjust: str = "holm",
    by: str | None = None,
    step: int | None = None,
    seed: int = 0,
) -> Comparison:
    """Compare the experiments that the runs belong to, or with `by` the groups that a parameter makes.

    `margin` is the smallest difference that matters, in the metric's unit: with it equivalence is tested. `baseline`
    names the experiment that the others are compared with, instead of all with all. `step` takes the metric at that
    step of every run's history.
    Errors: UnknownNameError for a metric, unit, baseline, adjustment or parameter that is not there.
    """
    if unit not in UNITS:
        raise UnknownNameError("unit", unit, UNITS)
    if adjust not in ADJUSTMENTS:
        raise UnknownNameError("adjustment", adjust, ADJUSTMENTS)
    if margin is not None and not margin > 0:
        raise HpsearchError(f"a margin must be above 0, not {margin}")
    names = dict.fromkeys(run.experiment for run in runs)
    return Comparison(  # the first slice: the tests come next
        metric=metric,
        goal=goal,
        unit=Unit.SEED,
        alpha=alpha,
        family_size=0,
        adjust=adjust,
        experiments=tuple(ExperimentSummary(name, 0) for name in names),
        pairs=(),
        baseline=baseline,
        margin=margin,
        seed=seed,
        unit_reason=f"{by} {step}",
    )
