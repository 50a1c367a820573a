"""Configurations that come from no sampler: a space's `start`, and what is drawn when a sampler keeps to known ones."""

import json
import random
from collections import deque
from collections.abc import Container
from typing import Any

from hpsearch.errors import SearchFailedError
from hpsearch.experiment.events import UNTOLD, AskEvent
from hpsearch.records import Params
from hpsearch.seeds import derive_seed
from hpsearch.space import Space
from hpsearch.space.ranges import same

DRAWS = 1000
"""How often chance is asked for a configuration that has not been tried."""
WALKED = 100_000
"""The largest space that is walked through for what is left of it, after a tenth of these draws."""


class StartList:
    """The entries of a space's `start` that have not been tried, in their order.

    The log tells by which entry a trial was begun, so that entries which are added later are tried next.
    """

    def __init__(self, space: Space) -> None:
        self._space = space
        self._left = deque(space.start)

    def __len__(self) -> int:
        """How many they are."""
        return len(self._left)

    def pop(self) -> Params | None:
        """Return the next entry, which counts as tried from now on."""
        return self._left.popleft() if self._left else None

    def add(self, entry: Params) -> None:
        """Append an entry."""
        self._left.append(entry)

    def begun(self, number: int, event: AskEvent) -> Params | None:
        """Return the entry that a trial of the log was begun by, which counts as tried from now on.

        Older logs do not tell it: there the entry had the trial's number.
        """
        if event.start is not UNTOLD:
            entry = event.start and self._space.canonical(event.start)
        else:
            entry = next(iter(self._space.start[number : number + 1]), None)
            entry = entry if entry and agrees(self._space.canonical(event.params), entry) else None
        known = next((each for each in self._left if entry and key_of(each) == key_of(entry)), None)
        if known is not None:
            self._left.remove(known)
        return entry


def shuffled_grid(space: Space, seed: int) -> deque[dict[str, Any]]:
    """Return all configurations of the grid that the space allows, in an order that no budget favours."""
    grid = [params for params in space.grid() if space.violation(params) is None]
    random.Random(derive_seed(seed, "grid")).shuffle(grid)  # noqa: S311 -- an order, not a secret
    return deque(grid)


def key_of(params: Params) -> str:
    """Return a text by which equal configurations are known."""
    return json.dumps(dict(params), sort_keys=True)


def agrees(params: Params, entry: Params) -> bool:
    """Check whether a configuration has all the values of an entry."""
    return all(path in params and same(params[path], value) for path, value in entry.items())


def drawn(space: Space, seed: int, *, entry: Params, tried: Container[str]) -> dict[str, Any] | None:
    """Return an allowed configuration with the values of an entry that has not been tried, by chance; None without any.

    Raises:
        SearchFailedError: Nothing fulfils the space's requirements.
    """
    generator = random.Random(seed)  # noqa: S311 -- not a secret
    walkable = space.size is not None and space.size <= WALKED
    for _ in range(DRAWS // 10 if walkable else DRAWS):
        params = space.sample_feasible(generator, entry)
        if params is None and entry:
            return None
        if params is None:
            raise SearchFailedError(f"no configuration of {space.path} fulfils its requirements")
        if key_of(params) not in tried:
            return dict(params)
    left = (each for each in (space.grid() if walkable else ()) if agrees(each, entry) and key_of(each) not in tried)
    found = next((each for each in left if space.violation(each) is None), None)
    return None if found is None else dict(found)
