"""The engines by name: where their trials run. What they try and prune is the same for all."""

import importlib
from collections.abc import Mapping
from types import MappingProxyType

from hpsearch.errors import UnknownNameError
from hpsearch.jobs import Workers
from hpsearch.workers.bench import Bench

ENGINES: Mapping[str, str] = MappingProxyType(
    {
        "optuna": "hpsearch.workers.local.workers",
        "ray": "hpsearch.workers.ray_tune.workers",
    }
)
"""An engine is a module with a function `open_workers(bench)`, imported when it is asked for."""


def open_workers(bench: Bench) -> Workers:
    """Return the workers that the space's engine runs trials on. Errors: UnknownNameError; those of the engine."""
    name = bench.space.search.engine
    if name not in ENGINES:
        raise UnknownNameError("engine", name, ENGINES)
    workers: Workers = importlib.import_module(ENGINES[name]).open_workers(bench)
    return workers
