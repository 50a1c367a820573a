"""A sampler and a pruner of the user's own: located when they are wrong, and as resumable as those of the shelf."""

import json
import shutil
from pathlib import Path
from typing import Any

import pytest

from hpsearch.errors import HpsearchError, SearchFailedError, SpaceError
from hpsearch.experiment.reading import read_experiment
from hpsearch.records import Outcome
from hpsearch.running.loading import load_space
from hpsearch.search.optuna_search import OptunaSearch
from hpsearch.space import space_from_resolved
from tests.running.sessions import Terminal, open_terminal
from tests.search.test_optuna_search import drive
from tests.toy_spaces import toy_space, write_space

CODE = Path(__file__).with_name("own_code.py")


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    shutil.copy(CODE, tmp_path / "mine.py")
    return tmp_path


def test_the_seed_of_the_search_reaches_the_sampler_unless_the_file_gives_another(folder: Path) -> None:
    def first(sampler: str, seed: int) -> Any:
        return OptunaSearch(toy_space(folder, sampler=sampler, seed=seed)).ask(0)

    assert first("./mine.py:Walk", 0) != first("./mine.py:Walk", 1)
    given = "{./mine.py:Walk: {seed: 3}}"
    assert first(given, 0) == first(given, 1)


def test_the_options_have_their_effect_and_infeasible_trials_are_marked(folder: Path) -> None:
    search = OptunaSearch(toy_space(folder, sampler="{./mine.py:Walk: {warm: 2}}"))
    widths = []
    for number, outcome in enumerate([Outcome.DIVERGED, Outcome.COMPLETE, *[Outcome.COMPLETE] * 6]):
        params = search.ask(number)
        assert params is not None
        widths.append(params["model.width"])
        search.tell(number, outcome, 1.0)
    assert set(widths[2:]) == {widths[1]}


@pytest.mark.parametrize(
    ("search", "message"),
    [
        ("{sampler: ./mine.py:Wlk}", r"toy.yaml:3:19: search.sampler: .*mine.py has no Wlk, did you mean 'Walk'\?"),
        ("{sampler: ./mien.py:Walk}", "3:19: search.sampler: the sampler's file .*mien.py does not exist"),
        ("{pruner: ./mien.py}", "3:18: search.pruner: './mien.py' names no class: write ./mien.py:MyPruner"),
        ("{pruner: ./mine.py:Walk}", "3:18: .*class Walk of .* is not derived from optuna.pruners.BasePruner"),
        ("{sampler: ./mine.py:NUMBER}", "3:19: .* is an int, not a class or a function that makes an optuna.samplers"),
        ("{sampler: ./mine.py:anything}", "3:19: .*:anything gives a dict, not an optuna.samplers.BaseSampler"),
        (
            "{sampler: {./mine.py:Walk: {wram: 3}}}",
            r"3:37: search.sampler: unknown option 'wram' of ./mine.py:Walk, did you mean 'warm'\?; known: warm, seed",
        ),
        ("{sampler: {kind: ./mine.py:Walk, wram: 3}}", "3:42: search.sampler: unknown option 'wram'"),
        ("{pruner: ./mine.py:EverySecond}", "3:18: search.pruner: missing option 'after' of ./mine.py:EverySecond"),
        ("{sampler: {./mine.py:Walk: {warm: 0}}}", "3:20: .*Walk cannot be made: ValueError: warm must be at least 1"),
        ("{sampler: {./mine.py:Walk: 3}}", "search.sampler: ./mine.py:Walk: 3 is not a mapping of options"),
        ("{sampler: {./mine.py:anything: {kind: 3}}}", "search.sampler: .* an option cannot be called 'kind'"),
        (
            "{sampler: walk}",
            "unknown option 'walk' of search.sampler; known: auto, tpe, .*, or a class of your own: ./m",
        ),
    ],
)
def test_what_is_wrong_is_told_where_it_stands(search: str, message: str, folder: Path) -> None:
    path = folder / "toy.yaml"
    family = Path(__file__).parents[1] / "toy_family.py"
    path.write_text(f"family: {family}:Toy\nobjective: {{metric: val/loss}}\nsearch: {search}\n", encoding="utf-8")
    with pytest.raises(SpaceError, match=message) as caught:
        load_space(path)
    assert len(caught.value.problems) == 1


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"sampler": "./mine.py:Outside"}, "Outside proposed a value outside the space: model.width: 99 is not in"),
        (
            {"sampler": "./mine.py:Stumbling"},
            r"sampler: ./mine.py:Stumbling failed in line \d+: KeyError: 'lost'",
        ),
        ({"pruner": "./mine.py:Dividing"}, r"pruner: ./mine.py:Dividing failed in line \d+: ZeroDivisionError"),
    ],
)
def test_what_goes_wrong_in_a_search_is_one_sentence(settings: dict[str, str], message: str, folder: Path) -> None:
    search = OptunaSearch(toy_space(folder, **settings))
    with pytest.raises(SearchFailedError, match=message):
        drive(search, 0, 3)


