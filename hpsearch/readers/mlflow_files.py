"""MLflow's file store, a folder `mlruns`, as its versions up to 3 write it. Read directly: MLflow refuses it now.

mlruns/<experiment>/meta.yaml                name and lifecycle stage
mlruns/<experiment>/<run>/meta.yaml          name, status, times and lifecycle stage
mlruns/<experiment>/<run>/params/lr          one value; names with `/` are folders, and so are those of tags and metrics
mlruns/<experiment>/<run>/metrics/loss       a line `timestamp value step` for each value
"""

import re
from collections.abc import Iterator, Mapping
from dataclasses import replace
from pathlib import Path

from hpsearch.errors import DataError
from hpsearch.readers import Reading, Wanted
from hpsearch.readers.measurements import Logged, as_number, as_step
from hpsearch.readers.mlflow_runs import MlflowRun, as_finished
from hpsearch.readers.naming import place_of
from hpsearch.readers.text_files import parse_texts, read_text

META = "meta.yaml"
_RUN = re.compile(r"[0-9a-f]{32}")
_NO_EXPERIMENTS = {"models", ".trash"}
_STATUSES = {"1": "RUNNING", "2": "SCHEDULED", "3": "FINISHED", "4": "FAILED", "5": "KILLED"}

Meta = Mapping[str, str]


def recognises(path: Path) -> bool:
    """Check whether a folder is a file store, or one experiment or run of it."""
    return path.is_dir() and (_is_part(_meta(path)) or any(_is_part(_meta(each)) for each in _folders(path)))


def read(path: Path, wanted: Wanted) -> Reading:
    """Return the active runs of the active experiments.

    Raises:
        DataError: a file cannot be read.
    """
    if _is_run(_meta(path)):
        store, experiments, folders = path.parent.parent, {path.parent: _meta(path.parent)}, [path]
    else:
        store, inside = (path.parent, [path]) if _is_part(_meta(path)) else (path, _folders(path))
        experiments = {each: meta for each in inside if _is_part(meta := _meta(each))}
        folders = [run for experiment, meta in experiments.items() if _is_active(meta) for run in _folders(experiment)]
    metas = [(folder, _meta(folder)) for folder in folders if (folder / META).is_file()]
    warnings = tuple(f"{folder / META} says of no run: it is left out" for folder, meta in metas if not _is_run(meta))
    runs = [run for run in metas if _is_run(run[1]) and _is_active(run[1])]
    runs.sort(key=lambda run: (run[0].parent.name, as_number(run[1].get("start_time")) or 0.0, run[0].name))
    kept = [_read_run(folder, meta, experiments[folder.parent], wanted) for folder, meta in runs]
    return replace(as_finished(kept, source=str(path), place=place_of(store), wanted=wanted), warnings=warnings)


def is_kept(path: Path) -> bool:
    """Check whether a folder holds what a run kept, in any store, such as its model and copies of files: no runs."""
    return path.name == "artifacts" and _RUN.fullmatch(path.parent.name) is not None


def _folders(path: Path) -> list[Path]:
    return sorted(each for each in path.iterdir() if each.is_dir() and each.name not in _NO_EXPERIMENTS)


def _is_part(meta: Meta) -> bool:
    return "experiment_id" in meta


def _is_run(meta: Meta) -> bool:
    return _is_part(meta) and not {"run_id", "run_uuid"}.isdisjoint(meta)


def _is_active(meta: Meta) -> bool:
    return meta.get("lifecycle_stage", "active") == "active"


def _meta(folder: Path) -> Meta:
    """Read a folder's metadata, every value as text (an id of digits stays text); empty if there are none."""
    try:
        content = parse_texts(folder / META)
    except (OSError, DataError):
        return {}
    return content if isinstance(content, dict) else {}


def _read_run(folder: Path, meta: Meta, experiment: Meta, wanted: Wanted) -> MlflowRun:
    params = {key: read_text(file) for key, file in _files(folder / "params")}
    tags = {key: read_text(file) for key, file in _files(folder / "tags")}
    logged = Logged()
    for key, file in _files(folder / "metrics"):
        for step, _, value in sorted(_points(file)):
            logged.add(key, step, value)
    times = [as_number(meta.get(name)) for name in ("start_time", "end_time")]
    status = meta.get("status", "RUNNING")
    return MlflowRun(
        identity=folder.name,
        name=meta.get("run_name") or tags.get("mlflow.runName") or folder.name,
        experiment=experiment.get("name") or folder.parent.name,
        status=_STATUSES.get(status, status),
        seconds=(times[1] - times[0]) / 1000 if times[0] is not None and times[1] is not None else None,
        params=params,
        tags=tags,
        metrics=logged.metrics(),
        histories=logged.histories(wanted),
    )


def _files(folder: Path) -> Iterator[tuple[str, Path]]:
    """Yield the files of a folder and of those in it, by their names with `/`; not the hidden files of editors."""
    for file in sorted(folder.rglob("*")):
        if file.is_file() and not file.name.startswith("."):
            yield file.relative_to(folder).as_posix(), file


def _points(file: Path) -> list[tuple[int, float, float]]:
    """Return a metric's (step, time, value); lines of MLflow 1.0 have no step, a line that was cut off does not count.

    Newer lines name a data set behind the step.
    """
    rows = [line.split() for line in read_text(file).split("\n") if line.strip()]
    if len(rows) > 1 and len(rows[-1]) < len(rows[-2]):
        del rows[-1]
    found = []
    for words in rows:
        time, value = (as_number(word) for word in words[:2]) if len(words) > 1 else (None, None)
        step = as_step(words[2]) if len(words) > 2 else 0
        if time is not None and value is not None and step is not None:
            found.append((step, time, value))
    return found
