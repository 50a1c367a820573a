"""Several real processes that train together on this machine's loopback, forked so that torch need not load again."""

import contextlib
import multiprocessing
import os
import pickle
import random
import socket
from collections.abc import Callable
from multiprocessing.connection import Connection
from typing import Any

import accelerate.state  # noqa: F401 - once, before the processes are forked
import torch

from hpsearch.training.team import Team, joined

_SECONDS = 240
_FORK = multiprocessing.get_context("fork")


def together(size: int, work: Callable[[Team], Any]) -> list[Any]:
    """Return what `work` returns, or the error that it raises, in each of so many processes; none is left behind."""
    port = _free_port()
    pipes = [_FORK.Pipe(duplex=False) for _ in range(size)]
    children = [
        _FORK.Process(target=_be, args=(rank, size, port, work, pipes[rank][1]), daemon=True) for rank in range(size)
    ]
    for child in children:
        child.start()
    try:
        for _, theirs in pipes:
            theirs.close()
        return [_received(ours) for ours, _ in pipes]
    finally:
        for child in children:
            child.kill()
            child.join()


def _free_port() -> int:
    """Find a port that the system gives to nobody who asks for any: tests beside this one ask for many."""
    for port in random.sample(range(20_000, 32_000), 100):
        with socket.socket() as probe, contextlib.suppress(OSError):
            probe.bind(("127.0.0.1", port))
            return port
    raise OSError("a hundred ports are all in use")


def _received(pipe: Connection) -> Any:
    assert pipe.poll(_SECONDS), "a process neither returned nor raised an error"
    try:
        return pickle.loads(pipe.recv_bytes())  # noqa: S301 - from a process of the test
    except EOFError:
        return None


def _be(rank: int, size: int, port: int, work: Callable[[Team], Any], pipe: Connection) -> None:
    torch.set_num_threads(1)
    os.environ |= {"RANK": str(rank), "LOCAL_RANK": str(rank), "WORLD_SIZE": str(size), "LOCAL_WORLD_SIZE": str(size)}
    os.environ |= {"MASTER_ADDR": "127.0.0.1", "MASTER_PORT": str(port), "OMP_NUM_THREADS": "1"}
    try:
        with joined("cpu") as team:
            answer = work(team)
    except Exception as error:  # noqa: BLE001 - the test looks at it
        answer = error
    pipe.send_bytes(pickle.dumps(answer))  # a pipe's own pickles keep tensors in this process
