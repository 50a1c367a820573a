"""`hpsearch.ask_tell`: the same search as `hpsearch.run`, whoever trains, however often it is lost or shared."""

import json
import math
import signal
import subprocess
import sys
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor, wait
from pathlib import Path
from typing import Any

import pytest

import hpsearch
from hpsearch import AskedTrial, AskTell, HpsearchError
from hpsearch.errors import ExperimentBusyError, ExperimentError, SpaceError
from hpsearch.experiment.activity import state_of
from hpsearch.experiment.lease import Lease
from hpsearch.experiment.reading import read_experiment, read_metrics
from hpsearch.records import ExperimentRecord, Outcome
from hpsearch.running import asking
from tests.logs import read_log
from tests.running.functions import function_space
from tests.toy_spaces import write_space

RANGES = {"lr": {"log": [1e-4, 1e-1]}, "width": [8, 16, 32]}
ASKED: dict[str, Any] = {"metric": "val/loss", "goal": "minimize", "quiet": True}
EPOCHS = 8


def opened(root: Path, space: Any = RANGES, **settings: Any) -> AskTell:
    return hpsearch.ask_tell(space, root=root, **{**ASKED, "trials": 12, **settings})


def loss(lr: float, width: int, epoch: int) -> float:
    return (math.log10(lr) + 2) ** 2 + width / 100 + 1 / epoch


def train(trial: AskedTrial) -> Outcome:
    for epoch in range(1, EPOCHS + 1):
        if not trial.report(epoch, loss(trial.config.lr, trial.config.width, epoch)):
            break
    return trial.tell()


def told(record: ExperimentRecord) -> list[Any]:
    """Return all that two equal searches have in common."""
    return [
        (each.number, each.params, each.seed, each.outcome, each.value, each.step, each.history)
        for each in record.trials
    ]


SAMPLED = [("random", "none"), ("tpe", "asha"), ("cmaes", "median"), ("grid", "hyperband"), ("qmc", "percentile")]
CODE = """
import math
def train(lr: float, width: int, *, report):
    for epoch in range(1, 9):
        report(epoch, {"val/loss": (math.log10(lr) + 2) ** 2 + width / 100 + 1 / epoch})
"""
BODY = "lr: {log: [1e-4, 1e-1]}\nwidth: {choice: [8, 16, 32]}\n"
GRID = "lr: {choice: [0.001, 0.01, 0.05, 0.1]}\nwidth: {choice: [8, 16, 32]}\n"


@pytest.mark.parametrize(("sampler", "pruner"), SAMPLED)
def test_it_is_the_search_of_run_also_when_it_is_opened_anew_for_every_trial(
    sampler: str, pruner: str, tmp_path: Path
) -> None:
    function_space(tmp_path, code=CODE, body=GRID if sampler == "grid" else BODY)
    file, broken = tmp_path / "space.yaml", tmp_path / "broken"
    chosen = {"search.sampler": sampler, "search.pruner": pruner, "search.trials": 12}
    whole = hpsearch.run(
        file, root=tmp_path, set=chosen, in_process=True, mlflow=False, quiet=True, confirm=False, name="run"
    )
    while True:
        with hpsearch.ask_tell(file, root=broken, set=chosen, quiet=True) as search:
            trial = search.ask()
            if trial is None:
                break
            train(trial)
    assert told(read_experiment(broken / "space")) == told(whole.record)


@pytest.mark.parametrize("sampler", ["tpe", "cmaes"])
def test_two_processes_of_one_search_are_one_search(sampler: str, tmp_path: Path) -> None:
    """Two objects are as two processes: what one of them decides follows from what the other has written."""
    two = [opened(tmp_path / "two", sampler=sampler) for _ in range(2)]
    one = opened(tmp_path / "one", sampler=sampler)
    for number in range(6):
        trials = [two[number % 2].ask(), two[1 - number % 2].ask()]
        alone = [one.ask(), one.ask()]
        for trial in (*trials[::-1], *alone[::-1]):
            assert trial is not None
            train(trial)
    assert two[0].ask() is two[1].ask() is one.ask() is None
    for search in (*two, one):
        search.close()
    records = [read_experiment(tmp_path / name / "ask-tell") for name in ("one", "two")]
    assert told(records[0]) == told(records[1])
    assert len({json.dumps(trial.params, sort_keys=True) for trial in records[0].trials}) == 12
    assert records[1].closing == "finished"


