import gc
import itertools
import math
import weakref

import pytest
import torch
from torch import nn

from hpsearch.errors import DataError, DivergedError, HpsearchError, SealedSplitError, UnknownNameError
from hpsearch.experiment.layout import BEST, CHECKPOINT
from hpsearch.records import Decision, Goal, Monitor
from hpsearch.seeds import Seeds
from hpsearch.training.checkpoint import load, load_weights
from hpsearch.training.loop import evaluate_split, fit
from hpsearch.training.random_state import seed_everything
from hpsearch.training.settings import Evaluate, TrainSettings
from hpsearch.training.task import Splits, TensorData
from tests.training.toy import MONITOR, SEEDS, LineTask, NetTask, Recorder, draw, line_splits, numbers

CPU = torch.device("cpu")


def train(task, settings=None, *, report=None, splits=None, seeds=SEEDS, monitor=MONITOR, folder=None):
    return fit(
        task,
        splits or line_splits(),
        settings or TrainSettings(epochs=3, batch_size=4),
        seeds=seeds,
        monitor=monitor,
        report=report or Recorder(),
        folder=folder,
        device="cpu",
    )


def test_it_learns_the_line(tmp_path):
    result = train(LineTask(), TrainSettings(epochs=30, batch_size=4, learning_rate=0.1), folder=tmp_path)
    model = nn.Linear(1, 1)
    load_weights(model, tmp_path / BEST)
    assert result.best_value < 0.05
    assert model.weight.item() == pytest.approx(2.0, abs=0.1)
    assert model.bias.item() == pytest.approx(-1.0, abs=0.1)


def test_the_evaluation_says_everything():
    result = train(LineTask())
    assert set(result.evaluations[0].metrics) == {
        "train/loss",
        "train/error",
        "train/size",
        "val/loss",
        "learning_rate",
        "gradient_norm",
        "gradient_norm_max",
        "examples_per_second",
        "epoch",
    }
    assert [item.step for item in result.evaluations] == [1, 2, 3]
    assert result.decision is Decision.CONTINUE
    assert (result.step, result.epochs, result.stopped_early) == (3, 3.0, False)


def test_the_training_loss_is_the_mean_over_items():
    settings = TrainSettings(epochs=1, batch_size=4, learning_rate=1e-30)
    result = train(LineTask(), settings)
    torch.manual_seed(SEEDS.initialisation)
    model = LineTask().build_model()
    whole = LineTask().loss(model, line_splits()["train"].batch(range(22)), LineTask.scalars)
    for name, value in whole.items():
        assert result.evaluations[0].metrics[f"train/{name}"] == pytest.approx(value.item(), rel=1e-5)


@pytest.mark.parametrize(
    ("evaluate", "steps"),
    [
        (Evaluate(epochs=2), [2, 4, 5]),
        (Evaluate(epochs=9), [5]),
        (Evaluate(steps=4), [4, 8, 12, 15]),
        (Evaluate(steps=5), [5, 10, 15]),
        (Evaluate(steps=99), [15]),
    ],
)
def test_evaluations_come_when_due_and_at_the_end(evaluate, steps):
    result = train(LineTask(), TrainSettings(epochs=5, batch_size=4, accumulate=2, evaluate=evaluate))
    assert [item.step for item in result.evaluations] == steps
    assert result.evaluations[-1].metrics["epoch"] == 5.0


def test_evaluating_more_often_does_not_change_the_training(tmp_path):
    class Noisy(NetTask):
        def evaluate(self, forward, batches):
            return {**super().evaluate(forward, batches), "noise": sum(draw())}

    for steps in (1, 6):
        settings = TrainSettings(epochs=2, batch_size=4, evaluate=Evaluate(steps=steps))
        train(Noisy(augmented=True), settings, folder=tmp_path / str(steps))
    one, six = (load(tmp_path / name / CHECKPOINT)["model"] for name in ("1", "6"))
    assert all(torch.equal(one[name], six[name]) for name in one)


@pytest.mark.parametrize("decision", [Decision.PRUNE, Decision.PAUSE, Decision.TIME_OUT])
def test_the_answer_to_a_report_ends_the_training(decision):
    result = train(LineTask(), report=Recorder({2: decision}))
    assert result.decision is decision
    assert len(result.evaluations) == result.step == 2


