"""What a comparison says follows from the runs: not from their order, the arms' names or what seeds are called."""

import math
import random
import re
from collections.abc import Callable, Iterable
from dataclasses import replace
from typing import Any

import pytest
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st

from hpsearch.comparing.comparison import Comparison, Verdict
from hpsearch.records import FinishedRun, Measurement, SearchOrigin
from tests.comparing.arms import METRIC, compare, run

NAMES = ("bert", "ada", "cnn")
Keys = list[dict[str, Any]]
"""The keys of each run of an arm."""


def seeds(draw: Callable[[Any], Any]) -> Keys:
    return [{"seed": seed} for seed in draw(st.lists(st.integers(0, 12), min_size=1, max_size=7))]


def no_keys(draw: Callable[[Any], Any]) -> Keys:
    return [{}] * draw(st.integers(1, 6))


def folds(draw: Callable[[Any], Any]) -> Keys:
    return [{"fold": fold} for fold in draw(st.lists(st.integers(0, 4), min_size=2, max_size=7))]


def folds_times_seeds(draw: Callable[[Any], Any]) -> Keys:
    cells = [{"fold": fold, "seed": seed} for fold in range(4) for seed in range(3)]
    return [dict(cell) for cell in draw(st.lists(st.sampled_from(cells), min_size=4, max_size=14))]


def repeats_times_folds(draw: Callable[[Any], Any]) -> Keys:
    cells = [{"repeat": repeat, "fold": fold} for repeat in range(5) for fold in range(2)]
    lacking = draw(st.sets(st.integers(0, 9), max_size=2))
    return [cell for number, cell in enumerate(cells) if number not in lacking]


def datasets(draw: Callable[[Any], Any]) -> Keys:
    found = draw(st.lists(st.sampled_from(["iris", "wine", "zoo", "10", "9"]), min_size=3, max_size=9))
    return [{"dataset": name, "seed": draw(st.none() | st.integers(0, 2))} for name in found]


def repeats(draw: Callable[[Any], Any]) -> Keys:
    return [{"repeat": repeat} for repeat in draw(st.lists(st.integers(0, 4), min_size=1, max_size=6))]


def one_seed_for_all(draw: Callable[[Any], Any]) -> Keys:
    same = draw(st.booleans())
    return [{"seed": 42, "params": {} if same else {"lr": at}} for at in range(draw(st.integers(2, 5)))]


def trials(draw: Callable[[Any], Any]) -> Keys:
    seed = draw(st.none() | st.just(42))
    search = draw(st.none() | st.just(SearchOrigin(METRIC)))
    return [{"trial": number, "seed": seed, "search": search} for number in range(draw(st.integers(2, 5)))]


def baseline(_: Callable[[Any], Any]) -> Keys:
    return [{"deterministic": True}]


DESIGNS = (seeds, no_keys, folds, folds_times_seeds, repeats_times_folds, datasets, repeats, one_seed_for_all, trials)


@st.composite
def tables(draw: Callable[[Any], Any]) -> list[FinishedRun]:
    """Return the runs of two or three arms of one design, now and then of two designs."""
    design = draw(st.sampled_from(DESIGNS))
    other = draw(st.sampled_from([design, design, design, baseline, seeds, no_keys]))
    arms = draw(st.integers(2, 3))
    values = st.integers(1, 99).map(lambda value: value / 100)
    found = []
    for name, kind in zip(NAMES, [design] * (arms - 1) + [other], strict=False):
        found += [run(name, draw(values), run=f"{name}-{at}", **keys) for at, keys in enumerate(kind(draw))]
    return found


checked = settings(
    max_examples=40,
    deadline=None,
    derandomize=True,
    suppress_health_check=list(HealthCheck),
    phases=[Phase.explicit, Phase.generate],
)


def said(comparison: Comparison, names: Callable[[str], str] = str) -> dict[str, Any]:
    """Return all that a comparison says, whatever the order of its arms; each pair with the first name first."""
    content = comparison.to_json()
    shown: dict[str, Any] = {"unit": content["unit"], "family": content["family_size"]}
    for each in content["experiments"]:
        numbers = ("n", "mean", "sd", "median", "iqm", "min", "max", "ci95")
        shown[names(each["name"])] = [each[name] for name in numbers]
    for pair in content["pairs"]:
        a, b = names(pair["a"]), names(pair["b"])
        sign = 1 if a < b else -1
        interval = pair["ci95"] and sorted(sign * end for end in pair["ci95"])
        effect = pair["effect"] and sign * (pair["effect"]["value"] or 0)
        difference = pair["mean_difference"] and sign * pair["mean_difference"]
        turned = {Verdict.BETTER: Verdict.WORSE, Verdict.WORSE: Verdict.BETTER}
        verdict = Verdict(pair["verdict"])
        shown[" ".join(sorted([a, b]))] = [
            *(pair["n"], pair["paired"], pair["test"], pair["p"], pair["p_adjusted"], pair["seeds_needed"]),
            *(difference, interval, effect, str(verdict if sign > 0 else turned.get(verdict, verdict))),
        ]
    return shown


