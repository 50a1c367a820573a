"""Where an episode takes place: a folder, the processes of a command, and what can be done to both."""

import contextlib
import os
import random
import re
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path

from tests.faults.checker import Finished, read_log, seen_finished
from tests.faults.searches import MARK, Search, configured
from tests.faults.server import Server

REPOSITORY = Path(__file__).parents[2]
PATIENCE = 150.0
"""Seconds after which a session that has not ended never will."""
_ROLES = {
    "program": re.compile(r"program\.py "),
    "guard": re.compile(r"-I -S -c .*os\.killpg", re.DOTALL),
    "fork server": re.compile(r"hpsearch\.workers\.local\.fork_server"),
    "raylet": re.compile(r"/raylet/raylet "),
    "gcs": re.compile(r"/gcs_server "),
}
_ONES = re.compile(r"^trial (\d+) complete: \S+ (\S+) at", re.MULTILINE)
_CLOCK = '''\
"""Shifts what the processes of an episode take for the time by the seconds in a file."""
import time
_file, _time, _ns = {file!r}, time.time, time.time_ns

def _offset():
    with open(_file) as file:
        return int(file.read())

time.time = lambda: _time() + _offset()
time.time_ns = lambda: _ns() + _offset() * 10**9
'''


@dataclass
class Conditions:
    """Under which a session starts: environment variables, limits of its process, words behind its command."""

    environment: dict[str, str] = field(default_factory=dict)
    limits: dict[int, int] = field(default_factory=dict)


class Session:
    """A command that runs, or has ended; its output goes into a file."""

    def __init__(self, command: list[str], scene: "Scene", conditions: Conditions, number: int) -> None:
        self.output_file = scene.folder / f"output-{number}.txt"
        environment = os.environ | {
            MARK: str(scene.folder),
            "PYTHONPATH": str(REPOSITORY),
            "COLUMNS": "200",
            "TMPDIR": str(scene.temporary),
            "HPSEARCH_CACHE": str(scene.folder / "cache"),
            "OMP_NUM_THREADS": "1",
            "RAY_ENABLE_UV_RUN_RUNTIME_ENV": "0",
            **conditions.environment,
        }
        limits = [f"--{'fsize' if which == 1 else 'as'}={size}:" for which, size in conditions.limits.items()]
        start = [shutil.which("prlimit") or "prlimit", *limits] if limits else []
        with self.output_file.open("ab") as output:
            self.process = subprocess.Popen(
                [*start, sys.executable, "-m", "hpsearch", *command],
                cwd=scene.folder,
                env=environment,
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=output,
                start_new_session=True,
            )

    @property
    def alive(self) -> bool:
        return self.process.poll() is None

    @property
    def output(self) -> str:
        return self.output_file.read_text(encoding="utf-8", errors="replace")

    def end(self, patience: float = PATIENCE) -> int | None:
        """Wait for its end and return its exit status; None if it does not end, and is killed."""
        try:
            return self.process.wait(patience)
        except subprocess.TimeoutExpired:
            with contextlib.suppress(ProcessLookupError):
                os.killpg(self.process.pid, signal.SIGKILL)
            self.process.wait()
            return None


