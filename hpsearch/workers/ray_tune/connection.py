"""Joining a Ray cluster, or starting one on this machine: quiet, without a dashboard, on loopback only."""

import contextlib
import os
import signal
import socket
import threading
import warnings
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from hpsearch.errors import HpsearchError
from hpsearch.workers.bench import Cluster

_QUIET = {
    "RAY_USAGE_STATS_ENABLED": "0",
    "RAY_ACCEL_ENV_VAR_OVERRIDE_ON_ZERO": "0",
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
_ANSWER_SECONDS = 5.0


class Connection:
    """A connection to a cluster; ends what it began, and only that."""

    def __init__(self, cluster: Cluster, *, cpus: int) -> None:
        """`cpus` is what a cluster of our own offers. Errors: HpsearchError when there is no such cluster."""
        ray = import_ray(cluster)
        self._stack = contextlib.ExitStack()
        if not ray.is_initialized():
            if not cluster.verbose:
                self._stack.enter_context(_no_messages_on_stdout())
            if cluster.address is None:
                self._stack.enter_context(loopback())
            with _kept_signal_handlers():
                _initialize(ray, cluster, cpus=cpus)
            self._stack.callback(ray.shutdown)

    def close(self) -> None:
        """Leave the cluster, or end it if it is our own."""
        self._stack.close()


def import_ray(cluster: Cluster) -> Any:
    """Import Ray with the settings that it reads only then. Errors: HpsearchError when it is not installed."""
    for name, value in {**_QUIET, **_SHARED}.items():
        os.environ.setdefault(name, value)
    with warnings.catch_warnings():
        if not cluster.verbose:
            warnings.simplefilter("ignore")
        try:
            import ray
            import ray.tune
        except ImportError as error:
            raise HpsearchError(
                f"the engine ray needs a package that is missing ({error}): pip install 'ray[tune]'"
            ) from error
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
    """Say what may be wrong when a token lies there, which clusters that `ray start` begins then ask for."""
    if cluster.address is None or "RAY_AUTH_MODE" in os.environ or not (Path.home() / ".ray" / "auth_token").exists():
        return ""
    return "; this machine has a token for Ray, so it may be that RAY_AUTH_MODE=token has to be set"


def _reachable(address: str) -> str:
    """Return the HOST:PORT of a cluster that answers: Ray itself would go on trying for many minutes.

    Errors: HpsearchError.
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
