"""Killed at any moment and run again, an experiment is the one that was never broken (design.md 6.2, 6.3)."""

import os
import signal
import subprocess
import sys
from collections.abc import Callable

import pytest

from hpsearch.experiment.layout import CHECKPOINT, CONFIG, LOG, METRICS
from hpsearch.experiment.reading import read_experiment
from hpsearch.records import Outcome
from tests.logs import Line, read_log
from tests.running.sessions import MARK, REPOSITORY, Terminal, check_files, count, essence
from tests.running.unbroken import SEARCH, Whole
from tests.toy_spaces import write_space

SLOWLY = "data: {seconds: 0.15}"


def check_same(terminal: Terminal, whole: Whole) -> None:
    assert essence(terminal.experiment) == whole.essence
    check_files(terminal.experiment)
    assert not [*terminal.experiment.rglob("*.tmp")]


def break_and_go_on(terminal: Terminal, whole: Whole, **blow: int) -> None:
    write_space(terminal.folder, **SEARCH)
    terminal.run(status=-signal.SIGKILL, **blow)
    terminal.run()
    check_same(terminal, whole)


@pytest.mark.parametrize("share", [0.8])
def test_killed_at_a_moment(share: float, terminal: Terminal, whole: Whole) -> None:
    break_and_go_on(terminal, whole, moment=int(share * whole.moments))


@pytest.mark.slow
@pytest.mark.parametrize("share", [number / 25 + 0.01 for number in range(25)])
def test_killed_at_many_moments(share: float, terminal: Terminal, whole: Whole) -> None:
    break_and_go_on(terminal, whole, moment=int(share * whole.moments))


@pytest.mark.slow
@pytest.mark.parametrize("every", [4, 7])
def test_killed_again_and_again(every: int, terminal: Terminal, whole: Whole) -> None:
    write_space(terminal.folder, **SEARCH)
    deaths = 0
    while (command := terminal.start(event=every)).wait() == -signal.SIGKILL:
        deaths += 1
        assert deaths < 60, "no progress between two deaths"
    assert deaths > 2, command.output
    check_same(terminal, whole)


def test_a_trial_is_pruned_although_the_search_was_killed_before_it_heard_so(terminal: Terminal, whole: Whole) -> None:
    pruned = next(event for event in whole.events if event.get("outcome") == Outcome.PRUNED and event["step"] > 1)
    indices = [index for index, event in enumerate(whole.events, start=1) if event.get("run") == pruned["run"]]
    assert [whole.events[index - 1]["event"] for index in indices[-2:]] == ["report", "outcome"]
    break_and_go_on(terminal, whole, event=indices[-2])


MOMENTS: dict[str, Callable[[Line], bool]] = {
    "before anything": lambda event: event["event"] == "session",
    "between decision and beginning": lambda event: event["event"] == "ask",
    "before the first report": lambda event: event["event"] == "begin",
    "in the middle of a trial": lambda event: event["event"] == "report" and event["step"] == 2,
    "at the end of a trial, before its outcome": lambda event: event["event"] == "report" and event["step"] == 4,
    "between two trials": lambda event: event["event"] == "outcome",
    "before the confirmation": lambda event: event.get("run") == "trials/0006" and event["event"] == "outcome",
    "in the middle of the confirmation": lambda event: event.get("replicate") == 1,
    "at the end of a replicate": lambda event: event.get("run", "")[:7] == "confirm" and event.get("step") == 4,
    "before the baselines' scores": lambda event: event.get("run", "").startswith("confirm/baselines"),
    "before the session is closed": lambda event: "outcome" in event and "baselines" in event["run"],
}
QUICK = ("in the middle of a trial", "at the end of a replicate")


@pytest.mark.parametrize(
    "moment", [pytest.param(moment, marks=[] if moment in QUICK else pytest.mark.slow) for moment in MOMENTS]
)
def test_killed_behind_an_event(moment: str, terminal: Terminal, whole: Whole) -> None:
    break_and_go_on(terminal, whole, event=whole.behind(MOMENTS[moment]))


@pytest.mark.slow
@pytest.mark.parametrize(
    ("kind", "number", "run"),
    [("begin", 1, ""), ("report", 2, "trials/0000"), ("outcome", 2, ""), ("report", 2, "confirm")],
)
def test_the_coordinator_is_killed_and_its_worker_goes_with_it(
    kind: str, number: int, run: str, terminal: Terminal, whole: Whole
) -> None:
    write_space(terminal.folder, data=SLOWLY, **SEARCH)
    command = terminal.start(in_process=False)
    terminal.wait_for(count(kind, number, run), command)
    terminal.until(terminal.children, command)  # it is started right behind the event
    command.kill()
    terminal.wait_until_alone()
    terminal.run(in_process=False)
    check_same(terminal, whole)