class Scene:
    """One episode's folder. `session` is the command that runs; `finished` what was seen to be finished so far."""

    def __init__(self, folder: Path, search: Search) -> None:
        self.folder = folder
        self.search = search
        folder.mkdir(parents=True)
        self.temporary = Path(tempfile.mkdtemp(prefix="faults-"))  # short: Ray's sockets lie below it
        search.write(folder)
        self.session: Session | None = None
        self.sessions: list[Session] = []
        self.finished: Finished = {}
        self.conditions = Conditions()
        """Those of the next session."""
        self.others: list[Session] = []
        """Starts of the same command beside the session."""
        self.server: Server | None = None
        self.healing: list[Callable[[], object]] = []
        """What makes the world well again at the end of a session."""
        self.backups: dict[Path, bytes | None] = {}
        """What damaged files held before; None of what was not there."""
        self.written: dict[Path, bytes] = {}
        """The whole lines that logs had when they were last looked at: from then on they may only grow."""
        self.rewritten: list[str] = []
        """Where one did not."""
        self.pids: set[int] = set()
        """All processes that were seen."""
        self._before = 0

    # Commands

    @property
    def command(self) -> list[str]:
        """The search's command."""
        return configured(self.search, self.server.uri if self.server is not None else "")

    def start(self) -> Session:
        """Start the search's command under the conditions."""
        self._before = self.count
        self.session = self.launch(self.command, self.conditions)
        return self.session

    def launch(self, command: list[str], conditions: Conditions | None = None) -> Session:
        """Start a command of hpsearch."""
        self.sessions.append(Session(command, self, conditions or Conditions(), len(self.sessions)))
        return self.sessions[-1]

    def run(self, *command: str) -> Session:
        """Run a command of hpsearch to its end."""
        session = self.launch([*command])
        session.end()
        return session

    def heal(self) -> None:
        """Make the world well again."""
        while self.healing:
            self.healing.pop()()

    # What is there

    @property
    def experiments(self) -> list[Path]:
        return [self.folder / "experiments" / name for name in self.search.experiments]

    @property
    def count(self) -> int:
        """How many lines the logs have."""
        return sum(_lines(folder / "log.jsonl") for folder in self.experiments)

    @property
    def since_start(self) -> int:
        """How many lines the logs have gained in this session."""
        return self.count - self._before

    def wait_for(self, events: int) -> bool:
        """Wait until this session has written so many events; say whether it still runs then."""
        session = self.session
        deadline = time.monotonic() + PATIENCE
        while session is not None and session.alive and time.monotonic() < deadline:
            if self.since_start >= events:
                return True
            time.sleep(0.005)
        return False

    def look(self) -> None:
        """Note what is finished by now, in the logs and on the screen, and who is at work."""
        self.pids |= set(self.processes())
        for name, folder in zip(self.search.experiments, self.experiments, strict=True):
            self._follow(folder / "log.jsonl")
            for run, value in seen_finished(read_log(folder / "log.jsonl")[0]).items():
                self.finished.setdefault((name, run), value)
        if self.search.study:
            return
        for session in self.sessions:
            for number, value in _ONES.findall(session.output):
                self.finished.setdefault((self.search.experiments[0], f"trials/{int(number):04d}"), float(value))

    def _follow(self, log: Path) -> None:
        content = log.read_bytes() if log.exists() else b""
        whole = content[: content.rfind(b"\n") + 1]
        if not whole.startswith(before := self.written.get(log, b"")):
            same = next(
                (n for n, pair in enumerate(zip(before, whole, strict=False)) if pair[0] != pair[1]), len(whole)
            )
            self.rewritten.append(f"log: what was written into {log.parent.name} has changed from byte {same} on")
        self.written[log] = whole

    # Processes

    def processes(self, role: str = "") -> list[int]:
        """Return the ids of the episode's processes, or of those that play a role, the command's own left out."""
        ours = set(_descended(self.folder))
        own = self.session.process.pid if self.session is not None else 0
        if role == "coordinator":
            return [own] if self.session is not None and self.session.alive else []
        if not role:
            return sorted(ours)
        return sorted(pid for pid in ours - {own} if _plays(pid, role))

    def end_all(self) -> None:
        """Kill whatever is left of the episode."""
        self.heal()
        for _ in range(50):
            left = self.processes()
            if not left:
                break
            for pid in left:
                with contextlib.suppress(ProcessLookupError):
                    os.kill(pid, signal.SIGKILL)
            for session in self.sessions:
                session.process.poll()
            time.sleep(0.05)

    def close(self) -> None:
        """Let go of everything."""
        self.end_all()
        self.unmount()
        if self.server is not None:
            self.server.close()
        shutil.rmtree(self.temporary, ignore_errors=True)

    # Files

    def files(self, pattern: str, pick: random.Random) -> Path | None:
        """Choose one of the files of an experiment that fit a pattern and are not empty."""
        every = (path for folder in self.experiments for path in folder.glob(pattern))
        found = sorted(path for path in every if path.is_file() and path.stat().st_size)
        return pick.choice(found) if found else None

    def back_up(self, path: Path) -> None:
        """Keep what a file holds, once."""
        if path not in self.backups:
            self.backups[path] = path.read_bytes() if path.exists() else None

    def restore(self) -> list[str]:
        """Put back what damaged files held before, as from a backup; return which were restored."""
        told = [str(path.relative_to(self.folder)) for path in self.backups]
        for path, content in self.backups.items():
            if content is not None:
                path.parent.mkdir(parents=True, exist_ok=True)
                path.write_bytes(content)
        self.backups.clear()
        self.written.clear()
        return told

    # The disk and the clock

    def mount(self, size: str = "64m") -> bool:
        """Put `experiments` on a small file system of its own, if this machine lets us."""
        place = self.folder / "experiments"
        if place.is_mount():
            return True
        place.mkdir(exist_ok=True)
        line = [shutil.which("mount") or "mount", "-t", "tmpfs", "-o", f"size={size}", "tmpfs", str(place)]
        return os.geteuid() == 0 and subprocess.run(line, capture_output=True, check=False).returncode == 0

    def remount(self, how: str) -> bool:
        """Change the options of that file system."""
        line = [shutil.which("mount") or "mount", "-o", f"remount,{how}", str(self.folder / "experiments")]
        return subprocess.run(line, capture_output=True, check=False).returncode == 0

    def unmount(self) -> None:
        """Copy what it holds beside it, and let go of it."""
        place = self.folder / "experiments"
        if not place.is_mount():
            return
        shutil.copytree(place, self.folder / "copy", symlinks=True)
        for _ in range(50):
            if subprocess.run([shutil.which("umount") or "umount", str(place)], check=False).returncode == 0:
                break
            time.sleep(0.1)
        shutil.copytree(self.folder / "copy", place, dirs_exist_ok=True, symlinks=True)
        shutil.rmtree(self.folder / "copy")

    def prepare_clock(self) -> None:
        """Give the episode's processes a clock that can be set. Libraries in C keep the machine's."""
        place = self.folder / "clock"
        place.mkdir()
        (place / "sitecustomize.py").write_text(_CLOCK.format(file=str(place / "offset")), encoding="utf-8")
        self.set_clock(0)
        self.conditions.environment["PYTHONPATH"] = f"{place}{os.pathsep}{REPOSITORY}"

    def set_clock(self, offset: int) -> None:
        """Shift the clock by seconds."""
        new = self.folder / "clock" / "new"
        new.write_text(str(offset), encoding="utf-8")
        new.replace(self.folder / "clock" / "offset")


