"""What an engine works on."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from hpsearch.experiment.log import Log
from hpsearch.jobs import ObjectiveSpec
from hpsearch.space import Space
from hpsearch.workers.ledger import Observer


@dataclass(frozen=True)
class Cluster:
    """Where a cluster is found: `address` is `auto`, HOST:PORT, or None for one of this machine's own.

    `verbose` lets the cluster's own messages through.
    """

    address: str | None = None
    verbose: bool = False


@dataclass(frozen=True)
class Bench:
    """The experiment's folder and log, how workers make the objective, and who watches.

    `lock` is the descriptor of the folder's lock, which local worker processes keep open as long as they live; `jobs`
    is the most that there will ever be to do at once; `in_process` and `cluster` say where workers run.
    """

    folder: Path
    log: Log
    space: Space
    objective: ObjectiveSpec
    lock: int
    jobs: int = 1
    in_process: bool = False
    cluster: Cluster = Cluster()
    observers: Sequence[Observer] = ()
