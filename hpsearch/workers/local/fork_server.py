"""A process that has imported what workers need, and forks one whenever it is asked to: then a worker starts at once.

It is started as `python -m hpsearch.workers.local.fork_server DESCRIPTOR PARENT MODULES` and runs nothing of a training
itself: no threads, no GPU. The coordinator asks over a socket, hands over what a worker holds (its wire, the
experiment's lock), and hears there how each worker ended. In a session of its own it outlives a terminal and what is
killed with it: with a worker it ends what that has started, and when the coordinator is gone all of its workers and
itself (see leftovers.py). When it is killed itself, its workers go with it, by the kernel.
"""

import contextlib
import ctypes
import gc
import importlib
import json
import os
import signal
import socket
import subprocess
import sys
import threading
import uuid
from collections.abc import Iterator, Mapping, Sequence
from multiprocessing.connection import wait
from typing import Any

from hpsearch.workers.leftovers import MARK, adopt_orphans, children, end_children, end_marked
from hpsearch.workers.local.worker import PARENT_DEATH_SIGNAL, STOPPING, ignore_stopping
from hpsearch.workers.local.worker import main as be_worker

_WAKING = (signal.SIGCHLD, signal.SIGHUP)
"""The signals that the server looks up at: a child has ended, or its parent."""
_LONGEST = 1 << 16
"""Bytes of a message: some environment variables."""
_MOST_DESCRIPTORS = 16
"""That come with a message."""
_CLOSE_SECONDS = 30.0
"""How long the server may take to end what is left."""


def can_fork() -> bool:
    """Check whether workers may be forked: on Linux, whose libraries bear it, unless HPSEARCH_FORK is 0."""
    return sys.platform == "linux" and os.environ.get("HPSEARCH_FORK") != "0"


class ForkServer:
    """The server, seen from the coordinator; started at once, and again when it is gone and a worker is asked for."""

    def __init__(self, modules: Sequence[str], environment: Mapping[str, str]) -> None:
        self._modules = modules
        self.environment = dict(environment)
        """What it was started with, and each worker begins with."""
        self._mark = uuid.uuid4().hex
        self._asked = 0
        self._codes: dict[int, int | None] = {}
        self._start()

    def fits(self, modules: Sequence[str], environment: Mapping[str, str]) -> bool:
        """Check whether it imports nothing besides these modules, and was started with these variables."""
        return set(self._modules) <= set(modules) and environment.items() <= self.environment.items()

    def _start(self) -> None:
        self._control, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        words = [str(theirs.fileno()), str(os.getpid()), ",".join(self._modules)]
        with blocked_signals():  # the child inherits that
            self._process = subprocess.Popen(
                [sys.executable, "-m", "hpsearch.workers.local.fork_server", *words],
                pass_fds=(theirs.fileno(),),
                stdin=subprocess.DEVNULL,
                env={**self.environment, MARK: self._mark},
                start_new_session=True,
            )
        theirs.close()
        self._ready = False

    def fork(self, wire: int, environment: Mapping[str, str], *, inherited: Sequence[int] = ()) -> "ForkedProcess":
        """Ask for a worker at the other end of `wire`, with these environment variables besides the server's.

        It keeps the file descriptors that it has `inherited` open as long as it lives.
        """
        if self._process.poll() is not None:
            self._let_go()
            self._start()
        self._asked += 1
        self._codes[self._asked] = None
        message = json.dumps({"fork": self._asked, "environment": dict(environment)}).encode()
        with contextlib.suppress(ConnectionError):  # whoever reads from the wire notices
            socket.send_fds(self._control, [message], [wire, *inherited])
        return ForkedProcess(self, self._asked)

    def kill(self, number: int) -> None:
        """End a worker. The server knows it: its process id cannot have become another process's."""
        if self._codes[number] is not None:  # it went with an earlier server
            return
        if self._imports:
            self._let_go()
            return
        with contextlib.suppress(OSError):
            self._control.send(json.dumps({"kill": number}).encode())

    @property
    def _imports(self) -> bool:
        """Whether it still imports, and has forked nobody."""
        return not self._ready and not wait([self._control], 0)

    def code(self, number: int, timeout: float | None) -> int | None:
        """Wait for a worker to end and return its exit code as Popen has it, or None when time is up."""
        while self._codes[number] is None:
            if not wait([self._control], timeout):
                return None
            try:
                message = self._control.recv(_LONGEST)
            except OSError:
                message = b""
            if message:
                self._ready = True
                self._codes |= {int(ended): code for ended, code in json.loads(message).items()}
            else:
                self._let_go()
        return self._codes[number]

    def _let_go(self) -> None:
        """End a server that does not answer any more, or does nothing yet; what it had forked has gone with it."""
        if self._control.fileno() < 0:
            return
        had_forked = not self._imports
        self._process.kill()
        self._process.wait()
        self._control.close()
        if had_forked:
            end_marked(self._mark)
        self._codes = {number: -signal.SIGKILL if code is None else code for number, code in self._codes.items()}

    def close(self) -> None:
        """End the server, whatever still lives of its workers, and what those have left behind."""
        if self._control.fileno() >= 0 and not self._imports:
            self._control.shutdown(socket.SHUT_RDWR)
            with contextlib.suppress(subprocess.TimeoutExpired):
                self._process.wait(_CLOSE_SECONDS)
                self._control.close()
                return
        self._let_go()


