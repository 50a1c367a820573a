"""An exported model in MLflow: a logged model of the run that trained it, and a version in the model registry."""

import json
import platform
import tempfile
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from importlib.metadata import version
from pathlib import Path
from typing import TYPE_CHECKING

from hpsearch.errors import TrackingError
from hpsearch.extras import Extra, require
from hpsearch.tracking.mirror import ExperimentMirror
from hpsearch.tracking.mlflow.client_store import mlflow_client
from hpsearch.tracking.mlflow.sink import MlflowSink
from hpsearch.tracking.mlflow.store import guarded, state_in
from hpsearch.tracking.mlflow.writing import cut, param_text

if TYPE_CHECKING:
    from mlflow import MlflowClient
    from mlflow.entities import LoggedModel

DESCRIPTION_LENGTH = 5000
"""The longest description that MLflow's databases hold."""
_ENVIRONMENT = "python_env.yaml"
_VERSIONS_TAG = "mlflow.modelVersions"
"""By it the page of a logged model links to the versions that are made of it."""


@dataclass(frozen=True)
class Registration:
    """An entry of the registry: its name, its description (Markdown), tags and parameters.

    `loader` is the module whose `_load_pyfunc` MLflow calls with the folder to serve the model; "" for one that it
    cannot serve.
    """

    name: str
    description: str
    tags: Mapping[str, str]
    params: Mapping[str, str]
    loader: str = ""


def register_model(
    model: Path, registration: Registration, *, experiment: Path, run: str, tracking_uri: str | None = None
) -> int:
    """Bring the mirror of an experiment up to date, log the folder `model` with its run, and register it.

    Returns:
        The number of the version.

    Raises:
        TrackingError: MLflow cannot be written, is not installed, or has no such run.
    """
    require("MLflow's model registry", Extra.MLFLOW, kind=TrackingError)
    sink = MlflowSink(experiment, tracking_uri)
    mirror = ExperimentMirror(experiment, sink)
    try:
        mirror.catch_up(final=True)
    finally:
        mirror.close()
    with guarded(sink.uri):
        client = mlflow_client(sink.uri)
        state = state_in(sink.uri, mirror.folder)
        trained = state.runs.get(run)
        if trained is None or state.experiment is None:
            raise TrackingError(f"MLflow at {sink.uri} has no run for {run} of {experiment}")
        _make_name(client, registration)
        with _logged_model(client, state.experiment, trained.id, registration) as logged:
            client.log_model_artifacts(logged.model_id, str(model))
            if registration.loader:
                _log_flavour(client, logged, registration)
        return _make_version(client, trained.id, logged, registration)


def _make_name(client: "MlflowClient", registration: Registration) -> None:
    """Create the registered model unless there is one of that name."""
    from mlflow.exceptions import MlflowException

    try:
        client.create_registered_model(registration.name)
    except MlflowException as error:
        if error.error_code != "RESOURCE_ALREADY_EXISTS":
            raise


@contextmanager
def _logged_model(
    client: "MlflowClient", experiment: str, run: str, registration: Registration
) -> "Iterator[LoggedModel]":
    """Give a new logged model of a run, which is ready at the end of the block, or failed where the block fails."""
    from mlflow.entities import LoggedModelOutput

    logged = client.create_logged_model(
        experiment,
        name=registration.name,
        source_run_id=run,
        tags=dict(registration.tags),
        params={name: param_text(value) for name, value in registration.params.items()},
        model_type="hpsearch",
    )
    try:
        yield logged
    except BaseException:
        client.finalize_logged_model(logged.model_id, "FAILED")
        raise
    client.finalize_logged_model(logged.model_id, "READY")
    client.log_outputs(run, [LoggedModelOutput(logged.model_id, step=0)])


def _log_flavour(client: "MlflowClient", logged: "LoggedModel", registration: Registration) -> None:
    """Add the files by which `mlflow models serve` and `mlflow.pyfunc.load_model` know what to import."""
    from mlflow import pyfunc
    from mlflow.models import Model

    with tempfile.TemporaryDirectory() as folder:
        described = Model(run_id=logged.source_run_id, model_id=logged.model_id)
        pyfunc.add_to_model(described, loader_module=registration.loader, python_env=_ENVIRONMENT)
        described.save(str(Path(folder) / "MLmodel"))
        requirements = [f"{name}=={version(name)}" for name in ("hpsearch", "mlflow", "torch")]
        (Path(folder) / "requirements.txt").write_text("\n".join(requirements) + "\n")
        environment = f"python: {platform.python_version()}\ndependencies:\n- -r requirements.txt\n"
        (Path(folder) / _ENVIRONMENT).write_text(environment)
        client.log_model_artifacts(logged.model_id, folder)


def _make_version(client: "MlflowClient", run: str, logged: "LoggedModel", registration: Registration) -> int:
    version = client.create_model_version(
        registration.name,
        logged.artifact_location,  # not models:/<id>, which MLflow looks up in its global store
        run_id=run,
        tags=dict(registration.tags),
        description=cut(registration.description, DESCRIPTION_LENGTH),
        model_id=logged.model_id,
    )
    number = int(version.version)
    made = [{"name": registration.name, "version": number}]
    client.set_logged_model_tags(logged.model_id, {_VERSIONS_TAG: json.dumps(made)})
    return number
