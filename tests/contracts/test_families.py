"""What every family on the shelf promises to the loop and to the search, on its own quick space made smaller still."""

from functools import partial
from pathlib import Path
from typing import Any

import pytest
import torch

from hpsearch.errors import SealedSplitError
from hpsearch.families.loading import load_family
from hpsearch.running.loading import load_space
from hpsearch.testing import SpaceSuite
from hpsearch.testing.families import SpaceCase, ends_of_ranges
from hpsearch.training.task import Splits
from tests.contracts.family_shelf import FAMILIES, SPACES, shelf_case


class TestShelf(SpaceSuite):
    @pytest.fixture(scope="class", params=FAMILIES)
    @classmethod
    def case(cls, request: pytest.FixtureRequest) -> SpaceCase:
        return shelf_case(request.param)

    def test_there_are_baselines(self, case: SpaceCase) -> None:
        assert case.family.methods


def test_a_family_that_reads_the_test_split_in_a_search_fails() -> None:
    family = load_family("toy_family.py:Toy", Path(__file__).parents[1])
    config = family.Config.model_validate({"data": {"trouble": "peek"}})
    splits = Splits(lambda split: family.load(config.data, split, 0), sealed=True)
    with pytest.raises(SealedSplitError):
        family.task(config, splits)


@pytest.mark.slow
@pytest.mark.parametrize("name", FAMILIES)
def test_every_end_of_every_range_of_the_full_space_builds(name: str) -> None:
    family, space = load_family(name, Path()), load_space(SPACES / f"{name}.yaml")
    opened: dict[str, Splits] = {}
    for params in ends_of_ranges(space):
        config: Any = space.config(params)
        load = partial(family.load, config.data, seed=0)
        splits = opened.setdefault(str(config.data), Splits(load, sealed=True))
        with torch.device("meta"):
            model = family.task(config, splits).build_model()
        assert sum(weights.numel() for weights in model.parameters()) > 0
