"""A Ray cluster for tests: on this machine, on loopback, for as long as a block lasts."""

import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from hpsearch.workers.engines import Cluster
from hpsearch.workers.ray_tune.cluster import Connection, import_ray, loopback

REPOSITORY = Path(__file__).parents[1]


@contextmanager
def importable_tests() -> Iterator[None]:
    """Let the actors of clusters that are started in the block import the tests; Ray is imported, bound to loopback."""
    import_ray(Cluster())
    with loopback(), pytest.MonkeyPatch.context() as patch:
        patch.setenv("PYTHONPATH", str(REPOSITORY), prepend=os.pathsep)
        yield


@contextmanager
def own_cluster(*, cpus: int) -> Iterator[None]:
    """Start a cluster that engines of this process join."""
    with importable_tests():
        connection = Connection(Cluster(), cpus=cpus)
        try:
            yield
        finally:
            connection.close()
