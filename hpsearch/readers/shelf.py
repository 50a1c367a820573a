"""Which reader reads what: sources become one list of runs, whatever tools wrote them."""

import re
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property
from pathlib import Path
from typing import Any

from hpsearch.errors import DataError
from hpsearch.experiment.addresses import sqlite_path
from hpsearch.readers import (
    Reading,
    Wanted,
    hpsearch_experiment,
    hpsearch_study,
    huggingface,
    metric_files,
    mlflow_files,
    mlflow_server,
    mlflow_store,
    optuna_storage,
    ray_tune,
    table,
    tensorboard,
    wandb_offline,
)
from hpsearch.readers.naming import folders_above, parse_folder_name
from hpsearch.records import ExperimentRecord, FinishedRun, Goal
from hpsearch.titles import titles_of

READERS: dict[str, Any] = {
    "hpsearch": hpsearch_experiment,
    "hpsearch study": hpsearch_study,
    "mlflow": mlflow_store,
    "mlflow files": mlflow_files,
    "optuna": optuna_storage,
    "ray": ray_tune,
    "huggingface": huggingface,
    "wandb": wandb_offline,
    "metrics": metric_files,
    "tensorboard": tensorboard,
    "table": table,
}
"""By name, in the order in which they are asked: the more telling first (Ray writes event files too)."""

_SERVER, _WIDE = "mlflow server", "wide table"
_STORES = {"mlflow", "mlflow files", _SERVER, "optuna", "table", _WIDE}
"""Readers of one file or address with whole experiments in it: those of another store are others."""
_TREES = {"hpsearch", "hpsearch study", "ray", "huggingface", "wandb"}
"""Readers of a folder that read what lies below it too."""
_ARTIFACTS = "mlartifacts"
_RUN = re.compile(r"[0-9a-f]{32}")
"""What MLflow calls the folder of a run."""
_DEEPEST = 4
"""Levels of folders that are searched for runs."""
_MOST_NAMED = 3


@dataclass(frozen=True)
class _Part:
    """What one reader reads at one go: the `source` that it came with, and where it is."""

    source: str
    reader: str
    at: str

    @cached_property
    def path(self) -> Path | None:
        """The place as an absolute path without symbolic links; None of an address."""
        return None if self.reader == _SERVER else Path(self.at).resolve()

    @property
    def identity(self) -> tuple[int, int] | str:
        """What is equal for two spellings of one place, links included."""
        if self.path is None:
            return self.at.rstrip("/")
        found = self.path.stat()
        return found.st_dev, found.st_ino

    def read(self, wanted: Wanted, wide: str | None) -> Reading:
        """Return what the reader finds, with the place of every run."""
        if self.reader == _SERVER:
            reading = mlflow_server.read(self.at, wanted)
        elif self.reader == _WIDE:
            reading = table.read_wide(Path(self.at), wide or "", wanted)
        else:
            reading = READERS[self.reader].read(Path(self.at), wanted)
        where = self._where()
        runs = (run if run.place else replace(run, place=where) for run in reading.runs)
        return replace(reading, runs=tuple(runs))

    def _where(self) -> tuple[str, ...]:
        """Return a store's own path or address; of a folder those that it lies in.

        Folders that are named after a seed or fold alone hold parts of an experiment and are no place.
        """
        if self.path is None:
            return (self.at.rstrip("/"),)
        if self.reader in _STORES:
            return (self.path.name, *folders_above(self.path))
        return tuple(each for each in folders_above(self.path) if parse_folder_name(each).rest)


@dataclass(frozen=True)
class Found:
    """What a set of sources holds; no two experiments have one name, nor have two runs.

    `goals` are what the origins agree on. `disputed` says, by metric, which of them contradict each other. `readers`
    says which reader read which place; `experiments` are hpsearch's own as wholes.
    """

    runs: tuple[FinishedRun, ...]
    goals: dict[str, Goal]
    main: tuple[str, ...]
    warnings: tuple[str, ...]
    readers: tuple[tuple[str, str], ...]
    experiments: tuple[ExperimentRecord, ...]
    disputed: dict[str, str] = field(default_factory=dict)


def read_sources(
    sources: Sequence[str], *, metric: str | None = None, wide: str | None = None, asked: Wanted | None = None
) -> Found:
    """Read folders, files, `sqlite:///` and `http://` addresses. Histories are read for the metric, or for all.

    `wide` (seed, fold or dataset) says that tables have a row for each of these and a column for each method. `asked`
    takes the place of `metric` and says more of how tables are to be read. What is given twice, by whatever spelling or
    as a part of another source, is read once.
    Errors: DataError when a source does not exist or holds no runs; what a reader raises.
    """
    parts, said = _each_once([part for source in sources for part in _parts(source, wide)])
    found = [(part, part.read(asked or Wanted(metric), wide)) for part in parts]
    found, said = _without_arms_of_studies(found, said)
    runs, records = _told_apart([reading for _, reading in found])
    goals, disputed = _goals(found)
    return Found(
        runs=runs,
        goals=goals,
        main=tuple(dict.fromkeys(reading.main for _, reading in found if reading.main)),
        warnings=tuple(dict.fromkeys([*said, *(each for _, reading in found for each in reading.warnings)])),
        readers=tuple((part.at, part.reader) for part, _ in found),
        experiments=records,
        disputed=disputed,
    )


