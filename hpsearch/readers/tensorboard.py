"""TensorBoard's event files: a folder with `events.out.tfevents.*` is a run."""

import re
from pathlib import Path
from typing import Any

from hpsearch.readers import Reading, Wanted
from hpsearch.readers.measurements import Logged
from hpsearch.readers.naming import flatten, parse_folder_name, unit_keys
from hpsearch.records import FinishedRun

EVENTS = "events.out.tfevents.*"
_HPARAMS = "_hparams_/session_start_info"
_PART = re.compile(r"^\d{9,}(\.\d+)?$")
"""The folder below a run that `SummaryWriter.add_hparams` makes is called after the time."""


def recognises(path: Path) -> bool:
    """Say whether a folder holds event files of its own."""
    return path.is_dir() and next(path.glob(EVENTS), None) is not None


def read(path: Path, wanted: Wanted) -> Reading:
    """Return the run; the folder's name tells experiment and seed, `hparams` the parameters."""
    logged, params = Logged(), dict[str, Any]()
    for part in (path, *(each for each in sorted(path.iterdir()) if each.is_dir() and _PART.match(each.name))):
        params |= _read_events(part, logged)
    name = parse_folder_name(path.name)
    units = {**unit_keys(params), **name.units}
    metrics = logged.metrics()
    run = FinishedRun(
        experiment=name.rest or path.parent.name,
        run=path.name,
        params={**name.params, **params},
        metrics=metrics,
        histories=logged.histories(wanted),
        **units,  # type: ignore[arg-type] # its keys are the names of these fields
        steps=logged.steps,
        dropped=None if metrics else "it logged no scalar",
        source=str(path),
    )
    return Reading((run,))


def _read_events(folder: Path, logged: Logged) -> dict[str, Any]:
    """Collect the scalars of a folder's event files; return the hyperparameters that they hold."""
    from tensorboard.backend.event_processing.event_accumulator import EventAccumulator
    from tensorboard.util.tensor_util import make_ndarray

    events = EventAccumulator(str(folder), size_guidance={"scalars": 0, "tensors": 0})
    events.Reload()
    tags = events.Tags()
    for name in tags["scalars"]:
        for event in events.Scalars(name):
            logged.add(name, event.step, event.value)
    for name in tags["tensors"]:  # TensorFlow 2 writes scalars as tensors without dimensions
        for event in events.Tensors(name):
            value = make_ndarray(event.tensor_proto)
            if value.ndim == 0 and value.dtype.kind in "fiu":
                logged.add(name, event.step, float(value))
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
