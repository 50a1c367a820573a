import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hpsearch.errors import HpsearchError, SpaceError
from hpsearch.records import Goal
from hpsearch.space import MeanOfLast, Parameter, differences, space_from_resolved
from hpsearch.space.ranges import Choice, Float, Int
from tests.space.toy import DATA, HEAD, Config, Toy, random_numbers, read

TEXT = """\
family: toy
objective: {metric: val/accuracy, at: {mean_of_last: 3}}
search: {sampler: {tpe: {startup: 20}}, pruner: none, time: 1h30m, trial_time: 90, workers: 2}
train:
  epochs: 20
  learning_rate: {log: [1e-4, 1e-2]}
  clip: {choice: [null, 1.0]}
  stopping: {choice: [null, {patience: 3}]}
data: {corpus: tiny, shuffle: {choice: [true, false]}}
model:
  width: {choice: [64, 96]}
  heads: {choice: [2, 3]}
  layers: {int: [1, 12], log: true}
  dropout: {float: [0, 0.3], step: 0.1}
  sizes: {choice: [[3, 3], [5, 5, 5]]}
  stack: [{width: 4}, {width: {int: [2, 4]}}]
  position: {choice: {learned: , rope: {base: {log: [1e3, 1e5]}, partial: 0.5}}}
  feed:
    choice:
      dense:
      mixture: {experts: {int: [2, 8], step: 2}, router: {choice: {gate: {bias: {float: [0, 1]}}, learned: }}}
require: ["model.width % model.heads == 0", "model.feed.mixture.experts <= model.heads"]
start: [{model.feed.mixture.router.gate.bias: 1, train.clip: 1}]
confirm: {seeds: 7}
"""
SMALL = HEAD + DATA + """\
model:
  heads: {choice: [1, 2]}
  position: {choice: {learned: , rope: {partial: {float: [0.5, 1], step: 0.25}}}}
  feed: {choice: {dense: , mixture: {experts: {int: [2, 3]}, router: {choice: [gate, learned]}}}}
"""  # fmt: skip


@pytest.fixture(scope="module")
def space(tmp_path_factory):
    return read(tmp_path_factory.mktemp("space"), TEXT)


@pytest.fixture(scope="module")
def small(tmp_path_factory):
    return read(tmp_path_factory.mktemp("space"), SMALL)


@pytest.mark.parametrize(
    ("model", "expected"),
    [
        ("{position: ROPE, activation: GeLU}", ({"rope": {}}, "gelu")),
        ("{position: {Rope: {}}, activation: {choice: [ReLU, gelu]}}", ({"rope": {}}, {"choice": ["relu", "gelu"]})),
        ("{position: {choice: [Learned, ROPE]}, activation: relu}", ({"choice": {"learned": {}, "rope": {}}}, "relu")),
    ],
)
def test_names_are_known_in_any_case(tmp_path, model, expected):
    found = read(tmp_path, HEAD + DATA + f"model: {model}\n").resolved()["model"]
    position = found["position"]
    if "rope" in position:
        position = {"rope": {}}
    elif "choice" in position:
        position = {"choice": {name: {} for name in position["choice"]}}
    assert (position, found["activation"]) == expected


def test_a_start_names_an_option_in_any_case_and_a_free_text_keeps_its_own(tmp_path):
    text = HEAD + DATA + "model: {position: {choice: [learned, rope]}, note: ReLU}\nstart: [{model.position: RoPE}]\n"
    space = read(tmp_path, text)
    assert space.start == ({"model.position": "rope"},)
    assert space.resolved()["model"]["note"] == "ReLU"


def test_an_option_in_two_cases_stands_twice(tmp_path):
    with pytest.raises(SpaceError, match="the option 'rope' is given twice"):
        read(tmp_path, HEAD + DATA + "model: {position: {choice: [rope, RoPE]}}\n")


def test_the_envelope(space):
    assert (space.objective.metric, space.objective.goal) == ("val/accuracy", Goal.MAXIMIZE)
    assert space.objective.at == MeanOfLast(mean_of_last=3)
    assert (space.search.time, space.search.trial_time, space.search.workers) == (5400.0, 90.0, 2)
    assert (space.search.sampler.kind, space.search.sampler.startup, space.search.pruner.kind) == ("tpe", 20, "none")
    assert (space.confirm.top, space.confirm.seeds) == (1, 7)


