"""What must hold after every episode, checked from the files alone by a small reader of its own.

Nothing of hpsearch is imported here: a mistake in its reading or writing must not hide itself.
"""

import fcntl
import json
import math
import re
import sqlite3
import zlib
from collections.abc import Callable, Collection, Iterator, Mapping
from contextlib import closing
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

Finished = dict[tuple[str, str], float | None]
"""The value of each finished run, by experiment and run."""
Line = dict[str, Any]
_SEALED = re.compile(rb'^(.*),"crc":"([0-9a-f]{8})"}\n$', re.DOTALL)
_NAMES = {"nan": math.nan, "inf": math.inf, "-inf": -math.inf}
_STATUS = {"complete": "FINISHED", "pruned": "FINISHED"}


def read_log(path: Path) -> tuple[list[Line], int]:
    """Return the whole lines of a log and how many others there are."""
    lines, bad = [], 0
    try:
        content = path.read_bytes()
    except OSError:
        return [], 0
    for raw in content.splitlines(keepends=True):
        sealed = _SEALED.match(raw)
        try:
            line = json.loads(raw)
        except ValueError:
            bad += 1
            continue
        if not isinstance(line, dict) or sealed is None or int(sealed[2], 16) != zlib.crc32(sealed[1]):
            bad += 1
            continue
        lines.append(line)
    return lines, bad


def number(value: Any) -> float | None:
    """Return a number of the log, whose non-finite ones are written as words."""
    return _NAMES.get(value) if isinstance(value, str) else value


def seen_finished(lines: list[Line]) -> dict[str, float | None]:
    """Return the value of each run that a log says is complete or pruned."""
    return {
        line["run"]: number(line["value"])
        for line in lines
        if line.get("event") == "outcome" and line["outcome"] in ("complete", "pruned")
    }


@dataclass
class Run:
    """What the log tells of one run."""

    asks: int = 0
    params: Mapping[str, Any] = field(default_factory=dict)
    reports: dict[int, float] = field(default_factory=dict)
    outcomes: list[Line] = field(default_factory=list)
    lost: int = 0

    @property
    def outcome(self) -> str | None:
        return self.outcomes[-1]["outcome"] if self.outcomes else None

    @property
    def value(self) -> float | None:
        return number(self.outcomes[-1]["value"]) if self.outcomes else None

    @property
    def step(self) -> int | None:
        return self.outcomes[-1]["step"] if self.outcomes else None


def fold(lines: list[Line]) -> dict[str, Run]:
    """Return the runs of a log. What a retried mistake or an orphan left does not count twice."""
    runs: dict[str, Run] = {}
    for line in lines:
        if "run" not in line:
            continue
        run = runs.setdefault(line["run"], Run())
        if line["event"] == "ask":
            run.asks += 1
            run.params = line["params"]
        elif line["event"] == "report":
            run.reports[line["step"]] = number(line["metric"]) or 0.0
        elif line["event"] == "lost":
            run.lost += 1
        elif line["event"] == "outcome":
            run.outcomes.append(line)
    return runs


@dataclass(frozen=True)
class Expected:
    """What an episode must come to.

    `value` gives the objective by parameters and step. `outcomes` are those that a run may have besides complete and
    pruned, by experiment and run. `damaged` lines and files may cost a run each. `whole` is what an unbroken search
    came to: parameters and value of each run; None where that is not known.
    """

    value: Callable[[Mapping[str, Any], int], float]
    relative: float
    trials: int
    finished: Finished = field(default_factory=dict)
    outcomes: Mapping[str, frozenset[str]] = field(default_factory=dict)
    damaged: int = 0
    whole: Mapping[tuple[str, str], Run] | None = None
    last_step: int | None = None


def check_experiment(name: str, folder: Path, expected: Expected) -> Iterator[str]:
    """Yield each promise that an experiment's log breaks."""
    lines, bad = read_log(folder / "log.jsonl")
    if bad > expected.damaged:
        yield f"log: {bad} lines are damaged, where {expected.damaged} were"
    runs = fold(lines)
    yield from _kept(name, runs, expected)
    yield from _once(runs, expected)
    yield from _numbers(runs, expected)
    for run, found in runs.items():
        yield from _right(run, found, expected)
    if expected.whole is not None:
        yield from _unbroken(name, runs, expected)
    yield from _whole_files(folder, expected)


def _kept(name: str, runs: Mapping[str, Run], expected: Expected) -> Iterator[str]:
    """Every run that was seen to be finished is there, with the same value."""
    gone = []
    for (experiment, run), value in expected.finished.items():
        if experiment != name:
            continue
        found = runs.get(run)
        if found is None or not found.outcomes:
            gone.append(run)
        elif not _same(found.value, value, 1e-3):
            yield f"kept: {run} was finished with {value} and has {found.value} now"
    if len(gone) > expected.damaged:
        yield f"kept: {', '.join(gone)} had finished, and is not finished now"


