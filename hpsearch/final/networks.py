"""The network of an experiment's winner for other runtimes: ONNX and TorchScript, checked against the original.

What the network takes is what its task gives it: the inputs of test batches are recorded, and the dimensions in which
two batches of different sizes differ are those that are left open. What comes before the network (words to numbers,
pixels to 0 to 1) and after it (logits to probabilities) is not in the file.
"""

import contextlib
import inspect
import logging
import warnings
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from hpsearch.errors import HpsearchError
from hpsearch.extras import Extra, require
from hpsearch.final.opening import load_model
from hpsearch.final.trained_model import TrainedModel
from hpsearch.training.task import Batch, Task

NETWORK_FORMATS = ("onnx", "torchscript")
_BATCH = "batch"
_EXAMPLES = 64
"""Test examples on which the file is compared with the original."""
_TRIED = 8
"""Batches among which that is looked for which differs from the first in most dimensions."""
_TOLERANCE = 1e-4
"""Largest difference that is taken for rounding, as a share of the largest output."""
Inputs = tuple[Tensor, ...]


@dataclass(frozen=True)
class Network:
    """A network that was written.

    `inputs` maps its inputs to their dimensions (names of open ones) and type, `output` is the same of its output;
    `difference` is the largest to the original's outputs, on `examples` of the test split.
    """

    path: Path
    inputs: Mapping[str, str]
    output: str
    difference: float
    examples: int

    def described(self) -> str:
        """Return it in a sentence."""
        taken = ", ".join(f"{name} {shape}" for name, shape in self.inputs.items())
        return (
            f"it takes {taken} and gives {self.output}; on {self.examples} test examples it differs from the original "
            f"by at most {self.difference:.2g}"
        )


def export_network(source: Path, target: Path, *, to: str, run: str | None = None) -> Network:
    """Write the network of an experiment's winner, with an open batch dimension, and compare it with the original.

    Raises:
        HpsearchError: It cannot be exported, and why; or the file does not compute the same.
    """
    if target.exists():
        raise HpsearchError(f"{target} exists; hpsearch does not write over a model")
    model = load_model(source, run=run)
    network = model.model
    batches = _recorded(model)
    names = _names(network, batches[0])
    open_ = _open_dimensions(batches)
    partial = target.with_name(f".{target.name}.part")
    try:
        target.parent.mkdir(parents=True, exist_ok=True)
        compute = (_write_onnx if to == "onnx" else _write_torchscript)(network, batches[1], names, open_, partial)
        found, difference = _compared(network, compute, batches[0], to)
        alone = tuple(each[:1] for each in batches[0])
        difference = max(difference, _compared(network, compute, alone, to)[1])
        partial.replace(target)
    except OSError as error:
        raise HpsearchError(f"{target} cannot be written: {error.strerror or error}") from error
    finally:
        partial.unlink(missing_ok=True)
    shapes = {name: _shape(each, own) for name, each, own in zip(names, batches[0], open_, strict=True)}
    first = {0: _BATCH} if found.shape[:1] == batches[0][0].shape[:1] else {}
    return Network(target, shapes, _shape(found, first), difference, len(batches[0][0]))


class _Recorder:
    """Acts like a network, and remembers what it is given."""

    def __init__(self, network: nn.Module) -> None:
        self.network = network
        self.given: list[Inputs] = []

    def __call__(self, *inputs: Any, **named: Any) -> Tensor:
        if named or not all(isinstance(each, Tensor) for each in inputs):
            raise HpsearchError(
                "the network takes more than tensors by place (a name, or something else), which these formats cannot "
                "hold"
            )
        self.given.append(tuple(each.detach() for each in inputs))
        output: Tensor = self.network(*inputs)
        return output


