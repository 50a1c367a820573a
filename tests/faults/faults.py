"""Every fault, each a small function that strikes a scene and says what it hit, or None if there was nothing to hit."""

import contextlib
import os
import random
import resource
import signal
import sqlite3
import threading
import time
from collections.abc import Mapping
from pathlib import Path

from tests.faults.damage import DAMAGE, database_of
from tests.faults.fault import STOPPED_SECONDS, Faults, Strike, When
from tests.faults.scene import Scene

FAULTS = Faults(DAMAGE)
_add = FAULTS.add

# Signals

_ROLES = ("coordinator", "worker", "fork server", "guard", "program")
_FATAL = {"coordinator", "fork server"}


def _signal(role: str, number: signal.Signals) -> Strike:
    def strike(scene: Scene, pick: random.Random) -> str | None:
        found = scene.processes(role)
        if not found:
            return None
        pid = pick.choice(found)
        try:
            os.kill(pid, number)
        except ProcessLookupError:
            return None
        return f"{number.name} to {role} {pid}"

    return strike


def _stop(role: str) -> Strike:
    """Stop a process for a while, as a debugger or a laptop's lid does."""
    stop, go_on = _signal(role, signal.SIGSTOP), signal.SIGCONT

    def strike(scene: Scene, pick: random.Random) -> str | None:
        told = stop(scene, pick)
        if told is None:
            return None
        time.sleep(STOPPED_SECONDS)
        with contextlib.suppress(ProcessLookupError):
            os.kill(int(told.rpartition(" ")[2]), go_on)
        return told

    return strike


def _group(number: signal.Signals) -> Strike:
    """Send a signal to the whole process group, as a terminal does."""

    def strike(scene: Scene, _: random.Random) -> str | None:
        if scene.session is None or not scene.session.alive:
            return None
        with contextlib.suppress(ProcessLookupError):
            os.killpg(scene.session.process.pid, number)
            return f"{number.name} to the group"
        return None

    return strike


def everything(scene: Scene, _: random.Random) -> str | None:
    """Kill every process of the episode at once, as a power cut does."""
    found = scene.processes()
    for pid in found:
        with contextlib.suppress(ProcessLookupError):
            os.kill(pid, signal.SIGKILL)
    return f"SIGKILL to {len(found)} processes" if found else None


def interrupted_twice(scene: Scene, pick: random.Random) -> str | None:
    """Press Ctrl-C twice."""
    first = _group(signal.SIGINT)(scene, pick)
    time.sleep(pick.uniform(0.0, 0.3))
    second = _group(signal.SIGINT)(scene, pick)
    return first and (f"{first}, twice" if second else f"{first}, once")


for _role in _ROLES:
    _status = (-signal.SIGKILL,) if _role == "coordinator" else ()
    _add(f"kill {_role}", _signal(_role, signal.SIGKILL), *_status, fatal=_role in _FATAL)
    _add(f"stop {_role}", _stop(_role))
for _role in ("worker", "program", "fork server"):
    _add(f"terminate {_role}", _signal(_role, signal.SIGTERM))
_add("kill raylet", _signal("raylet", signal.SIGKILL), 1, 130, fatal=True, engine="ray")
_add("kill gcs", _signal("gcs", signal.SIGKILL), 1, 130, -6, fatal=True, engine="ray")
_add("stop raylet", _stop("raylet"), engine="ray")
_add("kill group", _group(signal.SIGKILL), -signal.SIGKILL, fatal=True)
_add("kill everything", everything, -signal.SIGKILL, fatal=True)
_STOPPING = (130, -signal.SIGINT, -signal.SIGTERM)
_add("terminate coordinator", _signal("coordinator", signal.SIGTERM), *_STOPPING, fatal=True)
_add("terminate group", _group(signal.SIGTERM), *_STOPPING, fatal=True)
_add("interrupt", _group(signal.SIGINT), *_STOPPING, fatal=True)
_add("interrupt coordinator", _signal("coordinator", signal.SIGINT), *_STOPPING, fatal=True)
_add("interrupt twice", interrupted_twice, *_STOPPING, fatal=True)
_add("hang up", _group(signal.SIGHUP), *_STOPPING, -signal.SIGHUP, fatal=True)


