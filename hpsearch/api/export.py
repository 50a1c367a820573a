"""An experiment for other tools: its trials as a table or a storage, its winner as a model. `hpsearch.export`."""

from dataclasses import dataclass
from pathlib import Path

from hpsearch.api.arguments import StrPath, find_experiment
from hpsearch.errors import HpsearchError, UnknownNameError
from hpsearch.experiment.reading import read_experiment
from hpsearch.trust import trusting

FORMATS = ("optuna", "csv", "parquet", "model", "onnx", "torchscript")


@dataclass(frozen=True)
class Exported:
    """What was exported.

    Attributes:
        path: The file, or the model's folder.
        to: Its format.
        written: False for a model that was there already.
        version: The version that was registered in MLflow, if that was asked for.
        note: Of a network: its inputs and output, and how far it differs from the original; of an ensemble: its gain.
        warnings: Of trials: what is damaged in the experiment's log, and was left out.
    """

    path: Path
    to: str
    written: bool = True
    version: int | None = None
    note: str = ""
    warnings: tuple[str, ...] = ()

    @property
    def card(self) -> Path | None:
        """The page that says what a model is; None for other formats."""
        if self.to != "model":
            return None  # without PyTorch
        from hpsearch.final.trained_model import CARD_PAGE

        return self.path / CARD_PAGE


def export(
    experiment: StrPath,
    file: StrPath,
    *,
    to: str,
    run: str | None = None,
    register: str | None = None,
    ensemble: bool = False,
    tracking_uri: str | None = None,
    trust: bool | None = None,
) -> Exported:
    """Write an experiment's trials for other tools, or its winner as a model; `hpsearch export` in Python.

    Example:
        hpsearch.export("experiments/char_lm", "models/char_lm", to="model")
        model = hpsearch.load_model("models/char_lm")

    Args:
        experiment: The experiment's folder, or its name below experiments/.
        file: The file to write; a model's folder.
        to: optuna (a storage that optuna-dashboard opens), csv, parquet; model (the winner's weights and card), or onnx
            or torchscript, its network alone, which is checked against the original on test inputs.
        run: A replicate of the winner instead of its trial, such as "confirm/0003/seed-001".
        register: Make a model a version of this name in MLflow's model registry.
        ensemble: Of a model, all replicates of the winner on seeds as one: the mean of their probabilities.
        tracking_uri: The MLflow server or store to register it in.
        trust: Whether code from outside this project may run; by default it may, but a command asks (SECURITY.md).

    Raises:
        ExperimentError: The folder is not an experiment.
        UntrustedCodeError: Its family is code from outside this project, which is not trusted.
        UnknownNameError: For the format, or the run.
        HpsearchError: The file exists or cannot be written; there is no winner; its data have changed.
    """
    folder, target = find_experiment(experiment), Path(file)
    with trusting(trust):
        return _exported(
            folder, target, to=to, run=run, register=register, ensemble=ensemble, tracking_uri=tracking_uri
        )


def _exported(
    folder: Path,
    target: Path,
    *,
    to: str,
    run: str | None,
    register: str | None,
    ensemble: bool,
    tracking_uri: str | None,
) -> Exported:
    if to == "model":
        if ensemble and run is not None:
            raise HpsearchError(
                f"--run={run} is one replicate, and --ensemble takes all of them; leave one of them out"
            )
        return _model(folder, target, run=run, name=register, ensemble=ensemble, tracking_uri=tracking_uri)
    if ensemble:
        raise HpsearchError(f"--ensemble is about a model; use it with --to=model, not --to={to}")
    if to in ("onnx", "torchscript") and register is None:
        from hpsearch.final.networks import export_network

        return Exported(target, to, note=export_network(folder, target, to=to, run=run).described())
    for option, value in (("--run", run), ("--register", register)):
        if value is not None:
            what = "the network alone" if to in ("onnx", "torchscript") else "the trials"
            raise HpsearchError(f"{option}={value} is about a model; --to={to} writes {what}")
    record = read_experiment(folder)
    if to == "optuna":
        from hpsearch.running.loading import open_space
        from hpsearch.search.optuna_export import export_optuna

        export_optuna(record, open_space(folder, programs=False), target)
    elif to in ("csv", "parquet"):
        from hpsearch.report.tables import export_table

        export_table(record, target, to)
    else:
        raise UnknownNameError("format", to, FORMATS)
    return Exported(target, to, warnings=tuple(record.warnings))


def _model(
    folder: Path, target: Path, *, run: str | None, name: str | None, ensemble: bool, tracking_uri: str | None
) -> Exported:
    from hpsearch.final.export import export_model, register

    there = target.exists()
    exported = export_model(folder, target, run=run, again=name is not None, ensemble=ensemble)
    version = None if name is None else register(exported, name, tracking_uri=tracking_uri)
    return Exported(target, "model", not there, version, exported.gain)