def test_the_last_evaluation_says_that_none_follows():
    assert [item.final for item in train(LineTask()).evaluations] == [False, False, True]
    stopping = TrainSettings(epochs=9, batch_size=4, early_stopping={"patience": 1, "minimum_gain": 100.0})
    assert [item.final for item in train(LineTask(), stopping).evaluations] == [False, True]
    assert not train(LineTask(), report=Recorder({2: Decision.PRUNE})).evaluations[-1].final


@pytest.mark.parametrize("ema", [None, 0.9])
def test_the_result_holds_the_last_weights_that_were_scored(ema):
    result = train(LineTask(), TrainSettings(epochs=2, batch_size=4, ema=ema))
    scores = evaluate_split(LineTask(), line_splits(), "val", result.model, batch_size=4, device=CPU)
    assert scores["loss"] == result.evaluations[-1].metrics["val/loss"]


def test_the_answer_to_the_last_report_is_not_acted_on():
    assert train(LineTask(), report=Recorder({3: Decision.PRUNE})).decision is Decision.CONTINUE


def test_same_seeds_same_numbers_and_each_seed_counts():
    task = NetTask(augmented=True)
    first = numbers(train(task).evaluations)
    assert numbers(train(task).evaluations) == first
    for name in ("initialisation", "order", "augmentation"):
        other = Seeds(**{**SEEDS.model_dump(), name: 12345})
        assert numbers(train(task, seeds=other).evaluations) != first, name


def test_best_is_the_best_and_its_weights_score_so(tmp_path):
    class Bumpy(NetTask):
        """Its score follows the evaluations' number: best at the third."""

        calls = itertools.count(1)

        def evaluate(self, forward, batches):
            return {**super().evaluate(forward, batches), "score": -abs(next(self.calls) - 3)}

    monitor = Monitor("val/score", Goal.MAXIMIZE)
    settings = TrainSettings(epochs=5, batch_size=4, ema=0.9)
    result = train(Bumpy(), settings, monitor=monitor, folder=tmp_path)
    assert (result.best_step, result.best_value) == (3, 0.0)
    model = NetTask().build_model()
    assert load_weights(model, tmp_path / BEST) == {"step": 3, "metric": "val/score", "value": 0.0}
    scores = evaluate_split(NetTask(), line_splits(), "val", model, batch_size=4, device=CPU)
    assert scores["loss"] == pytest.approx(result.evaluations[2].metrics["val/loss"], rel=1e-6)


def test_the_test_split_is_never_asked_for():
    asked = []
    sealed = line_splits()

    def load_split(split):
        asked.append(split)
        return sealed[split]

    train(LineTask(), splits=Splits(load_split, sealed=True))
    assert set(asked) == {"train", "val"}
    with pytest.raises(SealedSplitError):
        evaluate_split(LineTask(), sealed, "test", nn.Linear(1, 1), batch_size=4, device=CPU)
    opened = evaluate_split(LineTask(), sealed.view(sealed=False), "test", nn.Linear(1, 1), batch_size=4, device=CPU)
    assert set(opened) == {"loss"}


class Exploding(LineTask):
    """Its loss is not finite from a certain step on."""

    def __init__(self, value, *, step=3, through_gradient=False):
        self.value = value
        self.remaining = step - 1
        self.through_gradient = through_gradient

    def loss(self, forward, batch, scalars):
        parts = super().loss(forward, batch, scalars)
        self.remaining -= 1
        if self.remaining >= 0:
            return parts
        if self.through_gradient:
            return {"loss": parts["loss"] + (forward.bias - forward.bias.detach()).abs().sum().sqrt()}
        return {"loss": parts["loss"] * self.value}


@pytest.mark.parametrize("value", [math.nan, math.inf])
def test_a_loss_that_is_not_finite_is_a_divergence_at_its_step(value):
    with pytest.raises(DivergedError, match=f"the loss became {value} at optimizer step 3"):
        train(Exploding(value))


def test_a_gradient_that_is_not_finite_names_the_parameter():
    with pytest.raises(DivergedError, match=r"gradient norm became .* at optimizer step 3 .*'bias'"):
        train(Exploding(0.0, through_gradient=True))


