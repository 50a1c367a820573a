"""What the page asks for one at a time: an examination, a confirmation, one training, a study. Read from folders."""

import os
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict
from pathlib import Path
from threading import Lock
from typing import Any

from hpsearch.cleaning import one_line, terminal
from hpsearch.console.watching import digested
from hpsearch.errors import HpsearchError
from hpsearch.experiment.activity import in_use
from hpsearch.experiment.artifacts import artifact_files
from hpsearch.experiment.files import flatten
from hpsearch.experiment.layout import OUTPUT, raced_trial, study_of
from hpsearch.experiment.reading import read_evidence, read_experiment, read_resolved
from hpsearch.experiment.studies import read_result
from hpsearch.health import Finding, examine_trial
from hpsearch.plain_files import open_plain
from hpsearch.records import ExperimentRecord, RunRecord
from hpsearch.report.replicates import Summary, scored, summarise, summarise_baselines
from hpsearch.report.wording import over_seeds, plain, replicate_title, short_names
from hpsearch.search.importance import importance
from hpsearch.studies.progress import progress_of

Json = dict[str, Any]
TAIL = 64 * 1024
"""Bytes of the end of an output that are shown."""
SHARE = 0.1
"""The part of the time that is spent on looking again at what takes long to look at."""


class Sparing:
    """An answer that takes long to find: found again only after ten times as long as it took.

    With an answer of before comes `old_for`: the seconds after which a newer one would be found; 0 with a new one.
    """

    def __init__(self, find: Callable[[], Json], *, now: Callable[[], float] = time.monotonic) -> None:
        self._find, self._now = find, now
        self._lock = Lock()
        self._answer: Json = {}
        self._next = 0.0

    def __call__(self) -> Json:
        """Return the answer, as old as it may be."""
        with self._lock:
            begin = self._now()
            if self._answer and begin < self._next:
                return {**self._answer, "old_for": self._next - begin}
            self._answer = self._find()
            end = self._now()
            self._next = end + (end - begin) / SHARE
            return {**self._answer, "old_for": 0}


def examination(folder: Path) -> Json:
    """Return what mattered, what is wrong with the trials, and what is wrong with the log."""
    record = read_experiment(folder)
    shares = importance(record, read_resolved(folder)["space"])
    names = short_names(shares)
    return {
        "importance": [[names[path], share, one_line(path)] for path, share in shares.items()],
        "health": [
            {**_finding(each.finding), "trial": each.finding.trial, "trials": len(each.trials)}
            for each in digested(record)
        ],
        "warnings": [one_line(warning) for warning in record.warnings],
    }


def confirmation(folder: Path) -> Json:
    """Return the scores of the replicates and of the classical methods.

    Of a study's arm there are none before the study has its result, as wherever a study is shown.
    """
    study = study_of(folder)
    if study is not None and read_result(study) is None:
        return {"hidden": "The test scores of a study's arms are shown with the study's result."}
    record, metrics = scored(read_experiment(folder))
    groups = {f"trial {group}": scores for group, scores in summarise(record.replicates).items()}
    groups |= summarise_baselines(record.baselines)
    return {
        "metrics": [one_line(metric) for metric in metrics],
        "groups": [
            {"title": one_line(title), "scores": [_summary(scores.get(metric)) for metric in metrics]}
            for title, scores in groups.items()
        ],
        "runs": [_replicate(each, metrics) for each in record.replicates],
    }


def _summary(summary: Summary | None) -> Json | None:
    return None if summary is None else asdict(summary)


def _replicate(run: RunRecord, metrics: Sequence[str]) -> Json:
    return {
        "run": run.run,
        "title": replicate_title(run.number, run.replicate, run.fold),
        "outcome": run.outcome,
        "reason": None if run.reason is None else one_line(run.reason),
        "scores": [run.scores.get(metric) for metric in metrics],
        "seconds": run.seconds,
    }


def found_run(record: ExperimentRecord, name: str) -> RunRecord:
    """Return a trial or a replicate by the name of its run; of a training on a further seed its trial.

    Raises:
        HpsearchError: There is no such run.
    """
    for run in (*record.trials, *record.replicates):
        if run.run == (raced_trial(name) or name):
            return run
    raise HpsearchError(f"{record.name} has no {name}; it has {len(record.trials)} trials")


