"""The methods in words for a paper: facts of the runs and nothing else, whole sentences, in every format."""

import json
import random
import re
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from markupsafe import escape

from hpsearch.api.compare import compare
from hpsearch.cleaning import latex, markdown
from hpsearch.comparing import Question, compare_runs
from hpsearch.comparing.background import Answer, Background, Environment, Methods, Plan, Searched
from hpsearch.comparing.question import Over
from hpsearch.records import ExampleScores, FinishedRun, Goal, Measurement, Outcome, SearchOrigin
from hpsearch.report.comparison.background import background_of
from hpsearch.report.comparison.contents import ReportContents
from hpsearch.report.comparison.files import compare_json
from hpsearch.report.comparison.html import as_html
from hpsearch.report.comparison.latex import methods_latex
from hpsearch.report.comparison.markdown import as_markdown
from hpsearch.report.comparison.methods import with_methods
from tests.report.comparison.evidence import WICKED, datasets_evidence, replicates, search_evidence

KEPT = Path(__file__).parents[2] / "kept"
EVERYTHING = Environment(
    family="char_lm",
    versions={"python": "3.11.7", "hpsearch": "0.1.0", "torch": "2.13.0"},
    system="Linux",
    cores=16,
    processor="AMD EPYC",
    memory=128 * 10**9,
    gpus=("NVIDIA H100", "NVIDIA H100"),
    commit="c0ffee" * 6,
    uncommitted=True,
)
PLAN = Plan((5,), {}, 0.05, ("all pairs of arms",), "hpsearch study s.yaml", "spent.json")


def arms(count: int, *, n: int = 5, **keys: Any) -> list[FinishedRun]:
    """Runs of some methods on `n` seeds each; `keys` replace fields of all of them."""
    return [replace(run, **keys) for place in range(count) for run in replicates(f"arm{place}", 0.5 + place, seeds=n)]


def folds(count: int, repeats: int = 1) -> list[FinishedRun]:
    return [
        replace(
            run, seed=None, fold=f"{run.seed % count}/{count}", repeat=run.seed // count, train_size=80, test_size=20
        )
        for run in arms(2, n=count * repeats)
        if isinstance(run.seed, int)
    ]


def winners(experiment: str, *, n: int = 5, trial: int = 3, ends: Sequence[Outcome] = ()) -> list[FinishedRun]:
    """A search with its winner's replicates, as an experiment's folder gives them."""
    origin = SearchOrigin("val/accuracy", "tpe", "asha", {"rate": {}, "width": {}})
    searched = [
        FinishedRun(
            experiment=experiment, run=f"{experiment}/trials/{number}", outcome=end, trial=number, search=origin
        )
        for number, end in enumerate([Outcome.COMPLETE] * 4 + list(ends))
    ]
    again = [replace(run, trial=trial, unit="epoch") for run in replicates(experiment, 0.9, seeds=n)]
    return [*searched, *again]


