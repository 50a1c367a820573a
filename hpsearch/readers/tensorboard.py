"""TensorBoard's event files: a folder with `events.out.tfevents.*` is a run.

So is a folder in which Keras has made one for training and one for validation: its metrics are `train/...`, `val/...`.
"""

import re
from pathlib import Path
from typing import Any

from hpsearch.errors import DataError
from hpsearch.extras import Extra, require
from hpsearch.readers import Reading, Wanted
from hpsearch.readers.measurements import Logged
from hpsearch.readers.naming import flatten, home_of, unit_keys
from hpsearch.readers.text_files import read_parameters
from hpsearch.records import FinishedRun

EVENTS = "events.out.tfevents.*"
_HPARAMS = "_hparams_/session_start_info"
_PART = re.compile(r"^\d{9,}(\.\d+)?$")
"""The folder below a run that `SummaryWriter.add_hparams` makes is called after the time."""


_SPLITS = {"train": "train/", "validation": "val/"}
"""The two folders that Keras' callback writes below its `log_dir`, with the same tags, and how their metrics begin."""


def recognises(path: Path) -> bool:
    """Check whether a folder holds event files of its own, or those of Keras' callback."""
    return path.is_dir() and (_has_events(path) or _is_split(path))


def read(path: Path, wanted: Wanted) -> Reading:
    """Return the run; the folder's name tells experiment and seed, `hparams` and a file next to it the parameters."""
    logged, params = Logged(in_time=True), read_parameters(path)
    nested = Logged(in_time=True)
    params |= _read_events(path, logged)
    for part in (each for each in sorted(path.iterdir()) if each.is_dir() and _PART.match(each.name)):
        params |= _read_events(part, nested)
    if _is_split(path):
        for folder, prefix in _SPLITS.items():
            params |= _read_events(path / folder, logged, prefix=prefix)
    home = home_of(path, dataset=unit_keys(params).get("dataset"))
    units = {**unit_keys(params), **home.units}
    metrics = {**nested.metrics(), **logged.metrics()}
    run = FinishedRun(
        experiment=home.experiment,
        run=path.name,
        params={**home.params, **params},
        metrics=metrics,
        histories={**nested.histories(wanted), **logged.histories(wanted)},
        **units,  # type: ignore[arg-type] # its keys are the names of these fields
        steps=logged.steps,
        dropped=None if metrics else "it logged no scalar",
        source=str(path),
        place=home.place,
    )
    return Reading((run,), warnings=logged.restart_warning(path, wanted) or nested.restart_warning(path, wanted))


def _has_events(path: Path) -> bool:
    return next(path.glob(EVENTS), None) is not None


def _is_split(path: Path) -> bool:
    """Check whether there are event files for training and for validation with a tag that both have."""
    folders = [path / name for name in _SPLITS]
    if not all(folder.is_dir() and _has_events(folder) for folder in folders):
        return False
    train, validation = (_tags(_accumulated(folder)) for folder in folders)
    return bool(train & validation)


def _accumulated(folder: Path) -> Any:
    require(f"reading {folder}", Extra.TENSORBOARD, kind=DataError)
    from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

    for file in folder.glob(EVENTS):
        if not file.is_file():
            raise DataError(f"{file} is no file")
    events = EventAccumulator(str(folder), size_guidance={"scalars": 0, "tensors": 0})
    events.Reload()
    return events


def _tags(events: Any) -> set[str]:
    tags = events.Tags()
    return {*tags["scalars"], *tags["tensors"]}


def _read_events(folder: Path, logged: Logged, *, prefix: str = "") -> dict[str, Any]:
    """Collect the scalars of a folder's event files; return the hyperparameters that they hold."""
    events = _accumulated(folder)
    from tensorboard.util.tensor_util import make_ndarray

    tags = events.Tags()
    for name in tags["scalars"]:
        for event in events.Scalars(name):
            logged.add(prefix + name, event.step, event.value)
    for name in tags["tensors"]:  # TensorFlow 2 writes scalars as tensors without dimensions
        for event in events.Tensors(name):
            value = make_ndarray(event.tensor_proto)
            if value.ndim == 0 and value.dtype.kind in "fiu":
                logged.add(prefix + name, event.step, float(value))
    return _hyperparameters(events)


def _hyperparameters(events: Any) -> dict[str, Any]:
    from tensorboard.plugins.hparams.plugin_data_pb2 import HParamsPluginData

    try:
        content = events.SummaryMetadata(_HPARAMS).plugin_data.content
    except KeyError:
        return {}
    hparams = HParamsPluginData.FromString(content).session_start_info.hparams
    values = {name: getattr(value, value.WhichOneof("kind")) for name, value in hparams.items()}
    return flatten(values)
