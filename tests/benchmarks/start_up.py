"""How long a search takes to begin: from `hpsearch run` to the first steps of training, and a worker after the first.

Run by `make bench`; `python tests/benchmarks/start_up.py ROUNDS` for more rounds. A small character model of the family
char_lm tells when it takes its first step. Wall seconds depend on what else runs; CPU seconds hardly do. `forked: no`
starts every worker from nothing, as on systems without fork.
"""

import argparse
import importlib.metadata
import json
import os
import platform
import signal
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from hpsearch.families.char_lm.family import CharLM
from hpsearch.jobs import Job, JobListener, JobResult, Report
from hpsearch.records import Decision, Moment
from hpsearch.running.loading import load_space
from hpsearch.running.runner import objective_spec
from hpsearch.seeds import Seeds
from hpsearch.workers.local.workers import ProcessWorkers
from hpsearch.workers.machine import Share

REPOSITORY = Path(__file__).parents[2]
MARKS = "START_UP_MARKS"
PATIENCE = 120.0
SPACE = f"""\
family: {Path(__file__).resolve()}:Timed
objective: {{metric: val/bits_per_char, at: best}}
search: {{sampler: random, pruner: none, trials: 4, workers: 2, seed: 0}}
data: {{corpus: pydoc, context: 32}}
model: {{layers: 1, width: 16, heads: {{choice: [1, 2]}}}}
train: {{epochs: 50, batch_size: 4, learning_rate: {{log: [1e-3, 1e-2]}}}}
"""


class Timed(CharLM):
    """The family char_lm, which notes when each training takes its first step."""

    def task(self, config: Any, splits: Any) -> Any:
        """Return the task of char_lm; the first loss is marked."""
        task = super().task(config, splits)
        loss = task.loss

        def marked(*arguments: Any) -> Any:
            task.loss = loss
            with Path(os.environ[MARKS]).open("a", encoding="utf-8") as file:
                file.write(json.dumps({"pid": os.getpid(), "time": time.time(), "cpu": time.process_time()}) + "\n")
            return loss(*arguments)

        task.loss = marked
        return task


def first_steps(folder: Path, *, workers: int, mlflow: bool, environment: Mapping[str, str]) -> dict[str, float]:
    """Start a search and end it at the first step of its last worker; return wall and CPU seconds until then."""
    marks = folder / "marks"
    command = [sys.executable, "-m", "hpsearch", "run", "space.yaml", "--workers", str(workers)]
    command += [] if mlflow else ["--no-mlflow"]
    begun = time.time()
    with subprocess.Popen(
        command,
        cwd=folder,
        env={**os.environ, **environment, "PYTHONPATH": str(REPOSITORY), MARKS: str(marks)},
        stderr=subprocess.DEVNULL,
        start_new_session=True,
    ) as search:
        try:
            while len(found := read_marks(marks)) < workers and time.time() < begun + PATIENCE:
                time.sleep(0.005)
            spent = {pid: cpu_seconds(pid) for pid in processes_of(search.pid)}
        finally:
            os.killpg(search.pid, signal.SIGKILL)
    times = [mark["time"] - begun for mark in found]
    training = {int(mark["pid"]) for mark in found}
    return {
        "first step, wall s": min(times),
        "last worker's, wall s": max(times),
        "coordinator, CPU s": spent[search.pid],
        "fork server, CPU s": sum(cpu for pid, cpu in spent.items() if pid not in {search.pid, *training}),
        "workers together, CPU s": sum(mark["cpu"] for mark in found),
    }


def read_marks(path: Path) -> list[dict[str, float]]:
    """Return what workers have noted so far."""
    lines = path.read_text(encoding="utf-8").splitlines(keepends=True) if path.exists() else []
    return [json.loads(line) for line in lines if line.endswith("\n")]


def processes_of(session: int) -> Iterator[int]:
    """Yield the processes of a terminal's session."""
    for path in Path("/proc").iterdir():
        try:
            if path.name.isdigit() and os.getsid(int(path.name)) == session:
                yield int(path.name)
        except ProcessLookupError:
            continue


