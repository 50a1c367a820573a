"""Slurm's part for the job script: its variables, and `srun` and `scontrol` that do all on this machine."""

import contextlib
import os
import shlex
import shutil
import signal
import subprocess
import sys
import time
import uuid
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

from hpsearch.workers.ray_tune.cluster import cluster_file

SRUN = """
echo "srun $*" >>"$SLURM_CALLS"
tasks=1
while [[ $1 == --* ]]; do
    [[ $1 == --ntasks=* ]] && tasks=${1#*=}
    shift
done
trap 'kill $(jobs -p)' TERM
for ((task = 0; task < tasks; task++)); do "$@" & done
wait
wait
"""
"""As many times as there are tasks; ends them when it is ended: the signal interrupts the first `wait`."""

SCONTROL = 'echo "scontrol $*" >>"$SLURM_CALLS"'

LONGEST_SECONDS = 300.0
STRAY_SECONDS = 120.0
"""How long Ray's helpers may take to see that their raylet has gone."""


class Job:
    """A job script that runs."""

    def __init__(self, process: subprocess.Popen[str], folder: Path) -> None:
        self._process = process
        self._folder = folder

    def wait_for(self, text: str) -> None:
        """Wait until the script has said something."""
        while text not in (self._folder / "stdout").read_text():
            assert self._process.poll() is None, (self._folder / "stderr").read_text()
            time.sleep(0.1)

    def send_near_limit(self) -> None:
        """Do what Slurm does some time before the limit: `#SBATCH --signal=B:USR1@...`."""
        assert "#SBATCH --signal=B:USR1@" in cluster_file("slurm")
        self._process.send_signal(signal.SIGUSR1)

    def cancel(self) -> None:
        """Do what scancel does to the script."""
        self._process.terminate()

    def ended(self) -> subprocess.CompletedProcess[str]:
        """Wait for the end."""
        code = self._process.wait(LONGEST_SECONDS)
        said = [(self._folder / name).read_text() for name in ("stdout", "stderr")]
        return subprocess.CompletedProcess([], code, *said)


class Slurm:
    """A cluster of two nodes, `first` and another one, with one core each."""

    def __init__(self, folder: Path) -> None:
        self.job = f"t{uuid.uuid4().hex[:10]}"
        self.programs = folder / "bin"
        self.ray_folder = Path(f"/tmp/ray-{self.job}")  # noqa: S108 -- what the script uses
        self._folder = folder
        self.programs.mkdir()
        (folder / "slurm.sh").write_text(cluster_file("slurm"))
        (folder / "calls").touch()
        self.stand_in("srun", SRUN)
        self.stand_in("scontrol", SCONTROL)

    def stand_in(self, name: str, text: str) -> None:
        """Put a program of bash before all others."""
        path = self.programs / name
        path.write_text(f"#!/bin/bash\n{text.strip()}\n")
        path.chmod(0o755)

    @property
    def calls(self) -> list[list[str]]:
        """What Slurm's commands were given."""
        return [shlex.split(line) for line in (self._folder / "calls").read_text().splitlines()]

    @property
    def ray_log(self) -> str:
        return (self._folder / f"hpsearch-{self.job}-ray.out").read_text()

    @contextmanager
    def started(self, *arguments: str, without: Sequence[str] = (), **variables: str) -> Iterator[Job]:
        """Start the script as sbatch does on the job's first node; end it, but not what it began, after the block."""
        given = {
            "PATH": f"{self.programs}:{Path(sys.executable).parent}:{os.environ['PATH']}",
            "SLURM_JOB_ID": self.job,
            "SLURM_JOB_NUM_NODES": "2",
            "SLURM_CPUS_PER_TASK": "1",
            "SLURMD_NODENAME": "first",
            "SLURM_CALLS": str(self._folder / "calls"),
            "HPSEARCH_TESTED_JOB": self.job,
            **variables,
        }
        kept = {name: value for name, value in os.environ.items() if not name.startswith("RAY_")}
        environment = {name: value for name, value in {**kept, **given}.items() if name not in without}
        with (self._folder / "stdout").open("w") as stdout, (self._folder / "stderr").open("w") as stderr:
            process = subprocess.Popen(
                ["/bin/bash", "slurm.sh", *arguments],
                cwd=self._folder,
                env=environment,
                stdout=stdout,
                stderr=stderr,
                text=True,
            )
        try:
            yield Job(process, self._folder)
        finally:
            process.kill()
            process.wait()

    def run(self, *arguments: str, without: Sequence[str] = (), **variables: str) -> subprocess.CompletedProcess[str]:
        """Run the script to its end."""
        with self.started(*arguments, without=without, **variables) as job:
            return job.ended()

    def living(self) -> list[str]:
        """Return which of the job's processes do not end, by their numbers and commands."""
        deadline = time.monotonic() + STRAY_SECONDS
        while (found := self._processes()) and time.monotonic() < deadline:
            time.sleep(0.2)
        return [f"{number} {command}" for number, command in found.items()]

    def _processes(self) -> dict[int, str]:
        """Find all that has inherited the job's variables."""
        found = {}
        for path in Path("/proc").glob("[0-9]*"):
            with contextlib.suppress(OSError):  # another user's, or it has just ended
                if f"HPSEARCH_TESTED_JOB={self.job}".encode() in (path / "environ").read_bytes().split(b"\0"):
                    found[int(path.name)] = (path / "cmdline").read_text().replace("\0", " ")
        return found

    def close(self) -> None:
        """End what a failed test has left, by its numbers."""
        while found := self._processes():
            for number in found:
                with contextlib.suppress(ProcessLookupError):
                    os.kill(number, signal.SIGKILL)
            time.sleep(0.1)
        shutil.rmtree(self.ray_folder, ignore_errors=True)
