"""The one training loop of every family.

    fit:  build, go on from the checkpoint if there is one
          a step: one window of batches, one update of the weights
          once in a while: evaluate, judge, save, report, and act on the answer
          once a second between two evaluations: tell how far it is, save what is due

It knows no family, engine or tracker.
"""

import contextlib
import math
import time
from collections.abc import Callable, Mapping
from dataclasses import asdict, replace
from pathlib import Path

import torch

from hpsearch.errors import DivergedError, UnknownNameError
from hpsearch.records import Decision, Moment, Monitor
from hpsearch.seeds import Seeds
from hpsearch.training.checkpoint import load_checkpoint
from hpsearch.training.devices import resolve_device
from hpsearch.training.files import is_due_between, note_resumed, save_answered, save_between, save_evaluated
from hpsearch.training.measurements import look_at
from hpsearch.training.optimizers import set_rates
from hpsearch.training.progress import Evaluation, FitResult, Report, Tell
from hpsearch.training.random_state import isolated, kept_random_state
from hpsearch.training.scoring import evaluate_split
from hpsearch.training.settings import TrainSettings
from hpsearch.training.state import LOOK_EVERY, TrainingState, build_training, restore
from hpsearch.training.task import Batch, Splits, Task
from hpsearch.training.team import ALONE, Team

__all__ = ["Evaluation", "FitResult", "Report", "evaluate_split", "fit"]


def fit(
    task: Task,
    splits: Splits,
    settings: TrainSettings,
    *,
    seeds: Seeds,
    monitor: Monitor,
    report: Report,
    folder: Path | None = None,
    device: torch.device | str = "auto",
    before: TrainSettings | None = None,
    team: Team = ALONE,
    tell: Tell | None = None,
    look_every: float = LOOK_EVERY,
    clock: Callable[[], float] = time.perf_counter,
) -> FitResult:
    """Train a task's model, going on from the checkpoint in `folder` if there is one, and report every evaluation.

    `checkpoint.pt`, with `best.pt` if the monitored metric has improved, is written at the end, at a pause, where
    `settings.keep` wants a numbered one, and else `settings.checkpoint_seconds` or a little more after the last, even
    between evaluations. `tell` hears every `look_every` seconds between evaluations how far the training is, and may
    pause it at that step. After a resume the checkpoint's evaluations are reported once more, and those that came
    between it and a crash are trained and reported again: whoever receives reports ignores steps it knows. The answer
    to the last report of a training is not acted on, as nothing is left to stop. One that is pruned or out of time
    has `best.pt` only. Without a folder nothing is saved, and a paused training cannot go on. A `device` other than
    `auto` goes before `settings.device`. `before` are the settings under which the checkpoint may have been written,
    if they change there; only what is not FIXED may. Of a `team` of several processes, all of which call this, only
    rank 0 reports, and writes to `folder`.

    A team saves and is paused only at evaluations, where its processes are at one step.

    Killed and resumed is bit for bit the unbroken run on the CPU. The process's global state is afterwards as before.

    Raises:
        DivergedError: A loss, gradient or monitored metric is not finite.
        UnknownNameError: The task does not give the monitored metric.
        HpsearchError: The settings ask for what cannot be had, or the checkpoint is another training's.
        PeerLostError: Another process of the team is gone.
    """
    place = team.device or resolve_device(settings.device if device == "auto" else device)
    try:
        with isolated(place, deterministic=settings.deterministic):
            training = build_training(
                task,
                splits,
                settings,
                seeds=seeds,
                monitor=monitor,
                device=place,
                clock=clock,
                team=team,
                look_every=look_every,
            )
            training.tell = tell if team.leads else None
            with contextlib.closing(training.feed):
                return _train(training, folder if team.leads else None, report, before)
    finally:
        if place.type == "cuda":
            torch.cuda.empty_cache()


def _train(training: TrainingState, folder: Path | None, report: Report, before: TrainSettings | None) -> FitResult:
    return train_on(training, folder, report, go_on(training, folder, report, before))


