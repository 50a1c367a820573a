"""Objectives without torch, so that a worker starts in a moment: each does what a user's training might do."""

import os
import random
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

from hpsearch.errors import PeerLostError
from hpsearch.jobs import Completed, Job, JobResult, ObjectiveFunction, Report, Reporter


class Deeds:
    """Does what a job's `deed` says, in the experiment's folder, and reports as often as its `steps` say."""

    def __init__(self, *, folder: str, threads: int) -> None:
        self._folder = Path(folder)
        self._threads = threads
        with (self._folder / "loads").open("a", encoding="utf-8") as file:
            file.write(f"{os.getpid()}\n")

    def __call__(self, job: Job, report: Reporter, started: Callable[[], None]) -> JobResult:
        started()
        deed: Callable[[Job], None] = getattr(self, f"_{job.params.get('deed', 'nothing')}")
        decision = None
        for step in range(1, job.params.get("steps", 1) + 1):
            decision = report(Report(step, {"val/loss": 1 / step}, float(step)))
            deed(job)
        scores = {"pid": os.getpid(), "threads": self._threads, "decided": float(decision is not None)}
        return Completed(seconds=1.0, scores=scores)

    def _nothing(self, job: Job) -> None:
        pass

    def _print(self, job: Job) -> None:
        """Print as much as fills every buffer on the way, from Python, from C's level and from a child."""
        for _ in range(1000):
            print("python " * 100)
        os.write(1, b"file descriptor\n")
        os.write(2, b"standard error\n")
        subprocess.run([sys.executable, "-c", "print('child ' * 20000)"], check=True)

    def _go_elsewhere(self, job: Job) -> None:
        os.chdir("/")

    def _system_exit(self, job: Job) -> None:
        sys.exit(3)

    def _os_exit(self, job: Job) -> None:
        os._exit(4)

    def _segfault(self, job: Job) -> None:
        os.kill(os.getpid(), signal.SIGSEGV)

    def _die_once(self, job: Job) -> None:
        died = self._folder / "died"
        if not died.exists():
            died.touch()
            os.kill(os.getpid(), signal.SIGKILL)

    def _die_before_a_child(self, job: Job) -> None:
        """Die while a forked child, such as one of a pool of processes, lives on."""
        self._fork(job)
        os.kill(os.getpid(), signal.SIGKILL)

    def _fork(self, job: Job) -> None:
        """Leave a forked child behind, with all the descriptors that it inherits."""
        if os.fork() == 0:
            time.sleep(job.params["child"])
            os._exit(0)

    def _scatter(self, job: Job) -> None:
        """Leave a child in each way that there is, and their process ids in the file `left`."""
        lasting = [sys.executable, "-c", "import time; time.sleep(300)"]
        self._note_left(subprocess.Popen(lasting).pid)
        self._note_left(subprocess.Popen(lasting, start_new_session=True, env={}).pid)
        if (child := os.fork()) == 0:
            os.setsid()
            if os.fork() == 0:  # a daemon, whose parent ends
                self._note_left(os.getpid())
                if os.fork() == 0:
                    self._note_left(os.getpid())
                time.sleep(300)
            os._exit(0)
        os.waitpid(child, 0)
        while len((self._folder / "left").read_text(encoding="utf-8").split()) < 4:
            time.sleep(0.01)
        deed = job.params.get("then", "nothing")
        getattr(self, f"_{deed}")(job)

    def _note_left(self, pid: int) -> None:
        with (self._folder / "left").open("a", encoding="utf-8") as file:
            file.write(f"{pid}\n")

    def _die(self, job: Job) -> None:
        os.kill(os.getpid(), signal.SIGKILL)

    def _spawn(self, job: Job) -> None:
        """Leave a program behind that inherits what is inheritable."""
        subprocess.Popen([sys.executable, "-c", f"import time; time.sleep({job.params['child']})"], close_fds=False)

    def _environment(self, job: Job) -> None:
        names = ("MLFLOW_RUN_ID", "CUDA_VISIBLE_DEVICES", "OMP_NUM_THREADS", "MKL_NUM_THREADS", "OPENBLAS_NUM_THREADS")
        lines = [f"{name}={os.environ.get(name)}\n" for name in names]
        (self._folder / job.run / "environment").write_text("".join(lines), encoding="utf-8")

    def _draw(self, job: Job) -> None:
        """Note what the global generators give that nobody has seeded."""
        import numpy as np

        drawn = f"{random.random()}\n{np.random.random()}\n"  # noqa: NPY002 -- the global one
        (self._folder / job.run / "drawn").write_text(drawn, encoding="utf-8")

    def _sleep(self, job: Job) -> None:
        time.sleep(3600)

    def _wait_for_a_file(self, job: Job) -> None:
        while not (self._folder / "go").exists():
            time.sleep(0.01)


def make_deeds(**arguments: Any) -> ObjectiveFunction:
    return Deeds(**arguments)


class RankedDeeds(Deeds):
    """Does the `deed` in the process of the job's `rank`, and what it says of `others` in the others."""

    def __call__(self, job: Job, report: Reporter, started: Callable[[], None]) -> JobResult:
        started()
        rank = int(os.environ["RANK"])
        (self._folder / job.run / f"rank-{rank}").write_text(f"{rank} of {os.environ['WORLD_SIZE']}")
        if rank == 0:
            report(Report(1, {"val/loss": 1.0}, 1.0))
        deed = job.params["deed"] if rank == job.params.get("rank", 0) else job.params.get("others", "nothing")
        getattr(self, f"_{deed}")(job)
        return Completed(seconds=1.0, scores={"rank": float(rank)})

    def _fail(self, job: Job) -> None:
        sys.exit(3)

    def _fail_late(self, job: Job) -> None:
        time.sleep(0.5)
        sys.exit(3)

    def _lose(self, job: Job) -> None:
        raise PeerLostError("another process is gone")


def make_ranked(**arguments: Any) -> ObjectiveFunction:
    return RankedDeeds(**arguments)


def refuse(**arguments: Any) -> ObjectiveFunction:
    raise ImportError("the family's library is missing")
