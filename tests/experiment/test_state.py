"""The fold from events to the state of runs: what each event changes, and what it leaves alone."""

from pathlib import Path

import pytest

from hpsearch.experiment.events import (
    AddEvent,
    AdoptEvent,
    AskEvent,
    BeginEvent,
    BudgetEvent,
    DataEvent,
    DropEvent,
    EndEvent,
    Event,
    ExploitEvent,
    LostEvent,
    NoteEvent,
    OutcomeEvent,
    PauseEvent,
    RefuseEvent,
    ReportEvent,
    ResumeEvent,
    SessionEvent,
    StopEvent,
    UnknownEvent,
)
from hpsearch.experiment.layout import (
    BASELINES_RUN,
    RunKind,
    baseline_run,
    baselines_run,
    replicate_run,
    run_kind,
    trial_number,
    trial_run,
)
from hpsearch.experiment.state import ExperimentState, RunState
from hpsearch.records import Change, Fold, Note, Outcome
from tests.experiment_factory import GrowingExperiment

RUN, OTHER = trial_run(0), trial_run(1)


def after(*events: Event) -> ExperimentState:
    state = ExperimentState()
    for event in events:
        state.follow(event)
    return state


def ask(number: int, x: int = 1) -> AskEvent:
    return AskEvent(run=trial_run(number), number=number, params={"x": x}, seed=10 + number)


def report(run: str, step: int, metric: float) -> ReportEvent:
    return ReportEvent(run=run, step=step, metric=metric, value=metric, at=step, seconds=float(step))


def failed(mistake: str | None = None) -> OutcomeEvent:
    return OutcomeEvent(run=RUN, outcome=Outcome.FAILED, seconds=1.0, reason="no file", mistake=mistake)


def only(state: ExperimentState) -> RunState:
    (run,) = state.runs.values()
    return run


def test_a_step_that_is_told_again_has_its_last_value_in_its_old_place() -> None:
    run = only(after(ask(0), report(RUN, 1, 0.5), report(RUN, 2, 0.1), report(RUN, 1, 0.3)))
    assert list(run.history.items()) == [(1, 0.3), (2, 0.1)]
    assert (run.value, run.step, run.last) == (0.3, 1, (2, 0.1))


def test_attempts_and_losses_are_counted_and_nothing_else_changes() -> None:
    begun = (ask(0), BeginEvent(run=RUN, attempt=1, time=5.0), report(RUN, 1, 0.5))
    run = only(after(*begun, LostEvent(run=RUN, attempt=1, reason="killed"), BeginEvent(run=RUN, attempt=2, time=9.0)))
    assert (run.attempts, run.lost, run.begun_at, run.ended) == (2, 1, 5.0, False)
    assert run.history == {1: 0.5}


def test_a_run_that_could_not_begin_has_an_outcome_and_is_tried_again() -> None:
    run = only(after(ask(0), failed("start")))
    assert (run.outcome, run.mistake, run.ended) == (Outcome.FAILED, True, False)
    again = only(after(ask(0), report(RUN, 1, 0.5), failed("start"), ask(0)))
    assert again == RunState(RUN, RunKind.TRIAL, asked=True, number=0, first_params={"x": 1}, params={"x": 1}, seed=10)
    assert only(after(ask(0), failed())).ended


def test_a_copy_has_its_donors_training_and_keeps_its_own_number() -> None:
    trained = (ask(0, x=1), ask(1, x=2), report(RUN, 1, 0.5), report(OTHER, 1, 0.9))
    exploit = ExploitEvent(run=OTHER, number=1, step=1, donor=RUN, params={"x": 3})
    state = after(*trained, exploit, report(OTHER, 2, 0.4))
    copy, donor = state.runs[OTHER], state.runs[RUN]
    assert (copy.history, donor.history) == ({1: 0.5, 2: 0.4}, {1: 0.5})
    assert (copy.number, copy.seed, copy.params, copy.first_params) == (1, 10, {"x": 3}, {"x": 2})
    assert copy.changes == (Change(1, RUN, {"x": 1}, {"x": 3}),)


def test_a_dropped_trial_has_ended_and_an_adopted_one_has_other_parameters() -> None:
    assert only(after(ask(0), DropEvent(run=RUN, reason="x is gone"))).ended
    run = only(after(ask(0), AdoptEvent(run=RUN, params={"y": 2})))
    assert (run.params, run.first_params, run.ended) == ({"y": 2}, {"x": 1}, False)