def by_example(count: int = 20, methods: int = 2) -> list[FinishedRun]:
    generator = random.Random(0)
    names, clusters = tuple(map(str, range(count))), tuple(str(number // 4) for number in range(count))
    return [
        replace(
            run,
            metrics={"test/accuracy": Measurement(sum(values) / count)},
            by_example=ExampleScores(names, {"test/accuracy": tuple(values)}, clusters),
        )
        for run in arms(methods)
        for values in [[generator.random() for _ in range(count)]]
    ]


def searched_again(experiment: str, times: int = 3) -> list[FinishedRun]:
    """A study's arm that was searched several times; the trials are those of the first search."""
    runs = winners(experiment, n=2 * times)
    return [
        replace(run, search_number=(run.seed + 2) // 2, trial=run.seed // 2)
        if run.search is None and isinstance(run.seed, int)
        else run
        for run in runs
    ]


def single(name: str) -> FinishedRun:
    return replace(replicates(name, 0.8, seeds=1)[0], seed=None, deterministic=True)


SHAPES: dict[str, list[FinishedRun]] = {
    "one arm": arms(1),
    "two arms": arms(2),
    "five arms": arms(5),
    "nine arms": arms(9),
    "one seed": arms(2, n=1),
    "no seed": arms(2, seed=None),
    "unpaired": [*arms(1), *[replace(run, seed=None) for run in replicates("other", 0.6, seeds=4)]],
    "folds": folds(5),
    "folds again": folds(5, 2),
    "five by two": folds(2, 5),
    "data sets": list(datasets_evidence().runs),
    "a search": list(search_evidence().runs),
    "winners": [*winners("new"), *winners("old", ends=[Outcome.PRUNED, Outcome.DIVERGED, Outcome.PRUNED])],
    "a winner of one seed": [*winners("new", n=1), *winners("old", n=1)],
    "a baseline": [*winners("new"), single("tf-idf (new)")],
    "two baselines": [*winners("new"), single("tf-idf (new)"), single("n-gram (new)")],
    "searched again": [*searched_again("new"), *searched_again("old")],
    "left out": [*arms(2), replace(arms(1)[0], run="arm0/x", seed=9, outcome=Outcome.FAILED, reason="ValueError")],
    "identical": [replace(run, metrics={"test/accuracy": Measurement(0.5, 5)}) for run in arms(2)],
    "by example": by_example(),
    "three by example": by_example(methods=3),
    "markup": [*arms(1), *replicates(WICKED, 0.5)],
}
BACKGROUNDS = {
    "nothing": Background(),
    "everything": Background(
        (Searched("arm0", "val/loss", Goal.MINIMIZE, "at the best epoch", "tpe", "none", {"complete": 1}, 1, 0, 60.0),),
        {"arm0": EVERYTHING},
        replace(PLAN, looks=(5, 10), changes={False: 1, True: 2}, families=("all pairs of arms", "width")),
    ),
}


def methods_of(runs: Sequence[FinishedRun], background: Background | None = None, **asked: Any) -> Methods:
    metric = "score" if any("score" in run.metrics for run in runs) else "test/accuracy"
    metric = metric if any(metric in run.metrics for run in runs) else "val/accuracy"
    comparison = compare_runs(runs, Question(metric, Goal.MAXIMIZE, **asked))
    found = with_methods(comparison, runs, background or background_of(runs, [])).methods
    assert found is not None
    return found


def text_of(runs: Sequence[FinishedRun], background: Background | None = None, **asked: Any) -> str:
    return " ".join(methods_of(runs, background, **asked).paragraphs.values())


@pytest.mark.parametrize("background", BACKGROUNDS)
@pytest.mark.parametrize("shape", SHAPES)
def test_any_shape_gives_whole_sentences_none_twice(shape: str, background: str) -> None:
    found = methods_of(SHAPES[shape], BACKGROUNDS[background], margin=0.01)
    text = " ".join(found.paragraphs.values())
    sentences = re.split(r"(?<=[.:]) (?=[A-Z])", text)
    assert len(sentences) == len(set(sentences))
    assert text.endswith(".")
    assert not re.search(r"None|nan|  |\.\.|,\.|\{|\}| ,|\(\)", text)
    assert not re.search(r"\b1 (?:trials|runs|tests|pairs|ranges|fresh seeds|folds|epochs|times|replicates)\b", text)
    assert not re.search(r"\b(?:[2-9]|\d\d+) (?:trial|run|test|pair|range|fresh seed|fold|epoch|time)\b", text)
    assert len(set(found.unknown)) == len(found.unknown)
    assert all((item.answer is Answer.NOT_KNOWN) == (not item.fact) for item in found.checklist)
    json.dumps(found.to_json(), allow_nan=False)


@pytest.mark.parametrize(
    ("shape", "said"),
    [
        (
            "two arms",
            (
                "(n = 5 each). What varied between the runs of a method: the seed. Scores are given as mean and "
                "standard deviation over seeds"
            ),
        ),
        ("two arms", "The difference was tested by a two-sided t test paired by seed;"),
        ("two arms", "The level was 0.05."),
        ("five arms", "The differences of all 10 pairs were tested"),
        ("five arms", "these 10 tests were adjusted together by Holm's method"),
        ("nine arms", "arm7 and 1 more were compared by test/accuracy (higher is better)."),
        ("one seed", "The pair could not be tested."),
        ("no seed", "The unit of replication was the run (n = 5 each)."),
        ("unpaired", "(n = 5 for arm0 and 4 for other)"),
        ("unpaired", "a two-sided Welch t test;"),
        ("folds", "a two-sided corrected resampled t test (Nadeau and Bengio, 2003);"),
        ("folds", "over folds, with 95% intervals that are corrected for overlapping training sets."),
        ("five by two", "by the combined 5×2 cv F test (Alpaydin, 1999);"),
        ("data sets", "the two-sided Wilcoxon signed-rank test over data sets (Demšar, 2006);"),
        ("a search", "a search chose by a metric: they were described, and not tested."),
        ("winners", "were trained again on 5 fresh seeds, the same for all, and scored on the test split."),
        ("winners", "of old were searched over 2 ranges, by the sampler tpe, with the rule asha"),
        ("winners", "Of the 7 trials of old, 2 were stopped early by that rule and 1 diverged."),
        ("a baseline", "tf-idf (new) had no seed: it was fitted once, and the one value was compared"),
        (
            "two baselines",
            "The differences of 2 of the 3 pairs were tested by a two-sided paired t test against the one",
        ),
        ("two baselines", "tf-idf (new) and n-gram (new) had no seed: each was fitted once"),
        ("searched again", "were searched 3 times, over 2 ranges, by the sampler tpe, with the rule asha for stopping"),
        ("searched again", "the first time in 4 trials each. Trials were"),
        ("searched again", "their mean counts as one observation."),
        ("searched again", "The unit of replication was the search (n = 3 each). What varied between the runs of a"),
        ("searched again", "over searches, with 95% intervals by Student's t."),
        ("left out", "1 run of arm0 did not count: failed."),
        (
            "three by example",
            "it decided nothing, and its p-values were adjusted alike, each population a family of its",
        ),
        ("by example", "with examples; it decided nothing. As secondary"),
        ("by example", "on each of 20 examples in 5 clusters, by a random-effects analysis"),
    ],
)
def test_it_says_what_was_done(shape: str, said: str) -> None:
    assert said in text_of(SHAPES[shape])


@pytest.mark.parametrize(
    ("asked", "said"),
    [
        ({"alpha": 0.01}, "the probability of any false claim by 0.01."),
        ({"adjust": "bh"}, "Benjamini and Hochberg's method, which bounds the expected share of false claims by 0.05."),
        ({"adjust": "none"}, "were not adjusted: 0.05 is the error rate of each test alone."),
        ({"margin": 0.02}, "Equivalence within ±0.02 was tested by two one-sided t tests"),
        ({"baseline": "arm0"}, "Each was tested against arm0 by a two-sided t test paired by seed;"),
        ({"seed": 7}, "used the seed 7."),
    ],
)
def test_it_follows_the_question(asked: dict[str, Any], said: str) -> None:
    assert said in text_of(arms(3), **asked)


def test_of_a_table_it_guesses_nothing() -> None:
    found = methods_of([replace(run, seconds=None, steps=None) for run in SHAPES["data sets"]])
    text = " ".join(found.paragraphs.values())
    assert not re.search(r"test split|hyperparameter|machine|trained|GPU|PyTorch|plan", text)
    assert [each.partition(" ")[0] for each in found.unknown] == ["on", "how", "whether", "how", "on", "where"]
    known = {item.item for item in found.checklist if item.answer is Answer.YES}
    assert known == {"central tendency and variation of the results"}


def test_what_is_known_of_the_trainings_is_said() -> None:
    found = methods_of(arms(2), BACKGROUNDS["everything"])
    text = found.paragraphs["Computation"]
    assert "on a machine with 16 CPU cores (AMD EPYC), 128 GB of memory and 2 × NVIDIA H100 under Linux, in" in text
    assert "hpsearch 0.1.0, Python 3.11.7, PyTorch 2.13.0, with the project's files at git commit c0ffeec0ffee" in text
    answers = {item.item: item.fact for item in found.checklist if item.answer is Answer.YES}
    assert answers["the average running time of each result, or the estimated cost of energy"].endswith("spent.json")
    assert "hpsearch study s.yaml" in answers["a README with a table of results and the exact command that makes it"]
    assert "on which machine and with which software the trainings of arm1 ran" in found.unknown


@pytest.mark.parametrize(
    ("environment", "said"),
    [
        (replace(EVERYTHING, family="command", program=True), "Trainings were programs, started on a machine"),
        (replace(EVERYTHING, workers_elsewhere=True), "Trainings were coordinated on a machine"),
        (replace(EVERYTHING, cores=None, memory=None, gpus=()), "Trainings ran in an environment with hpsearch 0.1.0"),
        (Environment("char_lm"), "The comparison's random parts"),
    ],
)
def test_a_programs_and_a_clusters_trainings_are_not_taken_for_others(environment: Environment, said: str) -> None:
    found = methods_of(arms(1), Background(environments={"arm0": environment}))
    assert found.paragraphs["Computation"].partition(". ")[2].startswith(said)
    assert ("which software the programs used, and which data they read" in found.unknown) == environment.program


@pytest.mark.parametrize(
    ("plan", "said"),
    [
        (PLAN, "This plan was not changed. The result was looked at once."),
        (replace(PLAN, looks=()), "This plan was not changed."),
        (replace(PLAN, changes={False: 1}), "This plan was changed 1 time before any result could be seen. The"),
        (replace(PLAN, changes={True: 2}), "2 times after a result could be seen: the result is exploratory."),
        (replace(PLAN, looks=(5, 10)), "looked at 2 times, with 5 and 10 replicates, which no p-value accounts for."),
    ],
)
def test_a_study_tells_what_was_looked_at_when(plan: Plan, said: str) -> None:
    found = methods_of(arms(2), Background(plan=plan))
    assert said in found.paragraphs["Design"]
    assert not any("before any result was seen" in each for each in found.unknown)


def test_what_only_the_first_search_tells_is_not_said_of_all() -> None:
    again = Searched(
        "new", "val/accuracy", Goal.MAXIMIZE, None, "tpe", seed=0, outcomes={"complete": 4}, times=3, seconds=60.0
    )
    background = Background((again,), {"new": EVERYTHING})
    text = text_of(SHAPES["searched again"], background)
    assert "3 times, by the sampler tpe, the first time from the seed 0 in 4 trials." in text
    assert "in the trials of the first search of each" in text
    counted = {item.item: item for item in methods_of(SHAPES["searched again"], background).checklist}
    (runs,) = [item for name, item in counted.items() if "number of training" in name]
    assert runs.answer is Answer.PARTLY


@pytest.mark.parametrize(
    ("over", "said"), [("examples", "was the test example."), ("both", "was the seed and the test example.")]
)
def test_the_unit_is_that_of_the_verdict(over: str, said: str) -> None:
    assert f"The unit of replication {said}" in text_of(SHAPES["by example"], over=Over(over))


def test_intervals_over_searches_on_overlapping_divisions_are_corrected() -> None:
    runs = [
        replace(run, fold=f"division {run.search_number}", train_size=60, test_size=20)
        for run in searched_again("new")
        if run.search is None
    ]
    assert "95% intervals that are corrected for overlapping training sets" in text_of(runs)


def test_a_race_of_seeds_is_said() -> None:
    raced = Searched(
        "arm0", "val/loss", Goal.MINIMIZE, "at the best epoch", "tpe", seed=0, outcomes={"complete": 9}, race=5
    )
    text = text_of(arms(2), Background((raced,)))
    assert "from the seed 0, on up to 5 seeds for a trial that might be the best, in 9 trials." in text
    assert "Trials were ranked by val/loss (lower is better), at the best epoch, the mean over a trial's seeds." in text


def test_of_several_winners_it_names_the_trials() -> None:
    runs = [*winners("e", trial=3), *[replace(run, experiment="e#5", run=f"e/{run.run}", trial=5) for run in arms(1)]]
    searches = (Searched("e", "val/accuracy", best=3, outcomes={"complete": 6}),)
    assert "Trials 3 and 5 of e were trained again" in text_of(runs, Background(searches))
    assert "The best trial was trained again" in text_of(winners("e", trial=3), Background(searches))
    assert "Trial 2 of e was trained again" in text_of(winners("e", trial=2), Background(searches))


def test_every_format_has_the_same_text() -> None:
    runs = SHAPES["markup"]
    comparison = compare_runs(runs, Question("test/accuracy", Goal.MAXIMIZE))
    told = with_methods(comparison, runs, background_of(runs, []))
    content = json.loads(compare_json(told))
    assert content["methods"] == told.to_json()["methods"]
    assert {name: value for name, value in content.items() if name != "methods"} == comparison.to_json()
    design = content["methods"]["paragraphs"]["Design"]
    page = as_html(ReportContents(told))
    assert f"Design. {escape(design)}</p>" in page
    assert "<b>x</b>" not in re.sub(r"<script.*?</script>", "", page, flags=re.DOTALL)
    text = as_markdown(told)
    assert markdown(f"Design. {design}") in text
    assert text.count("| the author's to fill in |") == sum(
        each["answer"] == "not known" for each in content["methods"]["checklist"]
    )
    assert rf"\paragraph{{Design.}} {latex(design)}" in methods_latex(told)
    assert methods_latex(comparison) == ""


def test_an_experiment_of_an_earlier_version_tells_what_its_folder_holds() -> None:
    found = compare(KEPT / "search").comparison.methods
    assert found is not None
    text = " ".join(found.paragraphs.values())
    assert "over 6 ranges, by the sampler tpe, with the rule median for stopping trials early, from the seed 3" in text
    assert "Trials were ranked by val/loss (lower is better), at the best epoch." in text
    assert "on a machine with 2 CPU cores under Linux" in text
    facts = {item.item: item.fact for item in found.checklist}
    assert facts["the exact number of training and evaluation runs"] == "14 trials of searches, 5 runs that count"
