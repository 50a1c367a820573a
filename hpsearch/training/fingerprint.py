"""Whether two trainings saw the same data: a hash over the examples themselves, not over files or settings."""

import hashlib
from collections.abc import Iterable, Iterator, Sequence

import numpy as np
import torch
from torch import Tensor

from hpsearch.training.task import Dataset

_LOOKED_AT = 1024
"""So many examples are fetched where a glance must do."""
_PROBED = 8
"""So many are fetched twice, to see whether they stay the same."""


def glance(data: Dataset) -> str:
    """Return a hash that is cheap compared with loading the data.

    It is of how many examples there are, of the tensors and arrays that the dataset holds in memory, and of some evenly
    spaced examples as they are fetched.
    """
    digest = hashlib.sha256(f"{len(data)} examples\n".encode())
    for name, tensor in _held(data):
        digest.update(_header(name, tensor))
        digest.update(_content(tensor))
    return _of_examples(data, _spaced(len(data), _LOOKED_AT), digest)


def is_steady(data: Dataset) -> bool:
    """Check whether some examples are the same when they are fetched once more."""
    first, second = (_of_examples(data, _spaced(len(data), _PROBED), hashlib.sha256()) for _ in range(2))
    return first == second


def _spaced(length: int, most: int) -> Sequence[int]:
    return range(length) if length <= most else [number * length // most for number in range(most)]


def _held(holder: object, prefix: str = "", depth: int = 3) -> Iterator[tuple[str, Tensor]]:
    """Yield the tensors and arrays of an object and its parts by name; files that are mapped into memory stay there."""
    own = holder if isinstance(holder, dict) else getattr(holder, "__dict__", {})
    for name in sorted(own, key=str) if depth else ():
        value, path = own[name], f"{prefix}{name}"
        if isinstance(value, Tensor):
            yield path, value
        elif isinstance(value, np.ndarray):
            if not isinstance(value, np.memmap) and value.dtype.kind in "biuf":
                yield path, torch.from_numpy(np.ascontiguousarray(value))
        else:
            yield from _held(value, f"{path}.", depth - 1)


def fingerprint(data: Dataset) -> str:
    """Return the SHA-256 of all examples in their order, in hexadecimal.

    Each example is fetched by itself, so that padding to the longest of a batch has no say. Of each the tensors are
    hashed in the order of their names: name, dtype, shape, and the bytes in row-major order as they lie in memory
    (little-endian on every machine that torch supports). Equal data give equal fingerprints; one changed number,
    another order or another type changes it. Examples that a dataset computes when they are fetched may differ in
    their last bits between kinds of processors, and then so does the fingerprint.
    """
    return _of_examples(data, range(len(data)), hashlib.sha256(f"{len(data)} examples\n".encode()))


def _of_examples(data: Dataset, indices: Iterable[int], digest: "hashlib._Hash") -> str:
    for index in indices:
        batch = data.batch([index])
        for name in sorted(batch):
            digest.update(_header(name, batch[name]))
            digest.update(_content(batch[name]))
    return digest.hexdigest()


def _header(name: str, tensor: Tensor) -> bytes:
    return f"{name!r} {tensor.dtype} {list(tensor.shape)}\n".encode()


def _content(tensor: Tensor) -> bytes:
    flat = tensor.detach().cpu().contiguous().reshape(-1)
    return bytes(flat.view(torch.uint8).numpy().tobytes())
