"""The tests of each design: seeds with and without partners, folds, data sets. Each fills in a described pair."""

from collections import Counter
from dataclasses import replace

import numpy as np

from hpsearch.comparing.arms import Arm
from hpsearch.comparing.comparison import AlsoTest, Check, Effect, Equivalence, PairResult, Rope
from hpsearch.comparing.question import SettledQuestion, Test, Unit, planned_test
from hpsearch.comparing.statistics import two_samples
from hpsearch.comparing.statistics.arrays import LEVEL, Array, Tested, as_array, size_of, snapped, without_rounding
from hpsearch.comparing.statistics.datasets import signed_rank_rope
from hpsearch.comparing.statistics.effects import hedges_g
from hpsearch.comparing.statistics.intervals import ByFiveByTwo, BySignedRanks, by_student
from hpsearch.comparing.statistics.two_samples import (
    corrected_t,
    correlated_rope,
    equivalence_p,
    five_by_two_f,
    five_by_two_t,
)
from hpsearch.comparing.units import Paired


def decide_paired_seeds(base: PairResult, question: SettledQuestion) -> PairResult:
    """Paired t, with sign flips and Wilcoxon's ranks as secondary tests."""
    differences, exact = _differences(base)
    tested = two_samples.paired_t(differences)
    wilcoxon = two_samples.wilcoxon(exact)
    also = (
        AlsoTest(Test.WILCOXON, wilcoxon.p, wilcoxon.statistic),
        AlsoTest(Test.SIGN_FLIP, two_samples.sign_flip(differences, seed=question.seed, scale=_scale(base))),
    )
    base = _by_t(_about_differences(base, differences), tested, "t")
    return _with_test(base, planned_test(question.unit), tested, also, question, tested)


def decide_datasets(base: PairResult, question: SettledQuestion) -> PairResult:
    """Wilcoxon's signed ranks over data sets (Demsar 2006), with sign flips and the Bayesian signed ranks."""
    differences, exact = _differences(base)
    rope = question.margin or 0.0
    worse, within, better = signed_rank_rope(
        question.sign * differences, rope=rope, seed=question.seed, scale=_scale(base)
    )
    base = _about_differences(base, differences)
    base = replace(
        base,
        hodges_lehmann=without_rounding(two_samples.hodges_lehmann(differences), scale=_scale(base)),
        basis=replace(
            base.basis,
            method="signed ranks",
            inversion=BySignedRanks(base.values.differences, _scale(base)),
            direction=two_samples.rank_balance(exact),
        ),
        further=replace(base.further, rope=Rope("signed rank", rope, worse, within, better)),
    )
    if question.margin is not None:
        note = "equivalence is tested by the paired t of the mean difference, in addition to the signed ranks"
        base = replace(base, notes=(*base.notes, note))
    also = (AlsoTest(Test.SIGN_FLIP, two_samples.sign_flip(differences, seed=question.seed, scale=_scale(base))),)
    tested, t = two_samples.wilcoxon(exact), two_samples.paired_t(differences)
    return _with_test(base, planned_test(question.unit), tested, also, question, t)


def decide_folds(base: PairResult, a: Arm, b: Arm, pairing: Paired, question: SettledQuestion) -> PairResult:
    """Corrected resampled t; for five times two folds Alpaydin's F, with Dietterich's t as a secondary test."""
    differences, exact = _differences(base)
    known = size_ratio(a, b)
    if known is None:
        return replace(base, notes=(*base.notes, "all runs are of one fold: there are no folds to correct for"))
    ratio, why = known
    corrected = corrected_t(differences, test_to_train=ratio)
    rope = question.margin or 0.0
    found = correlated_rope(question.sign * differences, test_to_train=ratio, rope=rope)
    value = two_samples.d_z(differences)
    base = replace(
        _by_t(base, corrected, "corrected t"),
        effect=Effect("d_z", value.value),
        further=replace(
            base.further,
            rope=Rope("correlated t", rope, *found),
            checks=_normality(exact, "the differences are normal"),
        ),
        notes=(*base.notes, why, "the interval of d_z is left out: overlapping folds give it none that holds"),
    )
    square = _five_by_two(pairing, differences)
    if square is None or not np.any(np.ptp(exact.reshape(5, 2), axis=1) > 0):
        return _with_test(base, planned_test(Unit.FOLD), corrected, (), question, corrected)
    base = _by_f(base, square, question)
    t = five_by_two_t(square)
    also = (
        AlsoTest(Test.FIVE_BY_TWO_T, t.p, t.statistic),
        AlsoTest(Test.CORRECTED_T, corrected.p, corrected.statistic),
    )
    return _with_test(base, planned_test(Unit.FOLD, five_by_two=True), five_by_two_f(square), also, question, corrected)


def _by_f(base: PairResult, square: Array, question: SettledQuestion) -> PairResult:
    """Enter the interval of Alpaydin's F, and say what still rests on the corrected t."""
    inversion = ByFiveByTwo(tuple(square.ravel().tolist()))
    said = "the interval holds the differences that the 5x2cv F does not reject"
    if inversion.at(LEVEL) is None:
        said = (
            "no interval: the differences vary more from repeat to repeat than within, so that the 5x2cv F rejects "
            "every single difference; a small p says here that they are not all 0, more than that one side is ahead"
        )
    notes = [said]
    if question.margin is not None:
        notes.append("equivalence is tested by the corrected resampled t, as the F knows no direction")
    basis = replace(base.basis, inversion=inversion, method=str(Test.FIVE_BY_TWO_F))
    return replace(base, basis=basis, notes=(*base.notes, *notes))


