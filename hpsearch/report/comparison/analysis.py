"""The analysis of a comparison in words for a paper: units, tests, adjustment, intervals, and what did not count."""

from collections.abc import Iterator

from hpsearch.comparing.comparison import PairResult, Verdict
from hpsearch.comparing.conclusion import listed, percent
from hpsearch.comparing.question import Test, Unit
from hpsearch.comparing.statistics.adjustment import Hold
from hpsearch.report.comparison.background import Known, alike, some
from hpsearch.report.wording import number

_TESTS = {
    Test.PAIRED_T: "two-sided paired t test",
    Test.WELCH_T: "two-sided Welch t test",
    Test.CORRECTED_T: "two-sided corrected resampled t test (Nadeau and Bengio, 2003)",
    Test.FIVE_BY_TWO_F: "combined 5×2 cv F test (Alpaydin, 1999)",
    Test.WILCOXON: "two-sided Wilcoxon signed-rank test over data sets (Demšar, 2006)",
    Test.OVER_EXAMPLES: "two-sided t test over test examples",
    Test.OVER_BOTH: "two-sided t test over seeds crossed with test examples",
}
_ALSO = {
    Test.PAIRED_T: "the paired t test over seeds",
    Test.WELCH_T: "the Welch t test over seeds",
    Test.WILCOXON: "Wilcoxon's signed ranks",
    Test.SIGN_FLIP: "the sign-flip test",
    Test.MANN_WHITNEY: "the Mann-Whitney test",
    Test.FIVE_BY_TWO_T: "the 5×2 cv t test",
    Test.CORRECTED_T: "the corrected resampled t test",
}
_BOUNDS = {
    "holm": "Holm's method, which bounds the probability of any false claim by {alpha}",
    "hommel": "Hommel's method, which bounds the probability of any false claim by {alpha}",
    "bh": "Benjamini and Hochberg's method, which bounds the expected share of false claims by {alpha}",
}
_EFFECTS = {"d_z": "d_z, the mean of the paired differences over their standard deviation", "hedges_g": "Hedges' g"}
_INTERVALS = {"t": "Student's t", "bca": "the bias-corrected and accelerated bootstrap"}


def analysed(known: Known) -> list[str]:
    """Return the sentences on how the values were analysed."""
    return [
        *_unit(known),
        *_varied(known),
        *_described(known),
        *_tests(known),
        *_adjusted(known),
        *_equivalence(known),
        *_differences(known),
        *_over_examples(known),
        *_secondary(known),
        *_best_of_n(known),
        *_left_out(known),
    ]


def _unit(known: Known) -> Iterator[str]:
    repeated, comparison = known.repeated, known.comparison
    if comparison.unit is Unit.TRIAL:
        yield "The values were those of trials, which a search chose by a metric: they were described, and not tested."
        return
    if over := {pair.test for pair in known.tested} & {Test.OVER_EXAMPLES, Test.OVER_BOTH}:
        seeds = "the seed and " if Test.OVER_BOTH in over else ""
        yield f"The unit of replication was {seeds}the test example."
        return
    if not repeated:
        return
    counts = alike((each.name, str(each.n)) for each in repeated)
    if len(counts) == 1:
        each = " each" if len(repeated) > 1 else ""
        n = f"n = {counts[0][1]}{each}"
    else:
        n = f"n = {listed([f'{count} for {some(names)}' for names, count in counts])}"
    yield f"The unit of replication was the {known.noun} ({n})."
    if comparison.unit is Unit.DATASET and any(len(known.counted[each.name]) > each.n for each in repeated):
        yield "Several runs on one data set were averaged."
    if comparison.unit is Unit.FOLD and any(len(known.counted[each.name]) > each.n for each in repeated):
        yield "Several runs on one fold were averaged."


def _varied(known: Known) -> Iterator[str]:
    varied = known.comparison.varied
    if varied:
        yield f"What varied between the runs of a method: {listed([f'the {each}' for each in varied])}."


def _described(known: Known) -> Iterator[str]:
    spread = [each for each in known.repeated if each.sd is not None]
    if not spread:
        return
    said = f"Scores are given as mean and standard deviation over {known.nouns}"
    runs = (run for own in known.counted.values() for run in own)
    overlapping = any(run.search_number is not None and run.fold is not None for run in runs)
    if known.comparison.unit is Unit.FOLD or (known.comparison.unit is Unit.SEARCH and overlapping):
        if any(each.ci95 for each in spread):
            said += ", with 95% intervals that are corrected for overlapping training sets"
    elif how := sorted({_INTERVALS[each.ci_method] for each in spread if each.ci_method in _INTERVALS}):
        said += f", with 95% intervals by {' or '.join(how)}"
    yield f"{said}."


def _tests(known: Known) -> Iterator[str]:
    comparison, tested = known.comparison, [pair for pair in known.tested if pair.test is not None]
    if comparison.unit is Unit.TRIAL or not comparison.pairs:
        return
    if not tested:
        pairs = "The pair" if len(comparison.pairs) == 1 else "None of the pairs"
        yield f"{pairs} could {'not ' if len(comparison.pairs) == 1 else ''}be tested."
        return
    kinds: dict[str, int] = {}
    for pair in tested:
        kinds[_test(pair, known)] = kinds.get(_test(pair, known), 0) + 1
    if len(kinds) == 1:
        how = f"by {_article(next(iter(kinds)))}"
    else:
        how = f"by {listed([f'{_article(kind)} ({_pairs(count)})' for kind, count in kinds.items()])}"
    yield f"{_what_was_tested(known, len(tested))} {how}; the design decided the test, not the values."


