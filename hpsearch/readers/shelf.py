"""Which reader reads what: sources become one list of runs, whatever tools wrote them."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from hpsearch.errors import DataError, HpsearchError
from hpsearch.experiment.addresses import sqlite_path, without_secrets
from hpsearch.readers import (
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
from hpsearch.readers.identity import SERVERS, Part, each_once, goals_of, told_apart
from hpsearch.records import ExperimentRecord, FinishedRun, Goal

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

_ARTIFACTS, _DATABASE = "mlartifacts", "mlflow.db"
_DEEPEST = 4
"""Levels of folders that are searched for runs."""


@dataclass(frozen=True)
class _Failed:
    """A place of which nothing was read."""

    place: str
    error: HpsearchError


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
    """Read folders, files, and MLflow's stores by their addresses. Histories are read for the metric, or for all.

    `wide` (seed, fold or dataset) says that tables have a row for each of these and a column for each method. `asked`
    takes the place of `metric` and says more of how tables are to be read. What is given twice, by whatever spelling or
    as a part of another source, is read once. A folder among others that cannot be read is one of the `unread`.

    Raises:
        DataError: a source does not exist, or nothing holds runs.
        HpsearchError: what a reader raises for a file that is named itself, or if nothing could be read.
    """
    for source in sources:
        if not _is_address(source) and not sqlite_path(source).exists():
            raise DataError(f"{source} does not exist")
    wanted = asked or Wanted(metric)
    read = [found for source in _without_mirrors(sources) for found in _read(source, wanted, wide)]
    failed = [each for each in read if isinstance(each, _Failed)]
    parts, said = each_once([each for each in read if not isinstance(each, _Failed)])
    if not parts:
        raise failed[0].error
    parts = told_apart(parts)
    goals, disputed = goals_of(parts)
    return Found(
        runs=tuple(run for _, _, reading in parts for run in reading.runs),
        goals=goals,
        main=tuple(dict.fromkeys(reading.main for _, _, reading in parts if reading.main)),
        warnings=tuple(dict.fromkeys([*said, *(each for _, _, reading in parts for each in reading.warnings)])),
        readers=tuple((place, name) for place, name, _ in parts),
        experiments=tuple(record for _, _, reading in parts for record in reading.records),
        disputed=disputed,
        parts=tuple(parts),
        unread=tuple((each.place, str(each.error)) for each in failed),
    )


def _is_address(source: str) -> bool:
    return source.startswith(SERVERS)


def _read(source: str, wanted: Wanted, wide: str | None) -> Iterator[Part | _Failed]:
    """Yield what a source holds.

    Raises:
        HpsearchError: what a reader raises for a file or an address.
    """
    if _is_address(source):
        yield without_secrets(source), "mlflow server", mlflow_server.read(source, wanted)
        return
    path = sqlite_path(source)
    if path.exists() and not path.is_file() and not path.is_dir():
        raise DataError(f"{source} is a pipe, a socket or a device, not a file or a folder")
    if wide is not None and table.recognises(path):
        yield source, "wide table", table.read_wide(path, wide, wanted)
        return
    places = list(_places(path, _DEEPEST))
    if not any(name for _, name in places):
        known = ", ".join(READERS)
        yield _Failed(source, DataError(f"{source} holds no runs that hpsearch can read; it reads: {known}"))
        return
    for place, name in places:
        yield _read_place(place, name, wanted, named=place == path and path.is_file())


def _read_place(place: Path, reader: str | HpsearchError | None, wanted: Wanted, *, named: bool) -> Part | _Failed:
    """Read a place. Damage that its reader does not expect costs this place only."""
    if reader is None:
        return _Failed(str(place), DataError(f"{place} holds no runs that hpsearch can read"))
    if isinstance(reader, HpsearchError):
        if named:
            raise reader
        return _Failed(str(place), reader)
    try:
        return str(place), reader, READERS[reader].read(place, wanted)
    except HpsearchError as error:
        if named:
            raise
        return _Failed(str(place), error)
    except Exception as error:  # whatever a damaged file makes of its reader
        failed = DataError(f"{place} cannot be read as {reader}: {type(error).__name__}: {error}")
        if named:
            raise failed from error
        return _Failed(str(place), failed)


def _places(path: Path, depth: int) -> Iterator[tuple[Path, str | HpsearchError | None]]:
    """Yield what can be read at or below a path, and by which reader; a folder that is read is not searched further.

    In place of the reader stands the error of one that failed to tell.

    What is in one folder with experiments of hpsearch and cannot be read is yielded, too, without a reader.
    """
    try:
        name = _reader_of(path)
    except HpsearchError as error:
        yield path, error
        return
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


def _reader_of(path: Path) -> str | None:
    """Return the first reader that takes a path for its own.

    Raises:
        HpsearchError: a reader fails at it.
    """
    for name, reader in READERS.items():
        try:
            if reader.recognises(path):
                return name
        except HpsearchError:
            raise
        except Exception as error:
            raise DataError(f"{path} cannot be read as {name}: {type(error).__name__}: {error}") from error
    return None


def _is_own(path: Path) -> bool:
    return hpsearch_experiment.recognises(path) or hpsearch_study.recognises(path)


def _is_mirror(path: Path) -> bool:
    """Check whether a file or folder next to hpsearch's experiments is their mirror in MLflow.

    It has copies of their files, perhaps of an earlier state, and is not read a second time.
    """
    kept = path.name == _ARTIFACTS or path.name.startswith(_DATABASE) or path.suffix == ".lock"
    return kept or mlflow_store.recognises(path)


def _without_mirrors(sources: Sequence[str]) -> list[str]:
    """Leave out mirrors of experiments which are sources themselves, as in `experiments/*`."""
    paths = {each: sqlite_path(each).absolute() for each in sources if not _is_address(each)}
    homes = {path.parent for path in paths.values() if _is_own(path)}
    return [each for each in sources if not (each in paths and paths[each].parent in homes and _is_mirror(paths[each]))]
