"""The next configuration is asked for while all workers train; no ask stands between an end and the next start."""

import threading
from collections import deque
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from optuna.trial import TrialState

from hpsearch.errors import SearchFailedError
from hpsearch.experiment.layout import LOG
from hpsearch.experiment.log import Log
from hpsearch.jobs import AskInfo, Completed, Job, JobListener, Report
from hpsearch.records import Outcome
from hpsearch.search.aside import Aside
from hpsearch.search.optuna_search import OptunaSearch
from hpsearch.search.sources import TrialSource
from hpsearch.workers.coordinator import Coordinator
from hpsearch.workers.ledger import Ledger
from hpsearch.workers.limits import Limits
from tests.benchmarks.curves.problems import simulated
from tests.benchmarks.pruners import space_of

WAIT = 20.0
"""Seconds after which a test that has come to a standstill fails."""
[CROSSING] = (problem for problem in simulated() if problem.name == "crossing")


class Brain:
    """A search that notes what it is asked and told, and may be kept thinking."""

    def __init__(self, said: list[str]) -> None:
        self.said = said
        self.may_answer = threading.Event()
        self.may_answer.set()
        self.asked = threading.Event()
        self.last_ask = AskInfo()
        self._aside = Aside()

    def prepare(self, number: int) -> None:
        self._aside.begin(lambda: self._ask(number))

    def ask(self, number: int) -> dict[str, Any] | None:
        return self._aside.answer(lambda: self._ask(number))

    def _ask(self, number: int) -> dict[str, Any]:
        self.asked.set()
        assert self.may_answer.wait(WAIT)
        self.said.append(f"ask {number}")
        return {"number": number}

    def report(self, number: int, step: int, metric: float, *, final: bool = False) -> bool:
        self.said.append(f"report {number}")
        return False

    def tell(self, number: int, outcome: Outcome, value: float | None) -> None:
        self._aside.tell(lambda: self.said.append(f"told {number}"))


class Crew:
    """Workers that each end one trial, the one that has run longest, whenever the coordinator waits."""

    def __init__(self, size: int, said: list[str], before: Callable[[], object]) -> None:
        self._size, self._said, self._before = size, said, before
        self._jobs: deque[Job] = deque()

    @property
    def idle(self) -> int:
        return self._size - len(self._jobs)

    def start(self, job: Job) -> None:
        self._said.append(f"start {job.number}")
        self._jobs.append(job)

    def serve(self, listener: JobListener, *, timeout: float) -> None:
        self._before()
        job = self._jobs[0]
        listener.reported(job, Report(1, {"loss": 0.5}, 0.1, final=True))
        self._jobs.popleft()
        self._said.append(f"end {job.number}")
        listener.ended(job, Completed(seconds=0.1))

    def kill(self, job: Job) -> None:
        raise NotImplementedError

    def close(self) -> None:
        pass


def job(number: int, params: Any) -> Job:
    return Job(f"trials/{number:04d}", number, params, config={}, seeds={"initialisation": 0})


def run(folder: Path, brain: Brain, crew: Crew, *, trials: int) -> None:
    log = Log(folder / LOG)
    ledger = Ledger(folder, log, metric="loss", value_of=lambda history: (history[-1][1], history[-1][0]))
    try:
        Coordinator(ledger, crew, Limits()).run(TrialSource(brain, job, budget=trials, asked=0, following=0))
    finally:
        log.close()


def said_by(folder: Path, *, workers: int) -> list[str]:
    said: list[str] = []
    brain = Brain(said)

    def thought() -> None:
        """Wait until an ask that was begun is over, as while a training takes its time."""
        if brain._aside._ask is not None:
            brain._aside._ask.result(WAIT)

    run(folder, brain, Crew(workers, said, thought), trials=6)
    return said


def test_no_ask_stands_between_an_end_and_the_next_start(tmp_path: Path) -> None:
    said = said_by(tmp_path, workers=2)
    for number in range(4):
        end = said.index(f"end {number}")
        between = said[end : said.index(f"start {number + 2}")]
        assert not [each for each in between if each.startswith("ask")]
    assert [each for each in said if each.startswith("ask")] == [f"ask {number}" for number in range(6)]


