import io
import threading
import time
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from rich.cells import cell_len
from rich.console import Console

from hpsearch.console.progress import LiveProgress, PlainProgress, make_progress
from hpsearch.console.search_state import SearchState, SearchTarget
from hpsearch.experiment.events import (
    AskEvent,
    BeginEvent,
    BudgetEvent,
    DropEvent,
    Event,
    HealthNotice,
    InterruptNotice,
    LostEvent,
    MomentNotice,
    OutcomeEvent,
    PauseNotice,
    TextNotice,
)
from hpsearch.experiment.layout import replicate_run, trial_run
from hpsearch.experiment.log import read_events
from hpsearch.records import Goal, Moment, Outcome
from tests.experiment_factory import GrowingExperiment

AIM = SearchTarget(metric="val/auc", goal=Goal.MAXIMIZE, budget=60, title="line", length=lambda _: 20, replicates=5)


class HandClock:
    def __init__(self) -> None:
        self.now = 1000.0

    def __call__(self) -> float:
        return self.now


def events_of(experiment: GrowingExperiment) -> list[Event]:
    return [event for event, _ in read_events(experiment.log.path)]


def terminal(width: int, height: int) -> Console:
    return Console(file=io.StringIO(), force_terminal=True, width=width, height=height, color_system=None)


def shown(progress: LiveProgress, *, width: int = 80, height: int = 24) -> list[str]:
    """The lines of the frame that the display would draw now, in a terminal of its size."""
    paper = Console(file=io.StringIO(), force_terminal=True, width=width, height=height, color_system=None)
    with paper.capture() as capture:
        paper.print(progress.frame())
    return [line.rstrip() for line in capture.get().splitlines()]


Grow = Callable[..., tuple[GrowingExperiment, LiveProgress]]


@pytest.fixture
def live(tmp_path: Path) -> Grow:
    def make(
        *, width: int = 80, height: int = 24, target: SearchTarget = AIM, **fields: Any
    ) -> tuple[GrowingExperiment, LiveProgress]:
        progress = LiveProgress(target, console=terminal(width, height), **fields)
        return GrowingExperiment(tmp_path / "line", observers=[progress]), progress

    return make


def test_the_best_trial_the_counts_and_the_budget(live: Grow) -> None:
    experiment, progress = live()
    experiment.trial(0, (0.5, 0.75), params={"train.learning_rate": 0.00031})
    experiment.trial(1, (0.9123456,), outcome=Outcome.PRUNED)
    experiment.trial(2, (0.6,), outcome=Outcome.OUT_OF_MEMORY, value=None, step=None)
    lines = shown(progress)
    assert lines[0] == "line · val/auc (maximize)"
    assert " 3/60 " in lines[1]
    assert lines[2] == "0 running · 1 complete · 1 pruned · 1 out of memory"
    assert lines[3] == "best: 0.75, trial 0 at epoch 2"
    assert lines[4].strip() == "learning_rate=3.1e-4"


def test_a_minimized_metric_has_its_lowest_value_as_best(live: Grow) -> None:
    experiment, progress = live(target=SearchTarget(metric="val/loss", goal=Goal.MINIMIZE, budget=3))
    experiment.trial(0, (0.5,))
    experiment.trial(1, (0.25,))
    experiment.trial(2, (float("nan"),))
    assert "best: 0.25, trial 1 at epoch 1" in shown(progress)


@pytest.mark.parametrize("width", [80, 60])
def test_sixteen_trials_with_long_parameters_fit_the_terminal(live: Grow, width: int) -> None:
    experiment, progress = live(width=width)
    params = {f"model.block{index}.an_uncommonly_long_name": "[red]x[/red]" * 3 for index in range(30)}
    experiment.trial(0, (0.5,), params=params)
    for number in range(1, 17):
        experiment.trial(number, (0.5,), params=params, outcome=None)
    lines = shown(progress, width=width)
    assert len(lines) < 24
    assert max(map(cell_len, lines)) <= width
    assert "… and 8 more" in lines
    assert any(line.split()[:3] == ["8", "1/20", "0.5"] for line in lines)
    assert not any(line.split()[:1] == ["9"] for line in lines)


