"""Racing seeds in a whole search: what is trained, what is said of it, what is refused."""

import json
import math
from pathlib import Path

import pytest
from rich.console import Console

import hpsearch
from hpsearch.console.search_state import SearchState, SearchTarget
from hpsearch.errors import ExperimentError, HpsearchError, SpaceError
from hpsearch.experiment.layout import LOG, rerun_run
from hpsearch.experiment.log import read_past
from hpsearch.experiment.reading import read_experiment
from hpsearch.readers import Wanted, hpsearch_experiment
from hpsearch.records import ExperimentRecord, Outcome
from hpsearch.report.experiment_view import show_experiment, show_json
from hpsearch.report.tables import trials_frame
from hpsearch.running.runner import RunOptions, run
from hpsearch.seeds import Seeds
from hpsearch.tracking.entries import MirroredRun
from hpsearch.tracking.mlflow.tags import values_by_seed
from hpsearch.web.details import training
from hpsearch.web.feed import Feed
from tests.logs import read_log
from tests.running.functions import function_space

HERE = RunOptions(in_process=True)
NOISY = """
def train(lr: float, *, report):
    first = report.seed == {first}
    loss = (lr - 0.5) ** 2
    if first and lr > 0.8:
        loss = -0.05
    if {falls} and not first and lr < 0.3:
        raise ValueError("no such layer")
    report(1, {{"val/loss": loss}})
"""
FIRST_SEED = Seeds.for_race(0, 0).initialisation
RACE = "search.seeds={race: {most: 3}}"


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """Return a search whose best value on the first seed is a lucky one: above .8 the first seed gives -.05."""
    code = NOISY.format(first=FIRST_SEED, falls=False)
    space = function_space(tmp_path, RACE, code=code, trials=18, confirm="{seeds: 2}")
    run(space, folder=tmp_path / "found", options=HERE)
    return tmp_path / "found"


def shown(record: ExperimentRecord) -> str:
    console = Console(width=200)
    with console.capture() as capture:
        console.print(show_experiment(record))
    return capture.get()


def test_a_configuration_that_is_lucky_on_the_first_seed_is_not_the_best(folder: Path) -> None:
    record = read_experiment(folder)
    lucky = [trial for trial in record.trials if trial.params["lr"] > 0.8]
    assert lucky
    assert all(trial.by_seed[0] == -0.05 and trial.value is not None for trial in lucky if trial.by_seed)
    best = record.best
    assert best is not None
    assert best.params["lr"] <= 0.8
    assert len(best.by_seed) == 3
    assert len(set(best.by_seed)) == 1
    assert {each.number for each in record.replicates} == {best.number}
    assert len(record.trials) + record.reruns == 18
    assert max(len(trial.by_seed) for trial in lucky) >= 2


def test_seeds_are_shared_and_a_confirmation_has_others(folder: Path) -> None:
    record = read_experiment(folder)
    asks = [line for line in read_log(folder / LOG) if line["event"] == "ask"]
    raced = {(line.get("rerun", 0), line["seed"]) for line in asks if line["run"].startswith(("trials/", "race/"))}
    assert raced == {(number, Seeds.for_race(0, number).initialisation) for number in range(3)}
    assert not {each.seed for each in record.replicates} & {seed for _, seed in raced}
    race, replicate = ({*make(0, 1).model_dump().values()} for make in (Seeds.for_race, Seeds.for_replicate))
    assert race & replicate == {Seeds.for_race(0, 1).split}


def test_what_is_shown_says_the_mean_and_over_how_many_seeds(folder: Path) -> None:
    record = read_experiment(folder)
    best = record.best
    assert best is not None
    text = shown(record)
    assert f"and {record.reruns} further seeds" in text
    assert "not begun" not in text
    assert "(3 seeds, sd 0), trial" in text
    told = show_json(record)
    first = next(trial for trial in told["trials"] if trial["number"] == best.number)
    assert first["by_seed"] == [best.value] * 3
    assert json.dumps(told)
    frame = trials_frame(record)
    assert frame["seeds"].tolist() == [len(trial.by_seed) or 1 for trial in record.trials]


def test_the_live_screen_and_the_mirror_have_the_same_best(folder: Path) -> None:
    record, state = read_experiment(folder), read_past(folder / LOG).state
    assert record.best is not None
    for by_event in (False, True):
        search = SearchState(SearchTarget("val/loss", record.objective.goal, budget=18, most_seeds=3))
        if by_event:
            for event in read_past(folder / LOG).events:
                search.follow(event)
        else:
            search.resume(state)
        assert search.best is not None
        assert (search.best.number, search.best.standing) == (record.best.number, record.best.value)
        assert sum(search.trial_counts.values()) == 18
    mirrored = {
        name: MirroredRun(name, value=each.value, outcome=each.outcome and each.outcome.value)
        for name, each in state.runs.items()
    }
    means = {path: math.fsum(values) / len(values) for path, values in values_by_seed(mirrored).items()}
    assert means == {trial.run: trial.value for trial in record.trials}


def test_a_comparison_takes_the_mean_of_a_trial(folder: Path) -> None:
    record = read_experiment(folder)
    found = hpsearch_experiment.read(folder, Wanted("val/loss")).runs
    trials = {run.trial: run.metrics["val/loss"].value for run in found if run.search is not None}
    assert trials == {trial.number: trial.value for trial in record.trials}


