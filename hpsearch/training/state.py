"""What a training consists of while it runs: how it is built, what a checkpoint takes of it and gives back."""

from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

import torch
from torch import nn

from hpsearch.errors import DataError, HpsearchError
from hpsearch.records import Monitor
from hpsearch.seeds import Seeds
from hpsearch.training import compiler
from hpsearch.training.acceleration import check_precision, forward_of, gradient_scaler
from hpsearch.training.batches import Feed, Order
from hpsearch.training.checkpoint import check_identity, identity_of
from hpsearch.training.freezing import Freezing
from hpsearch.training.measurements import Measurements
from hpsearch.training.optimizers import build_optimizer
from hpsearch.training.progress import Evaluation, Patience, Stopwatch, Tell, TrainingProgress
from hpsearch.training.random_state import capture_random_state, restore_random_state, seed_everything
from hpsearch.training.rates import Rates
from hpsearch.training.settings import TrainSettings
from hpsearch.training.step import Stepper
from hpsearch.training.task import Splits, Task
from hpsearch.training.team import ALONE, Team, smallest_slice
from hpsearch.training.weights import WeightAverage

LOOK_EVERY = 1.0
"""Seconds of training from one look at it to the next between two evaluations; the first comes after half of them."""


@dataclass(frozen=True)
class Every:
    """How often what is done, from the settings: asked for at each step, where reading those would take its time."""

    steps: int | None
    """Optimizer steps from one evaluation to the next; None where epochs count."""
    epochs: int
    looks: int | None
    """Evaluations from one look at gradients and weights to the next; None for no looks."""

    @classmethod
    def of(cls, settings: TrainSettings) -> "Every":
        """Read the settings."""
        evaluate, histograms = settings.evaluate, settings.histograms
        return cls(evaluate.steps, evaluate.epochs or 1, histograms.every if histograms else None)


@dataclass
class Unwritten:
    """What of a training is not in its folder's files yet, see `files.py`."""

    folder: Path | None = None
    """Where the last evaluation's files belong; None as long as there is nothing to write."""
    since: float = 0.0
    """Seconds of training when the last checkpoint was taken."""
    is_best: bool = False
    """Whether the model has the best weights of all, which are neither written nor copied."""
    best: Mapping[str, Any] | None = None
    """A copy of the best weights, which are not written."""
    cost: float = 0.0
    """Seconds that the last checkpoint took."""
    decisions: int | None = None
    """How many decisions on the rate are written, if they are."""


@dataclass
class TrainingState:
    """A training while it runs."""

    task: Task
    splits: Splits
    settings: TrainSettings
    every: Every
    monitor: Monitor
    device: torch.device
    identity: Mapping[str, Any]
    """What must be the same for a checkpoint to be this training's."""
    order: Order
    feed: Feed
    rates: Rates
    model: nn.Module
    average: WeightAverage | None
    optimizer: torch.optim.Optimizer
    freezing: Freezing
    scaler: torch.amp.GradScaler | None
    stepper: Stepper
    measurements: Measurements
    patience: Patience | None
    generator: torch.Generator
    """For augmentation."""
    stopwatch: Stopwatch
    team: Team
    seed: int
    """For what the processes of a team draw each for itself."""
    progress: TrainingProgress = field(default_factory=TrainingProgress)
    begun: int | None = None
    """The last epoch that the task was asked to begin; None until the first step after a start or a resume."""
    look: dict[str, Any] | None = None
    """The histograms of the step before an evaluation."""
    examples: int = 0
    """Examples trained on since the last evaluation."""
    unwritten: Unwritten = field(default_factory=Unwritten)
    tell: Tell | None = None
    """Who hears of the training between evaluations."""
    paced: tuple[float, int] | None = None
    """Seconds and steps at the first look, from which on the pace is measured: what comes first is slow."""
    look_every: float = LOOK_EVERY
    next_look: float = LOOK_EVERY / 2
    """Seconds of training after which it is looked at again between two evaluations."""

    @property
    def evaluated_model(self) -> nn.Module:
        """The model whose scores count: the average where there is one."""
        return self.average.model if self.average else self.model

    @property
    def epochs(self) -> float:
        """Epochs done, with the fraction of the one under way."""
        epoch, batch = self.progress.epoch, self.progress.batch
        return epoch + batch / self.order.batches(epoch) if batch else float(epoch)

    @property
    def reported_step(self) -> int:
        """The step in the unit of the settings' `evaluate`; an epoch that is cut off at the end counts."""
        progress = self.progress
        return progress.step if self.every.steps is not None else progress.epoch + (progress.batch > 0)


def build_training(
    task: Task,
    splits: Splits,
    settings: TrainSettings,
    *,
    seeds: Seeds,
    monitor: Monitor,
    device: torch.device,
    clock: Callable[[], float],
    team: Team = ALONE,
    look_every: float = LOOK_EVERY,
) -> TrainingState:
    """Return a training at its start.

    Raises:
        HpsearchError: The settings ask for what cannot be had.
    """
    stopwatch = Stopwatch(clock)
    check_precision(device, settings.precision)
    order = _order_of(task, splits, settings, seed=seeds.order)
    rates = Rates(settings, order)
    model = _initial_model(task, seeds, device, team)
    compiler.leave_optimizers_alone()
    optimizer = build_optimizer(task, model, settings)
    freezing = Freezing(settings.freeze, model)  # after the optimizer, which has to know what trains only later
    stepper = _stepper_of(task, model, optimizer, settings, device=device, team=team)
    compiler.settle()
    return TrainingState(
        task=task,
        splits=splits,
        settings=settings,
        every=Every.of(settings),
        monitor=monitor,
        device=device,
        identity=identity_of(settings, seeds, monitor, examples=len(splits["train"])),
        order=order,
        feed=Feed(splits["train"], order, settings.loading, seed=seeds.order, device=device),
        rates=rates,
        model=model,
        average=WeightAverage(model, settings.ema) if settings.ema else None,
        optimizer=optimizer,
        freezing=freezing,
        scaler=stepper.scaler,
        stepper=stepper,
        measurements=Measurements(model, device=device, scaled=stepper.scaler is not None),
        patience=Patience(settings.early_stopping, monitor.goal) if settings.early_stopping else None,
        generator=torch.Generator().manual_seed(seeds.augmentation),
        stopwatch=stopwatch,
        team=team,
        seed=seeds.initialisation,
        look_every=look_every,
        next_look=look_every / 2,
    )


