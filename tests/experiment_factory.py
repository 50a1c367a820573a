"""Experiment folders with several kinds of parameters, grown event by event as a coordinator writes them."""

import random
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import Field

from hpsearch.experiment.events import (
    AskEvent,
    BeginEvent,
    Event,
    ExploitEvent,
    Notice,
    OutcomeEvent,
    ReportEvent,
    SessionEvent,
)
from hpsearch.experiment.files import append_json_line, write_json
from hpsearch.experiment.layout import BASELINES_RUN, LOG, METRICS, RESOLVED, SPACE, replicate_run, trial_run
from hpsearch.experiment.log import Log
from hpsearch.experiment.reading import read_experiment
from hpsearch.records import ExperimentRecord, Goal, Outcome
from hpsearch.settings import UNFOLD, Option, Settings
from hpsearch.space import Space, read_space
from hpsearch.workers.ledger import Observer

METRIC = "val/auc"
TEXT = """\
family: curves
objective: {metric: val/auc, at: best}
search: {trials: 60}
model:
  width: {choice: [128, 256]}
  layers: {int: [1, 8]}
  kernels: {choice: [[3, 3], [5, 5]]}
  position: {choice: {learned: {}, rope: {base: {log: [1e3, 1e5]}}}}
train:
  learning_rate: {log: [1e-5, 1e-1]}
  epochs: 4
"""


class Learned(Option):
    kind: Literal["learned"] = "learned"


class Rope(Option):
    kind: Literal["rope"] = "rope"
    base: float = 1e4


class Model(Settings):
    width: int = 128
    layers: int = 2
    kernels: list[int] = [3, 3]  # noqa: RUF012 -- pydantic copies defaults
    position: Annotated[Learned | Rope, Field(discriminator="kind"), UNFOLD] = Learned()


class Train(Settings):
    learning_rate: float = 1e-3
    epochs: int = 4


class Config(Settings):
    model: Model = Model()
    train: Train = Train()


class Curves:
    """What a space needs to know of a family; nothing here trains."""

    Config = Config
    metrics: Mapping[str, Goal] = {"auc": Goal.MAXIMIZE}

    def objections(self, configuration: Mapping[str, Any]) -> Mapping[str, str]:
        """Find nothing."""
        del configuration
        return {}


def curves_space(folder: Path, text: str = TEXT) -> Space:
    path = folder / "curves.yaml"
    path.write_text(text, encoding="utf-8")
    return read_space(path, lambda _name, _path: Curves())