def test_a_run_learns_from_the_data_of_its_session_unless_it_notes_others() -> None:
    data = (DataEvent(source="a"), ask(0), BeginEvent(run=RUN, attempt=1))
    assert only(after(*data)).data == "a"
    end = OutcomeEvent(run=RUN, outcome=Outcome.COMPLETE, seconds=1.0, data={"source": "b", "division": "d"})
    run = only(after(*data, end))
    assert (run.data, run.noted["division"]) == ("b", "d")


def test_seconds_of_confirmations_are_not_those_of_the_search() -> None:
    replicate = replicate_run(0, 1)
    state = after(
        SessionEvent(time=100.0, elapsed=1.0),
        AskEvent(run=RUN, number=0, params={}, seed=1, time=102.0, elapsed=3.0),
        AskEvent(run=replicate, number=0, params={}, seed=1, replicate=1, time=107.0, elapsed=8.0),
        UnknownEvent(content={"event": "merge", "run": replicate}, time=108.0, elapsed=9.0),
        EndEvent(why="time", time=109.0, elapsed=10.0),
    )
    assert (state.search_seconds, state.confirm_seconds, state.elapsed) == (4.0, 6.0, 10.0)
    assert (state.started, state.latest, state.count) == (100.0, 109.0, 5)
    assert isinstance(state.session, EndEvent)


def test_the_job_of_the_baselines_may_be_lost(tmp_path: Path) -> None:
    """It has no ask; a log with its loss used to be unreadable."""
    experiment = GrowingExperiment(tmp_path / "curves")
    experiment.trial(0, (0.5,))
    experiment.emit(LostEvent(run=BASELINES_RUN, attempt=1, reason="killed by signal 9"))
    experiment.emit(OutcomeEvent(run=BASELINES_RUN, outcome=Outcome.LOST, seconds=1.0, reason="killed, 3 times"))
    assert [trial.number for trial in experiment.record.trials] == [0]
    assert (experiment.record.replicates, experiment.record.baselines) == ((), ())
    assert list(experiment.log.state.of_kind(RunKind.BASELINE)) == []


@pytest.mark.parametrize(
    ("run", "kind"),
    [
        (trial_run(12345), RunKind.TRIAL),
        (replicate_run(7, 2), RunKind.REPLICATE),
        (replicate_run(7, Fold(5, 0, 3)), RunKind.REPLICATE),
        (baselines_run(None), RunKind.BASELINE),
        (baseline_run(baselines_run(Fold(5, 0, 3)), "knn:5"), RunKind.BASELINE),
    ],
)
def test_the_name_of_a_run_tells_its_kind(run: str, kind: RunKind) -> None:
    assert run_kind(run) is kind
    assert kind is not RunKind.TRIAL or trial_number(run) == 12345


def test_what_people_order_is_in_the_state_and_every_order_is_known() -> None:
    state = after(
        ask(0),
        StopEvent(order="a", run=RUN),
        NoteEvent(order="b", run=RUN, text="odd", time=7.0),
        NoteEvent(order="c", text="good", time=8.0),
        AddEvent(order="d", params={"x": 2}),
        BudgetEvent(order="e", trials=9, instead={"trials": 4}),
        BudgetEvent(order="f", seconds=60.0, instead={"seconds": None}),
        RefuseEvent(order="g", kind="add", reason="it is known"),
        PauseEvent(order="h"),
    )
    assert state.orders == {*"abcdefgh"}
    assert (only(state).told_to_stop, only(state).notes, state.notes) == (
        True,
        (Note(7.0, "odd"),),
        (Note(8.0, "good"),),
    )
    assert state.added == ({"x": 2},)
    assert (state.trials_of(4), state.trials_of(5)) == (10, 6)  # the space says another number since: that counts
    assert (state.time_of(None), state.time_of(30.0)) == (60.0, 30.0)
    assert state.paused
    for event in (ResumeEvent(order="i"), SessionEvent(), EndEvent(why="interrupted")):
        state.follow(PauseEvent(order="j"))
        state.follow(event)
        assert not state.paused


def test_a_note_outlives_that_its_run_is_asked_for_again() -> None:
    run = only(after(ask(0), NoteEvent(order="a", run=RUN, text="odd", time=7.0), failed("start"), ask(0)))
    assert run.notes == (Note(7.0, "odd"),)


@pytest.mark.parametrize("event", [StopEvent(order="a", run=OTHER), NoteEvent(order="a", run=OTHER, text="odd")])
def test_an_order_about_a_run_that_nobody_asked_for_does_not_fit(event: Event) -> None:
    assert after(ask(0)).misfit(event) == f"no line before it asks for the run {OTHER!r}"
