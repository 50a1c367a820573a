"""Whatever finished runs hold, comparing them gives a result or a sentence."""

import contextlib
import json
import warnings

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from hypothesis.strategies import SearchStrategy

from hpsearch.comparing.conclusion import conclude
from hpsearch.comparing.statistics.two_samples import smallest_sign_p
from hpsearch.errors import HpsearchError
from hpsearch.records import FinishedRun, Outcome, SearchOrigin
from tests.comparing.arms import compare, run, seeds

NUMBERS = st.sampled_from([0.0, 0.5, 1.0, float("nan"), float("inf"), 1e308, -1e308, 5e-324, 1e-200]) | st.floats()
SEARCHES = [None, None, None, SearchOrigin("test/accuracy"), SearchOrigin("loss", "tpe", "asha")]


def maybe(highest: int) -> SearchStrategy[int | None]:
    """Return keys, of which many are missing or equal."""
    return st.none() | st.integers(0, highest)


runs = st.builds(
    run,
    st.sampled_from("abc"),
    st.none() | NUMBERS,
    seed=maybe(6),
    fold=maybe(2),
    repeat=maybe(4),
    dataset=maybe(3),
    trial=maybe(3),
    steps=st.sampled_from([None, None, 5, 6]),
    search=st.sampled_from(SEARCHES),
    outcome=st.sampled_from([*[Outcome.COMPLETE] * 9, Outcome.PRUNED, Outcome.FAILED, None]),
    deterministic=st.sampled_from([False, False, False, True]),
    params=st.sampled_from([{}, {"p": 1}, {"p": "x"}]),
    train_size=st.sampled_from([None, 80]),
    test_size=st.sampled_from([None, 20, 0]),
)
options = st.fixed_dictionaries(
    {
        "unit": st.sampled_from(["auto", "auto", "seed", "fold", "dataset", "trial"]),
        "margin": st.sampled_from([None, 0.1, 1e-300]),
        "adjust": st.sampled_from(["holm", "hommel", "bh", "none"]),
        "by": st.sampled_from([None, None, "p"]),
        "baseline": st.sampled_from([None, "a"]),
    }
)


@settings(max_examples=60, deadline=None, suppress_health_check=list(HealthCheck), derandomize=True)
@given(st.lists(runs, max_size=24), options)
def test_any_runs_give_a_result_or_a_sentence(found: list[FinishedRun], asked: dict[str, object]) -> None:
    with contextlib.suppress(HpsearchError), warnings.catch_warnings():
        warnings.simplefilter("error")
        compared = compare(found, **asked)
        json.dumps(compared.to_json(), allow_nan=False)
        assert conclude(compared)
        assert all(pair.p is None or 0 < pair.p <= 1 for pair in compared.pairs)


def test_numbers_that_cannot_be_computed_with_are_dropped_by_name() -> None:
    (summary,) = compare([run("a", 1e308, seed=0), run("a", 0.5, seed=1)]).experiments
    assert (summary.n, summary.mean) == (1, 0.5)
    assert "too large to compute with" in summary.runs_dropped[0].why


def test_runs_of_a_single_fold_have_nothing_to_correct_for() -> None:
    found = [
        run(name, 0.1 * seed + step * seed, fold=0, seed=seed)
        for name, step in (("a", 0.1), ("b", 0.2))
        for seed in range(5)
    ]
    (pair,) = compare(found, unit="fold").pairs
    assert (pair.n, pair.p) == (1, None)
    assert "n = 1" in pair.notes[-1]


def test_runs_without_a_fold_are_no_fold_more() -> None:
    found = [
        run(name, 0.5 + 0.01 * fold * fold * step, fold=fold)
        for name, step in (("a", 1), ("b", 2))
        for fold in range(5)
    ]
    (pair,) = compare([*found, run("a", 0.6, seed=7)], unit="fold").pairs
    assert any("1/4, as in 5-fold" in note for note in pair.notes)


def test_the_interval_over_folds_is_that_of_the_noted_sizes() -> None:
    values = [0.5, 0.6, 0.55, 0.7]
    found = [run("a", value, fold=fold, train_size=100, test_size=100) for fold, value in enumerate(values)]
    low, high = compare(found).experiments[0].ci95 or (0.0, 0.0)
    sd, t = 0.08539125638299666, 3.182446305284263  # of the values; 97.5% of Student's t with 3 df
    assert abs((high - low) / 2 - t * sd * (1 / 4 + 1) ** 0.5) < 1e-9


def test_a_search_by_an_unknown_sampler_is_said_to_be_one() -> None:
    search = SearchOrigin("test/accuracy")
    found = [run("a", 0.1 * trial, trial=trial, search=search) for trial in range(4)]
    pruned = run("a", 0.9, trial=4, search=search, outcome=Outcome.PRUNED)
    said = compare([*found, pruned]).warnings
    assert any("nobody noted which sampler" in each for each in said)
    assert any("pruned trials; only the complete ones" in each for each in said)


def test_data_sets_needed_are_as_many_as_signed_ranks_can_tell_apart() -> None:
    gains = [0.1, 0.11, 0.12, 0.13, 0.14]
    found = [
        run(name, 0.5 + gain * better, dataset=place)
        for name, better in (("a", 1), ("b", 0))
        for place, gain in enumerate(gains)
    ]
    (pair,) = compare(found).pairs
    assert pair.verdict == "not enough evidence"
    assert pair.seeds_needed is not None
    assert smallest_sign_p(pair.seeds_needed) <= 0.05


def test_a_winner_by_ranks_whose_mean_is_behind_is_said_to_be_one() -> None:
    gains = [*[0.01] * 12, 0.012, 0.013, -0.5]
    found = [run("a", 0.5 + gain, dataset=place) for place, gain in enumerate(gains)]
    found += [run("b", 0.5, dataset=place) for place in range(len(gains))]
    headline, sentence, *_ = conclude(compare(found))
    assert "by ranks it is worse than a" in headline
    assert sentence.startswith("a is better than b by ranks, though its mean is behind by 0.02367")


@settings(deadline=None, derandomize=True, max_examples=150)
@given(st.lists(st.floats(-1, 1), min_size=2, max_size=6), st.lists(st.floats(-0.01, 0.01), min_size=2, max_size=20))
def test_more_runs_are_asked_for_than_the_shorter_of_two_unpaired_sides_has(a: list[float], b: list[float]) -> None:
    """Two runs that vary against twenty that do not: two each would not do, as two have just not shown it."""
    (pair,) = compare(seeds("a", a) + seeds("b", b, start=50)).pairs
    if pair.seeds_needed is not None:
        assert pair.seeds_needed > min(len(a), len(b))
        assert pair.further.power is not None
        assert pair.further.power < 0.8
