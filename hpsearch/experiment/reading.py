"""Reading a finished or running experiment back from its folder."""

import json
import math
import os
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from functools import cached_property
from pathlib import Path
from typing import Any

from hpsearch.errors import ExperimentError
from hpsearch.experiment.artifacts import gradient_norms, read_histograms
from hpsearch.experiment.checksums import unsealed
from hpsearch.experiment.files import decode_number, read_json, read_lines
from hpsearch.experiment.gaps import gaps
from hpsearch.experiment.layout import (
    CONFIG,
    FORMAT_VERSION,
    LOG,
    METRICS,
    RATE_DECISIONS,
    RESOLVED,
    UNREAD,
    RunKind,
    baseline_of,
    is_experiment,
    is_study,
    is_title,
)
from hpsearch.experiment.log import damage, read_past
from hpsearch.experiment.state import ExperimentState, RunState
from hpsearch.records import BaselineRecord, Evidence, ExperimentRecord, Fold, Goal, Monitor, Outcome, RunRecord

_NO_FOLD = Fold(0, 0, 0)


def read_resolved(folder: Path) -> dict[str, Any]:
    """Return resolved.json.

    Raises:
        ExperimentError: if the folder is no experiment or from a newer hpsearch.
    """
    if not is_experiment(folder):
        what = "a study; its arms are experiments" if is_study(folder) else f"not an experiment: it has no {RESOLVED}"
        if is_title(folder):
            what = (
                f"a title, which `hpsearch champion` shows; its contenders are experiments in {folder / 'contenders'}"
            )
        raise ExperimentError(f"{folder} is {what}{_neighbours(folder)}")
    try:
        resolved: dict[str, Any] = read_json(folder / RESOLVED)
    except ValueError as error:
        raise ExperimentError(f"{folder / RESOLVED} is not valid JSON: {error}") from error
    except OSError as error:
        raise ExperimentError(f"{folder / RESOLVED} cannot be read: {error.strerror or error}") from error
    if not isinstance(resolved, dict) or "space" not in resolved:
        raise ExperimentError(f"{folder / RESOLVED} does not describe an experiment")
    version = resolved.get("version", 0)
    if type(version) is int and version > FORMAT_VERSION:
        raise ExperimentError(f"{folder} was written by a newer hpsearch (format {version})")
    for path, fits, expected in _SHAPE:
        value = _within(resolved, path)
        if not fits(value):
            shown = "missing" if value is _ABSENT else json.dumps(value, default=str)[:60]
            raise ExperimentError(f"{folder / RESOLVED} is damaged: {path} is {shown}, not {expected}")
    return resolved


_ABSENT = object()


def _within(content: Any, path: str) -> Any:
    """Return the value at a dotted path, or _ABSENT."""
    for name in path.split("."):
        if not isinstance(content, dict) or name not in content:
            return _ABSENT
        content = content[name]
    return content


def _is(*kinds: type, optional: bool = False) -> Callable[[Any], bool]:
    return lambda value: type(value) in kinds or (optional and (value is None or value is _ABSENT))


_SHAPE: Sequence[tuple[str, Callable[[Any], bool], str]] = (
    ("version", _is(int, optional=True), "a whole number"),
    ("space", _is(dict), "an object"),
    ("space.family", _is(str), "a text"),
    ("space.objective.metric", _is(str), "a text"),
    ("space.objective.goal", lambda value: value in [*Goal], f"one of {', '.join(Goal)}"),
    ("space.objective.at", lambda value: value is not _ABSENT, "given"),
    ("space.search", _is(dict, optional=True), "an object"),
    ("space.search.trials", _is(int, optional=True), "a whole number"),
    ("space_folder", _is(str, optional=True), "a text"),
    ("space_from_here", _is(str, optional=True), "a text"),
    ("space_file", _is(str, optional=True), "a text"),
    ("id", _is(str, optional=True), "a text"),
    ("created", _is(int, float, optional=True), "a number"),
    ("unit", _is(str, optional=True), "a text"),
    ("versions", _is(dict, optional=True), "an object"),
    ("git", _is(dict, optional=True), "an object"),
)
"""What the parts of resolved.json must be that are used without the space's own checks."""


def place_of_space(path: Path, folder: Path) -> dict[str, Any]:
    """Return the fields of resolved.json that locate the space file, for `space_home`."""
    home, experiment = path.parent.resolve(), folder.resolve()
    name = path.name if path.is_file() else None
    return {"space_folder": str(home), "space_from_here": os.path.relpath(home, experiment), "space_file": name}


