"""Experiment folders as a coordinator and its workers write them, without any training."""

from pathlib import Path
from typing import Any

from hpsearch.experiment.events import AskEvent, BeginEvent, EndEvent, OutcomeEvent, ReportEvent, SessionEvent
from hpsearch.experiment.files import json_line, write_json
from hpsearch.experiment.layout import (
    BASELINES_RUN,
    BEST,
    CONFIG,
    LOG,
    METRICS,
    RESOLVED,
    RESULT,
    SPACE,
    STUDY,
    replicate_run,
    trial_run,
)
from hpsearch.experiment.log import Log
from hpsearch.records import Outcome
from hpsearch.tracking.mlflow.sink import mlflow_mirror
from hpsearch.tracking.shelf import mirrors_of

BEST_TRIAL = 1
UNFINISHED_TRIAL = len(Outcome) + 1
STEPS = 4


class ExperimentFolder:
    """An experiment that a test lets grow event by event."""

    def __init__(self, folder: Path, *, identity: str = "e-1") -> None:
        self.path = folder
        folder.mkdir(parents=True)
        (folder / SPACE).write_text("family: line\n")
        write_json(
            folder / RESOLVED,
            {
                "version": 1,
                "id": identity,
                "space": {
                    "family": "line",
                    "objective": {"metric": "val/loss", "goal": "minimize", "at": "best"},
                    "search": {"sampler": "random"},
                },
                "versions": {"hpsearch": "0.1.0", "torch": "2.9.0"},
                "git": {"commit": "c0ffee", "dirty": False},
                "machine": {"cpus": 2},
                "seed": 5,
            },
        )
        self.log = Log(folder / LOG)
        self.log.append(SessionEvent(version=1, host="here"))

    def ask(self, run: str, number: int, *, config: dict[str, Any] | None = None, **fields: Any) -> AskEvent:
        """Decide on a configuration, and write it into the run's folder."""
        params = {"train.learning_rate": 10.0**-number}
        config = {"train": {"learning_rate": 10.0**-number, "epochs": STEPS}, "data": {"sizes": [1, 2]}} | (
            config or {}
        )
        (self.path / run).mkdir(parents=True)
        write_json(self.path / run / CONFIG, {"config": config, "params": params})
        event = self.log.append(AskEvent(run=run, number=number, params=params, seed=100 + number, **fields))
        self.log.append(BeginEvent(run=run, attempt=1))
        return event

    def row(self, run: str, step: int, **metrics: float) -> None:
        """Write one row of a run's metrics."""
        entry = {"step": step, "seconds": step / 10, "train/loss": 1 / step} | metrics
        with (self.path / run / METRICS).open("ab") as file:
            file.write(json_line(entry))

    def evaluate(self, run: str, step: int, metric: float, *, value: float | None = None, at: int = 0) -> None:
        """Write a row of metrics, and report the objective to the search: by default the metric of this step."""
        self.row(run, step, **{"val/loss": metric})
        value = metric if value is None else value
        event = ReportEvent(run=run, step=step, metric=metric, value=value, at=at or step, seconds=step / 10)
        self.log.append(event)

    def end(self, run: str, outcome: Outcome, value: float | None = None, **fields: Any) -> OutcomeEvent:
        """Let a run end, with a checkpoint when it has a value."""
        if value is not None:
            (self.path / run / BEST).write_bytes(f"checkpoint of {run}".encode())
        fields = {"step": None if value is None else 2, "seconds": STEPS / 10} | fields
        return self.log.append(OutcomeEvent(run=run, outcome=outcome, value=value, **fields), durable=True)

    def trial(self, number: int, outcome: Outcome | None, values: tuple[float, ...]) -> str:
        """Run a whole trial that reports these values; without an outcome it is interrupted."""
        run = trial_run(number)
        self.ask(run, number)
        for step, metric in enumerate(values, start=1):
            best = min(values[:step])
            self.evaluate(run, step, metric, value=best, at=values.index(best) + 1)
        if outcome:
            self.end(run, outcome, min(values) if outcome is Outcome.COMPLETE else None, reason=f"why {outcome}")
        return run


def sync(folder: Path, uri: str | None = None) -> None:
    """Do what `hpsearch sync` does."""
    mirror = mlflow_mirror(folder, uri)
    mirror.catch_up(final=True)
    mirror.close()