# Other starts


def second_start(scene: Scene, _: random.Random) -> str | None:
    """Start the same command while it runs."""
    return _starts(scene, 1)


def simultaneous_starts(scene: Scene, _: random.Random) -> str | None:
    """Start the same command twice more."""
    return _starts(scene, 2)


def _starts(scene: Scene, count: int) -> str | None:
    if scene.session is None or not scene.session.alive:
        return None
    scene.others += [scene.launch(scene.command) for _ in range(count)]
    return f"{count} more starts"


_add("second start", second_start, 2, engine="local")
_add("simultaneous starts", simultaneous_starts, 2, engine="local")


# Disk, clock and memory


def fill_disk(scene: Scene, _: random.Random) -> str | None:
    """Fill the file system of the experiments to its last byte."""
    place = scene.folder / "experiments"
    if not place.is_mount():
        return None
    filler = place / "filler"

    def make_room() -> None:
        filler.unlink(missing_ok=True)

    scene.healing.append(make_room)
    with contextlib.suppress(OSError), filler.open("wb", buffering=0) as file:
        while True:
            file.write(bytes(1 << 16))
    with contextlib.suppress(OSError), filler.open("ab", buffering=0) as file:
        while True:
            file.write(b"x")
    return "the disk is full"


def read_only(scene: Scene, _: random.Random) -> str | None:
    """Let nothing be written into the experiments."""
    place = scene.folder / "experiments"
    if not place.is_mount() or not scene.remount("ro"):
        return None
    scene.healing.append(lambda: scene.remount("rw") and None)
    return "the experiments are read-only"


def small_files(scene: Scene, pick: random.Random) -> str | None:
    """Let no file grow beyond some thousand bytes, as a quota does."""
    size = pick.choice([1500, 3000, 6000, 12000])
    scene.conditions.limits[resource.RLIMIT_FSIZE] = size
    scene.conditions.environment["PYTHONDONTWRITEBYTECODE"] = "1"  # Python would leave half a .pyc behind, for good
    return f"files of at most {size} bytes"


def jump(scene: Scene, pick: random.Random) -> str | None:
    """Let the clock jump, ahead or back."""
    if not (scene.folder / "clock").exists():
        return None
    offset = pick.choice([-400 * 86400, -7200, -30, 30, 7200, 4000 * 86400])
    scene.set_clock(offset)
    return f"the clock jumps by {offset} s"


def _little_memory(role: str, spare: int) -> Strike:
    def strike(scene: Scene, pick: random.Random) -> str | None:
        found = scene.processes(role)
        if not found:
            return None
        pid = pick.choice(found)
        try:
            now = int(Path(f"/proc/{pid}/statm").read_text().split()[0]) * resource.getpagesize()
            hard = resource.prlimit(pid, resource.RLIMIT_AS)[1]
            resource.prlimit(pid, resource.RLIMIT_AS, (now + spare, hard))
        except (OSError, IndexError):
            return None
        return f"{role} {pid} may grow by {spare >> 20} MB only"

    return strike


_DISK = frozenset({"failed"})
_add("fill disk", fill_disk, 1, needs="disk", running=_DISK)
_add("read-only folder", read_only, 1, 2, needs="disk", when=When.AT_START)
_add("small files", small_files, 1, when=When.AT_START, running=_DISK, engine="local")
_add("clock jump", jump, needs="clock", engine="local")
_MEMORY = frozenset({"failed", "out_of_memory"})
_add("little memory for a worker", _little_memory("worker", 1 << 20), 1, running=_MEMORY, engine="local")
# its imports may fail anywhere, in code that is nobody's here
_add(
    "little memory for the coordinator",
    _little_memory("coordinator", 24 << 20),
    *(1, -6, -11),
    running=_MEMORY,
    crashes=True,
    engine="local",
)


# MLflow away


