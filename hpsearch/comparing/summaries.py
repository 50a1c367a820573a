"""One arm described: mean, spread, interval."""

import numpy as np

from hpsearch.comparing.arms import Arm
from hpsearch.comparing.comparison import ExperimentSummary
from hpsearch.comparing.designs import size_ratio
from hpsearch.comparing.question import Unit
from hpsearch.comparing.statistics.arrays import as_array, is_constant, size_of
from hpsearch.comparing.statistics.datasets import interquartile_mean
from hpsearch.comparing.statistics.folds import corrected_t
from hpsearch.comparing.statistics.intervals import LEVEL, mean_interval
from hpsearch.comparing.statistics.inversion import by_student
from hpsearch.comparing.units import label, mean


def summarise(arm: Arm, *, unit: Unit, seed: int) -> ExperimentSummary:
    """Return the summary over the units; of a search's trials, which are no sample, without an interval."""
    trials = unit is Unit.TRIAL or not arm.observations
    used = (*arm.observations, *arm.trials) if trials else arm.observations
    if trials:
        named = [(each.run.run, each.value) for each in used]
    else:
        named = [(label(key), mean(cells.values())) for key, cells in arm.cells.items()]
    values = as_array([value for _, value in named])
    seconds = [each.run.seconds for each in used if each.run.seconds is not None]
    summary = {
        "units": tuple(name for name, _ in named),
        "values": tuple(values.tolist()),
        "runs": tuple(each.run.run for each in used),
        "steps": arm.steps,
        "seconds": sum(seconds) if seconds else None,
    }
    if not len(values):
        return ExperimentSummary(arm.name, 0, runs_dropped=arm.dropped)
    interval, how = None, None
    if not trials and len(values) > 1 and not is_constant(values, scale=size_of(values)):
        interval, how = _interval(arm, values, unit, seed)
    return ExperimentSummary(
        name=arm.name,
        n=len(values),
        mean=float(np.mean(values)),
        sd=float(np.std(values, ddof=1)) if len(values) > 1 else None,
        median=float(np.median(values)),
        iqm=interquartile_mean(values),
        minimum=float(np.min(values)),
        maximum=float(np.max(values)),
        ci95=interval,
        ci_method=how,
        runs_dropped=arm.dropped,
        **summary,  # type: ignore[arg-type]
    )


def _interval(arm: Arm, values: "np.ndarray", unit: Unit, seed: int) -> tuple[tuple[float, float] | None, str | None]:
    if unit is not Unit.FOLD:
        return mean_interval(values, seed=seed)
    known = size_ratio(arm)
    if known is None:
        return None, None
    tested = corrected_t(values, test_to_train=known[0])  # folds overlap: the plain interval is too short
    return by_student(tested, float(np.mean(values))).at(LEVEL), "t"
