"""Where a training runs: choosing the device, moving batches to it, and recognising that it is out of memory."""

import torch

from hpsearch.errors import HpsearchError
from hpsearch.training.task import Batch

_OUT_OF_MEMORY = ("out of memory", "can't allocate memory", "not enough memory", "CUBLAS_STATUS_ALLOC_FAILED")


def available_devices() -> list[str]:
    """Return the names of the devices of this machine."""
    cuda = [f"cuda:{index}" for index in range(torch.cuda.device_count())] if torch.cuda.is_available() else []
    return ["cpu", *cuda, *(["mps"] if torch.backends.mps.is_available() else [])]


def resolve_device(name: torch.device | str) -> torch.device:
    """Return the device of that name; `auto` is the first CUDA device, else MPS, else the CPU.

    Errors: HpsearchError when this machine has no such device.
    """
    present = available_devices()
    if name == "auto":
        return torch.device(present[1] if len(present) > 1 else "cpu")
    try:
        device = torch.device(name)
    except RuntimeError as error:
        raise HpsearchError(f"'{name}' names no device; this machine has: {', '.join(present)}") from error
    if device.type == "cuda" and device.index is None:
        device = torch.device("cuda", 0)
    if device.type != "cpu" and str(device).removesuffix(":0") not in {item.removesuffix(":0") for item in present}:
        raise HpsearchError(f"the device '{name}' is not there; this machine has: {', '.join(present)}")
    return device


def move(batch: Batch, device: torch.device) -> Batch:
    """Return the batch on the device; on the CPU it is the batch itself."""
    if device.type == "cpu":
        return batch
    if device.type == "cuda":
        return {name: tensor.pin_memory().to(device, non_blocking=True) for name, tensor in batch.items()}
    return {name: tensor.to(device) for name, tensor in batch.items()}


def is_out_of_memory(error: BaseException) -> bool:
    """Say whether an exception means that the memory of the device or of the machine did not suffice."""
    if isinstance(error, torch.OutOfMemoryError | MemoryError):
        return True
    return isinstance(error, RuntimeError) and any(text in str(error) for text in _OUT_OF_MEMORY)
