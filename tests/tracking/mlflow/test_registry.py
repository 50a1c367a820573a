"""An exported model in MLflow's registry, read back by MLflow's own client."""

import json
import shutil
from pathlib import Path
from urllib.parse import unquote, urlparse

import pytest
from mlflow import MlflowClient

from hpsearch.errors import TrackingError
from hpsearch.experiment.layout import trial_run
from hpsearch.tracking.mlflow.registry import DESCRIPTION_LENGTH, Registration, register_model
from hpsearch.tracking.mlflow.store import ARTIFACTS, DATABASE, default_uri
from tests.tracking.folders import BEST_TRIAL, ExperimentFolder, grow_search
from tests.tracking.reading import Reading
from tests.tracking.servers import free_port, mlflow_server

RUN = trial_run(BEST_TRIAL)
TAGS = {"hpsearch.study": "lines", "hpsearch.data_fingerprint": "ab12", "hpsearch.metric": "test/dice"}


def registration(name: str = "line", description: str = "A line.") -> Registration:
    return Registration(name, description, TAGS, {"model.width": "3"})


@pytest.fixture
def model(tmp_path: Path) -> Path:
    """The folder of an exported model, as far as MLflow is concerned."""
    folder = tmp_path / "model"
    folder.mkdir()
    (folder / "model.safetensors").write_bytes(b"numbers")
    (folder / "card.md").write_text("# line")
    return folder


def test_a_version_holds_the_folder_and_belongs_to_the_training(
    folder: ExperimentFolder, root: Path, model: Path
) -> None:
    grow_search(folder)
    assert register_model(model, registration(), experiment=folder.path, run=RUN) == 1  # what was not mirrored yet is
    assert register_model(model, registration(), experiment=folder.path, run=RUN) == 2
    uri = default_uri(root)
    client, reading = MlflowClient(tracking_uri=uri, registry_uri=uri), Reading(uri, "line")
    version = client.get_model_version("line", "2")
    run = reading.runs["trial-0001"].info
    assert (version.run_id, version.description, version.status) == (run.run_id, "A line.", "READY")
    assert version.tags == TAGS
    place = Path(unquote(urlparse(version.source).path))
    assert {file.name: file.read_bytes() for file in place.iterdir()} == {
        file.name: file.read_bytes() for file in model.iterdir()
    }
    logged = client.search_logged_models([run.experiment_id])
    assert {each.source_run_id for each in logged} == {run.run_id}
    assert {json.loads(each.tags["mlflow.modelVersions"])[0]["version"] for each in logged} == {1, 2}
    assert [str(each.status) for each in logged] == ["READY", "READY"]
    assert [each.params for each in logged] == [{"model.width": "3"}] * 2
    outputs = client.get_run(run.run_id).outputs
    assert {each.model_id for each in outputs.model_outputs} == {each.model_id for each in logged}


def test_a_folder_whose_name_means_something_else_in_a_url(tmp_path: Path, empty_database: Path, model: Path) -> None:
    root = tmp_path / "a%20b?c=d#e"
    root.mkdir()
    shutil.copy(empty_database, root / DATABASE)
    folder = ExperimentFolder(root / "line")
    grow_search(folder)
    assert register_model(model, registration(), experiment=folder.path, run=RUN) == 1
    assert {path.name for path in tmp_path.iterdir()} == {root.name, model.name}
    assert [file.read_bytes() for file in root.rglob("model.safetensors")] == [b"numbers"]


def test_a_description_that_mlflow_cannot_hold_is_cut(folder: ExperimentFolder, root: Path, model: Path) -> None:
    grow_search(folder)
    register_model(model, registration(description="x" * 6000), experiment=folder.path, run=RUN)
    uri = default_uri(root)
    description = MlflowClient(tracking_uri=uri, registry_uri=uri).get_model_version("line", "1").description
    assert description == "x" * (DESCRIPTION_LENGTH - 1) + "…"


def test_what_mlflow_refuses_is_told_and_leaves_no_model_that_looks_ready(
    folder: ExperimentFolder, root: Path, model: Path
) -> None:
    grow_search(folder)
    with pytest.raises(TrackingError, match="Invalid model name 'a/b'"):
        register_model(model, registration("a/b"), experiment=folder.path, run=RUN)
    (root / ARTIFACTS / "line" / "models").write_text("a file, where MLflow makes a folder")
    with pytest.raises(TrackingError, match="cannot be written"):
        register_model(model, registration(), experiment=folder.path, run=RUN)
    client = MlflowClient(tracking_uri=default_uri(root))
    experiment = Reading(default_uri(root), "line").parent.info.experiment_id
    assert [str(each.status) for each in client.search_logged_models([experiment])] == ["FAILED"]
    assert client.search_model_versions("name='line'") == []


def test_a_run_that_was_deleted_in_mlflow_has_no_models(folder: ExperimentFolder, root: Path, model: Path) -> None:
    grow_search(folder)
    register_model(model, registration(), experiment=folder.path, run=RUN)
    reading = Reading(default_uri(root), "line")
    reading.client.delete_run(reading.runs["trial-0001"].info.run_id)
    with pytest.raises(TrackingError, match="Current state is deleted"):
        register_model(model, registration(), experiment=folder.path, run=RUN)


@pytest.mark.slow
def test_a_server_takes_the_files_and_gives_them_back(folder: ExperimentFolder, tmp_path: Path, model: Path) -> None:
    grow_search(folder)
    with mlflow_server(tmp_path / "server.db", tmp_path / "kept by the server", free_port()) as uri:
        register_model(model, registration(), experiment=folder.path, run=RUN, tracking_uri=uri)
        client = MlflowClient(tracking_uri=uri, registry_uri=uri)
        version = client.get_model_version("line", "1")
        assert version.tags == TAGS
        (logged,) = client.search_logged_models([client.get_run(version.run_id).info.experiment_id])
        names = {file.path for file in client.list_logged_model_artifacts(logged.model_id)}
        assert names == {"card.md", "model.safetensors"}
        assert version.source == logged.artifact_location


def test_a_run_that_the_experiment_does_not_have(folder: ExperimentFolder, model: Path) -> None:
    grow_search(folder)
    with pytest.raises(TrackingError, match=r"has no run for trials/0099"):
        register_model(model, registration(), experiment=folder.path, run=trial_run(99))
