import subprocess
import sys

import pytest
import torch
from pydantic import ValidationError

from hpsearch.families.decode.family import FAMILY, Decode
from hpsearch.families.decode.settings import DecodeConfig
from hpsearch.records import Decision, Goal, Monitor
from hpsearch.seeds import Seeds
from hpsearch.training.loop import evaluate_split, fit
from hpsearch.training.task import Splits
from tests.small_movies import SMALL_MOVIES


def test_the_settings_need_no_torch_and_no_scipy():
    code = (
        "import sys, hpsearch.families.decode.family as f; f.DecodeConfig(); print({'torch', 'scipy'} & {*sys.modules})"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "set()"


def test_the_defaults_are_those_of_the_paper_and_the_seed():
    config = DecodeConfig()
    assert (config.data.size, config.data.emitters.photons, config.data.emitters.lifetime) == (40, 10_000, 2)
    assert (config.model.features, config.model.frame_depth, config.model.activation) == (48, 2, "elu")
    assert (config.train.learning_rate, config.train.clip_norm, config.train.optimizer.kind) == (5e-4, 1.0, "adamw")
    assert config.train.optimizer.epsilon == 1e-8
    assert (config.train.warmup.epochs, config.train.warmup.start) == (10, 1e-5)
    assert config.train.schedule.model_dump(include={"kind", "plateau_patience", "plateau_factor", "floor_rate"}) == {
        "kind": "adaptive",
        "plateau_patience": 50,
        "plateau_factor": 0.7,
        "floor_rate": 1e-6,
    }
    assert DecodeConfig.model_validate({"loss": "per_pixel"}).loss.weights.model_dump() == {
        "probability": 1,
        "photons": 1,
        "x": 1,
        "y": 1,
        "z": 1,
        "background": 0.5,
    }


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"data": {"size": 18}}, "18 pixels cannot be halved 2 times"),
        ({"augmentation": {"turns": True}, "data": {"emitters": {"depth": [-100, 700]}}}, "symmetric"),
        ({"loss": {"per_pixel": {"weights": {"prob": 1}}}}, "prob"),
        ({"loss": {"per_pixel": {"weights": [1, 1, 1, 1, 1, 0.5]}}}, "ChannelWeights"),
    ],
)
def test_configurations_that_do_not_fit_are_refused(changes, message):
    with pytest.raises(ValidationError, match=message):
        DecodeConfig.model_validate(changes)


def test_a_round_spot_may_be_turned_at_any_depth():
    DecodeConfig.model_validate(
        {"augmentation": {"turns": True}, "data": {"point_spread": "round", "emitters": {"depth": [0, 700]}}}
    )


def test_the_fit_has_every_score_but_a_loss():
    config = DecodeConfig.model_validate({"data": SMALL_MOVIES})
    splits = Splits(lambda split: Decode().load(config.data, split, 0), sealed=True)
    (scores,) = Decode().baselines(config, splits, "val").values()
    assert scores.keys() == FAMILY.metrics.keys() - {"loss"}


@pytest.mark.slow
@pytest.mark.parametrize("loss", ["mixture", "per_pixel"])
def test_a_few_epochs_beat_the_fit(loss, tmp_path):
    """Molecules overlap: three in 1.6 micrometres squared, some nearly a micrometre wide."""
    config = DecodeConfig.model_validate(
        {
            "data": {
                "size": 16,
                "frames": {"train": 1000, "val": 100, "test": 100},
                "background": [20, 60],
                "labelled_photons": 500,
                "emitters": {"per_frame": 3, "photons_sd": 2000, "depth": [-500, 500]},
            },
            "model": {"frame_depth": 1, "union_depth": 1, "features": 8},
            "loss": loss,
            "augmentation": {"flips": True, "turns": True},
            "train": {
                "epochs": 6,
                "batch_size": 16,
                "learning_rate": 4e-3,
                "schedule": "cosine",
                "warmup": {"epochs": 1},
                "device": "cpu",
            },
        }
    )
    splits = Splits(lambda split: Decode().load(config.data, split, 0), sealed=False)
    task = Decode().task(config, splits)
    result = fit(
        task,
        splits,
        config.train,
        seeds=Seeds.for_trial(0, 0),
        monitor=Monitor("val/efficiency", Goal.MAXIMIZE),
        report=lambda _: Decision.CONTINUE,
        folder=tmp_path,
    )
    scores = evaluate_split(task, splits, "test", result.model, batch_size=50, device=torch.device("cpu"))
    floor = Decode().baselines(config, splits, "test")["gaussian_fit"]
    assert scores["jaccard"] > max(0.5, floor["jaccard"])
