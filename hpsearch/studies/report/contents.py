"""What the report of a study says: the question and its answer, the plan, what was spent, the comparisons."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

from hpsearch.comparing import Comparison
from hpsearch.comparing.conclusion import conclude, headline, pair_sentence
from hpsearch.report.comparison.contents import Evidence
from hpsearch.report.comparison.rows import ranking


@dataclass(frozen=True)
class ArmReport:
    """One arm that was searched; `steps` tell what its trainings took.

    Its space has so many `ranges`, of which so many are `continuous`, and so many `combinations` of the others.
    `outcomes` counts its trials by outcome. `seconds` is training time.
    """

    name: str
    family: str
    fixed: Mapping[str, Any]
    objective: str
    ranges: int
    continuous: int
    combinations: int
    trials: int
    outcomes: Mapping[str, int]
    unit: str
    search_steps: int
    confirm_steps: int
    search_seconds: float
    confirm_seconds: float
    winner: int
    value: float | None
    params: Mapping[str, Any]


@dataclass(frozen=True)
class FactorReport:
    """A family of tests of a factorial design: the levels of one factor over the others, or how two interact."""

    name: str
    title: str
    says: str
    comparison: Comparison

    @property
    def answer(self) -> str:
        """What the comparison says in one sentence."""
        pairs = self.comparison.pairs
        said = pair_sentence(pairs[0], self.comparison) if len(pairs) == 1 else conclude(self.comparison)[0]
        return f"{self.title}: {said}"


@dataclass(frozen=True)
class StudyReport:
    """What there is to say of a study; everything in it but the seconds follows from the study's files and seeds."""

    question: str
    evidence: Evidence
    plan: Sequence[tuple[str, str]]
    arms: Sequence[ArmReport]
    baselines: Mapping[str, str]
    warnings: Sequence[str]
    changes: Sequence[str]
    confirmatory: bool
    quick: bool
    command: str
    versions: Mapping[str, str]
    factors: Sequence[FactorReport] = ()

    @property
    def answer(self) -> str:
        """The answer as one text."""
        return " ".join(self.answers)

    @property
    def answers(self) -> tuple[str, ...]:
        """The first sentence of each comparison, those of factors first, and what takes away from them."""
        found = [each.answer for each in self.factors]
        cells = ["Combinations:"] if self.factors else []
        found.append(" ".join([*cells, conclude(self.evidence.comparison)[0]]))
        found += self._of_searched_arms()
        limits = [] if self.confirmatory else ["This is exploratory, not confirmatory: see the changes of the plan."]
        return (*found, *limits)

    def _of_searched_arms(self) -> list[str]:
        """Return the headline of the searched arms by themselves, where a classical method is ahead of all of them."""
        comparison, names = self.evidence.comparison, {arm.name for arm in self.arms}
        if ranking(comparison)[0].name in names or len(names) < 2:
            return []
        searched = replace(
            comparison,
            experiments=tuple(each for each in comparison.experiments if each.name in names),
            pairs=tuple(pair for pair in comparison.pairs if {pair.a, pair.b} <= names),
        )
        return [f"Of the searched arms: {headline(searched)}"]