class StudyFolder:
    """A study's folder with the arms `a` and `b` and a baseline; arms are begun when a test asks for them."""

    def __init__(self, folder: Path) -> None:
        self.path = folder
        folder.mkdir(parents=True)
        arms = {"a": {"family": "line"}, "b": {"family": "line"}, "floor": {"baseline": "sloreta", "beside": "a"}}
        plan = {
            "question": "Is a better than b?",
            "metric": {"name": "test/loss", "goal": "minimize"},
            "seed": 5,
            "arms": arms,
        }
        write_json(
            folder / STUDY,
            {"version": 1, "first": plan, "latest": plan, "file": "/home/me/is-a-better.yaml"}
            | {"changes": [], "looks": [], "id": "s-1", "created": 1000.5},
        )

    def begin(self, arm: str) -> ExperimentFolder:
        return ExperimentFolder(self.path / arm, identity=f"e-{arm}")

    def finish(self, arm: str) -> ExperimentFolder:
        folder = self.begin(arm)
        folder.trial(0, Outcome.PRUNED, (0.9,))
        folder.trial(BEST_TRIAL, Outcome.COMPLETE, (0.8, 0.2))
        grow_confirmation(folder)
        return folder

    def answer(self, answer: str = "a is better than b.", *, time: float = 2e9, n: int = 2) -> None:
        """Write a report and the result."""
        report = self.path.parent / "reports" / self.path.name
        (report / "figures").mkdir(parents=True, exist_ok=True)
        (report / "report.md").write_text(f"# {answer}", encoding="utf-8")
        (report / "figures" / "scores.svg").write_text("<svg/>", encoding="utf-8")
        means = {"a": 0.8, "b": 0.9, "floor": None}
        arms = [{"name": name, "n": n, "mean": mean} for name, mean in means.items()]
        files = {"folder": str(report), "files": ["figures/scores.svg", "report.md"], "time": time + 1}
        write_json(
            self.path / RESULT,
            {"version": 1, "answer": answer, "confirmatory": True, "time": time, "report": files}
            | {"comparison": {"metric": "test/loss", "experiments": arms}},
        )


def sync_study(folder: Path, uri: str | None = None) -> None:
    """Do what `hpsearch sync` does with a study."""
    for mirror in mirrors_of("mlflow", folder, uri):
        mirror.catch_up(final=True)
        mirror.close()


def grow_search(folder: ExperimentFolder) -> None:
    """Trials with every outcome, the second complete one the best, and one that is interrupted."""
    others = [outcome for outcome in Outcome if outcome is not Outcome.COMPLETE]
    folder.trial(0, Outcome.COMPLETE, (0.9, 0.5, 0.6, 0.7))
    folder.trial(BEST_TRIAL, Outcome.COMPLETE, (0.8, 0.2, 0.3, 0.4))
    for number, outcome in enumerate(others, start=2):
        folder.trial(number, outcome, (0.9, float("nan") if outcome is Outcome.DIVERGED else 0.1))
    folder.trial(UNFINISHED_TRIAL, None, (0.7,))


def grow_shortly(folder: ExperimentFolder) -> None:
    """The smallest experiment that has everything: two ended trials, one that goes on, replicates and a baseline."""
    folder.trial(0, Outcome.PRUNED, (0.9, 0.5))
    folder.trial(BEST_TRIAL, Outcome.COMPLETE, (0.8, 0.2))
    folder.trial(2, None, (0.7,))
    grow_confirmation(folder)


def grow_confirmation(folder: ExperimentFolder) -> None:
    """Two replicates of the best trial, and a baseline."""
    for replicate in range(2):
        run = replicate_run(BEST_TRIAL, replicate)
        folder.ask(run, BEST_TRIAL, replicate=replicate)
        folder.evaluate(run, 1, 0.25)
        folder.end(run, Outcome.COMPLETE, 0.25, step=1, scores={"test/loss": 0.3 + replicate})
    run = f"{BASELINES_RUN}/sloreta"
    folder.log.append(AskEvent(run=run, number=BEST_TRIAL, params={}, seed=1))
    scores = {"val/auc": 0.7, "test/auc": 0.6}
    folder.log.append(OutcomeEvent(run=run, outcome=Outcome.COMPLETE, seconds=0.5, scores=scores))
    folder.log.append(EndEvent(why="finished"))