def train_on(
    training: TrainingState, folder: Path | None, report: Report, decision: Decision = Decision.CONTINUE
) -> FitResult:
    """Train from where the training is to its end, or until the report's answer, first `decision`, stops it."""
    while decision is Decision.CONTINUE and not training.progress.finished:
        single_step(training)
        if evaluation_is_due(training):
            evaluate_and_save(training, folder)
            decision = ask(training, report)
        elif training.stopwatch.seconds >= training.next_look:
            decision = tell_between(training)
            if folder is not None and saves_between(training, decision):
                save_between(training, folder)
    return result_of(training, decision)


def tell_between(training: TrainingState) -> Decision:
    """Tell how far the training is between two evaluations; a team, whose processes count each for itself, goes on."""
    training.next_look = training.stopwatch.seconds + training.look_every
    if training.tell is None:
        return Decision.CONTINUE
    with training.stopwatch.stopped():
        decision = training.tell(moment_of(training))
    return Decision.CONTINUE if training.team.size > 1 else decision


def saves_between(training: TrainingState, decision: Decision) -> bool:
    """Check whether a checkpoint is written now, between two evaluations."""
    return training.team.size == 1 and (decision is Decision.PAUSE or is_due_between(training))


def moment_of(training: TrainingState) -> Moment:
    """Return how far the training is, by the numbers that are there: none is waited for."""
    progress, total = training.progress, training.order.total_steps
    training.paced = training.paced or (training.stopwatch.seconds, progress.step)
    seconds, steps = training.stopwatch.seconds - training.paced[0], progress.step - training.paced[1]
    return Moment(
        progress.step,
        total,
        epoch=training.epochs,
        loss=training.measurements.mean_loss,
        learning_rate=training.rates.at(progress.step - 1),
        examples_per_second=training.examples / max(training.stopwatch.lap, 1e-9),
        seconds_left=seconds / steps * (total - progress.step) if steps else None,
    )


def go_on(training: TrainingState, folder: Path | None, report: Report, before: TrainSettings | None) -> Decision:
    """Go on from the folder's checkpoint, if any, and report its evaluations: a crash may have lost the last one."""
    content = training.team.led_state(lambda: load_checkpoint(folder))
    training.stopwatch.begin_lap()
    if content is None:
        return Decision.CONTINUE
    restore(training, content, before=before)
    if folder is not None:
        note_resumed(training, folder)
        with training.stopwatch.stopped():
            for evaluation in training.progress.evaluations[:-1]:
                report(evaluation)
    training.stopwatch.begin_lap()
    return ask(training, report) if training.progress.evaluations else Decision.CONTINUE


def single_step(training: TrainingState) -> None:
    """Take a step."""
    if training.begun != training.progress.epoch:
        begin_epoch(training)
    window = next_window(training)
    set_rates(training.optimizer, training.rates.at(training.progress.step))
    training.team.vary(training.seed, training.progress.step)
    loss = training.stepper.backward(window)
    norm = training.stepper.gradient_norm()
    training.measurements.add(training.progress.step + 1, loss.parts, norm, loss.count)
    advance(training, batches=len(window))
    if look_is_due(training):
        training.look = look_at(training.model)
    training.stepper.update(norm)
    if training.average:
        training.average.update(training.model)


def begin_epoch(training: TrainingState) -> None:
    """Tell model and task that an epoch begins."""
    epoch, epochs = training.progress.epoch, training.order.epochs
    training.freezing.begin_epoch(epoch)
    training.task.begin_epoch(training.model, epoch, epochs)
    if training.average:
        training.task.begin_epoch(training.average.model, epoch, epochs)
    training.begun = epoch


def next_window(training: TrainingState) -> list[Batch]:
    """Return the batches of the next step, augmented."""
    batches = training.feed.window(training.progress.epoch, training.progress.batch)
    training.examples += sum(len(next(iter(batch.values()))) for batch in batches)
    return [training.task.augment(batch, training.generator) for batch in batches]


def advance(training: TrainingState, *, batches: int) -> None:
    """Count an optimizer step, and the batches that went into it."""
    progress = training.progress
    progress.step += 1
    progress.batch += batches
    if progress.batch == training.order.batches(progress.epoch):
        progress.epoch, progress.batch = progress.epoch + 1, 0
    progress.finished = progress.step == training.order.total_steps


