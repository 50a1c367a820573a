"""`sampler: auto`: its numbers stand for configurations, its model is the textbook's, and it keeps what it is given."""

import math
import random
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from optuna.trial import FrozenTrial, TrialState, create_trial
from scipy.integrate import quad
from scipy.stats import norm
from sklearn.gaussian_process import GaussianProcessRegressor
from sklearn.gaussian_process.kernels import Matern, WhiteKernel

from hpsearch.records import Outcome
from hpsearch.search.auto import MODELLED, losses, standardized, varied
from hpsearch.search.coding import Coding
from hpsearch.search.optuna_search import OptunaSearch
from hpsearch.search.surrogate import Kernel, Process, fit_kernel, log_expected_improvement
from hpsearch.space import Space
from hpsearch.testing.searching import made_up_space
from tests.benchmarks.samplers import classical, compared
from tests.search.test_searched_values import program_space

EVERY_KIND = (
    "{a: {float: [-1, 1]}, b: {log: [1e-5, 1]}, c: {int: [3, 9], step: 2}, d: {int: [1, 100], log: true},"
    " e: {float: [0, 1], step: 0.25}, f: {choice: [32, 512, 64]}, g: {choice: [x, [1, 2], true, 1]}, h: {choice: [5]}}"
)


def close(value: Any) -> Any:
    return pytest.approx(value, rel=1e-9, abs=1e-9)


# Configurations as numbers


def test_a_configuration_comes_back_from_its_positions(tmp_path: Path) -> None:
    rng = random.Random(0)
    for space in (program_space(tmp_path, EVERY_KIND), made_up_space(tmp_path)):
        coding = Coding(space)
        for _ in range(200):
            params = space.sample(rng)
            positions = coding.encode(params)
            assert ((positions >= 0) & (positions <= 1)).all()
            found = coding.decode(positions)
            assert found == {
                path: pytest.approx(value, rel=1e-9) if isinstance(value, float) else value
                for path, value in params.items()
            }
            assert coding.snapped(positions[None])[0] == close(positions)


def test_positions_stand_for_the_configuration_that_they_are_snapped_to(tmp_path: Path) -> None:
    coding, rng = Coding(program_space(tmp_path, EVERY_KIND)), np.random.default_rng(0)
    for point in rng.random((200, 8)):
        assert coding.encode(coding.decode(point)) == close(coding.snapped(point[None])[0])


def test_every_value_is_drawn_as_often_as_by_the_range(tmp_path: Path) -> None:
    space = program_space(tmp_path, "{c: {int: [3, 9], step: 2}, f: {choice: [32, 512, 64]}}")
    coding = Coding(space)
    drawn = [coding.decode(point) for point in np.random.default_rng(0).random((3000, 2))]
    for path, count in (("model.c", 4), ("model.f", 3)):
        values = [params[path] for params in drawn]
        assert {each: pytest.approx(3000 / count, rel=0.12) for each in set(values)} == {
            each: values.count(each) for each in set(values)
        }
        assert len(set(values)) == count


def test_what_does_not_exist_makes_no_difference(tmp_path: Path) -> None:
    coding = Coding(made_up_space(tmp_path))
    paths = [parameter.path for parameter in coding.parameters]
    params = {"model.width": 3, "model.start": 0.5, "model.kind": "b", "train.rate": 0.1, "train.optimizer": "adamw"}
    points = np.stack([coding.encode(params)] * 2)
    points[:, paths.index("train.optimizer.sgd.momentum")] = 0.1, 0.9
    without, other = coding.features(points)
    assert (without == other).all()
    points[:, paths.index("train.optimizer")] = coding.encode({**params, "train.optimizer": "sgd"})[
        paths.index("train.optimizer")
    ]
    first, second = coding.features(points)
    assert (first != second).sum() == 1


def test_numbers_to_choose_from_are_in_their_order_and_other_options_equally_far(tmp_path: Path) -> None:
    coding = Coding(program_space(tmp_path, "{f: {choice: [32, 512, 64]}, g: {choice: [x, y, z]}}"))
    encoded = {value: coding.encode({"model.f": value, "model.g": "x"})[0] for value in (32, 64, 512)}
    assert encoded[32] < encoded[64] < encoded[512]
    x, y, z = (coding.features(coding.encode({"model.f": 32, "model.g": each})[None])[0] for each in "xyz")
    assert ((x - y) ** 2).sum() == pytest.approx(1)
    assert ((x - z) ** 2).sum() == pytest.approx(((y - z) ** 2).sum())