def test_a_low_terminal_shows_fewer_trials(live: Grow) -> None:
    experiment, progress = live(height=10)
    for number in range(6):
        experiment.trial(number, (0.5,), outcome=None)
    lines = shown(progress, height=10)
    assert len(lines) < 10
    assert "… and 4 more" in lines


def test_values_are_no_markup_and_no_control_sequences(live: Grow) -> None:
    experiment, progress = live()
    experiment.trial(0, (0.5,), params={"model.width": "[red]\x1b[31mred\n[/red]"})
    experiment.trial(1, (), outcome=Outcome.FAILED, reason="KeyError: '[/bold]'\nat line 3", seconds=0.0)
    lines = shown(progress)
    assert any("width=[red] [31mred [/red]" in line for line in lines)
    assert "trial 1 failed: KeyError: '[/bold]' at line 3; traceback: trials/0001/output.log" in lines


def test_the_end_is_estimated_from_finished_trials_and_workers(live: Grow) -> None:
    clock = HandClock()
    target = SearchTarget(metric="val/auc", goal=Goal.MAXIMIZE, budget=10, workers=2)
    experiment, progress = live(target=target, clock=clock)
    experiment.ask(trial_run(0), 0, {})
    assert "— left" in shown(progress)[1]
    experiment.end(trial_run(0), Outcome.COMPLETE, (0.5,), seconds=30.0)
    experiment.trial(1, (0.5,), outcome=Outcome.PRUNED, seconds=10.0)
    assert "about 1 min 20 s left" in shown(progress)[1]  # 8 trials of 20 s on 2 workers
    experiment.ask(trial_run(2), 2, {})
    clock.now += 12
    assert "about 1 min 14 s left" in shown(progress)[1]


def test_time_left_counts_running_paused_and_confirming_work(live: Grow) -> None:
    target = SearchTarget(metric="val/auc", goal=Goal.MAXIMIZE, budget=3, workers=2, length=lambda _: 10, replicates=3)
    experiment, progress = live(target=target, clock=HandClock())
    experiment.trial(0, (0.5,), seconds=40.0)
    experiment.trial(1, (0.5,), outcome=Outcome.PRUNED, seconds=2.0)
    assert "about 1 min 41 s left" in shown(progress)[1]  # a trial of 21 s; 3 replicates of 40 s in two rounds
    experiment.ask(trial_run(2), 2, {})
    experiment.train(trial_run(2), (0.4, 0.4), seconds=6.0)
    assert "about 2 min 08 s left" in shown(progress)[1]  # 8 of its 10 epochs of 6 s, and the two rounds
    experiment.emit(PauseNotice(trial_run(2)))
    assert "about 2 min 08 s left" in shown(progress)[1]
    experiment.end(trial_run(2), Outcome.PRUNED, seconds=12.0)
    assert "about 1 min 20 s left" in shown(progress)[1]


def test_the_running_trials_count_where_pruned_ones_have_ended_first(live: Grow) -> None:
    clock = HandClock()
    target = SearchTarget(metric="val/auc", goal=Goal.MAXIMIZE, budget=2, workers=2)
    experiment, progress = live(target=target, clock=clock)
    experiment.trial(0, (0.5,), outcome=Outcome.PRUNED, seconds=2.0)
    experiment.ask(trial_run(1), 1, {})
    clock.now += 40.0  # of unknown length, and long over the mean
    assert "about 10.0 s left" in shown(progress)[1]
    experiment.end(trial_run(1), Outcome.COMPLETE, (0.5,), seconds=40.0)
    assert "left" not in shown(progress)[1]


def test_the_last_moment_is_no_number(live: Grow) -> None:
    clock = HandClock()
    target = SearchTarget(metric="val/auc", goal=Goal.MAXIMIZE, budget=1000, time=30.0)
    experiment, progress = live(target=target, clock=clock)
    experiment.trial(0, (0.5,), seconds=10.0)
    clock.now += 30.0
    assert "a moment left" in shown(progress)[1]


