"""The files of a training: `checkpoint.pt`, from which it goes on, and `best.pt`, the weights of its best step.

With `train.keep` also numbered ones such as `checkpoint-000012.pt`: each is what `checkpoint.pt` was after that step,
and copied over it the training goes on from there. All hold tensors and plain values only, are read with
`weights_only=True`, carry a checksum that is verified, and are replaced in one piece; what the first two were before
is kept as `previous.pt` and `previous-best.pt` (generations.py).

A training goes on from a checkpoint of its own only: of the same settings, seeds, objective and number of examples.
"""

import io
import pickle
import re
import zipfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch
from torch import nn

from hpsearch.errors import HpsearchError
from hpsearch.experiment import layout
from hpsearch.experiment.checksums import flaw, seal
from hpsearch.experiment.files import write_atomically
from hpsearch.experiment.layout import NUMBERED, PREVIOUS_BEST
from hpsearch.plain_files import open_plain
from hpsearch.reads import uncounted
from hpsearch.records import Monitor
from hpsearch.seeds import Seeds
from hpsearch.settings import fixed_settings
from hpsearch.training.settings import EXECUTION, TrainSettings

FORMAT_VERSION = 1
BEST = layout.BEST

_UNREADABLE = (RuntimeError, EOFError, LookupError, ValueError, OSError, pickle.UnpicklingError, zipfile.BadZipFile)


def save(path: Path, content: dict[str, Any], *, former: str | None = None) -> None:
    """Write tensors and plain values under the current format version; the file before is kept as `former`."""
    buffer = io.BytesIO()
    torch.save({"version": FORMAT_VERSION, **content}, buffer)
    seal(buffer)
    path.parent.mkdir(parents=True, exist_ok=True)
    with buffer.getbuffer() as written:
        write_atomically(path, written, former=path.with_name(former) if former else None)


def load(path: Path) -> dict[str, Any]:
    """Read what `save` wrote, onto the CPU.

    Raises:
        HpsearchError: The file is damaged or of another version.
    """
    try:
        with open_plain(path) as file:
            stored = file.read()
    except OSError as error:
        raise HpsearchError(f"{path} cannot be read: {error.strerror or error}") from error
    if why := flaw(stored):
        raise HpsearchError(f"{path} is damaged: {why}")
    try:
        content = torch.load(io.BytesIO(stored), map_location="cpu", weights_only=True)
    except _UNREADABLE as error:
        raise HpsearchError(f"{path} cannot be read: {error}") from error
    version = content.get("version") if isinstance(content, dict) else None
    if version != FORMAT_VERSION or not isinstance(content, dict):
        raise HpsearchError(f"{path} has format version {version}; this hpsearch reads version {FORMAT_VERSION}")
    return content


def numbered(step: int) -> str:
    """Return the name of the checkpoint that is kept of a step."""
    return f"checkpoint-{step:06d}.pt"


def numbered_steps(folder: Path) -> list[int]:
    """Return the steps of the numbered checkpoints in a folder, in order."""
    found = (re.fullmatch(r"checkpoint-(\d+)\.pt", path.name) for path in folder.glob(NUMBERED))
    return sorted(int(match[1]) for match in found if match)


def remove_old(folder: Path, *, step: int, last: int | None, best: int | None) -> None:
    """Leave the `last` numbered checkpoints up to `step`, and that of the best step.

    Those of later steps are from a training that was begun anew or copied: they go too.
    """
    steps = numbered_steps(folder)
    past = [number for number in steps if number <= step]
    kept = {*(past if last is None else past[-last:]), best}
    for number in steps:
        if number not in kept:
            (folder / numbered(number)).unlink()


def save_best(
    folder: Path,
    weights: Mapping[str, Any],
    *,
    step: int,
    metric: str,
    value: float,
    seeds: Mapping[str, Any] | None = None,
) -> None:
    """Write the weights (a model's `state_dict`) of the best step so far; the training's `seeds` say whose they are."""
    content = {"model": weights, "step": step, "metric": metric, "value": value, "seeds": dict(seeds or {})}
    save(folder / BEST, content, former=PREVIOUS_BEST)


def load_weights(model: nn.Module, path: Path) -> dict[str, Any]:
    """Put the weights of a `best.pt` into the model and return the file's `step`, `metric` and `value`.

    Raises:
        HpsearchError: The file is missing or unreadable, or belongs to another model.
    """
    if not path.exists():
        raise HpsearchError(f"{path} does not exist; a training writes it with its first checkpoint")
    content = load(path)
    try:
        model.load_state_dict(content["model"])
    except (KeyError, RuntimeError) as error:
        raise HpsearchError(f"the weights in {path} do not fit the model: {error}") from error
    return {name: content[name] for name in ("step", "metric", "value")}


def identity_of(settings: TrainSettings, seeds: Seeds, monitor: Monitor, *, examples: int) -> dict[str, Any]:
    """Return plain values without those settings that a training may change when it goes on."""
    return {
        **_plain(settings),
        "seeds": seeds.model_dump(mode="json"),
        "monitor": [monitor.metric, monitor.goal.value],
        "examples": examples,
    }


def check_identity(
    now: Mapping[str, Any], then: Mapping[str, Any], *, settings: TrainSettings, before: TrainSettings | None
) -> None:
    """Make sure that a checkpoint is the training's: of these settings, or of those `before`.

    Raises:
        HpsearchError: It is not, or a fixed setting has changed since `before`.
    """
    if before is None or not _changed_from(before, settings, now, then):
        _check_equal(now, then)


def _changed_from(
    before: TrainSettings, now: TrainSettings, identity: Mapping[str, Any], then: Mapping[str, Any]
) -> bool:
    if {**identity, **_plain(before)} != then:
        return False
    changed = [name for name in sorted(fixed_settings(type(now))) if getattr(before, name) != getattr(now, name)]
    changed += ["optimizer"] if before.optimizer.kind != now.optimizer.kind else []
    if changed:
        raise HpsearchError(f"cannot change while a training runs: {', '.join(changed)}")
    return True


def _plain(settings: TrainSettings) -> dict[str, Any]:
    with uncounted():  # to write a setting down is not to use it
        return settings.model_dump(mode="json", exclude=set(EXECUTION))


def _check_equal(now: Mapping[str, Any], then: Mapping[str, Any]) -> None:
    changed = [
        f"{name} ({then.get(name)} -> {now.get(name)})"
        for name in sorted({*now, *then})
        if now.get(name) != then.get(name)
    ]
    if changed:
        raise HpsearchError(
            f"the checkpoint was written by another training; changed since: {', '.join(changed)}. "
            "Remove its folder to start over"
        )
