"""A space's `start`: configurations that are tried before the sampler is asked."""

import json
from collections import deque

from hpsearch.experiment.events import UNTOLD, AskEvent
from hpsearch.records import Params
from hpsearch.space import Space
from hpsearch.space.ranges import same


class StartList:
    """The entries of a space's `start` that have not been tried, in their order.

    The log tells by which entry a trial was begun, so that entries which are added later are tried next.
    """

    def __init__(self, space: Space) -> None:
        self._space = space
        self._left = deque(space.start)

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


def key_of(params: Params) -> str:
    """Return a text by which equal configurations are known."""
    return json.dumps(dict(params), sort_keys=True)


def agrees(params: Params, entry: Params) -> bool:
    """Check whether a configuration has all the values of an entry."""
    return all(path in params and same(params[path], value) for path, value in entry.items())
