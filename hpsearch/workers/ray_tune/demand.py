"""What a trial occupies on a cluster, and how many trials its nodes have room for."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from hpsearch.space.search_settings import Resources

_TINY = 1e-9


@dataclass(frozen=True)
class Node:
    """A living node of the cluster and what it offers: `CPU`, `GPU`, custom names."""

    address: str
    offers: Mapping[str, float]


@dataclass(frozen=True)
class Demand:
    """What one trial occupies: so many processes with a bundle of resources each, placed together."""

    bundle: Mapping[str, float]
    processes: int = 1

    @property
    def threads(self) -> int:
        """How many threads each process computes with."""
        return max(1, int(self.bundle.get("CPU", 1)))

    def __str__(self) -> str:
        each = " + ".join(f"{amount:g} {name}" for name, amount in self.bundle.items() if amount) or "nothing"
        return each if self.processes == 1 else f"{self.processes} processes of {each}"


def demand_of(resources: Resources, nodes: Iterable[Node]) -> Demand:
    """Return what a trial asks of these nodes: unless told otherwise a GPU where there are any."""
    present = any(node.offers.get("GPU", 0) > 0 for node in nodes)
    bundle = {"CPU": resources.cpus, "GPU": resources.gpu_share(present=present), **resources.custom}
    return Demand({name: amount for name, amount in bundle.items() if amount}, resources.processes)


def living_nodes(ray: Any) -> list[Node]:
    """Return the nodes that are alive, with the resources that a user may ask for."""
    return [
        Node(
            entry["NodeManagerAddress"],
            {name: amount for name, amount in entry["Resources"].items() if _is_ours(name)},
        )
        for entry in ray.nodes()
        if entry["Alive"]
    ]


def _is_ours(name: str) -> bool:
    """Leave out what Ray adds for itself: node addresses, markers, placement groups, bytes of memory."""
    return (
        not name.startswith(("node:", "accelerator_type:", "bundle"))
        and "_group_" not in name
        and name
        not in (
            "memory",
            "object_store_memory",
        )
    )


def room(demand: Demand, nodes: Iterable[Node]) -> int:
    """Return how many trials fit at once; processes of a trial may lie on several nodes."""
    fit = sum(places(demand.bundle, node.offers) for node in nodes)
    return fit // demand.processes


def places(bundle: Mapping[str, float], offers: Mapping[str, float]) -> int:
    """Return how many processes fit on a node; a fraction of a GPU never spans two."""
    counts = []
    for name, amount in bundle.items():
        offered = offers.get(name, 0.0)
        if name == "GPU" and amount < 1:
            counts.append(int(offered) * int(1 / amount + _TINY))
        else:
            counts.append(int(offered / amount + _TINY))
    return min(counts, default=1_000)
