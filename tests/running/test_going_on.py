"""An experiment that goes on: with more trials, more time, or a space that has changed (design.md 6.3, 6.6)."""

import json
import time

import pytest

from tests.running.sessions import Terminal, essence
from tests.running.unbroken import SEARCH, Whole
from tests.toy_spaces import write_space


def check_gone_on(terminal: Terminal, whole: Whole) -> None:
    terminal.run()
    assert essence(terminal.experiment) == whole.essence


def test_more_trials_go_on_as_a_longer_search(terminal: Terminal, whole: Whole) -> None:
    write_space(terminal.folder, **SEARCH)
    terminal.run("--trials", "3", "--no-confirm")
    assert essence(terminal.experiment)["runs"] == whole.essence["runs"][:3]
    again = terminal.run("--trials", "3", "--no-confirm")
    assert "toy is finished: nothing was left to do. --trials 6 extends it" in again.output
    check_gone_on(terminal, whole)


def test_a_finished_experiment_is_left_alone(terminal: Terminal, whole: Whole) -> None:
    whole.lay(terminal)
    times = {path: path.stat().st_mtime_ns for path in terminal.experiment.glob("*/*/*")}
    again = terminal.run()
    assert "toy is finished: nothing was left to do. --trials 14 extends it, --name NAME starts another" in again.output
    assert {path: path.stat().st_mtime_ns for path in terminal.experiment.glob("*/*/*")} == times
    kinds = [event["event"] for event in terminal.events]
    assert kinds[-4:] == ["session", "end"] * 2 or kinds[-3:] == ["end", "session", "end"]


def test_fewer_trials_than_there_are_take_nothing_away(terminal: Terminal, whole: Whole) -> None:
    whole.lay(terminal)
    terminal.run("--trials", "2")
    assert essence(terminal.experiment) == whole.essence


@pytest.mark.slow
def test_the_time_is_a_budget_of_all_sessions_together(terminal: Terminal) -> None:
    write_space(terminal.folder, data="data: {seconds: 0.1}", **{**SEARCH, "trials": 500, "pruner": "none", "more": ""})
    first = terminal.run("--time", "2s")
    assert "trials unfinished); a larger --time goes on from here." in first.output
    ended = terminal.events[-1]
    assert (ended["event"], ended["why"]) == ("end", "time")
    assert ended["elapsed"] >= 2
    history = terminal.record.trials[-1].history
    time.sleep(2)
    again = terminal.run("--time", "2s")
    assert "The time is used up" in again.output
    begun = next(event for event in terminal.events[::-1] if event["event"] == "session")
    assert begun["elapsed"] - ended["elapsed"] <= begun["time"] - ended["time"] - 1.9  # the pause does not count
    assert terminal.record.trials[-1].history == history
    terminal.run("--time", "4s")
    assert terminal.record.elapsed >= 4


@pytest.mark.slow
def test_a_time_too_short_for_one_trial_says_so(terminal: Terminal, whole: Whole) -> None:
    write_space(terminal.folder, data="data: {seconds: 2}", **SEARCH)
    command = terminal.start("--time", "5s")
    assert command.wait() == 0, command.output
    assert "The time is used up (1 trials unfinished); a larger --time goes on from here." in command.output
    terminal.run("--trials", "1", "--no-confirm")
    assert essence(terminal.experiment)["runs"] == whole.essence["runs"][:1]


@pytest.mark.slow
def test_confirming_does_not_use_up_the_time_of_the_search(terminal: Terminal) -> None:
    write_space(terminal.folder, data="data: {seconds: 0.6}", **{**SEARCH, "trials": 1, "pruner": "none"})
    terminal.run("--time", "1h")
    searched = next(event for event in terminal.events[::-1] if event.get("run") == "trials/0000")["elapsed"]
    assert terminal.events[-1]["elapsed"] > searched + 4
    assert terminal.record.elapsed < searched + 3  # what the report says of the search is without it, too
    command = terminal.run("--time", f"{searched + 3.5:.1f}s", "--trials", "2")
    assert len(terminal.record.trials) == 2, command.output


# A changed space


def changed(terminal: Terminal, old: str, new: str) -> None:
    path = terminal.folder / "toy.yaml"
    text = path.read_text(encoding="utf-8")
    assert old in text
    path.write_text(text.replace(old, new), encoding="utf-8")


