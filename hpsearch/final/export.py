"""From a finished training to a folder that can be handed on (weights, configuration, card), and to a registry.

The card says what the model's run, its selection and its data tell.
"""

import contextlib
import hashlib
import shutil
from collections.abc import Iterator, Mapping
from dataclasses import asdict, dataclass, replace
from datetime import UTC, datetime
from pathlib import Path
from shlex import join
from typing import Any

from torch import nn

from hpsearch.errors import HpsearchError, NoSplitError
from hpsearch.experiment.files import no_room, write_json
from hpsearch.experiment.layout import is_experiment
from hpsearch.final.ensemble import combine_replicates
from hpsearch.final.opening import describe, place_of, weights_of
from hpsearch.final.run import SPLITS, TrainedRun, open_run
from hpsearch.final.selection import Origin, Selection, WinnerSource, find_source, of_test, read_origin, selection_of
from hpsearch.final.trained_model import CARD, CARD_PAGE, CONFIG, FORMAT_VERSION, WEIGHTS, read_document
from hpsearch.records import Goal, RunRecord
from hpsearch.report.model_card import ModelCard, card_markdown, card_summary, main_metric
from hpsearch.report.wording import number, rule
from hpsearch.running.loading import search_command
from hpsearch.tracking.mlflow.registry import Registration, register_model
from hpsearch.training.fingerprint import fingerprint
from hpsearch.training.task import Splits
from hpsearch.training.weights import count_parameters, digest_of, write_weights


@dataclass(frozen=True)
class ExportedModel:
    """What was written, and where it comes from."""

    folder: Path
    card: ModelCard
    experiment: Path
    run: str
    gain: str = ""


def export_model(
    path: Path, target: Path, *, run: str | None = None, again: bool = False, ensemble: bool = False
) -> ExportedModel:
    """Write a model into the folder `target`, which must not exist; or, with `again`, may hold just this model.

    `path` is an experiment or a study (its first arm); the weights are those of its best trial, or of the named `run`.
    With `ensemble` they are those of all its replicates on seeds, whose probabilities are averaged. All splits of the
    data are loaded, for their fingerprint.

    Raises:
        HpsearchError: if there is nothing to export, or the data have changed.
    """
    winner = find_source(path)
    trained = open_run(winner, run=run)
    if target.exists():
        if again and not ensemble and _holds(target, trained):
            return ExportedModel(target, _read_card(target), winner.folder, trained.record.run)
        raise HpsearchError(f"{target} exists; hpsearch does not write over a model")
    source, splits = trained.fingerprint(), trained.splits()
    trained.check_examples(splits)
    model, facts, step = weights_of(trained, splits)
    combined = combine_replicates(winner, trained, splits) if ensemble else None
    model = model if combined is None else combined.model
    origin = read_origin(winner.folder)
    selection = _selection(winner, origin, trained)
    card = card_of(
        trained,
        name=target.name,
        selection=asdict(selection) if selection else None,
        data=describe_data(splits),
        parameters=count_parameters(model),
        step=step,
        commands=_commands(path, target, run, origin, winner),
        use=_use(trained, facts, model),
    )
    if combined is not None:
        about = [row for row in card.about if row[0] != "weights"] + [("weights", ", ".join(combined.runs))]
        card = replace(card, about=about, limits=[f"{combined.gain}.", *card.limits], scores={})
    with _new_folder(target) as folder:
        write_weights(folder / WEIGHTS, model)
        members: dict[str, Any] = {"ensemble": list(combined.runs)} if combined else {}
        members |= {"sha256": digest_of(folder / WEIGHTS)}
        write_json(folder / CONFIG, {**describe(trained, facts, step, source), **members})
        write_json(folder / CARD, {"version": FORMAT_VERSION, **asdict(card)})
        (folder / CARD_PAGE).write_text(card_markdown(card), encoding="utf-8")
    return ExportedModel(target, card, winner.folder, trained.record.run, combined.gain if combined else "")


def _holds(target: Path, trained: TrainedRun) -> bool:
    """Check whether the folder is an exported model of this training."""
    try:
        weights: dict[str, Any] = read_document(target / CONFIG)["weights"]
    except (HpsearchError, KeyError):
        return False
    return place_of(trained).items() <= weights.items()


def _read_card(target: Path) -> ModelCard:
    content = read_document(target / CARD)
    content.pop("version")
    return ModelCard(**content)


def _selection(source: WinnerSource, origin: Origin | None, trained: TrainedRun) -> Selection | None:
    """Return how the configuration was selected, or None if it was given."""
    if origin is not None:
        return origin.selection
    space = trained.resolved["space"]
    given = source.study is None and space["search"]["trials"] == 1 and space["confirm"] is None
    return None if given else selection_of(source)


def _commands(path: Path, target: Path, run: str | None, origin: Origin | None, source: WinnerSource) -> list[str]:
    """Return the commands that make the model again, as far as they are known."""
    study = origin.selection.study if origin else None
    result = source.result or study or {}
    search = Path(origin.selection.folder) if origin else source.folder
    searched = None if result or not is_experiment(search) else join(search_command(search))
    known = [result.get("command"), searched, origin.command if origin else None]
    export = join(["hpsearch", "export", str(path), str(target), "--to", "model", *(["--run", run] if run else [])])
    return [*filter(None, known), export]


