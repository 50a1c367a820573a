"""hpsearch beside Optuna, Ray Tune, Syne Tune and no tool at all: throughput and time to a target of whole commands.

Run by `make bench` in a small form (a few minutes on two cores), and in full by `make bench BENCH=full` or
`python tests/benchmarks/peers.py --full` (about three hours on two cores; the report goes to reports/benchmarks/). The
programs are files in `peer_programs/`, each of which runs alone; what they train is in `trainings.py`.

All programs of a round are run one after the other, in an order that turns from round to round, with the same seed.
Each is a whole command, its start and its end included, from an empty folder, with two trainings at a time on one
thread each, and MLflow in a SQLite file. Throughput: every program trains every configuration to its end; of char_lm,
where they decide how long that takes, the configurations are the same. Time to target: each program proposes and stops
trials as it is used to; the clock runs from the start of the command to the end of the first trial that is as good as
the target. A ratio is a program's time over hpsearch's in the same round: above 1, hpsearch is quicker. Intervals are
bootstrapped over the rounds.

`--syne-tune PYTHON` names an interpreter that has syne-tune, which does not live beside our pins.
"""

import argparse
import contextlib
import ctypes
import json
import os
import platform
import resource
import shlex
import signal
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from importlib.metadata import version
from pathlib import Path

import numpy as np

from tests.benchmarks.peer_programs.searching import RESULTS, Ended, Search

REPOSITORY = Path(__file__).parents[2]
OURS = "hpsearch"
PROGRAMS = {
    OURS: "hpsearch_itself",
    "Optuna, recipe": "optuna_recipe",
    "Optuna, tuned": "optuna_tuned",
    "Ray Tune, defaults": "ray_defaults",
    "Ray Tune, tuned": "ray_tuned",
    "Syne Tune": "syne_tune_search",
    "no tool": "bare_loop",
}
PUBLISHED = REPOSITORY / "reports" / "benchmarks" / "peers.md"
NO_PRUNER = ("no tool",)
"""Without a search there is nothing to be good at."""
_ADOPT_ORPHANS = 36
"""PR_SET_CHILD_SUBREAPER of prctl(2): what a program leaves behind becomes our child, so that its CPU time counts."""
_LEAVING_SECONDS = 20.0
"""So long may what a program has started outlive it."""


@dataclass(frozen=True)
class Part:
    """A table: a problem in its size. With a `target`, time to it; else throughput."""

    problem: str
    trials: int
    epochs: int
    target: float | None = None

    @property
    def title(self) -> str:
        """What stands above its table."""
        work = f"{self.problem}, {self.trials} trials of {self.epochs} {'epoch' if self.epochs == 1 else 'epochs'}"
        return f"Throughput: {work}" if self.target is None else f"Time to a value of {self.target:g}: {work}"


FULL = (
    Part("digits", 64, 10),
    Part("char_lm", 8, 1),
    Part("digits", 64, 10, target=0.14),
    Part("char_lm", 12, 2, target=2.2),
)
"""Of random configurations one in sixteen reaches the target of digits, one in three that of char_lm."""
SMALL = (Part("digits", 8, 10), Part("digits", 8, 10, target=0.2))
OVERHEAD = {True: 11, False: 3}
"""Pairs of trainings, in full and in the small form."""
TINY = (Part("digits", 2, 1), Part("digits", 2, 1, target=10.0))
"""For a test that it works at all."""


@dataclass(frozen=True)
class Run:
    """One command: seconds on the wall and of all its processes' CPU time, and what its trials came to."""

    wall: float
    cpu: float
    trials: Sequence[Ended]
    begun: float

    def until(self, target: float) -> float:
        """Return the seconds from its start to the end of the first trial at least so good; infinite if none was."""
        good = [trial.ended - self.begun for trial in self.trials if trial.value <= target]
        return min(good, default=float("inf"))


@dataclass
class Measured:
    """The runs of each program, round by round; what failed, with the end of what it said."""

    part: Part
    runs: dict[str, list[Run]] = field(default_factory=dict)
    failures: dict[str, str] = field(default_factory=dict)


# Running