def database_locked(scene: Scene, _: random.Random) -> str | None:
    """Hold MLflow's database for a while, as a program does that looks into it."""
    path = database_of(scene)
    if path is None:
        return None
    held = sqlite3.connect(path, check_same_thread=False, timeout=5, isolation_level=None)
    try:
        held.execute("BEGIN EXCLUSIVE")
    except sqlite3.Error:
        held.close()
        return None

    def let_go() -> None:
        with contextlib.suppress(sqlite3.Error):
            held.execute("ROLLBACK")
        held.close()

    timer = threading.Timer(STOPPED_SECONDS, let_go)
    timer.start()
    scene.healing.append(timer.join)
    return "mlflow.db is locked"


_add("lock mlflow.db", database_locked, needs="mlflow")


def _server(mode: str) -> Strike:
    """Let the MLflow server misbehave for a while."""

    def strike(scene: Scene, _: random.Random) -> str | None:
        if scene.server is None:
            return None
        scene.server.misbehave(mode, STOPPED_SECONDS)
        return f"the MLflow server: {mode}"

    return strike


for _mode in ("error 500", "silence", "refusal", "restart"):
    _add(f"server: {_mode}", _server(_mode), needs="server")


# In the middle of a training

TROUBLES: Mapping[str, Mapping[str, str]] = {
    # what a training comes to: of a program, a function and a family
    "nan": {"program": "diverged", "function": "diverged", "family": "diverged"},
    "infinite": {"program": "diverged", "function": "diverged", "family": "diverged"},
    "nan_in_training": {"program": "diverged", "function": "diverged"},
    "text": {"program": "failed", "function": "failed", "family": "failed"},
    "number_as_text": {"program": "failed", "function": "failed", "family": "failed"},
    "none": {"program": "failed", "function": "failed", "family": "failed"},
    "true": {"program": "failed", "function": "failed"},
    "tensor": {"function": "failed", "family": "failed"},
    "tensor_of_two": {"function": "failed", "family": "failed"},
    "memory": {"program": "out_of_memory", "function": "out_of_memory", "family": "out_of_memory"},
    "much_output": {"program": "", "function": "", "family": ""},
    "long_line": {"program": "", "function": "", "family": ""},
    "odd_bytes": {"program": "", "function": "", "family": ""},
    "closed_output": {"program": "", "function": "", "family": ""},
    "leave": {"program": "failed", "function": "failed", "family": "failed"},
    "leave_with_three": {"program": "failed", "function": "failed", "family": "failed"},
    "leave_at_once": {"program": "failed", "function": "failed", "family": "failed"},
    "segmentation_fault": {"program": "failed", "function": "failed", "family": "failed"},
    "terminate_oneself": {"program": "", "function": "failed", "family": "failed"},
    "interrupt": {"program": "failed", "function": "failed", "family": "failed"},
    "fail": {"program": "failed", "function": "failed", "family": "failed"},
    "unprintable": {"program": "failed", "function": "failed", "family": "failed"},
    "fork": {"program": "", "function": "", "family": ""},
    "daemon": {"program": "", "function": "", "family": ""},
}


def _arm(kind: str) -> Strike:
    """Let the next training that reports misbehave."""

    def strike(scene: Scene, _: random.Random) -> str | None:
        if scene.search.interface not in TROUBLES[kind]:
            return None
        new = scene.folder / "armed.new"
        new.write_text(kind)
        new.rename(scene.folder / "armed")
        deadline = time.monotonic() + 5
        while (scene.folder / "armed").exists() and time.monotonic() < deadline:
            if scene.session is None or not scene.session.alive:
                break
            time.sleep(0.01)
        try:
            (scene.folder / "armed").unlink()
        except FileNotFoundError:
            return f"a training: {kind}"
        return None

    return strike


for _kind, _by in TROUBLES.items():
    _outcomes = {interface: frozenset({outcome} - {""}) for interface, outcome in _by.items()}
    _add(f"training: {_kind}", _arm(_kind), 1, outcomes=_outcomes)