def space_home(folder: Path) -> Path:
    """Return the folder of an experiment's space file: programs, a user's family and relative data paths start there.

    An experiment that was moved or copied together with the file finds it where it stands relative to itself; one that
    was moved alone, where it always stood. The folder may be gone.

    Raises:
        ExperimentError: the folder cannot be used.
    """
    resolved = read_resolved(folder)
    if "space_folder" not in resolved:
        raise ExperimentError(f"{folder / RESOLVED} does not say where the experiment's space file is")
    kept = Path(resolved["space_folder"])
    if "space_from_here" not in resolved:
        return kept
    beside = Path(os.path.normpath(folder.resolve() / resolved["space_from_here"]))
    name = resolved.get("space_file")
    if name is not None:
        return next((home for home in (beside, kept) if (home / name).is_file()), kept)
    return kept if kept.is_dir() or not beside.is_dir() else beside


def _neighbours(folder: Path) -> str:
    """Name the experiments nearby, for a mistyped name."""
    for place in (folder, folder.parent):
        names = sorted(path.parent.name for path in place.glob(f"*/{RESOLVED}")) if place.is_dir() else []
        if names:
            return f"; {place} holds: {', '.join(names)}"
    return ""


def read_experiment(folder: Path) -> ExperimentRecord:
    """Return the record of an experiment; what is damaged in its log is left out and named in the warnings."""
    resolved = read_resolved(folder)  # says so when the folder is no experiment
    past = read_past(folder / LOG, keep=False)
    return _experiment(folder, resolved, past.state, [*damage(folder / LOG, past), *gaps(folder, past.state)])


def experiment_of(folder: Path, state: ExperimentState) -> ExperimentRecord:
    """Return the record of an experiment whose log has been read."""
    return _experiment(folder, read_resolved(folder), state, [])


def _experiment(
    folder: Path, resolved: Mapping[str, Any], state: ExperimentState, damage: Sequence[str]
) -> ExperimentRecord:
    dropped = {trial.number for trial in state.of_kind(RunKind.TRIAL) if trial.dropped}
    replicates = (run for run in state.of_kind(RunKind.REPLICATE) if run.number not in dropped)
    space = resolved["space"]
    given = space.get("search", {}).get("trials")
    return ExperimentRecord(
        name=folder.name,
        folder=str(folder),
        family=space["family"],
        objective=Monitor(space["objective"]["metric"], Goal(space["objective"]["goal"])),
        at=space["objective"]["at"],
        trials=_sorted(_record(run) for run in state.of_kind(RunKind.TRIAL) if not run.dropped),
        replicates=_sorted(map(_record, replicates)),
        baselines=tuple(_baseline(run) for run in state.of_kind(RunKind.BASELINE) if run.scores),
        unit=resolved.get("unit", "epoch"),
        elapsed=state.search_seconds,
        budget=None if given is None else state.trials_of(given),
        dropped=len(dropped),
        warnings=(*_left_out(len(dropped)), *damage),
        started=state.started,
        last=state.latest,
        closing=state.closing,
        added=len(state.added),
        most_seeds=most_seeds(space),
        reruns=sum(1 for _ in state.of_kind(RunKind.RERUN)),
        rerun_steps=sum(run.last[0] or 0 for run in state.of_kind(RunKind.RERUN)),
        rerun_seconds=math.fsum(run.seconds for run in state.of_kind(RunKind.RERUN)),
        paused=state.paused,
        notes=state.notes,
    )


def most_seeds(space: Mapping[str, Any]) -> int:
    """Return on how many seeds a search trains a configuration at most, by its resolved space; 0 without a race."""
    most = _within(space, "search.seeds.race.most")
    return most if type(most) is int else 0


def _record(run: RunState) -> RunRecord:
    outcome, reason = ending_of(run)
    return RunRecord(
        run=run.run,
        number=run.number,
        params=run.params,
        seed=run.seed,
        outcome=outcome,
        reason=reason,
        value=run.mean,
        step=run.step,
        seconds=run.seconds,
        attempts=run.attempts,
        history=tuple(run.history.items()),
        scores=run.scores,
        replicate=run.replicate,
        fold=run.fold,
        train_size=run.train_size,
        test_size=run.test_size,
        changes=run.changes,
        data=run.data,
        notes=run.notes,
        ended_in=None if run.fallen is None else run.fallen.run,
        by_seed=tuple(value for _, value in sorted(run.by_seed.items())) if run.further else (),
    )


