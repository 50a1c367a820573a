"""Who works on an experiment now, and when it was worked on: the lock of its folder, and its log."""

import contextlib
import errno
import fcntl
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import IO

from hpsearch.errors import ExperimentBusyError, ExperimentError
from hpsearch.experiment.askers import living
from hpsearch.experiment.files import read_json
from hpsearch.experiment.layout import ALIVE, LOCK, LOG, PROGRESS
from hpsearch.experiment.lease import USUAL, Lease, Machine, Timing, held_elsewhere, holder_of
from hpsearch.experiment.log import read_state
from hpsearch.experiment.state import KILLED
from hpsearch.records import ExperimentRecord, Moment, is_number

WAIT_SECONDS = 5.0
"""How long a start waits for the workers of a coordinator that was just killed to go away."""


_WITHOUT_LOCKS = (errno.ENOSYS, errno.ENOLCK, errno.EOPNOTSUPP)


@dataclass(frozen=True)
class Hold:
    """A folder that this process works on.

    Workers inherit the `descriptor`, so that the folder is held until the last of them is gone. `taken_over` says from
    which machine, if that fell silent.
    """

    descriptor: int
    lease: Lease
    taken_over: str | None


def _nobody(_: str) -> None:
    """Tell nobody."""


@contextlib.contextmanager
def locked(
    folder: Path,
    *,
    patience: float = WAIT_SECONDS,
    look: float = 0.1,
    tell: Callable[[str], None] = _nobody,
    machine: Machine | None = None,
    timing: Timing = USUAL,
) -> Iterator[Hold]:
    """Hold the folder. `patience`: seconds to wait for another process of this machine; `tell` of other waiting.

    `look`: seconds between two looks whether that one has gone.

    The kernel lets go of the lock when the processes that have its descriptor end, however they end. Since its locks
    may not reach other machines that share the folder, there is a lease as well.

    Raises:
        ExperimentBusyError: if another process works on the folder, here or on another machine.
        ExperimentError: The folder cannot be written.
    """
    with _opened(folder / LOCK) as file:
        alone = _take(file.fileno(), folder, patience, look)
        lease = Lease(folder, machine=machine, timing=timing)
        taken_over = lease.take(file.fileno(), alone=alone, tell=tell)
        try:
            yield Hold(file.fileno(), lease, taken_over)
        finally:
            lease.close()


@contextlib.contextmanager
def locked_in_turn(folder: Path, *, patience: float = 60.0, look: float = 0.01) -> Iterator[Hold]:
    """Hold the folder for a moment, as several processes do by turns, here and on other machines.

    A lease that goes from one of them to another is no refusal; `patience` and `look` are seconds, as for `locked`.

    Raises:
        ExperimentBusyError: Somebody holds it for long.
    """
    until = time.monotonic() + patience
    with contextlib.ExitStack() as stack:
        while True:
            try:
                hold = stack.enter_context(locked(folder, patience=patience, look=look))
            except ExperimentBusyError:
                if time.monotonic() >= until:
                    raise
                time.sleep(look)
            else:
                break
        yield hold


def _opened(lock: Path) -> IO[str]:
    try:
        return lock.open("a+")
    except OSError as error:
        if error.errno not in (errno.EACCES, errno.EPERM, errno.EROFS):
            raise
        raise ExperimentError(
            f"{lock.parent} cannot be written ({error.strerror}): nothing was trained; experiments can be elsewhere, "
            "see --root"
        ) from error


def in_use(folder: Path) -> bool:
    """Check whether some process runs the experiment now, or asks it for trials, here or on another machine."""
    if not (folder / LOCK).exists():
        return False
    with (folder / LOCK).open("r") as file:
        try:
            fcntl.flock(file.fileno(), fcntl.LOCK_SH | fcntl.LOCK_NB)
        except BlockingIOError:
            return True
        except OSError as error:
            if error.errno not in _WITHOUT_LOCKS:
                raise
    return held_elsewhere(folder) is not None or bool(living(folder))


def refuse_askers(folder: Path) -> None:
    """Refuse to train what programs are asking for now.

    Raises:
        ExperimentBusyError: There are some.
    """
    if names := living(folder):
        some = "a program asks" if len(names) == 1 else f"{len(names)} programs ask"
        raise ExperimentBusyError(f"{some} {folder} for trials and trains them; wait for the end, or close the search")


def _take(descriptor: int, folder: Path, patience: float, look: float) -> bool:
    """Take the kernel's lock; return False where the file system has none."""
    deadline = time.monotonic() + patience
    while True:
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            if time.monotonic() > deadline:
                holder = holder_of(folder) or "an unknown machine"
                message = f"{folder} is being run by another process, on {holder}; wait for it or stop it"
                raise ExperimentBusyError(message) from None
            time.sleep(look)
        except OSError as error:
            if error.errno not in _WITHOUT_LOCKS:
                raise
            return False
        else:
            return True


QUIET_SECONDS = 60.0
"""After which silence of a training is worth a line."""


def last_sign(run: Path) -> float | None:
    """Return the Unix time at which a run that is trained now was last seen to work; None where nobody looks."""
    try:
        return (run / ALIVE).stat().st_mtime
    except OSError:
        return None


def told_moment(run: Path) -> Moment | None:
    """Return a run's progress since its last report, as its worker last wrote it; None if that file is unusable."""
    try:
        moment = Moment(**read_json(run / PROGRESS))
    except (OSError, ValueError, TypeError):  # of another version, or damaged
        return None
    texts, counts = (moment.preparing, moment.note), (moment.done, moment.total)
    numbers = (moment.epoch, moment.loss, moment.learning_rate, moment.examples_per_second, moment.seconds_left)
    fits = all(isinstance(each, str) for each in texts) and all(type(each) is int for each in counts)
    return moment if fits and all(each is None or is_number(each) for each in numbers) else None


def silent_runs(record: ExperimentRecord) -> dict[str, float]:
    """Return those that are trained now and give no sign of life, with the seconds for which they have not."""
    folder, now = Path(record.folder), time.time()
    if not in_use(folder):
        return {}
    runs = [each.run for each in (*record.trials, *record.replicates) if each.outcome is None]
    signs = {run: sign for run in runs if (sign := last_sign(folder / run)) is not None}
    return {run: now - sign for run, sign in signs.items() if now - sign >= QUIET_SECONDS}


RUNNING, NOT_BEGUN = "running", "not begun"


def state_of(folder: Path) -> str:
    """Return `running`, or how the last session ended, see `ExperimentState.closing`; `not begun` before the first."""
    if in_use(folder):
        return RUNNING
    return read_state(folder / LOG).closing or NOT_BEGUN


def activity(record: ExperimentRecord) -> str:
    """Return what `state_of` does, of an experiment that was read a moment ago: its log is not read again."""
    folder = Path(record.folder)
    if record.closing == KILLED or in_use(folder):  # it may have ended since it was read
        return state_of(folder)
    return record.closing or NOT_BEGUN