def training(record: ExperimentRecord, name: str) -> Json:
    """Return one training: how it ended, every metric at every step, its configuration, findings, output, artifacts."""
    folder, run = Path(record.folder), found_run(record, name)
    evidence = read_evidence(folder, run)
    names = list(dict.fromkeys(name for row in evidence.rows for name in row if name != "step"))
    alone = run.replicate is None and run.fold is None
    return {
        "run": run.run,
        "title": f"trial {run.number}{over_seeds(run.by_seed)}"
        if alone
        else replicate_title(run.number, run.replicate, run.fold),
        "outcome": run.outcome,
        "live": run.outcome is None and in_use(folder),
        "reason": None if run.reason is None else terminal(run.reason),
        "value": run.value,
        "step": run.step,
        "seconds": run.seconds,
        "seed": str(run.seed),  # too large for a number of JavaScript's
        "metric": one_line(record.objective.metric),
        "unit": one_line(record.unit),
        "notes": [[each.time, one_line(each.text)] for each in run.notes],
        "steps": [row["step"] for row in evidence.rows],
        "series": [[one_line(each), [_number(row.get(each)) for row in evidence.rows]] for each in names],
        "params": _pairs(run.params),
        "config": _pairs(flatten(evidence.config)),
        "changes": [
            {"step": each.step, "donor": one_line(each.donor), "params": _pairs(each.params)} for each in run.changes
        ],
        "health": [_finding(each) for each in examine_trial(evidence, record.objective, unit=record.unit)],
        "output": output_tail(folder / run.run / OUTPUT),
        "artifacts": [
            {"name": name, "bytes": path.stat().st_size} for name, path in artifacts(folder / run.run).items()
        ],
    }


def artifacts(run: Path) -> dict[str, Path]:
    """Return the artifacts of a run by the names that the page has for them."""
    return {one_line(path.name): path for path in artifact_files(run) if not _elsewhere(path, run)}


def _elsewhere(path: Path, run: Path) -> bool:
    """Check whether a link leads away from a run's folder; the folder of all trials may be one, to a larger disk."""
    return path.is_symlink() or not path.resolve().is_relative_to(run.parent.resolve())


def _pairs(values: Mapping[str, Any]) -> list[list[str]]:
    return [[one_line(path), plain(value)] for path, value in values.items()]


def _finding(finding: Finding) -> Json:
    return {
        "kind": str(finding.kind),
        "severity": str(finding.severity),
        "sentence": one_line(finding.sentence),
        "advice": [one_line(advice) for advice in finding.advice],
    }


def _number(value: Any) -> float | None:
    return value if isinstance(value, int | float) and not isinstance(value, bool) else None


def output_tail(path: Path) -> Json:
    """Return the end of what a training has printed, for a page; and how many bytes are before it."""
    if _elsewhere(path, path.parent):
        return {"text": "", "before": 0, "why": f"{path.name} is not shown: it lies elsewhere, by a link"}
    try:
        with open_plain(path) as file:
            size = os.fstat(file.fileno()).st_size
            file.seek(max(0, size - TAIL))
            content = file.read(TAIL)
    except FileNotFoundError:
        return {"text": "", "before": 0, "why": ""}
    except OSError as error:
        return {"text": "", "before": 0, "why": f"{path.name} cannot be shown: {error.strerror or error}"}
    before = max(0, size - TAIL)
    if before:  # a line that is cut in two says little
        content = content[content.find(b"\n") + 1 :]
    return {"text": terminal(content.decode("utf-8", "replace").replace("\r\n", "\n")), "before": before, "why": ""}


def study(folder: Path) -> Json:
    """Return a study with its arms; their test scores only with its result."""
    told = progress_of(folder)
    return {
        **told.to_json(),
        "name": one_line(told.name),
        "question": one_line(told.question),
        "metric": one_line(told.metric),
        "answer": None if told.answer is None else one_line(told.answer),
        "arms": [{**asdict(arm), "name": one_line(arm.name)} for arm in told.arms],
    }
