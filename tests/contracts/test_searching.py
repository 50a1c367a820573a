"""Every sampler and pruner of the shelf keeps what a search promises, and so do those of users."""

import pytest

from hpsearch.search.pruners import PRUNERS
from hpsearch.search.samplers import SAMPLERS
from hpsearch.testing import PrunerSuite, SamplerSuite
from tests.search import own_code

OPTIONS = {"threshold": {"upper": 1.5}, "hyperband": {"reduction": 2}}


class TestSamplers(SamplerSuite):
    @pytest.fixture(autouse=True, params=sorted(set(SAMPLERS) - {"grid"}))  # that one walks, and needs a finite space
    def _each(self, request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr(type(self), "sampler", request.param, raising=False)


class TestPruners(PrunerSuite):
    @pytest.fixture(autouse=True, params=sorted(set(PRUNERS) - {"auto", "halving", "pbt", "pb2"}))  # these pause
    def _each(self, request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr(type(self), "pruner", request.param, raising=False)
        monkeypatch.setattr(type(self), "options", OPTIONS.get(request.param, {}))


class TestAnOwnSampler(SamplerSuite):
    sampler = own_code.Walk
    options = {"warm": 5}  # noqa: RUF012 -- as a user would write it


class TestAnOwnFunction(SamplerSuite):
    sampler = own_code.genetic
    options = {"population": 4}  # noqa: RUF012 -- as a user would write it


class TestAnOwnPruner(PrunerSuite):
    pruner = own_code.EverySecond
    options = {"after": 3}  # noqa: RUF012 -- as a user would write it
