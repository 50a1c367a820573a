"""The real training of a population's members: copies go on from their donors' weights, and winners are replayed."""

import json
from pathlib import Path
from typing import Any

import pytest

from hpsearch.experiment.events import Event, ExploitEvent, Notice
from hpsearch.experiment.layout import BEST, CHECKPOINT, CONFIG
from hpsearch.experiment.reading import read_experiment, read_metrics
from hpsearch.jobs import ConfigChange, Ending, Job, Report
from hpsearch.records import Decision, Moment, Outcome, RunRecord
from hpsearch.running.loading import load_space
from hpsearch.running.objective import FamilyObjective
from hpsearch.running.runner import RunOptions, run
from hpsearch.training.checkpoint import load
from tests.toy_family import ToyConfig
from tests.toy_spaces import FAMILY

SEEDS = {"initialisation": 1, "order": 2, "augmentation": 3, "split": 4}
SPACE = """\
family: {family}:Toy
objective: {{metric: val/loss, at: best}}
search: {{sampler: random, pruner: {{pbt: {{interval: 2, quantile: 0.5}}}}, trials: 4, workers: 1, seed: 1}}
model: {{width: {{int: [1, 3]}}}}
train:
  epochs: 6
  learning_rate: {{log: [1e-3, 1], mutable: true}}
  weight_decay: {{float: [0, 0.5], mutable: true}}
confirm: {{top: 1, seeds: 2}}
"""


def config(rate: float, decay: float = 0.0) -> dict[str, Any]:
    train = {"epochs": 6, "batch_size": 8, "learning_rate": rate, "weight_decay": decay}
    return ToyConfig.model_validate({"train": train}).model_dump(mode="json")


def change(step: int, rate: float, decay: float = 0.0) -> ConfigChange:
    return ConfigChange(step, {"train.learning_rate": rate}, config(rate, decay))


class Heard:
    """A report that keeps what it hears, and answers at one step otherwise than CONTINUE."""

    def __init__(self, step: int = 0, decision: Decision = Decision.PAUSE) -> None:
        self.reports: list[Report] = []
        self._step = step
        self._decision = decision

    def __call__(self, report: Report | Moment) -> Decision:
        if isinstance(report, Moment):
            return Decision.CONTINUE
        self.reports.append(report)
        return self._decision if report.step == self._step else Decision.CONTINUE

    @property
    def rates(self) -> dict[int, float]:
        return {report.step: report.metrics["learning_rate"] for report in self.reports}

    @property
    def losses(self) -> dict[int, float]:
        return {report.step: report.metrics["val/loss"] for report in self.reports}


def train(folder: Path, job: Job, heard: Heard) -> Outcome | None:
    objective = FamilyObjective(
        folder=str(folder),
        family=f"{FAMILY}:Toy",
        family_folder=str(FAMILY.parent),
        metric="val/loss",
        goal="minimize",
        at_best=True,
        threads=1,
        share=None,
    )
    result = objective(job, heard, lambda: None)
    return result.outcome if isinstance(result, Ending) else None


def job(*changes: ConfigChange) -> Job:
    return Job("trials/0000", 0, {"train.learning_rate": 0.1}, config(0.1), SEEDS, changes=changes)


def test_a_job_is_trained_stretch_by_stretch(tmp_path: Path) -> None:
    heard = Heard()
    assert train(tmp_path, job(change(2, 0.2), change(4, 0.05, 0.3)), heard) is Outcome.COMPLETE
    assert heard.rates == {1: 0.1, 2: 0.1, 3: 0.2, 4: 0.2, 5: 0.05, 6: 0.05}
    groups = load(tmp_path / "trials/0000" / CHECKPOINT)["optimizer"]["param_groups"]
    assert [group["weight_decay"] for group in groups] == [0.3, 0.0]


def test_up_to_a_change_a_training_is_as_without_it(tmp_path: Path) -> None:
    plain, changed = Heard(), Heard()
    train(tmp_path / "plain", job(), plain)
    train(tmp_path / "changed", job(change(3, 0.2)), changed)
    steps = [step for step in range(1, 7) if plain.losses[step] == changed.losses[step]]
    assert steps == [1, 2, 3]


@pytest.mark.parametrize("step", range(1, 6))
def test_paused_anywhere_it_goes_on_as_if_it_had_not_been(step: int, tmp_path: Path) -> None:
    schedule = job(change(2, 0.2), change(4, 0.05))
    whole, rest = Heard(), Heard()
    train(tmp_path / "whole", schedule, whole)
    assert train(tmp_path / "paused", schedule, Heard(step)) is None
    assert train(tmp_path / "paused", schedule, rest) is Outcome.COMPLETE
    assert rest.losses == whole.losses
    assert rest.rates == whole.rates


