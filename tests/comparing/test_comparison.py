"""compare.json is what docs/reference/compare-json.md promises: these keys and no others, in valid JSON."""

import json
import math
from dataclasses import replace

from hpsearch.comparing.comparison import (
    AcrossDatasets,
    AlsoTest,
    Comparison,
    DroppedRun,
    Effect,
    Equivalence,
    ExpectedBest,
    ExperimentSummary,
    Omnibus,
    PairResult,
    Unit,
    Verdict,
    WinsTiesLosses,
)
from hpsearch.records import Goal

PAIR = PairResult(
    a="new",
    b="old",
    paired=True,
    n=5,
    mean_difference=0.1 + 0.2,
    ci95=(0.1, 0.5),
    test="paired t",
    statistic=3.5,
    df=4.0,
    p=0.02,
    p_adjusted=0.04,
    smallest_possible_p=0.0625,
    effect=Effect("d_z", 1.6, (0.2, 2.9)),
    cliffs_delta=0.9,
    p_superiority=1.0,
    also=(AlsoTest("wilcoxon", 0.0625, 0.0), AlsoTest("sign flip", 0.0625)),
    equivalence=Equivalence(0.01, 0.9, equivalent=False),
    verdict=Verdict.BETTER,
    notes=("a note",),
)
COMPARISON = Comparison(
    metric="test/accuracy",
    goal=Goal.MAXIMIZE,
    unit=Unit.SEED,
    alpha=0.05,
    family_size=1,
    adjust="holm",
    experiments=(ExperimentSummary("new", 1, 0.5, runs_dropped=(DroppedRun("run 3", "failed"),)),),
    pairs=(PAIR,),
    across_datasets=AcrossDatasets(
        {"new": 1.0}, Omnibus(9.28, 3, 0.02), Omnibus(3.69, (3, 39), 0.01), 1.25, {"new": WinsTiesLosses(3, 1, 0)}
    ),
    expected_best=(ExpectedBest("new", 1, 0.5, "unbiased"),),
    warnings=("a warning",),
)


def test_the_keys_are_those_of_the_format() -> None:
    shown = COMPARISON.to_json()
    assert " ".join(shown) == (
        "version metric goal unit alpha family_size adjust varied experiments pairs across_datasets expected_best "
        "warnings"
    )
    (experiment,), (pair,) = shown["experiments"], shown["pairs"]
    assert " ".join(experiment) == "name n mean sd median iqm min max ci95 ci_method runs_dropped"
    assert experiment["runs_dropped"] == [{"run": "run 3", "why": "failed"}]
    assert " ".join(pair) == (
        "a b paired n mean_difference ci95 ci_adjusted ci_adjusted_level hodges_lehmann test sided statistic df "
        "p p_adjusted smallest_possible_p effect "
        "cliffs_delta p_superiority also equivalence verdict seeds_needed notes"
    )
    assert pair["effect"] == {"name": "d_z", "value": 1.6, "ci95": [0.2, 2.9]}
    assert pair["also"] == [
        {"test": "wilcoxon", "statistic": 0.0, "p": 0.0625},
        {"test": "sign flip", "p": 0.0625},
    ]
    assert pair["equivalence"] == {"margin": 0.01, "p": 0.9, "equivalent": False}
    assert shown["across_datasets"] == {
        "average_ranks": {"new": 1.0},
        "friedman": {"statistic": 9.28, "df": 3, "p": 0.02, "tie_corrected": True},
        "iman_davenport": {"statistic": 3.69, "df": [3, 39], "p": 0.01},
        "nemenyi_cd": 1.25,
        "wins_ties_losses": {"new": [3, 1, 0]},
    }
    assert shown["expected_best"] == [{"name": "new", "n": 1, "mean": 0.5, "estimator": "unbiased"}]
    assert (shown["version"], shown["unit"], pair["verdict"]) == (1, "seed", "better")


def test_floats_come_back_in_full() -> None:
    back = json.loads(json.dumps(COMPARISON.to_json(), allow_nan=False))
    assert back["pairs"][0]["mean_difference"] == 0.1 + 0.2
    assert back == COMPARISON.to_json()


def test_what_json_cannot_hold_is_null() -> None:
    odd = replace(PAIR, statistic=math.inf, p=math.nan, ci95=(-math.inf, 1.0))
    (pair,) = json.loads(json.dumps(replace(COMPARISON, pairs=(odd,)).to_json(), allow_nan=False))["pairs"]
    assert (pair["statistic"], pair["p"], pair["ci95"]) == (None, None, [None, 1.0])


def test_what_is_missing_is_null_and_not_left_out() -> None:
    shown = PairResult("a", "b", paired=False, n=0).to_json()
    assert shown.keys() == PAIR.to_json().keys()
    assert shown["effect"] is shown["equivalence"] is shown["p"] is None
