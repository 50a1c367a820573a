"""What an experiment costs as it grows: 1,000, 3,000 and 10,000 trials of 10 reports each, without any training.

Run by `make bench`; `--trials 50,100 --pruners none --samplers random` is quick. One experiment is searched up to each
size with made-up reports, by the session, the coordinator and the ledger of a real run. At each size, each in a process
of its own: `hpsearch show`, `hpsearch.open`, and for every pruner and sampler a resume, which then asks for 50 more
trials. Seconds are of the processor (user and system). `growth` is the exponent between the smallest and the largest
size: 1 is linear, 2 quadratic. Memory is what the process holds behind the search, and torch is not in it: workers
train.
"""

import argparse
import importlib.metadata
import json
import math
import os
import platform
import random
import resource
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path

from hpsearch.console.display import ConsoleOptions, watched
from hpsearch.experiment.activity import locked
from hpsearch.experiment.events import AskEvent, Event, Notice, ReportEvent
from hpsearch.experiment.layout import LOG, trial_run
from hpsearch.experiment.log import Log, read_past
from hpsearch.jobs import Completed, Job, JobResult, ObjectiveSpec, Report, Reporter, stopped
from hpsearch.records import Decision
from hpsearch.running.earlier import earlier_trials, prepare_experiment
from hpsearch.running.loading import load_space
from hpsearch.running.session import Session
from hpsearch.space import Space
from hpsearch.workers.engines import EngineContext

SPACE = Path(__file__).parents[2] / "spaces" / "char_lm.yaml"
METRIC = "val/bits_per_char"
REPORTS = 10
MORE = 50
"""So many trials are asked for after a resume."""
OPEN = "import hpsearch, sys; assert hpsearch.open(sys.argv[1]).best"


def made_up_report(number: int, step: int) -> Report:
    """Return what a trial of char_lm tells at a step: its level is random, and falls from report to report."""
    level = random.Random(number).uniform(2, 4) + 2 / step
    others = {"train/loss": level, "val/loss": level + 0.1, "gradient_norm": 1 / step, "learning_rate": 1e-3}
    return Report(step, {METRIC: level, **others}, seconds=float(step), final=step == REPORTS)


class MadeUp:
    """An objective that trains nothing."""

    def __call__(self, job: Job, report: Reporter, started: Callable[[], None]) -> JobResult:
        started()
        for step in range(1, REPORTS + 1):
            decision = report(made_up_report(job.number, step))
            if decision is not Decision.CONTINUE:
                return stopped(decision, seconds=float(step))
        return Completed()


@dataclass
class Stopwatch:
    """An observer that takes the processor's time of every event, which is what came before it."""

    asks: list[float] = field(default_factory=list)
    reports: list[float] = field(default_factory=list)
    begun: float | None = None
    """When the first new trial was asked for."""
    before: float = 0.0

    def observe(self, event: Event | Notice) -> None:
        now = time.process_time()
        if isinstance(event, AskEvent):
            self.begun = self.begun or now
            self.asks.append(now - self.before)
        elif isinstance(event, ReportEvent):
            self.reports.append(now - self.before)
        self.before = now


def settings(trials: int, pruner: str, sampler: str) -> Space:
    """Return the space of the benchmark."""
    search = {"trials": trials, "time": "null", "pruner": pruner, "sampler": sampler}
    return load_space(SPACE, overrides=[f"search.{name}={value}" for name, value in search.items()])


def search(space: Space, folder: Path, watch: Stopwatch) -> None:
    """Search as `hpsearch run --in-process --no-mlflow` does, with its display."""
    shown = ConsoleOptions(in_process=True, mlflow=False)
    folder.mkdir(parents=True, exist_ok=True)
    with watched(space, folder, shown) as options, locked(folder) as hold:
        past = read_past(folder / LOG)
        find_earlier = cache(lambda: earlier_trials(space, folder, past.state))
        prepare_experiment(space, folder, find_earlier)
        log = Log(folder / LOG, past)
        options.opened(log.state)
        spec = ObjectiveSpec(f"{__name__}:{MadeUp.__name__}", {})
        observers = (watch, *options.observers)
        context = EngineContext(folder, log, space, spec, hold.descriptor, in_process=True, observers=observers)
        with Session(context, find_earlier) as session:
            session.begin([])
            session.end(session.search())
        log.close()
        session.result()