def _once(runs: Mapping[str, Run], expected: Expected) -> Iterator[str]:
    """No run is asked for twice, none ends twice, no two have the same parameters."""
    spare = expected.damaged
    for run, found in runs.items():
        if found.asks > 1 and not expected.damaged:
            yield f"once: {run} is asked for {found.asks} times"
        if len(found.outcomes) > 1 and not expected.damaged:
            yield f"once: {run} has {len(found.outcomes)} outcomes"
    proposed = [json.dumps(found.params, sort_keys=True) for run, found in runs.items() if run.startswith("trials/")]
    twice = len(proposed) - len(set(proposed))
    if twice > spare:
        yield f"once: {twice} trials have the parameters of another"


def _numbers(runs: Mapping[str, Run], expected: Expected) -> Iterator[str]:
    """The trials are numbered from 0 without a gap, there are as many as were asked for, and all have ended."""
    numbers = sorted(int(run.removeprefix("trials/")) for run in runs if run.startswith("trials/"))
    if numbers != list(range(len(numbers))) and not expected.damaged:
        yield f"numbers: the trials are {numbers}"
    if not expected.trials <= len(numbers) <= expected.trials + expected.damaged:
        yield f"numbers: there are {len(numbers)} trials, and {expected.trials} were to be"
    open_ones = [run for run, found in runs.items() if not found.outcomes]
    if len(open_ones) > expected.damaged:
        yield f"numbers: without an outcome: {', '.join(open_ones)}"


def _right(run: str, found: Run, expected: Expected) -> Iterator[str]:
    """Every value equals its closed form, and every outcome is one that the run may have."""
    if not found.params:
        return
    for step, value in found.reports.items():
        if math.isfinite(value) and not _same(value, expected.value(found.params, step), expected.relative):
            yield f"values: {run} reports {value} at step {step}, which is {expected.value(found.params, step)}"
    allowed = {"complete", "pruned"} | expected.outcomes.get(run, frozenset())
    if found.outcome is not None and found.outcome not in allowed:
        reason = found.outcomes[-1].get("reason")
        yield f"outcomes: {run} is {found.outcome} ({reason}), and may be {', '.join(sorted(allowed))}"
    if found.outcome != "complete":
        return
    if found.value is None or found.step is None:
        yield f"values: {run} is complete without a value"
    elif not _same(found.value, expected.value(found.params, found.step), expected.relative):
        yield f"values: {run} has {found.value}, which is {expected.value(found.params, found.step)}"
    elif expected.last_step is not None and found.step != expected.last_step and run not in expected.outcomes:
        yield f"values: {run} counts step {found.step}, and step {expected.last_step} is the last and best"


def _unbroken(name: str, runs: Mapping[str, Run], expected: Expected) -> Iterator[str]:
    """What nothing struck is as in a search that nothing struck."""
    assert expected.whole is not None
    mine = {run: whole for (experiment, run), whole in expected.whole.items() if experiment == name}
    other = [
        run
        for run, whole in mine.items()
        if run in runs
        and not expected.outcomes.get(run)
        and (
            runs[run].params != whole.params
            or runs[run].outcome != whole.outcome
            or not _same(runs[run].value, whole.value, expected.relative)
        )
    ]
    if len(other) > expected.damaged:
        run = other[0]
        one, two = runs[run], mine[run]
        yield (
            f"unbroken: {len(other)} runs differ, {run}: {one.outcome} {one.value} {dict(one.params)}, and unbroken "
            f"{two.outcome} {two.value} {dict(two.params)}"
        )
    missing = [run for run in mine if run not in runs]
    if len(missing) > expected.damaged:
        yield f"unbroken: missing: {', '.join(missing)}"


def _whole_files(folder: Path, expected: Expected) -> Iterator[str]:
    """Every file can be read: each step once, in order; documents are JSON."""
    spoiled = []
    for path in sorted(folder.rglob("*.jsonl")):
        steps = [line["step"] for line in read_log(path)[0] if "event" not in line and "step" in line]
        if steps != sorted(set(steps)) and path.name == "metrics.jsonl":
            spoiled.append(f"{path.relative_to(folder)} has the steps {steps}")
    for path in sorted(folder.rglob("*.json")):
        try:
            json.loads(path.read_bytes())
        except ValueError as error:
            spoiled.append(f"{path.relative_to(folder)} is no JSON: {error}")
    if len(spoiled) > expected.damaged:
        yield f"files: {'; '.join(spoiled)}"


