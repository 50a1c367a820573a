"""What is said of searches before their curves are believed: who chose the trials, and which were left out."""

import pytest

from hpsearch.records import Outcome, SearchOrigin
from tests.comparing.arms import METRIC, compare, run, seeds, trials

NOBODY = "a: the expected best assumes independent trials; nobody noted which sampler chose them"


def said(*, sampler: str | None, pruner: str | None = "none", pruned: bool = False) -> list[str]:
    search = SearchOrigin(METRIC, sampler, pruner)
    found = [run("a", 0.1 * trial, trial=trial, search=search) for trial in range(4)]
    if pruned:
        found.append(run("a", 0.9, trial=4, search=search, outcome=Outcome.PRUNED))
    return list(compare(found).warnings)


@pytest.mark.parametrize("sampler", ["random", "qmc"])
def test_independent_trials_need_no_warning(sampler: str) -> None:
    assert said(sampler=sampler) == []


@pytest.mark.parametrize(
    ("sampler", "pruner", "says"),
    [
        ("tpe", "none", "but tpe chose each by the earlier ones"),
        ("random", "pbt", "but pbt chose each by the earlier ones"),
        ("tpe", "pb2", "but pb2, tpe chose each by the earlier ones"),
        ("grid", "none", "but grid takes each configuration once"),
        (None, "none", "nobody noted which sampler chose them"),
        ("", "asha", "nobody noted which sampler chose them"),
    ],
)
def test_what_speaks_against_independence_is_said(sampler: str | None, pruner: str, says: str) -> None:
    (warning,) = said(sampler=sampler, pruner=pruner)
    assert says in warning


def test_a_pruner_is_named_where_it_pruned_and_only_there() -> None:
    assert said(sampler="random", pruner="asha") == []
    (warning,) = said(sampler="random", pruner="asha", pruned=True)
    assert "asha pruned trials; only the complete ones" in warning
    (warning,) = said(sampler="random", pruner=None, pruned=True)
    assert "the search pruned trials" in warning


def test_replicates_were_chosen_by_nobody() -> None:
    """With the trial as the unit replicates count, too, but no sampler proposed them."""
    found = [*trials("a", [0.1, 0.2, 0.3]), *seeds("a", [0.2, 0.3])]
    assert not any("nobody noted" in each for each in compare(found, unit="trial").warnings)
    assert NOBODY in compare([run("a", 0.1, trial=0, search=SearchOrigin(METRIC))]).warnings