class ForkedProcess:
    """A worker, a child of the server: what is needed of Popen's interface."""

    def __init__(self, server: ForkServer, number: int) -> None:
        self._server = server
        self._number = number

    def kill(self) -> None:
        """End it."""
        self._server.kill(self._number)

    def wait(self, timeout: float | None = None) -> int:
        """Return the exit code, negative for a signal.

        Raises:
            TimeoutExpired: It still runs.
        """
        code = self._server.code(self._number, timeout)
        if code is None:
            raise subprocess.TimeoutExpired("worker", timeout or 0.0)
        return code


@contextlib.contextmanager
def blocked_signals() -> Iterator[None]:
    """Let the signals that ask a search to stop wait."""
    before = signal.pthread_sigmask(signal.SIG_BLOCK, STOPPING)
    try:
        yield
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, before)


# In the server's process


class _Server:
    """Forks and reaps."""

    def __init__(self, control: socket.socket) -> None:
        self._control = control
        self._numbers: dict[int, int] = {}
        self._own = set(children())
        """What an import has started serves all workers."""
        self._awake, self._wake = os.pipe()
        for end in (self._awake, self._wake):
            os.set_blocking(end, False)
        self._parent = os.getppid()
        for number in _WAKING:
            signal.signal(number, lambda *_: None)
        signal.set_wakeup_fd(self._wake, warn_on_full_buffer=False)

    def serve(self) -> list[int]:
        """Serve until the coordinator is gone, and return nothing; in a worker return its wire and what it inherits."""
        self._control.send(b"{}")
        while True:
            ready = wait([self._control, self._awake])
            if self._awake in ready:
                os.read(self._awake, _LONGEST)
                self._reap()
                if os.getppid() != self._parent:  # though somebody else may hold its end of the socket
                    return []
            if self._control in ready:
                message, descriptors = self._received()
                if not message:
                    return []
                request = json.loads(message)
                if "kill" in request:
                    self._kill(request["kill"])
                elif self._fork(request):
                    return descriptors
                else:
                    for descriptor in descriptors:
                        os.close(descriptor)

    def _received(self) -> tuple[bytes, list[int]]:
        """Return a message and the descriptors that came with it; an empty one when the coordinator is gone."""
        try:
            message, descriptors, *_ = socket.recv_fds(self._control, _LONGEST, _MOST_DESCRIPTORS)
        except ConnectionError:  # it had not heard all that it was told
            return b"", []
        return message, descriptors

    def _fork(self, request: Mapping[str, Any]) -> bool:
        """Fork; say whether this is the child."""
        try:
            process = os.fork()
        except OSError:
            self._tell(request["fork"], os.EX_OSERR)
            return False
        if process:
            self._numbers[process] = request["fork"]
            return False
        signal.set_wakeup_fd(-1)
        for number in _WAKING:
            signal.signal(number, signal.SIG_DFL)
        self._control.close()
        os.close(self._awake)
        os.close(self._wake)
        os.environ.update(request["environment"])
        return True

    def _kill(self, number: int) -> None:
        for process, known in self._numbers.items():
            if known == number:
                os.kill(process, signal.SIGKILL)  # not reaped yet, so the id is still its own

    def _reap(self) -> None:
        ended: dict[int, int] = {}
        with contextlib.suppress(ChildProcessError):
            while True:
                process, status = os.waitpid(-1, os.WNOHANG)
                if not process:
                    break
                if process in self._numbers:
                    ended[self._numbers.pop(process)] = os.waitstatus_to_exitcode(status)
        if ended:  # first: who hears of it may begin the job again
            end_children(but={*self._numbers, *self._own})
        for number, code in ended.items():
            self._tell(number, code)

    def _tell(self, number: int, code: int) -> None:
        with contextlib.suppress(ConnectionError):
            self._control.send(json.dumps({number: code}).encode())


def _import(modules: Sequence[str]) -> None:
    """Import ahead of time; whoever needs what cannot be imported will say so."""
    for module in modules:
        with contextlib.suppress(Exception):
            importlib.import_module(module)
    gc.collect()
    gc.freeze()  # a collector that touches nothing leaves the memory shared


def _has_lost_a_gpu() -> bool:
    """Check whether something had touched a GPU before this process was forked, which can then not use it."""
    torch: Any = sys.modules.get("torch")
    return torch is not None and torch.cuda._is_in_bad_fork()


def _reseed() -> None:
    """Let workers differ where nobody seeds: Python's own generator sees to that itself."""
    numpy: Any = sys.modules.get("numpy")
    if numpy is not None:
        numpy.random.seed()


def main(descriptor: int, parent: int, modules: Sequence[str]) -> None:
    """Be the server, or, after a fork, a worker."""
    ignore_stopping()
    adopt_orphans()
    ctypes.CDLL(None).prctl(PARENT_DEATH_SIGNAL, signal.SIGHUP)
    if os.getppid() != parent:
        return
    control = socket.socket(fileno=descriptor)
    os.set_inheritable(descriptor, False)
    _import(modules)
    alone = threading.active_count() == 1
    own = os.getpid()
    held = _Server(control).serve()
    if not held:
        end_children(wait_for_guards=True)
        return
    os.setpgid(0, 0)  # a training that ends its own group ends no other's
    # neither threads nor a GPU live on in a fork: then a fresh process takes its place
    if alone and can_fork() and not _has_lost_a_gpu():
        _reseed()
        be_worker(held[0], own, *held[1:])
    else:
        for each in held:
            os.set_inheritable(each, True)
        words = map(str, (held[0], own, *held[1:]))
        os.execv(sys.executable, [sys.executable, "-m", "hpsearch.workers.local.worker", *words])  # noqa: S606 -- ours


if __name__ == "__main__":
    main(int(sys.argv[1]), int(sys.argv[2]), sys.argv[3].split(",") if sys.argv[3] else [])