def test_a_running_trial_that_leads_is_named_until_one_is_complete(live: Grow) -> None:
    experiment, progress = live()
    assert "best: — (no trial is complete yet)" in shown(progress)
    experiment.trial(0, (0.4,), outcome=None)
    experiment.trial(1, (0.6,), outcome=None)
    assert "best: — yet; ahead: 0.6, trial 1 at epoch 1" in shown(progress)
    experiment.end(trial_run(1), Outcome.COMPLETE, (0.6,))
    experiment.trial(2, (0.7,), outcome=None)
    assert "best: 0.6, trial 1 at epoch 1; ahead of it: 0.7, trial 2 at epoch 1" in shown(progress)
    experiment.end(trial_run(2), Outcome.PRUNED)
    assert "best: 0.6, trial 1 at epoch 1" in shown(progress)


def test_before_anything_has_ended_the_running_trials_tell_the_time(live: Grow) -> None:
    target = SearchTarget(metric="val/auc", goal=Goal.MAXIMIZE, budget=4, workers=2, length=lambda _: 10)
    experiment, progress = live(target=target, clock=HandClock())
    experiment.ask(trial_run(0), 0, {})
    experiment.train(trial_run(0), (0.4,), seconds=3.0)
    assert "about 58.5 s left" in shown(progress)[1]  # 27 s of this one and 3 x 30 s, on two workers


def test_the_end_is_not_later_than_the_time_limit(live: Grow) -> None:
    target = SearchTarget(metric="val/auc", goal=Goal.MAXIMIZE, budget=1000, time=30.0)
    experiment, progress = live(target=target, clock=HandClock())
    experiment.trial(0, (0.5,), seconds=100.0)
    assert any(f"about {seconds} s left" in shown(progress)[1] for seconds in ("29.9", "30.0"))


def test_a_confirmation_uses_up_no_time_and_people_may_give_more() -> None:
    search = SearchState(SearchTarget(metric="loss", goal=Goal.MINIMIZE, budget=1000, time=100.0), clock=HandClock())

    def begin(run: str, number: int, elapsed: float, replicate: int | None = None) -> None:
        search.follow(AskEvent(run=run, number=number, params={}, seed=0, replicate=replicate, elapsed=elapsed))
        search.follow(BeginEvent(run=run, attempt=1, elapsed=elapsed))

    def end(run: str, elapsed: float) -> None:
        search.follow(OutcomeEvent(run=run, outcome=Outcome.COMPLETE, seconds=50.0, value=0.5, step=1, elapsed=elapsed))

    begin(trial_run(0), 0, 0.0)
    end(trial_run(0), 50.0)
    begin(replicate_run(0, 0), 0, 50.0, replicate=0)
    end(replicate_run(0, 0), 150.0)
    begin(trial_run(1), 1, 150.0)
    assert search.remaining == pytest.approx(50.0)
    search.follow(BudgetEvent(order="a", seconds=300.0, instead={"seconds": 100.0}, elapsed=150.0))
    assert search.remaining == pytest.approx(250.0)


def test_the_time_of_a_running_trial_goes_on_between_its_reports(live: Grow) -> None:
    clock = HandClock()
    experiment, progress = live(clock=clock)
    experiment.ask(trial_run(0), 0, {})
    experiment.train(trial_run(0), (0.4,), seconds=5.0)
    clock.now += 2.5
    assert any(line.split() == ["0", "1/20", "0.4", "7.5", "s"] for line in shown(progress))


def test_an_interrupt_says_what_happens_and_what_a_second_one_does(live: Grow) -> None:
    experiment, progress = live(width=60)
    experiment.trial(0, (0.5,), outcome=None)
    progress.observe(InterruptNotice())
    lines = shown(progress, width=60)
    assert "Interrupted: running trials save checkpoints, then stop." in lines
    assert "Press Ctrl-C again to stop now." in lines


def test_the_last_line_leaves_room_for_the_terminals_echo(live: Grow) -> None:
    experiment, progress = live(width=60)
    experiment.trial(0, (0.5,), outcome=None, params={"model.name": "x" * 200})
    progress.observe(TextNotice("y" * 200))
    assert shown(progress, width=60)[-1] == "Ctrl-C: save checkpoints and stop."
    progress.observe(InterruptNotice())
    assert len(shown(progress, width=60)[-1]) < 40