def check_mlflow(name: str, folder: Path, database: Path, expected: Expected) -> Iterator[str]:
    """Yield how MLflow's database, read by SQLite alone, differs from the log."""
    runs = fold(read_log(folder / "log.jsonl")[0])
    with closing(sqlite3.connect(f"file:{database}?mode=ro", uri=True)) as store:
        rows = store.execute(
            "SELECT runs.run_uuid, names.value, runs.status FROM runs "
            "JOIN tags AS names ON names.run_uuid = runs.run_uuid AND names.key = 'hpsearch.run' "
            "JOIN tags AS above ON above.run_uuid = runs.run_uuid AND above.key = 'mlflow.parentRunId' "
            "JOIN tags AS places ON places.run_uuid = above.value AND places.key = 'hpsearch.folder' "
            "WHERE places.value = ? AND runs.lifecycle_stage = 'active'",
            (str(folder),),
        ).fetchall()
        ids: dict[str, tuple[str, str]] = {}
        for uuid, run, status in rows:
            if run in ids:
                yield f"mlflow: {name}: there are two runs of {run}"
            ids[run] = (uuid, status)
        missing = runs.keys() - ids.keys()
        if len(missing) > expected.damaged:
            yield f"mlflow: {name}: no run of {', '.join(sorted(missing))}"
        for run in sorted(runs.keys() & ids.keys()):
            yield from _mirrored(store, run, ids[run], runs[run], expected)


def _mirrored(
    store: sqlite3.Connection, run: str, row: tuple[str, str], found: Run, expected: Expected
) -> Iterator[str]:
    uuid, status = row
    if found.outcome is not None and status != _STATUS.get(found.outcome, "FAILED"):
        yield f"mlflow: {run} is {found.outcome}, and {status} in MLflow"
    params = dict(store.execute("SELECT key, value FROM params WHERE run_uuid = ?", (uuid,)))
    for key, value in found.params.items():
        if key not in params or not _same_text(params[key], value):
            yield f"mlflow: {run} has {key}={value}, and {params.get(key)} in MLflow"
    points = dict(store.execute("SELECT step, value FROM metrics WHERE key = 'val/loss' AND run_uuid = ?", (uuid,)))
    finite = {step: value for step, value in found.reports.items() if math.isfinite(value)}
    differing = [step for step, value in finite.items() if not _same(points.get(step), value, 1e-12)]
    if differing and not expected.damaged:
        yield f"mlflow: {run} has {finite}, and {points} in MLflow"


def check_left_behind(
    folder: Path, temporary: Path, experiments: list[Path], processes: list[int], *, gone: Collection[int] = ()
) -> Iterator[str]:
    """Yield what an episode has left behind besides its experiments.

    `temporary` is where temporary files go; `gone` are processes that there were, whose shared memory bears their ids.
    """
    for pid in processes:
        line = Path(f"/proc/{pid}/cmdline")
        told = line.read_bytes().replace(b"\0", b" ").decode(errors="replace")[:200] if line.exists() else ""
        yield f"left: process {pid}: {told}"
    for path in sorted((folder / "experiments").rglob("*")):
        if path.name.endswith(".tmp") or path.name in ("progress.json", "printed.part"):
            yield f"left: {path.relative_to(folder)}"
    for experiment in experiments:
        if (experiment / "lock").exists() and not _free(experiment / "lock"):
            yield f"left: the lock of {experiment.name} is held"
    for path in sorted(temporary.iterdir()):
        if path.name != "ray":  # the logs of its sessions
            yield f"left: {path}"
    shared = Path("/dev/shm")  # noqa: S108 -- looked into, not written
    for path in sorted(shared.iterdir()) if shared.is_dir() else []:
        if {int(digits) for digits in re.findall(r"\d+", path.name)} & set(gone):
            yield f"left: {path}"


def _free(path: Path) -> bool:
    with path.open("r") as file:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError:
            return False
    return True


def check_output(output: str, status: int | None, allowed: frozenset[int], *, traceback: bool = False) -> Iterator[str]:
    """Yield what is wrong with how a session ended: no traceback, and an exit status that says how it was."""
    if status is None:
        yield f"hung: a session did not end; its last words: {output.strip().splitlines()[-3:]}"
    elif status not in allowed:
        yield f"status: {status}, which is none of {sorted(allowed)}: {output.strip().splitlines()[-3:]}"
    if "Traceback (most recent call last)" in output and not traceback:
        yield f"traceback: {output[output.index('Traceback') :].strip()[-600:]}"


def _same(one: float | None, other: float | None, relative: float) -> bool:
    if one is None or other is None:
        return one is other
    return one == other or (math.isnan(one) and math.isnan(other)) or math.isclose(one, other, rel_tol=relative)


def _same_text(text: str, value: Any) -> bool:
    try:
        return float(text) == float(value)
    except (TypeError, ValueError):
        return text == str(value)
