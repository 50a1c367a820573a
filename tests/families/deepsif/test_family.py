import subprocess
import sys

import pytest
import torch
from pydantic import ValidationError

from hpsearch.errors import SealedSplitError
from hpsearch.families.deepsif.family import FAMILY, DeepSIF
from hpsearch.families.deepsif.settings import DeepSIFConfig, Transformer
from hpsearch.records import Monitor
from hpsearch.seeds import Seeds
from hpsearch.training.task import Splits
from tests.small_eeg import SMALL_EEG

DATA = {
    "electrodes": 32,
    "regions": 128,
    "samples": 64,
    "rate": 125,
    "clips": 64,
    "examples": {"train": 800, "val": 100, "test": 100},
    "patches": {"smallest": 2, "largest": 6},
}


def open_splits(data, *, sealed):
    return Splits(lambda split: DeepSIF().load(data, split, 0), sealed=sealed)


def test_the_settings_need_no_torch():
    code = "import sys, hpsearch.families.deepsif.family as f; f.DeepSIFConfig(); print('torch' in sys.modules)"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "False"


def test_the_defaults_are_those_of_the_paper_and_the_seed():
    config = DeepSIFConfig()
    assert (config.data.electrodes, config.data.regions, config.data.samples, config.data.rate) == (75, 994, 500, 500)
    assert config.loss.model_dump() == {"reconstruction": 1.0, "sparsity": 0.01, "temporal_smoothness": 0.001}
    assert config.train.learning_rate * config.train.schedule.floor == pytest.approx(1e-6)
    assert (config.train.batch_size, config.train.clip_norm, config.train.early_stopping.patience) == (16, 1.0, 15)


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"model": {"temporal": {"transformer": {"width": 100, "heads": 8}}}}, "multiple of the number of heads"),
        ({"model": {"temporal": {"transformer": {"positions": 499}}}}, "too few for clips of 500"),
        ({"augmentation": {"max_shift": 500}}, "empties clips"),
        ({"loss": {"sparsity": -1}}, "greater than or equal"),
        ({"model": {"temporal": "gru"}}, "gru"),
    ],
)
def test_configurations_that_do_not_fit_are_refused(changes, message):
    with pytest.raises(ValidationError, match=message):
        DeepSIFConfig.model_validate(changes)


def test_a_branch_is_named_with_or_without_settings():
    short = DeepSIFConfig.model_validate({"model": {"temporal": "transformer"}})
    assert short.model.temporal == Transformer()


def test_every_metric_is_listed_and_every_listed_one_is_scored():
    config = DeepSIFConfig.model_validate({"data": SMALL_EEG, "model": {"spatial_width": 8, "temporal": "lstm"}})
    splits = open_splits(config.data, sealed=True)
    task = FAMILY().task(config, splits)
    with torch.no_grad():
        scores = task.evaluate(task.build_model(), [splits["val"].batch(range(4))])
    assert scores.keys() == FAMILY.metrics.keys()
    baselines = FAMILY().baselines(config, splits, "val")
    assert baselines.keys() == {"minimum_norm", "sloreta"}
    assert all(row.keys() == FAMILY.metrics.keys() for row in baselines.values())


def test_the_test_split_stays_sealed():
    config = DeepSIFConfig.model_validate({"data": SMALL_EEG})
    splits = open_splits(config.data, sealed=True)
    DeepSIF().task(config, splits)
    with pytest.raises(SealedSplitError):
        DeepSIF().baselines(config, splits, "test")


@pytest.mark.slow
@pytest.mark.parametrize(
    ("temporal", "rate"),
    [({"lstm": {"layers": 1}}, 8e-3), ({"transformer": {"layers": 1, "width": 64, "heads": 4, "dropout": 0.05}}, 4e-3)],
)
def test_a_few_epochs_beat_the_classical_methods(temporal, rate, tmp_path):
    from hpsearch.records import Decision, Goal
    from hpsearch.training.loop import evaluate_split, fit

    config = DeepSIFConfig.model_validate(
        {
            "data": DATA,
            "model": {"spatial_width": 128, "temporal": temporal},
            "augmentation": {"max_shift": 1},
            "train": {"epochs": 8, "batch_size": 32, "learning_rate": rate, "device": "cpu"},
        }
    )
    splits = open_splits(config.data, sealed=False)
    task = DeepSIF().task(config, splits)
    monitor = Monitor("val/dice", Goal.MAXIMIZE)
    result = fit(
        task,
        splits,
        config.train,
        seeds=Seeds.for_trial(0, 0),
        monitor=monitor,
        report=lambda _: Decision.CONTINUE,
        folder=tmp_path,
    )
    assert result.best_value > 0.3
    scores = evaluate_split(task, splits, "test", result.model, batch_size=32, device=torch.device("cpu"))
    for name, floor in DeepSIF().baselines(config, splits, "test").items():
        assert scores["precision"] > 1.5 * floor["precision"], name
        assert scores["spatial_dispersion"] < 0.9 * floor["spatial_dispersion"], name
        assert scores["dice"] > 1.3 * floor["dice"], name
