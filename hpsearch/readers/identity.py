"""What the parts of all sources are to one another: each is read once, experiments of one name have two titles."""

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from pathlib import Path

from hpsearch.errors import DataError
from hpsearch.readers import Reading, Wanted
from hpsearch.readers.naming import folders_above, parse_folder_name
from hpsearch.records import FinishedRun, Goal
from hpsearch.titles import titles_of

Part = tuple[str, str, Reading]
"""A place, the name of the reader that read it, and what was found there."""

Told = Mapping[str, Mapping[Goal, str]]
"""By metric: each direction that was told, and the first that told it."""

SERVERS = ("http://", "https://", "postgresql://", "postgresql+", "mysql://", "mysql+")
"""How the addresses of MLflow's servers and of the databases behind them begin."""
_TREES = {"hpsearch", "hpsearch study", "mlflow files", "ray", "huggingface", "wandb"}
"""Readers of a folder that read what lies below it too."""
_RUNS = {"metrics", "tensorboard", *_TREES}
"""Readers that may read a part of a tree by itself."""
_MOST_NAMED = 3


def each_once(parts: Sequence[Part]) -> tuple[list[Part], list[str]]:
    """Return the parts without those that are there already, by whatever spelling, or lie in another; and a line.

    A folder in a study is a part of it only if the study has it as an arm.
    """
    first: dict[object, Part] = {}
    for part in parts:
        first.setdefault(_identity(part[0]), part)
    trees = {_path(place) for place, reader, _ in first.values() if reader in _TREES}
    arms = {
        Path(record.folder).resolve()
        for _, reader, reading in first.values()
        if reader == "hpsearch study"
        for record in reading.records
    }
    kept = [part for part in first.values() if not _lies_in(part, trees, arms)]
    read = {id(part) for part in kept}
    left = list(dict.fromkeys(part[0] for part in parts if id(part) not in read))
    return kept, [f"given twice and read once: {_some(left)}"] if left else []


def _lies_in(part: Part, trees: set[Path | None], arms: set[Path]) -> bool:
    path, (_, reader, _) = _path(part[0]), part
    if path is None or reader not in _RUNS:
        return False
    return path in arms if reader == "hpsearch" else not trees.isdisjoint(path.parents)


def _path(place: str) -> Path | None:
    """Return a place as an absolute path without symbolic links; None for an address."""
    return None if place.startswith(SERVERS) else Path(place).resolve()


def _identity(place: str) -> object:
    """Return one key for all spellings of a place, links included."""
    if place.startswith(SERVERS):
        return place.rstrip("/")
    found = Path(place).stat()
    return found.st_dev, found.st_ino


def told_apart(parts: Sequence[Part]) -> list[Part]:
    """Return the parts with names that tell all experiments, and all runs, from one another.

    For a reader that gives no place, an experiment's place is the file itself, or the folders around that of a run.
    """
    placed = [(at, reader, replace(reading, runs=_placed(at, reader, reading))) for at, reader, reading in parts]
    above = {each.folder: folders_above(Path(each.folder)) for _, _, reading in placed for each in reading.records}
    titles = titles_of(
        identity
        for _, _, reading in placed
        for identity in (
            *((run.experiment, run.place) for run in reading.runs),
            *((each.name, above[each.folder]) for each in reading.records),
        )
    )
    named = [[replace(run, experiment=titles[run.experiment, run.place]) for run in each[2].runs] for each in placed]
    own = iter(_own_names([run for runs in named for run in runs]))
    return [
        (
            at,
            reader,
            replace(
                reading,
                runs=tuple(replace(run, run=next(own)) for run in runs),
                records=tuple(replace(each, name=titles[each.name, above[each.folder]]) for each in reading.records),
            ),
        )
        for (at, reader, reading), runs in zip(placed, named, strict=True)
    ]


def _placed(at: str, reader: str, reading: Reading) -> tuple[FinishedRun, ...]:
    """Return the runs with a place. Folders that are named after a seed or fold alone hold parts of an experiment."""
    path = _path(at)
    if path is None:
        where: tuple[str, ...] = (at.rstrip("/"),)
    elif reader in _RUNS:
        where = tuple(each for each in folders_above(path) if parse_folder_name(each).rest)
    else:
        where = (path.name, *folders_above(path))
    return tuple(run if run.place else replace(run, place=where) for run in reading.runs)


def _own_names(runs: Sequence[FinishedRun]) -> Iterator[str]:
    """Yield the runs' names; a name that occurs twice gets the experiment's in front, and a number if it still does."""
    counts = Counter(run.run for run in runs)
    names = [run.run if counts[run.run] == 1 else f"{run.experiment}: {run.run}" for run in runs]
    counts, taken = Counter(names), Counter[str]()
    for name in names:
        taken[name] += 1
        yield name if counts[name] == 1 else f"{name} ({taken[name]})"


def agreed(source: str, told: Told, wanted: Wanted, *, advice: str) -> dict[str, Goal]:
    """Return the direction of each metric.

    Raises:
        DataError: two contradict each other on a wanted metric.
    """
    for name, ways in told.items():
        if len(ways) > 1 and wanted.metric in (None, name):
            says = " and ".join(f"'{who}' {way.value}s it" for way, who in ways.items())
            raise DataError(f"{source}: not all agree on '{name}': {says}. {advice}")
    return {name: next(iter(ways)) for name, ways in told.items() if len(ways) == 1}


def goals_of(parts: Sequence[Part]) -> tuple[dict[str, Goal], dict[str, str]]:
    """Return the goals on which all parts agree, and for each other metric who says what."""
    told: dict[str, dict[Goal, list[str]]] = {}
    for at, _, reading in parts:
        for name, goal in reading.goals.items():
            told.setdefault(name, {}).setdefault(goal, []).append(at)
    agreed = {name: next(iter(says)) for name, says in told.items() if len(says) == 1}
    disputed = {
        name: "; ".join(f"{goal} in {_some(says[goal])}" for goal in sorted(says))
        for name, says in told.items()
        if len(says) > 1
    }
    return agreed, disputed


def _some(names: Sequence[str]) -> str:
    more = f" and {len(names) - _MOST_NAMED} more" if len(names) > _MOST_NAMED else ""
    return ", ".join(names[:_MOST_NAMED]) + more
