"""From a finished training to a folder that can be handed on (weights, configuration, card), and to a registry."""

import shutil
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from pathlib import Path
from shlex import join
from typing import Any

from hpsearch.data.fingerprint import Fingerprint
from hpsearch.errors import HpsearchError
from hpsearch.experiment.files import no_room, write_json
from hpsearch.experiment.provenance import versions
from hpsearch.final.card import card_of, describe_data
from hpsearch.final.run import TrainedRun, open_run
from hpsearch.final.selection import Origin, Selection, WinnerSource, find_source, read_origin, selection_of
from hpsearch.final.trained_model import CARD, CARD_PAGE, CONFIG, FORMAT_VERSION, WEIGHTS, build_model, read_document
from hpsearch.report.model_card import ModelCard, card_markdown, card_summary, main_metric
from hpsearch.tracking.mlflow.registry import Registration, register_model
from hpsearch.training.weights import count_parameters, load_trained, write_weights


@dataclass(frozen=True)
class ExportedModel:
    """What was written, and where it comes from."""

    folder: Path
    card: ModelCard
    experiment: Path
    run: str


def export_model(path: Path, target: Path, *, run: str | None = None, again: bool = False) -> ExportedModel:
    """Write a model into the folder `target`, which must not exist; or, with `again`, may hold just this model.

    `path` is an experiment or a study (its first arm); the weights are those of its best trial, or of the named `run`.
    The data are loaded, all splits, for their fingerprint.

    Raises:
        HpsearchError: if there is nothing to export, or the data have changed.
    """
    winner = find_source(path)
    trained = open_run(winner, run=run)
    if target.exists():
        if again and _holds(target, trained):
            return ExportedModel(target, _read_card(target), winner.folder, trained.record.run)
        raise HpsearchError(f"{target} exists; hpsearch does not write over a model")
    source, splits = trained.fingerprint(), trained.splits()
    trained.check_examples(splits)
    facts = trained.family.facts(trained.config, splits)
    model = build_model(trained.family, trained.config, facts, seed=trained.seeds["split"])
    step = load_trained(model, trained.folder, at_best=trained.at_best)
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
    )
    with _new_folder(target) as folder:
        write_weights(folder / WEIGHTS, model)
        write_json(folder / CONFIG, _description(trained, facts, step, source))
        write_json(folder / CARD, {"version": FORMAT_VERSION, **asdict(card)})
        (folder / CARD_PAGE).write_text(card_markdown(card), encoding="utf-8")
    return ExportedModel(target, card, winner.folder, trained.record.run)


def _holds(target: Path, trained: TrainedRun) -> bool:
    """Check whether the folder is an exported model of this training."""
    try:
        weights: dict[str, Any] = read_document(target / CONFIG)["weights"]
    except (HpsearchError, KeyError):
        return False
    return _place(trained).items() <= weights.items()


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
    known = [result.get("command"), origin.command if origin else None]
    export = join(["hpsearch", "export", str(path), str(target), "--to", "model", *(["--run", run] if run else [])])
    return [*filter(None, known), export]


def _place(trained: TrainedRun) -> dict[str, str]:
    """Return which training the weights are from."""
    experiment = trained.experiment
    return {"experiment": experiment.name, "id": trained.resolved["id"], "run": trained.record.run}


def _description(
    trained: TrainedRun, facts: Mapping[str, Any], step: int, source: Fingerprint | None
) -> dict[str, Any]:
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
        "weights": {**_place(trained), experiment.unit: step},
        "objective": trained.resolved["space"]["objective"],
        "trained_with": {"versions": trained.resolved["versions"], "git": trained.resolved.get("git")},
        "exported_with": versions(),
    }


@contextmanager
def _new_folder(target: Path) -> Iterator[Path]:
    """Give a folder to write into, which becomes `target` when everything is there.

    Raises:
        HpsearchError: it cannot be done; the message says why.
    """
    beside = target.parent / f".{target.name}.part"
    try:
        shutil.rmtree(beside, ignore_errors=True)
        beside.mkdir(parents=True)
        yield beside
        beside.rename(target)
    except OSError as error:
        raise HpsearchError(no_room(error) or f"{target} cannot be written: {error.strerror or error}") from error
    finally:
        shutil.rmtree(beside, ignore_errors=True)


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
