"""The Ray cluster: joining one or starting our own, what its nodes offer, what a trial occupies, files to start one."""

import atexit
import contextlib
import os
import signal
import socket
import threading
import warnings
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from importlib.resources import files
from pathlib import Path
from typing import Any

from hpsearch.errors import HpsearchError, UnknownNameError
from hpsearch.extras import Extra, require
from hpsearch.space.search_settings import Resources, Search
from hpsearch.workers.engines import Cluster
from hpsearch.workers.leftovers import guarded
from hpsearch.workers.machine import core_count, gpu_names

_QUIET = {
    "RAY_USAGE_STATS_ENABLED": "0",
    "RAY_ACCEL_ENV_VAR_OVERRIDE_ON_ZERO": "0",
    "RAY_kill_child_processes_on_worker_exit": "false",  # the programs' guards too, before they have saved anything
    "RAY_AIR_NEW_OUTPUT": "0",  # the newer output shows boxes on stdout whatever `verbose` says
    "TUNE_DISABLE_AUTO_CALLBACK_LOGGERS": "1",
    "TUNE_DISABLE_SIGINT_HANDLER": "1",
    "TUNE_WARN_INSUFFICENT_RESOURCE_THRESHOLD_S": "0",
    "TUNE_WARN_EXCESSIVE_EXPERIMENT_CHECKPOINT_SYNC_THRESHOLD_S": "0",
    "TUNE_GLOBAL_CHECKPOINT_S": "3600",  # Tune's own notes on the search, which nobody reads
    "TUNE_MAX_PENDING_TRIALS_PG": "128",  # Tune's default with a searcher is to start one process after the other
}
_SHARED = {"RAY_ENABLE_ZERO_COPY_TORCH_TENSORS": "1", "RAY_CHDIR_TO_TRIAL_DIR": "0"}
"""For the driver and the workers alike."""
_ANSWER_SECONDS, _LEAVING_SECONDS = 5.0, 10.0
_TINY = 1e-9
CLUSTER_FILES = {"slurm": "slurm.sh", "ssh": "ssh-cluster.yaml", "kuberay": "kuberay.yaml"}


class Connection:
    """A connection to a cluster; ends what it began, and only that."""

    def __init__(self, cluster: Cluster, *, cpus: int) -> None:
        """`cpus` is what a cluster of our own offers.

        Raises:
            HpsearchError: There is no such cluster.

        """
        ray = import_ray(cluster)
        self.is_gone = False
        """Whether it has died, so that nobody may wait for its answer any more."""
        self._stack = contextlib.ExitStack()
        if not ray.is_initialized():
            if not cluster.verbose:
                self._stack.enter_context(_no_messages_on_stdout())
            marked: Mapping[str, str] = {}
            if cluster.address is None:
                self._stack.enter_context(loopback())
                marked = self._stack.enter_context(guarded())
            with _kept_signal_handlers(), _variables(marked):
                _initialize(ray, cluster, cpus=cpus)
            self._stack.callback(self._shut_down, ray)

    def _shut_down(self, ray: Any) -> None:
        """Leave it properly; one that is gone may keep whoever tries."""
        if not self.is_gone:
            ray.shutdown()
            return
        thread = threading.Thread(target=ray.shutdown, name="leaving", daemon=True)
        thread.start()
        thread.join(_LEAVING_SECONDS)
        if thread.is_alive():
            from ray._private import worker

            atexit.unregister(worker.shutdown)  # it would wait in the same way

    def close(self) -> None:
        """Leave the cluster, or end it if it is our own."""
        self._stack.close()


def import_ray(cluster: Cluster) -> Any:
    """Import Ray with the settings that it reads only then.

    Raises:
        MissingExtraError: It is not installed.

    """
    for name, value in {**_QUIET, **_SHARED}.items():
        os.environ.setdefault(name, value)
    with warnings.catch_warnings():
        if not cluster.verbose:
            warnings.simplefilter("ignore")
        require("the engine ray", Extra.RAY)
        import ray
        import ray.tune
    return ray


