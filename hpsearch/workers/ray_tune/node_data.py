"""Data that the actors of a node load once: the first loads them, the others read them from the node's shared memory.

Numpy arrays and tensors are not copied on the way out, and cannot be written to.
"""

import asyncio
import functools
import hashlib
from collections.abc import Callable
from typing import Any, TypeVar

import ray
from ray.exceptions import GetTimeoutError, RayError
from ray.util.scheduling_strategies import NodeAffinitySchedulingStrategy

Data = TypeVar("Data")
_WAIT_SECONDS = 600.0
"""How long to wait for another actor's loading before loading oneself."""

_KEPT = 9
"""How many are kept, the newest: the three splits of three configurations."""


@ray.remote(num_cpus=0)
class NodeData:
    """Keeps what was loaded on a node, and who is loading what."""

    def __init__(self) -> None:
        self._kept: dict[str, Any] = {}
        self._loading: dict[str, asyncio.Event] = {}

    async def take(self, key: str) -> list[Any] | None:
        """Return a reference to the data, or None to the one who has to load them; the others wait."""
        if key not in self._kept and key in self._loading:
            await self._loading[key].wait()
        if key in self._kept:
            return [self._kept[key]]
        self._loading[key] = asyncio.Event()
        return None

    async def keep(self, key: str, data: Any) -> None:
        """Keep the data for the others."""
        self._kept[key] = ray.put(data)
        while len(self._kept) > _KEPT:
            self._kept.pop(next(iter(self._kept)))
        self._loading.pop(key).set()

    async def give_up(self, key: str) -> None:
        """Let another process load: this one failed, or its data cannot be shared."""
        self._loading.pop(key).set()


def shared(key: str, load: Callable[[], Data]) -> Data:
    """Return the data under `key`, loaded by this process or by another one of its node.

    Raises:
        HpsearchError: those of `load`.
    """
    keeper = _keeper()
    name = hashlib.sha256(key.encode()).hexdigest()
    try:
        found = ray.get(keeper.take.remote(name), timeout=_WAIT_SECONDS)
        if found is not None:
            data: Data = ray.get(found[0])
            return data
    except (GetTimeoutError, RayError):  # the keeper went with the process that made it
        _keeper.cache_clear()
        return load()
    try:
        loaded = load()
    except BaseException:
        keeper.give_up.remote(name)
        raise
    try:
        ray.get(keeper.keep.remote(name, loaded))
    except (TypeError, RayError):  # it cannot be sent to others
        keeper.give_up.remote(name)
    return loaded


@functools.cache
def _keeper() -> Any:
    """Return the keeper of this node. It lives as long as somebody holds it, and the process that made it."""
    node = ray.get_runtime_context().get_node_id()
    return NodeData.options(  # type: ignore[attr-defined] # Ray's decorator hides the class's type
        name=f"data-{node}",
        get_if_exists=True,
        scheduling_strategy=NodeAffinitySchedulingStrategy(node, soft=False),
    ).remote()
