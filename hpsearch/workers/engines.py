"""The engines by name: where trials run, and what an engine gets to work on.

What they try and prune is the same for all.
"""

import importlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from types import MappingProxyType
from typing import TYPE_CHECKING

from hpsearch.errors import UnknownNameError
from hpsearch.experiment.log import Log
from hpsearch.jobs import ObjectiveSpec, Workers
from hpsearch.space import Space
from hpsearch.workers.ledger import Observer

if TYPE_CHECKING:
    from hpsearch.workers.local.processes import EarlyServer


@dataclass(frozen=True)
class Cluster:
    """Where a cluster is found: `address` is `auto`, HOST:PORT, or None for one of this machine's own.

    `verbose` lets the cluster's own messages through.
    """

    address: str | None = None
    verbose: bool = False


@dataclass(frozen=True)
class EngineContext:
    """The experiment's folder and log, how workers make the objective, and who watches.

    `lock` is the descriptor of the folder's lock, which local worker processes keep open as long as they live; `jobs`
    is the most that there will ever be to do at once; `in_process` and `cluster` say where workers run; `early` is what
    local workers may be forked from.
    """

    folder: Path
    log: Log
    space: Space
    objective: ObjectiveSpec
    lock: int
    jobs: int = 1
    in_process: bool = False
    cluster: Cluster = Cluster()
    early: "EarlyServer | None" = None
    observers: Sequence[Observer] = ()


ENGINES: Mapping[str, str] = MappingProxyType(
    {
        "local": "hpsearch.workers.local.workers",
        "ray": "hpsearch.workers.ray_tune.workers",
    }
)
"""An engine is a module with a function `open_workers(context)`, imported when it is asked for."""


def open_workers(context: EngineContext) -> Workers:
    """Return the workers that the space's engine runs trials on.

    Raises:
        UnknownNameError: There is no such engine.
        HpsearchError: The engine cannot do what the space or the command asks for.

    """
    name = context.space.search.engine
    if name not in ENGINES:
        raise UnknownNameError("engine", name, ENGINES)
    workers: Workers = importlib.import_module(ENGINES[name]).open_workers(context)
    return workers