@contextlib.contextmanager
def loopback() -> Iterator[None]:
    """Have clusters that are started in the block bind all their servers to 127.0.0.1.

    It is Ray's default but on Linux, and has one switch, which Ray's processes read from the environment.
    """
    from ray._private import ray_constants

    name = "RAY_ENABLE_WINDOWS_OR_OSX_CLUSTER"
    before, known = os.environ.get(name), ray_constants.ENABLE_RAY_CLUSTER
    os.environ[name], ray_constants.ENABLE_RAY_CLUSTER = "0", False
    try:
        yield
    finally:
        ray_constants.ENABLE_RAY_CLUSTER = known
        if before is None:
            del os.environ[name]
        else:
            os.environ[name] = before


@contextlib.contextmanager
def _variables(values: Mapping[str, str]) -> Iterator[None]:
    """Let processes that are started in the block have these environment variables."""
    before = {name: os.environ.pop(name, None) for name in values}
    os.environ.update(values)
    try:
        yield
    finally:
        for name, value in before.items():
            os.environ.pop(name)
            if value is not None:
                os.environ[name] = value


@contextlib.contextmanager
def _kept_signal_handlers() -> Iterator[None]:
    """Undo that Ray puts a handler of its own for SIGTERM, which would end the search without a word."""
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    kept = {number: signal.getsignal(number) for number in (signal.SIGINT, signal.SIGTERM)}
    try:
        yield
    finally:
        for number, handler in kept.items():
            signal.signal(number, handler)


@contextlib.contextmanager
def _no_messages_on_stdout() -> Iterator[None]:
    """Keep Ray from printing a dying node's last words on stdout, which it does whatever `log_to_driver` says."""
    from ray._private import worker

    printing = worker.print_to_stdstream
    worker.print_to_stdstream = lambda *_, **__: None
    try:
        yield
    finally:
        worker.print_to_stdstream = printing


def _initialize(ray: Any, cluster: Cluster, *, cpus: int) -> None:
    options: dict[str, Any] = {
        "log_to_driver": cluster.verbose,
        "logging_level": "INFO" if cluster.verbose else "CRITICAL",
        "namespace": "hpsearch",
        "runtime_env": {"env_vars": {**_SHARED, "PYTHONUNBUFFERED": "1"}},
    }
    if cluster.address is None:
        options |= {"address": "local", "num_cpus": cpus, "include_dashboard": False}
    else:
        options |= {"address": _reachable(cluster.address)}
    try:
        ray.init(**options)
    except (ConnectionError, ValueError, RuntimeError, OSError) as error:
        where = "on this machine" if cluster.address is None else f"at {cluster.address}"
        reason = str(error).splitlines()[0]
        raise HpsearchError(f"no Ray cluster {where} can be had: {reason}{_token_hint(cluster)}") from error


def _token_hint(cluster: Cluster) -> str:
    """Return a hint if this machine has a token for Ray: clusters that `ray start` began then ask for it."""
    if cluster.address is None or "RAY_AUTH_MODE" in os.environ or not (Path.home() / ".ray" / "auth_token").exists():
        return ""
    return "; this machine has a token for Ray, so it may be that RAY_AUTH_MODE=token has to be set"


def _reachable(address: str) -> str:
    """Return the HOST:PORT of a cluster that answers: Ray itself would go on trying for many minutes.

    Raises:
        HpsearchError: Nothing answers there.

    """
    from ray._private.services import canonicalize_bootstrap_address_or_die

    if "://" in address:
        raise HpsearchError(f"{address}: hpsearch joins a cluster from one of its machines, by auto or HOST:PORT")
    try:
        found = str(canonicalize_bootstrap_address_or_die(address))
    except (ConnectionError, ValueError) as error:
        reason = "no cluster runs on this machine; `ray start --head` starts one" if address == "auto" else str(error)
        raise HpsearchError(f"no Ray cluster at {address}: {reason}") from error
    host, _, port = found.rpartition(":")
    try:
        socket.create_connection((host.strip("[]"), int(port)), timeout=_ANSWER_SECONDS).close()
    except (OSError, ValueError) as error:
        raise HpsearchError(f"no Ray cluster at {address}: nothing answers at {found} ({error})") from error
    return found