def measure(part: Part, programs: Sequence[str], *, rounds: int, pythons: Mapping[str, str]) -> Measured:
    """Run every program in every round; one that fails is left out from then on."""
    ctypes.CDLL(None).prctl(_ADOPT_ORPHANS, 1, 0, 0, 0)
    found = Measured(part, {name: [] for name in programs})
    for number in range(rounds):
        turned = [*programs[number % len(programs) :], *programs[: number % len(programs)]]
        for name in turned:
            if name in found.failures or (part.target is not None and name in NO_PRUNER):
                continue
            try:
                run = run_once(name, part, seed=number, python=pythons.get(name, sys.executable))
            except ProgramError as error:
                found.failures[name] = str(error)
                continue
            found.runs[name].append(run)
            best = min(trial.value for trial in run.trials)
            print(
                f"{part.title}: round {number + 1}, {name}: {run.wall:.1f} s, {run.cpu:.1f} s of CPU, best {best:.4g}",
                file=sys.stderr,
                flush=True,
            )
    return found


class ProgramError(Exception):
    """A program failed, or did other work than it was asked for."""


def run_once(name: str, part: Part, *, seed: int, python: str) -> Run:
    """Run a program in a folder of its own.

    Raises:
        ProgramError: It failed, or trained another number of trials or epochs.
    """
    with tempfile.TemporaryDirectory(prefix="peers-", ignore_cleanup_errors=True) as place:
        prune = part.target is not None
        search = Search(part.problem, part.trials, part.epochs, seed, 2, Path(place) / "run", not prune, prune)
        command = [python, "-m", f"tests.benchmarks.peer_programs.{PROGRAMS[name]}", *search.arguments]
        with (Path(place) / "output").open("w+b") as output:
            before, begun, clock = _children_cpu(), time.time(), time.perf_counter()
            with _sampled_cpu() as sampled:
                status = subprocess.call(
                    command, cwd=place, env=_environment(), stdin=subprocess.DEVNULL, stdout=output, stderr=output
                )
                wall = time.perf_counter() - clock
            _reap_orphans()
            cpu = max(_children_cpu() - before, sum(sampled.values()))
            output.seek(0)
            said = output.read().decode(errors="replace").strip().splitlines()
        if status != 0:
            raise ProgramError(f"exit status {status}: {said[-1] if said else 'it said nothing'}")
        rows = json.loads((search.folder / RESULTS).read_text(encoding="utf-8"))
        trials = [Ended(**row) for row in rows]
    _check_work(part, trials)
    return Run(wall, cpu, trials, begun)


def _check_work(part: Part, trials: Sequence[Ended]) -> None:
    if len(trials) != part.trials:
        raise ProgramError(f"it trained {len(trials)} trials, not {part.trials}")
    epochs = {trial.epochs for trial in trials}
    if part.target is None and epochs != {part.epochs}:
        raise ProgramError(f"it trained {sorted(epochs)} epochs, not {part.epochs}")


def _environment() -> dict[str, str]:
    """One thread everywhere, our code, no reports home; compiled files are kept, as users' machines do."""
    threads = dict.fromkeys(("OMP_NUM_THREADS", "MKL_NUM_THREADS", "OPENBLAS_NUM_THREADS"), "1")
    quiet = {"MLFLOW_DISABLE_TELEMETRY": "true", "RAY_USAGE_STATS_ENABLED": "0"}
    given = {name: value for name, value in os.environ.items() if name != "PYTHONDONTWRITEBYTECODE"}
    return {**given, **threads, **quiet, "PYTHONPATH": str(REPOSITORY)}


def _children_cpu() -> float:
    used = resource.getrusage(resource.RUSAGE_CHILDREN)
    return used.ru_utime + used.ru_stime


@contextlib.contextmanager
def _sampled_cpu() -> Iterator[Mapping[tuple[str, str], float]]:
    """Look at all descendants four times a second; yield the CPU seconds of each, which are complete afterwards.

    Ray's processes vanish without handing their times on to whoever waits for them.
    """
    found: dict[tuple[str, str], float] = {}
    stopped = threading.Event()

    def sample() -> None:
        while not stopped.wait(0.25):
            stats = _process_stats()
            family = {str(os.getpid())}
            while grown := {pid for pid, fields in stats.items() if fields[1] in family} - family:
                family |= grown
            for pid in family - {str(os.getpid())}:
                ticks = int(stats[pid][11]) + int(stats[pid][12])
                found[pid, stats[pid][19]] = ticks / os.sysconf("SC_CLK_TCK")

    thread = threading.Thread(target=sample)
    thread.start()
    try:
        yield found
    finally:
        stopped.set()
        thread.join()


