import random
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hpsearch.search.explore import FACTORS, ExploreContext, explorer, perturbed
from hpsearch.space import Choice, Float, Int, Space
from tests.space.test_ranges import ranges
from tests.space.toy import DATA, HEAD, read

PBT = "search: {pruner: {pbt: {resample: 0}}}\n"


def context(space: Space, *, seed: int = 0, chosen: tuple[Any, ...] = (), **changed: Any) -> ExploreContext:
    params = {**space.sample(random.Random(5)), **changed}
    return ExploreContext(donor=0, params=params, seen=(), chosen=chosen, seed=seed)


@given(ranges, st.integers(), st.sampled_from([0.0, 0.5, 1.0]))
def test_what_is_perturbed_stays_in_its_range(values, seed, resample):
    rng = random.Random(seed)
    value = values.sample(rng)
    for _ in range(5):
        value = perturbed(values, value, resample, rng)
        assert values.contains(value)


@given(st.floats(1, 10), st.integers())
def test_a_number_is_multiplied_and_clipped(value, seed):
    found = perturbed(Float(1.0, 10.0, log=True), value, 0.0, random.Random(seed))
    assert found in {min(max(value * factor, 1.0), 10.0) for factor in FACTORS}


@given(st.integers(-50, 50), st.integers(1, 9), st.integers(1, 30), st.integers())
def test_a_whole_number_moves_at_least_a_step_unless_it_stands_at_a_bound(low, step, count, seed):
    rng = random.Random(seed)
    values = Int(low, low + step * count, step)
    value = values.sample(rng)
    found = perturbed(values, value, 0.0, rng)
    assert found != value or value in (values.low, values.high)


def test_steps_of_a_float_are_kept_and_left_in_both_directions():
    values = Float(0.1, 0.5, step=0.1)
    assert {perturbed(values, 0.3, 0.0, random.Random(seed)) for seed in range(20)} == {0.2, 0.4}


@pytest.mark.parametrize(("option", "beside"), [("a", {"b"}), ("b", {"a", "c"}), ("c", {"b"})])
def test_a_choice_goes_to_a_neighbour(option, beside):
    assert {perturbed(Choice(("a", "b", "c")), option, 0.0, random.Random(seed)) for seed in range(20)} == beside
    assert perturbed(Choice((option,)), option, 0.0, random.Random(0)) == option


def test_the_probability_of_a_fresh_draw():
    draws = [perturbed(Float(0.0, 1.0), 0.5, 0.3, random.Random(seed)) for seed in range(2000)]
    fresh = sum(draw not in (0.4, 0.6) for draw in draws)
    assert 0.25 < fresh / 2000 < 0.35


def test_only_what_is_mutable_and_exists_changes(tmp_path):
    text = """\
train: {learning_rate: {log: [1e-4, 1e-1], mutable: true}, clip: {float: [1, 2]}}
model: {position: {choice: {learned: , rope: {partial: {float: [0.5, 1], mutable: true}}}}}
"""
    space = read(tmp_path, HEAD + DATA + PBT + text)
    given = context(space, **{"model.position": "rope", "model.position.rope.partial": 0.8})
    found = explorer(space)(given)
    differing = {path for path in found if found[path] != given.params[path]}
    assert differing == {"train.learning_rate", "model.position.rope.partial"}
    without = {path: value for path, value in given.params.items() if "rope" not in path} | {
        "model.position": "learned"
    }
    assert explorer(space)(ExploreContext(0, without, (), (), 0)).keys() == without.keys()


def test_equal_seeds_give_equal_values_and_others_do_not(tmp_path):
    text = "train: {learning_rate: {log: [1e-4, 1e-1], mutable: true}}\n"
    space = read(tmp_path, HEAD + DATA + "search: {pruner: pbt}\n" + text)
    random.seed(0)
    before = random.getstate()
    found = [explorer(space)(context(space, seed=seed))["train.learning_rate"] for seed in (1, 1, *range(20))]
    assert found[0] == found[1]
    assert len(set(found)) > 3
    assert random.getstate() == before


def test_two_copies_are_not_given_the_same(tmp_path):
    space = read(tmp_path, HEAD + DATA + PBT + "train: {learning_rate: {log: [1e-4, 1e-1], mutable: true}}\n")
    first = explorer(space)(context(space, seed=3))
    for seed in range(10):
        assert explorer(space)(context(space, seed=seed, chosen=(first,))) != first
    taken = tuple({"train.learning_rate": first["train.learning_rate"] * factor} for factor in (1.0, 0.8, 1.2, 1.5))
    assert explorer(space)(context(space, chosen=taken)).keys() == first.keys()


def test_a_requirement_is_kept(tmp_path):
    text = "model: {width: {int: [1, 9], mutable: true}, heads: 1}\nrequire: ['model.width >= 5']\n"
    space = read(tmp_path, HEAD + DATA + PBT + text)
    found = [explorer(space)(context(space, seed=seed, **{"model.width": 5}))["model.width"] for seed in range(20)]
    assert set(found) == {6}
