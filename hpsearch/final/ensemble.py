"""Several replicates of a winner as one model: its outputs are combined, for a classifier to the mean probabilities."""

from dataclasses import dataclass

from torch import nn

from hpsearch.errors import HpsearchError
from hpsearch.final.opening import combination, weights_of
from hpsearch.final.run import TrainedRun, open_run
from hpsearch.final.selection import WinnerSource
from hpsearch.final.trained_model import Ensemble
from hpsearch.records import Goal, Outcome
from hpsearch.report.wording import number
from hpsearch.training.devices import resolve_device
from hpsearch.training.scoring import evaluate_split
from hpsearch.training.task import Splits


@dataclass(frozen=True)
class Combined:
    """An ensemble, the runs of its members, and what it gains on the validation split: a sentence."""

    model: Ensemble
    runs: tuple[str, ...]
    gain: str


def combine_replicates(source: WinnerSource, trained: TrainedRun, splits: Splits) -> Combined:
    """Return the winner's replicates on seeds as one model, and its validation score beside its members'.

    Raises:
        HpsearchError: There are fewer than two, or the family's outputs cannot be combined.
    """
    winner = trained.record.number
    runs = [
        each.run
        for each in trained.experiment.replicates
        if each.number == winner and each.fold is None and each.outcome is Outcome.COMPLETE
    ]
    if len(runs) < 2:
        raise HpsearchError(
            f"an ensemble needs two replicates of the winner on seeds, and {source.folder} has {len(runs)}: "
            f"`hpsearch confirm {source.folder} --seeds 5` trains them"
        )
    found = [weights_of(open_run(source, run=run), splits) for run in runs]
    combine = combination(trained.family, found[0][1])
    ensemble = Ensemble([model for model, _, _ in found], combine)
    return Combined(ensemble, tuple(runs), _gain(trained, ensemble, splits))


def _gain(trained: TrainedRun, ensemble: Ensemble, splits: Splits) -> str:
    """Compare the ensemble with its members by the objective, on the validation split."""
    objective, train = trained.resolved["space"]["objective"], trained.config.train
    metric, goal = str(objective["metric"]).partition("/")[2], Goal(objective["goal"])
    task, device = trained.family.task(trained.config, splits), resolve_device(train.device)

    def score(model: nn.Module) -> float:
        try:
            model.to(device)
            return evaluate_split(
                task, splits, "val", model, batch_size=train.batch_size, device=device, precision=train.precision
            )[metric]
        finally:
            model.cpu()

    own, members = score(ensemble), [score(member) for member in ensemble.members]
    mean, best = sum(members) / len(members), max(members) if goal is Goal.MAXIMIZE else min(members)
    gained = own - mean if goal is Goal.MAXIMIZE else mean - own
    return (
        f"By val/{metric} the mean of the probabilities of {len(members)} replicates has {number(own)}; its members "
        f"have {number(mean)} on average and {number(best)} at best, so the ensemble "
        f"{'gains' if gained >= 0 else 'loses'} {number(abs(gained))} on the average member. The validation split has "
        "chosen the steps of the weights; as one model the ensemble was not scored on the test split"
    )