@pytest.mark.slow
def test_the_worker_is_killed_and_its_run_goes_on_from_the_checkpoint(terminal: Terminal, whole: Whole) -> None:
    write_space(terminal.folder, data="data: {seconds: 0.5}", **SEARCH)
    command = terminal.start(in_process=False)
    for losses, run in enumerate(["trials/0000", "confirm"], start=1):
        terminal.wait_for(count("report", 1, run), command)
        [worker] = terminal.workers()
        os.kill(worker, signal.SIGKILL)
        terminal.wait_for(count("lost", losses), command)
    assert command.wait() == 0, command.output
    check_same(terminal, whole)
    assert terminal.record.trials[0].attempts == 2
    resumed = [event for event in terminal.events if event.get("run") == "trials/0000" and event["event"] == "report"]
    assert [event["step"] for event in resumed] == [1, 2, 3, 4]


@pytest.mark.slow
def test_everything_is_killed_at_once(terminal: Terminal, whole: Whole) -> None:
    """The command itself this time, as a shell starts it."""
    write_space(terminal.folder, data=SLOWLY, **SEARCH)
    line = [sys.executable, "-m", "hpsearch", "run", "toy.yaml", "--no-mlflow"]
    environment = {**os.environ, MARK: terminal.mark, "PYTHONPATH": str(REPOSITORY)}
    with subprocess.Popen(line, cwd=terminal.folder, env=environment, start_new_session=True) as command:
        terminal.until(lambda: count("report", 3)(terminal.events) and terminal.workers())
        os.killpg(command.pid, signal.SIGKILL)
    terminal.wait_until_alone()
    done = subprocess.run(line, cwd=terminal.folder, env=environment, capture_output=True, text=True, check=True)
    assert "confirmation on fresh seeds" in done.stdout
    check_same(terminal, whole)


@pytest.mark.slow
def test_several_workers_lose_nothing_that_was_finished(terminal: Terminal) -> None:
    write_space(
        terminal.folder, **{**SEARCH, "workers": 2, "trials": 6, "pruner": "none"}, data="data: {seconds: 0.05}"
    )
    command = terminal.start(in_process=False)
    terminal.wait_for(count("outcome", 2), command)
    command.kill()
    terminal.wait_until_alone()
    before = {run["run"]: run for run in essence(terminal.experiment)["runs"] if run["outcome"]}
    asked = {event["run"]: event["params"] for event in terminal.events if event["event"] == "ask"}
    terminal.run("--no-confirm")
    after = {run["run"]: run for run in essence(terminal.experiment)["runs"]}
    assert before.items() <= after.items()
    assert {run: after[run]["params"] for run in asked} == asked
    assert [trial.outcome for trial in terminal.record.trials] == [Outcome.COMPLETE] * 6
    assert all([step for step, _ in trial.history] == [1, 2, 3, 4] for trial in terminal.record.trials)


TWO_METHODS = """
from tests.toy_family import Toy

class TwoMethods(Toy):
    '''A line, and two classical ways to fit it.'''

    def baselines(self, config, splits, split):
        [mean] = super().baselines(config, splits, split).values()
        return {"first": mean, "second": mean}
"""


@pytest.mark.parametrize("kind", ["ask", pytest.param("outcome", marks=pytest.mark.slow)])
def test_killed_between_two_baselines(kind: str, terminal: Terminal) -> None:
    path = write_space(terminal.folder, **{**SEARCH, "trials": 1, "more": "confirm: {top: 1, seeds: 1}"})
    (terminal.folder / "two.py").write_text(TWO_METHODS, encoding="utf-8")
    lines = path.read_text(encoding="utf-8").splitlines()
    path.write_text("\n".join(["family: ./two.py:TwoMethods", *lines[1:]]), encoding="utf-8")
    terminal.run("--name", "unbroken")
    unbroken = terminal.experiment.with_name("unbroken")
    events = [(event["event"], event.get("run")) for event in read_log(unbroken / LOG)]
    terminal.run(status=-signal.SIGKILL, event=events.index((kind, "confirm/baselines/first")) + 1)
    terminal.run()
    assert essence(terminal.experiment) == essence(unbroken)


# What a crash of the machine, rather than of a process, may have done to the files


def broken(terminal: Terminal, event: int) -> None:
    write_space(terminal.folder, **SEARCH)
    terminal.run(status=-signal.SIGKILL, event=event)


def test_torn_last_lines_are_repaired(terminal: Terminal, whole: Whole) -> None:
    broken(terminal, whole.behind(MOMENTS["in the middle of a trial"]))
    for path in (terminal.experiment / LOG, terminal.experiment / "trials/0000" / METRICS):
        path.write_bytes(path.read_bytes()[:-9])
    for half_written in ("trials/0000/.checkpoint.pt.99.tmp", ".resolved.json.99.tmp"):
        (terminal.experiment / half_written).touch()
    assert any("torn" in warning for warning in terminal.record.warnings)
    command = terminal.run()
    assert "the last line of the log was torn by a crash and has been dropped" in command.output
    check_same(terminal, whole)


