"""StopReason two experiments are not compared: the first of these reasons that applies."""

import json
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from itertools import combinations
from typing import Any

from hpsearch.comparing.candidates import Candidate, Kind, family_label, named, other_data


@dataclass(frozen=True)
class NotCompared:
    """Two that are not compared with one another, by name, and why."""

    a: str
    b: str
    why: str


def apart(candidates: Sequence[Candidate], groups: Iterable[Sequence[Candidate]]) -> Iterator[NotCompared]:
    """Yield each two that are in no group together, with the first reason that applies."""
    together = {frozenset((a.name, b.name)) for members in groups for a, b in combinations(members, 2)}
    for a, b in combinations(sorted(candidates, key=_alike), 2):
        if frozenset((a.name, b.name)) not in together:
            yield NotCompared(a.name, b.name, next(why for reason in _REASONS if (why := reason(a, b))))


def _alike(each: Candidate) -> tuple[Any, ...]:
    """Return what puts those together of which the same is said."""
    settings = json.dumps([sorted(each.data), each.settings, each.described], sort_keys=True, default=str)
    return each.family, each.metric or "", each.tested or "", str(each.goal), settings


def _lacking(a: Candidate, b: Candidate) -> str:
    return "; ".join(f"{each.name}: {each.lacks}" for each in (a, b) if each.lacks)


def _other_metric(a: Candidate, b: Candidate) -> str:
    metrics = (_scored_on(a), _scored_on(b))
    if None in metrics:
        if a.kind is not Kind.EXPERIMENT or b.kind is not Kind.EXPERIMENT:
            return ""  # a plan or a table names the metric of finished runs, a search the one that it is after
        metrics = (a.metric, b.metric)
    if metrics[0] != metrics[1]:
        return f"other metrics: {metrics[0]} and {metrics[1]}"
    return "" if a.goal is b.goal else f"{metrics[0]} is to {a.goal} in the one and to {b.goal} in the other"


def _scored_on(each: Candidate) -> str | None:
    return each.tested if each.kind is Kind.EXPERIMENT else each.metric


def _own_question(a: Candidate, b: Candidate) -> str:
    studies = [each.name for each in (a, b) if each.kind is Kind.STUDY]
    if not studies:
        return ""
    verb = "answer questions of their own, by plans" if len(studies) > 1 else "answers a question of its own, by a plan"
    return f"{named(studies)} {verb} that fixed what is compared; the folders of arms can be compared with anything"


def _other_family(a: Candidate, b: Candidate) -> str:
    if Kind.RUNS in (a.kind, b.kind) or a.family == b.family:
        return ""
    asked = f"; --metric {a.tested} compares them all the same" if a.tested and a.tested == b.tested else ""
    return f"other families: {family_label(a.family)} and {family_label(b.family)}{asked}"


def _other_data(a: Candidate, b: Candidate) -> str:
    if Kind.RUNS in (a.kind, b.kind):
        return "nobody noted which of the data here the runs of other tools are of: named together, they are compared"
    told = other_data(a, b)
    asked = not (a.data and b.data) and a.tested is not None and a.tested == b.tested
    return f"{told}; --metric {a.tested} compares them all the same" if told and asked else told


def _still_running(a: Candidate, b: Candidate) -> str:
    running = [each.name for each in (a, b) if each.running and not each.tested]
    if not running:
        return ""
    return f"{named(running)}: still running, without a replicate that has ended"


def _other_budget(a: Candidate, b: Candidate) -> str:
    if a.length != b.length and a.complete and b.complete and not (a.tested and b.tested):
        spent = " and ".join("different lengths" if each.length is None else str(each.length) for each in (a, b))
        return f"other budget: their trials were trained for {spent} {a.unit}s, and not both have tested replicates"
    return ""


def _otherwise(a: Candidate, b: Candidate) -> str:
    scored = " and ".join(f"{each.name} on {each.tested or f'{each.metric}, in its trials only'}" for each in (a, b))
    return f"they were scored on different metrics: {scored}"


_REASONS: tuple[Callable[[Candidate, Candidate], str], ...] = (
    _lacking,
    _other_metric,
    _own_question,
    _other_family,
    _other_data,
    _still_running,
    _other_budget,
    _otherwise,
)
