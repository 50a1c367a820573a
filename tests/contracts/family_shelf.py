"""What the conformance tests of families share: each family's quick space with data that are smaller still."""

import json
import random
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from hpsearch.families import Family
from hpsearch.families.loading import family_names, load_face, load_family
from hpsearch.running.loading import load_space
from hpsearch.space import Choice, Parameter, Space
from hpsearch.training.settings import Evaluate
from hpsearch.training.task import Batch, Dataset, Split, Splits
from tests.small_eeg import SMALL_EEG
from tests.small_movies import SMALL_MOVIES

SPACES = Path(__file__).parents[2] / "spaces"
SMALLER = {
    "deepsif": [f"data.{name}={json.dumps(value)}" for name, value in SMALL_EEG.items()],
    "char_lm": ["data.context=16"],
    "decode": [f"data.{name}={json.dumps(value)}" for name, value in SMALL_MOVIES.items()],
    "text_classifier": ["data.classes=[archives, dates, xml]"],
}
"""What is laid over the quick space of a family whose data would take the tests more than a second or two."""
FAMILIES = [name for name in family_names() if isinstance(load_face(name, Path()), Family)]


class Few:
    """The first examples of a dataset."""

    def __init__(self, data: Dataset, size: int) -> None:
        self._data = data
        self._size = min(size, len(data))

    def __len__(self) -> int:
        return self._size

    def batch(self, indices: Sequence[int]) -> Batch:
        assert max(indices) < self._size
        return self._data.batch(indices)


class Shelf:
    """One family with a small configuration of its quick space and its data, which are loaded once for each seed."""

    def __init__(self, name: str) -> None:
        self.family = load_family(name, Path())
        self.space = load_space(SPACES / f"{name}.yaml", quick=True, overrides=SMALLER.get(name, []))
        params = self.space.sample_feasible(random.Random(0))
        assert params is not None
        self.config: Any = self.space.config(params)
        self._opened = Splits(self.load, sealed=True)

    def load(self, split: Split, *, seed: int = 0) -> Dataset:
        return self.family.load(self.config.data, split, seed)

    def splits(self, *, sealed: bool = True) -> Splits:
        return self._opened.view(sealed=sealed)

    def few(self, train: int, val: int) -> Splits:
        """Training and validation data of a few examples; the test split is sealed."""
        sizes = {"train": train, "val": val}
        return Splits(lambda split: Few(self.splits()[split], sizes[split]), sealed=True)

    def short_training(self) -> Any:
        """Training settings of the configuration, with six steps on twelve examples, evaluated after every two."""
        changes = {"epochs": 2, "batch_size": 4, "accumulate": 1, "evaluate": Evaluate(steps=2), "device": "cpu"}
        return self.config.train.model_copy(update=changes)


def ends_of_ranges(space: Space) -> Iterator[Mapping[str, Any]]:
    """Yield a feasible configuration for each bound and option of each range."""
    generator = random.Random(1)
    for parameter in space.parameters:
        values = parameter.range
        for end in values.options if isinstance(values, Choice) else (values.low, values.high):
            yield _feasible(space, parameter, end, generator)


def _feasible(space: Space, parameter: Parameter, value: Any, generator: random.Random) -> Mapping[str, Any]:
    path = parameter.path
    for _ in range(5000):
        params = space.sample(generator)
        if path not in params or (parameter.branch and params[path] != value):
            continue  # what lies below an option comes with the option
        params[path] = value
        if space.violation(params) is None:
            return params
    raise AssertionError(f"{path} = {value} is never feasible")
