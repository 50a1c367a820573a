"""What a task may change from epoch to epoch: its model, and its examples."""

import pytest
from torch import nn

from hpsearch.training.settings import Evaluate, TrainSettings, Warmup
from tests.training.test_resume import assert_resumes, train
from tests.training.toy import NetTask


class EpochTask(NetTask):
    """Dropout rises from epoch to epoch, and so do the examples: 6, 14, all of 22."""

    def __init__(self):
        super().__init__(augmented=True)
        self.begun = []

    def begin_epoch(self, model, epoch, epochs):
        self.begun.append((model.training, epoch, epochs))
        for module in model.modules():
            if isinstance(module, nn.Dropout):
                module.p = 0.5 * epoch / (epochs - 1)

    def examples(self, epoch, epochs):
        return None if epoch == epochs - 1 else range(6 + 8 * epoch)


@pytest.mark.parametrize("interrupted_at", [1, 2, 3])
@pytest.mark.parametrize("evaluate", [Evaluate(epochs=1), Evaluate(steps=2)])
def test_resume_within_and_between_epochs(evaluate, interrupted_at, tmp_path):
    settings = TrainSettings(
        epochs=3, batch_size=4, ema=0.9, evaluate=evaluate, schedule="cosine", warmup=Warmup(epochs=1.5)
    )
    assert_resumes(EpochTask(), settings, tmp_path, interrupted_at=interrupted_at)


def test_the_task_hears_of_each_epoch_once_and_of_the_one_it_goes_on_in(tmp_path):
    settings = TrainSettings(epochs=3, batch_size=4, evaluate=Evaluate(steps=3))
    task = EpochTask()
    train(task, settings, tmp_path)
    assert task.begun == [(True, 0, 3), (True, 1, 3), (True, 2, 3)]
    averaged = EpochTask()
    train(averaged, settings.model_copy(update={"ema": 0.9}), tmp_path / "averaged")
    assert averaged.begun == [(mode, epoch, 3) for epoch in range(3) for mode in (True, False)]


def test_dropout_by_epoch_changes_the_training():
    plain = train(NetTask(augmented=True), TrainSettings(epochs=3, batch_size=4), None)[0]
    scheduled = train(EpochTask(), TrainSettings(epochs=3, batch_size=4), None)[0]
    assert plain.model[3].p == 0.2
    assert scheduled.model[3].p == 0.5


def test_fewer_examples_make_fewer_steps_and_the_schedule_ends_with_them():
    """2 + 4 + 6 steps of 4 examples at most; a linear fall over 12 steps is at 1 / 12 in the last of them."""
    settings = TrainSettings(epochs=3, batch_size=4, schedule="linear", learning_rate=1.0, evaluate=Evaluate(steps=1))
    result, report = train(EpochTask(), settings, None)
    assert result.step == 12
    assert result.epochs == 3.0
    assert [item.metrics["learning_rate"] for item in report.seen] == pytest.approx([1 - n / 12 for n in range(12)])
    assert [item.metrics["epoch"] for item in report.seen[:6]] == [0.5, 1.0, 1.25, 1.5, 1.75, 2.0]
