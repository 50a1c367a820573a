"""Networks for other runtimes compute what the original does, for batches of any size, or are not written."""

from pathlib import Path

import numpy as np
import pytest
import torch

import hpsearch
from hpsearch.errors import HpsearchError
from hpsearch.final import networks
from hpsearch.final.opening import load_model
from hpsearch.running.runner import RunOptions, run
from tests.calling import Call
from tests.toy_spaces import toy_space

INPUTS = {
    "texts": "tokens (batch, 5) int64, lengths (batch) int64 and gives (batch, 2) float32",
    "images": "images (batch, 1, 8, 8) float32 and gives (batch, 2) float32",
    "characters": "tokens (batch, 16) int64 and gives (batch, 16, ",
}


def given(name: str, count: int) -> tuple[torch.Tensor, ...]:
    draws = torch.Generator().manual_seed(count)
    if name == "images":
        return (torch.rand((count, 1, 8, 8), generator=draws),)
    if name == "characters":
        return (torch.randint(0, 20, (count, 16), generator=draws),)
    return torch.randint(0, 6, (count, 5), generator=draws), torch.full((count,), 5)


@pytest.mark.parametrize("name", INPUTS)
def test_torchscript_is_the_original(name: str, request: pytest.FixtureRequest, tmp_path: Path) -> None:
    experiment = request.getfixturevalue(name)
    exported = hpsearch.export(experiment, tmp_path / "n.pt", to="torchscript")
    assert INPUTS[name] in exported.note
    network, loaded = load_model(experiment).model, torch.jit.load(str(tmp_path / "n.pt"))
    for count in (1, 7):
        with torch.no_grad():
            torch.testing.assert_close(loaded(*given(name, count)), network(*given(name, count)))


@pytest.mark.slow
@pytest.mark.parametrize("name", INPUTS)
def test_onnx_is_the_original(call: Call, name: str, request: pytest.FixtureRequest, tmp_path: Path) -> None:
    import onnx
    import onnxruntime

    experiment = request.getfixturevalue(name)
    said = call("export", experiment, "n.onnx", "--to", "onnx")
    assert said.status == 0
    assert said.err == ""
    assert INPUTS[name] in said.out
    onnx.checker.check_model(onnx.load(tmp_path / "n.onnx"))
    session = onnxruntime.InferenceSession(tmp_path / "n.onnx")
    network = load_model(experiment).model
    for count in (1, 7):
        inputs = given(name, count)
        with torch.no_grad():
            expected = network(*inputs).numpy()
        feed = {each.name: tensor.numpy() for each, tensor in zip(session.get_inputs(), inputs, strict=True)}
        np.testing.assert_allclose(session.run(None, feed)[0], expected, rtol=1e-4, atol=1e-5)
    assert call("export", experiment, "n.onnx", "--to", "onnx").status == 2  # it is there


def test_what_does_not_export_says_why(images: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A network whose path depends on the number of examples, as a tracer records only one, is not written."""
    model = load_model(images)
    original = model.model.forward

    def uneven(images: torch.Tensor) -> torch.Tensor:
        return original(images) * (1 if len(images) > 9 else 2)

    monkeypatch.setattr(model.model, "forward", uneven)
    monkeypatch.setattr(networks, "load_model", lambda source, run: model)
    with pytest.raises(HpsearchError, match="the torchscript file gives other outputs than the original"):
        networks.export_network(images, tmp_path / "n.pt", to="torchscript")

    def failing(images: torch.Tensor) -> torch.Tensor:
        if torch.jit.is_tracing():
            raise RuntimeError("no tracing of this one\nsecond line")
        return original(images)

    monkeypatch.setattr(model.model, "forward", failing)
    with pytest.raises(HpsearchError, match=r"does not export to torchscript: RuntimeError: no tracing of this one$"):
        networks.export_network(images, tmp_path / "n.pt", to="torchscript")
    assert list(tmp_path.iterdir()) == []


def test_a_family_of_ones_own_exports_as_well(tmp_path: Path) -> None:
    run(toy_space(tmp_path, trials=1), folder=tmp_path / "x", options=RunOptions(in_process=True))
    found = networks.export_network(tmp_path / "x", tmp_path / "n.pt", to="torchscript")
    assert found.inputs == {"input": "(batch, 1) float32"}
    assert found.difference == 0


def test_options_that_do_not_go_together_are_told(call: Call, texts: Path) -> None:
    said = call("export", texts, "n.onnx", "--to", "onnx", "--register", "films")
    assert said.status == 2
    assert "--register=films is about a model; --to=onnx writes the network alone" in said.err