def test_the_confirmation_shows_its_replicates(live: Grow) -> None:
    experiment, progress = live()
    experiment.trial(7, (0.5,))
    experiment.replicate(7, 0, {"test/auc": 0.81})
    experiment.ask(replicate_run(7, 1), 7, {}, replicate=1)
    experiment.baseline("sloreta", {"test/auc": 0.6})
    lines = shown(progress)
    assert lines[0].endswith("confirming")
    assert " 1/5 " in lines[1]
    assert "replicate 0 of trial 7: test/auc 0.81" in lines
    assert "baseline sloreta: test/auc 0.6" in lines
    assert any(line.startswith("   1 of 7   0/20") for line in lines)


def test_the_terminal_gets_the_frame_and_its_cursor_back(tmp_path: Path) -> None:
    console = terminal(80, 24)
    with LiveProgress(AIM, console=console) as progress:
        GrowingExperiment(tmp_path / "line", observers=[progress]).trial(0, (0.75,))
    assert isinstance(console.file, io.StringIO)
    written = console.file.getvalue()
    assert "best: 0.75, trial 0 at epoch 1" in written
    assert written.rindex("\x1b[?25h") > written.rindex("\x1b[?25l")


def test_a_resumed_experiment_begins_with_its_counts(tmp_path: Path) -> None:
    experiment = GrowingExperiment(tmp_path / "line")
    experiment.trial(0, (0.5,))
    experiment.trial(1, (0.4,), outcome=Outcome.PRUNED)
    experiment.trial(2, (0.6,))
    experiment.trial(3, (0.7,), outcome=None)
    experiment.emit(DropEvent(run=trial_run(2), reason="a fixed setting has changed"))
    progress = LiveProgress(AIM, console=terminal(80, 24))
    progress.resume(experiment.log.state)
    lines = shown(progress)
    assert " 2/60 " in lines[1]
    assert lines[2] == "0 running · 1 complete · 1 pruned"
    assert "best: 0.5, trial 0 at epoch 1" in lines


def test_a_lost_trial_runs_no_longer_until_it_is_taken_up_again(live: Grow) -> None:
    experiment, progress = live()
    run = experiment.trial(0, (0.5,), outcome=None)
    experiment.emit(LostEvent(run=run, attempt=1, reason="killed by signal 9"))
    lines = shown(progress)
    assert lines[2] == "0 running"
    assert "trial 0 was lost (killed by signal 9); it goes on from its checkpoint" in lines
    experiment.emit(BeginEvent(run=run, attempt=2))
    assert shown(progress)[2] == "1 running"


def test_a_paused_trial_runs_no_longer_and_a_copy_has_its_new_parameters(live: Grow) -> None:
    experiment, progress = live(width=120)
    for number in (0, 1):
        run = experiment.trial(number, (0.5,), outcome=None, params={"train.learning_rate": 0.1 * (number + 1)})
        progress.observe(PauseNotice(run))
    assert shown(progress, width=120)[2] == "0 running"
    experiment.exploit(1, donor=0, step=1, params={"train.learning_rate": 0.08})
    experiment.emit(BeginEvent(run=run, attempt=2))
    lines = shown(progress, width=120)
    assert lines[2] == "1 running"
    assert any("learning_rate=0.08" in line for line in lines)


def test_the_last_frame_has_every_note_and_nothing_that_still_runs(live: Grow) -> None:
    experiment, progress = live()
    with progress:
        for number in range(5):
            experiment.trial(number, (), outcome=Outcome.FAILED, reason="why", seconds=0.0)
        experiment.trial(5, (0.5,), outcome=None)
        progress.observe(InterruptNotice())
        assert sum("failed: why" in line for line in shown(progress)) == 3
    lines = shown(progress)
    assert sum("failed: why" in line for line in lines) == 5
    assert not any("Ctrl-C" in line or "running" in line for line in lines)


def test_the_thread_that_draws_bears_observing_at_full_speed(live: Grow) -> None:
    experiment, progress = live()
    drawn = 0

    def draw() -> None:
        nonlocal drawn
        while not stop.is_set():
            progress.frame()
            drawn += 1

    stop, thread = threading.Event(), threading.Thread(target=draw)
    thread.start()
    for number in range(200):
        experiment.trial(number, (0.5,), params={f"parameter{number}": number})
    stop.set()
    thread.join()
    assert drawn > 0  # an exception in the thread fails the test: see filterwarnings in pyproject.toml


