"""Whether two trainings saw the same data: a hash over the examples themselves, not over files or settings."""

import hashlib
from collections.abc import Iterable

import torch
from torch import Tensor

from hpsearch.training.task import Dataset, TensorData

_LOOKED_AT = 4096
"""So many examples are hashed of data whose examples have to be fetched one by one, where a glance must do."""


def glance(data: Dataset, *, most: int = _LOOKED_AT) -> str:
    """Return a hash that is cheap beside loading the data: of tensors in memory, else of evenly spaced examples.

    `most` is the number of these. How many examples there are always counts.
    """
    digest = hashlib.sha256(f"{len(data)} examples\n".encode())
    if isinstance(data, TensorData):
        for name, tensor in sorted(data.tensors.items()):
            digest.update(_header(name, tensor))
            digest.update(_content(tensor))
        return digest.hexdigest()
    few = range(len(data)) if len(data) <= most else [number * len(data) // most for number in range(most)]
    return _of_examples(data, few, digest)


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
