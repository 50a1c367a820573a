"""Several arms of a study at a time: a process for each, on its own part of the machine.

The processes are the same command as `hpsearch study FILE --arm NAME`, so that what they leave can be gone on with in
any way. Ctrl-C or SIGTERM is passed on to all of them, and they end with this process, however it ends.
"""

import ctypes
import os
import selectors
import signal
import subprocess
import threading
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from types import FrameType

from hpsearch.errors import HpsearchError, SearchFailedError
from hpsearch.workers.machine import Part, parts

INTERRUPTED = 130
_MISTAKE = 2
_COMPLAINT = "hpsearch: "
"""How the message begins with which a command ends that cannot go on."""
_INTERRUPTED = "Interrupted: trainings save checkpoints, then stop. Press Ctrl-C again to stop now."
_PATIENCE = 0.2
"""Seconds between two looks at which processes have ended, and whether they are to be interrupted."""
_PARENT_DEATH_SIGNAL = 1  # PR_SET_PDEATHSIG of prctl(2)
_KILLING = 3
"""The interrupt that ends the processes at once: the first lets trainings checkpoint, the second stops them."""


class _Arm:
    """An arm whose command runs in its own process, on a part of the machine.

    `last` is the last thing it said; one that is not `heard` any more was interrupted before it could begin, and only
    says where.
    """

    def __init__(self, name: str, place: int, command: Sequence[str], part: Part) -> None:
        self.name, self.place, self.last, self._rest = name, place, "", b""
        self.heard, self._interrupts = True, 0
        self.output, theirs = os.pipe()
        os.set_blocking(self.output, False)
        gpus = {} if part.gpus is None else {"CUDA_VISIBLE_DEVICES": ",".join(part.gpus)}
        control, own = ctypes.CDLL(None).prctl, os.sched_getaffinity(0)
        os.sched_setaffinity(0, part.cores)  # the child inherits that
        try:
            self.process = subprocess.Popen(
                command,
                stdin=subprocess.DEVNULL,
                stdout=subprocess.DEVNULL,
                stderr=theirs,
                env=os.environ | gpus,
                start_new_session=True,  # a terminal's Ctrl-C reaches it through this process only, once
                preexec_fn=lambda: control(_PARENT_DEATH_SIGNAL, signal.SIGTERM),  # noqa: PLW1509 - no threads here
            )
        finally:
            os.sched_setaffinity(0, own)
            os.close(theirs)

    def pass_on(self, tell: Callable[[str], None]) -> bool:
        """Tell the lines that it has printed since; return whether there were any. Never waits."""
        try:
            content = os.read(self.output, 1 << 16)
        except BlockingIOError:
            return False
        *whole, self._rest = (self._rest + content).split(b"\n")
        for line in filter(None, (each.decode(errors="replace").rstrip() for each in whole)):
            self.last = line
            if self.heard:
                tell(f"{self.name} | {line}")
        return bool(content)

    def interrupt(self, times: int) -> None:
        """Send it interrupts until it has had this number of them."""
        while self._interrupts < times:
            self._interrupts += 1
            self.heard = bool(self.last)
            self.process.send_signal(signal.SIGKILL if self._interrupts >= _KILLING else signal.SIGINT)


@dataclass
class _RunningArm:
    """The arms that run, by name; as a handler of signals it counts them.

    It does no more: one may arrive at any moment, also while the process of an arm is being made, which is among the
    `arms` only afterwards. `given_up`: somebody interrupted an arm alone, so that there will be no result.
    """

    arms: dict[str, _Arm] = field(default_factory=dict)
    interrupts: int = 0
    given_up: bool = False

    def __call__(self, _number: int, _frame: FrameType | None) -> None:
        self.interrupts += 1

    @property
    def stopping(self) -> bool:
        """Whether no other arm is to be started."""
        return self.given_up or self.interrupts > 0

    def ended(self) -> Iterator[_Arm]:
        """Yield the arms that have ended, and forget them."""
        for arm in [arm for arm in self.arms.values() if arm.process.poll() is not None]:
            yield self.arms.pop(arm.name)


def run_side_by_side(commands: Mapping[str, Sequence[str]], *, at_once: int, tell: Callable[[str], None]) -> bool:
    """Run a command for each arm; an arm that fails does not stop the others, whose results are needed as well.

    Only in the main thread is an interrupt passed on to the arms: signals arrive there.

    Args:
        commands: The command of each arm, by its name.
        at_once: How many run at a time.
        tell: Gets the lines that the arms print on standard error, one at a time, each behind the arm's name.

    Returns:
        Whether all of them came to their end; False if they were interrupted.

    Raises:
        HpsearchError: Arms failed, each by a mistake of the user; with the last line of each.
        SearchFailedError: Arms failed for another reason.

    """
    waiting = list(commands)
    free = list(range(min(at_once, len(commands))))
    machine = parts(len(free))
    failures: dict[str, tuple[int, str]] = {}
    running, warned = _RunningArm(), False
    with selectors.DefaultSelector() as selector, _handled(running), _none_left(running.arms):
        while running.arms or (waiting and not running.stopping):
            while free and waiting and not running.stopping:
                name, place = waiting.pop(0), free.pop(0)
                running.arms[name] = _Arm(name, place, commands[name], machine[place])
                selector.register(running.arms[name].output, selectors.EVENT_READ, running.arms[name])
            for arm in running.arms.values():
                arm.interrupt(running.interrupts)
            if running.interrupts and not warned:
                warned = True
                tell(_INTERRUPTED)
            for key, _ in selector.select(_PATIENCE):
                key.data.pass_on(tell)
            for arm in running.ended():
                while arm.pass_on(tell):
                    pass
                selector.unregister(arm.output)
                os.close(arm.output)
                free.append(arm.place)
                if arm.process.returncode == INTERRUPTED:
                    running.given_up = True
                elif arm.process.returncode != 0:
                    failures[arm.name] = (arm.process.returncode, arm.last)
    if not running.stopping:
        _complain(failures)
    return not running.stopping


def _complain(failures: Mapping[str, tuple[int, str]]) -> None:
    if not failures:
        return
    reasons = "; ".join(_reason(name, *failure) for name, failure in failures.items())
    if all(status == _MISTAKE for status, _ in failures.values()):
        raise HpsearchError(reasons)
    raise SearchFailedError(reasons)


def _reason(name: str, status: int, last: str) -> str:
    if status < 0:
        return f"arm {name}: its process was ended by {signal.Signals(-status).name}; the same command goes on"
    message = last.removeprefix(_COMPLAINT)
    return message if message.startswith(f"arm {name}: ") else f"arm {name}: {message or f'exit status {status}'}"


@contextmanager
def _handled(handler: _RunningArm) -> Iterator[None]:
    if threading.current_thread() is not threading.main_thread():  # a notebook's or a server's: it gets no signals
        yield
        return
    kept = {number: signal.signal(number, handler) for number in (signal.SIGINT, signal.SIGTERM)}
    try:
        yield
    finally:
        for number, before in kept.items():
            signal.signal(number, before)


@contextmanager
def _none_left(running: Mapping[str, _Arm]) -> Iterator[None]:
    """End what still runs on the way out, when something went wrong here."""
    try:
        yield
    finally:
        for arm in running.values():
            arm.process.kill()
            arm.process.wait()