def _parts(source: str, wide: str | None) -> list[_Part]:
    if source.startswith(("http://", "https://")):
        return [_Part(source, _SERVER, source)]
    path = sqlite_path(source)
    if not path.exists():
        raise DataError(f"{source} does not exist")
    if wide is not None and table.recognises(path):
        return [_Part(source, _WIDE, str(path))]
    places = list(_places(path, _DEEPEST))
    if not places:
        raise DataError(f"{source} holds no runs that hpsearch can read; it reads: {', '.join(READERS)}")
    return [_Part(source, name, str(place)) for place, name in places]


def _places(path: Path, depth: int) -> Iterator[tuple[Path, str]]:
    """Yield what can be read at or below a path, and by which reader; a folder that is read is not searched further.

    Beside experiments of hpsearch MLflow's store and artifacts are their mirror (with copies of their files, perhaps of
    an earlier state), and are not read a second time.
    """
    name = next((name for name, reader in READERS.items() if reader.recognises(path)), None)
    if name is not None:
        yield path, name
    elif path.is_dir() and depth > 0:
        inside = sorted(each for each in path.iterdir() if not each.name.startswith(".") and not each.is_symlink())
        own = any(hpsearch_experiment.recognises(each) or hpsearch_study.recognises(each) for each in inside)
        for each in inside:
            if not ((own and (mlflow_store.recognises(each) or each.name == _ARTIFACTS)) or _is_kept_beside_run(each)):
                yield from _places(each, depth - 1)


def _is_kept_beside_run(path: Path) -> bool:
    """Say whether a folder holds what a run of MLflow's kept, such as its model: copies, and no runs."""
    return path.name == "artifacts" and _RUN.fullmatch(path.parent.name) is not None


def _each_once(parts: Sequence[_Part]) -> tuple[list[_Part], list[str]]:
    """Return the parts without those that are there already or lie in another, and a line for each source with such."""
    first: dict[tuple[int, int] | str, _Part] = {}
    again = [part for part in parts if first.setdefault(part.identity, part) is not part]
    trees = {part.path for part in first.values() if part.reader in _TREES}
    inner = [
        part
        for part in first.values()
        if part.reader not in {"hpsearch", *_STORES}
        and part.path is not None
        and not trees.isdisjoint(part.path.parents)
    ]
    left = [*again, *inner]
    return [part for part in first.values() if part not in inner], _read_once(left)


def _read_once(left: Iterable[_Part]) -> list[str]:
    places: dict[str, list[str]] = {}
    for part in left:
        places.setdefault(part.source, []).append(part.at)
    return [f"{source}: {_some(found)} was given twice and is read once" for source, found in places.items()]


def _some(names: Sequence[str]) -> str:
    more = f" and {len(names) - _MOST_NAMED} more" if len(names) > _MOST_NAMED else ""
    return ", ".join(names[:_MOST_NAMED]) + more


Readings = list[tuple[_Part, Reading]]


def _without_arms_of_studies(found: Readings, said: list[str]) -> tuple[Readings, list[str]]:
    """Leave out experiments that were read as arms of their study too."""
    arms = {
        Path(record.folder).resolve()
        for part, reading in found
        if part.reader == "hpsearch study"
        for record in reading.records
    }
    twice = [part for part, _ in found if part.reader == "hpsearch" and part.path in arms]
    return [(part, reading) for part, reading in found if part not in twice], [*said, *_read_once(twice)]


def _told_apart(readings: Sequence[Reading]) -> tuple[tuple[FinishedRun, ...], tuple[ExperimentRecord, ...]]:
    """Return all runs and records under names that tell the experiments, and the runs, apart."""
    runs = [run for reading in readings for run in reading.runs]
    records = [(record, folders_above(Path(record.folder))) for reading in readings for record in reading.records]
    titles = titles_of(
        [*((run.experiment, run.place) for run in runs), *((record.name, place) for record, place in records)]
    )
    named = [replace(run, experiment=titles[run.experiment, run.place]) for run in runs]
    return tuple(_with_own_names(named)), tuple(
        replace(record, name=titles[record.name, place]) for record, place in records
    )


def _with_own_names(runs: Sequence[FinishedRun]) -> Iterator[FinishedRun]:
    """Yield the runs; names that stand twice get the experiment's in front, and a number if they still do."""
    counts = Counter(run.run for run in runs)
    names = [run.run if counts[run.run] == 1 else f"{run.experiment}: {run.run}" for run in runs]
    counts, taken = Counter(names), Counter[str]()
    for run, name in zip(runs, names, strict=True):
        taken[name] += 1
        yield replace(run, run=name if counts[name] == 1 else f"{name} ({taken[name]})")


def _goals(found: Readings) -> tuple[dict[str, Goal], dict[str, str]]:
    """Return the goals on which all agree, and for each other metric who says what."""
    told: dict[str, dict[Goal, list[str]]] = {}
    for part, reading in found:
        for name, goal in reading.goals.items():
            told.setdefault(name, {}).setdefault(goal, []).append(part.at)
    agreed = {name: next(iter(says)) for name, says in told.items() if len(says) == 1}
    disputed = {
        name: "; ".join(f"{goal} in {_some(says[goal])}" for goal in sorted(says))
        for name, says in told.items()
        if len(says) > 1
    }
    return agreed, disputed
