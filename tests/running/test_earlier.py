"""A changed space keeps the earlier trials that it would train just as they were, and knows their parameters."""

import sys
from pathlib import Path
from typing import Any

import pytest

from hpsearch.errors import ExperimentError
from hpsearch.experiment.files import write_json
from hpsearch.experiment.layout import CONFIG, LOG, RESOLVED
from hpsearch.experiment.reading import read_resolved
from hpsearch.records import ExperimentRecord
from hpsearch.running.chosen import train
from hpsearch.running.earlier import prepare_experiment
from hpsearch.running.loading import load_space, open_space
from hpsearch.running.runner import RunOptions, run
from hpsearch.search.optuna_export import export_optuna
from tests.logs import read_log
from tests.toy_spaces import write_space

QUIET = RunOptions(in_process=True, confirm=False)
PROGRAM = "import sys; print('{\"loss\": %d}' % len(open(sys.argv[1]).read()))"
"""Its loss is how long the file of its settings is."""


class Searched:
    """One experiment, run again and again with other spaces."""

    def __init__(self, folder: Path) -> None:
        self.path = folder / "space.yaml"
        self.folder = folder / "experiment"
        (folder / "program.py").write_text(PROGRAM, encoding="utf-8")

    def run(self, settings: str, *, trials: int, sampler: str = "random", more: str = "") -> ExperimentRecord:
        text = f"""\
family: command
objective: {{metric: loss, goal: minimize}}
search: {{sampler: {sampler}, pruner: none, trials: {trials}, workers: 1}}
command: [{sys.executable}, program.py, "{{config}}"]
train: {{{settings}}}
{more}
"""
        self.path.write_text(text, encoding="utf-8")
        return run(load_space(self.path), folder=self.folder, options=QUIET).record

    def events(self, kind: str) -> list[dict[str, Any]]:
        return [event for event in read_log(self.folder / LOG) if event["event"] == kind]


@pytest.fixture
def searched(tmp_path: Path) -> Searched:
    return Searched(tmp_path)


CHANGES: dict[str, tuple[str, str, Any]] = {
    "to a choice": ("32", "{choice: [16, 32]}", 32),
    "to whole numbers": ("32", "{int: [8, 64], step: 8}", 32),
    "to floats": ("2", "{float: [0.5, 4]}", 2.0),
    "to steps": ("0.3", "{float: [0.1, 0.9], step: 0.1}", 0.3),
    "to a log scale": ("1e-3", "{log: [1e-4, 1e-2]}", 1e-3),
    "of a list": ("[3, 4]", "{choice: [[5], [3, 4]]}", [3, 4]),
    "of nothing": ("null", "{choice: [1, null]}", None),
    "of a truth": ("true", "{choice: [false, true]}", True),
    "of a section": ("{a: 1, b: 2}", "{choice: [{a: 3, b: 2}, {b: 2, a: 1}]}", {"a": 1, "b": 2}),
    "in a section": ("{a: 1, b: 2}", "{a: {int: [1, 3]}, b: 2}", None),
}


@pytest.mark.parametrize("kind", CHANGES)
def test_a_value_that_becomes_a_range_keeps_the_trials(kind: str, searched: Searched) -> None:
    before, after, value = CHANGES[kind]
    added = {"train.size.a": 1} if kind == "in a section" else {"train.size": value}
    before, after = (f"rate: {{float: [0, 1]}}, size: {size}" for size in (before, after))
    old = searched.run(before, trials=3)
    new = searched.run(after, trials=5)
    assert [dict(trial.params) for trial in new.trials[:3]] == [trial.params | added for trial in old.trials]
    assert [(trial.value, trial.history, trial.seed) for trial in new.trials[:3]] == [
        (trial.value, trial.history, trial.seed) for trial in old.trials
    ]
    assert [trial.number for trial in new.trials] == [0, 1, 2, 3, 4]
    assert not searched.events("drop")
    assert len(searched.events("adopt")) == 3
    assert searched.run(after, trials=5).trials == new.trials
    assert len(searched.events("adopt")) == 3


def test_a_range_that_is_fixed_keeps_the_trials_with_that_value(searched: Searched) -> None:
    old = searched.run("rate: {float: [0, 1]}, size: {choice: [16, 32]}", trials=8)
    kept = [trial for trial in old.trials if trial.params["train.size"] == 32]
    new = searched.run("rate: {float: [0, 1]}, size: 32", trials=9)
    assert 0 < len(kept) < 8
    assert [(trial.number, dict(trial.params)) for trial in new.trials[:-1]] == [
        (trial.number, {"train.rate": trial.params["train.rate"]}) for trial in kept
    ]
    assert len(searched.events("drop")) == 8 - len(kept)
    back = searched.run("rate: {float: [0, 1]}, size: {choice: [16, 32]}", trials=10)
    assert [dict(trial.params) for trial in back.trials[: len(kept)]] == [dict(trial.params) for trial in kept]


@pytest.mark.parametrize("after", ["{choice: [16, 64]}", "{int: [33, 64]}", "{float: [0, 31.5]}", "{choice: ['32']}"])
def test_a_range_without_the_value_keeps_nothing_and_says_so(after: str, searched: Searched) -> None:
    searched.run("rate: {float: [0, 1]}, size: 32", trials=2)
    whole = searched.folder.joinpath(LOG).read_bytes()
    with pytest.raises(
        ExperimentError, match=r"no earlier trial in .* fits the changed space \(trials/0000: train.size: "
    ):
        searched.run(f"rate: {{float: [0, 1]}}, size: {after}", trials=4)
    assert searched.folder.joinpath(LOG).read_bytes() == whole