def resumed(folder: Path, trials: int, pruner: str, sampler: str) -> dict[str, float]:
    """Take the experiment up for a few trials more; return what that costs."""
    begin, watch = time.process_time(), Stopwatch()
    search(settings(trials + MORE, pruner, sampler), folder, watch)
    assert watch.begun is not None
    status = Path("/proc/self/status").read_text()
    held = next(int(line.split()[1]) / 1000 for line in status.splitlines() if line.startswith("VmRSS"))
    return {
        "resume, s": watch.begun - begin,
        "ask, ms": 1000 * sum(watch.asks[1:]) / len(watch.asks[1:]),
        "report, ms": 1000 * sum(watch.reports) / len(watch.reports),
        "memory, MB": held,
    }


def in_a_process(words: Sequence[str]) -> tuple[str, float]:
    """Run a program of Python; return its output and the seconds of the processor that it took."""
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    ended = subprocess.run([sys.executable, *words], capture_output=True, text=True, check=False)
    assert ended.returncode == 0, ended.stderr[-2000:]
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    return ended.stdout, after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime


def costs(folder: Path, trials: int, kinds: Sequence[tuple[str, str]]) -> dict[str, float]:
    """Measure an experiment of a size; its folder is as before then. A kind is a pruner and a sampler."""
    found = {
        "show, s": in_a_process(["-m", "hpsearch", "show", str(folder)])[1],
        "hpsearch.open, s": in_a_process(["-c", OPEN, str(folder)])[1],
    }
    size = (folder / LOG).stat().st_size
    for pruner, sampler in kinds:
        told = in_a_process([__file__, "--resume", str(folder), str(trials), pruner, sampler])[0]
        found |= {f"{pruner}, {sampler}: {name}": value for name, value in json.loads(told).items()}
        os.truncate(folder / LOG, size)
        for number in range(trials, trials + MORE):
            shutil.rmtree(folder / trial_run(number), ignore_errors=True)
    return found


def growth(sizes: Sequence[int], values: Sequence[float]) -> float:
    """Return the exponent by which a cost grows between the smallest and the largest size."""
    if len(sizes) < 2 or min(values) <= 0:
        return math.nan
    return math.log(values[-1] / values[0]) / math.log(sizes[-1] / sizes[0])


def table(sizes: Sequence[int], kinds: Sequence[tuple[str, str]]) -> dict[str, list[float]]:
    """Let an experiment grow; return what each cost is at each size, and print what it takes to make it."""
    found: dict[str, list[float]] = {}
    with tempfile.TemporaryDirectory() as folder:
        experiment = Path(folder) / "grown"
        for trials in sizes:
            in_a_process([__file__, "--grow", str(experiment), str(trials)])
            for name, value in costs(experiment, trials, kinds).items():
                found.setdefault(name, []).append(value)
    return found


def main() -> None:
    """Print a row for each cost."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--trials", default="1000,3000,10000")
    parser.add_argument("--pruners", default="none,median,percentile,asha,hyperband,patient")
    parser.add_argument("--samplers", default="tpe,qmc")
    parser.add_argument("--grow", nargs=2, metavar=("FOLDER", "TRIALS"))
    parser.add_argument("--resume", nargs=4, metavar=("FOLDER", "TRIALS", "PRUNER", "SAMPLER"))
    asked = parser.parse_args()
    if asked.grow:
        search(settings(int(asked.grow[1]), "none", "random"), Path(asked.grow[0]), Stopwatch())
        return
    if asked.resume:
        folder, trials, pruner, sampler = asked.resume
        print(json.dumps(resumed(Path(folder), int(trials), pruner, sampler)))
        return
    sizes = sorted(map(int, asked.trials.split(",")))
    kinds = [
        *((each, "random") for each in asked.pruners.split(",")),
        *(("none", each) for each in asked.samplers.split(",")),
    ]
    versions = ", ".join(f"{name} {importlib.metadata.version(name)}" for name in ("optuna", "orjson", "pydantic"))
    machine = f"{platform.machine()}, {os.cpu_count()} cores, Python {platform.python_version()}"
    print(f"{machine}, {versions}")
    print(f"{'':<40}" + "".join(f"{size:>10,}" for size in sizes) + f"{'growth':>10}")
    for name, values in table(sizes, kinds).items():
        print(f"{name:<40}" + "".join(f"{value:>10.2f}" for value in values) + f"{growth(sizes, values):>10.2f}")


if __name__ == "__main__":
    main()