def evaluation_is_due(training: TrainingState) -> bool:
    """Check whether an evaluation follows the step that was taken last."""
    progress, every = training.progress, training.every
    if every.steps is not None:
        return progress.finished or progress.step % every.steps == 0
    return progress.finished or (progress.batch == 0 and progress.epoch % every.epochs == 0)


def look_is_due(training: TrainingState) -> bool:
    """Check whether the evaluation that follows shows histograms."""
    looks, number = training.every.looks, len(training.progress.evaluations) + 1
    return looks is not None and number % looks == 0 and evaluation_is_due(training)


def evaluate_and_save(training: TrainingState, folder: Path | None) -> None:
    """Evaluate and judge, and save what is due; what more the answer to the report asks for is saved then."""
    training.team.unify(training.model.buffers())
    means = training.measurements.take()
    evaluation = Evaluation(**training.team.led(lambda: asdict(_evaluate(training, means))))
    _judge(training, evaluation)
    training.rates.watch(
        evaluation.metrics, training.monitor, step=training.progress.step, epoch=evaluation.metrics["epoch"]
    )
    training.progress.evaluations.append(replace(evaluation, final=training.progress.finished))
    if folder is not None:
        save_evaluated(training, folder)
    training.look = None


def _evaluate(training: TrainingState, means: Mapping[str, float]) -> Evaluation:
    """Return the means of the steps since the evaluation before together with the scores of the validation split.

    What the scoring draws from the random generators does not change the training.
    """
    metrics = dict(means)
    metrics["learning_rate"] = training.rates.at(training.progress.step - 1)
    metrics["examples_per_second"] = training.examples / max(training.stopwatch.lap, 1e-9)
    metrics["epoch"] = training.epochs
    with kept_random_state(training.device):
        scores = evaluate_split(
            training.task,
            training.splits,
            "val",
            training.evaluated_model,
            batch_size=training.settings.batch_size,
            device=training.device,
            precision=training.settings.precision,
            needed=training.monitor.metric.removeprefix("val/"),
        )
    metrics |= {f"val/{name}": score for name, score in scores.items()}
    return Evaluation(step=training.reported_step, metrics=metrics, seconds=training.stopwatch.seconds)


def _judge(training: TrainingState, evaluation: Evaluation) -> None:
    """Note whether the weights are the best so far, and stop early if patience has run out."""
    progress, monitor = training.progress, training.monitor
    if monitor.metric not in evaluation.metrics:
        raise UnknownNameError("metric", monitor.metric, evaluation.metrics)
    value = evaluation.metrics[monitor.metric]
    if not math.isfinite(value):
        raise DivergedError(f"{monitor.metric} became {value} at optimizer step {progress.step}")
    if progress.best_value is None or monitor.goal.better(value, than=progress.best_value):
        progress.best_step, progress.best_value = evaluation.step, value
    if training.patience and training.patience.exhausted_by(value):
        progress.stopped_early = not progress.finished
        progress.finished = True


def ask(training: TrainingState, report: Report) -> Decision:
    """Report the last evaluation and return the answer; a training that is at its end has nothing left to stop."""
    with training.stopwatch.stopped():
        decision = Decision(training.team.led(lambda: report(training.progress.evaluations[-1]).value))
    save_answered(training, decision)
    training.stopwatch.begin_lap()
    training.examples = 0
    return Decision.CONTINUE if training.progress.finished else decision


def result_of(training: TrainingState, decision: Decision) -> FitResult:
    """Return how a training ended that this decision stopped, or none."""
    progress = training.progress
    return FitResult(
        decision=decision,
        step=progress.evaluations[-1].step if progress.evaluations else 0,
        epochs=training.epochs,
        stopped_early=progress.stopped_early,
        best_step=progress.best_step,
        best_value=progress.best_value,
        evaluations=tuple(progress.evaluations),
        seconds=training.stopwatch.seconds,
        model=training.evaluated_model,
    )