def _lines(path: Path) -> int:
    try:
        return path.read_bytes().count(b"\n")
    except OSError:
        return 0


def _descended(folder: Path) -> Iterator[int]:
    """Yield the living processes that carry the episode's mark, or descend from one that does."""
    mark = f"{MARK}={folder}".encode()
    parents: dict[int, int] = {}
    marked: set[int] = set()
    for path in Path("/proc").iterdir():
        if not path.name.isdigit():
            continue
        with contextlib.suppress(OSError, ValueError):
            state, parent = (path / "stat").read_text(errors="replace").rpartition(")")[2].split()[:2]
            if state in "ZX":
                continue
            parents[int(path.name)] = int(parent)
            if mark in (path / "environ").read_bytes().split(b"\0"):
                marked.add(int(path.name))
    for pid in parents:
        above, chain = pid, 0
        while above and above not in marked and chain < 50:
            above, chain = parents.get(above, 0), chain + 1
        if above in marked:
            yield pid


def _plays(pid: int, role: str) -> bool:
    try:
        name = Path(f"/proc/{pid}/comm").read_text(errors="replace").strip()
        line = Path(f"/proc/{pid}/cmdline").read_bytes().replace(b"\0", b" ").decode(errors="replace")
    except OSError:
        return False
    if role == "worker":
        return name == "hpsearch-worker" or line.startswith("ray::")
    pattern = _ROLES[role]
    if role == "fork server" and name == "hpsearch-worker":
        return False
    return pattern.search(line) is not None and not (role == "program" and "os.killpg" in line)
