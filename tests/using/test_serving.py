"""A registered model is served by MLflow: its own server on loopback answers as the model does; no file is opened."""

import json
import os
import socket
import subprocess
import sys
import time
from pathlib import Path
from urllib.error import HTTPError, URLError
from urllib.request import Request, urlopen

import mlflow
import numpy as np
import pandas as pd
import pytest

import hpsearch
from hpsearch.errors import HpsearchError
from hpsearch.families.class_prediction import ClassPrediction
from hpsearch.final.export import export_model
from hpsearch.final.serving import ServedModel, _load_pyfunc

TEXTS = ["a good film", "the dull actor", "and a splendid scene"]


def test_a_served_model_answers_as_the_model_does(texts: Path, tmp_path: Path) -> None:
    export_model(texts, tmp_path / "model")
    served = _load_pyfunc(str(tmp_path / "model"))
    expected = hpsearch.load_model(tmp_path / "model").predict(TEXTS)
    assert isinstance(expected, ClassPrediction)
    for given in (TEXTS, np.array(TEXTS), pd.DataFrame({"text": TEXTS}), {"text": TEXTS}):
        answers = served.predict(given)
        assert [each["class"] for each in answers] == list(expected.answers)
        assert [list(each["probabilities"].values()) for each in answers] == expected.probabilities.tolist()
    (tmp_path / "secret.txt").write_text("one line\nand another\n")
    assert len(served.predict([str(tmp_path / "secret.txt")])) == 1  # the path is the text
    with pytest.raises(HpsearchError, match="an input is a text here, not int"):
        served.predict([3])
    with pytest.raises(HpsearchError, match="one column of inputs was expected, not 2"):
        served.predict(pd.DataFrame({"a": ["x"], "b": ["y"]}))


def test_images_come_as_numbers_and_files_are_not_opened(images: Path) -> None:
    served = ServedModel(hpsearch.load_model(images))
    bright = np.full((8, 8), 200, dtype=np.uint8)
    assert served.predict([bright.tolist()])[0]["class"] == "bright"
    assert served.predict(bright[None])[0]["class"] == "bright"
    with pytest.raises(HpsearchError, match="a server opens no files"):
        served.predict([str(images.parents[1] / "photos" / "dark" / "001.png")])


def test_options_are_the_requests_parameters(characters: Path) -> None:
    served = ServedModel(hpsearch.load_model(characters))
    (answer,) = served.predict(["9 bottles"], {"length": 5, "temperature": 0})
    assert answer["prompt"] == "9 bottles"
    assert len(answer["text"]) == 5


@pytest.mark.slow
def test_mlflows_server_serves_a_registered_model(texts: Path, tmp_path: Path) -> None:
    uri = f"sqlite:///{tmp_path}/mlflow.db"
    exported = hpsearch.export(texts, tmp_path / "model", to="model", register="films", tracking_uri=uri)
    assert exported.version == 1
    expected = hpsearch.load_model(tmp_path / "model").predict(TEXTS)
    assert isinstance(expected, ClassPrediction)
    mlflow.set_tracking_uri(uri)
    folder = mlflow.artifacts.download_artifacts("models:/films/1")
    assert not [path for path in Path(folder).rglob("*") if path.suffix in (".pkl", ".pickle", ".pt", ".pth")]

    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    command = [sys.executable, "-m", "mlflow", "models", "serve", "-m", "models:/films/1", "--env-manager", "local"]
    command += ["--host", "127.0.0.1", "--port", str(port), "--workers", "1"]
    environment = {
        **os.environ,
        "MLFLOW_TRACKING_URI": uri,
        "PATH": f"{Path(sys.executable).parent}:{os.environ['PATH']}",
    }
    with (tmp_path / "server.log").open("w") as log:
        server = subprocess.Popen(command, env=environment, stdout=log, stderr=log, start_new_session=True)
    try:
        _wait(f"http://127.0.0.1:{port}/ping", server, tmp_path / "server.log")
        answers = _ask(port, {"inputs": TEXTS})["predictions"]
        assert [each["class"] for each in answers] == list(expected.answers)
        split = {"dataframe_split": {"columns": ["text"], "data": [[text] for text in TEXTS]}}
        assert _ask(port, split)["predictions"] == answers
        with pytest.raises(HTTPError):
            _ask(port, {"inputs": [1, 2]})
        assert _ask(port, {"inputs": TEXTS})["predictions"] == answers
    finally:
        os.killpg(server.pid, 15)
        server.wait(timeout=60)


def _wait(address: str, server: "subprocess.Popen[bytes]", log: Path) -> None:
    for _ in range(600):
        assert server.poll() is None, log.read_text()
        try:
            with urlopen(address, timeout=5):  # noqa: S310 - our own server
                return
        except (URLError, ConnectionError, TimeoutError):
            time.sleep(0.5)
    raise AssertionError(log.read_text())


def _ask(port: int, content: object) -> dict[str, list[dict[str, object]]]:
    request = Request(
        f"http://127.0.0.1:{port}/invocations",
        data=json.dumps(content).encode(),
        headers={"Content-Type": "application/json"},
    )
    with urlopen(request, timeout=120) as answer:  # noqa: S310 - our own server
        return dict(json.loads(answer.read()))
