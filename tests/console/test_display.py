"""What the display knows of a session before it begins."""

from pathlib import Path

import pytest

from hpsearch.console.display import ConsoleOptions, _target, _whereabouts
from hpsearch.experiment.activity import locked
from hpsearch.experiment.layout import LOG
from hpsearch.experiment.log import Log
from hpsearch.experiment.reading import read_experiment
from hpsearch.jobs import ObjectiveSpec
from hpsearch.running.loading import load_space
from hpsearch.running.session import SessionResult
from hpsearch.workers.coordinator import StopReason
from hpsearch.workers.engines import EngineContext, open_workers
from tests.experiment_factory import GrowingExperiment
from tests.toy_spaces import write_space


@pytest.mark.parametrize(
    ("overrides", "count"),
    [
        ([], 4),
        (["search.resources.processes=2"], 2),
        (["search.resources.trials_per_gpu=2"], 6),
        (["search.workers=3", "search.resources.processes=2"], 3),
    ],
)
def test_workers_are_counted_as_the_engine_counts_them(
    overrides: list[str], count: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The time that is left follows from their number."""
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "0,1,2,3")
    space = load_space(write_space(tmp_path, workers="auto", trials=6), overrides=overrides)
    with locked(tmp_path) as hold:
        context = EngineContext(tmp_path, Log(tmp_path / LOG), space, ObjectiveSpec("", {}), hold.descriptor, jobs=6)
        workers = open_workers(context)
        assert workers.idle == count
        workers.close()
    assert _target(space, tmp_path, ConsoleOptions()).workers == count


@pytest.mark.parametrize(
    ("overrides", "unit", "length"),
    [
        ([], "epoch", 3),
        (["train.evaluate.steps=5"], "step", None),
        (["train.steps=20", "train.evaluate.steps=5"], "step", 20),
        (["train.steps=20"], "epoch", None),
    ],
)
def test_the_length_of_a_training_is_in_the_unit_of_its_evaluations(
    overrides: list[str], unit: str, length: int | None, tmp_path: Path
) -> None:
    space = load_space(write_space(tmp_path), overrides=overrides)
    target = _target(space, tmp_path, ConsoleOptions())
    assert (target.unit, target.length(space.example)) == (unit, length)


@pytest.mark.parametrize(
    ("trials", "confirmed", "can", "why", "commands"),
    [
        (1, True, True, StopReason.FINISHED, ["compare line", "export line models/line --to model"]),
        (1, False, True, StopReason.FINISHED, ["show line", "confirm line"]),
        (1, False, False, StopReason.FINISHED, ["show line", "export line models/line --to model"]),
        (0, False, True, StopReason.FINISHED, ["show line", "doctor line"]),
        (1, False, True, StopReason.INTERRUPTED, ["show line"]),
    ],
)
def test_the_end_says_where_everything_is_and_two_commands(
    trials: int,
    confirmed: bool,
    can: bool,
    why: StopReason,
    commands: list[str],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.chdir(tmp_path)
    experiment = GrowingExperiment(Path("experiments/line"))
    for number in range(trials):
        experiment.trial(number, (0.5,))
    if confirmed:
        experiment.replicate(0, 0, {"test/auc": 0.81})
    said = _whereabouts(SessionResult(read_experiment(experiment.folder), why), exported=True, confirmed=can)
    assert said == [f"Everything is in {experiment.folder}. Next:", *(f"  hpsearch {each}" for each in commands)]