def test_what_is_wrong_with_a_training_is_one_line_the_newest(live: Grow) -> None:
    _, progress = live()
    before = len(shown(progress))
    for number in range(3):
        progress.observe(HealthNotice(f"trial {number}, divergence: " + "long " * 40))
    lines = shown(progress)
    assert len(lines) == before + 1
    assert [line[:20] for line in lines if "divergence" in line] == ["trial 2, divergence:"]


def test_what_is_wrong_with_a_training_is_a_line_in_a_pipe() -> None:
    stream = io.StringIO()
    PlainProgress(AIM, stream=stream).observe(HealthNotice("trial 2, divergence: NaN\nat step 3"))
    assert stream.getvalue() == "trial 2, divergence: NaN at step 3\n"


def test_lines_for_a_pipe(tmp_path: Path) -> None:
    stream = io.StringIO()
    progress = PlainProgress(AIM, stream=stream)
    experiment = GrowingExperiment(tmp_path / "line", observers=[progress])
    experiment.trial(0, (0.5, 0.91349, 0.7), params={"train.learning_rate": 3.1e-4, "model.width": 128}, seconds=14.2)
    experiment.trial(1, (0.6,), outcome=Outcome.PRUNED, params={"train.learning_rate": 1e-2, "model.width": 256})
    experiment.trial(2, (), outcome=Outcome.DIVERGED, reason="loss is nan\nat step 3", seconds=0.5, params={})
    experiment.replicate(0, 1, {"test/auc": 0.81})
    experiment.baseline("sloreta", {"test/auc": 0.6})
    progress.observe(TextNotice("one\n  two"))
    assert stream.getvalue().splitlines() == [
        "trial 0 complete: val/auc 0.9135 at epoch 2 (14.2 s) learning_rate=3.1e-4 width=128  best 0.9135 #0  [1/60]",
        "trial 1 pruned: val/auc 0.6 at epoch 1 (1.0 s) learning_rate=0.01 width=256  best 0.9135 #0  [2/60]",
        "trial 2 diverged: loss is nan at step 3 (0.5 s)  best 0.9135 #0  [3/60]",
        "replicate 1 of trial 0 complete: val/auc 0.5 at epoch 1; test/auc 0.81 (1.0 s)  [1/5]",
        "baseline sloreta: test/auc 0.6",
        "one",
        "two",
    ]


def test_a_resumed_pipe_says_where_it_goes_on(tmp_path: Path) -> None:
    experiment = GrowingExperiment(tmp_path / "line")
    experiment.trial(0, (0.5,))
    stream = io.StringIO()
    with PlainProgress(AIM, stream=stream) as progress:
        progress.resume(experiment.log.state)
        assert stream.getvalue() == "1 of 60 are done; best 0.5 #0\n"


class Interrupting(io.StringIO):
    """A stream in the middle of whose first line Ctrl-C is pressed, and the handler observes."""

    observe: Callable[[], None] | None = None

    def write(self, text: str) -> int:
        observe, self.observe = self.observe, None
        if observe is not None:
            observe()
        return super().write(text)


def test_ctrl_c_in_the_middle_of_a_line_is_told_after_it(tmp_path: Path) -> None:
    stream = Interrupting()
    progress = PlainProgress(AIM, stream=stream)
    experiment = GrowingExperiment(tmp_path / "line", observers=[progress])
    stream.observe = lambda: progress.observe(InterruptNotice())
    experiment.trial(0, (0.5,))
    first, second, _ = stream.getvalue().splitlines()
    assert first.startswith("trial 0 complete")
    assert second.startswith("Interrupted")


def test_a_closed_pipe_ends_no_search(tmp_path: Path) -> None:
    stream = io.StringIO()
    progress = PlainProgress(AIM, stream=stream)
    experiment = GrowingExperiment(tmp_path / "line", observers=[progress])
    stream.close()
    experiment.trial(0, (0.5,))
    assert experiment.record.best is not None


def test_the_console_decides_the_kind() -> None:
    assert isinstance(make_progress(AIM, console=terminal(80, 24)), LiveProgress)
    assert isinstance(make_progress(AIM, console=Console(file=io.StringIO())), PlainProgress)
    assert isinstance(make_progress(AIM, console=terminal(80, 24), quiet=True), PlainProgress)