def _use(trained: TrainedRun, facts: Mapping[str, Any], model: nn.Module) -> dict[str, Any]:
    """Return what the card says of the model's use: inputs, a call, what its files hold, and the classes it knows."""
    classes = facts.get("classes") or {}
    use: dict[str, Any] = {"classes": dict(classes) if isinstance(classes, Mapping) else {"label": list(classes)}}
    predictor = trained.family.predictor(trained.config, facts, model)
    if predictor is not None:
        use |= {"takes": predictor.takes, "call": predictor.example, "files": dict(predictor.Result.endings)}
    return use


@contextlib.contextmanager
def _new_folder(target: Path) -> Iterator[Path]:
    """Give a folder to write into, which becomes `target` when everything is there.

    Raises:
        HpsearchError: it cannot be done; the message says why.
    """
    partial = target.parent / f".{target.name}.part"
    try:
        shutil.rmtree(partial, ignore_errors=True)
        partial.mkdir(parents=True)
        yield partial
        partial.rename(target)
    except OSError as error:
        raise HpsearchError(no_room(error) or f"{target} cannot be written: {error.strerror or error}") from error
    finally:
        shutil.rmtree(partial, ignore_errors=True)


_SERVING = "hpsearch.final.serving"
_ROWS = ".jsonl"
"""The ending of predictions that are rows, which a server can answer with."""


def register(exported: ExportedModel, name: str, *, tracking_uri: str | None = None) -> int:
    """Register an exported model under a name, and return the number of its version.

    Raises:
        TrackingError: the store cannot be used.
    """
    card = exported.card
    registration = Registration(
        name=name,
        description=card_summary(card),
        tags={f"hpsearch.{key}": value for key, value in _tags(card, exported)},
        params=dict((card.selection or {}).get("params", {})),
        loader=_SERVING if card.use.get("call") and _ROWS in card.use["files"] and not card.own_code else "",
    )
    return register_model(
        exported.folder,
        registration,
        experiment=exported.experiment,
        run=exported.run,
        tracking_uri=tracking_uri,
    )


def _tags(card: ModelCard, exported: ExportedModel) -> Iterator[tuple[str, str]]:
    yield "experiment", exported.experiment.resolve().name
    yield "run", exported.run
    yield "data_fingerprint", card.fingerprint
    if card.selection is None:
        return
    study = card.selection["study"]
    if study:
        yield "study", study["name"]
        yield "arm", study["arm"]
    metric = main_metric(card.selection)
    yield "metric", metric
    score = card.selection["scores"].get(metric, {})
    if score.get("mean") is not None:
        yield "mean", repr(score["mean"])
        yield "replicates", str(score["n"])
    if score.get("ci95"):
        yield "ci95", " to ".join(map(repr, score["ci95"]))


FEW = 5
"""With fewer replicates than this, the card warns that the interval itself is uncertain."""
QUICK = (
    "It comes from the quick form of a study: small models, few data and short trainings, so that it can be run in "
    "minutes. At full size another model may win, with other scores."
)
STANDARD = (
    "It comes from the standard form of a study: models, data and trainings as large as a CPU does within about an "
    "hour. At full size another model may win, with other scores."
)
ONE_SEARCH = (
    "The search was run once. The intervals hold for this configuration on {further}; that another search would have "
    "found another one is not in them."
)


def describe_data(splits: Splits) -> dict[str, dict[str, Any]]:
    """Return the number of examples and the fingerprint of each split that there is; all of them are read."""
    found: dict[str, dict[str, Any]] = {}
    for split in SPLITS:
        with contextlib.suppress(NoSplitError):
            found[split] = {"examples": len(splits[split]), "sha256": fingerprint(splits[split])}
    return found


def combined_fingerprint(data: Mapping[str, Mapping[str, Any]]) -> str:
    """Return one fingerprint for all splits."""
    return hashlib.sha256(
        "\n".join(f"{split} {data[split]['sha256']}" for split in SPLITS if split in data).encode()
    ).hexdigest()


def card_of(
    trained: TrainedRun,
    *,
    name: str,
    selection: Mapping[str, Any] | None,
    data: Mapping[str, Mapping[str, Any]],
    parameters: int,
    step: int,
    commands: list[str],
    use: Mapping[str, Any],
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
        use=use,
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
    sizes = {split: number(data[split]["examples"]) for split in SPLITS if split in data}
    tested = _tested(trained, selection, sizes["test"], own) if "test" in sizes else "there is no test split"
    yield (
        f"It has learnt from {sizes['train']} examples and was chosen on {sizes['val']}; {tested}. All these data "
        "are of one origin: nothing is said about data of another one."
    )
    if trained.record.replicate is not None:
        yield f"These are the weights of {trained.record.run}, which was named, not chosen by a rule."
    if not own and "test" in sizes:
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
    if study and study.get("standard"):
        yield STANDARD
    if study and study.get("confirmatory") is False:
        yield "The study is exploratory, not confirmatory: its plan or its replicates were changed after a look."
    if study and len(study.get("arms", ())) > 1 and not study["named"]:
        yield (
            "The arm was chosen by the very test scores that are shown here. The best of several means is, on average, "
            "too good: a fresh test set would show less."
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