def test_a_pruner_that_fails_in_this_process_ends_the_search_and_no_trial(terminal: Terminal, folder: Path) -> None:
    write_space(folder, pruner="./mine.py:Dividing", trials=2)
    failed = terminal.run("--no-confirm", status=1, in_process=True)
    assert "search.pruner: ./mine.py:Dividing failed in line" in failed.output
    assert [trial.outcome for trial in read_experiment(terminal.experiment).trials] == [None]


def test_a_search_whose_trials_were_all_pruned_says_so(terminal: Terminal, folder: Path) -> None:
    write_space(folder, pruner="./mine.py:Never", trials=1)
    pruned = terminal.run("--no-confirm", status=1, in_process=True)
    assert "no trial came to a result; pruned\n" in pruned.output


def test_the_resolved_space_is_a_space_again_and_needs_the_file_only_to_search(folder: Path) -> None:
    space = toy_space(folder, sampler="{./mine.py:Walk: {warm: 4}}", pruner="{./mine.py:EverySecond: {after: 2}}")
    plain = json.loads(json.dumps(space.resolved()))
    assert plain["search"]["sampler"] == {"./mine.py:Walk": {"warm": 4}}
    (folder / "mine.py").unlink()
    again = space_from_resolved(plain, space.interface, path=space.path)
    assert again.search == space.search
    with pytest.raises(HpsearchError, match=r"the sampler's file .*mine.py does not exist"):
        OptunaSearch(again)


@pytest.mark.slow
@pytest.mark.parametrize("engine", ["optuna", "ray"])
def test_a_search_goes_on_from_its_folder_and_after_it_was_moved(engine: str, terminal: Terminal, folder: Path) -> None:
    settings = {"sampler": "{./mine.py:Walk: {warm: 2}}", "pruner": "{./mine.py:EverySecond: {after: 2}}"}
    write_space(folder, **settings, more="confirm: {top: 1, seeds: 1}")
    chosen = f"search.engine={engine}"
    terminal.run("--set", chosen, "--name", "whole", in_process=False)
    terminal.run("--set", chosen, "--set", "search.trials=3", in_process=False)
    moved = folder / "moved"
    (moved / "experiments").mkdir(parents=True)
    for name in ("toy.yaml", "mine.py", "experiments/toy"):
        (folder / name).rename(moved / name)
    with open_terminal(moved) as elsewhere:
        elsewhere.run("--set", chosen, in_process=False)
    unbroken, broken = (read_experiment(each) for each in (folder / "experiments" / "whole", elsewhere.experiment))
    assert [trial.params for trial in broken.trials] == [trial.params for trial in unbroken.trials]
    assert [trial.outcome for trial in broken.trials] == [trial.outcome for trial in unbroken.trials]
    assert Outcome.PRUNED in {trial.outcome for trial in broken.trials}
    assert broken.replicates
