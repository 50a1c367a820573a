"""Which experiments can be compared with which: groups of one metric, direction, family and data; why not the others.

A study is a group of its own, as its plan says what is compared. Trained winners are compared by their replicates, and
experiments without any by what their searches found, where those spent the same on a trial. Runs of other tools, of
which nobody knows the family, join the one group that has their metric, or are grouped by it.
"""

import json
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from itertools import combinations
from typing import Any

from hpsearch.comparing.candidates import Candidate, CandidateKind, family_label, named, other_data
from hpsearch.records import Goal


@dataclass(frozen=True)
class NotCompared:
    """Two that are not compared with one another, by name, and why."""

    a: str
    b: str
    why: str


@dataclass(frozen=True)
class Group:
    """What is compared in one comparison. `searches`: of its members only the trials, of which nothing is tested."""

    name: str
    metric: str
    goal: Goal | None
    members: tuple[Candidate, ...]
    searches: bool = False
    why: str = ""


@dataclass(frozen=True)
class Alone:
    """An experiment that is in no group, and why."""

    member: Candidate
    why: str


@dataclass(frozen=True)
class SortedOut:
    """Everything in its place."""

    groups: tuple[Group, ...]
    alone: tuple[Alone, ...]
    not_compared: tuple[NotCompared, ...]

    @property
    def is_one(self) -> bool:
        """Whether all that there is can be compared in one comparison of all its runs, or there is only one."""
        if self.not_compared:
            return False
        if not self.groups:
            return any(not each.member.lacks for each in self.alone)
        (first, *others) = self.groups
        return not others and not (first.searches and any(each.tested for each in first.members))


def sort_out(candidates: Sequence[Candidate]) -> SortedOut:
    """Return the groups, in the order of their first members, and what is in none."""
    studies = [[each] for each in candidates if each.kind is CandidateKind.STUDY]
    clusters = list(_clusters([each for each in candidates if each.kind is CandidateKind.EXPERIMENT]))
    sets = [*clusters, *studies]
    joined: dict[int, list[Candidate]] = {}
    strangers = []
    for each in candidates:
        fitting = [place for place, members in enumerate(sets) if _common_metric(each, members)]
        if each.kind is CandidateKind.RUNS and len(fitting) == 1 and (len(sets) == 1 or fitting[0] < len(clusters)):
            joined.setdefault(fitting[0], []).append(replace(each, lacks=""))
        elif each.kind is CandidateKind.RUNS:
            strangers.append(each)
    groups = [group for place, members in enumerate(sets) for group in _groups(members, joined.get(place, []))]
    groups += _groups_of_strangers([each for each in strangers if not each.lacks])
    place = {each.name: index for index, each in enumerate(candidates)}
    groups.sort(key=lambda group: (min(place[each.name] for each in group.members), group.searches))
    told = _told_apart(groups)
    grouped = {each.name: each for group in told for each in group.members}
    lonely = tuple(Alone(each, each.lacks or _why_alone(each)) for each in candidates if each.name not in grouped)
    settled = [grouped.get(each.name, each) for each in candidates]
    return SortedOut(tuple(told), lonely, tuple(_apart(settled, [group.members for group in told])))


def _clusters(experiments: Sequence[Candidate]) -> Iterator[list[Candidate]]:
    """Yield the experiments that are after the same on the same data; whoever shares data with one of them is in."""
    left = list(experiments)
    while left:
        cluster = [left.pop(0)]
        for member in cluster:  # grows while it is gone through
            same = [each for each in left if _kind_of(each) == _kind_of(member) and not other_data(each, member)]
            left = [each for each in left if each not in same]
            cluster += same
        yield sorted(cluster, key=experiments.index)


def _kind_of(each: Candidate) -> tuple[Any, ...]:
    return each.family, each.metric, each.goal


def _common_metric(stranger: Candidate, members: Sequence[Candidate]) -> str | None:
    """Return the metric by which runs of another tool are compared with experiments of hpsearch's, or None."""
    tested: list[str | None] = [each.tested for each in members if each.tested]
    wanted = tested or [each.metric for each in members if each.searched]
    for metric in dict.fromkeys(wanted):
        fits = metric is not None and metric in stranger.known and (not stranger.told or stranger.metric == metric)
        if fits and (stranger.goal is None or not stranger.told or stranger.goal is members[0].goal):
            return metric
    return None


def _groups(members: Sequence[Candidate], guests: Sequence[Candidate]) -> Iterator[Group]:
    """Yield the groups within a cluster: those that can be tested, and searches of equal length."""
    tested = list(dict.fromkeys(each.tested for each in members if each.tested))
    for metric in tested:
        inside = [each for each in members if each.tested == metric]
        inside += [each for each in guests if _common_metric(each, members) == metric]
        if sum(each.arms for each in inside) > 1 or inside[0].kind is CandidateKind.STUDY:
            yield Group("", metric, members[0].goal, tuple(inside), why=_why_tested(inside))
    searched = [each for each in members if each.searched]
    for place, length in enumerate(dict.fromkeys(each.length for each in searched)):
        alike = [each for each in searched if each.length == length]
        strangers = [] if tested or place else guests
        if any(not each.tested for each in alike) and len(alike) + len(strangers) > 1:
            inside = [*alike, *strangers]
            why = _why_searched(alike)
            yield Group("", alike[0].metric or "", alike[0].goal, tuple(inside), searches=not strangers, why=why)


