"""What a folder holds: experiments, studies and runs of other tools, as rows of an overview and as candidates."""

import math
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from hpsearch.comparing.candidates import Candidate, CandidateKind, named
from hpsearch.comparing.metric_choice import choose_goal, choose_metric
from hpsearch.errors import HpsearchError
from hpsearch.experiment.activity import NOT_BEGUN, RUNNING, activity
from hpsearch.experiment.provenance import data_described, data_settings
from hpsearch.experiment.reading import read_resolved
from hpsearch.experiment.state import KILLED, TIME_IS_UP
from hpsearch.experiment.studies import read_result, read_study_file
from hpsearch.readers import Reading
from hpsearch.readers.identity import Part
from hpsearch.readers.shelf import Found
from hpsearch.records import ExperimentRecord, FinishedRun, Goal, Outcome
from hpsearch.report.comparison.overview import Entry, counted, experiment_entry, outcomes_of

STUDY_READER = "hpsearch study"
_STATES = {KILLED: "interrupted", TIME_IS_UP: "finished"}


@dataclass(frozen=True)
class Surveyed:
    """A part of what was found: what its group is made of, its rows in the overview, and what was read.

    `plan`: what the plan of a study says of its tests: `margin`, `alpha`, `adjust`.
    """

    candidate: Candidate
    entries: tuple[Entry, ...]
    reading: Reading
    plan: Mapping[str, Any] = field(default_factory=dict)


def survey(found: Found, goal: Goal | None) -> list[Surveyed]:
    """Return the findings by place; `goal` applies to metrics without a recorded goal."""
    names = _names(found.parts)
    surveyed = []
    for (place, reader, reading), name in zip(found.parts, names, strict=True):
        if reader == STUDY_READER:
            surveyed.append(_study(name, Path(place), reading))
        elif reading.records:
            surveyed.append(_experiment(name, reading))
        else:
            surveyed.append(_runs(name, place, reader, reading, goal))
    return surveyed


def _names(parts: Sequence[Part]) -> list[str]:
    """Return a name for each part that no other has: as many folders of its place as that takes."""
    short = [
        reading.records[0].name if reading.records and reader != STUDY_READER else _last(place)
        for place, reader, reading in parts
    ]
    counts = Counter(short)
    return [
        name if counts[name] == 1 else _distinct(place, parts) for name, (place, _, _) in zip(short, parts, strict=True)
    ]


def _last(place: str) -> str:
    return place.rstrip("/").rpartition("/")[2] or place


def _distinct(place: str, parts: Sequence[Part]) -> str:
    """Return the shortest end of a place that no other part's has."""
    words = place.rstrip("/").split("/")
    others = [other.rstrip("/").split("/") for other, _, _ in parts if other != place]
    for length in range(2, len(words) + 1):
        if all(other[-length:] != words[-length:] for other in others):
            return "/".join(words[-length:])
    return place


def _experiment(name: str, reading: Reading) -> Surveyed:
    (record,) = reading.records
    space, state = read_resolved(Path(record.folder))["space"], activity(record)
    tested = reading.main if reading.main and _replicates(reading, reading.main) else None
    candidate = Candidate(
        name,
        metric=record.objective.metric,
        goal=record.objective.goal,
        tested=tested,
        arms=len({run.experiment for run in _counting(reading.runs, tested)}),
        family=record.family,
        data=frozenset(run.data for run in (*record.trials, *record.replicates) if run.data is not None),
        settings=data_settings(Path(record.folder), record.trials, space),
        described=data_described(Path(record.folder)),
        complete=len(record.ranked),
        length=_length(record, space),
        unit=record.unit,
        running=state == RUNNING,
        lacks="" if tested or record.ranked else _lacks(record, state),
    )
    return Surveyed(candidate, (_entry(record, state, tested, name=name),), reading)


def _entry(record: ExperimentRecord, state: str, tested: str | None, *, name: str, study: str | None = None) -> Entry:
    times = {"started": record.started, "last": record.last}
    return experiment_entry(record, name=name, study=study, tested=tested, state=_STATES.get(state, state), **times)


def _counting(runs: Iterable[FinishedRun], metric: str | None) -> list[FinishedRun]:
    """Return the runs that were not proposed by a search and have the metric."""
    return [
        run
        for run in runs
        if run.search is None
        and run.outcome is Outcome.COMPLETE
        and run.dropped is None
        and metric is not None
        and metric in run.metrics
        and math.isfinite(run.metrics[metric].value)
    ]


def _replicates(reading: Reading, metric: str) -> bool:
    """Check whether a winner was trained again and scored; classical methods alone are not a confirmation."""
    return any(run.trial is not None for run in _counting(reading.runs, metric))


