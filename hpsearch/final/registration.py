"""What MLflow's model registry is told of an exported model."""

from collections.abc import Iterator

from hpsearch.final.export import ExportedModel
from hpsearch.report.model_card import ModelCard, card_summary
from hpsearch.report.selection import main_metric
from hpsearch.tracking.mlflow.registry import Registration, register_model


def register(exported: ExportedModel, name: str, *, tracking_uri: str | None = None) -> int:
    """Register an exported model under a name, and return the number of its version. Errors: TrackingError."""
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
