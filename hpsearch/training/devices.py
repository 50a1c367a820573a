"""Where a training runs: choosing the device, moving batches to it, and its memory.

Of the memory CUDA's part was run on one H100, that of MPS never.
"""

import contextlib
import gc
import sys
from collections.abc import Iterator
from pathlib import Path

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

    Raises:
        HpsearchError: This machine has no such device.
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
    """Check whether an exception means that the memory of the device or of the machine did not suffice."""
    if isinstance(error, torch.OutOfMemoryError | MemoryError):
        return True
    return isinstance(error, RuntimeError) and any(text in str(error) for text in _OUT_OF_MEMORY)


def forget_peak(device: torch.device) -> None:
    """Give memory that is not in use back to the device, and measure from now on.

    What a training that failed or ended has left refers to itself and waits for the collector.
    """
    gc.collect()
    if device.type == "cuda":
        torch.cuda.empty_cache()
        torch.cuda.reset_peak_memory_stats(device)
    elif device.type == "mps":
        torch.mps.empty_cache()


def peak_memory(device: torch.device) -> int | None:
    """Return the most bytes in use since `forget_peak` (on MPS: those held now), or None if they are not counted."""
    if device.type == "cuda":
        return torch.cuda.max_memory_allocated(device)
    return torch.mps.driver_allocated_memory() if device.type == "mps" else None


def wait_for(device: torch.device) -> None:
    """Wait until the device has done what it was asked to."""
    if device.type == "cuda":
        torch.cuda.synchronize(device)
    elif device.type == "mps":
        torch.mps.synchronize()


def available_memory() -> int | None:
    """Return the bytes of the machine, or of the process's control group, that are free, or None if that is unknown."""
    meminfo = Path("/proc/meminfo")
    if not meminfo.is_file():
        return None
    (line,) = (line for line in meminfo.read_text().splitlines() if line.startswith("MemAvailable:"))
    free = int(line.split()[1]) * 1024  # given in KiB
    group = Path("/sys/fs/cgroup")
    with contextlib.suppress(OSError, ValueError):  # "max", or no such group
        free = min(free, int((group / "memory.max").read_text()) - int((group / "memory.current").read_text()))
    return max(free, 0)


@contextlib.contextmanager
def bounded_memory(more: int | None) -> Iterator[None]:
    """Let the process take at most `more` bytes: then an allocation fails, before the kernel ends a process.

    Only on Linux; None bounds nothing.
    """
    if more is None or not sys.platform.startswith("linux"):
        yield
        return
    import resource

    pages = int(Path("/proc/self/statm").read_text().split()[0])
    soft, hard = resource.getrlimit(resource.RLIMIT_AS)
    limit = pages * resource.getpagesize() + more
    bounds = [each for each in (limit, soft, hard) if each != resource.RLIM_INFINITY]
    try:
        resource.setrlimit(resource.RLIMIT_AS, (min(bounds), hard))
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_AS, (soft, hard))