def _pairs(count: int) -> str:
    return "1 pair" if count == 1 else f"{count} pairs"


def _article(test: str) -> str:
    return f"the {test}" if test.startswith(("combined", "two-sided Wilcoxon")) else f"a {test}"


def _test(pair: PairResult, known: Known) -> str:
    test = _TESTS.get(pair.test, str(pair.test)) if pair.test is not None else ""
    if pair.test is Test.PAIRED_T:
        alone = pair.a in known.deterministic or pair.b in known.deterministic
        return f"{test} against the one value" if alone else f"two-sided t test paired by {known.noun}"
    return test


def _what_was_tested(known: Known, tested: int) -> str:
    comparison, pairs = known.comparison, len(known.comparison.pairs)
    if comparison.baseline is not None:
        what = "It was" if pairs == 1 else "Each was" if tested == pairs else f"{tested} of {pairs} were"
        return f"{what} tested against {comparison.baseline}"
    if pairs == 1:
        return "The difference was tested"
    of = f"all {pairs} pairs" if tested == pairs else f"{tested} of the {pairs} pairs"
    return f"The differences of {of} were tested"


def _adjusted(known: Known) -> Iterator[str]:
    comparison, plan = known.comparison, known.background.plan
    if not any(pair.p is not None for pair in known.tested):
        return
    level, size = number(comparison.alpha), comparison.family_size
    if size < 2:
        yield f"The level was {level}."
    elif comparison.adjust in _BOUNDS:
        bound = _BOUNDS[comparison.adjust].format(alpha=level)
        yield f"The p-values of these {size} tests were adjusted together by {bound}."
    else:
        yield f"The p-values of these {size} tests were not adjusted: {level} is the error rate of each test alone."
    if plan is not None and len(plan.families) > 1:
        among = f"{len(plan.families)} families of tests: {listed(plan.families)}"
        yield f"The level {number(plan.level)} was divided evenly among {among}."


def _equivalence(known: Known) -> Iterator[str]:
    margins = {pair.equivalence.margin for pair in known.tested if pair.equivalence is not None}
    for margin in sorted(margins):
        yield (
            f"Equivalence within ±{margin:g} was tested by two one-sided t tests, a family of their own at "
            "the same level."
        )


def _differences(known: Known) -> Iterator[str]:
    shown = [pair for pair in known.tested if pair.ci_adjusted is not None and pair.verdict is not Verdict.EQUIVALENT]
    level, own = percent(1 - known.comparison.alpha), known.comparison.family_size > 1
    words = {
        Hold.ALONE: f"{level} intervals" + (" of each pair alone" if own else ""),
        Hold.TOGETHER: f"simultaneous {level} intervals",
        Hold.STEP: "intervals at the level of the step that decided the pair",
        Hold.DECLARED: "intervals that are adjusted for the pairs selected",
    }
    kinds = list(dict.fromkeys(words[pair.basis.holds] for pair in shown))
    if any(pair.hodges_lehmann is not None for pair in shown):
        kinds.append("Hodges and Lehmann's estimate")
    effects = sorted({pair.effect.name for pair in known.tested if pair.effect and pair.effect.value is not None})
    kinds += [f"{'the effect size '}{_EFFECTS.get(name, name)}" for name in effects]
    if kinds:
        yield f"Differences are given with {listed(kinds)}."


def _over_examples(known: Known) -> Iterator[str]:
    found = [pair.over_examples for pair in known.comparison.pairs if pair.over_examples is not None]
    if not found:
        return
    decided = any(pair.test in (Test.OVER_EXAMPLES, Test.OVER_BOTH) for pair in known.comparison.pairs)
    sizes = sorted({each.examples for each in found})
    count = str(sizes[0]) if len(sizes) == 1 else f"{sizes[0]} to {sizes[-1]}"
    clusters = sorted({each.clusters for each in found if each.clusters is not None})
    inside = f" in {clusters[0]} clusters" if len(clusters) == 1 else " in clusters" if clusters else ""
    several = len(found) > 1 and known.comparison.adjust != "none"
    adjusted = ", and its p-values were adjusted alike, each population a family of its own" if several else ""
    yield (
        f"Uncertainty over further test examples was computed from the scores on each of {count} examples{inside}, "
        "by a random-effects analysis of seeds crossed with examples"
        f"{'' if decided else '; it decided nothing'}{adjusted}."
    )


def _secondary(known: Known) -> Iterator[str]:
    also = sorted({_ALSO.get(each.test, str(each.test)) for pair in known.tested for each in pair.also})
    if also:
        several = len(also) > 1
        yield f"As {'secondary tests' if several else 'a secondary test'}, which decided nothing, {listed(also)} " + (
            "are given too." if several else "is given too."
        )


def _best_of_n(known: Known) -> Iterator[str]:
    if known.comparison.expected_best:
        yield (
            "What the searches are worth at equal numbers of trials is given as the expected best of n trials "
            "(Dodge et al., 2019)."
        )


def _left_out(known: Known) -> Iterator[str]:
    if known.comparison.unit is Unit.TRIAL:
        return
    for each in known.comparison.experiments:
        reasons: dict[str, int] = {}
        searched = {run.run for run in known.runs if run.search is not None}
        for run in each.runs_dropped:
            if run.run not in searched:
                why = run.why.partition(":")[0]
                reasons[why] = reasons.get(why, 0) + 1
        if reasons:
            total = sum(reasons.values())
            told = listed([f"{why} ({count})" if len(reasons) > 1 else why for why, count in reasons.items()])
            yield f"{total} {'run' if total == 1 else 'runs'} of {each.name} did not count: {told}."