def test_defaults(small):
    assert small.confirm is None
    assert (small.search.sampler.kind, small.search.pruner.kind) == ("auto", "auto")
    assert (small.search.trials, small.search.workers, small.search.retries) == (50, "auto", 2)


def test_parameters_stand_in_the_order_of_the_file_and_branches_before_their_settings(space):
    feed, mixture = ("model.feed", "mixture"), ("model.feed.mixture.router", "gate")
    assert space.parameters == (
        Parameter("train.learning_rate", Float(1e-4, 1e-2, log=True)),
        Parameter("train.clip", Choice((None, 1.0))),
        Parameter("train.stopping", Choice((None, {"patience": 3}))),
        Parameter("data.shuffle", Choice((True, False))),
        Parameter("model.width", Choice((64, 96))),
        Parameter("model.heads", Choice((2, 3))),
        Parameter("model.layers", Int(1, 12, log=True)),
        Parameter("model.dropout", Float(0.0, 0.3, step=0.1)),
        Parameter("model.sizes", Choice(([3, 3], [5, 5, 5]))),
        Parameter("model.stack.1.width", Int(2, 4)),
        Parameter("model.position", Choice(("learned", "rope")), branch=True),
        Parameter("model.position.rope.base", Float(1e3, 1e5, log=True), (("model.position", "rope"),)),
        Parameter("model.feed", Choice(("dense", "mixture")), branch=True),
        Parameter("model.feed.mixture.experts", Int(2, 8, 2), (feed,)),
        Parameter("model.feed.mixture.router", Choice(("gate", "learned")), (feed,), branch=True),
        Parameter("model.feed.mixture.router.gate.bias", Float(0.0, 1.0), (feed, mixture)),
    )


def test_a_start_entry_gets_the_options_it_hangs_on_and_the_ranges_own_values(space):
    (entry,) = space.start
    assert entry == {
        "model.feed": "mixture",
        "model.feed.mixture.router": "gate",
        "model.feed.mixture.router.gate.bias": 1.0,
        "train.clip": 1.0,
    }
    assert isinstance(entry["train.clip"], float)


def test_a_configuration_is_complete_and_plain(space):
    params = space.sample_feasible(random_numbers())
    params |= {"model.position": "rope", "model.position.rope.base": 2e3, "model.stack.1.width": 3, "train.epochs": 99}
    configuration = space.configuration(params)
    assert configuration["train"]["epochs"] == 20
    assert configuration["model"]["position"] == {"kind": "rope", "base": 2e3, "partial": 0.5}
    assert configuration["model"]["stack"] == [{"width": 4}, {"width": 3}]
    assert json.loads(json.dumps(configuration)) == configuration
    config = space.config(params)
    assert isinstance(config, Config)
    assert config.model.activation == "relu"


def test_a_configuration_does_not_share_the_lists_of_the_space(space):
    params = {**space.sample(random_numbers()), "model.sizes": space.parameters[8].range.options[0]}
    space.configuration(params)["model"]["sizes"].append(9)
    assert space.parameters[8].range.options[0] == [3, 3]


def test_a_missing_value_is_said(space):
    with pytest.raises(HpsearchError, match=r"no value was given for train\.learning_rate"):
        space.configuration({})


def test_the_example_is_a_feasible_configuration_that_stays_the_same(space):
    assert space.example
    assert space.violation(space.example) is None
    assert space.example is space.example


@given(st.integers())
def test_samples_are_valid_configurations(space, seed):
    params = space.sample(random_numbers(seed))
    assert space.wrong_params(params) == {}
    assert [parameter.path for parameter in space.active(params)] == list(params)
    assert ("model.position.rope.base" in params) == (params["model.position"] == "rope")
    feasible = space.sample_feasible(random_numbers(seed))
    assert space.violation(feasible) is None
    assert space.check_params(feasible) == []


