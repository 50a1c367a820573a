"""Is an experiment's log whole: its checksums, its order, its agreement with the folders of the runs."""

import hashlib
import io
from collections import Counter
from collections.abc import Callable, Collection, Iterator
from dataclasses import dataclass, field
from functools import partial
from itertools import pairwise
from pathlib import Path

from hpsearch.diagnosis.findings import Finding, aside
from hpsearch.errors import HpsearchError
from hpsearch.experiment.events import AskEvent, BeginEvent, Event, OutcomeEvent
from hpsearch.experiment.files import LinesRead, copy_atomically, json_line, read_lines, write_atomically
from hpsearch.experiment.layout import CONFIG, LOG, METRICS, RunKind, run_kind
from hpsearch.experiment.log import read_past
from hpsearch.experiment.reading import read_resolved
from hpsearch.experiment.state import ExperimentState, RunState
from hpsearch.running.mending import write_ask_again, write_log_again

_JUMP = 1.0
"""Seconds by which the clock may go back from one event to the next."""
_NAMED = 10
"""Lines that are named."""


@dataclass(frozen=True)
class ReadLog:
    """A log that was examined: what it comes to, and what is wrong with it."""

    state: ExperimentState = field(default_factory=ExperimentState)
    findings: tuple[Finding, ...] = ()
    lines: int = 0


def examine_log(folder: Path, *, running: bool) -> ReadLog:
    """Read the log of an experiment; while it is `running` its last line may be in the making."""
    path = folder / LOG
    trials = sorted(each.name for each in (folder / "trials").glob("[0-9]*") if each.name.isdecimal())
    past = read_past(path)
    if not path.is_file() or not (past.state.count or running):
        return ReadLog(findings=tuple(_gone(path, trials)))
    wrong = [*damaged_file(path, torn=not running)]
    known = {each.number for each in _damage(path).damaged}
    odd = {each.number: each.why for each in past.damaged if each.number not in known}
    wrong += [
        Finding(
            f"line {number} is left out: {why}",
            str(path),
            "it is whole, but does not fit to the lines before it, one of which was damaged",
            "nothing can: what it needs was in the damaged line; the trial counts as not asked for",
            note=True,
        )
        for number, why in [*odd.items()][:_NAMED]
    ]
    asked = () if running else _unasked(path, past.state)
    return ReadLog(past.state, (*wrong, *asked, *_order(path, past.events)), len(past.events))


def _unasked(path: Path, state: ExperimentState) -> Iterator[Finding]:
    """Yield the trials whose asking is lost, and with it all that the log tells of them."""
    for run in sorted(run for run in state.orphans if run_kind(run) is RunKind.TRIAL):
        if (path.parent / run / CONFIG).is_file():
            yield Finding(
                f"no line asks for {run}, of which others tell",
                str(path),
                "its reports and its outcome are left out, and the trial does not count",
                f"--repair writes that line again from the trial's {CONFIG}",
                mend=partial(_asked_again, path, run),
            )


def _asked_again(path: Path, run: str) -> str:
    kept = aside(path, "unasked")
    copy_atomically(path, kept)
    try:
        write_ask_again(path.parent, run)
    except HpsearchError:
        kept.unlink()
        raise
    return f"written again, and {run} counts; the file as it was is {kept.name}"


def _gone(path: Path, trials: Collection[str]) -> Iterator[Finding]:
    if not trials:
        return
    what = "is missing" if not path.exists() else "has no whole line" if path.stat().st_size else "is empty"
    yield Finding(
        f"the log {what}",
        str(path),
        f"the outcomes of {len(trials)} trials are not known; their curves are in trials/*/metrics.jsonl",
        "take log.jsonl from a backup; without one, --repair writes what the trials' folders tell, and `hpsearch run` "
        "takes each trial up again from its checkpoint, since outcomes are nowhere else",
        mend=partial(_written_again, path),
    )


def _written_again(path: Path) -> str:
    """Write a log from the folders of the trials; what was there is kept."""
    kept = None
    if path.exists() and path.stat().st_size:
        kept = aside(path)
        copy_atomically(path, kept)
    return write_log_again(path.parent) + (f"; what was there is {kept.name}" if kept else "")