# What nodes offer, and what a trial occupies


@dataclass(frozen=True)
class ClusterNode:
    """A living node of the cluster and what it offers: `CPU`, `GPU`, custom names."""

    address: str
    offers: Mapping[str, float]


@dataclass(frozen=True)
class Demand:
    """What one trial occupies: `processes`, each with a `bundle` of resources, placed together."""

    bundle: Mapping[str, float]
    processes: int = 1

    @property
    def threads(self) -> int:
        """How many threads each process computes with."""
        return max(1, int(self.bundle.get("CPU", 1)))

    def __str__(self) -> str:
        each = " + ".join(f"{amount:g} {name}" for name, amount in self.bundle.items() if amount) or "nothing"
        return each if self.processes == 1 else f"{self.processes} processes of {each}"


def demand_of(resources: Resources, nodes: Iterable[ClusterNode]) -> Demand:
    """Return a trial's resource request: by default one GPU if any node has one."""
    present = any(node.offers.get("GPU", 0) > 0 for node in nodes)
    bundle = {"CPU": resources.cpus, "GPU": resources.gpu_share(present=present), **resources.custom}
    return Demand({name: amount for name, amount in bundle.items() if amount}, resources.processes)


def living_nodes(ray: Any) -> list[ClusterNode]:
    """Return the nodes that are alive, with the resources that a user may ask for."""
    return [
        ClusterNode(
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


def room(demand: Demand, nodes: Iterable[ClusterNode]) -> int:
    """Count the trials that fit at once; processes of a trial may be on several nodes."""
    fit = sum(places(demand.bundle, node.offers) for node in nodes)
    return fit // demand.processes


def places(bundle: Mapping[str, float], offers: Mapping[str, float]) -> int:
    """Count the processes that fit on a node; a fraction of a GPU never spans two."""
    counts = []
    for name, amount in bundle.items():
        offered = offers.get(name, 0.0)
        if name == "GPU" and amount < 1:
            counts.append(int(offered) * int(1 / amount + _TINY))
        else:
            counts.append(int(offered / amount + _TINY))
    return min(counts, default=1_000)


# What the command `cluster` prints


def describe(cluster: Cluster, search: Search | None) -> str:
    """Return a table of the nodes and, for the search of a space, how many trials they have room for.

    Without an address the machine is described that a cluster of our own would use, without starting one.

    Raises:
        HpsearchError: There is no such cluster.

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


def _nodes(cluster: Cluster) -> list[ClusterNode]:
    if cluster.address is None:
        return [ClusterNode("this machine", {"CPU": core_count(), "GPU": len(gpu_names())})]
    ray = import_ray(cluster)
    connection = Connection(cluster, cpus=1)
    try:
        return living_nodes(ray)
    finally:
        connection.close()


def _table(nodes: Iterable[ClusterNode], demand: Demand) -> list[str]:
    nodes = sorted(nodes, key=lambda node: node.address)
    names = ["CPU", "GPU", *sorted({name for node in nodes for name in node.offers} - {"CPU", "GPU"})]
    rows = [["node", *names, "processes"]]
    for node in nodes:
        amounts = [f"{node.offers.get(name, 0):g}" for name in names]
        rows.append([node.address, *amounts, str(places(demand.bundle, node.offers))])
    widths = [max(len(row[column]) for row in rows) for column in range(len(rows[0]))]
    return ["  ".join([row[0].ljust(widths[0]), *(map(str.rjust, row[1:], widths[1:]))]) for row in rows]


def cluster_file(name: str) -> str:
    """Return the text of a file to start a cluster with, for the user to change.

    Raises:
        UnknownNameError: There is no such file.

    """
    if name not in CLUSTER_FILES:
        raise UnknownNameError("cluster file", name, CLUSTER_FILES)
    return (files("hpsearch.workers.ray_tune") / "files" / CLUSTER_FILES[name]).read_text(encoding="utf-8")
