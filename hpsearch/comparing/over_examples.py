"""What a comparison says of a pair over further test examples: the field `over_examples` of compare.json, in words too.

The verdict of a pair of seeds is about further seeds on these data. With the scores of each seed on each example the
difference also has an interval over further data, and over both; see `statistics.crossed`.
"""

from collections.abc import Mapping
from dataclasses import asdict, dataclass, replace
from typing import Any

from hpsearch.comparing.statistics.crossed import Population
from hpsearch.comparing.statistics.intervals import Interval


@dataclass(frozen=True)
class OverPopulation:
    """The mean difference against 0 over a population: a t test with Satterthwaite's degrees of freedom.

    `p_adjusted` is after the adjustment for all pairs of the comparison; the pairs of a population are one family.
    """

    ci95: Interval
    statistic: float
    df: float
    p: float
    p_adjusted: float | None = None


@dataclass(frozen=True)
class OverExamples:
    """A pair's mean difference over seeds and test examples, where runs kept their scores by example.

    `clusters` counts those of the examples, if they have any; `seeds` are those of a and of b. Nothing of
    it decides: the verdict is about further seeds on these data.
    """

    examples: int
    clusters: int | None
    seeds: tuple[int, int]
    mean_difference: float
    populations: Mapping[Population, OverPopulation]

    def to_json(self) -> dict[str, Any]:
        """Return the entry of compare.json."""
        return {
            "examples": self.examples,
            "clusters": self.clusters,
            "seeds": self.seeds,
            "mean_difference": self.mean_difference,
            "populations": {str(name): asdict(found) for name, found in self.populations.items()},
        }

    def adjusted(self, p_values: Mapping[Population, float]) -> "OverExamples":
        """Return it with the adjusted p of each population."""
        found = {name: replace(own, p_adjusted=p_values.get(name)) for name, own in self.populations.items()}
        return replace(self, populations=found)

    def sentence(self, a: str, b: str, *, adjust: str = "") -> str:
        """Return what holds of a minus b beyond these data; "" if nothing is known.

        `adjust` is how p is adjusted for the pairs; "" says that there is one.
        """
        said = []
        for population, own in self.populations.items():
            if population is not Population.SEEDS:  # the verdict's own
                after = "" if own.p_adjusted is None or not adjust else f", {own.p_adjusted:.2g} after {adjust}"
                said.append(f"{population} {own.ci95[0]:.4g} to {own.ci95[1]:.4g} (p = {own.p:.2g}{after})")
        if not said:
            return ""
        counted = f"{self.examples} test examples"
        if self.clusters is not None:
            counted += f" in {self.clusters} clusters"
        return (
            f"{a} minus {b} is {self.mean_difference:.4g} on {counted}; 95% intervals of the pair alone: "
            f"for {'; for '.join(reversed(said))}."
        )
