"""Whose winner is taken: that of an experiment, or of the arm that a study's planned comparison puts first."""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from hpsearch.comparing.conclusion import listed
from hpsearch.errors import ExperimentError, HpsearchError, UnknownNameError
from hpsearch.experiment.layout import is_experiment, is_study
from hpsearch.experiment.reading import read_experiment
from hpsearch.experiment.studies import read_result
from hpsearch.records import Goal, RunRecord


@dataclass(frozen=True)
class Source:
    """The experiment whose winner is taken.

    Of a study also its folder, its result, the arm, the grounds on which it is taken, and whether the user named it.
    """

    folder: Path
    study: Path | None = None
    arm: str = ""
    grounds: str = ""
    named: bool = False
    result: Mapping[str, Any] | None = None

    @property
    def winner(self) -> RunRecord:
        """The experiment's best trial. Errors: HpsearchError when there is none."""
        best = read_experiment(self.folder).best
        if best is None:
            raise HpsearchError(f"{self.folder} has no complete trial yet, so there is no best one")
        return best

    @property
    def params(self) -> dict[str, Any]:
        """The values of the winner. Errors: HpsearchError when there is none, or they changed while it was trained."""
        best = self.winner
        if best.changes:
            raise HpsearchError(
                f"the settings of the best trial in {self.folder} changed while it was trained; `hpsearch confirm` "
                "trains its whole schedule"
            )
        return dict(best.params)


def find_source(path: Path, *, arm: str | None = None) -> Source:
    """Return the experiment that a path names: itself, or an arm of a study, by default the first of its comparison.

    Errors: ExperimentError for a study without a result; UnknownNameError for the arm; HpsearchError for an arm of what
    is no study.
    """
    if not is_study(path):
        if arm is not None:
            raise HpsearchError(f"--arm {arm}: {path} is not a study, so it has no arms")
        return Source(path)
    if arm is not None:
        return _named(path, arm)
    result = _result(path)
    if result is None:
        raise ExperimentError(
            f"the study {path} has no result yet, or has gone on since, so no arm is the first; run `hpsearch study` "
            "to its end, or choose one with --arm"
        )
    chosen = _first(result)
    return Source(path / chosen, path, chosen, _standing(result, chosen), result=result)


def _result(study: Path) -> Mapping[str, Any] | None:
    """Return the study's result, unless one of its searches has found a better winner since."""
    result = read_result(study)
    if result is None:
        return None
    for arm, winner in result["winners"].items():
        best = read_experiment(study / arm).best if is_experiment(study / arm) else None
        if best is not None and best.number != winner["trial"]:
            return None
    return result


def _named(path: Path, arm: str) -> Source:
    result = _result(path)
    arms = list(result["winners"]) if result else sorted(each.parent.name for each in path.glob("*/resolved.json"))
    if arm not in arms:
        raise UnknownNameError("searched arm", arm, arms)
    standing = f" {_standing(result, arm)}" if result else ""
    grounds = f"It was named with --arm, not chosen by its score.{standing}"
    return Source(path / arm, path, arm, grounds, named=True, result=result)


def _means(result: Mapping[str, Any]) -> dict[str, float]:
    """Return the mean test score of each searched arm that has one."""
    found = {each["name"]: each["mean"] for each in result["comparison"]["experiments"]}
    return {name: found[name] for name in result["winners"] if found.get(name) is not None}


def _first(result: Mapping[str, Any]) -> str:
    means, goal = _means(result), Goal(result["comparison"]["goal"])
    if not means:
        raise ExperimentError("no searched arm has a mean test score of its own; choose one with --arm")
    best = next(iter(means))
    for name, value in means.items():
        best = name if goal.better(value, means[best]) else best
    return best


def _standing(result: Mapping[str, Any], arm: str) -> str:
    """Say how the arm stands among the searched ones, and what of that the planned test has shown."""
    means, metric = _means(result), result["comparison"]["metric"]
    others = [name for name in means if name != arm]
    if arm not in means or not others:
        return f"It is the only arm that was searched and scored by {metric}."
    goal = Goal(result["comparison"]["goal"])
    above = [name for name in others if goal.better(means[name], means[arm])]
    said = f"It has the {_rank(len(above))} mean {metric} of {len(means)} searched arms ({means[arm]:.4g})."
    better = [name for name in others if _verdict(result, arm, name) == "better"]
    if len(better) == len(others):
        return f"{said} By the planned test it is better than {listed(others)}."
    open_ = [f"{name} ({_verdict(result, arm, name)})" for name in others if name not in better]
    shown = f" By the planned test it is better than {listed(better)}." if better else ""
    best = "" if above else ": it is nominally the best, not proven to be"
    return f"{said}{shown} That it is better than {listed(open_)} has not been shown{best}."


def _verdict(result: Mapping[str, Any], arm: str, other: str) -> str:
    """Return the planned test's verdict on the arm, as seen from it."""
    turned = {"better": "worse", "worse": "better"}
    for pair in result["comparison"]["pairs"]:
        verdict = str(pair["verdict"])
        if (pair["a"], pair["b"]) == (arm, other):
            return verdict
        if (pair["a"], pair["b"]) == (other, arm):
            return turned.get(verdict, verdict)
    return "not tested"


def _rank(above: int) -> str:
    names = ("best", "second best", "third best")
    return names[above] if above < len(names) else f"{above + 1}th best"
