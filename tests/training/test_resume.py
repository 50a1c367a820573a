"""A training that was killed or paused and went on is bit for bit the unbroken one."""

import itertools

import pytest

from hpsearch.errors import HpsearchError
from hpsearch.experiment.layout import CHECKPOINT, PREVIOUS
from hpsearch.records import Decision
from hpsearch.testing.families import TIMES, KilledError, assert_same_ending, differences  # noqa: F401 -- for others
from hpsearch.training.loop import fit
from hpsearch.training.random_state import seed_everything
from hpsearch.training.settings import EarlyStopping, Evaluate, TrainSettings, Warmup
from tests.training.toy import MONITOR, SEEDS, LineTask, NetTask, Recorder, draw, line_splits, numbers

EVERY_EPOCH, MID_EPOCH = Evaluate(epochs=1), Evaluate(steps=2)


class WildTask(NetTask):
    """Draws from every global generator, in the loss and while scoring."""

    def loss(self, forward, batch, scalars):
        parts = super().loss(forward, batch, scalars)
        return {**parts, "loss": parts["loss"] * (1.0 + sum(draw()))}

    def evaluate(self, forward, batches):
        scores = super().evaluate(forward, batches)
        return {**scores, "noise": sum(draw())}


def train(task, settings, folder, report=None):
    report = report or Recorder()
    result = fit(
        task, line_splits(), settings, seeds=SEEDS, monitor=MONITOR, report=report, folder=folder, device="cpu"
    )
    return result, report


def assert_resumes(task, settings, tmp_path, *, interrupted_at=2, answer=None):
    settings = settings.model_copy(update={"checkpoint_seconds": 0.0})
    unbroken, _ = train(task, settings, tmp_path / "unbroken")
    answers = {interrupted_at: answer or KilledError()}
    if answer is None:
        with pytest.raises(KilledError):
            train(task, settings, tmp_path / "resumed", Recorder(answers))
    else:
        paused, _ = train(task, settings, tmp_path / "resumed", Recorder(answers))
        assert paused.decision is answer
    seed_everything(5)
    resumed, report = train(task, settings, tmp_path / "resumed")
    assert numbers(resumed.evaluations) == numbers(unbroken.evaluations)
    assert numbers(report.seen) == numbers(unbroken.evaluations)  # the earlier ones once more, then the rest
    assert (resumed.best_step, resumed.best_value) == (unbroken.best_step, unbroken.best_value)
    assert (resumed.step, resumed.epochs, resumed.stopped_early) == (
        unbroken.step,
        unbroken.epochs,
        unbroken.stopped_early,
    )
    assert_same_ending(tmp_path / "unbroken", tmp_path / "resumed")


FEATURES = itertools.product(["adamw", "adam", "sgd"], [None, 0.9], [EVERY_EPOCH, MID_EPOCH], ["fp32", "bf16"])
QUICK = [
    ("adamw", None, EVERY_EPOCH, "fp32"),
    ("adamw", 0.9, MID_EPOCH, "bf16"),
    ("adam", None, MID_EPOCH, "bf16"),
    ("adam", 0.9, EVERY_EPOCH, "fp32"),
    ("sgd", None, EVERY_EPOCH, "bf16"),
    ("sgd", 0.9, MID_EPOCH, "fp32"),
]
"""Any two values of different features meet in one of these."""


@pytest.mark.parametrize(
    ("optimizer", "ema", "evaluate", "precision"),
    [pytest.param(*each, marks=[] if each in QUICK else pytest.mark.slow) for each in FEATURES],
)
def test_feature_combinations(optimizer, ema, evaluate, precision, tmp_path):
    settings = TrainSettings(
        epochs=4,
        batch_size=4,
        accumulate=2,
        optimizer=optimizer,
        ema=ema,
        evaluate=evaluate,
        precision=precision,
        schedule="cosine",
        warmup=Warmup(steps=4),
        weight_decay=0.1,
        clip_norm=1.0,
        early_stopping=EarlyStopping(patience=3),
    )
    assert_resumes(NetTask(augmented=True), settings, tmp_path)


def test_fp16_with_its_scaler(tmp_path):
    settings = TrainSettings(epochs=4, batch_size=4, precision="fp16", evaluate=Evaluate(steps=5))
    assert_resumes(NetTask(), settings, tmp_path)


def test_every_global_generator(tmp_path):
    assert_resumes(WildTask(augmented=True), TrainSettings(epochs=3, batch_size=5), tmp_path)


@pytest.mark.parametrize("interrupted_at", [1, 3, 5])
def test_pause_wherever_it_comes(interrupted_at, tmp_path):
    settings = TrainSettings(epochs=3, batch_size=4, ema=0.9, evaluate=MID_EPOCH)
    assert_resumes(NetTask(augmented=True), settings, tmp_path, interrupted_at=interrupted_at, answer=Decision.PAUSE)


