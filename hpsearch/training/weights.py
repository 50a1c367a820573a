"""The weights of a training: their moving average, those that it left, and an exported model's file of them.

The file holds tensors only, no pickle.
"""

import hashlib
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError
from safetensors.torch import load_model, save_model
from torch import Tensor, nn
from torch.optim.swa_utils import AveragedModel, get_ema_multi_avg_fn

from hpsearch.errors import HpsearchError
from hpsearch.experiment.layout import BEST, CHECKPOINT
from hpsearch.training.checkpoint import load

_READABLE = 0o644
"""safetensors lets nobody but the owner read its files."""
_AVERAGED = "module."
"""The prefix of the names in the state of a moving average."""


class WeightAverage:
    """average <- decay * average + (1 - decay) * weights after each step, from the initial weights on.

    Floating buffers (the running statistics of batch normalisation) are averaged as well. Integer buffers, and those
    that hold infinities (attention masks), are copied: averaging would round an index down and turn -inf into NaN.
    """

    def __init__(self, model: nn.Module, decay: float) -> None:
        update = get_ema_multi_avg_fn(decay)  # type: ignore[no-untyped-call] # torch does not annotate it
        self._averaged = AveragedModel(model, multi_avg_fn=update, use_buffers=True)
        self._averaged.requires_grad_(requires_grad=False)
        self._averaged.update_parameters(model)
        self._averaged.eval()
        self._copied = [name for name, buffer in model.named_buffers() if not _can_be_averaged(buffer)]

    @property
    def model(self) -> nn.Module:
        """The model that holds the averaged weights, in eval mode."""
        return self._averaged.module

    def update(self, model: nn.Module) -> None:
        """Average the weights of a step in."""
        self._averaged.update_parameters(model)
        for name in self._copied:
            self.model.get_buffer(name).copy_(model.get_buffer(name))

    def state_dict(self) -> dict[str, Any]:
        """Return the state for a resume."""
        return self._averaged.state_dict()

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Restore what `state_dict` returned."""
        self._averaged.load_state_dict(state)


def _can_be_averaged(buffer: Tensor) -> bool:
    return buffer.is_floating_point() and bool(torch.isfinite(buffer).all())


def load_trained(model: nn.Module, folder: Path, *, at_best: bool, seeds: Mapping[str, Any] | None = None) -> int:
    """Put a training's weights into a model: those of its best step, or of its end (averaged, where it averages).

    Return the step that they are of. The files must be those of the training with these `seeds`, if they are given.

    Raises:
        HpsearchError: They are missing, or belong to another model.
    """
    path = folder / (BEST if at_best else CHECKPOINT)
    if not path.exists():
        raise HpsearchError(f"{path} does not exist, so there are no weights")
    content = load(path)
    if seeds and (content.get("seeds") or content.get("identity", {}).get("seeds") or seeds) != seeds:
        raise HpsearchError(f"{path} is another trial's: it has other seeds")
    try:
        model.load_state_dict(content["model"] if at_best else _final(content))
        return int(content["step"] if at_best else content["progress"]["evaluations"][-1]["step"])
    except (KeyError, IndexError, RuntimeError) as error:
        raise HpsearchError(f"the weights in {path} do not fit the model: {error}") from error


def _final(content: Mapping[str, Mapping[str, Tensor]]) -> Mapping[str, Tensor]:
    average = content["average"]
    if not average:
        return content["model"]
    return {name.removeprefix(_AVERAGED): tensor for name, tensor in average.items() if name.startswith(_AVERAGED)}


def write_weights(path: Path, model: nn.Module) -> None:
    """Write the model's parameters and buffers as safetensors; weights that two parts share are written once."""
    save_model(model, str(path))
    path.chmod(_READABLE)


def digest_of(path: Path) -> str:
    """Return the SHA-256 of a file of weights."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def read_weights(path: Path, model: nn.Module, *, sha256: str | None = None) -> None:
    """Put what `write_weights` wrote into a model; `sha256` is the file's checksum, where it is known.

    Raises:
        HpsearchError: The file is damaged, or belongs to another model.
    """
    try:
        if sha256 is not None and digest_of(path) != sha256:
            raise HpsearchError(f"{path} is damaged: its checksum does not fit; export the model again")
        load_model(model, path)
    except (OSError, SafetensorError, RuntimeError) as error:
        raise HpsearchError(f"the weights in {path} cannot be read: {error}") from error


def count_parameters(model: nn.Module) -> int:
    """Count a model's trainable parameters."""
    return sum(parameter.numel() for parameter in model.parameters())