def _groups_of_strangers(runs: Sequence[Candidate]) -> Iterator[Group]:
    for metric, goal in dict.fromkeys((each.metric, each.goal) for each in runs):
        alike = [each for each in runs if (each.metric, each.goal) == (metric, goal)]
        if metric is not None and sum(each.arms for each in alike) > 1:
            yield Group("", metric, goal, tuple(alike), why="the same metric; nobody noted which data it is of")


def _why_tested(inside: Sequence[Candidate]) -> str:
    first = inside[0]
    if first.kind is CandidateKind.STUDY:
        said = f"the arms of a study, by its plan{f' ({first.plan})' if first.plan else ''}"
    elif len(inside) == 1:
        said = f"what belongs to {first.name}: its winners and classical methods"
    else:
        said = f"the same metric, direction and family; {_same_data(inside)}"
    running = [each.name for each in inside if each.running]
    still = f"; of {named(running)}, still running, the replicates that have ended" if running else ""
    return said + still


def _same_data(inside: Sequence[Candidate]) -> str:
    own = [each for each in inside if each.kind is CandidateKind.EXPERIMENT]
    if len(own) < len(inside):
        return "the runs of other tools have its metric, and nobody noted their data"
    if all(each.data for each in own):
        return "the same data, by their fingerprints"
    if any(each.settings for each in own):
        return "the same settings of the data; not all kept a fingerprint of them"
    return "nothing was noted of their data"


def _why_searched(alike: Sequence[Candidate]) -> str:
    bare = [each.name for each in alike if not each.tested]
    said = "what the searches found at equal numbers of trials: trials were chosen by the metric and are not tested"
    return f"{said}; `hpsearch confirm` gives {named(bare)} replicates that are"


def _why_alone(each: Candidate) -> str:
    if each.kind is CandidateKind.RUNS:
        return "nothing else here has its metric"
    if each.running and not each.tested:
        return "it is still running, and no replicate of it has ended"
    return "nothing else here shares its metric, direction, family and data, and has come as far"


def _told_apart(groups: Sequence[Group]) -> list[Group]:
    """Return the groups with names that tell them apart."""
    plain = [_plain_name(group) for group in groups]
    counts, seen = Counter(plain), Counter[str]()
    told: list[Group] = []
    for group, name in zip(groups, plain, strict=True):
        seen[name] += 1
        unique = name if counts[name] == 1 else f"{name} ({named([each.name for each in group.members])})"
        taken = any(unique == each.name for each in told)
        told.append(replace(group, name=f"{unique} {seen[name]}" if taken else unique))
    return told


def _plain_name(group: Group) -> str:
    first = group.members[0]
    if first.kind is CandidateKind.STUDY:
        label = f"study {first.name}"
    elif first.kind is CandidateKind.RUNS:
        label = named([each.name for each in group.members])
    else:
        label = family_label(first.family)
    return f"{label}: {group.metric}{' of the searches' if group.searches else ''}"


def _apart(candidates: Sequence[Candidate], groups: Iterable[Sequence[Candidate]]) -> Iterator[NotCompared]:
    """Yield each two that are in no group together, with the first reason that applies."""
    together = {frozenset((a.name, b.name)) for members in groups for a, b in combinations(members, 2)}
    for a, b in combinations(sorted(candidates, key=_alike), 2):
        if frozenset((a.name, b.name)) not in together:
            yield NotCompared(a.name, b.name, next(why for reason in _REASONS if (why := reason(a, b))))


def _alike(each: Candidate) -> tuple[Any, ...]:
    """Return the key by which items with the same statement are grouped."""
    settings = json.dumps([sorted(each.data), each.settings, each.described], sort_keys=True, default=str)
    return each.family, each.metric or "", each.tested or "", str(each.goal), settings


def _lacking(a: Candidate, b: Candidate) -> str:
    return "; ".join(f"{each.name}: {each.lacks}" for each in (a, b) if each.lacks)


def _other_metric(a: Candidate, b: Candidate) -> str:
    metrics = (_scored_on(a), _scored_on(b))
    if None in metrics:
        if a.kind is not CandidateKind.EXPERIMENT or b.kind is not CandidateKind.EXPERIMENT:
            return ""  # a plan or a table names the metric of finished runs, a search the one that it is after
        metrics = (a.metric, b.metric)
    if metrics[0] != metrics[1]:
        return f"other metrics: {metrics[0]} and {metrics[1]}"
    return "" if a.goal is b.goal else f"{metrics[0]} is to {a.goal} in the one and to {b.goal} in the other"


def _scored_on(each: Candidate) -> str | None:
    return each.tested if each.kind is CandidateKind.EXPERIMENT else each.metric


def _own_question(a: Candidate, b: Candidate) -> str:
    studies = [each.name for each in (a, b) if each.kind is CandidateKind.STUDY]
    if not studies:
        return ""
    verb = "answer their own questions, by plans" if len(studies) > 1 else "answers its own question, by a plan"
    return f"{named(studies)} {verb} that fixed what is compared; the folders of arms can be compared with anything"


def _other_family(a: Candidate, b: Candidate) -> str:
    if CandidateKind.RUNS in (a.kind, b.kind) or a.family == b.family:
        return ""
    asked = f"; --metric {a.tested} compares them all the same" if a.tested and a.tested == b.tested else ""
    return f"other families: {family_label(a.family)} and {family_label(b.family)}{asked}"


def _other_data(a: Candidate, b: Candidate) -> str:
    if CandidateKind.RUNS in (a.kind, b.kind):
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