def test_early_stopping_counts_over_the_interruption(tmp_path):
    settings = TrainSettings(epochs=9, batch_size=4, early_stopping=EarlyStopping(patience=4, minimum_gain=100.0))
    assert_resumes(LineTask(), settings, tmp_path, interrupted_at=3)
    result, _ = train(LineTask(), settings, tmp_path / "unbroken")
    assert result.stopped_early
    assert result.step == 5


def test_killed_at_every_report(tmp_path):
    settings = TrainSettings(epochs=4, batch_size=4, checkpoint_seconds=0)
    unbroken, _ = train(NetTask(), settings, tmp_path / "unbroken")
    with pytest.raises(KilledError):
        train(NetTask(), settings, tmp_path / "resumed", Recorder({1: KilledError()}))
    for call in (2, 3, 4):
        with pytest.raises(KilledError):
            train(NetTask(), settings, tmp_path / "resumed", Recorder({call: KilledError()}))
    resumed, report = train(NetTask(), settings, tmp_path / "resumed")
    assert numbers(resumed.evaluations) == numbers(unbroken.evaluations)
    assert numbers(report.seen) == numbers(unbroken.evaluations)
    assert_same_ending(tmp_path / "unbroken", tmp_path / "resumed")


def test_a_finished_training_reports_and_returns(tmp_path):
    settings = TrainSettings(epochs=2, batch_size=4)
    first, _ = train(LineTask(), settings, tmp_path)
    content = (tmp_path / CHECKPOINT).read_bytes()
    second, report = train(LineTask(), settings, tmp_path, Recorder({1: Decision.PRUNE}))
    assert report.seen == list(first.evaluations)
    assert second.evaluations == first.evaluations
    assert second.decision is Decision.CONTINUE
    assert (tmp_path / CHECKPOINT).read_bytes() == content


def test_a_pruned_training_stays_pruned(tmp_path):
    settings = TrainSettings(epochs=3, batch_size=4)
    train(LineTask(), settings, tmp_path, Recorder({1: Decision.PRUNE}))
    again, report = train(LineTask(), settings, tmp_path, Recorder({1: Decision.PRUNE}))
    assert again.decision is Decision.PRUNE
    assert [item.step for item in report.seen] == [1]


def test_seconds_add_up_over_attempts_without_what_was_lost(tmp_path):
    class Clock:
        def __init__(self):
            self.now = 0.0

        def __call__(self):
            return self.now

    clock = Clock()

    class Slow(LineTask):
        def loss(self, forward, batch, scalars):
            clock.now += 1.0
            return super().loss(forward, batch, scalars)

    def slow_report(evaluation):
        clock.now += 1000.0
        if evaluation.step == 1:
            return Decision.CONTINUE if len(seen := attempts) > 1 else seen.append(evaluation) or Decision.PAUSE
        return Decision.CONTINUE

    attempts = ["first"]
    settings = TrainSettings(epochs=3, batch_size=11)
    arguments = {"seeds": SEEDS, "monitor": MONITOR, "folder": tmp_path, "device": "cpu", "clock": clock}
    paused = fit(Slow(), line_splits(), settings, report=slow_report, **arguments)
    assert paused.seconds == 2.0
    clock.now += 5000.0
    done = fit(Slow(), line_splits(), settings, report=slow_report, **arguments)
    assert [item.seconds for item in done.evaluations] == [2.0, 4.0, 6.0]
    assert {item.metrics["examples_per_second"] for item in done.evaluations} == {11.0}


def test_without_a_whole_checkpoint_it_begins_again_with_a_warning(tmp_path):
    settings = TrainSettings(epochs=2, batch_size=4)
    first, _ = train(NetTask(), settings, tmp_path)
    content = (tmp_path / CHECKPOINT).read_bytes()
    for torn in (b"", b"nonsense", content[: len(content) // 2], content[:-30]):
        (tmp_path / CHECKPOINT).write_bytes(torn)
        (tmp_path / PREVIOUS).write_bytes(torn)
        with pytest.warns(UserWarning, match="begins again"):
            again, _ = train(NetTask(), settings, tmp_path)
        assert numbers(again.evaluations) == numbers(first.evaluations)


def test_a_checkpoint_of_other_settings_or_another_model_is_refused(tmp_path):
    settings = TrainSettings(epochs=2, batch_size=4)
    train(LineTask(), settings, tmp_path)
    with pytest.raises(HpsearchError, match=r"learning_rate \(0.001 -> 0.5\)"):
        train(LineTask(), TrainSettings(epochs=2, batch_size=4, learning_rate=0.5), tmp_path)
    with pytest.raises(HpsearchError, match="does not fit the model"):
        train(NetTask(), settings, tmp_path)
