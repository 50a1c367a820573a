"""Lightning in a search: five lines in a function or a program that trains with `lightning.Trainer`.

    from hpsearch.lightning import Callback

    def train(config, report):
        search = Callback(report)                                 # first: it seeds everything
        trainer = Trainer(callbacks=[search], max_epochs=20)
        trainer.fit(model, data, ckpt_path=search.checkpoint)
        if search.tests:
            trainer.test(model, data)

In a program (`family: command`) it is `Callback()`; on its own, such a program trains as ever.
"""

import re
import sys
from collections.abc import Mapping
from typing import Any

from hpsearch.errors import HpsearchError
from hpsearch.extras import Extra, install
from hpsearch.families.function.report import OUTSIDE, Report, given_report
from hpsearch.training.random_state import capture_random_state, restore_random_state

try:
    from lightning.pytorch import LightningModule, Trainer, seed_everything
    from lightning.pytorch import callbacks as lightning_callbacks
    from lightning.pytorch.trainer.states import TrainerFn
except ModuleNotFoundError as missing:
    raise HpsearchError(f"hpsearch.lightning needs Lightning: {install(Extra.LIGHTNING)}") from missing

_SPLIT = re.compile(r"(val(?:id(?:ation)?)?|test)[_/.-](.+)")
"""What metrics of a split are called: `val_loss`, `valid/acc`, `test_loss`."""
_STATE = "random_state"


class Callback(lightning_callbacks.Callback):
    """Reports every validation, and ends the training when it is pruned or paused.

    Metrics that are logged as `val_loss` or `val/loss` are reported as `val/loss`, by epoch, or by optimizer step where
    validations come within epochs. At each validation a checkpoint is written, with the random numbers.
    """

    def __init__(self, report: Report | None = None) -> None:
        """`report` is what hpsearch has given to the function; a program leaves it out."""
        self._report = given_report(report)
        self._restored: dict[str, Any] | None = None
        if self._report is None:
            sys.stderr.write(OUTSIDE)
        else:
            seed_everything(self._report.seed, workers=True, verbose=False)

    @property
    def checkpoint(self) -> str | None:
        """The checkpoint to go on from, for `trainer.fit(ckpt_path=...)`; None at the start."""
        there = self._report is not None and self._report.checkpoint.is_file()
        return str(self._report.checkpoint) if self._report is not None and there else None

    @property
    def tests(self) -> bool:
        """Whether test scores are wanted: where nobody searches, and when a winner is trained again."""
        return self._report is None or (self._report.tests and not self._report.stopped)

    def on_validation_end(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Write a checkpoint, report, and let the training end if that was the answer."""
        del pl_module
        if self._report is None or trainer.sanity_checking or trainer.state.fn != TrainerFn.FITTING:
            return
        metrics = _of_split(trainer.callback_metrics, "val")
        beside = self._report.checkpoint.with_name(f".{self._report.checkpoint.name}.tmp")
        trainer.save_checkpoint(beside)
        goes_on = True
        if trainer.is_global_zero:
            beside.replace(self._report.checkpoint)
            goes_on = self._report(_step(trainer), metrics, final=_is_last(trainer), raises=False)
        if not trainer.strategy.reduce_boolean_decision(goes_on, all=True):
            trainer.should_stop = True

    def on_test_end(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Report the scores of the test split."""
        del pl_module
        if self._report is not None and trainer.is_global_zero and not self._report.stopped:
            self._report(None, _of_split(trainer.callback_metrics, "test"), raises=False)

    def on_save_checkpoint(self, trainer: Trainer, pl_module: LightningModule, checkpoint: dict[str, Any]) -> None:
        """Keep the random numbers, so that what is resumed goes on as if it had not been interrupted."""
        del trainer
        checkpoint[_STATE] = capture_random_state(pl_module.device)

    def on_load_checkpoint(self, trainer: Trainer, pl_module: LightningModule, checkpoint: dict[str, Any]) -> None:
        """Take the random numbers of a checkpoint that this callback has written."""
        del trainer, pl_module
        self._restored = checkpoint.get(_STATE)

    def on_train_start(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Put the random numbers back."""
        del trainer
        if self._restored is not None:
            restore_random_state(self._restored, pl_module.device)
            self._restored = None


def _of_split(metrics: Mapping[str, Any], split: str) -> dict[str, Any]:
    """Return the metrics of a split by names such as `val/loss`."""
    named = ((_SPLIT.fullmatch(name), value) for name, value in metrics.items())
    return {f"{split}/{found[2]}": value for found, value in named if found and found[1].startswith(split)}


def _is_last(trainer: Trainer) -> bool:
    """Check whether no validation follows."""
    by_steps = trainer.max_steps != -1 and trainer.global_step >= trainer.max_steps
    in_last_epoch = trainer.current_epoch + 1 == trainer.max_epochs
    return by_steps or (in_last_epoch and (_is_at_end(trainer) or trainer.is_last_batch))


def _is_at_end(trainer: Trainer) -> bool:
    """Check whether validations come at the ends of epochs only."""
    return trainer.val_check_batch is None or trainer.val_check_batch >= trainer.num_training_batches


def _step(trainer: Trainer) -> int:
    """Return the epoch that is about to end, or the optimizer steps so far of a validation within one."""
    return trainer.current_epoch + 1 if _is_at_end(trainer) else trainer.global_step