def _order_of(task: Task, splits: Splits, settings: TrainSettings, *, seed: int) -> Order:
    examples = len(splits["train"])
    if examples == 0:
        raise DataError("the split 'train' has no examples")

    def order(epochs: int) -> Order:
        return Order(
            examples=examples,
            epochs=epochs,
            batch_size=settings.batch_size,
            accumulate=settings.accumulate,
            seed=seed,
            choose=lambda epoch: task.examples(epoch, epochs),
            steps=settings.steps,
        )

    if settings.steps is None:
        return order(settings.epochs)
    found = order(1)
    while (missing := settings.steps - found.total_steps) > 0:  # the epochs decide what is chosen, and so their length
        largest = max(map(found.steps, range(found.epochs)))
        found = order(found.epochs + -(-missing // largest))
    return found


def _initial_model(task: Task, seeds: Seeds, device: torch.device, team: Team) -> nn.Module:
    """Return the model with the weights that the seed gives, the same in every process of the team."""
    seed_everything(seeds.initialisation)
    model = task.build_model().to(device)
    team.unify([*model.parameters(), *model.buffers()])
    return model


def _stepper_of(
    task: Task,
    model: nn.Module,
    optimizer: torch.optim.Optimizer,
    settings: TrainSettings,
    *,
    device: torch.device,
    team: Team,
) -> Stepper:
    return Stepper(
        task,
        forward_of(task, model, settings),
        optimizer,
        gradient_scaler(device, settings.precision),
        device=device,
        precision=settings.precision,
        clip_norm=settings.clip_norm,
        team=team,
        least=smallest_slice(model),
    )


def capture(training: TrainingState, *, seconds: float) -> dict[str, Any]:
    """Return the contents of a checkpoint after `seconds` of training: tensors and plain values.

    The order of the batches needs no place in it: it is a function of the seed and the position.

    Raises:
        DivergedError: A loss or a gradient since the last evaluation is not finite.
    """
    return {
        "identity": dict(training.identity),
        "progress": asdict(training.progress),
        "seconds": seconds,
        "measurements": training.measurements.state_dict(),
        "model": training.model.state_dict(),
        "optimizer": training.optimizer.state_dict(),
        "scaler": training.scaler.state_dict() if training.scaler else None,
        "skipped": training.measurements.skipped,
        "average": training.average.state_dict() if training.average else None,
        "patience": training.patience.state_dict() if training.patience else None,
        "rates": training.rates.control.state_dict() if training.rates.control else None,
        "augmentation": training.generator.get_state(),
        "random": capture_random_state(training.device),
    }


def restore(training: TrainingState, content: Mapping[str, Any], *, before: TrainSettings | None = None) -> None:
    """Bring a freshly built training to where the checkpoint was taken.

    Args:
        training: The training, whose settings hold from now on.
        content: What `capture` returned.
        before: Other settings under which the checkpoint may have been written.

    Raises:
        HpsearchError: The checkpoint belongs to another configuration or another model, or `before` differs in what
            cannot change.
    """
    check_identity(training.identity, content["identity"], settings=training.settings, before=before)
    try:
        training.model.load_state_dict(content["model"])
        _load_optimizer(training.optimizer, content["optimizer"])
        if training.average:
            training.average.load_state_dict(content["average"])
    except (RuntimeError, ValueError) as error:
        raise HpsearchError(f"the checkpoint does not fit the model: {error}") from error
    if training.scaler:
        training.scaler.load_state_dict(content["scaler"])
    if training.patience:
        training.patience.load_state_dict(content["patience"])
    if training.rates.control:
        training.rates.control.load_state_dict(content["rates"])
    if "measurements" in content:  # earlier versions saved at evaluations only, where there is nothing to restore
        training.measurements.load_state_dict(content["measurements"])
    training.measurements.skipped = content["skipped"]
    training.generator.set_state(content["augmentation"])
    restore_random_state(content["random"], training.device)
    evaluations = [Evaluation(**evaluation) for evaluation in content["progress"]["evaluations"]]
    training.progress = TrainingProgress(**{**content["progress"], "evaluations": evaluations})
    training.stopwatch.set(content["seconds"])
    training.next_look = content["seconds"] + training.look_every / 2


def _load_optimizer(optimizer: torch.optim.Optimizer, state: dict[str, Any]) -> None:
    """Load an optimizer's memory, such as its momenta, and leave it the rates and decays that it was built with.

    Some optimizers keep a memory in their groups too: the steps taken, Lookahead's since it last looked.
    """
    names = (*optimizer.defaults, "scale")
    built = [{name: group[name] for name in names if name in group} for group in optimizer.param_groups]
    optimizer.load_state_dict(state)
    for group, own in zip(optimizer.param_groups, built, strict=True):
        group.update(own)