def test_a_changed_range_keeps_the_trials_that_fit(terminal: Terminal, whole: Whole) -> None:
    write_space(terminal.folder, **{**SEARCH, "more": ""})
    terminal.run()
    changed(terminal, "start: {float: [-1, 1]}", "start: {float: [0, 1]}")
    command = terminal.run("--trials", "9")
    assert "the space has changed since this experiment was begun" in command.output
    assert "model.start: {float: [-1.0, 1.0]} -> {float: [0.0, 1.0]}" in command.output
    kept = [run["run"] for run in whole.essence["runs"] if run["params"]["model.start"] >= 0 and "trials" in run["run"]]
    gone = {f"trials/{number:04d}" for number in range(7)} - set(kept)
    assert kept
    assert gone
    assert {event["run"] for event in terminal.events if event["event"] == "drop"} == gone
    record = terminal.record
    assert [trial.run for trial in record.trials if trial.number < 7] == kept
    assert [trial.number for trial in record.trials if trial.number >= 7] == [7, 8]
    assert record.warnings == (f"{len(gone)} earlier trials do not fit the changed space and are left out",)
    assert "not begun" not in command.output
    old = json.loads((terminal.experiment / "resolved-1.json").read_text(encoding="utf-8"))
    new = json.loads((terminal.experiment / "resolved.json").read_text(encoding="utf-8"))
    assert (old["space"]["model"]["start"], new["space"]["model"]["start"]) == ({"float": [-1, 1]}, {"float": [0, 1]})
    assert (old["id"], old["created"]) == (new["id"], new["created"])
    again = terminal.run("--trials", "9")
    assert "has changed" not in again.output
    assert sum(event["event"] == "drop" for event in terminal.events) == len(gone)


def test_a_budget_is_no_change_of_the_space(terminal: Terminal) -> None:
    write_space(terminal.folder, **SEARCH)
    terminal.run("--trials", "1", "--no-confirm")
    command = terminal.run("--trials", "2", "--time", "1h", "--workers", "2")
    assert "has changed" not in command.output
    assert not [*terminal.experiment.glob("resolved-*.json")]


def test_a_changed_fixed_setting_is_refused_and_destroys_nothing(terminal: Terminal, whole: Whole) -> None:
    whole.lay(terminal)
    files = {path: path.read_bytes() for path in terminal.experiment.rglob("*") if path.is_file()}
    refused = terminal.run("--set", "train.epochs=5", status=2)
    assert "no earlier trial in experiments/toy fits the changed space" in refused.output
    assert "--name" in refused.output
    assert "Traceback" not in refused.output
    assert essence(terminal.experiment) == whole.essence
    again = terminal.run()
    assert "toy is finished: nothing was left to do." in again.output
    assert essence(terminal.experiment) == whole.essence
    assert files[terminal.experiment / "space.yaml"] == (terminal.experiment / "space.yaml").read_bytes()


def test_values_of_another_objective_are_not_mixed_in(terminal: Terminal, whole: Whole) -> None:
    whole.lay(terminal)
    refused = terminal.run("--set", "objective.at=last", "--trials", "8", status=2)
    assert "is a search of another kind (objective.at: 'best' -> 'last'); choose another --name" in refused.output
    assert essence(terminal.experiment) == whole.essence


def test_a_refused_change_leaves_the_description_as_it_was(terminal: Terminal, whole: Whole) -> None:
    whole.lay(terminal)
    before = {path.name: path.read_bytes() for path in terminal.experiment.glob("*.json")}
    terminal.run("--set", "train.epochs=5", status=2)
    assert {path.name: path.read_bytes() for path in terminal.experiment.glob("*.json")} == before


def test_replicates_of_a_trial_that_was_dropped_are_dropped_with_it(terminal: Terminal) -> None:
    write_space(terminal.folder, **{**SEARCH, "pruner": "none", "trials": 4})
    terminal.run()
    best = terminal.record.best
    assert best is not None
    assert {replicate.number for replicate in terminal.record.replicates} == {best.number}
    start = best.params["model.start"]
    low, high = (-1, start - 0.01) if start > 0 else (start + 0.01, 1)
    changed(terminal, "start: {float: [-1, 1]}", f"start: {{float: [{low}, {high}]}}")
    terminal.run("--trials", "5")
    kept = {trial.number for trial in terminal.record.trials}
    assert best.number not in kept
    assert {replicate.number for replicate in terminal.record.replicates} <= kept


def test_a_folder_of_something_else_is_refused(terminal: Terminal) -> None:
    write_space(terminal.folder, **SEARCH)
    terminal.experiment.mkdir(parents=True)
    (terminal.experiment / "thesis.tex").touch()
    assert "exists and is no experiment; choose another --name" in terminal.run(status=2).output
    assert {path.name for path in terminal.experiment.iterdir()} <= {"thesis.tex", "lock", "lease-1"}


def test_the_value_of_a_trial_whose_folder_was_removed_counts(terminal: Terminal) -> None:
    write_space(terminal.folder, **{**SEARCH, "more": "", "trials": 2, "pruner": "none"})
    terminal.run()
    for path in [*(terminal.experiment / "trials/0000").iterdir()]:
        path.unlink()
    (terminal.experiment / "trials/0000").rmdir()
    value = terminal.record.trials[0].value
    command = terminal.run("--trials", "3")
    assert [trial.number for trial in terminal.record.trials] == [0, 1, 2]
    assert terminal.record.trials[0].value == value
    assert [event for event in terminal.events if event["event"] == "drop"] == []
    assert "trials/0000" in command.output