def test_a_step_in_the_metrics_but_not_in_the_log_is_not_written_twice(terminal: Terminal, whole: Whole) -> None:
    broken(terminal, whole.behind(MOMENTS["in the middle of a trial"]))
    log = terminal.experiment / LOG
    log.write_bytes(b"".join(log.read_bytes().splitlines(keepends=True)[:-1]))
    assert len((terminal.experiment / "trials/0000" / METRICS).read_text(encoding="utf-8").splitlines()) == 2
    terminal.run()
    check_same(terminal, whole)


def test_lines_that_never_reached_the_disk_are_written_again(terminal: Terminal, whole: Whole) -> None:
    """Reports are not synced to the disk, checkpoints are: after a power failure the checkpoint is ahead of the log."""
    broken(terminal, whole.behind(MOMENTS["at the end of a trial, before its outcome"]))
    for path in (terminal.experiment / LOG, terminal.experiment / "trials/0000" / METRICS):
        path.write_bytes(b"".join(path.read_bytes().splitlines(keepends=True)[:-3]))
    terminal.run()
    check_same(terminal, whole)


@pytest.mark.parametrize("size", [pytest.param(0, marks=pytest.mark.slow), 1000])
def test_a_checkpoint_that_cannot_be_read_starts_its_trial_over(size: int, terminal: Terminal, whole: Whole) -> None:
    broken(terminal, whole.behind(MOMENTS["in the middle of a trial"]))
    (terminal.experiment / "trials/0000" / CHECKPOINT).write_bytes(bytes(size))
    terminal.run()
    check_same(terminal, whole)


def test_a_damaged_line_in_the_middle_of_the_log_destroys_nothing(terminal: Terminal, whole: Whole) -> None:
    """It costs itself: what stands behind it are finished trials, and it is left where it is."""
    broken(terminal, whole.behind(MOMENTS["before the confirmation"]))
    log, before = terminal.experiment / LOG, read_experiment(terminal.experiment).trials
    lines = log.read_bytes().splitlines(keepends=True)
    log.write_bytes(b"".join([*lines[:9], b"\0" * 20 + b"\n", *lines[10:]]))
    command = terminal.run()
    assert f"{LOG}: line 10 was left out: it is not JSON" in command.output
    assert log.read_bytes().splitlines(keepends=True)[: len(lines)] == [*lines[:9], b"\0" * 20 + b"\n", *lines[10:]]
    after = read_experiment(terminal.experiment).trials
    assert [(each.number, each.outcome, each.value) for each in after] == [
        (each.number, each.outcome, each.value) for each in before
    ]


def test_the_number_of_a_trial_whose_asking_was_lost_is_not_given_out_again(terminal: Terminal, whole: Whole) -> None:
    """Its folder stays as it is, and so do those of the others; another trial takes its place in the budget."""
    whole.lay(terminal)
    log, trials = terminal.experiment / LOG, terminal.experiment / "trials"
    for lost in (2, 6):
        lines = log.read_bytes().splitlines(keepends=True)
        ask = next(place for place, line in enumerate(lines) if b'"ask","run":"trials/%04d"' % lost in line)
        lines[ask] = lines[ask].replace(b'"params"', b'"qarams"')
        log.write_bytes(b"".join(lines))
    before = {path: path.read_bytes() for path in trials.rglob("*") if path.is_file()}
    terminal.run()
    assert {path: path.read_bytes() for path in before} == before
    assert [trial.number for trial in read_experiment(terminal.experiment).trials] == [0, 1, 3, 4, 5, 7, 8]
    assert len(list(trials.iterdir())) == 9


@pytest.mark.parametrize("torn", [False, pytest.param(True, marks=pytest.mark.slow)])
def test_a_training_that_the_log_knows_nothing_of_is_not_taken_for_another(
    torn: bool, terminal: Terminal, whole: Whole
) -> None:
    """The log lost its end with its disk's power; then the user added an entry to `start`, which is tried next."""
    broken(terminal, whole.behind(MOMENTS["at the end of a trial, before its outcome"]))
    log, trial = terminal.experiment / LOG, terminal.experiment / "trials/0000"
    log.write_bytes(log.read_bytes().splitlines(keepends=True)[0])
    if torn:
        (trial / CONFIG).write_bytes(b"")
    before = {path.name: path.read_bytes() for path in trial.iterdir()}
    changed = SEARCH | {"more": "start: [{model.start: 0.123}]", "trials": 1}
    write_space(terminal.folder, **changed)
    terminal.run()
    assert {path.name: path.read_bytes() for path in trial.iterdir()} == before
    [found] = read_experiment(terminal.experiment).trials
    assert (found.number, found.params["model.start"], found.outcome) == (1, 0.123, Outcome.COMPLETE)
