"""Which metric is compared, and in which direction it improves, where the user does not say."""

import re
from collections.abc import Mapping, Sequence
from itertools import pairwise

from hpsearch.comparing.directions import direction_of
from hpsearch.errors import HpsearchError, UnknownNameError
from hpsearch.records import FinishedRun, Goal

_CLOCK = {
    *("step", "steps", "epoch", "epochs", "iter", "iteration", "iterations", "batch", "batches", "time", "timestamp"),
    *("second", "seconds", "sec", "minutes", "hours", "runtime", "duration", "elapsed"),
}
_OF_CLOCKS = {
    *("fit", "score", "mean", "avg", "predict", "inference", "loading", "gpu", "cpu"),
    *("global", "total", "num", "n", "current", "best", "last", "this", "since", "restore", "wall", "s", "ms", "per"),
    *("train", "training", "trainer", "val", "validation", "eval", "test", "samples", "examples", "tokens", "size"),
}
"""Words that may stand beside one of the clock's: `global_step`, `eval_samples_per_second`, `score_time`."""


def is_score(name: str) -> bool:
    """Say whether a logged number may be what a run is judged by: no learning rate, no counter of steps, no time."""
    words = re.findall(r"[a-z]+", name.lower())
    rate = "lr" in words or ("learning", "rate") in pairwise(words)
    clock = not _CLOCK.isdisjoint(words) and set(words) <= _CLOCK | _OF_CLOCKS
    return not (rate or clock)


def choose_metric(runs: Sequence[FinishedRun], main: Sequence[str], wanted: str | None) -> str:
    """Return the wanted metric; else what the origins say they are about; else the only one that there is.

    Learning rates, counters of steps and times are metrics only where they are wanted, or where there is nothing else.
    Errors: UnknownNameError for a metric that no run has; HpsearchError when several could be meant.
    """
    known = dict.fromkeys(name for run in runs for name in run.metrics)
    if wanted is not None:
        if wanted not in known:
            raise UnknownNameError("metric", wanted, known)
        return wanted
    if len(main) == 1 and main[0] in known:
        return main[0]
    scores = [name for name in known if is_score(name)] or list(known)
    if len(scores) == 1:
        return scores[0]
    if not known:
        raise HpsearchError("no run has a metric")
    about = "the sources are about different metrics" if len(main) > 1 else "the runs have several metrics"
    raise HpsearchError(f"{about}: choose one with --metric; known: {', '.join(sorted(scores))}")


def choose_goal(
    metric: str, told: Mapping[str, Goal], wanted: Goal | None, *, disputed: Mapping[str, str] | None = None
) -> Goal:
    """Return the wanted goal; else what the origins told; else what the metric's name says.

    `disputed` has the metrics about which the origins contradict each other, with who says what.

    Raises:
        HpsearchError: If the metric is disputed, or its name leaves the goal open.

    """
    if wanted is not None:
        return wanted
    if disputed and metric in disputed:
        raise HpsearchError(
            f"the sources contradict each other about '{metric}', which cannot be compared in two directions: "
            f"{disputed[metric]}. Compare those that agree, choose another --metric, or say --goal"
        )
    return told[metric] if metric in told else direction_of(metric)


def goal_warnings(
    metric: str, goal: Goal, told: Mapping[str, Goal], *, disputed: Mapping[str, str] | None = None
) -> tuple[str, ...]:
    """Say where a goal that was asked for is not what the origins told."""
    if disputed and metric in disputed:
        return (f"{metric} is taken to {goal}, as asked for; the sources contradict each other: {disputed[metric]}",)
    if told.get(metric, goal) is not goal:
        return (f"{metric} is taken to {goal}, as asked for; its source says {told[metric]}",)
    return ()
