"""The extras of an installation: what each brings, and the sentence with the command where one is missing.

The base searches programs and functions, and shows and compares results. What more there is to do needs packages that
are large, and stand in pyproject.toml under the names that are here. Nothing of this file imports any of them.
"""

import importlib.util
from collections.abc import Mapping
from enum import StrEnum
from types import MappingProxyType

from hpsearch.errors import HpsearchError, MissingExtraError


class Extra(StrEnum):
    """The name of an extra, as `pip install "hpsearch[NAME]"` takes it."""

    TORCH = "torch"
    EEG = "eeg"
    MOVIES = "movies"
    TEXT = "text"
    DATASETS = "datasets"
    LIGHTNING = "lightning"
    ONNX = "onnx"
    MLFLOW = "mlflow"
    TENSORBOARD = "tensorboard"
    WANDB = "wandb"
    MCP = "mcp"
    RAY = "ray"
    S3 = "s3"
    HDF5 = "hdf5"
    PARQUET = "parquet"


_TORCH = ("torch", "safetensors", "pytorch_optimizer", "sklearn", "accelerate", "pyarrow")
_RAY = ("ray", "pyarrow", "fsspec", "sklearn")
MODULES: Mapping[Extra, tuple[str, ...]] = MappingProxyType(
    {
        Extra.TORCH: _TORCH,
        Extra.EEG: (*_TORCH, "mne", "nilearn", "nibabel"),
        Extra.MOVIES: (*_TORCH, "tifffile", "imagecodecs"),
        Extra.TEXT: (*_TORCH, "transformers"),
        Extra.DATASETS: (*_TORCH, "datasets"),
        Extra.LIGHTNING: (*_TORCH, "lightning"),
        Extra.ONNX: (*_TORCH, "onnx", "onnxruntime", "onnxscript"),
        Extra.MLFLOW: ("mlflow",),
        Extra.TENSORBOARD: ("tensorboard",),
        Extra.WANDB: ("wandb",),
        Extra.MCP: ("mcp",),
        Extra.RAY: _RAY,
        Extra.S3: (*_RAY, "aiobotocore", "s3fs"),
        Extra.HDF5: ("h5py",),
        Extra.PARQUET: ("pyarrow",),
    }
)
"""What is imported of the packages of each extra, with those of the extras that it includes."""


def missing(extra: Extra) -> str | None:
    """Return the first module of an extra that is not installed, or None; nothing is imported."""
    return next((name for name in MODULES[extra] if importlib.util.find_spec(name) is None), None)


def lack(what: str, extra: Extra) -> str | None:
    """Return the sentence that `what` needs an extra that is not installed, or None if it is there."""
    name = missing(extra)
    return None if name is None else _sentence(what, name, extra)


def require(what: str, extra: Extra, *, kind: type[HpsearchError] = MissingExtraError) -> None:
    """Raise an error, of a `kind` that whoever calls knows, where an extra that `what` needs is not installed."""
    if sentence := lack(what, extra):
        raise kind(sentence)


def install(extra: Extra) -> str:
    """Return the command that installs an extra."""
    return f'pip install "hpsearch[{extra}]"'


def explained(error: ImportError, what: str = "this") -> MissingExtraError | None:
    """Return the sentence for a failed import of what an extra brings; None for any other, or a broken package."""
    name = (error.name or "").partition(".")[0]
    bring = [extra for extra, modules in MODULES.items() if name in modules]
    extra = min(bring, key=lambda each: len(MODULES[each]), default=None)  # the smallest
    if extra is None or importlib.util.find_spec(name) is not None:
        return None
    return MissingExtraError(_sentence(what, name, extra))


def _sentence(what: str, name: str, extra: Extra) -> str:
    return f"{what} needs the package {name}, which is not installed: {install(extra)}"