def cpu_seconds(pid: int) -> float:
    """Return the CPU seconds of a process's own so far."""
    try:
        fields = Path(f"/proc/{pid}/stat").read_text(encoding="utf-8").rpartition(")")[2].split()
    except OSError:
        return 0.0
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


class Listener(JobListener):
    """Lets every training go on."""

    def started(self, job: Job) -> None:
        """Hear that the data are loaded."""

    def reported(self, job: Job, report: Report) -> Decision:
        """Answer a report."""
        return Decision.CONTINUE

    def moment(self, job: Job, moment: Moment) -> Decision:
        """Answer what is told between two reports."""
        return Decision.CONTINUE

    def ended(self, job: Job, result: JobResult) -> None:
        """Hear of an end, which none should come to."""
        raise AssertionError(f"{job.run} has ended: {result}")


@contextmanager
def environment_of(variables: Mapping[str, str]) -> Iterator[None]:
    """Set environment variables for a while."""
    before = dict(os.environ)
    os.environ.update(variables)
    try:
        yield
    finally:
        os.environ.clear()
        os.environ.update(before)


def second_worker(folder: Path, *, environment: Mapping[str, str]) -> dict[str, float]:
    """Start a worker beside one that trains, and return the seconds until its first step."""
    space, marks = load_space(folder / "space.yaml"), folder / "marks"
    with environment_of({**environment, "PYTHONPATH": str(REPOSITORY), MARKS: str(marks)}):
        workers = ProcessWorkers(folder, objective_spec(space, folder), [Share(threads=1)] * 2)
        try:
            for number in range(2):
                params = {"model.heads": 1, "train.learning_rate": 1e-3}
                config = space.config(params).model_dump(mode="json")
                seeds = Seeds.for_trial(0, number).model_dump()
                begun = time.time()
                workers.start(Job(f"trials/{number:04d}", number, params, config, seeds))
                while len(found := read_marks(marks)) <= number and time.time() < begun + PATIENCE:
                    workers.serve(Listener(), timeout=0.01)
        finally:
            workers.close()
    return {"the second worker, wall s": found[1]["time"] - begun, "the second worker, CPU s": found[1]["cpu"]}


def measure(rounds: int) -> None:
    """Print the medians of some rounds, in which the ways to start take turns."""
    ways = [("yes", {"HPSEARCH_FORK": "1"}), ("no", {"HPSEARCH_FORK": "0"})]
    cases = [(workers, mlflow, way) for workers in (1, 2) for mlflow in (False, True) for way in ways]
    found: dict[tuple[int, bool, str], list[dict[str, float]]] = {}
    for _ in range(rounds):
        for workers, mlflow, (forked, environment) in cases:
            with prepared() as folder:
                costs = first_steps(folder, workers=workers, mlflow=mlflow, environment=environment)
            found.setdefault((workers, mlflow, forked), []).append(costs)
        for forked, environment in ways:
            with prepared() as folder:
                found[2, False, forked][-1] |= second_worker(folder, environment=environment)
    for (workers, mlflow, forked), costs in found.items():
        print(f"workers: {workers}  MLflow: {'yes' if mlflow else 'no'}  forked: {forked}")
        for name in costs[0]:
            values = [cost[name] for cost in costs]
            print(f"    {name:<28}{statistics.median(values):6.2f}   ({min(values):.2f} to {max(values):.2f})")


@contextmanager
def prepared() -> Iterator[Path]:
    """Make a folder with the space."""
    with tempfile.TemporaryDirectory() as name:
        (Path(name) / "space.yaml").write_text(SPACE, encoding="utf-8")
        yield Path(name)


def main() -> None:
    """Print the machine, the versions and the table."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("rounds", nargs="?", type=int, default=3, help="how often each way to start is measured")
    rounds = parser.parse_args().rounds
    versions = [f"{name} {importlib.metadata.version(name)}" for name in ("torch", "optuna", "mlflow")]
    cores, load = len(os.sched_getaffinity(0)), os.getloadavg()[0]
    print(f"Python {platform.python_version()}, {', '.join(versions)}; {cores} cores, load {load:.1f}; {rounds} rounds")
    measure(rounds)


if __name__ == "__main__":
    main()