# The model


def observations(count: int, width: int = 3) -> tuple[Any, Any]:
    rng = np.random.default_rng(1)
    points = rng.random((count, width))
    return points, standardized(np.sin(6 * points[:, 0]) + 0.1 * points[:, 1] + 0.01 * rng.normal(size=count))[0]


def test_the_process_is_that_of_another_library() -> None:
    points, values = observations(30)
    lengths, noise, owner = np.array([0.2, 0.5, 2.0]), 1e-3, np.arange(3)
    other = GaussianProcessRegressor(Matern(lengths, nu=2.5) + WhiteKernel(noise), optimizer=None).fit(points, values)
    ours = Process(Kernel(lengths**-2.0, noise), points, values, owner)
    asked = np.random.default_rng(2).random((20, 3))
    mean, sd = other.predict(asked, return_std=True)
    found, spread = ours.predict(asked)
    assert found == pytest.approx(mean, rel=1e-6, abs=1e-8)
    assert ours.mean(asked) == pytest.approx(mean, rel=1e-6, abs=1e-8)
    assert spread**2 + noise == pytest.approx(sd**2, rel=1e-5)


def test_an_unsure_value_counts_as_that_of_a_process_with_as_much_noise() -> None:
    rng = np.random.default_rng(0)
    features, values, owner = rng.random((8, 2)), rng.normal(size=8), np.arange(2)
    unsure = np.array([0.0] * 7 + [0.3])
    kernel = Kernel(np.array([4.0, 1.0]), 0.01)
    ours = Process(kernel, features, values, owner, unsure)
    theirs = GaussianProcessRegressor(Matern(length_scale=[0.5, 1.0], nu=2.5), alpha=0.01 + unsure, optimizer=None)
    theirs.fit(features, values)
    at = rng.random((20, 2))
    for mine, other in zip(ours.predict(at), theirs.predict(at, return_std=True), strict=True):
        assert mine == pytest.approx(other, rel=1e-6)
    hopeless = fit_kernel(features, values, owner, np.array([0.0] * 7 + [1e9]))
    without = fit_kernel(features[:7], values[:7], owner)
    assert hopeless.weights == pytest.approx(without.weights, rel=1e-3)
    assert hopeless.noise == pytest.approx(without.noise, rel=1e-3)


def test_the_fit_finds_which_parameters_matter_and_how_noisy_values_are() -> None:
    points, values = observations(60)
    fitted = fit_kernel(points, values, np.arange(3))
    lengths = fitted.weights**-0.5
    assert lengths[0] < 0.5 < 1 < lengths[2]
    assert fitted.noise < 0.01
    noisy = np.sin(6 * points[:, 0]) + 0.5 * np.random.default_rng(3).normal(size=60)
    assert 0.1 < fit_kernel(points, standardized(noisy)[0], np.arange(3)).noise < 0.7


@pytest.mark.parametrize(("mean", "sd", "best"), [(0.0, 1.0, 0.5), (1.0, 0.3, 0.2), (2.0, 0.5, 0.0), (-1.0, 2.0, 0.0)])
def test_the_expected_gain_is_the_integral(mean: float, sd: float, best: float) -> None:
    gain = quad(lambda value: (best - value) * norm.pdf(value, mean, sd), mean - 12 * sd, best, epsabs=1e-14)[0]
    found = log_expected_improvement(np.array([mean]), np.array([sd]), best)[0]
    assert found == pytest.approx(math.log(gain), rel=1e-4)


def test_the_expected_gain_has_an_order_where_it_vanishes() -> None:
    found = log_expected_improvement(np.array([50.0, 60.0, 900.0]), np.ones(3), 0.0)
    assert np.isfinite(found).all()
    assert list(np.argsort(-found)) == [0, 1, 2]


# What trials say


def trial(state: TrialState, value: float | None, *, infeasible: bool = False) -> FrozenTrial:
    made = create_trial(state=state, value=value)
    made.system_attrs = {"constraints:trainable": 1.0} if infeasible else {}
    return made