def assert_equal(first: dict[str, Any], second: dict[str, Any]) -> None:
    assert first.keys() == second.keys()
    for name, value in first.items():
        one, other = (list(_flat(each)) for each in (value, second[name]))
        assert len(one) == len(other), name
        for left, right in zip(one, other, strict=True):
            same = isinstance(left, float) and isinstance(right, float) and math.isclose(left, right, abs_tol=1e-12)
            assert same or left == right, (name, value, second[name])


def _flat(value: Any) -> Iterable[Any]:
    if isinstance(value, list):
        for each in value:
            yield from _flat(each)
    else:
        yield value


def lines(comparison: Comparison, *, names: Callable[[str], str] = str, numbers: bool = True) -> list[list[str]]:
    """Return the words of each warning in alphabetical order: which arm is named first is no statement."""
    told = [re.findall(r"[\w.]+", names(line)) for line in comparison.warnings]
    return sorted(sorted(word for word in words if numbers or not word.isdigit()) for words in told)


@checked
@given(tables(), st.integers(0, 1000))
def test_any_order_of_the_runs(runs: list[FinishedRun], seed: int) -> None:
    shuffled = random.Random(seed).sample(runs, len(runs))
    first, second = compare(runs), compare(shuffled)
    assert_equal(said(first), said(second))
    assert lines(first) == lines(second)


@pytest.mark.slow
@checked
@given(tables(), st.permutations(["zeta", "alpha", "mid"]))
def test_any_names_of_the_arms(runs: list[FinishedRun], names: list[str]) -> None:
    new = dict(zip(NAMES, names, strict=True))

    def renamed(text: str) -> str:
        return re.sub("|".join(NAMES), lambda match: new[match[0]], text)

    others = [replace(each, experiment=new[each.experiment], run=renamed(each.run)) for each in runs]
    first, second = compare(runs), compare(others)
    assert_equal(said(first, renamed), said(second))
    assert lines(first, names=renamed) == lines(second)


@pytest.mark.slow
@checked
@given(tables(), st.integers(-50, 1000), st.integers(1, 9))
def test_any_names_of_the_seeds_in_the_same_order(runs: list[FinishedRun], start: int, step: int) -> None:
    moved = [
        replace(each, seed=None if each.seed is None else start + step * int(each.seed), run=each.run) for each in runs
    ]
    first, second = compare(runs), compare(moved)
    assert_equal(said(first), said(second))
    assert lines(first, numbers=False) == lines(second, numbers=False)


@pytest.mark.slow
@checked
@given(tables())
def test_keys_as_text_and_as_numbers(runs: list[FinishedRun]) -> None:
    texts = [
        replace(each, seed=None if each.seed is None else str(each.seed)) if each.experiment == NAMES[0] else each
        for each in runs
    ]
    assert_equal(said(compare(runs)), said(compare(texts)))


@checked
@given(tables(), st.integers(0, 20))
def test_a_run_in_two_halves_is_that_run(runs: list[FinishedRun], at: int) -> None:
    """A unit that stands twice counts as its mean, and is told at the top."""
    keyed = [each for each in runs if (each.seed, each.fold, each.repeat, each.dataset) != (None,) * 4]
    same = {(each.experiment, each.seed, each.fold, each.repeat, each.dataset) for each in keyed}
    if not keyed or len(same) < len(runs) or any(each.trial is not None for each in runs):
        return
    whole = keyed[at % len(keyed)]
    value = whole.metrics[METRIC].value
    halves = [
        replace(whole, run=f"{whole.run} {part}", metrics={METRIC: Measurement(value + part / 64)}) for part in (-1, 1)
    ]
    twice = compare([*(each for each in runs if each is not whole), *halves])
    once = compare(runs)
    arms = {each.experiment: sum(other.experiment == each.experiment for other in runs) for each in runs}
    if arms[whole.experiment] == 1:
        return  # two runs of one seed, and of no other: each counts by itself
    assert_equal(said(once), said(twice))
    assert any("count as their mean" in line and f"{whole.run} 1" in line for line in twice.warnings)


def test_a_run_without_any_key_is_one_of_its_own_even_if_all_are_called_alike() -> None:
    runs = [
        run(name, value, run=name)
        for name, values in (("a", (0.8, 0.82, 0.81, 0.79)), ("b", (0.85, 0.86, 0.88)))
        for value in values
    ]
    found = compare(runs)
    assert [(each.n, each.mean) for each in found.experiments] == [
        (4, pytest.approx(0.805)),
        (3, pytest.approx(2.59 / 3)),
    ]
    assert found.pairs[0].test == "welch t"


def test_runs_without_keys_in_any_order_give_the_same_bytes() -> None:
    values = [random.Random(at).gauss(0.8, 0.05) for at in range(12)]
    found = [
        compare([run(name, value, run=name) for name in "ab" for value in order]).to_json()["experiments"]
        for order in (values, values[::-1], sorted(values))
    ]
    assert found[0] == found[1] == found[2]
