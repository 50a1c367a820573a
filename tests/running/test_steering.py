"""Orders of a person to a search: each is obeyed once, the log knows it, and nothing else changes.

The searches climb a hill (populations.py) in this process; an observer places the orders when the log says something.
"""

import shutil
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any

import pytest

import hpsearch
from hpsearch.experiment import orders
from hpsearch.experiment.events import (
    AddEvent,
    BudgetEvent,
    Event,
    NoteEvent,
    Notice,
    OrderEvent,
    PauseEvent,
    ReportEvent,
    ResumeEvent,
    StopEvent,
    TextNotice,
)
from hpsearch.experiment.layout import CHECKPOINT, ORDERS, trial_run
from hpsearch.experiment.orders import new_order, pending, place
from hpsearch.records import ExperimentRecord, Outcome, RunRecord
from hpsearch.running.earlier import prepare_experiment
from tests.running.populations import Camp
from tests.running.sessions import Terminal, check_files, count
from tests.toy_spaces import write_space

NONE, HALVING, AUTO = "none", "{halving: {reduction: 2}}", "auto"
PBT = "{pbt: {interval: 2}}"
Condition = Callable[[Event | Notice], bool]


class Person:
    """Places an order the first time that a condition holds."""

    def __init__(self, folder: Path, *plan: tuple[Condition, OrderEvent]) -> None:
        self._folder = folder
        self._plan = list(plan)

    def observe(self, event: Event | Notice) -> None:
        for entry in [entry for entry in self._plan if entry[0](event)]:
            self._plan.remove(entry)
            place(self._folder, entry[1])


class Listener:
    """Keeps what is said of files that are no orders."""

    def __init__(self, told: list[str]) -> None:
        self._told = told

    def observe(self, event: Event | Notice) -> None:
        if isinstance(event, TextNotice) and "is no order" in event.text:
            self._told.append(event.text)