def test_one_that_fails_on_a_further_seed_has_failed(tmp_path: Path) -> None:
    code = NOISY.format(first=FIRST_SEED, falls=True).replace("lr - 0.5", "lr")
    space = function_space(tmp_path, RACE, code=code, trials=18)
    run(space, folder=tmp_path / "found", options=HERE)
    record = read_experiment(tmp_path / "found")
    failed = [trial for trial in record.trials if trial.outcome is Outcome.FAILED]
    assert failed
    assert {trial.ended_in for trial in failed} == {rerun_run(trial.number, 1) for trial in failed}
    assert f"{failed[0].ended_in}/output.log" in shown(record)
    assert {trial.reason for trial in failed} == {"on seed 1: ValueError: no such layer (train.py:8)"}
    assert record.best is not None
    assert record.best.params["lr"] >= 0.3


@pytest.mark.parametrize("pruner", ["pbt", "pb2"])
def test_a_population_has_no_race(pruner: str, tmp_path: Path) -> None:
    with pytest.raises(SpaceError, match=rf"space.yaml:3:\d+: search.seeds: under the pruner {pruner} a trial"):
        function_space(tmp_path, pruner=f"{pruner}, seeds: {{race: {{most: 3}}}}")


def test_ask_and_tell_has_no_race(tmp_path: Path) -> None:
    space = function_space(tmp_path, RACE)
    with pytest.raises(HpsearchError, match=r"search\.seeds: a program that asks for its trials"):
        hpsearch.ask_tell(space.path, set=[RACE], root=tmp_path)


def test_a_race_is_not_begun_in_the_midst_of_a_search(tmp_path: Path) -> None:
    run(function_space(tmp_path), folder=tmp_path / "found", options=HERE)
    with pytest.raises(ExperimentError, match=r"were trained for other seeds .*start another experiment with --name"):
        run(function_space(tmp_path, RACE), folder=tmp_path / "found", options=HERE)


def test_a_race_keeps_its_division_of_the_data(folder: Path) -> None:
    space = function_space(folder.parent, RACE, "search.split_seed=3", trials=24)
    with pytest.raises(ExperimentError, match=r"were trained for other seeds \(search\.split_seed: "):
        run(space, folder=folder, options=HERE)


def test_the_page_of_a_training_on_a_further_seed_is_that_of_its_trial(folder: Path) -> None:
    record = read_experiment(folder)
    best = record.best
    assert best is not None
    told = training(record, rerun_run(best.number, 1))
    assert (told["run"], told["value"]) == (best.run, best.value)
    assert told["title"] == f"trial {best.number} (3 seeds, sd 0)"


def test_a_small_space_that_is_tried_whole_is_raced(tmp_path: Path) -> None:
    """It is exhausted before half of the budget is spent: what is left goes into further seeds."""
    options = "lr: {choice: [0.1, 0.3, 0.5, 0.7]}\n"
    code = NOISY.format(first=FIRST_SEED, falls=False)
    run(function_space(tmp_path, RACE, code=code, trials=20, body=options), folder=tmp_path / "found", options=HERE)
    record = read_experiment(tmp_path / "found")
    assert len(record.trials) == 4
    assert record.best is not None
    assert len(record.best.by_seed) == 3


def test_configurations_that_were_given_or_added_come_before_further_seeds(tmp_path: Path) -> None:
    code = NOISY.format(first=FIRST_SEED, falls=False)
    start = "start: [" + ", ".join(f"{{lr: {value}}}" for value in (0.5, 0.1, 0.2, 0.3, 0.4, 0.9)) + "]\n"
    again = lambda: function_space(tmp_path, RACE, code=code, trials=8, body=f"lr: {{float: [0, 1]}}\n{start}")  # noqa: E731
    run(again(), folder=tmp_path / "found", options=HERE)
    assert [trial.params["lr"] for trial in read_experiment(tmp_path / "found").trials[:6]] == [
        0.5,
        0.1,
        0.2,
        0.3,
        0.4,
        0.9,
    ]
    hpsearch.add(tmp_path / "found", set={"lr": 0.49})
    run(again(), folder=tmp_path / "found", options=HERE)
    assert 0.49 in [trial.params["lr"] for trial in read_experiment(tmp_path / "found").trials]


def test_synchronous_halving_has_no_race(tmp_path: Path) -> None:
    with pytest.raises(SpaceError, match=r"space.yaml:3:\d+: search.seeds: under the pruner halving with synchronous"):
        function_space(tmp_path, pruner="{halving: {synchronous: true}}, seeds: {race: {most: 3}}")


def test_the_page_has_the_endings_and_the_number_of_trials_that_show_has(tmp_path: Path) -> None:
    code = NOISY.format(first=FIRST_SEED, falls=True).replace("lr - 0.5", "lr")
    run(function_space(tmp_path, RACE, code=code, trials=18), folder=tmp_path / "found", options=HERE)
    record, page = read_experiment(tmp_path / "found"), Feed(tmp_path / "found").whole()
    assert {row[0]: row[1] for row in page["rows"]} == {trial.number: trial.outcome for trial in record.trials}
    assert page["head"]["trials"] == len(page["rows"])


def test_what_further_seeds_took_is_counted(folder: Path) -> None:
    record = read_experiment(folder)
    assert record.rerun_steps == record.reruns  # one step each
