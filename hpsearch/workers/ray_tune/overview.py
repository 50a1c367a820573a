"""What a cluster offers, and what a space would occupy on it, as lines of text."""

from collections.abc import Iterable

from hpsearch.space.search_settings import Resources, Search
from hpsearch.workers.bench import Cluster
from hpsearch.workers.machine import core_count, gpu_names
from hpsearch.workers.ray_tune.connection import Connection, import_ray
from hpsearch.workers.ray_tune.demand import Demand, Node, demand_of, living_nodes, places, room


def describe(cluster: Cluster, search: Search | None) -> str:
    """Return a table of the nodes and, for the search of a space, how many trials they have room for.

    Without an address the machine is described that a cluster of our own would use, without starting one.
    Errors: HpsearchError when there is no such cluster.
    """
    nodes = _nodes(cluster)
    demand = demand_of(search.resources if search else Resources(), nodes)
    lines = _table(nodes, demand)
    fit = room(demand, nodes)
    lines += ["", f"A trial occupies {demand}; {fit} fit at once."]
    if search:
        at_once = fit if search.workers == "auto" else min(fit, search.workers)
        lines.append(
            f"The space asks for {search.trials} trials with workers: {search.workers}, so {at_once} at a time."
        )
    return "\n".join(lines)


def _nodes(cluster: Cluster) -> list[Node]:
    if cluster.address is None:
        return [Node("this machine", {"CPU": core_count(), "GPU": len(gpu_names())})]
    ray = import_ray(cluster)
    connection = Connection(cluster, cpus=1)
    try:
        return living_nodes(ray)
    finally:
        connection.close()


def _table(nodes: Iterable[Node], demand: Demand) -> list[str]:
    nodes = sorted(nodes, key=lambda node: node.address)
    names = ["CPU", "GPU", *sorted({name for node in nodes for name in node.offers} - {"CPU", "GPU"})]
    rows = [["node", *names, "processes"]]
    for node in nodes:
        amounts = [f"{node.offers.get(name, 0):g}" for name in names]
        rows.append([node.address, *amounts, str(places(demand.bundle, node.offers))])
    widths = [max(len(row[column]) for row in rows) for column in range(len(rows[0]))]
    return ["  ".join([row[0].ljust(widths[0]), *(map(str.rjust, row[1:], widths[1:]))]) for row in rows]