@pytest.fixture(autouse=True)
def _attentive(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(orders, "LOOK_SECONDS", 0.0)


def reported(number: int, step: int) -> Condition:
    return lambda event: isinstance(event, ReportEvent) and (event.run, event.step) == (trial_run(number), step)


def obeyed(kind: type[OrderEvent]) -> Condition:
    return lambda event: isinstance(event, kind)


def stop(number: int | None = None) -> StopEvent:
    return StopEvent(order=new_order(), run=None if number is None else trial_run(number))


def add(**rates: float) -> AddEvent:
    return AddEvent(order=new_order(), params={f"rates.{name}": value for name, value in rates.items()})


def essence(trial: RunRecord) -> tuple[Any, ...]:
    return trial.run, dict(trial.params), trial.seed, trial.outcome, trial.value, trial.step, trial.history


def essences(record: ExperimentRecord) -> list[tuple[Any, ...]]:
    return [essence(trial) for trial in record.trials]


def steered(camp: Camp, *plan: tuple[Condition, OrderEvent]) -> ExperimentRecord:
    return camp.run(observers=[Person(camp.folder, *plan)])


def kinds(camp: Camp) -> list[str]:
    return [event["event"] for event in camp.events]


def test_a_stopped_trial_keeps_what_it_had_and_the_others_are_as_they_would_be(tmp_path: Path) -> None:
    free = Camp(tmp_path / "free", pruner=NONE).run()
    camp = Camp(tmp_path / "steered", pruner=NONE)
    record = steered(camp, (reported(1, 2), stop(1)))
    stopped = record.trials[1]
    assert (stopped.outcome, stopped.reason, stopped.step) == (Outcome.STOPPED, "by a person", 3)
    assert stopped.history == free.trials[1].history[:3]
    assert stopped.value == stopped.history[-1][1]
    assert [essence(record.trials[number]) for number in (0, 2, 3)] == [essences(free)[number] for number in (0, 2, 3)]
    assert not pending(camp.folder)
    assert essences(camp.run()) == essences(record)  # it is not tried again


@pytest.mark.parametrize("pruner", [NONE, HALVING, AUTO, PBT])
def test_a_search_comes_to_its_end_whoever_is_stopped_when(pruner: str, tmp_path: Path) -> None:
    for number in range(4):
        for step in (1, 2):
            camp = Camp(tmp_path / f"{number}-{step}", pruner=pruner, climb="{steps: 4}")
            record = steered(camp, (reported(3, step), stop(number)))
            outcomes = [trial.outcome for trial in record.trials]
            assert None not in outcomes
            refused = "refuse" in kinds(camp)
            assert refused or number == 3 or pruner != NONE
            assert (outcomes[number] is Outcome.STOPPED) is not refused, (number, step, outcomes)
            assert outcomes.count(Outcome.STOPPED) == (not refused)
            assert record.best is not None


def test_a_stop_that_was_written_before_a_kill_is_carried_out_by_the_next_session(tmp_path: Path) -> None:
    for pruner in (NONE, PBT):
        camp, order = Camp(tmp_path / pruner[1:4], pruner=pruner), stop(1)
        killed = Killed(camp.folder, (reported(1, 1), order))
        with pytest.raises(KillError):
            camp.run(observers=[killed])
        assert camp.record.trials[1].outcome is None
        place(camp.folder, order)  # as if the file had not been removed in time
        assert camp.run().trials[1].outcome is Outcome.STOPPED
        assert kinds(camp).count("stop") == 1
        assert not pending(camp.folder)


class KillError(Exception):
    pass


class Killed(Person):
    """Ends the session behind the event of its order, before that has followed."""

    def observe(self, event: Event | Notice) -> None:
        super().observe(event)
        if isinstance(event, OrderEvent):
            raise KillError


def test_an_added_configuration_is_tried_next_and_on_top(tmp_path: Path) -> None:
    free = Camp(tmp_path / "free", pruner=NONE).run()
    camp, order = Camp(tmp_path / "steered", pruner=NONE), add(first=0.25, second=0.5)
    record = steered(camp, (reported(1, 2), order))
    assert record.trials[2].params == order.params
    assert (len(record.trials), record.budget, record.added) == (5, 5, 1)
    assert essences(record)[:2] == essences(free)[:2]
    assert [event["start"] for event in camp.events if event["event"] == "ask"][2] == order.params
    assert essences(camp.run()) == essences(record)
    again = steered(Camp(tmp_path / "steered", pruner=NONE, trials=6), (reported(5, 1), add(first=0.25, second=0.5)))
    assert (len(again.trials), again.added) == (7, 1)  # six of the space, and the one; the second was refused
    assert [event["reason"] for event in camp.events if event["event"] == "refuse"] == ["trial 2 has these values"]


def test_what_an_added_configuration_leaves_open_the_sampler_fills_in(tmp_path: Path) -> None:
    camp = Camp(tmp_path, pruner=NONE)
    record = steered(camp, (reported(3, 6), add(first=0.125)))  # the budget is used up by then
    assert record.trials[4].params["rates.first"] == 0.125
    assert 0 <= record.trials[4].params["rates.second"] <= 1


@pytest.mark.parametrize(
    ("params", "reason"),
    [
        ({"rates.first": 2.0}, "rates.first: 2.0 is not in {float: [0.0, 1.0]"),
        ({"rates.third": 0.5}, "rates.third: is not a range of this space"),
    ],
)
def test_an_added_configuration_that_is_none_is_refused(params: dict[str, Any], reason: str, tmp_path: Path) -> None:
    camp = Camp(tmp_path, pruner=NONE)
    record = steered(camp, (reported(0, 1), AddEvent(order=new_order(), params=params)))
    assert (len(record.trials), record.added) == (4, 0)
    refused = next(event for event in camp.events if event["event"] == "refuse")
    assert reason in refused["reason"]
    assert refused["kind"] == "add"


def test_a_population_takes_a_member_while_it_is_being_formed_and_none_later(tmp_path: Path) -> None:
    early = steered(Camp(tmp_path / "early", pruner=PBT), (reported(1, 1), add(first=0.25, second=0.5)))
    assert [trial.outcome for trial in early.trials] == [Outcome.COMPLETE] * 5
    late = Camp(tmp_path / "late", pruner=PBT)
    assert len(steered(late, (reported(3, 1), add(first=0.25, second=0.5))).trials) == 4
    more = Camp(tmp_path / "more", pruner=PBT)
    order = BudgetEvent(order=new_order(), trials=6)
    assert len(steered(more, (reported(1, 1), order)).trials) == 4
    reasons = [[e["reason"] for e in camp.events if e["event"] == "refuse"] for camp in (late, more)]
    assert "have begun" in reasons[0][0]
    assert "as many as search.trials (4)" in reasons[1][0]


@pytest.mark.parametrize("pruner", [NONE, HALVING, AUTO, PBT])
def test_a_paused_search_goes_on_as_if_it_had_not_been(pruner: str, tmp_path: Path) -> None:
    free = Camp(tmp_path / "free", pruner=pruner).run()
    camp = Camp(tmp_path / "paused", pruner=pruner)
    pause, resume = PauseEvent(order=new_order()), ResumeEvent(order=new_order())
    record = steered(camp, (reported(2, 1), pause), (obeyed(PauseEvent), resume))
    assert essences(record) == essences(free)
    assert not record.paused
    at = [event["elapsed"] for event in camp.events if event["event"] in ("pause", "resume")]
    assert len(at) == 2
    paused = kinds(camp).index("pause")
    assert kinds(camp)[paused + 1] in ("report", "resume")  # the report in which it was heard, then nothing


def test_a_pause_ends_with_its_session_and_takes_no_time(tmp_path: Path) -> None:
    camp = Camp(tmp_path, pruner=NONE)
    pause = PauseEvent(order=new_order())
    record = steered(camp, (reported(1, 2), pause), (obeyed(PauseEvent), stop()))
    assert record.closing == "interrupted"
    assert not record.paused
    told = camp.events
    first, last = next(e for e in told if e["event"] == "pause"), told[-1]
    assert last["elapsed"] == first["elapsed"]
    assert essences(camp.run()) == essences(Camp(tmp_path / "free", pruner=NONE).run())


def test_the_whole_search_ends_gracefully_and_goes_on(tmp_path: Path) -> None:
    camp = Camp(tmp_path / "steered", pruner=NONE)
    record = steered(camp, (reported(1, 2), stop()))
    assert record.closing == "interrupted"
    assert record.trials[1].outcome is None
    assert essences(camp.run()) == essences(Camp(tmp_path / "free", pruner=NONE).run())


def test_an_end_that_is_ordered_while_a_session_is_opened_is_its_end(tmp_path: Path) -> None:
    camp = Camp(tmp_path / "steered", pruner=NONE)
    prepare_experiment(camp.space, camp.folder)
    place(camp.folder, stop())
    record = camp.run()
    assert (record.closing, record.trials) == ("interrupted", ())
    assert kinds(camp) == ["session", "stop", "end"]
    assert essences(camp.run()) == essences(Camp(tmp_path / "free", pruner=NONE).run())


def test_another_budget_holds_until_the_space_says_another(tmp_path: Path) -> None:
    order = BudgetEvent(order=new_order(), trials=6, instead={"trials": 4})
    camp = Camp(tmp_path, pruner=NONE)
    assert (len(steered(camp, (reported(0, 1), order)).trials), camp.record.budget) == (6, 6)
    assert len(camp.run().trials) == 6
    other = Camp(tmp_path, pruner=NONE, trials=8).run()
    assert (len(other.trials), other.budget) == (8, 8)
    back = Camp(tmp_path, pruner=NONE).run()  # the order was overtaken
    assert (len(back.trials), back.budget) == (8, 4)
    fewer = BudgetEvent(order=new_order(), trials=1, instead={"trials": 4})
    less = steered(Camp(tmp_path / "less", pruner=NONE), (reported(1, 1), fewer))
    assert [trial.outcome for trial in less.trials] == [Outcome.COMPLETE] * 2  # what has begun comes to its end


def test_a_time_that_is_used_up_ends_the_search_and_a_longer_one_goes_on(tmp_path: Path) -> None:
    camp = Camp(tmp_path, pruner=NONE)
    short = BudgetEvent(order=new_order(), seconds=1e-6, instead={"seconds": None})
    assert steered(camp, (reported(1, 2), short)).trials[-1].outcome is None
    assert camp.events[-1]["why"] == "time"
    place(camp.folder, BudgetEvent(order=new_order(), seconds=3600.0, instead={"seconds": None}))
    assert [trial.outcome for trial in camp.run().trials] == [Outcome.COMPLETE] * 4


def test_notes_are_kept_with_their_runs(tmp_path: Path) -> None:
    camp = Camp(tmp_path, pruner=NONE)
    own, general = NoteEvent(order=new_order(), run=trial_run(1), text="odd"), NoteEvent(order=new_order(), text="good")
    record = steered(camp, (reported(1, 2), own), (reported(2, 2), general))
    assert [[note.text for note in trial.notes] for trial in record.trials] == [[], ["odd"], [], []]
    assert [note.text for note in record.notes] == ["good"]


def test_what_is_no_order_is_said_and_removed(tmp_path: Path) -> None:
    camp = Camp(tmp_path, pruner=NONE)
    steered(camp, (reported(1, 2), stop()))
    for name, text in (("1-a.json", "{"), ("2-b.json", '{"event": "stop"}'), ("3-c.json", '{"event": "ask"}')):
        (camp.folder / ORDERS / name).write_text(text)
    (camp.folder / ORDERS / ".4-d.json.1.tmp").write_text("{")
    (camp.folder / ORDERS / "5-e.json").mkdir()  # which is not removed, and is said once
    told: list[str] = []
    record = camp.run(observers=[Listener(told)])
    assert [trial.outcome for trial in record.trials] == [Outcome.COMPLETE] * 4
    assert sorted(path.name for path in (camp.folder / ORDERS).iterdir()) == [".4-d.json.1.tmp", "5-e.json"]
    assert [text.rpartition("; ")[2] for text in told] == [*["removed"] * 3, "it cannot be removed"]


@pytest.mark.parametrize("run", ["confirm/0000/seed-000", "trials/abc", "", "trials/0009", "trials/\u00b2"])
def test_an_order_to_stop_what_is_no_trial_is_refused_and_the_search_goes_on(run: str, tmp_path: Path) -> None:
    camp = Camp(tmp_path, pruner=NONE)
    record = steered(camp, (reported(1, 2), StopEvent(order=new_order(), run=run)))
    assert [trial.outcome for trial in record.trials] == [Outcome.COMPLETE] * 4
    assert kinds(camp).count("refuse") == 1
    assert record.closing == "finished"


def everything() -> Iterable[OrderEvent]:
    yield add(first=0.25, second=0.5)
    yield NoteEvent(order="1" * 32, text="before")
    yield BudgetEvent(order="2" * 32, trials=5, instead={"trials": 4})
    yield StopEvent(order="3" * 32, run=trial_run(0))


@pytest.mark.slow
def test_killed_behind_any_event_every_order_is_obeyed_once(tmp_path: Path) -> None:
    first = Camp(tmp_path / "first", pruner=AUTO, climb="{steps: 3}")
    steered(first, (reported(0, 1), stop()))
    shutil.rmtree(first.folder / ORDERS)

    def laid(name: str) -> Camp:
        shutil.copytree(tmp_path / "first", tmp_path / name)
        camp = Camp(tmp_path / name, pruner=AUTO, climb="{steps: 3}")
        for order in everything():
            place(camp.folder, order)
        return camp

    whole = laid("whole")
    whole.run()
    length = len(whole.events) - len(first.events)
    assert {"add", "note", "budget", "stop"} <= {*kinds(whole)}
    assert len(whole.record.trials) == 6
    for event in (*range(1, 8), *range(8, length, 8)):  # the orders are obeyed first
        camp = laid(f"killed-{event}")
        assert camp.run_until(event=event) != 0
        camp.run()
        assert essences(camp.record) == essences(whole.record), event
        assert [kinds(camp).count(kind) for kind in ("add", "note", "budget", "stop")] == [1, 1, 1, 2]
        assert not pending(camp.folder)
        shutil.rmtree(tmp_path / f"killed-{event}")


def test_a_stopped_trial_keeps_its_checkpoint(tmp_path: Path) -> None:
    camp = Camp(tmp_path, pruner=NONE)
    steered(camp, (reported(1, 2), stop(1)))
    assert (camp.folder / trial_run(1) / CHECKPOINT).exists()


@pytest.mark.slow
def test_a_trial_is_stopped_and_one_added_while_workers_train_and_a_kill_forgets_nothing(terminal: Terminal) -> None:
    write_space(terminal.folder, data="data: {seconds: 0.5}", trials=3, workers=2, epochs=6, rate="{log: [1e-3, 0.1]}")
    command = terminal.start("--workers", "2", "--no-confirm", in_process=False)
    terminal.wait_for(count("report", 1, "trials/0001"), command)
    stopping = hpsearch.stop(terminal.experiment, trial=1)
    terminal.wait_for(lambda events: any(event.get("outcome") == "stopped" for event in events), command)
    values = {"train.learning_rate": 0.05, "model.width": 3}
    adding = hpsearch.add(terminal.experiment, set=values)
    terminal.wait_for(count("add", 1), command)
    waiting = hpsearch.note(terminal.experiment, "before the kill", trial=0)
    command.kill()
    terminal.wait_until_alone()
    terminal.run("--workers", "2", "--no-confirm", in_process=False)
    told = terminal.events
    for placed, kind in ((stopping, "stop"), (adding, "add"), (waiting, "note")):
        assert [event["event"] for event in told if event.get("order") == placed.order] == [kind]
    record = terminal.record
    assert len(record.trials) == 4
    stopped = record.trials[1]
    assert (stopped.outcome, stopped.reason) == (Outcome.STOPPED, "by a person")
    assert stopped.value == min(metric for _, metric in stopped.history)
    assert stopped.history[-1][0] < 6
    assert [trial.outcome for trial in record.trials].count(Outcome.COMPLETE) == 3
    assert [{name: trial.params[name] for name in values} for trial in record.trials].count(values) == 1
    assert [note.text for note in record.trials[0].notes] == ["before the kill"]
    check_files(terminal.experiment)
