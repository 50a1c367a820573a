"""One arm against another: the test that the unit of replication calls for, and all that accompanies its p-value.

The design alone chooses the test; no look at the values changes it (rule 10). The family's adjustment and the verdict
come later, in `verdicts`.
"""

from collections.abc import Sequence
from dataclasses import replace

from hpsearch.comparing.arms import Arm
from hpsearch.comparing.comparison import PairResult, PairValues
from hpsearch.comparing.designs import decide_datasets, decide_folds, decide_paired_seeds, decide_unpaired
from hpsearch.comparing.example_scores import decide_over_examples, over_examples
from hpsearch.comparing.question import Over, SettledQuestion, Unit
from hpsearch.comparing.statistics.arrays import Array, as_array, is_constant, size_of, snapped, without_rounding
from hpsearch.comparing.statistics.effects import almost_stochastic_order, cliffs_delta, paired_superiority
from hpsearch.comparing.units import Paired, label, mean, pair_up

CONFIRM = "`hpsearch confirm` trains the winners on fresh seeds, which can be tested"
OTHER_DATA = (
    "they were scored on other data, as the fingerprints of these say: a difference would be one of the data, too"
)
MOST_NAMED = 10
"""Units named one by one in a note."""


def compare_pair(a: Arm, b: Arm, question: SettledQuestion) -> PairResult:
    """Return a against b, with the raw p; the notes say what could not be computed, and why."""
    trials = [arm.name for arm in (a, b) if arm.trials and not arm.observations]
    empty = [arm.name for arm in (a, b) if not arm.observations and not arm.trials]
    if question.unit is Unit.TRIAL or trials or empty:
        return _untested(a, b, question, trials, empty)
    if question.unit is not Unit.DATASET and _known_data(a) and _known_data(b) and not _known_data(a) & _known_data(b):
        return PairResult(a.name, b.name, paired=False, n=0, notes=(OTHER_DATA,))
    paired = pair_up(a, b, question.unit)
    pairing = _is_paired(paired, question.unit)
    result = _paired(a, b, paired, question) if pairing else _unpaired(a, b, paired, question)
    examples = None
    if question.unit is Unit.SEED:
        examples = over_examples(a, b, [str(key[0]) for key in paired.keys] if pairing else None, question)
    result = replace(result, over_examples=examples, notes=(*_design_notes(a, b), *result.notes))
    return result if question.over is Over.SEEDS else decide_over_examples(result, question)


def _known_data(arm: Arm) -> set[str]:
    """Return the fingerprints of the data behind an arm's runs; empty if one of them has none."""
    found = {each.run.data for each in arm.observations}
    return set() if None in found else {data for data in found if data is not None}


def _untested(a: Arm, b: Arm, question: SettledQuestion, trials: Sequence[str], empty: Sequence[str]) -> PairResult:
    if empty:
        notes = [f"{name} has no run that counts" for name in empty]
    else:
        names = " and ".join(trials) if question.unit is not Unit.TRIAL else "both"
        notes = [
            f"the trials of {names} were proposed by a search and chosen by a metric: a test of them would find "
            "differences that are not there; " + CONFIRM
        ]
    return PairResult(a.name, b.name, paired=False, n=0, notes=tuple(notes))


def _is_paired(paired: Paired, unit: Unit) -> bool:
    """Folds and data sets are always partners; seeds and searches if at least half of the shorter side's are shared."""
    if unit not in (Unit.SEED, Unit.SEARCH):
        return True
    units = [len(paired.labels) + len(only) for only in (paired.only_a, paired.only_b)]
    if len(paired.labels) == 1:
        return units == [1, 1]
    return 0 < min(units) <= 2 * len(paired.labels)


def _paired(a: Arm, b: Arm, paired: Paired, question: SettledQuestion) -> PairResult:
    left, right = as_array(paired.a), as_array(paired.b)
    differences = left - right
    differences[snapped(differences, scale=size_of(left, right)) == 0] = 0.0  # what rounding left of equal values
    notes = [_left_out(name, only) for name, only in ((a.name, paired.only_a), (b.name, paired.only_b)) if only]
    base = PairResult(
        a=a.name,
        b=b.name,
        paired=True,
        n=len(differences),
        values=PairValues(paired.labels, paired.a, paired.b, tuple(differences.tolist())),
    )
    if not len(differences):
        return replace(base, notes=(*notes, f"no {question.unit.plural} in common, so that nothing can be paired"))
    base = _described(base, left, right, question, superiority=paired_superiority(question.sign * differences))
    if len(differences) == 1:
        return replace(
            base, notes=(*notes, "one pair: the difference is shown, but says nothing about its chance (n = 1)")
        )
    if base.identical:
        return replace(base, notes=(*notes, _identical(a, b, len(differences))))
    if is_constant(differences, scale=size_of(left, right)):
        why = f"all {len(differences)} differences are equal: no variance could be estimated, and nothing can be tested"
        return replace(base, notes=(*notes, why))
    base = replace(base, notes=tuple(notes))
    if question.unit is Unit.FOLD or (question.unit is Unit.SEARCH and (a.redivided or b.redivided)):
        return decide_folds(base, a, b, paired, question)
    return decide_datasets(base, question) if question.unit is Unit.DATASET else decide_paired_seeds(base, question)


