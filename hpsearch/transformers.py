"""Hugging Face's Trainer in a search: five lines in a function or a program that trains with it.

    from hpsearch.transformers import Callback

    def train(config, report):
        search = Callback(report)                                 # first: it seeds everything
        args = TrainingArguments(search.folder, seed=search.seed, eval_strategy="epoch")
        trainer = Trainer(model, args, train_dataset=..., eval_dataset=..., callbacks=[search])
        trainer.train(resume_from_checkpoint=search.checkpoint)
        if search.tests:
            trainer.predict(test_dataset)

In a program (`family: command`) it is `Callback()`; on its own, such a program trains as ever.
"""

import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from hpsearch.errors import HpsearchError
from hpsearch.extras import Extra, install
from hpsearch.families.function.report import OUTSIDE, Report, given_report

try:
    from transformers import TrainerCallback, TrainerControl, TrainerState, TrainingArguments, set_seed
    from transformers.trainer_utils import IntervalStrategy, SaveStrategy, get_last_checkpoint
except ImportError as missing:
    raise HpsearchError(f"hpsearch.transformers needs the Trainer: {install(Extra.TEXT)}") from missing

_SPEED = ("runtime", "samples_per_second", "steps_per_second", "jit_compilation_time", "model_preparation_time")
"""What the Trainer measures besides scores."""
_SEED, _FOLDER = 42, "trainer_output"
"""The Trainer's own defaults."""


class Callback(TrainerCallback):
    """Reports every evaluation, and ends the training when it is pruned or paused.

    `eval_loss` is reported as `val/loss`, by epoch with `eval_strategy="epoch"`, else by optimizer step. Each
    evaluation is followed by a checkpoint of the Trainer's, and the report by that.
    """

    def __init__(self, report: Report | None = None) -> None:
        """`report` is what hpsearch has given to the function; a program leaves it out."""
        self._report = given_report(report)
        self._waiting: dict[str, Any] = {}
        self._training = False
        if self._report is None:
            sys.stderr.write(OUTSIDE)
        else:
            set_seed(self._report.seed)

    @property
    def folder(self) -> str:
        """Where the Trainer writes, for `TrainingArguments(output_dir=...)`."""
        return _FOLDER if self._report is None else str(self._report.folder / "trainer")

    @property
    def seed(self) -> int:
        """The training's seed, for `TrainingArguments(seed=...)`."""
        return _SEED if self._report is None else self._report.seed

    @property
    def checkpoint(self) -> str | None:
        """The checkpoint to go on from, for `trainer.train(resume_from_checkpoint=...)`; None at the start."""
        if self._report is None or not self._report.checkpoint.is_file():
            return None
        told = Path(self.folder, self._report.checkpoint.read_text(encoding="utf-8"))
        last: str | None = get_last_checkpoint(self.folder) if Path(self.folder).is_dir() else None  # type: ignore[no-untyped-call] # theirs
        return str(told) if told.is_dir() else last  # the Trainer keeps a limited number: then the last one is whole

    @property
    def tests(self) -> bool:
        """Whether test scores are wanted: where nobody searches, and when a winner is trained again."""
        return self._report is None or (self._report.tests and not self._report.stopped)

    def on_train_begin(
        self, args: TrainingArguments, state: TrainerState, control: TrainerControl, **kwargs: Any
    ) -> None:
        """Look where the Trainer writes: elsewhere another trial would find its checkpoints.

        Raises:
            ValueError: It is not in the training's folder, or its seed is not the training's.
        """
        del state, control, kwargs
        self._training = True
        if self._report is None:
            return
        if Path(str(args.output_dir)).resolve() != Path(self.folder).resolve():
            raise ValueError(f"TrainingArguments(output_dir={args.output_dir!r}): write Callback(...).folder there")
        if args.seed != self._report.seed:
            raise ValueError(f"TrainingArguments(seed={args.seed}): write Callback(...).seed there")

    def on_train_end(
        self, args: TrainingArguments, state: TrainerState, control: TrainerControl, **kwargs: Any
    ) -> None:
        """Report what no checkpoint came for."""
        del kwargs
        self._training = False
        self._tell(args, state, control)

    def on_evaluate(
        self,
        args: TrainingArguments,
        state: TrainerState,
        control: TrainerControl,
        metrics: Mapping[str, Any] | None = None,
        **kwargs: Any,
    ) -> None:
        """Ask for a checkpoint, after which the metrics are reported."""
        del kwargs
        if self._report is None:
            return
        self._waiting |= _named(metrics or {})
        if self._training and state.global_step and args.save_strategy != SaveStrategy.BEST:
            control.should_save = True
        else:
            self._tell(args, state, control)

    def on_save(self, args: TrainingArguments, state: TrainerState, control: TrainerControl, **kwargs: Any) -> None:
        """Report what was evaluated; the checkpoint is there."""
        del kwargs
        if self._report is None:
            return
        beside = self._report.checkpoint.with_name(f".{self._report.checkpoint.name}.tmp")
        if state.is_world_process_zero:
            beside.write_text(f"checkpoint-{state.global_step}", encoding="utf-8")
            beside.replace(self._report.checkpoint)
        self._tell(args, state, control)

    def on_predict(
        self,
        args: TrainingArguments,
        state: TrainerState,
        control: TrainerControl,
        metrics: Mapping[str, Any] | None = None,
        **kwargs: Any,
    ) -> None:
        """Report the scores of the test split."""
        del kwargs
        if self._report is not None and not self._report.stopped:
            self._waiting |= _named(metrics or {})
            self._tell(args, state, control)

    def _tell(self, args: TrainingArguments, state: TrainerState, control: TrainerControl) -> None:
        """Report what waits for it, the scores of the test split without a step."""
        waiting, self._waiting = self._waiting, {}
        tests = {name: value for name, value in waiting.items() if name.startswith("test/")}
        others = {name: value for name, value in waiting.items() if name not in tests}
        if self._report is None or not state.is_world_process_zero:
            return
        is_last = 0 < state.max_steps <= state.global_step
        if others and not self._report(_step(args, state), others, final=is_last, raises=False):
            control.should_training_stop = True
        if tests and not self._report.stopped:
            self._report(None, tests, raises=False)


def _named(metrics: Mapping[str, Any]) -> dict[str, Any]:
    """Return the scores by names such as `val/loss`; the Trainer says `eval_loss` and `test_loss`."""
    splits = {"eval": "val", "test": "test"}
    parts = ((name.partition("_"), value) for name, value in metrics.items())
    return {
        f"{splits[split]}/{name}": value for (split, _, name), value in parts if split in splits and name not in _SPEED
    }


def _step(args: TrainingArguments, state: TrainerState) -> int:
    by_epoch = args.eval_strategy == IntervalStrategy.EPOCH and state.epoch is not None
    return round(state.epoch) if by_epoch else state.global_step