def damaged_file(path: Path, *, torn: bool = True) -> Iterator[Finding]:
    """Yield what is wrong with the lines of a JSON-lines file; `torn` says whether an unfinished last line counts."""
    if not path.is_file():
        return
    read = _damage(path)
    numbers = [each.number for each in read.damaged]
    rest = path.stat().st_size - read.end
    if numbers:
        named = ", ".join(map(str, numbers[:_NAMED])) + (" and more" if len(numbers) > _NAMED else "")
        why = ", ".join(sorted({each.why for each in read.damaged}))
        lines = f"line {named} is damaged" if len(numbers) == 1 else f"{len(numbers)} lines are damaged: {named}"
        yield Finding(
            f"{lines} ({why})",
            str(path),
            "what they told is lost; all other lines are read",
            "--repair leaves them out, and keeps the file as it is under another name",
            mend=partial(_rewrite, path, "damaged", _without_damage),
        )
    if rest and torn:
        yield Finding(
            f"the last {rest} bytes are no whole line",
            str(path),
            "a process was killed while it wrote them; they are not read, and the next session drops them",
            "--repair leaves them out, and keeps the file as it is under another name",
            mend=partial(_rewrite, path, "torn", _without_damage),
        )
    if twice := _twice(path):
        named = ", ".join(map(str, twice[:_NAMED]))
        yield Finding(
            f"{len(twice)} lines repeat an earlier one to the last byte: {named}",
            str(path),
            "a file was put together twice; what they tell counts twice in sums",
            "--repair leaves the repetitions out, and keeps the file as it is under another name",
            mend=partial(_rewrite, path, "repeated", _without_repetitions),
        )


def _damage(path: Path) -> LinesRead:
    read = LinesRead()
    for _ in read_lines(path, read=read):
        pass
    return read


def _twice(path: Path) -> list[int]:
    """Return the numbers of the lines with a time that stood in the file before; those without may well be equal."""
    seen: set[bytes] = set()
    found = []
    with path.open("rb") as file:
        for number, line in enumerate(file, start=1):
            digest = hashlib.blake2b(line, digest_size=16).digest()
            if digest in seen and b'"time":' in line:
                found.append(number)
            seen.add(digest)
    return found


def _rewrite(path: Path, why: str, keep: Callable[[Path], bytes]) -> str:
    """Write a file anew without what is wrong with it; the file as it was gets another name."""
    kept = aside(path, why)
    content = keep(path)
    copy_atomically(path, kept)
    write_atomically(path, content)
    return f"left out; the file as it was is {kept.name}"


def _without_damage(path: Path) -> bytes:
    read = _damage(path)
    damaged = {each.number for each in read.damaged}
    with path.open("rb") as file:
        whole = io.BytesIO(file.read(read.end))
    return b"".join(line for number, line in enumerate(whole, start=1) if number not in damaged)


def _without_repetitions(path: Path) -> bytes:
    repeated = {*_twice(path)}
    with path.open("rb") as file:
        return b"".join(line for number, line in enumerate(file, start=1) if number not in repeated)


def examine_curve(folder: Path, run: RunState) -> Iterator[Finding]:
    """Yield what the log was told of a run and its metrics file does not have."""
    path = folder / run.run / METRICS
    known = {row.get("step") for row, _ in read_lines(path)}
    if lost := [step for step in run.history if step not in known]:
        yield Finding(
            f"{len(lost)} of {len(run.history)} evaluations are not in it",
            str(path),
            "what was measured there is lost, but for the objective, which the log has; values do not depend on it",
            "take it from a backup; --repair writes the objective of these steps from the log",
            mend=partial(_curve_again, folder, run),
        )


def _curve_again(folder: Path, run: RunState) -> str:
    """Write the steps that a metrics file has lost, with what the log knows of them."""
    path = folder / run.run / METRICS
    metric = read_resolved(folder)["space"]["objective"]["metric"]
    rows = {row["step"]: row for row, _ in read_lines(path) if "step" in row}
    lost = [step for step in run.history if step not in rows]
    kept = aside(path)
    if path.exists():
        copy_atomically(path, kept)
    rows |= {step: {"step": step, metric: run.history[step]} for step in lost}
    write_atomically(path, b"".join(json_line(rows[step]) for step in sorted(rows)))
    was = f"; the file as it was is {kept.name}" if kept.exists() else ""
    return f"the objective of {len(lost)} steps is written from the log{was}"


def _order(path: Path, events: list[Event]) -> Iterator[Finding]:
    """Yield where the order of events is not that of a coordinator."""
    ended: Counter[str] = Counter()
    twice: list[str] = []
    pairs = [*pairwise(events)]
    back = sum(after.elapsed < before.elapsed for before, after in pairs)
    jump = max((before.time - after.time for before, after in pairs), default=0.0)
    for event in events:
        if isinstance(event, AskEvent | BeginEvent):
            ended[event.run] = 0
        elif isinstance(event, OutcomeEvent):
            ended[event.run] += 1
            twice += [event.run] if ended[event.run] == 2 else []
    if jump > _JUMP:
        yield Finding(
            f"the clock went back by {jump:.0f} s",
            str(path),
            "times of the log are those of the clock; durations are not, and no result depends on it",
            "keep the clock with NTP",
            note=True,
        )
    if back:
        yield Finding(
            f"{back} events are older than the one before them",
            str(path),
            "lines were moved, or the logs of two searches were put together",
            "take log.jsonl from a backup",
        )
    if twice:
        yield Finding(
            f"runs ended twice: {', '.join(twice[:_NAMED])}",
            str(path),
            "the last of their outcomes counts",
            "take log.jsonl from a backup, if that is not what happened",
        )
