"""The global state of a process that a training touches: generators, determinism, gradient mode, default dtype."""

import contextlib
import os
import random
from collections.abc import Iterator
from typing import Any

import numpy as np
import torch
from torch import Tensor

from hpsearch.training import compiler

_CUBLAS = "CUBLAS_WORKSPACE_CONFIG"


def seed_everything(seed: int) -> None:
    """Seed the global generators of python, numpy and torch on every device."""
    random.seed(seed)
    np.random.seed(seed)  # noqa: NPY002 - it is the global generator that user code may draw from
    torch.manual_seed(seed)


def capture_random_state(device: torch.device) -> dict[str, Any]:
    """Return the state of the global generators, the device's own among them, as tensors and plain values."""
    version, words, gauss = random.getstate()
    numpy_state: Any = np.random.get_state(legacy=False)  # noqa: NPY002 - the global generator
    state = {
        "python": {"version": version, "words": torch.tensor(words, dtype=torch.int64), "gauss": gauss},
        "numpy": {
            "key": torch.from_numpy(numpy_state["state"]["key"].astype(np.int64)),
            "position": int(numpy_state["state"]["pos"]),
            "has_gauss": int(numpy_state["has_gauss"]),
            "gauss": float(numpy_state["gauss"]),
        },
        "torch": torch.get_rng_state(),
    }
    own = _device_state(device)
    return state if own is None else {**state, device.type: own}


def restore_random_state(state: dict[str, Any], device: torch.device) -> None:
    """Put the global generators back to where `capture_random_state` found them."""
    python, numpy_state = state["python"], state["numpy"]
    random.setstate((python["version"], tuple(python["words"].tolist()), python["gauss"]))
    key = numpy_state["key"].numpy().astype(np.uint32)
    legacy = ("MT19937", key, numpy_state["position"], numpy_state["has_gauss"], numpy_state["gauss"])
    np.random.set_state(legacy)  # noqa: NPY002 - the global generator
    torch.set_rng_state(state["torch"])
    _set_device_state(state.get(device.type), device)


def _device_state(device: torch.device) -> Tensor | None:
    if device.type == "cuda":
        return torch.cuda.get_rng_state(device)
    return torch.mps.get_rng_state() if device.type == "mps" else None


def _set_device_state(state: Tensor | None, device: torch.device) -> None:
    if state is not None and device.type == "cuda":
        torch.cuda.set_rng_state(state, device)
    if state is not None and device.type == "mps":
        torch.mps.set_rng_state(state)


@contextlib.contextmanager
def kept_random_state(device: torch.device) -> Iterator[None]:
    """Leave the global generators as they were, whatever the block draws from them."""
    python, others = random.getstate(), np.random.get_state()  # noqa: NPY002 - the global generator
    torchs, own = torch.get_rng_state(), _device_state(device)
    try:
        yield
    finally:
        random.setstate(python)
        np.random.set_state(others)  # noqa: NPY002 - the global generator
        torch.set_rng_state(torchs)
        _set_device_state(own, device)


@contextlib.contextmanager
def deterministic_algorithms(*, enabled: bool) -> Iterator[None]:
    """Run the block with (or without) deterministic algorithms, and put the process back as it was.

    Operations that have no deterministic form warn. Filling fresh memory, which torch would do besides, stays off.
    """
    deterministic: Any = torch.utils.deterministic  # its one setting is not declared to type checkers
    before = (torch.are_deterministic_algorithms_enabled(), torch.is_deterministic_algorithms_warn_only_enabled())
    flags = (torch.backends.cudnn.deterministic, torch.backends.cudnn.benchmark)
    fill, workspace = deterministic.fill_uninitialized_memory, os.environ.get(_CUBLAS)
    try:
        compiler.use_deterministic_algorithms(enabled, warn_only=True)
        torch.backends.cudnn.deterministic = enabled
        torch.backends.cudnn.benchmark = flags[1] and not enabled
        deterministic.fill_uninitialized_memory = False
        if enabled and workspace is None:
            os.environ[_CUBLAS] = ":4096:8"
        yield
    finally:
        compiler.use_deterministic_algorithms(before[0], warn_only=before[1])
        torch.backends.cudnn.deterministic, torch.backends.cudnn.benchmark = flags
        deterministic.fill_uninitialized_memory = fill
        if workspace is None:
            os.environ.pop(_CUBLAS, None)


@contextlib.contextmanager
def isolated(device: torch.device, *, deterministic: bool) -> Iterator[None]:
    """Run a training so that the process is afterwards as before: the next trial of this worker starts clean."""
    dtype = torch.get_default_dtype()
    try:
        with kept_random_state(device), deterministic_algorithms(enabled=deterministic), torch.enable_grad():
            yield
    finally:
        torch.set_default_dtype(dtype)
