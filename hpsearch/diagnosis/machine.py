"""The machine: versions against what is declared, devices, disk, shared memory, clock, limits."""

import contextlib
import importlib.metadata
import os
import re
import resource
import shutil
import statistics
import time
from collections.abc import Iterator
from pathlib import Path

from hpsearch.diagnosis.findings import Finding
from hpsearch.extras import Extra, lack, missing

_REQUIREMENT = re.compile(r"([\w.-]+)(?:\[[^\]]*\])?\s*([^;]*)(?:;(.*))?")
_BOUND = re.compile(r"(>=|<=|==|!=|<|>|~=)\s*([\d.]+)")
_LEAST_ROOM, _LEAST_SHARED = 1 << 30, 64 << 20
"""Bytes that should be free on the disk and in shared memory."""
_LEAST_FILES = 1024
_SLOW_SYNC = 0.2
"""Seconds of an fsync from which on the log delays short trainings."""
_SYNCS = 5
SHARED_MEMORY = Path("/dev/shm")  # noqa: S108 -- looked at only


def facts(place: Path) -> dict[str, str]:
    """Return what is worth knowing of the machine; `place` is where experiments are kept, or are going to be."""
    free = shutil.disk_usage(place).free
    shared = f"{_size(shutil.disk_usage(SHARED_MEMORY).free)} free" if SHARED_MEMORY.is_dir() else "none"
    sync = sync_seconds(place)
    return {
        "packages": ", ".join(f"{name} {version or 'missing'}" for name, version in _versions().items()),
        "extras": _extras(),
        "devices": _devices(),
        "disk": f"{_size(free)} free at {place}; fsync "
        + ("is not possible" if sync is None else f"takes {sync * 1000:.1f} ms"),
        "shared memory": shared,
        "clock": f"{time.strftime('%Y-%m-%d %H:%M:%S %z', time.localtime())} ({time.tzname[time.daylight]})",
        "open files": f"at most {resource.getrlimit(resource.RLIMIT_NOFILE)[0]} for a process",
    }


def examine_machine(place: Path) -> Iterator[Finding]:
    """Yield what is wrong with the machine."""
    yield from _packages()
    yield from _disk(place)
    if SHARED_MEMORY.is_dir() and (free := shutil.disk_usage(SHARED_MEMORY).free) < _LEAST_SHARED:
        yield Finding(
            f"only {_size(free)} of shared memory are free",
            str(SHARED_MEMORY),
            "processes that load data (`train.loading.workers`) hand their batches over there, and would be killed",
            "remove what is left there, or give the container more (docker run --shm-size=2g)",
        )
    files = resource.getrlimit(resource.RLIMIT_NOFILE)[0]
    if 0 <= files < _LEAST_FILES:
        yield Finding(
            f"a process may open {files} files only",
            "ulimit -n",
            "a search of many workers needs more",
            f"ulimit -n {_LEAST_FILES}",
        )


def _packages() -> Iterator[Finding]:
    for name, bounds in _declared():
        try:
            version = importlib.metadata.version(name)
        except importlib.metadata.PackageNotFoundError:
            yield Finding(
                f"the package {name} is missing", "Python's packages", "hpsearch needs it", f"pip install '{name}'"
            )
            continue
        if not _fits(version, bounds):
            yield Finding(
                f"{name} is {version}, declared is {bounds}",
                "Python's packages",
                "hpsearch was tested with the declared versions",
                f"pip install '{name}{bounds}'",
            )


def _declared() -> Iterator[tuple[str, str]]:
    """Yield the packages that hpsearch itself needs, those of extras left out, and their bounds."""
    with contextlib.suppress(importlib.metadata.PackageNotFoundError):
        for text in importlib.metadata.requires("hpsearch") or ():
            found = _REQUIREMENT.match(text)
            if found and "extra" not in (found[3] or ""):
                yield found[1], found[2].strip(" ()")


def _fits(version: str, bounds: str) -> bool:
    """Check a version against bounds such as `>=2.4,<3`, by the numbers at its beginning."""
    own = _numbers(version)
    for sign, text in _BOUND.findall(bounds):
        bound = _numbers(text)
        width = max(len(own), len(bound))
        a, b = (each + (0,) * (width - len(each)) for each in (own, bound))
        compared = {">=": a >= b, "<=": a <= b, "==": a == b, "!=": a != b, "<": a < b, ">": a > b, "~=": a >= b}
        if not compared[sign]:
            return False
    return True


def _numbers(version: str) -> tuple[int, ...]:
    found = re.match(r"[\d.]+", version)
    return tuple(int(part) for part in found[0].split(".") if part) if found else ()


def _versions() -> dict[str, str | None]:
    from hpsearch.experiment.provenance import versions

    return {**dict.fromkeys(("hpsearch", "torch")), **versions()}


def _extras() -> str:
    """Return which extras are there, and how the others are installed."""
    here = [extra for extra in Extra if not missing(extra)]
    more = f'; pip install "hpsearch[NAME]" adds {", ".join(each for each in Extra if each not in here)}'
    return (", ".join(here) or "none") + (more if len(here) < len(Extra) else "")


def _devices() -> str:
    if unknown := lack("finding them", Extra.TORCH):
        return unknown
    try:
        from hpsearch.training.devices import available_devices

        return ", ".join(available_devices())
    except Exception as error:  # noqa: BLE001 -- whatever a broken install of torch raises
        return f"torch cannot be used: {' '.join(str(error).split())}"


def _disk(place: Path) -> Iterator[Finding]:
    free = shutil.disk_usage(place).free
    if free < _LEAST_ROOM:
        yield Finding(
            f"only {_size(free)} are free",
            str(place),
            "a full disk stops a search: logs, checkpoints and MLflow's database cannot be written",
            "make room; the same command then goes on",
        )
    seconds = sync_seconds(place)
    if seconds is None:
        yield Finding(
            "cannot be written",
            str(place),
            "experiments cannot be kept there",
            "choose another place with --root, or change its owner or its mode",
        )
    elif seconds > _SLOW_SYNC:
        yield Finding(
            f"an fsync takes {seconds:.2f} s",
            str(place),
            "each outcome waits for it, as on a network's file system",
            "keep the experiments of short trainings on a local disk (--root)",
            note=True,
        )


def sync_seconds(place: Path) -> float | None:
    """Return the seconds that a small fsync takes in a folder, the median of some; None where nothing can be written.

    The file has no name, so that nothing is left behind.
    """
    try:
        descriptor = os.open(place, os.O_TMPFILE | os.O_RDWR) if hasattr(os, "O_TMPFILE") else None
    except OSError:
        descriptor = None
    if descriptor is None:
        return 0.0 if os.access(place, os.W_OK) else None
    try:
        taken = []
        for _ in range(_SYNCS):
            begun = time.perf_counter()
            os.write(descriptor, b"x" * 512)
            os.fsync(descriptor)
            taken.append(time.perf_counter() - begun)
        return statistics.median(taken)
    finally:
        os.close(descriptor)


def _size(count: float) -> str:
    for unit in ("bytes", "KiB", "MiB", "GiB"):
        if count < 1024:
            return f"{count:.0f} {unit}"
        count /= 1024
    return f"{count:.1f} TiB"