def decide_unpaired(base: PairResult, question: SettledQuestion) -> PairResult:
    """Welch's t, with Mann and Whitney's U as a secondary test."""
    a, b = as_array(base.values.a), as_array(base.values.b)
    tested = two_samples.welch(a, b)
    scale = _scale(base)
    exact_a, exact_b = snapped(a, scale=scale), snapped(b, scale=scale)
    ranks = two_samples.mann_whitney(exact_a, exact_b)
    g = hedges_g(a, b)
    levene = two_samples.equal_variances_p(a, b)
    says = "the variances are equal (Welch's t does not need it)"
    checks = (
        *_normality(a, f"the values of {base.a} are normal"),
        *_normality(b, f"the values of {base.b} are normal"),
        *(() if levene is None else (Check(says, "Levene", levene, _reading(levene)),)),
    )
    base = replace(
        _by_t(base, tested, str(Test.WELCH_T)),
        effect=Effect("hedges_g", g.value, g.ci95),
        smallest_possible_p=two_samples.smallest_rank_p(len(a), len(b)),
        further=replace(base.further, checks=checks),
    )
    also = (AlsoTest(Test.MANN_WHITNEY, ranks.p, ranks.statistic),)
    return _with_test(base, planned_test(question.unit, paired=False), tested, also, question, tested)


def _differences(base: PairResult) -> tuple[Array, Array]:
    """Return the differences, and the same without rounding noise, in which ties and zeros are seen."""
    differences = as_array(base.values.differences)
    return differences, snapped(differences, scale=_scale(base))


def _scale(base: PairResult) -> float:
    return size_of(as_array(base.values.a), as_array(base.values.b))


def _by_t(base: PairResult, tested: Tested, name: str) -> PairResult:
    """Enter the intervals of a t test of the mean difference."""
    inversion = by_student(tested, base.mean_difference or 0.0)
    return replace(base, basis=replace(base.basis, inversion=inversion, method=name))


def _about_differences(base: PairResult, differences: Array) -> PairResult:
    effect = two_samples.d_z(differences)
    return replace(
        base,
        effect=Effect("d_z", effect.value, effect.ci95),
        smallest_possible_p=two_samples.smallest_sign_p(len(differences)),
        further=replace(base.further, checks=_normality(differences, "the differences are normal")),
    )


def _with_test(
    base: PairResult, test: Test, tested: Tested, also: tuple[AlsoTest, ...], question: SettledQuestion, t: Tested
) -> PairResult:
    """Enter the deciding test and, if there is a margin, the equivalence by the t test `t` of the same design."""
    basis, student = base.basis, by_student(t, base.mean_difference or 0.0)
    direction = base.mean_difference if basis.direction is None else basis.direction
    equivalence = None
    if question.margin is not None:
        p = equivalence_p(student.estimate, student.error, student.df, margin=question.margin)
        equivalence = Equivalence(question.margin, p, equivalent=None)
    return replace(
        base,
        test=test,
        statistic=tested.statistic,
        df=tested.df,
        p=tested.p,
        ci95=None if basis.inversion is None else basis.inversion.at(LEVEL),
        also=also,
        equivalence=equivalence,
        basis=replace(basis, student=student, direction=direction),
    )


def _normality(values: Array, assumption: str) -> tuple[Check, ...]:
    p = two_samples.normality_p(values)
    return () if p is None else (Check(assumption, "Shapiro-Wilk", p, _reading(p)),)


def _reading(p: float) -> str:
    return "doubtful; the test stays as it is" if p < 0.05 else "nothing speaks against it"


def size_ratio(*arms: Arm) -> tuple[float, str] | None:
    """Return n_test / n_train of the folds and the sentence where it comes from: noted sizes, or k-fold's 1/(k - 1).

    A method without a seed has no folds of its own and does not count. None if all runs are of one fold.
    """
    observations = [each for arm in arms if not arm.deterministic for each in arm.observations]
    sizes = [(each.run.test_size, each.run.train_size) for each in observations]
    ratios = [test / train for test, train in sizes if test and train]
    if ratios and len(ratios) == len(sizes):
        ratio = sum(ratios) / len(ratios)
        return ratio, f"corrected with n_test / n_train = {ratio:.4g}, from the noted sizes"
    k = len({each.fold for each in observations} - {None})
    if k < 2:
        return None
    return 1 / (k - 1), f"corrected with n_test / n_train = 1/{k - 1}, as in {k}-fold cross-validation"


def _five_by_two(pairing: Paired, differences: Array) -> Array | None:
    """Return the differences as (5 repeats, 2 folds), or None for another design."""
    repeats = Counter(key[0] for key in pairing.keys)
    if len(repeats) != 5 or set(repeats.values()) != {2} or None in repeats:
        return None
    square: Array = differences.reshape(5, 2)  # the units are in the order of repeat and fold
    return square