def test_a_member_goes_on_from_a_checkpoint_of_the_stretch_before(tmp_path: Path) -> None:
    train(tmp_path, job(), Heard(2))
    heard = Heard()
    assert train(tmp_path, job(change(2, 0.4)), heard) is Outcome.COMPLETE
    assert heard.rates == {1: 0.1, 2: 0.1, 3: 0.4, 4: 0.4, 5: 0.4, 6: 0.4}


def test_a_lost_checkpoint_costs_time_and_nothing_else(tmp_path: Path) -> None:
    schedule = job(change(2, 0.2), change(4, 0.05))
    whole, again = Heard(), Heard()
    train(tmp_path, schedule, whole)
    (tmp_path / schedule.run / CHECKPOINT).unlink()
    train(tmp_path, schedule, again)
    assert again.losses == whole.losses


@pytest.mark.parametrize("decision", [Decision.PRUNE, Decision.TIME_OUT])
def test_a_decision_at_a_change_is_obeyed(decision: Decision, tmp_path: Path) -> None:
    heard = Heard(2, decision)
    assert train(tmp_path, job(change(2, 0.2)), heard) in (Outcome.PRUNED, Outcome.TIMED_OUT)
    assert [report.step for report in heard.reports] == [1, 2]


class Witness:
    """Compares, at the moment of every exploit, the files of the copy with those of its donor."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self.compared = 0

    def observe(self, event: Event | Notice) -> None:
        if not isinstance(event, ExploitEvent):
            return
        self.compared += 1
        for name in (CHECKPOINT, BEST):
            copy, donor = (self._folder / run / name for run in (event.run, event.donor))
            assert copy.read_bytes() == donor.read_bytes()
        assert load(self._folder / event.run / CHECKPOINT)["progress"]["epoch"] == event.step


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A search whose winner has changed, with its confirmation."""
    root = tmp_path_factory.mktemp("population")
    (root / "toy.yaml").write_text(SPACE.format(family=FAMILY), encoding="utf-8")
    witness = Witness(root / "toy")
    run(load_space(root / "toy.yaml"), folder=root / "toy", options=RunOptions(in_process=True, observers=[witness]))
    assert witness.compared == 4  # two of four at each of two barriers
    return root / "toy"


def trials(folder: Path) -> dict[str, RunRecord]:
    return {trial.run: trial for trial in read_experiment(folder).trials}


def stored(folder: Path, run: str) -> dict[str, Any]:
    content: dict[str, Any] = json.loads((folder / run / CONFIG).read_text(encoding="utf-8"))
    return content


def test_a_copy_has_its_donors_evaluations(folder: Path) -> None:
    found = trials(folder)
    copies = [trial for trial in found.values() if trial.changes and trial.changes[-1].step == 4]
    assert copies
    for copy in copies:
        donor = found[copy.changes[-1].donor]
        own = [row["val/loss"] for row in read_metrics(folder, copy.run)]
        assert own[:4] == [row["val/loss"] for row in read_metrics(folder, donor.run)][:4]
        assert own[4:] != [row["val/loss"] for row in read_metrics(folder, donor.run)][4:]


def test_value_step_and_best_weights_belong_together(folder: Path) -> None:
    for trial in trials(folder).values():
        best = load(folder / trial.run / BEST)
        assert (best["value"], best["step"]) == (trial.value, trial.step)


def test_the_newest_settings_are_those_of_the_optimizer(folder: Path) -> None:
    for trial in trials(folder).values():
        groups = load(folder / trial.run / CHECKPOINT)["optimizer"]["param_groups"]
        assert groups[0]["weight_decay"] == trial.params["train.weight_decay"]
        assert groups[0]["lr"] == trial.params["train.learning_rate"]


def test_a_winner_is_confirmed_by_replaying_its_schedule(folder: Path) -> None:
    record = read_experiment(folder)
    assert record.best is not None
    changes = record.best.changes
    assert changes, "choose another seed: the winner of this search has not changed"
    taken = [changes[0].before, *(change.params for change in changes)]
    for replicate in record.replicates:
        assert replicate.outcome is Outcome.COMPLETE
        assert stored(folder, replicate.run)["changes"] == stored(folder, record.best.run)["changes"]
        for row in read_metrics(folder, replicate.run):
            number = sum(change.step < row["step"] for change in changes)
            assert row["learning_rate"] == taken[number]["train.learning_rate"]