def test_samples_follow_from_the_random_numbers(space):
    assert space.sample(random_numbers(3)) == space.sample(random_numbers(3))
    assert space.sample(random_numbers(3)) != space.sample(random_numbers(4))


def test_violations(space):
    params = space.sample_feasible(random_numbers())
    params |= {"model.width": 64, "model.heads": 3}
    assert space.violation(params) == "model: width 64 is not a multiple of heads 3"
    params |= {"model.heads": 2, "model.feed": "mixture", "model.feed.mixture.experts": 4}
    params |= {"model.feed.mixture.router": "learned"}
    assert space.violation(params) == "model.feed.mixture.experts <= model.heads"
    assert space.violation(params | {"model.feed": "dense"}) is None


def test_params_are_checked_by_name_and_value(space):
    params = space.sample_feasible(random_numbers()) | {"model.position": "learned"}
    params.pop("model.position.rope.base", None)
    del params["train.clip"]
    wrong = {"model.width": 65, "depth": 1, "model.position.rope.base": 2e3}
    assert space.check_params(params | wrong) == [
        "model.width: 65 is not in {choice: [64, 96]}",
        f"depth: is not a range of this space; known: {', '.join(each.path for each in space.parameters)}",
        "model.position.rope.base: does not exist when model.position is 'learned'",
        "train.clip: no value",
    ]
    assert space.check_params({"train.clip": 1}, partial=True) == []


def test_the_grid_is_every_configuration_once(small):
    configurations = list(small.grid())
    assert len(configurations) == small.size == 2 * (1 + 3) * (1 + 2 * 2)
    assert len({json.dumps(params, sort_keys=True) for params in configurations}) == small.size
    assert all(small.check_params(params) == [] for params in configurations)


def test_a_grid_over_a_continuous_range_names_it(space):
    assert space.size is None
    with pytest.raises(HpsearchError, match=r"give train\.learning_rate a step, or use choice"):
        space.grid()


def test_a_space_without_ranges_has_one_configuration(tmp_path):
    fixed = read(tmp_path, HEAD + DATA)
    assert (fixed.parameters, fixed.size, list(fixed.grid())) == ((), 1, [{}])


def test_a_resolved_space_reads_back_exactly(space, small):
    for each in (space, small):
        resolved = json.loads(json.dumps(each.resolved()))
        again = space_from_resolved(resolved, Toy(), text=each.text)
        assert again.resolved() == each.resolved() == resolved
        assert again.parameters == each.parameters
        assert (again.objective, again.search, again.confirm) == (each.objective, each.search, each.confirm)
        assert (again.requirements, again.start, again.text) == (each.requirements, each.start, each.text)
        assert again.sample(random_numbers(5)) == each.sample(random_numbers(5))


def test_a_resolved_space_that_the_family_no_longer_accepts_is_refused(space):
    resolved = space.resolved()
    resolved["model"]["depth"] = 3
    with pytest.raises(SpaceError, match=r"resolved\.json: unknown setting 'depth' in model"):
        space_from_resolved(resolved, Toy())


def test_a_resolved_space_is_a_space_file(space, tmp_path):
    assert read(tmp_path, json.dumps(space.resolved())).resolved() == space.resolved()


def test_differences_are_lines_by_setting(small, tmp_path):
    changed = SMALL.replace("{choice: [1, 2]}", "4").replace("rope: {", "rope: {base: {log: [1, 9]}, ")
    changed = changed.replace(", mixture: {experts: {int: [2, 3]}, router: {choice: [gate, learned]}}", "")
    changed = changed.replace("tiny", "tiny, size: 3")
    assert differences(small.resolved(), small.resolved()) == []
    assert differences(small.resolved(), read(tmp_path, changed).resolved()) == [
        "data.size: (not set) -> 3",
        "model.heads: {choice: [1, 2]} -> 4",
        "model.position.rope.base: (not set) -> {log: [1.0, 9.0]}",
        "model.feed: {choice: ['dense', 'mixture']} -> {choice: ['dense']}",
        "model.feed.mixture.experts: {int: [2, 3]} -> (not set)",
        "model.feed.mixture.router: {choice: ['gate', 'learned']} -> (not set)",
    ]
