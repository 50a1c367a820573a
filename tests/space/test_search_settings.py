import pytest
from pydantic import ValidationError

from hpsearch.records import Goal
from hpsearch.space.search_settings import Objective, Search, check_objective, parse_duration


@pytest.mark.parametrize(
    ("text", "seconds"),
    [("90s", 90), ("15m", 900), ("2h", 7200), ("1d", 86400), ("1h30m", 5400), ("1.5h", 5400), ("1h 30m", 5400), (7, 7)],
)
def test_durations(text, seconds):
    assert parse_duration(text) == seconds
    assert Search(time=text).time == seconds


@pytest.mark.parametrize("wrong", ["", "1", "h", "1w", "-1h", "1h30", "1hh", True, 0, -5, float("inf")])
def test_what_is_no_duration(wrong):
    with pytest.raises(ValidationError):
        Search(time=wrong)


@pytest.mark.parametrize(
    ("sampler", "pruner"),
    [(each, "asha") for each in ("auto", "tpe", "random", "grid", "gp", "cmaes", "qmc", "nsga2")]
    + [("tpe", each) for each in ("none", "median", "percentile", "asha", "hyperband", "patient")],
)
def test_every_sampler_and_pruner_has_a_name(sampler, pruner):
    search = Search(sampler=sampler, pruner=pruner)
    assert (search.sampler.kind, search.pruner.kind) == (sampler, pruner)


def test_a_threshold_needs_a_bound_and_their_order():
    assert Search(pruner={"threshold": {"upper": 3}}).pruner.upper == 3
    for wrong in ("threshold", {"threshold": {"lower": 3, "upper": 2}}):
        with pytest.raises(ValidationError):
            Search(pruner=wrong)


@pytest.mark.parametrize("wrong", [0, -1, "many", True, 1.5])
def test_workers(wrong):
    with pytest.raises(ValidationError):
        Search(workers=wrong)


@pytest.mark.parametrize("at", [{"mean_of_last": 0}, {"mean_of_last": 2, "x": 1}, "mean", 3, None])
def test_at(at):
    with pytest.raises(ValidationError):
        Objective(metric="val/x", goal="minimize", at=at)


def test_a_family_without_a_list_of_metrics_takes_any_but_a_test_metric():
    assert check_objective("val/anything", "maximize", {}) == []
    assert check_objective("anything", None, {}) == []
    assert "read only by confirm" in check_objective("test/anything", None, {})[0][1]
    assert check_objective("val/loss", "minimize", {"loss": Goal.MINIMIZE}) == []


def test_the_engine_of_this_machine_has_the_name_of_earlier_versions_too():
    assert Search().engine == Search(engine="local").engine == Search(engine="optuna").engine == "local"
    assert Search(engine="ray").engine == "ray"
