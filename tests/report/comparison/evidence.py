"""Comparisons of made-up runs, with names that try to be markup."""

import random
from array import array
from collections.abc import Sequence

from hpsearch.comparing import Question, compare_runs
from hpsearch.records import FinishedRun, Goal, Measurement, Outcome, SearchOrigin, Series
from hpsearch.report.comparison.contents import ReportContents

WICKED = "cnn_small & <b>x</b>|$50%"


def replicates(name: str, mean: float, *, seeds: int = 10, spread: float = 0.01) -> list[FinishedRun]:
    """Runs of one method on the seeds 0, 1 ..., with a learning curve each."""
    generator = random.Random(name)
    runs = []
    for seed in range(seeds):
        value = mean + generator.gauss(0, spread)
        curve = Series(array("q", range(1, 6)), array("d", [value - 0.2 / step for step in range(1, 6)]))
        measured = {"test/accuracy": Measurement(value, 5), "val/accuracy": Measurement(curve.values[-1], 5)}
        runs.append(
            FinishedRun(
                experiment=name,
                run=f"{name}/{seed}",
                seed=seed,
                metrics=measured,
                histories={"val/accuracy": curve},
                steps=5,
                seconds=10.0 + seed,
            )
        )
    return runs


def trials(name: str, count: int = 12) -> list[FinishedRun]:
    """The trials of a search, some without one of the parameters."""
    generator = random.Random(name)
    origin = SearchOrigin("val/accuracy", "random")
    return [
        FinishedRun(
            experiment=name,
            run=f"{name}/trials/{number}",
            trial=number,
            search=origin,
            params={"rate": 10 ** generator.uniform(-4, -1), "kind": generator.choice("ab")}
            | ({"width": generator.randint(1, 8)} if number % 3 else {}),
            metrics={"val/accuracy": Measurement(generator.uniform(0.5, 0.9), 5)},
            steps=5,
            seconds=3.0,
        )
        for number in range(count)
    ]


def seeds_evidence(*, margin: float | None = 0.01) -> ReportContents:
    """Three methods on shared seeds, one run of which failed, and the search behind one of them."""
    runs = [*replicates("ours", 0.92), *replicates(WICKED, 0.90), *replicates("theirs", 0.919)]
    failed = FinishedRun(experiment="ours", run="ours/<i>10</i>", seed=10, outcome=Outcome.FAILED, reason="ValueError")
    comparison = compare_runs([*runs, failed], Question("test/accuracy", Goal.MAXIMIZE, margin=margin))
    return ReportContents(comparison, [*runs, failed, *trials("ours")], {"ours": {"rate": 0.75, "kind": 0.25}})


def datasets_evidence() -> ReportContents:
    """Four methods on twelve data sets."""
    generator = random.Random(0)
    runs = [
        FinishedRun(
            experiment=method,
            run=f"{method}/{dataset}",
            dataset=f"d{dataset}",
            metrics={"score": Measurement(0.7 + 0.05 * place + generator.gauss(0, 0.04))},
        )
        for dataset in range(12)
        for place, method in enumerate(("a", "b", "c", WICKED))
    ]
    return ReportContents(compare_runs(runs, Question("score", Goal.MAXIMIZE)), runs)


def search_evidence(names: Sequence[str] = ("one", "two")) -> ReportContents:
    """Two searches, whose trials cannot be tested."""
    runs = [run for name in names for run in trials(name, 20)]
    return ReportContents(compare_runs(runs, Question("val/accuracy", Goal.MAXIMIZE)), runs)
