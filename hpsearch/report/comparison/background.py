"""What the runs of a comparison and the folders of their experiments tell of how they came about."""

from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

from hpsearch.comparing.background import Background, Environment, Plan, Searched
from hpsearch.comparing.comparison import Comparison, ExperimentSummary, PairResult, Verdict
from hpsearch.comparing.conclusion import listed
from hpsearch.comparing.question import Unit
from hpsearch.errors import ExperimentError
from hpsearch.experiment.provenance import versions
from hpsearch.experiment.reading import read_resolved
from hpsearch.records import ExperimentRecord, FinishedRun
from hpsearch.report.wording import rule

MOST_NAMED = 8
"""Arms that a sentence names one by one."""
_PROGRAM = "command"


def background_of(
    runs: Sequence[FinishedRun],
    experiments: Iterable[ExperimentRecord],
    *,
    by: str | None = None,
    step: int | None = None,
    plan: Plan | None = None,
) -> Background:
    """Return what is known of the runs; of hpsearch's own `experiments` among them more than of others."""
    records = {record.name: record for record in experiments}
    resolved = {name: _resolved(record) for name, record in records.items()}
    return Background(
        searches=tuple(_searches(runs, records, resolved)),
        environments={name: _environment(content, records[name].family) for name, content in resolved.items()},
        plan=plan,
        by=by,
        step=step,
        analysis=versions(),
    )


def _resolved(record: ExperimentRecord) -> Mapping[str, Any]:
    try:
        return read_resolved(Path(record.folder))
    except ExperimentError:  # moved or damaged since it was read: then less is known
        return {}


def _searches(
    runs: Sequence[FinishedRun], records: Mapping[str, ExperimentRecord], resolved: Mapping[str, Mapping[str, Any]]
) -> Iterator[Searched]:
    trials: dict[str, list[FinishedRun]] = {}
    for run in runs:
        if run.search is not None:
            trials.setdefault(run.experiment, []).append(run)
    for name, found in trials.items():
        origin, record = found[0].search, records.get(name)
        if origin is None:
            continue
        own = record is not None and record.objective.metric == origin.metric
        seconds = [run.seconds for run in found if run.seconds is not None]
        yield Searched(
            name=name,
            metric=origin.metric,
            goal=record.objective.goal if record is not None and own else None,
            at=rule(record.at, record.unit) if record is not None and own else None,
            sampler=origin.sampler,
            pruner=origin.pruner,
            outcomes=Counter("unfinished" if run.outcome is None else str(run.outcome) for run in found),
            ranges=len(origin.ranges) or None,
            seed=resolved.get(name, {}).get("seed"),
            seconds=sum(seconds) if seconds else None,
            best=record.best.number if record is not None and record.best is not None else None,
            race=_race(resolved.get(name, {})),
            times=max(1, len({run.search_number for run in runs if run.experiment == name} - {None})),
        )


def _race(resolved: Mapping[str, Any]) -> int | None:
    found: Any = resolved
    for name in ("space", "search", "seeds", "race"):
        found = _mapping(found).get(name)
    return _mapping(found).get("most")


def _environment(resolved: Mapping[str, Any], family: str) -> Environment:
    machine, git = _mapping(resolved.get("machine")), _mapping(resolved.get("git"))
    search = _mapping(_mapping(resolved.get("space")).get("search"))
    return Environment(
        family=family,
        versions=_mapping(resolved.get("versions")),
        system=machine.get("system"),
        cores=machine.get("cores"),
        processor=machine.get("processor"),
        memory=machine.get("memory"),
        gpus=tuple(machine.get("gpus") or ()),
        commit=git.get("commit"),
        uncommitted=bool(git.get("dirty")),
        workers_elsewhere=search.get("engine") == "ray",
        program=family == _PROGRAM,
    )


def _mapping(value: Any) -> Mapping[str, Any]:
    return value if isinstance(value, Mapping) else {}


@dataclass(frozen=True)
class Known:
    """A comparison with the runs behind it and what is known of them: what the sentences are made from."""

    comparison: Comparison
    runs: Sequence[FinishedRun]
    background: Background

    @cached_property
    def counted(self) -> Mapping[str, Sequence[FinishedRun]]:
        """The runs that count, by experiment."""
        by_name: dict[str, FinishedRun] = {run.run: run for run in self.runs}
        return {
            each.name: [by_name[name] for name in each.runs if name in by_name] for each in self.comparison.experiments
        }

    @property
    def deterministic(self) -> list[str]:
        """The methods without a seed."""
        return [name for name, runs in self.counted.items() if runs and all(run.deterministic for run in runs)]

    @property
    def repeated(self) -> list[ExperimentSummary]:
        """The experiments that have values, and a value for each unit."""
        return [each for each in self.comparison.experiments if each.n and each.name not in self.deterministic]

    @property
    def retrained(self) -> list[str]:
        """The experiments whose runs that count are winners of a search, trained again."""
        return [
            name
            for name, runs in self.counted.items()
            if runs and all(run.trial is not None and run.search is None for run in runs)
        ]

    @property
    def tested(self) -> list[PairResult]:
        """The pairs that were tested."""
        return [pair for pair in self.comparison.pairs if pair.verdict is not Verdict.NOT_TESTABLE]

    @property
    def noun(self) -> str:
        """What one observation is called: a run, where runs have no seed."""
        if self.comparison.unit is not Unit.SEED:
            return self.comparison.unit.noun
        if all(set(each.units) == set(each.runs) for each in self.repeated):
            return "run"
        units = [name for each in self.repeated for name in each.units]
        return "repeat" if all(name.startswith("repeat ") for name in units) else "seed"

    @property
    def nouns(self) -> str:
        """What several observations are called."""
        return self.comparison.unit.plural if self.comparison.unit is not Unit.SEED else f"{self.noun}s"


def alike(told: Iterable[tuple[str, str]]) -> list[tuple[list[str], str]]:
    """Return the names by what is said of them, in the order in which it is first said."""
    found: dict[str, list[str]] = {}
    for name, said in told:
        found.setdefault(said, []).append(name)
    return [(names, said) for said, names in found.items()]


def some(names: Sequence[str]) -> str:
    """Return `a, b and c`; of many the first ones and how many more there are."""
    if len(names) <= MOST_NAMED:
        return listed(names)
    return f"{', '.join(names[:MOST_NAMED])} and {len(names) - MOST_NAMED} more"
