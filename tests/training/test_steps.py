"""A training whose length is a number of optimizer steps: `train.steps` beside `train.epochs`."""

import pytest
from pydantic import ValidationError

from hpsearch.training.settings import EarlyStopping, Evaluate, TrainSettings, Warmup
from tests.training.test_epochs import EpochTask
from tests.training.test_resume import assert_resumes, train
from tests.training.toy import NetTask, numbers

SIX_STEPS_AN_EPOCH = {"batch_size": 4}
"""Of the line's 22 examples."""


def test_it_is_the_beginning_of_a_longer_training(tmp_path):
    """Cut off in its second epoch, it has taken the very steps that a training of two epochs takes."""
    every = {**SIX_STEPS_AN_EPOCH, "evaluate": Evaluate(steps=1)}
    whole, _ = train(NetTask(augmented=True), TrainSettings(epochs=2, **every), None)
    cut, _ = train(NetTask(augmented=True), TrainSettings(steps=9, **every), None)
    assert numbers(cut.evaluations) == numbers(whole.evaluations)[:9]
    assert (cut.step, cut.epochs) == (9, 1.5)
    assert cut.evaluations[-1].final


@pytest.mark.parametrize(("steps", "reported"), [(4, [1]), (6, [1]), (9, [1, 2]), (13, [1, 2, 3])])
def test_a_cut_epoch_is_reported_as_one(steps, reported):
    result, report = train(NetTask(), TrainSettings(steps=steps, **SIX_STEPS_AN_EPOCH), None)
    assert [item.step for item in report.seen] == reported
    assert result.step == reported[-1]


def test_schedule_and_fractions_follow_the_steps():
    settings = TrainSettings(
        steps=8,
        schedule="linear",
        learning_rate=1.0,
        warmup=Warmup(fraction=0.25),
        evaluate=Evaluate(steps=1),
        **SIX_STEPS_AN_EPOCH,
    )
    _, report = train(NetTask(), settings, None)
    rates = [item.metrics["learning_rate"] for item in report.seen]
    assert rates == pytest.approx([1 / 3, 2 / 3, *(1 - n / 6 for n in range(6))])


def test_patience_counts_evaluations_of_steps():
    settings = TrainSettings(
        steps=50, evaluate=Evaluate(steps=2), early_stopping=EarlyStopping(patience=3, minimum_gain=100.0)
    )
    result, _ = train(NetTask(), settings, None)
    assert (result.step, result.stopped_early) == (8, True)


def test_a_curriculum_gets_as_many_epochs_as_the_steps_need():
    """Its epochs have 2, 4, 4 and at last 6 steps: nine steps are in the third of three epochs of 2, 4 and 6."""
    task = EpochTask()
    result, _ = train(task, TrainSettings(steps=9, evaluate=Evaluate(steps=3), **SIX_STEPS_AN_EPOCH), None)
    assert task.begun == [(True, 0, 3), (True, 1, 3), (True, 2, 3)]
    assert (result.step, result.epochs) == (9, 2.5)


@pytest.mark.parametrize("evaluate", [Evaluate(epochs=1), Evaluate(steps=2)])
def test_it_goes_on_after_a_kill(evaluate, tmp_path):
    settings = TrainSettings(steps=15, ema=0.9, schedule="cosine", evaluate=evaluate, **SIX_STEPS_AN_EPOCH)
    assert_resumes(NetTask(augmented=True), settings, tmp_path)


def test_exactly_one_length_is_given_and_written_down():
    with pytest.raises(ValidationError, match="give epochs or steps, not both"):
        TrainSettings(epochs=3, steps=5)
    for settings in (TrainSettings(), TrainSettings(epochs=3), TrainSettings(steps=5)):
        dumped = settings.model_dump(mode="json")
        assert ("steps" in dumped) == (settings.steps is not None) != ("epochs" in dumped)
        assert TrainSettings.model_validate(dumped) == settings
