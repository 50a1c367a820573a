"""What hpsearch promises of its families, samplers, pruners, trackers and engines, as test suites for yours.

Needs pytest.

    import hpsearch.testing
    from mine import MyFamily, MySampler

    class TestMyFamily(hpsearch.testing.FamilySuite):
        family = MyFamily
        config = {"data": {"size": 64}}

    class TestMySampler(hpsearch.testing.SamplerSuite):
        sampler = MySampler

`FamilySuite` trains a configuration for a few steps; `SpaceSuite` does the same with a space file, and builds the model
at both ends of every range. `SamplerSuite` and `PrunerSuite` search without any training. `TrackerSuite` mirrors an
experiment. `WorkersSuite` runs jobs on the workers of an engine.
"""

import importlib
from typing import TYPE_CHECKING, Any

import pytest

if TYPE_CHECKING:
    from hpsearch.testing.families import FamilySuite, SpaceSuite
    from hpsearch.testing.searching import PrunerSuite, SamplerSuite
    from hpsearch.testing.trackers import TrackerSuite
    from hpsearch.testing.workers import WorkersSuite

_HOME = {
    "FamilySuite": "families",
    "PrunerSuite": "searching",
    "SamplerSuite": "searching",
    "SpaceSuite": "families",
    "TrackerSuite": "trackers",
    "WorkersSuite": "workers",
}
__all__ = ["FamilySuite", "PrunerSuite", "SamplerSuite", "SpaceSuite", "TrackerSuite", "WorkersSuite"]

pytest.register_assert_rewrite(*(f"{__name__}.{module}" for module in sorted(set(_HOME.values()))))


def __getattr__(name: str) -> Any:
    if name not in _HOME:
        raise AttributeError(f"module 'hpsearch.testing' has no attribute '{name}'")
    return getattr(importlib.import_module(f"{__name__}.{_HOME[name]}"), name)