AT = Moment(1200, 4000, epoch=0.3, loss=0.53219, learning_rate=1e-3, examples_per_second=832.4, seconds_left=130.0)
LOADING = Moment(3200, 10000, preparing="train data, frames simulated")
STEP_LINE = "step 1,200/4,000, 2 min left, loss 0.5322, rate 0.001, 832 examples/s"


def test_between_reports_a_line_says_how_far_each_training_is(live: Grow) -> None:
    experiment, progress = live()
    experiment.trial(0, (0.5,), outcome=None)
    experiment.trial(1, (), outcome=None)
    for number, moment in ((0, AT), (1, LOADING), (9, AT)):
        progress.observe(MomentNotice(trial_run(number), moment))
    lines = shown(progress)
    assert f"trial 0: {STEP_LINE}" in lines
    assert "trial 1: preparing train data, frames simulated: 3,200 of 10,000" in lines
    assert not any("trial 9" in line for line in lines)
    experiment.report(trial_run(0), 2, 0.6, value=0.6, at=2, seconds=2.0)
    assert not any(line.startswith("trial 0:") for line in shown(progress))
    progress.observe(PauseNotice(trial_run(1)))
    assert not any(line.startswith("trial 1:") for line in shown(progress))


def test_a_training_that_gives_no_sign_of_life_is_named(live: Grow) -> None:
    """One that tells moments is known to be silent; of any other only its file of life tells, if there is one."""
    clock, signs = HandClock(), {trial_run(2): time.time(), trial_run(3): time.time() - 3600.0}
    experiment, progress = live(clock=clock, target=replace(AIM, last_sign=signs.get))
    for number in range(4):
        experiment.trial(number, (), outcome=None)
    for number in (0, 2):
        progress.observe(MomentNotice(trial_run(number), AT))
    assert not any("no sign" in line for line in shown(progress))
    clock.now += 90.0
    lines = shown(progress)
    assert [line for line in lines if "no sign" in line] == [
        "trial 0: no sign of life for 1 min 30 s",
        "trial 3: no sign of life for 1 min 30 s",
    ]
    assert f"trial 2: {STEP_LINE}" in lines
    progress.observe(MomentNotice(trial_run(0), AT))
    assert f"trial 0: {STEP_LINE}" in shown(progress)


@pytest.mark.parametrize("height", [9, 10, 12, 14, 20])
def test_these_lines_never_push_the_frame_over_the_terminal(live: Grow, height: int) -> None:
    experiment, progress = live(height=height)
    for number in range(6):
        experiment.trial(number, (0.5,), outcome=None)
        progress.observe(MomentNotice(trial_run(number), AT))
    lines = shown(progress, height=height)
    assert len(lines) < height
    assert lines[-1] == "Ctrl-C: save checkpoints and stop."


def test_the_time_left_is_known_before_the_first_report(live: Grow) -> None:
    experiment, progress = live(target=replace(AIM, budget=1, workers=1, replicates=None))
    experiment.trial(0, (), outcome=None)
    assert "— left" in shown(progress)[1]
    progress.observe(MomentNotice(trial_run(0), AT))
    assert "about 2 min 10 s left" in shown(progress)[1]


def test_a_pipe_gets_such_a_line_now_and_then(tmp_path: Path) -> None:
    """Of one training each 15 seconds, of two each 30; never while they are short."""
    clock, stream = HandClock(), io.StringIO()
    progress = PlainProgress(AIM, stream=stream, clock=clock)
    experiment = GrowingExperiment(tmp_path / "line", observers=[progress])
    experiment.trial(0, (), outcome=None)

    def told(seconds: int, *numbers: int) -> int:
        before = stream.getvalue().count("\n")
        for _ in range(seconds):
            clock.now += 1.0
            for number in numbers:
                progress.observe(MomentNotice(trial_run(number), AT))
        return stream.getvalue().count("\n") - before

    assert told(15, 0) == 0
    assert told(1, 0) == 1
    assert stream.getvalue() == f"trial 0: {STEP_LINE}\n"
    assert told(45, 0) == 3
    experiment.trial(1, (), outcome=None)
    assert told(61, 0, 1) == 4
