"""What the engine itself costs: 1,000 trials of 10 reports whose trainings take no time, beside plain Optuna in memory.

Run by `make bench`. Both ask the random sampler over the ranges of spaces/char_lm.yaml; hpsearch also checks its
`require`, writes every event, and syncs asks and outcomes to the disk. `last` is the mean over the last tenth of the
trials, when the study is large.
"""

import random
import tempfile
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

import optuna

from hpsearch.experiment.activity import locked
from hpsearch.experiment.events import Event, Notice, OutcomeEvent
from hpsearch.experiment.log import Log
from hpsearch.jobs import Completed, Job, JobResult, ObjectiveSpec, Report, Reporter, stopped
from hpsearch.records import Decision
from hpsearch.running.earlier import prepare_experiment
from hpsearch.running.loading import load_space
from hpsearch.running.session import Session
from hpsearch.space import Space, suggest
from hpsearch.workers.engines import EngineContext

SPACE = Path(__file__).parents[2] / "spaces" / "char_lm.yaml"
METRIC = "val/bits_per_char"
TRIALS = 1000
PRUNERS = {
    "none": optuna.pruners.NopPruner(),
    "median": optuna.pruners.MedianPruner(),
    "asha": optuna.pruners.SuccessiveHalvingPruner(min_resource=1, reduction_factor=3),
}
"""Optuna's own, by the names that ours have."""
REPORTS = 10


@dataclass(frozen=True)
class Cost:
    """Seconds of one trial: in its reports, and in all the rest."""

    reports: int
    reporting: float
    rest: float


def made_up_values(number: int) -> list[float]:
    """Return what trial `number` reports: a random level that falls a little from report to report."""
    level = random.Random(number).uniform(2, 4)
    return [level - 0.05 * step for step in range(REPORTS)]


class MadeUp:
    """An objective that reports made-up numbers; `waits` gets the reports of each trial, and the time in them."""

    def __init__(self, *, waits: list[tuple[int, float]]) -> None:
        self._waits = waits

    def __call__(self, job: Job, report: Reporter, started: Callable[[], None]) -> JobResult:
        started()
        begun, values = time.perf_counter(), made_up_values(job.number)
        decision, step = Decision.CONTINUE, 0
        while decision is Decision.CONTINUE and step < REPORTS:
            step += 1
            decision = report(Report(step, {METRIC: values[step - 1]}, seconds=float(step), final=step == REPORTS))
        self._waits.append((step, time.perf_counter() - begun))
        return Completed() if decision is Decision.CONTINUE else stopped(decision, seconds=float(step))


class Stopwatch:
    """An observer that takes the time of every outcome."""

    def __init__(self) -> None:
        self.outcomes: list[float] = [time.perf_counter()]

    def observe(self, event: Event | Notice) -> None:
        if isinstance(event, OutcomeEvent):
            self.outcomes.append(time.perf_counter())


def hpsearch_costs(space: Space, folder: Path) -> list[Cost]:
    """Search through the session, the ledger and the coordinator, as `hpsearch run --in-process` does."""
    with locked(folder) as hold:
        prepare_experiment(space, folder)
        waits: list[tuple[int, float]] = []
        log = Log(folder / "log.jsonl")
        spec = ObjectiveSpec("tests.benchmarks.engine_bookkeeping:MadeUp", {"waits": waits})
        watch = Stopwatch()
        with Session(
            EngineContext(folder, log, space, spec, hold.descriptor, in_process=True, observers=[watch])
        ) as session:
            session.begin([])
            session.search()
        log.close()
    spent = [end - begin for begin, end in zip(watch.outcomes, watch.outcomes[1:], strict=False)]
    return [
        Cost(reports, reporting, seconds - reporting)
        for (reports, reporting), seconds in zip(waits, spent, strict=True)
    ]


def optuna_costs(space: Space, pruner: optuna.pruners.BasePruner) -> list[Cost]:
    """Search with Optuna alone."""
    sampler = optuna.samplers.RandomSampler(seed=0)
    study = optuna.create_study(direction="minimize", sampler=sampler, pruner=pruner)
    costs = []
    for number in range(TRIALS):
        begun = time.perf_counter()
        trial = study.ask()
        suggest(space, trial)
        asked = time.perf_counter()
        pruned, step, values = False, 0, made_up_values(number)
        while not pruned and step < REPORTS:
            step += 1
            trial.report(values[step - 1], step)
            pruned = trial.should_prune() and step < REPORTS
        reported = time.perf_counter()
        study.tell(trial, None if pruned else values[-1], state=optuna.trial.TrialState.PRUNED if pruned else None)
        costs.append(Cost(step, reported - asked, asked - begun + time.perf_counter() - reported))
    return costs


def show(name: str, costs: Sequence[Cost]) -> None:
    """Print the milliseconds a report and a trial cost, over all trials and over the last tenth."""
    words = []
    for part in (costs, costs[-len(costs) // 10 :]):
        report = 1000 * sum(cost.reporting for cost in part) / sum(cost.reports for cost in part)
        rest = 1000 * sum(cost.rest for cost in part) / len(part)
        words += [f"{report:>8.3f}", f"{rest:>8.3f}"]
    print(f"{name:<24}{'  '.join(words)}  {sum(cost.reports for cost in costs):>8}")


def main() -> None:
    """Print a row for each pruner and each program."""
    print(
        f"{TRIALS} trials, {REPORTS} reports each unless pruned; milliseconds a report, and a trial without its reports"
    )
    print(f"{'':<24}{'report':>8}  {'trial':>8}  {'report':>8}  {'trial':>8}")
    print(f"{'':<24}{'all':>8}  {'all':>8}  {'last':>8}  {'last':>8}   reports")
    for pruner, theirs in PRUNERS.items():
        overrides = ["search.sampler=random", f"search.pruner={pruner}", f"search.trials={TRIALS}", "search.time=null"]
        space = load_space(SPACE, overrides=overrides)
        with tempfile.TemporaryDirectory() as folder:
            show(f"hpsearch, {pruner}", hpsearch_costs(space, Path(folder)))
        show(f"Optuna, {pruner}", optuna_costs(space, theirs))


if __name__ == "__main__":
    main()
