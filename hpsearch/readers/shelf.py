"""Which reader reads what: sources become one list of runs, whatever tools wrote them."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from hpsearch.errors import DataError
from hpsearch.readers import (
    Wanted,
    hpsearch_experiment,
    hpsearch_study,
    huggingface,
    metric_files,
    mlflow_server,
    mlflow_store,
    optuna_storage,
    ray_tune,
    table,
    tensorboard,
    wandb_offline,
)
from hpsearch.readers.identity import Part, each_once, goals_of, told_apart
from hpsearch.records import ExperimentRecord, FinishedRun, Goal

READERS: dict[str, Any] = {
    "hpsearch": hpsearch_experiment,
    "hpsearch study": hpsearch_study,
    "mlflow": mlflow_store,
    "optuna": optuna_storage,
    "ray": ray_tune,
    "huggingface": huggingface,
    "wandb": wandb_offline,
    "metrics": metric_files,
    "tensorboard": tensorboard,
    "table": table,
}
"""By name, in the order in which they are asked: the more telling first (Ray writes event files too)."""

_ARTIFACTS = "mlartifacts"
_DEEPEST = 4
"""Levels of folders that are searched for runs."""


@dataclass(frozen=True)
class Found:
    """What a set of sources holds; no two experiments have one name, nor have two runs.

    `goals` are what the origins agree on; `disputed` says, by metric, which of them contradict each other. `readers`
    says which reader read which source; `experiments` are hpsearch's own as wholes.
    """

    runs: tuple[FinishedRun, ...]
    goals: dict[str, Goal]
    main: tuple[str, ...]
    warnings: tuple[str, ...]
    readers: tuple[tuple[str, str], ...]
    experiments: tuple[ExperimentRecord, ...]
    disputed: Mapping[str, str] = field(default_factory=dict)


def read_sources(sources: Sequence[str], *, metric: str | None = None, wide: str | None = None) -> Found:
    """Read folders, files, `sqlite:///` and `http://` addresses. Histories are read for the metric, or for all.

    `wide` (seed, fold or dataset) says that tables have a row for each of these and a column for each method.
    What is given twice, by whatever spelling or as a part of another source, is read once.
    Errors: DataError when a source does not exist or holds no runs; what a reader raises.
    """
    parts, said = each_once([part for source in sources for part in _parts(source, Wanted(metric), wide)])
    parts = told_apart(parts)
    goals, disputed = goals_of(parts)
    return Found(
        runs=tuple(run for _, _, reading in parts for run in reading.runs),
        goals=goals,
        main=tuple(dict.fromkeys(reading.main for _, _, reading in parts if reading.main)),
        warnings=tuple(dict.fromkeys([*said, *(each for _, _, reading in parts for each in reading.warnings)])),
        readers=tuple((source, name) for source, name, _ in parts),
        experiments=tuple(record for _, _, reading in parts for record in reading.records),
        disputed=disputed,
    )


def _parts(source: str, wanted: Wanted, wide: str | None) -> list[Part]:
    if source.startswith(("http://", "https://")):
        return [(source, "mlflow server", mlflow_server.read(source, wanted))]
    path = Path(source.removeprefix("sqlite:///"))
    if not path.exists():
        raise DataError(f"{source} does not exist")
    if wide is not None and table.recognises(path):
        return [(source, "wide table", table.read_wide(path, wide))]
    places = list(_places(path, _DEEPEST))
    if not places:
        raise DataError(f"{source} holds no runs that hpsearch can read; it reads: {', '.join(READERS)}")
    return [(str(place), name, READERS[name].read(place, wanted)) for place, name in places]


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
            if not (own and (mlflow_store.recognises(each) or each.name == _ARTIFACTS)):
                yield from _places(each, depth - 1)