def _length(record: ExperimentRecord, space: Mapping[str, Any]) -> int | None:
    """Return the number of steps of each trial, or None if it is searched or differs."""
    told = (space.get("train") or {}).get(f"{record.unit}s")
    if isinstance(told, int):
        return told
    lengths = {trial.history[-1][0] for trial in record.ranked if trial.history}
    return lengths.pop() if len(lengths) == 1 else None


def _lacks(record: ExperimentRecord, state: str) -> str:
    if state == RUNNING:
        return "it is still running, and no trial is complete yet"
    if not record.trials:
        return "; ".join(record.warnings) or "no trial of it has begun"
    return f"none of its trials is complete: {counted(outcomes_of(record))}"


def _study(name: str, folder: Path, reading: Reading) -> Surveyed:
    latest, result = read_study_file(folder)["latest"], _result(folder)
    metric, goal = latest["metric"]["name"], reading.goals[latest["metric"]["name"]]
    states = [activity(record) for record in reading.records]
    scored = _counting(reading.runs, metric)
    arms = tuple(
        _entry(record, state, metric, name=record.name, study=name)
        for record, state in zip(reading.records, states, strict=True)
    )
    running = RUNNING in states
    decided = latest.get("decide", {})
    plan = {rule: decided[rule] for rule in ("margin", "alpha", "adjust") if rule in decided}
    if result is not None:  # of several families of tests each has a part of the plan's error rate
        plan["alpha"] = result["comparison"].get("alpha", plan.get("alpha"))
    plan = {rule: value for rule, value in plan.items() if value is not None}
    candidate = Candidate(
        name,
        CandidateKind.STUDY,
        metric=metric,
        goal=goal,
        tested=metric if scored else None,
        arms=len({run.experiment for run in scored}),
        family=named(sorted({record.family for record in reading.records})) if reading.records else "",
        running=running,
        lacks=_lacking(reading, scored),
        plan=_in_words(plan),
    )
    state = RUNNING if running else "finished" if result else "interrupted" if arms else NOT_BEGUN
    return Surveyed(candidate, (_whole(name, folder, candidate, state, arms), *arms), reading, plan)


def _lacking(reading: Reading, scored: Sequence[FinishedRun]) -> str:
    if scored:
        return ""
    return "none of its arms has test scores yet" if reading.records else "no arm of it has begun"


def _result(folder: Path) -> dict[str, Any] | None:
    """Return the result of a study, or None if it has no readable one."""
    try:
        return read_result(folder)
    except HpsearchError:
        return None


def _in_words(plan: Mapping[str, Any]) -> str:
    titles = {"margin": "margin", "alpha": "error rate", "adjust": "adjusted by"}
    return ", ".join(f"{titles[rule]} {value}" for rule, value in plan.items())


def _whole(name: str, folder: Path, study: Candidate, state: str, arms: Sequence[Entry]) -> Entry:
    """Return the row of a study: its arms taken together."""
    outcomes = sum((Counter(arm.outcomes) for arm in arms), Counter[str]())
    begun = [arm.started for arm in arms if arm.started is not None]
    ended = [arm.last for arm in arms if arm.last is not None]
    return Entry(
        name=name,
        kind="study",
        place=str(folder),
        reader=STUDY_READER,
        family=study.family or None,
        metric=study.metric,
        goal=study.goal,
        state=state,
        outcomes=dict(outcomes),
        trial_seconds=math.fsum(arm.trial_seconds or 0.0 for arm in arms),
        confirmation_seconds=math.fsum(arm.confirmation_seconds or 0.0 for arm in arms),
        started=min(begun, default=None),
        last=max(ended, default=None),
    )


def _runs(name: str, place: str, reader: str, reading: Reading, wanted: Goal | None) -> Surveyed:
    """Return runs of another tool; what they lack is what only the user can say of them."""
    metric = goal = None
    lacks = ""
    try:
        metric = choose_metric(reading.runs, [reading.main] if reading.main else [], None)
        goal = choose_goal(metric, reading.goals, wanted)
    except HpsearchError as error:
        lacks = str(error)
    outcomes = Counter(str(run.outcome or "unfinished") for run in reading.runs)
    candidate = Candidate(
        name,
        CandidateKind.RUNS,
        metric=metric,
        goal=goal,
        told=reading.main is not None,
        arms=len({run.experiment for run in reading.runs if run.metrics and (metric is None or metric in run.metrics)}),
        known=frozenset(metric for run in reading.runs for metric in run.metrics),
        lacks=lacks,
    )
    seconds = [run.seconds for run in reading.runs if run.seconds is not None and math.isfinite(run.seconds)]
    entry = Entry(
        name=name,
        kind="runs",
        place=place,
        reader=reader,
        family=None,
        metric=metric,
        goal=goal,
        state=None,
        outcomes=dict(outcomes),
        trial_seconds=math.fsum(seconds) if seconds else None,
    )
    return Surveyed(candidate, (entry,), reading)
