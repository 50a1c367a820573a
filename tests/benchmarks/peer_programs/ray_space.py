"""The problems' spaces in Ray Tune's words, and what its results say."""

from typing import TYPE_CHECKING, Any

from ray import tune

from tests.benchmarks.peer_programs.searching import Ended
from tests.benchmarks.peer_programs.trainings import PROBLEMS

if TYPE_CHECKING:
    from ray.tune import ResultGrid


def space_of(problem: str) -> dict[str, Any]:
    """Return the space; it has no branches, so that `base` is drawn for every configuration."""
    space: dict[str, Any] = {}
    for name, (kind, *given) in PROBLEMS[problem].space.items():
        if kind == "int":
            space[name] = tune.qrandint(*given) if given[2] > 1 else tune.randint(given[0], given[1] + 1)
        elif kind == "log":
            space[name] = tune.loguniform(*given)
        else:
            space[name] = tune.choice(given)
    return space


def fixed(problem: str) -> list[dict[str, Any]]:
    """Return the fixed configurations, each with a `base`."""
    return [{"base": 1e4, **config} for config in PROBLEMS[problem].fixed]


def ended(problem: str, results: "ResultGrid") -> list[Ended]:
    """Return what each trial came to."""
    metric, found = PROBLEMS[problem].metric, []
    for result in results:
        assert result.error is None, result.error
        frame = result.metrics_dataframe
        found.append(Ended(float(frame[metric].min()), len(frame), float(frame["timestamp"].max())))
    return found