class GrowingExperiment:
    """An experiment folder that a test lets grow; `observers` hear every event as they would from a coordinator."""

    def __init__(self, folder: Path, *, observers: Sequence[Observer] = (), text: str = TEXT) -> None:
        folder.mkdir(parents=True)
        self.folder = folder
        self.observers = list(observers)
        self.space = curves_space(folder, text)
        (folder / SPACE).write_text(text, encoding="utf-8")
        resolved = {"version": 1, "id": "e-1", "space": self.space.resolved(), "seed": self.space.search.seed}
        write_json(folder / RESOLVED, resolved)
        self.log = Log(folder / LOG)
        self.emit(SessionEvent(version="0.1.0", host="here"))

    @property
    def record(self) -> ExperimentRecord:
        return read_experiment(self.folder)

    def emit(self, event: Event | Notice) -> None:
        shown = event if isinstance(event, Notice) else self.log.append(event)
        for observer in self.observers:
            observer.observe(shown)

    def ask(self, run: str, number: int, params: Mapping[str, Any], **fields: Any) -> None:
        (self.folder / run).mkdir(parents=True)
        self.emit(AskEvent(run=run, number=number, params=dict(params), **{"seed": 100 + number} | fields))
        self.emit(BeginEvent(run=run, attempt=1))

    def report(self, run: str, step: int, metric: float, *, value: float, at: int, seconds: float) -> None:
        row = {"step": step, "seconds": seconds, METRIC: metric, "train/loss": 1 / step}
        append_json_line(self.folder / run / METRICS, row)
        self.emit(ReportEvent(run=run, step=step, metric=metric, value=value, at=at, seconds=seconds))

    def train(self, run: str, values: Sequence[float], *, seconds: float = 1.0) -> None:
        """Report values to be maximized, each `seconds` after the one before."""
        for step, metric in enumerate(values, start=1):
            best = max(values[:step])
            self.report(run, step, metric, value=best, at=values.index(best) + 1, seconds=step * seconds)

    def end(self, run: str, outcome: Outcome, values: Sequence[float] = (), **fields: Any) -> None:
        value = max(values) if values else None
        step = values.index(value) + 1 if value is not None else None
        entry = {"value": value, "step": step, "seconds": float(len(values))} | fields
        self.emit(OutcomeEvent(run=run, outcome=outcome, **entry))

    def trial(
        self,
        number: int,
        values: Sequence[float],
        *,
        outcome: Outcome | None = Outcome.COMPLETE,
        params: Mapping[str, Any] | None = None,
        **fields: Any,
    ) -> str:
        """Run a whole trial; without an outcome it is left running."""
        run = trial_run(number)
        self.ask(run, number, {"train.learning_rate": 10.0**-number} if params is None else params)
        self.train(run, values)
        if outcome is not None:
            self.end(run, outcome, values, **fields)
        return run

    def exploit(self, number: int, *, donor: int, step: int, params: Mapping[str, Any]) -> None:
        """Let a trial go on as a copy of another."""
        run, fields = trial_run(number), {"step": step, "donor": trial_run(donor), "params": dict(params)}
        self.emit(ExploitEvent(run=run, number=number, **fields))

    def replicate(self, number: int, replicate: int, scores: Mapping[str, float], **fields: Any) -> str:
        run = replicate_run(number, replicate)
        self.ask(run, number, {}, replicate=replicate)
        self.train(run, (0.5,))
        self.end(run, fields.pop("outcome", Outcome.COMPLETE), (0.5,), scores=dict(scores), **fields)
        return run

    def baseline(self, name: str, scores: Mapping[str, float]) -> None:
        run = f"{BASELINES_RUN}/{name}"
        self.emit(AskEvent(run=run, number=0, params={}, seed=1))
        self.emit(OutcomeEvent(run=run, outcome=Outcome.COMPLETE, seconds=1.0, scores=dict(scores)))


def grow_search(experiment: GrowingExperiment, *, trials: int = 30, seed: int = 0) -> None:
    """Trials of all kinds whose score hangs on the learning rate alone: the nearer to 1e-3, the better."""
    generator = random.Random(seed)
    others = [outcome for outcome in Outcome if outcome is not Outcome.COMPLETE]
    for number in range(trials):
        params = experiment.space.sample(generator)
        distance = abs(params["train.learning_rate"] ** 0.2 - 1e-3**0.2)
        values = [round(0.95 - distance - 0.2 / step + generator.uniform(0, 0.01), 6) for step in range(1, 5)]
        if number % 5 == 4:
            outcome = others[number // 5 % len(others)]
            values = values[:2]
            if outcome is Outcome.DIVERGED:
                values = [values[0], float("nan")]
            fields = {} if outcome is Outcome.PRUNED else {"value": None, "step": None, "reason": f"why it {outcome}"}
            experiment.trial(number, values, outcome=outcome, params=params, **fields)
        else:
            experiment.trial(number, values, params=params)


def grow_confirmation(experiment: GrowingExperiment) -> None:
    """Three replicates of the best trial, the last of them failed, and two baselines."""
    best = experiment.record.best
    assert best is not None
    experiment.replicate(best.number, 0, {"test/auc": 0.8, "test/loss": 0.25})
    experiment.replicate(best.number, 1, {"test/auc": 0.9, "test/loss": 0.75})
    experiment.replicate(best.number, 2, {}, outcome=Outcome.FAILED, reason="ValueError: no data")
    experiment.baseline("sloreta", {"val/auc": 0.7, "test/auc": 0.6})
    experiment.baseline("<i>minimum norm</i>", {"val/auc": 0.7, "test/auc": 0.5, "test/loss": 1.5})
