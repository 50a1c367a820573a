"""The promises of a family with what the quick space leaves off: a critic, and a recorded movie to learn from."""

from typing import Any, ClassVar

import pytest
import tifffile

from hpsearch.families.decode.family import Decode
from hpsearch.testing import FamilySuite
from hpsearch.testing.families import FamilyCase
from tests.recorded import counts, write_table
from tests.small_movies import SMALL_MOVIES

SMALL: dict[str, Any] = {
    "data": SMALL_MOVIES,
    "model": {"frame_depth": 1, "union_depth": 1, "features": 4},
    "train": {"learning_rate": 1e-3, "schedule": "cosine"},
}


class TestACritic(FamilySuite):
    family = Decode
    config: ClassVar = {**SMALL, "loss": {"per_pixel": {"adversarial": 0.1, "scales": 2}}}


class TestARecordedMovie(FamilySuite):
    @pytest.fixture(scope="class")
    @classmethod
    def case(cls, tmp_path_factory: pytest.TempPathFactory) -> FamilyCase:
        folder = tmp_path_factory.mktemp("movie")
        tifffile.imwrite(folder / "movie.tif", counts(24, 10, 12), imagej=True)
        rows = [(frame, 100.0 * (frame % 12), 350, 0, 2000) for frame in range(1, 25)]
        table = write_table(folder / "emitters.csv", rows)
        movie = {"path": str(folder / "movie.tif"), "emitters": str(table), "train": [1, 8]}
        return FamilyCase(Decode(), Decode.Config.model_validate({**SMALL, "data": {**SMALL_MOVIES, "movie": movie}}))
