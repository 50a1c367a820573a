"""The card of a model that is being exported: what its run, its selection and its data tell."""

import hashlib
from collections.abc import Iterator, Mapping
from datetime import UTC, datetime
from typing import Any

from hpsearch.final.run import TrainedRun
from hpsearch.final.selection import of_test
from hpsearch.records import Goal, RunRecord
from hpsearch.report.model_card import ModelCard, main_metric
from hpsearch.report.wording import number, rule
from hpsearch.training.fingerprint import fingerprint
from hpsearch.training.task import Split, Splits

FEW = 5
"""With fewer replicates than this, the card warns that the interval itself is uncertain."""
QUICK = (
    "It comes from the quick form of a study: small models, few data and short trainings, so that it can be run in "
    "minutes. At full size another model may win, with other scores."
)
ONE_SEARCH = (
    "The search was run once. The intervals hold for this configuration on {further}; that another search would have "
    "found another one is not in them."
)
SPLITS: tuple[Split, ...] = ("train", "val", "test")


def describe_data(splits: Splits) -> dict[str, dict[str, Any]]:
    """Return the number of examples and the fingerprint of each split; all of them are read."""
    return {split: {"examples": len(splits[split]), "sha256": fingerprint(splits[split])} for split in SPLITS}


def combined_fingerprint(data: Mapping[str, Mapping[str, Any]]) -> str:
    """Return one fingerprint for all splits."""
    return hashlib.sha256("\n".join(f"{split} {data[split]['sha256']}" for split in SPLITS).encode()).hexdigest()


def card_of(
    trained: TrainedRun,
    *,
    name: str,
    selection: Mapping[str, Any] | None,
    data: Mapping[str, Mapping[str, Any]],
    parameters: int,
    step: int,
    commands: list[str],
) -> ModelCard:
    """Return the card; `step` is that of the weights."""
    own = _own_scores(trained)
    return ModelCard(
        name=name,
        purpose=next(iter((type(trained.family).__doc__ or trained.experiment.family).strip().splitlines())),
        about=list(_about(trained, parameters=parameters, step=step)),
        config=trained.written.model_dump(mode="json"),
        data=data,
        fingerprint=combined_fingerprint(data),
        scores=own,
        selection=selection,
        limits=list(_limits(trained, selection, data, own)),
        commands=commands,
        own_code=":" in trained.experiment.family,
    )


def _about(trained: TrainedRun, *, parameters: int, step: int) -> Iterator[tuple[str, str]]:
    experiment, resolved = trained.experiment, trained.resolved
    yield "family", experiment.family
    yield "parameters", f"{parameters:,}"
    yield "weights", f"{experiment.name}/{trained.record.run}, {experiment.unit} {step} ({_rule(trained)})"
    yield "seeds", ", ".join(f"{name} {seed}" for name, seed in trained.seeds.items())
    yield "date", datetime.fromtimestamp(resolved["created"], tz=UTC).date().isoformat()
    yield "versions", ", ".join(f"{name} {version}" for name, version in resolved["versions"].items())
    if git := resolved.get("git"):
        yield "git commit", git["commit"] + (" with uncommitted changes" if git["dirty"] else "")


def _rule(trained: TrainedRun) -> str:
    if trained.at_best:
        return rule("best", trained.experiment.unit)
    return rule("last", trained.experiment.unit)


def _own_scores(trained: TrainedRun) -> dict[str, float]:
    """Return the test scores of just these weights: the run's own, or those of the replicate that scored them."""
    run, runs = trained.record, trained.experiment.replicates
    scored = run if run.replicate is not None else next((each for each in runs if _same_training(run, each)), run)
    return of_test(scored.scores)


def _same_training(trial: RunRecord, replicate: RunRecord) -> bool:
    return replicate.number == trial.number and replicate.seed == trial.seed and replicate.fold is None


def _limits(
    trained: TrainedRun,
    selection: Mapping[str, Any] | None,
    data: Mapping[str, Mapping[str, Any]],
    own: Mapping[str, float],
) -> Iterator[str]:
    sizes = {split: number(data[split]["examples"]) for split in SPLITS}
    yield (
        f"It has learnt from {sizes['train']} examples and was chosen on {sizes['val']}; "
        f"{_tested(trained, selection, sizes['test'], own)}. All these data are of one "
        "origin: nothing is said about data of another one."
    )
    if trained.record.replicate is not None:
        yield f"These are the weights of {trained.record.run}, which was named, not chosen by a rule."
    if not own:
        yield "Just these weights were not scored on the test split; the scores are those of other trainings."
    yield from _doubts(selection) if selection else ()


def _tested(trained: TrainedRun, selection: Mapping[str, Any] | None, size: str, own: Mapping[str, float]) -> str:
    """Describe the data behind the scores: one test split, or folds, each with a test part of its own."""
    if not selection or not selection["scores"] or not (_on_folds(selection) or trained.record.fold):
        return f"every test score is from {size} examples"
    others = "each from a fold of all the data" if _on_folds(selection) else "from the test split of the search"
    if not own:
        return f"the test scores are {others}"
    return f"its own test scores are from {size} examples, the others {others}"


def _on_folds(selection: Mapping[str, Any]) -> bool:
    """Check whether the scores are of replicates on folds."""
    return str(selection["replicates"]) == "fold"


def _doubts(selection: Mapping[str, Any]) -> Iterator[str]:
    """Explain the selection bias of the scores."""
    if changed := selection.get("data_changed"):
        yield f"The configuration was chosen on other data than it was trained on here: {'; '.join(changed)}."
    study, sizes = selection["study"], [score["n"] for score in selection["scores"].values()]
    if study and study.get("quick"):
        yield QUICK
    if study and study.get("confirmatory") is False:
        yield "The study is exploratory, not confirmatory: its plan or its replicates were changed after a look."
    if study and len(study.get("arms", ())) > 1 and not study["named"]:
        yield (
            "The arm was chosen by the very test scores that stand here. The best of several means is, on average, too "
            "good: a fresh test set would show less."
        )
    if better := _better_methods(selection):
        yield f"By {main_metric(selection)} classical methods score better than the mean here: {', '.join(better)}."
    if sizes and min(sizes) < FEW:
        yield f"With {min(sizes)} replicates the intervals are wide, and themselves uncertain."
    if not sizes:
        yield "Without replicates nothing is known of how the scores vary from seed to seed."
    else:
        yield ONE_SEARCH.format(further="further samples of this data set" if _on_folds(selection) else "further seeds")


def _better_methods(selection: Mapping[str, Any]) -> list[str]:
    """Return the classical methods that are better than the replicates' mean by the metric that counts."""
    metric = main_metric(selection)
    goal = Goal((selection["study"] or {}).get("goal", selection["objective"]["goal"]))
    mean = selection["scores"].get(metric, {}).get("mean")
    if mean is None:
        return []
    return [
        name
        for name, scores in selection["baselines"].items()
        if metric in scores and goal.better(scores[metric], than=mean)
    ]