class TestEndings:
    @pytest.mark.parametrize(
        ("end", "outcome", "reason"),
        [
            (lambda trial: trial.tell(0.5), Outcome.COMPLETE, None),
            (lambda trial: trial.tell({"val/loss": 0.5, "val/accuracy": 0.9}), Outcome.COMPLETE, None),
            (lambda trial: trial.tell(math.nan), Outcome.DIVERGED, "val/loss became nan"),
            (lambda trial: trial.report(3, math.inf), Outcome.DIVERGED, "val/loss became inf at step 3"),
            (lambda trial: trial.fail("no such layer"), Outcome.FAILED, "no such layer"),
            (lambda trial: trial.fail("too large", outcome="out_of_memory"), Outcome.OUT_OF_MEMORY, "too large"),
        ],
    )
    def test_every_ending_is_an_outcome(
        self, end: Callable[[AskedTrial], object], outcome: Outcome, reason: str | None, tmp_path: Path
    ) -> None:
        with opened(tmp_path) as search:
            trial = search.ask()
            assert trial is not None
            end(trial)
            assert trial.tell(0.1) is trial.fail("too late") is outcome  # what has ended stays as it is
            assert trial.report(9, 0.1) is False
        (record,) = read_experiment(search.folder).trials
        assert (record.outcome, record.reason) == (outcome, reason)
        assert record.value == (0.5 if outcome is Outcome.COMPLETE else None)
        assert record.history == (((1, 0.5),) if outcome is Outcome.COMPLETE else ())

    def test_what_is_told_counts_more_than_the_reports(self, tmp_path: Path) -> None:
        with opened(tmp_path, pruner="none") as search:
            trial = search.ask()
            assert trial is not None
            assert trial.report(1, 0.7)
            assert trial.report(2, {"val/loss": 0.6, "val/accuracy": 0.5})
            trial.tell(0.65)
        (record,) = read_experiment(search.folder).trials
        assert (record.value, record.step, record.history) == (0.65, 2, ((1, 0.7), (2, 0.6)))
        assert [row.get("val/accuracy") for row in read_metrics(search.folder, record.run)] == [None, 0.5]

    @pytest.mark.parametrize(
        ("do", "words"),
        [
            (lambda trial: trial.tell(), "trial 0 has reported nothing: tell its value, or why it has failed"),
            (lambda trial: trial.tell("0.5"), "trial 0: the metric val/loss is not a number but a str: '0.5'"),
            (lambda trial: trial.tell({"loss": 1}), "trial 0: val/loss is missing among loss"),
            (lambda trial: trial.report(-1, 0.5), "step is -1: expected a whole number from 0 on"),
            (lambda trial: trial.report(0.5, 0.5), "step is 0.5: expected a whole number from 0 on"),
            (
                lambda trial: trial.fail("x", outcome="lost"),
                "outcome is 'lost': expected one of failed, diverged, out_",
            ),
        ],
    )
    def test_mistakes_are_told_and_change_nothing(
        self, do: Callable[[AskedTrial], object], words: str, tmp_path: Path
    ) -> None:
        with opened(tmp_path) as search:
            trial = search.ask()
            assert trial is not None
            before = (search.folder / "log.jsonl").read_bytes()
            with pytest.raises(HpsearchError, match=words):
                do(trial)
            assert (search.folder / "log.jsonl").read_bytes() == before
            assert trial.tell(0.5) is Outcome.COMPLETE