def _process_stats() -> dict[str, list[str]]:
    """Return proc(5)'s fields of every process behind its name: state, parent, ... by process id."""
    stats = {}
    for path in Path("/proc").glob("[0-9]*/stat"):
        with contextlib.suppress(OSError):
            stats[path.parent.name] = path.read_text(encoding="utf-8", errors="replace").rpartition(")")[2].split()
    return stats


def _reap_orphans() -> None:
    """Wait for what a program has left behind, such as Ray's daemons; end what does not go."""
    deadline = time.monotonic() + _LEAVING_SECONDS
    with contextlib.suppress(ChildProcessError):
        while True:
            if os.waitpid(-1, os.WNOHANG)[0] == 0:
                if time.monotonic() > deadline:
                    for pid in _own_children():
                        os.kill(pid, signal.SIGKILL)
                time.sleep(0.02)


def _own_children() -> list[int]:
    return [int(pid) for pid in Path(f"/proc/self/task/{os.getpid()}/children").read_text().split()]


# What came out


def interval(values: Sequence[float], statistic: Callable[..., float] = np.median) -> tuple[float, float]:
    """Return the 95 % percentile interval of a statistic over 10,000 bootstrap samples of the values."""
    drawn = np.random.default_rng(0).choice(np.asarray(values), size=(10_000, len(values)))
    low, high = np.quantile(statistic(drawn, axis=1), (0.025, 0.975), method="nearest")
    return float(low), float(high)


def seconds_of(found: Measured, name: str) -> list[float]:
    """Return what a table is about, round by round."""
    target = found.part.target
    return [run.wall if target is None else run.until(target) for run in found.runs[name]]


def rows(found: Measured) -> Iterator[list[str]]:
    """Yield the rows of a table, as words."""
    ours = seconds_of(found, OURS)
    for name, runs in found.runs.items():
        if name in found.failures or not runs:
            continue
        seconds = seconds_of(found, name)
        both = list(zip(seconds, ours, strict=False))
        ratios = [theirs / own for theirs, own in both if np.isfinite(theirs) or np.isfinite(own)]
        ratio = "-"
        if name != OURS and ratios:
            low, high = interval(ratios)
            ratio = f"{np.median(ratios):.2f} [{low:.2f}, {high:.2f}]"
        low, high = interval(seconds)
        reached = sum(np.isfinite(seconds))
        yield [
            name,
            f"{np.median(seconds):.1f} [{low:.1f}, {high:.1f}]",
            f"{np.median([run.cpu for run in runs]):.1f}",
            ratio,
            f"{np.median([3600 * len(run.trials) / run.wall for run in runs]):.0f}"
            if found.part.target is None
            else f"{reached} of {len(runs)}",
            f"{np.median([min(trial.value for trial in run.trials) for run in runs]):.4g}",
            f"{np.median([np.median([trial.value for trial in run.trials]) for run in runs]):.4g}",
            f"{np.median([sum(trial.epochs for trial in run.trials) for run in runs]):.0f}",
        ]


def table(found: Measured) -> str:
    """Return a table in Markdown, and below it what is missing and why."""
    third = "trials/h" if found.part.target is None else "reached"
    head = ["program", "seconds [95 %]", "CPU s", "ratio to hpsearch [95 %]", third]
    head += ["best value", "median value", "epochs"]
    lines = [head, ["---"] + ["---:"] * (len(head) - 1), *rows(found)]
    text = "\n".join(f"| {' | '.join(line)} |" for line in lines)
    failures = "".join(f"\nNot measured: {name}: {why}\n" for name, why in found.failures.items())
    return f"## {found.part.title}\n\n{text}\n{failures}"


def machine(pythons: Mapping[str, str], *, rounds: int) -> str:
    """Say where and with what it was measured."""
    model = next(
        (line.partition(":")[2].strip() for line in _cpuinfo() if line.startswith("model name")), platform.machine()
    )
    packages = ("torch", "optuna", "ray", "mlflow", "numpy")
    versions = ", ".join(f"{name} {version(name)}" for name in packages)
    if "Syne Tune" in pythons:
        asked = "from importlib.metadata import version; print(version('syne-tune'))"
        versions += f", syne-tune {subprocess.check_output([pythons['Syne Tune'], '-c', asked], text=True).strip()}"
    commit = subprocess.run(["git", "rev-parse", "--short", "HEAD"], cwd=REPOSITORY, capture_output=True, text=True)  # noqa: S607, PLW1510
    load = ", ".join(f"{each:.1f}" for each in os.getloadavg())
    return (
        f"- machine: {model}, {len(os.sched_getaffinity(0))} cores of {os.cpu_count()}; load before it began: {load}\n"
        f"- hpsearch at {commit.stdout.strip() or 'no commit'}, Python {platform.python_version()}, {versions}\n"
        f"- command: `{shlex.join(['python', *sys.argv])}`, {time.strftime('%Y-%m-%d')}\n"
        f"- {rounds} rounds; medians, with 95 % intervals by the bootstrap over rounds\n"
    )