def test_the_grid_tries_only_what_the_kept_trials_have_not(searched: Searched) -> None:
    searched.run("rate: {choice: [1, 2, 3]}, size: 32", trials=2, sampler="grid")
    record = searched.run("rate: {choice: [1, 2, 3]}, size: {choice: [16, 32]}", trials=9, sampler="grid")
    tried = [(trial.params["train.rate"], trial.params["train.size"]) for trial in record.trials]
    assert len(tried) == len(set(tried)) == 6


@pytest.mark.parametrize("sampler", ["tpe", "cmaes", "qmc", "nsga2"])
def test_every_sampler_goes_on_from_kept_trials(sampler: str, searched: Searched) -> None:
    searched.run("rate: {float: [0, 1]}, size: 2", trials=4, sampler=sampler)
    record = searched.run("rate: {float: [0, 1]}, size: {int: [1, 3]}", trials=7, sampler=sampler)
    assert [set(trial.params) for trial in record.trials] == [{"train.rate", "train.size"}] * 7


def test_what_reads_the_experiment_finds_the_new_parameter(searched: Searched, tmp_path: Path) -> None:
    searched.run("rate: {float: [0, 1]}, size: 2", trials=3)
    record = searched.run("rate: {float: [0, 1]}, size: {int: [1, 3]}", trials=3)
    export_optuna(record, open_space(searched.folder), tmp_path / "study.log")
    first = record.trials[0]
    again = train(open_space(searched.folder), first.params, folder=tmp_path / "final", options=QUIET).record
    assert [dict(trial.params) for trial in again.trials] == [dict(first.params)]


@pytest.mark.slow
def test_the_option_of_a_branch_that_becomes_a_choice(tmp_path: Path) -> None:
    path = write_space(tmp_path, trials=2, epochs=1)
    branch = "optimizer: {choice: {sgd: {momentum: {float: [0, 0.9]}}, adamw: {}}}"
    text = path.read_text(encoding="utf-8")
    assert branch in text
    path.write_text(text.replace(branch, "optimizer: {sgd: {momentum: 0.5}}"), encoding="utf-8")
    run(load_space(path), folder=tmp_path / "toy", options=QUIET)
    path.write_text(text.replace("epochs: 1", "epochs: {int: [1, 2]}"), encoding="utf-8")
    space = load_space(path, overrides=["search.trials=3"])
    record = run(space, folder=tmp_path / "toy", options=QUIET).record
    assert [trial.number for trial in record.trials] == [0, 1, 2]
    for trial in record.trials[:2]:
        assert trial.params["train.optimizer"] == "sgd"
        assert trial.params["train.optimizer.sgd.momentum"] == 0.5
        assert trial.params["train.epochs"] == 1


def test_trials_that_an_earlier_change_left_out_are_said_not_to_come_back(searched: Searched) -> None:
    searched.run("size: {choice: [16, 32]}", trials=2, sampler="grid")
    searched.run("size: {choice: [8, 16]}", trials=3, sampler="grid")
    assert len(searched.events("drop")) == 1
    with pytest.raises(ExperimentError, match=r"those that an earlier change left out do not come back\)"):
        searched.run("size: 32", trials=4)


def test_the_old_name_of_the_local_engine_is_no_change(searched: Searched) -> None:
    """Experiments of earlier versions say `optuna` in their resolved.json, and spaces of users may."""
    searched.run("width: {choice: [3, 4]}", trials=1)
    resolved = read_resolved(searched.folder)
    assert resolved["space"]["search"]["engine"] == "local"
    resolved["space"]["search"]["engine"] = "optuna"
    write_json(searched.folder / RESOLVED, resolved)
    assert open_space(searched.folder).search.engine == "local"
    assert len(searched.run("width: {choice: [3, 4]}", trials=2).trials) == 2
    assert read_resolved(searched.folder)["space"]["search"]["engine"] == "local"
    assert not list(searched.folder.glob("resolved-*.json"))
    old = load_space(searched.path, overrides=["search.engine=optuna"])
    assert prepare_experiment(old, searched.folder) == []


def test_a_search_keeps_what_it_began_with_when_the_defaults_change(searched: Searched) -> None:
    begun = {"tpe": {"startup": 7}}, {"median": {"startup": 2, "warmup": 0, "every": 1}}
    searched.run("width: {float: [0, 1]}", trials=1)
    text = searched.path.read_text(encoding="utf-8").replace("sampler: random, pruner: none, ", "")
    resolved = read_resolved(searched.folder)
    resolved["space"]["search"]["sampler"], resolved["space"]["search"]["pruner"] = begun
    write_json(searched.folder / RESOLVED, resolved)
    for written, sampler in (("", begun[0]), ("sampler: random, ", {"random": {}}), ("", {"random": {}})):
        searched.path.write_text(text.replace("{trials: 1", f"{{{written}trials: 2"), encoding="utf-8")
        run(load_space(searched.path), folder=searched.folder, options=QUIET)
        search = read_resolved(searched.folder)["space"]["search"]
        assert (search["sampler"], search["pruner"]) == (sampler, begun[1])


@pytest.mark.parametrize("content", ["", '{"version": 1, "run": "tri', '{"version": 1}', "[]"])
def test_a_damaged_configuration_costs_no_trial(searched: Searched, content: str) -> None:
    before = searched.run("rate: {float: [0, 1]}", trials=4)
    (searched.folder / before.trials[1].run / CONFIG).write_text(content)
    after = searched.run("rate: {float: [0, 1]}", trials=5)
    assert [trial.number for trial in after.trials] == [0, 1, 2, 3, 4]
    assert after.trials[:4] == before.trials