def test_one_worker_waits_for_an_ask_that_knows_its_outcome(tmp_path: Path) -> None:
    said = said_by(tmp_path, workers=1)
    per_trial = [[f"ask {k}", f"start {k}", f"report {k}", f"end {k}", f"told {k}"] for k in range(6)]
    assert said == [each for trial in per_trial for each in trial]


def test_reports_are_answered_while_an_ask_runs_and_outcomes_wait_for_its_end(tmp_path: Path) -> None:
    said: list[str] = []
    brain = Brain(said)
    crew = Crew(2, said, lambda: None)
    serve, held = crew.serve, [0]

    def one_round(listener: JobListener, *, timeout: float) -> None:
        if not held[0]:
            assert brain.asked.wait(WAIT)
        serve(listener, timeout=timeout)
        held[0] += 1
        brain.may_answer.set()

    crew.serve = one_round  # type: ignore[method-assign]
    start = crew.start

    def started(job: Job) -> None:
        start(job)
        if job.number == 1:
            brain.asked.clear()
            brain.may_answer.clear()

    crew.start = started  # type: ignore[method-assign]
    run(tmp_path, brain, crew, trials=4)
    assert said.index("report 0") < said.index("end 0") < said.index("ask 2") < said.index("told 0")


def searching(folder: Path, sampler: str) -> OptunaSearch:
    space = space_of(CROSSING, folder, sampler=sampler, pruner="auto", trials=40, seed=3)
    return OptunaSearch(space, longest=40)


def played(search: OptunaSearch, *, prepared: bool) -> list[Any]:
    """Search with two trials at a time; a third is asked for before the outcome of the older is told, or prepared so.

    Every other trial stops at the first rung, so that forecasts change, too.
    """
    running = deque([(0, search.ask(0)), (1, search.ask(1))])
    found = []
    for number in range(2, 16):
        if prepared:
            search.prepare(number)
        else:
            following = search.ask(number)
        older, params = running.popleft()
        assert params is not None
        found.append(params)
        curve = CROSSING.curves[0, CROSSING.nearest(params_point(params))]
        length = 3 if older % 2 else 40
        for step in range(1, length + 1):
            search.report(older, step, float(curve[step - 1]), final=step == 40)
        value = float(curve.min()) if length == 40 else None
        search.tell(older, Outcome.COMPLETE if length == 40 else Outcome.PRUNED, value)
        running.append((number, search.ask(number) if prepared else following))
    return found


def params_point(params: dict[str, Any]) -> Any:
    return [params[name] for name in sorted(params)]


@pytest.mark.parametrize("sampler", ["auto", "tpe", "random"])
def test_what_an_ask_knows_is_what_was_known_when_it_began(sampler: str, tmp_path: Path) -> None:
    """However long it takes: beside reports and outcomes it answers as if these had come after it."""
    assert played(searching(tmp_path, sampler), prepared=True) == played(searching(tmp_path, sampler), prepared=False)


def test_nothing_is_entered_while_an_ask_runs(tmp_path: Path) -> None:
    search = searching(tmp_path, "auto")
    assert all(search.ask(number) for number in range(2))
    may_answer, history = threading.Event(), search._history

    def known() -> list[Any]:
        trials = history.get_all_trials(0)
        return [[(trial.state, trial.value) for trial in trials], [list(each) for each in history._curves.values()]]

    before = known()
    search._aside.begin(lambda: {} if may_answer.wait(WAIT) else None)
    assert [search.report(0, step, 0.5) for step in (1, 2, 3)] == [False, False, True]
    search.tell(1, Outcome.COMPLETE, 0.25)
    meanwhile = known()
    may_answer.set()
    assert search.ask(2) == {}
    assert meanwhile == before
    [(paused, _), (complete, value)], curves = known()
    assert (paused, complete, value) == (TrialState.PRUNED, TrialState.COMPLETE, 0.25)
    assert curves == [[0.5] * 3]


def test_what_a_prepared_ask_raises_ends_the_search() -> None:
    def fails() -> dict[str, Any]:
        raise SearchFailedError("no configuration fulfils the requirements")

    aside = Aside()
    aside.begin(fails)
    with pytest.raises(SearchFailedError, match="no configuration"):
        aside.answer(dict)
    assert aside.answer(lambda: {"rate": 1}) == {"rate": 1}