def test_infeasible_trials_are_the_worst() -> None:
    told = [
        trial(TrialState.COMPLETE, 2.0),
        trial(TrialState.COMPLETE, 7.0),
        trial(TrialState.COMPLETE, 1.0, infeasible=True),
        trial(TrialState.COMPLETE, math.inf),
    ]
    assert list(losses(told, sign=1.0)) == [2.0, 7.0, math.inf, math.inf]
    assert list(losses(told[:2], sign=-1.0)) == [-2.0, -7.0]
    found, unit = standardized(np.array([1.0, 3.0, math.inf]))
    assert found[1] == found[2] > found[0]
    assert (found.mean(), found.std()) == (pytest.approx(0), pytest.approx(1))
    assert unit == pytest.approx(np.std([1.0, 3.0, 3.0]))
    assert list(standardized(np.ones(3))[0]) == [0, 0, 0]


def test_varied_points_stay_in_the_ranges_and_move() -> None:
    rng = np.random.default_rng(0)
    points = rng.random((5, 4))
    found = varied(points, 500, (0.5, 0.01), rng)
    assert ((found >= 0) & (found <= 1)).all()
    assert not any((each == points).all(axis=1).any() for each in found)


# The search


def searched(space: Space, trials: int) -> list[dict[str, Any]]:
    search, found = OptunaSearch(space), []
    for number in range(trials):
        params = search.ask(number)
        assert params is not None
        found.append(params)
        search.tell(number, Outcome.COMPLETE, (params["model.a"] - 0.7) ** 2 + (params["model.b"] + 3) ** 2)
    return found


def test_it_begins_in_the_middle_spreads_and_then_finds_the_best(tmp_path: Path) -> None:
    space = program_space(tmp_path, "{a: {float: [0, 1]}, b: {float: [-10, 10]}}", sampler="auto")
    found = searched(space, 25)
    assert found[0] == {"model.a": 0.5, "model.b": 0.0}
    for path, low, width in (("model.a", 0, 1), ("model.b", -10, 20)):
        tenths = {int(10 * (params[path] - low) / width) for params in found[1:10]}
        assert len(tenths) == 9
    best = min(found, key=lambda params: (params["model.a"] - 0.7) ** 2 + (params["model.b"] + 3) ** 2)
    assert abs(best["model.a"] - 0.7) < 0.05
    assert abs(best["model.b"] + 3) < 0.05


def test_it_completes_lines_of_start_by_its_model(tmp_path: Path) -> None:
    space = program_space(tmp_path, "{a: {float: [0, 1]}, b: {float: [-10, 10]}}", sampler="auto")
    search, rng = OptunaSearch(space), random.Random(0)
    for number in range(20):
        params = search._fixed(number, space.sample(rng))
        search.tell(number, Outcome.COMPLETE, (params["model.a"] - 0.7) ** 2 + (params["model.b"] + 3) ** 2)
    params, _ = search._suggest(20, 0, {"model.a": 0.125})
    assert params["model.a"] == 0.125
    assert abs(params["model.b"] + 3) < 1


def test_with_many_trials_tpe_goes_on(tmp_path: Path) -> None:
    found = []
    for sampler in ("auto", "tpe"):
        space = program_space(tmp_path, "{a: {float: [0, 1]}, b: {choice: [x, y]}}", sampler=sampler)
        search, rng = OptunaSearch(space), random.Random(0)
        for number in range(MODELLED + 1):
            search._fixed(number, space.sample(rng))
            search.tell(number, Outcome.COMPLETE, rng.random())
        found.append(search.ask(MODELLED + 1))
    assert found[0] == found[1]


def test_running_trials_are_not_asked_for_again(tmp_path: Path) -> None:
    space = program_space(tmp_path, "{a: {float: [0, 1]}}", sampler="auto")
    search = OptunaSearch(space)
    for number in range(12):
        params = search.ask(number)
        assert params is not None
        search.tell(number, Outcome.COMPLETE, (params["model.a"] - 0.7) ** 2)
    beside = [search.ask(number) for number in range(12, 16)]
    assert len({round(params["model.a"], 4) for params in beside if params}) == 4


def test_the_benchmark_pairs_its_samplers() -> None:
    rows = compared([classical()[0], classical()[-1]], ["auto"], seeds=range(2), trials=4)
    pairs = [(seed, arm) for seed in (0, 0, 1, 1) for arm in ("auto", "optuna")]
    assert [(row["seed"], row["arm"]) for row in rows] == pairs
    assert all(math.isfinite(row["loss"]) for row in rows)