def _unpaired(a: Arm, b: Arm, paired: Paired, question: SettledQuestion) -> PairResult:
    groups = [a.cells, b.cells]
    left, right = (as_array([mean(cells.values()) for cells in group.values()]) for group in groups)
    n = len(left) + len(right)
    base = PairResult(
        a=a.name,
        b=b.name,
        paired=False,
        n=n,
        values=PairValues(
            tuple(label(key) for group in groups for key in group), tuple(left.tolist()), tuple(right.tolist())
        ),
    )
    superiority = (1 + question.sign * _cliffs_delta(left, right)) / 2
    base = _described(base, left, right, question, superiority=superiority)
    shared = len(paired.labels)
    unit = question.unit
    notes = [
        f"not paired: {shared} of the {unit.plural} are shared" if shared else f"not paired: no {unit.noun} is shared"
    ]
    counted = unit.counted(len(left)) if unit is Unit.SEARCH else f"{len(left)} {'run' if len(left) == 1 else 'runs'}"
    notes.append(f"{counted} of {a.name} against {len(right)} of {b.name}")
    base = replace(base, notes=tuple(notes))
    single = [arm.name for arm, values in ((a, left), (b, right)) if len(values) == 1]
    if unit is Unit.SEARCH and (a.redivided or b.redivided):
        why = "the searches' divisions overlap, and without partners no test is corrected for that: nothing is tested"
        return replace(base, notes=(*notes, why))
    if single:
        why = f"one run of {' and of '.join(single)}: its chance cannot be estimated, and nothing can be tested (n = 1)"
        return replace(base, notes=(*notes, why))
    scale = size_of(left, right)
    if is_constant(left, scale=scale) and is_constant(right, scale=scale):
        why = "neither side varies: no variance could be estimated, and nothing can be tested"
        return replace(base, notes=(*notes, why))
    return decide_unpaired(base, question)


def _described(
    base: PairResult, left: Array, right: Array, question: SettledQuestion, *, superiority: float
) -> PairResult:
    """Fill in what needs no test."""
    aso = None
    if question.stochastic_order and min(len(left), len(right)) > 1:
        sign = question.sign
        aso = almost_stochastic_order(sign * left, sign * right, level=1 - question.alpha, seed=question.seed)
    difference = as_array(base.values.differences).mean() if base.paired else left.mean() - right.mean()
    return replace(
        base,
        mean_difference=without_rounding(float(difference), scale=size_of(left, right)),
        cliffs_delta=_cliffs_delta(left, right),
        p_superiority=superiority,
        further=replace(base.further, aso=aso),
    )


def _cliffs_delta(left: Array, right: Array) -> float:
    scale = size_of(left, right)
    return cliffs_delta(snapped(left, scale=scale), snapped(right, scale=scale))


def _identical(a: Arm, b: Arm, n: int) -> str:
    """Explain why nothing is tested. Equivalence is not concluded either, whatever the margin.

    Without variance the two one-sided t tests have a standard error of 0 and would give p = 0, which claims certainty
    about further runs from an estimate that does not exist. A test by signs could do without, but to take it only where
    the values turn out to be equal would be a choice of the test by the values (rule 10).
    """
    if a.deterministic != b.deterministic:
        why = "which usually means that the model predicts what the other does"
    else:
        why = "which usually means that both trained the same thing"
    return f"the values are identical in all {n} pairs, {why}: there is nothing to test"


def _design_notes(a: Arm, b: Arm) -> list[str]:
    if a.deterministic == b.deterministic:
        return []
    fixed, other = (a, b) if a.deterministic else (b, a)
    return [f"{fixed.name} has no seed: its one value is compared with every run of {other.name}"]


def _left_out(name: str, units: Sequence[str]) -> str:
    named = ", ".join(units[:MOST_NAMED]) + (f" and {len(units) - MOST_NAMED} more" if len(units) > MOST_NAMED else "")
    return f"left out, because without a partner: {named} of {name}"
