"""A trained model from what a path names: a model that was exported, or an experiment or study, whose winner it is."""

import math
from collections.abc import Callable, Mapping
from functools import partial
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from hpsearch.data.fingerprint import Fingerprint
from hpsearch.errors import HpsearchError
from hpsearch.experiment.layout import BEST, is_experiment, is_study
from hpsearch.experiment.provenance import versions
from hpsearch.families import Family
from hpsearch.families.loading import load_family
from hpsearch.final.run import TrainedRun, open_run, trust_code
from hpsearch.final.selection import find_source
from hpsearch.final.trained_model import (
    CARD,
    CONFIG,
    FORMAT_VERSION,
    WEIGHTS,
    Ensemble,
    TrainedModel,
    build_model,
    read_document,
)
from hpsearch.places import located
from hpsearch.records import Outcome
from hpsearch.training.task import Splits
from hpsearch.training.weights import load_trained, read_weights
from hpsearch.trust import trusting


def load_model(
    path: str | Path, *, home: str | Path | None = None, run: str | None = None, trust: bool | None = None
) -> TrainedModel:
    """Return a trained model: one that `hpsearch export --to model` wrote, or the winner of an experiment or study.

    Of an exported model no data are loaded, and no code of its folder is run. For an experiment the weights are those
    of its best trial, as for an export; its training data are loaded for what the family keeps of them (a vocabulary,
    the names of classes), and must be those that it was trained on.

    A family in a file of yours is code of its own: of an exported model `home` is the folder that has
    `./mine.py:MyFamily`, and where relative paths of data start; these start at the folder of the space file without
    it. Such a family may have to load its data to make the model.

    Args:
        path: The model's folder, or that of an experiment or study.
        home: The folder with the family's file; an experiment knows it.
        run: Of an experiment, a replicate of the winner instead of its trial, such as "confirm/0003/seed-001".
        trust: Whether code from outside this project may run; by default it may, but a command asks (SECURITY.md).

    Raises:
        UntrustedCodeError: The family's file is from outside this project, and not trusted.
        HpsearchError: it cannot be done; the message says why.
    """
    folder = Path(path).expanduser()
    with trusting(trust):
        if is_experiment(folder) or is_study(folder):
            return _of_experiment(folder, run)
        if run is not None:
            raise HpsearchError(f"--run={run} is about an experiment; {folder} is none")
        return _exported(folder, home)


def _exported(folder: Path, home: str | Path | None) -> TrainedModel:
    description = read_document(folder / CONFIG)
    if description.get("version") != FORMAT_VERSION:
        raise HpsearchError(f"{folder} has format {description.get('version')}; this hpsearch reads {FORMAT_VERSION}")
    reference = description["family"]
    if ":" in reference and home is None:
        raise HpsearchError(
            f"{folder} is a model of the family {reference}, which is code of its own: say which folder it is in "
            "with load_model(..., home=FOLDER), or --home FOLDER"
        )
    start = Path(description.get("home", "") if home is None else home)
    trust_code({"family": reference}, start, folder / CONFIG)
    family = load_family(reference, Path(home or ""))
    config = located(family.Config.model_validate(description["config"]), start)
    facts, seed = description["facts"], description["seeds"]["split"]
    members = [build_model(family, config, facts, seed=seed) for _ in description.get("ensemble") or ("",)]
    model = Ensemble(members, combination(family, facts)) if len(members) > 1 else members[0]
    read_weights(folder / WEIGHTS, model, sha256=description.get("sha256"))
    card = read_document(folder / CARD)
    return TrainedModel(model.eval(), family, config, description["facts"], description, card, start)


def _of_experiment(folder: Path, run: str | None) -> TrainedModel:
    trained = open_run(find_source(folder), run=run)
    source, splits = trained.fingerprint(), trained.splits()
    trained.check_examples(splits, "train")
    model, facts, step = weights_of(trained, splits)
    description = describe(trained, facts, step, source)
    return TrainedModel(model.eval(), trained.family, trained.config, facts, description, {}, trained.home)


def combination(family: Family[Any], facts: Mapping[str, Any]) -> Callable[[Tensor], Tensor]:
    """Return what makes one output of those of an ensemble's members, (members, ...): the mean of probabilities.

    Raises:
        HpsearchError: The family's outputs are no logits of classes.
    """
    groups = family.logit_groups(facts)
    if groups is None:
        raise HpsearchError(
            "an ensemble is the mean of its members' probabilities, and the outputs of this family are no logits of "
            "classes"
        )
    return partial(mean_of_probabilities, groups=list(groups))


def mean_of_probabilities(outputs: Tensor, *, groups: list[int]) -> Tensor:
    """Return the logarithms of the mean probabilities for logits (members, ..., classes of all groups)."""
    parts = torch.split(outputs.float(), groups, dim=-1)
    return torch.cat([part.log_softmax(dim=-1).logsumexp(dim=0) - math.log(len(part)) for part in parts], dim=-1)


def weights_of(trained: TrainedRun, splits: Splits) -> tuple[nn.Module, Mapping[str, Any], int]:
    """Return the model of a training with its weights, the family's facts, and the step of the weights.

    Raises:
        HpsearchError: There are no weights.
    """
    facts = trained.family.facts(trained.config, splits)
    model = build_model(trained.family, trained.config, facts, seed=trained.seeds["split"])
    try:
        step = load_trained(model, trained.folder, at_best=trained.at_best, seeds=trained.seeds)
    except HpsearchError as error:
        raise HpsearchError(f"{error}. {_instead(trained)}") from error
    if trained.at_best and trained.record.step not in (None, step):
        raise HpsearchError(
            f"{trained.folder / BEST} holds the weights of {trained.experiment.unit} {step}, and the value of "
            f"{trained.record.run} is that of {trained.record.step}. {_instead(trained)}"
        )
    return model, facts, step


def _instead(trained: TrainedRun) -> str:
    """Say what can be done about a run whose weights are gone."""
    folder, own = trained.experiment.folder, trained.record
    others = [
        each.run
        for each in trained.experiment.replicates
        if (each.number, each.outcome) == (own.number, Outcome.COMPLETE) and each.run != own.run
    ]
    again = f"`hpsearch train --from {folder} --params best` trains the configuration again"
    return f"Its values in the log are still good; {again}" + (
        f", or take a replicate's weights with --run {others[0]}" if others else ""
    )


def place_of(trained: TrainedRun) -> dict[str, str]:
    """Return which training the weights are from."""
    experiment = trained.experiment
    return {"experiment": experiment.name, "id": trained.resolved["id"], "run": trained.record.run}


def describe(trained: TrainedRun, facts: Mapping[str, Any], step: int, source: Fingerprint | None) -> dict[str, Any]:
    """Return the contents of config.json."""
    experiment = trained.experiment
    return {
        "version": FORMAT_VERSION,
        "family": experiment.family,
        "config": trained.written.model_dump(mode="json"),
        "home": str(trained.home),
        "source": source.to_json() if source else None,
        "facts": dict(facts),
        "seeds": trained.seeds,
        "weights": {**place_of(trained), experiment.unit: step},
        "objective": trained.resolved["space"]["objective"],
        "trained_with": {"versions": trained.resolved["versions"], "git": trained.resolved.get("git")},
        "exported_with": versions(),
    }
