"""Whether two trainings saw the same data: a hash over the examples themselves, not over files or settings."""

import hashlib

import torch
from torch import Tensor

from hpsearch.training.task import Dataset


def fingerprint(data: Dataset) -> str:
    """Return the SHA-256 of all examples in their order, in hexadecimal.

    Each example is fetched by itself, so that padding to the longest of a batch has no say. Of each the tensors are
    hashed in the order of their names: name, dtype, shape, and the bytes in row-major order as they lie in memory
    (little-endian on every machine that torch supports). Equal data give equal fingerprints; one changed number,
    another order or another type changes it. Examples that a dataset computes when they are fetched may differ in
    their last bits between kinds of processors, and then so does the fingerprint.
    """
    digest = hashlib.sha256(f"{len(data)} examples\n".encode())
    for index in range(len(data)):
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
