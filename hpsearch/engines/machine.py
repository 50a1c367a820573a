"""What this machine offers to workers: cores and GPUs, found without importing torch."""

import os
import shutil
import subprocess
from dataclasses import dataclass


@dataclass(frozen=True)
class Share:
    """A worker's part of the machine: so many threads, and a GPU by its CUDA name or None."""

    threads: int
    gpu: str | None = None


def core_count() -> int:
    """Return the number of cores that this process may use."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def gpu_names() -> list[str]:
    """Return the CUDA names of the visible GPUs, without loading CUDA."""
    visible = os.environ.get("CUDA_VISIBLE_DEVICES")
    if visible is not None:
        return [name.strip() for name in visible.split(",") if name.strip() not in ("", "-1")]
    program = shutil.which("nvidia-smi")
    if program is None:
        return []
    listing = subprocess.run([program, "-L"], capture_output=True, text=True, timeout=30, check=False)
    return [str(index) for index, line in enumerate(listing.stdout.splitlines()) if line.startswith("GPU ")]


def shares(workers: int | str, *, jobs: int, per_gpu: int = 1) -> list[Share]:
    """Divide the machine: `auto` is `per_gpu` workers for a GPU, or else one for each core, but never above `jobs`."""
    cores, gpus = core_count(), gpu_names()
    count = workers if isinstance(workers, int) else max(1, min(jobs, len(gpus) * per_gpu or cores))
    threads = max(1, cores // count)
    return [Share(threads=threads, gpu=gpus[index % len(gpus)] if gpus else None) for index in range(count)]