class TestLosses:
    def test_a_trial_that_was_left_comes_first_and_is_the_same(self, tmp_path: Path) -> None:
        with opened(tmp_path) as search:
            left = search.ask()
            assert left is not None
            left.report(1, 0.5)
        with opened(tmp_path) as again:
            trial = again.ask()
            assert trial is not None
            assert (trial.number, trial.params, trial.seed) == (0, left.params, left.seed)
            assert trial.attempt == 2
            with pytest.raises(HpsearchError, match=r"the search in .* is closed here"):
                left.report(2, 0.4)
            trial.report(1, 0.9)  # the first value of a step stays, as after every resume
            trial.tell()
        (record,) = read_experiment(search.folder).trials
        assert (record.history, record.attempts) == (((1, 0.5),), 2)

    def test_a_line_that_a_killed_process_could_not_finish_is_dropped(self, tmp_path: Path) -> None:
        search, other = opened(tmp_path), opened(tmp_path)
        search.ask()
        with (search.folder / "log.jsonl").open("ab") as log:
            log.write(b'{"event":"ask","run":"trials/00')
        trial = other.ask()
        assert trial is not None
        assert trial.number == 1
        trial.tell(1.0)
        assert search.ask().number == 2  # type: ignore[union-attr]
        search.close()
        other.close()
        assert read_experiment(search.folder).warnings == ()

    def test_an_operation_that_breaks_off_is_read_again(self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        search = opened(tmp_path / "broken", sampler={"tpe": {"startup": 2}})
        whole = opened(tmp_path / "whole", sampler={"tpe": {"startup": 2}})
        for number in range(6):
            trial = search.ask()
            assert trial is not None
            with monkeypatch.context() as patched:
                patched.setattr(search._brain, "tell", _interrupted)
                with pytest.raises(KeyboardInterrupt):
                    trial.tell(float(number))
            other = whole.ask()
            assert other is not None
            other.tell(float(number))
        search.close()
        whole.close()
        records = [read_experiment(tmp_path / name / "ask-tell") for name in ("broken", "whole")]
        assert told(records[0]) == told(records[1])

    @pytest.mark.slow
    def test_kill_9_loses_a_trial_which_comes_again_until_its_retries_are_used(self, tmp_path: Path) -> None:
        program = (
            "import os, signal, sys, hpsearch\n"
            f"search = hpsearch.ask_tell({RANGES!r}, root=sys.argv[1], search={{'retries': 1}}, **{ASKED!r})\n"
            "trial = search.ask()\n"
            "trial.report(trial.attempt, 1.0)\n"
            "os.kill(os.getpid(), signal.SIGKILL)\n"
        )
        for _ in range(2):
            ended = subprocess.run([sys.executable, "-c", program, str(tmp_path)], check=False)
            assert ended.returncode == -signal.SIGKILL
        folder = tmp_path / "ask-tell"
        assert state_of(folder) == "killed"
        with opened(tmp_path, search={"retries": 1}) as search:
            trial = search.ask()
            assert trial is not None
            assert trial.number == 1
            assert state_of(folder) == "running"
            trial.tell(0.5)
        lost, whole = read_experiment(folder).trials
        assert (lost.outcome, lost.attempts) == (Outcome.LOST, 2)
        assert lost.reason == "the program that asked for it has ended, 2 times"
        assert whole.outcome is Outcome.COMPLETE
        assert [each["event"] for each in read_log(folder / "log.jsonl")].count("lost") == 1
        assert list((folder / "askers").iterdir()) == []

    @pytest.mark.slow
    def test_processes_that_were_forked_off_share_a_search(self, tmp_path: Path) -> None:
        """The first child is killed with a trial, which another process trains; the second trains with the parent."""
        program = (
            "import os, signal, sys, hpsearch\n"
            f"search = hpsearch.ask_tell({RANGES!r}, root=sys.argv[1], trials=16, pruner='none', **{ASKED!r})\n"
            "if (child := os.fork()) == 0:\n"
            "    search.ask()\n"
            "    os.kill(os.getpid(), signal.SIGKILL)\n"
            "os.waitpid(child, 0)\n"
            "child = os.fork()\n"
            "for trial in search:\n"
            "    for epoch in range(1, 4):\n"
            "        assert trial.report(epoch, trial.config.lr / epoch)\n"
            "    trial.tell()\n"
            "search.close()\n"
            "assert child == 0 or os.waitpid(child, 0)[1] == 0\n"
        )
        subprocess.run([sys.executable, "-c", program, str(tmp_path)], check=True, timeout=300)
        record = read_experiment(tmp_path / "ask-tell")
        assert [trial.number for trial in record.trials] == [*range(16)]
        assert [(trial.outcome, len(trial.history)) for trial in record.trials] == [(Outcome.COMPLETE, 3)] * 16
        assert [trial.attempts for trial in record.trials] == [2, *[1] * 15]
        assert (record.closing, record.warnings) == ("finished", ())


def _interrupted(*_: object) -> None:
    raise KeyboardInterrupt


def test_it_hears_what_people_order(tmp_path: Path) -> None:
    search, other = opened(tmp_path, trials=2), opened(tmp_path, trials=2)
    first = search.ask()
    assert first is not None
    hpsearch.add(search, set={"lr": 0.05})
    hpsearch.stop(search, trial=0)
    assert first.report(1, 0.5) is False
    second = other.ask()
    assert second is not None
    assert second.params["lr"] == 0.05
    assert search.ask() is not None
    assert search.ask() is None  # two of the budget, and the one that was added
    hpsearch.budget(search, trials=9)
    assert other.ask() is not None
    hpsearch.stop(search)
    assert search.ask() is other.ask() is None
    with opened(tmp_path, trials=2) as late:  # the order is that of this session
        assert late.ask() is None
    search.close()
    other.close()
    with opened(tmp_path, trials=2) as again:  # the budget that was ordered holds; the order to stop was for then
        numbers = [trial.number for trial in again if trial.tell(0.5)]
    assert numbers == [*range(1, 10)]
    assert [each.outcome for each in read_experiment(again.folder).trials] == [Outcome.STOPPED, *[Outcome.COMPLETE] * 9]


@pytest.mark.parametrize("outcome", ["complete", "lost", ["failed"], {}, None])
def test_an_outcome_that_is_none_is_a_sentence(outcome: Any, tmp_path: Path) -> None:
    with opened(tmp_path) as search:
        trial = search.ask()
        assert trial is not None
        with pytest.raises(HpsearchError, match="expected one of failed, "):
            trial.fail("no room", outcome=outcome)


def test_what_was_not_written_is_not_known_either(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The folder may be another machine's when a trial is to be written down: the search then begins with the log."""
    with opened(tmp_path / "whole") as search:
        whole = [trial.params for trial in search if trial.tell(trial.params["lr"])]
    with opened(tmp_path / "cut") as search:
        refused = [False, True]

        def check(_: object) -> None:
            if refused and refused.pop():
                raise ExperimentBusyError("another machine has it")

        monkeypatch.setattr(Lease, "check", check)
        with pytest.raises(ExperimentBusyError):
            search.ask()
        assert [trial.params for trial in search if trial.tell(trial.params["lr"])] == whole


def test_the_end_is_heard_also_while_the_search_rests(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(asking, "_PAUSED_LOOK", 0.01)
    with opened(tmp_path) as search, opened(tmp_path) as other, ThreadPoolExecutor() as pool:
        hpsearch.pause(search)
        waiting = [pool.submit(each.ask) for each in (search, other)]
        try:
            assert not wait(waiting, timeout=0.2).done
            hpsearch.stop(search)
            assert not wait(waiting, timeout=10).not_done
        finally:
            if not all(each.done() for each in waiting):
                hpsearch.resume(search)
        assert [each.result() for each in waiting] == [None, None]
        assert search.ask() is other.ask() is None
    assert read_experiment(search.folder).trials == ()


class TestFolder:
    def test_what_it_leaves_is_an_experiment(self, tmp_path: Path) -> None:
        with opened(tmp_path, start=[{"lr": 0.01, "width": 8}]) as search:
            for trial in search:
                assert Path(trial.folder, "config.json").is_file()
                train(trial)
        experiment = hpsearch.open(search)
        assert experiment.best is not None
        assert experiment.best.params == {"lr": 0.01, "width": 8}
        assert {trial.outcome for trial in experiment.record.trials} == {Outcome.COMPLETE, Outcome.PRUNED}
        assert state_of(search.folder) == "finished"
        found = hpsearch.doctor([search.folder])
        assert found.healthy, found.lines()

    def test_a_budget_can_grow(self, tmp_path: Path) -> None:
        for trials in (2, 4):
            with opened(tmp_path, trials=trials) as search:
                for trial in search:
                    trial.tell(1.0)
        assert len(read_experiment(search.folder).trials) == 4
        assert not list(search.folder.glob("resolved-*.json"))

    def test_nobody_else_trains_what_a_program_has(self, tmp_path: Path) -> None:
        file = write_space(tmp_path)
        with hpsearch.ask_tell(file, root=tmp_path, quiet=True) as search:
            trial = search.ask()
            assert trial is not None
            assert trial.config.model.start == trial.params["model.start"]
            with pytest.raises(ExperimentBusyError, match=r"a program asks .* for trials and trains them"):
                hpsearch.run(file, root=tmp_path, in_process=True, mlflow=False, quiet=True)
            with pytest.raises(ExperimentBusyError, match=r"with another space .*train.epochs: 3 -> 4"):
                hpsearch.ask_tell(file, root=tmp_path, quiet=True, set={"train.epochs": 4})
            trial.tell(0.25)

    def test_what_hpsearch_cannot_train_is_said(self, tmp_path: Path) -> None:
        with opened(tmp_path) as search:
            for trial in search:
                trial.tell(1.0)
        with pytest.raises(HpsearchError, match="external is trained by the program that asks"):
            hpsearch.confirm(search.folder, in_process=True, mlflow=False, quiet=True)
        assert read_experiment(search.folder).replicates == ()

    def test_the_winner_of_a_family_is_confirmed(self, tmp_path: Path) -> None:
        with hpsearch.ask_tell(write_space(tmp_path, trials=2), root=tmp_path, quiet=True) as search:
            for trial in search:
                trial.tell(1.0 + trial.number)
        confirmed = hpsearch.confirm(search.folder, seeds=1, in_process=True, mlflow=False, quiet=True)
        assert [(each.number, each.outcome) for each in confirmed.record.replicates] == [(0, Outcome.COMPLETE)]

    @pytest.mark.parametrize(
        ("settings", "kind", "words"),
        [
            ({"pruner": "halving"}, HpsearchError, r"halving pauses trials .*; choose one that stops them"),
            ({"metric": None}, HpsearchError, "metric= is missing"),
            ({"space": {"lr": {"log": [1, -1]}}}, SpaceError, "lr: the lower bound 1 is not below"),
            ({"space": 3}, HpsearchError, "is no space"),
            ({"name": "a/b"}, ExperimentError, "cannot be the name"),
        ],
    )
    def test_mistakes_are_told_before_there_is_a_folder(
        self, settings: dict[str, Any], kind: type[Exception], words: str, tmp_path: Path
    ) -> None:
        with pytest.raises(kind, match=words):
            opened(tmp_path, **settings)
        assert [*tmp_path.iterdir()] == []