def _cpuinfo() -> list[str]:
    path = Path("/proc/cpuinfo")
    return path.read_text(encoding="utf-8").splitlines() if path.exists() else []


def overhead(*, pairs: int, quick: bool) -> str:
    """Measure what the shared loop costs beside a bare one in the same process; return a table."""
    import torch

    from tests.benchmarks import loop_overhead

    torch.set_num_threads(1)
    lines = ["| training | wall [95 %] | CPU [95 %] |", "| --- | ---: | ---: |"]
    for make in (loop_overhead.mlp,) if quick else (loop_overhead.mlp, loop_overhead.char_lm):
        problem = make()
        with contextlib.redirect_stdout(sys.stderr):
            ratios = loop_overhead.measure(problem, pairs=pairs)
        spans = {name: interval(ratios[name]) for name in ("wall", "cpu")}
        cells = [f"{np.median(ratios[name]):.3f} [{low:.3f}, {high:.3f}]" for name, (low, high) in spans.items()]
        lines.append(f"| {problem.name} | {' | '.join(cells)} |")
    head = f"## Overhead of the loop\n\nTimes of the bare loop in plain torch (`loop_overhead.py`), {pairs} pairs.\n"
    return "\n".join([head, *lines]) + "\n"


# Asking


def compare(parts: Sequence[Part], programs: Sequence[str], *, rounds: int, syne_tune: str | None = None) -> str:
    """Measure all parts and return the report."""
    pythons = {"Syne Tune": syne_tune} if syne_tune else {}
    chosen = [name for name in programs if name != "Syne Tune" or syne_tune]
    description = (__doc__ or "").partition("\n\n")[2].partition("\n\n")[2].partition("\n\n`")[0]
    text = f"# hpsearch beside its peers\n\n{description}\n\n{machine(pythons, rounds=rounds)}"
    if len(chosen) < len(programs):
        text += "- not measured: Syne Tune, for which no interpreter was named (`--syne-tune`)\n"
    for part in parts:
        text += "\n" + table(measure(part, chosen, rounds=rounds, pythons=pythons))
    return text


def main() -> None:
    """Read the command line, measure, print, and write the report where one is wanted."""
    parser = argparse.ArgumentParser(description="hpsearch beside its peers")
    parser.add_argument("--full", action="store_true", default=os.environ.get("BENCH") == "full")
    parser.add_argument("--rounds", type=int, help="by default 5 in full, else 1")
    parser.add_argument("--programs", nargs="+", choices=PROGRAMS, default=[*PROGRAMS], metavar="NAME")
    parser.add_argument("--parts", nargs="+", type=int, help="numbers of the tables, from 1 on; by default all")
    parser.add_argument("--target", type=float, help="another value for the tables of times to a target")
    parser.add_argument("--syne-tune", metavar="PYTHON", default=os.environ.get("SYNE_TUNE_PYTHON"))
    parser.add_argument("--out", type=Path, help=f"write the report there, too; in full by default {PUBLISHED}")
    asked = parser.parse_args()
    parts = FULL if asked.full else SMALL
    parts = [parts[number - 1] for number in asked.parts] if asked.parts else list(parts)
    if asked.target is not None:
        parts = [part if part.target is None else replace(part, target=asked.target) for part in parts]
    programs = [OURS, *(name for name in asked.programs if name != OURS)]
    text = compare(parts, programs, rounds=asked.rounds or (5 if asked.full else 1), syne_tune=asked.syne_tune)
    if not asked.parts:
        text += "\n" + overhead(pairs=OVERHEAD[asked.full], quick=not asked.full)
    print(text)
    if out := asked.out or (PUBLISHED if asked.full else None):
        out.parent.mkdir(parents=True, exist_ok=True)
        out.write_text(text, encoding="utf-8")


if __name__ == "__main__":
    main()
