"""Which reader reads what: sources become one list of runs, whatever tools wrote them."""

from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property
from itertools import islice
from pathlib import Path
from typing import Any

from hpsearch.errors import DataError, HpsearchError
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
_ARTIFACTS, _DATABASE = "mlartifacts", "mlflow.db"
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
class _Failed:
    """A place of which nothing was read."""

    place: str
    error: HpsearchError


Part = tuple[str, str, Reading]
"""A place, the name of the reader that read it, and what was found there."""


@dataclass(frozen=True)
class Found:
    """What a set of sources holds; no two experiments have one name, nor have two runs.

    `goals` are what the origins agree on. `disputed` says, by metric, which of them contradict each other. `readers`
    says which reader read which place; `experiments` are hpsearch's own as wholes. `parts` are the same by place, in
    the order of the runs. `unread` are places that hold no runs or could not be read, and why.
    """

    runs: tuple[FinishedRun, ...]
    goals: dict[str, Goal]
    main: tuple[str, ...]
    warnings: tuple[str, ...]
    readers: tuple[tuple[str, str], ...]
    experiments: tuple[ExperimentRecord, ...]
    disputed: dict[str, str] = field(default_factory=dict)
    parts: tuple[Part, ...] = ()
    unread: tuple[tuple[str, str], ...] = ()


def read_sources(
    sources: Sequence[str], *, metric: str | None = None, wide: str | None = None, asked: Wanted | None = None
) -> Found:
    """Read folders, files, `sqlite:///` and `http://` addresses. Histories are read for the metric, or for all.

    `wide` (seed, fold or dataset) says that tables have a row for each of these and a column for each method. `asked`
    takes the place of `metric` and says more of how tables are to be read. What is given twice, by whatever spelling or
    as a part of another source, is read once. A folder beside others that cannot be read is one of the `unread`.
    Errors: DataError when a source does not exist, or nothing holds runs; what a reader raises for a file that is named
    itself, or when nothing could be read.
    """
    for source in sources:
        if not _is_address(source) and not sqlite_path(source).exists():
            raise DataError(f"{source} does not exist")
    placed = [each for source in _without_mirrors(sources) for each in _parts(source, wide)]
    parts, said = _each_once([each for each in placed if isinstance(each, _Part)])
    read = [(part, _read(part, asked or Wanted(metric), wide)) for part in parts]
    failed = [each for each in (*placed, *(outcome for _, outcome in read)) if isinstance(each, _Failed)]
    found, said = _without_arms_of_studies([(part, each) for part, each in read if isinstance(each, Reading)], said)
    if not found:
        raise failed[0].error
    readings = _told_apart([reading for _, reading in found])
    goals, disputed = _goals(found)
    return Found(
        runs=tuple(run for reading in readings for run in reading.runs),
        goals=goals,
        main=tuple(dict.fromkeys(reading.main for reading in readings if reading.main)),
        warnings=tuple(dict.fromkeys([*said, *(each for reading in readings for each in reading.warnings)])),
        readers=tuple((part.at, part.reader) for part, _ in found),
        experiments=tuple(record for reading in readings for record in reading.records),
        disputed=disputed,
        parts=tuple((part.at, part.reader, reading) for (part, _), reading in zip(found, readings, strict=True)),
        unread=tuple((each.place, str(each.error)) for each in failed),
    )


def _is_address(source: str) -> bool:
    return source.startswith(("http://", "https://"))


def _parts(source: str, wide: str | None) -> Iterator[_Part | _Failed]:
    """Yield what a source holds, by place."""
    if _is_address(source):
        yield _Part(source, _SERVER, source)
        return
    path = sqlite_path(source)
    if wide is not None and table.recognises(path):
        yield _Part(source, _WIDE, str(path))
        return
    places = list(_places(path, _DEEPEST))
    if not any(name for _, name in places):
        known = ", ".join(READERS)
        yield _Failed(source, DataError(f"{source} holds no runs that hpsearch can read; it reads: {known}"))
        return
    for place, name in places:
        if name is None:
            yield _Failed(str(place), DataError(f"{place} holds no runs that hpsearch can read"))
        else:
            yield _Part(source, name, str(place))


def _read(part: _Part, wanted: Wanted, wide: str | None) -> Reading | _Failed:
    """Read a place. One that is damaged in a way that its reader does not know is no end of everything, either."""
    named = part.path is None or (part.path.is_file() and part.path == sqlite_path(part.source).resolve())
    try:
        return part.read(wanted, wide)
    except HpsearchError as error:
        if named:
            raise
        return _Failed(part.at, error)
    except Exception as error:  # whatever a damaged file makes of its reader
        failed = DataError(f"{part.at} cannot be read as {part.reader}: {type(error).__name__}: {error}")
        if named:
            raise failed from error
        return _Failed(part.at, failed)


def _places(path: Path, depth: int) -> Iterator[tuple[Path, str | None]]:
    """Yield what can be read at or below a path, and by which reader; a folder that is read is not searched further.

    What lies beside experiments of hpsearch and cannot be read is yielded, too, without a reader.
    """
    name = next((name for name, reader in READERS.items() if reader.recognises(path)), None)
    if name is not None:
        yield path, name
    elif path.is_dir() and depth > 0:
        inside = sorted(each for each in path.iterdir() if not each.name.startswith(".") and not each.is_symlink())
        own = any(map(_is_own, inside))
        for each in inside:
            if (own and _is_mirror(each)) or mlflow_files.is_kept(each):
                continue
            found = list(_places(each, depth - 1))
            yield from found or ([(each, None)] if own else [])


def _is_own(path: Path) -> bool:
    return hpsearch_experiment.recognises(path) or hpsearch_study.recognises(path)


def _is_mirror(path: Path) -> bool:
    """Say whether a file or folder beside hpsearch's experiments is their mirror in MLflow.

    It has copies of their files, perhaps of an earlier state, and is not read a second time.
    """
    kept = path.name == _ARTIFACTS or path.name.startswith(_DATABASE) or path.suffix == ".lock"
    return kept or mlflow_store.recognises(path)


def _without_mirrors(sources: Sequence[str]) -> list[str]:
    """Leave out mirrors that stand beside experiments which are sources themselves, as in `experiments/*`."""
    paths = {each: sqlite_path(each).absolute() for each in sources if not _is_address(each)}
    homes = {path.parent for path in paths.values() if _is_own(path)}
    return [each for each in sources if not (each in paths and paths[each].parent in homes and _is_mirror(paths[each]))]


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


def _told_apart(readings: Sequence[Reading]) -> list[Reading]:
    """Return the readings with names that tell all experiments, and all runs, apart."""
    runs = [run for reading in readings for run in reading.runs]
    records = [(record, folders_above(Path(record.folder))) for reading in readings for record in reading.records]
    titles = titles_of(
        [*((run.experiment, run.place) for run in runs), *((record.name, place) for record, place in records)]
    )
    named = _with_own_names([replace(run, experiment=titles[run.experiment, run.place]) for run in runs])
    titled = (replace(record, name=titles[record.name, place]) for record, place in records)
    return [
        replace(
            reading,
            runs=tuple(islice(named, len(reading.runs))),
            records=tuple(islice(titled, len(reading.records))),
        )
        for reading in readings
    ]


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