def _recorded(model: TrainedModel) -> list[Inputs]:
    """Return the network's inputs for two batches of the test split, the larger one first."""
    splits = model.splits()
    data, task = splits["test"], model.family.task(model.config, splits)
    count = min(_EXAMPLES, len(data))
    if count < 2:
        raise HpsearchError("two test examples are needed to find which dimension of the inputs counts them")
    first = _inputs_of(task, model.model, data.batch(list(range(count))))
    size = max(2, count // 3) if count > 2 else 1
    parts = (list(range(start, start + size)) for start in range(0, min(count, _TRIED * size) - size + 1, size))
    others = [_inputs_of(task, model.model, data.batch(indices)) for indices in parts]
    return [first, max(others, key=lambda other: sum(map(len, _open_dimensions([first, other]))))]


def _inputs_of(task: Task, network: nn.Module, batch: Batch) -> Inputs:
    recorder = _Recorder(network)
    with torch.no_grad():
        task.evaluate(recorder, [batch])
    if not recorder.given:
        raise HpsearchError("the family scores its network without calling it as a whole")
    return recorder.given[0]


def _names(network: nn.Module, inputs: Inputs) -> list[str]:
    named = list(inspect.signature(network.forward).parameters)
    return [named[index] if index < len(named) else f"input_{index}" for index in range(len(inputs))]


def _open_dimensions(batches: Sequence[Inputs]) -> list[dict[int, str]]:
    """Return for each input the names of the dimensions in which the two batches differ."""
    count = len(batches[0][0])
    found: list[dict[int, str]] = []
    sizes: dict[tuple[int, int], str] = {(count, len(batches[1][0])): _BATCH}
    for one, other in zip(*batches, strict=True):
        own = {}
        for index, pair in enumerate(zip(one.shape, other.shape, strict=True)):
            if pair[0] != pair[1]:
                own[index] = sizes.setdefault(pair, f"length_{len(sizes)}" if len(sizes) > 1 else "length")
        found.append(own)
    return found


def _write_onnx(
    network: nn.Module, inputs: Inputs, names: Sequence[str], open_: Sequence[Mapping[int, str]], path: Path
) -> Any:
    """Write an ONNX file and return what computes with it."""
    require("export --to onnx", Extra.ONNX)
    import onnxruntime

    dimensions = {name: torch.export.Dim(name) for own in open_ for name in own.values()}
    shapes = tuple({index: dimensions[name] for index, name in own.items()} for own in open_)
    try:
        with _silence():
            program = torch.onnx.export(
                network,
                inputs,
                dynamo=True,
                input_names=list(names),
                output_names=["output"],
                dynamic_shapes=shapes,
                verbose=False,
            )
            assert program is not None  # noqa: S101 -- ours: without a file to write it returns the program
            program.save(str(path), external_data=False)
    except Exception as error:  # noqa: BLE001 - the exporter raises the errors of whatever it meets
        raise HpsearchError(_refusal("onnx", error)) from None
    session = onnxruntime.InferenceSession(path.read_bytes(), providers=["CPUExecutionProvider"])
    known = [each.name for each in session.get_inputs()]

    def compute(given: Inputs) -> Tensor:
        feed = {name: each.numpy() for name, each in zip(names, given, strict=True) if name in known}
        return torch.from_numpy(session.run(None, feed)[0])

    return compute


def _write_torchscript(
    network: nn.Module, inputs: Inputs, names: Sequence[str], open_: Sequence[Mapping[int, str]], path: Path
) -> Any:
    """Write a TorchScript file, traced, and return what computes with it."""
    del names, open_
    try:
        with torch.no_grad(), _silence():
            traced = torch.jit.trace(network, inputs, check_trace=False)  # type: ignore[no-untyped-call] # torch's own
            torch.jit.save(traced, str(path))
            loaded = torch.jit.load(str(path))  # type: ignore[no-untyped-call] # torch's own
    except Exception as error:  # noqa: BLE001 - tracing raises the errors of whatever it meets
        raise HpsearchError(_refusal("torchscript", error)) from None

    def compute(given: Inputs) -> Tensor:
        with torch.no_grad():
            output: Tensor = loaded(*given)
        return output

    return compute


@contextlib.contextmanager
def _silence() -> Iterator[None]:
    """Keep the exporters' remarks on packages that they could also use from the user."""
    log = logging.getLogger("torch.onnx")
    before = log.level
    log.setLevel(logging.ERROR)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            yield
    finally:
        log.setLevel(before)


def _refusal(to: str, error: Exception) -> str:
    said = next((line.strip() for line in str(error).splitlines() if line.strip()), "")
    return f"this model does not export to {to}: {type(error).__name__}: {said[:300]}"


def _compared(network: nn.Module, compute: Any, inputs: Inputs, to: str) -> tuple[Tensor, float]:
    """Return the file's outputs, and their largest difference from the original's.

    Raises:
        HpsearchError: They are not the same.
    """
    with torch.no_grad():
        expected = network(*inputs).float()
    try:
        found = compute(inputs).float()
    except Exception as error:  # noqa: BLE001 - a runtime raises errors of its own
        raise HpsearchError(
            f"the {to} file does not compute {len(inputs[0])} examples, only as many as it was written with, so it was "
            f"not kept: {str(error)[:300]}"
        ) from None
    if found.shape != expected.shape:
        raise HpsearchError(f"the {to} file gives outputs of shape {tuple(found.shape)}, not {tuple(expected.shape)}")
    difference = float((found - expected).abs().max())
    if not difference <= _TOLERANCE * max(float(expected.abs().max()), 1.0):
        raise HpsearchError(
            f"the {to} file gives other outputs than the original: they differ by up to {difference:.2g}, so it was "
            "not kept"
        )
    return found, difference


def _shape(tensor: Tensor, open_: Mapping[int, str]) -> str:
    dimensions = ", ".join(open_.get(index, str(size)) for index, size in enumerate(tensor.shape))
    return f"({dimensions}) {str(tensor.dtype).removeprefix('torch.')}"