def ending_of(run: RunState) -> tuple[Outcome | None, str | None]:
    """Return how a run ended and why; a trial that came to nothing on a further seed ended as it did there."""
    if run.fallen is None:
        return run.outcome, run.reason
    outcome = run.fallen.outcome if run.fallen.outcome is not Outcome.COMPLETE else Outcome.DIVERGED
    return outcome, f"on seed {run.fallen.rerun}: {run.fallen.reason or 'its value is not finite'}"


def _baseline(run: RunState) -> BaselineRecord:
    return BaselineRecord(baseline_of(run.run)[1], run.scores, run.fold, run.train_size, run.test_size)


def _sorted(records: Iterable[RunRecord]) -> tuple[RunRecord, ...]:
    """Order by trial; replicates on seeds before those on folds."""
    return tuple(sorted(records, key=lambda record: (record.number, record.fold or _NO_FOLD, record.replicate or 0)))


def _left_out(dropped: int) -> list[str]:
    return [f"{dropped} earlier trials do not fit the changed space and are left out"] if dropped else []


def read_metrics(folder: Path, run: str) -> list[dict[str, Any]]:
    """Return the rows of a run's metrics file: `step`, `seconds` and flat metric names; the last one of each step."""
    lines = (row for row, _ in read_lines(folder.joinpath(run, METRICS)))
    rows = {row["step"]: row for row in lines if type(row.get("step")) is int}
    for row in rows.values():
        for name, value in row.items():
            if type(value) is str:
                row[name] = decode_number(value)
    return [*rows.values()]


class _Config(Mapping[str, Any]):
    """The configuration in a run's folder, read when somebody looks: of most trials nobody does.

    It is empty where its file is missing or damaged: that costs what would be said of it, and no other trial.
    """

    def __init__(self, run: Path) -> None:
        self._run = run

    @cached_property
    def _content(self) -> dict[str, Any]:
        try:
            job = unsealed(_json_if_any(self._run / CONFIG))
        except ValueError:
            return {}
        told = job.get("changes")
        changes = [each for each in told if isinstance(each, dict)] if isinstance(told, list) else []
        content = changes[-1].get("config") if changes else job.get("config")
        return content if isinstance(content, dict) else {}

    def __getitem__(self, name: str) -> Any:
        return self._content[name]

    def __iter__(self) -> Iterator[str]:
        return iter(self._content)

    def __len__(self) -> int:
        return len(self._content)


def read_evidence(folder: Path, run: RunRecord) -> Evidence:
    """Read the rows and settings in a run's folder; missing files give empty values.

    The configuration is the newest, of a run whose settings changed while it was trained.
    """
    home = folder / run.run
    rows = tuple(read_metrics(folder, run.run))
    unread = tuple(_json_if_any(home / UNREAD).get("unread", ()))
    gradients = tuple(norm for look in read_histograms(home) for norm in gradient_norms(look))
    return Evidence(run, rows, _Config(home), unread, gradients)


def _json_if_any(path: Path) -> dict[str, Any]:
    try:
        content: dict[str, Any] = read_json(path)
    except (FileNotFoundError, NotADirectoryError, IsADirectoryError):
        return {}
    except ValueError:  # damaged: whoever goes on with the run says so
        return {}
    return content if isinstance(content, dict) else {}


def read_rate_decisions(folder: Path, run: str) -> list[dict[str, Any]]:
    """Return the decisions of a run's adaptive schedule and their reasons; empty for other schedules."""
    return [row for row, _ in read_lines(folder / run / RATE_DECISIONS)]


def written_range(path: str, space: Mapping[str, Any]) -> Mapping[str, Any]:
    """Return what a resolved space has at a dotted path, such as `{"log": [1e-5, 0.1]}`; empty if there is none."""
    node: Any = space
    for word in path.split("."):
        if isinstance(node, Mapping):
            node = (node["choice"] if isinstance(node.get("choice"), Mapping) else node).get(word)
        else:
            node = node[int(word)] if isinstance(node, list) and word.isdigit() and int(word) < len(node) else None
    return node if isinstance(node, Mapping) else {}
