"""What this machine offers to workers: cores and GPUs, found without importing torch."""

import os
import shutil
import subprocess
from dataclasses import dataclass


@dataclass(frozen=True)
class Share:
    """A worker's part of the machine: threads of each of its processes, and its GPUs by CUDA name, or None."""

    threads: int
    gpu: str | None = None


@dataclass(frozen=True)
class Part:
    """A part of the machine for several workers: cores by number, and GPUs by CUDA name, or None if it has none."""

    cores: frozenset[int]
    gpus: tuple[str, ...] | None = None


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


def shares(workers: int | str, *, jobs: int, per_gpu: int = 1, processes: int = 1) -> list[Share]:
    """Divide the machine among workers of `processes` processes each.

    `auto` is `per_gpu` processes for a GPU, or else one for each core, but never more than `jobs` workers.
    """
    cores, gpus = core_count(), gpu_names()
    room = (len(gpus) * per_gpu or cores) // processes
    count = workers if isinstance(workers, int) else max(1, min(jobs, room))
    threads = max(1, cores // (count * processes))
    return [Share(threads, _next_gpus(gpus, index * processes, processes)) for index in range(count)]


def parts(count: int) -> list[Part]:
    """Divide the machine into parts that have nothing in common, unless it has less than one core or GPU for each."""
    cores, gpus = sorted(os.sched_getaffinity(0)), gpu_names()
    return [
        Part(
            frozenset(cores[place] for place in _span(len(cores), index, count)),
            tuple(gpus[place] for place in _span(len(gpus), index, count)) if gpus else None,
        )
        for index in range(count)
    ]


def _span(length: int, index: int, count: int) -> range:
    """Return the places of the part `index` of `count`: at least one, which others may have too."""
    begin, end = (length * each // count for each in (index, index + 1))
    return range(begin, end) if begin < end else range(begin % length, begin % length + 1)


def _next_gpus(gpus: list[str], first: int, count: int) -> str | None:
    """Return the names of `count` GPUs from index `first` on, round the list, each once."""
    names = dict.fromkeys(gpus[index % len(gpus)] for index in range(first, first + count)) if gpus else {}
    return ",".join(names) or None