def test_fp16_bears_overflow_but_not_for_ever_and_not_in_the_loss():
    settings = TrainSettings(epochs=20, batch_size=4, precision="fp16")
    with pytest.raises(DivergedError, match=r"at optimizer step 50 .* 50 steps in a row.*'bias'"):
        train(Exploding(0.0, through_gradient=True), settings, splits=line_splits(24))
    with pytest.raises(DivergedError, match="the loss became nan at optimizer step 3"):
        train(Exploding(math.nan), settings)


def test_a_monitored_metric_that_is_not_finite_is_a_divergence():
    class Broken(LineTask):
        def evaluate(self, forward, batches):
            return {"loss": math.nan, "other": math.inf}

    report = Recorder()
    with pytest.raises(DivergedError, match="val/loss became nan at optimizer step 6"):
        train(Broken(), report=report)
    assert report.seen == []


def test_an_unknown_metric_lists_the_known():
    with pytest.raises(UnknownNameError, match="did you mean 'val/loss'"):
        train(LineTask(), monitor=Monitor("val/los", Goal.MINIMIZE))


@pytest.mark.parametrize("empty", ["train", "val"])
def test_an_empty_split_is_named(empty):
    full = line_splits()
    splits = Splits(
        lambda split: TensorData(x=torch.zeros(0, 1), y=torch.zeros(0, 1)) if split == empty else full[split],
        sealed=True,
    )
    with pytest.raises(DataError, match=f"'{empty}' has no examples"):
        train(LineTask(), splits=splits)


def test_a_device_that_is_not_there():
    with pytest.raises(HpsearchError, match="this machine has: cpu"):
        fit(
            LineTask(),
            line_splits(),
            TrainSettings(device="cuda:77"),
            seeds=SEEDS,
            monitor=MONITOR,
            report=Recorder(),
        )


def test_frozen_parts_stay_in_eval_mode_and_the_rest_trains():
    modes = []

    class PartlyFrozen(NetTask):
        def build_model(self):
            model = super().build_model()
            model[1].eval()
            return model

        def loss(self, forward, batch, scalars):
            modes.append((forward.training, forward[1].training, forward[3].training))
            return super().loss(forward, batch, scalars)

    train(PartlyFrozen())
    assert set(modes) == {(True, False, True)}


def global_state():
    return (
        torch.get_default_dtype(),
        torch.is_grad_enabled(),
        torch.are_deterministic_algorithms_enabled(),
        torch.is_deterministic_algorithms_warn_only_enabled(),
        torch.backends.cudnn.deterministic,
        torch.backends.cudnn.benchmark,
        torch.utils.deterministic.fill_uninitialized_memory,
    )


class Rude(NetTask):
    """Leaves global state behind, and notes the mode that it trains in."""

    def build_model(self):
        torch.set_default_dtype(torch.float64)
        torch.set_default_dtype(torch.float32)
        self.deterministic = torch.are_deterministic_algorithms_enabled()
        return super().build_model()

    def evaluate(self, forward, batches):
        torch.set_default_dtype(torch.float64)
        draw()
        return super().evaluate(forward, batches)


@pytest.mark.parametrize("deterministic", [True, False])
def test_the_process_is_afterwards_as_before(deterministic, monkeypatch):
    monkeypatch.delenv("CUBLAS_WORKSPACE_CONFIG", raising=False)
    seed_everything(5)
    expected = draw()
    seed_everything(5)
    before = global_state()
    task = Rude()
    train(task, TrainSettings(epochs=1, batch_size=4, deterministic=deterministic))
    assert task.deterministic is deterministic
    assert global_state() == before
    with pytest.raises(DivergedError):
        train(Exploding(math.nan))
    assert global_state() == before
    assert draw() == expected


def test_a_caller_without_gradients_can_train():
    with torch.no_grad():
        assert train(LineTask()).step == 3
        assert not torch.is_grad_enabled()


@pytest.mark.parametrize("ends", ["well", "diverged", "killed"])
def test_models_are_freed(ends):
    models = []

    class Watched(Exploding):
        def build_model(self):
            model = super().build_model()
            models.append(weakref.ref(model))
            return model

    task = Watched(math.nan, step=3 if ends == "diverged" else 10**9)
    report = Recorder({1: RuntimeError("killed")} if ends == "killed" else {})
    try:
        train(task, TrainSettings(epochs=1, batch_size=4, ema=0.9), report=report)
    except (DivergedError, RuntimeError):
        assert ends != "well"
    report.answers.clear()
    gc.collect()
    assert [model() for model in models] == [None]
