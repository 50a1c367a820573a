"""What a comparison says of a pair over further test examples: the field `over_examples` of compare.json, in words too.

The verdict of a pair of seeds is about further seeds on these data. With the scores of each seed on each example the
difference also has an interval over further data, and over both; see `statistics.crossed`.
"""

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any

from hpsearch.comparing.statistics.crossed import Population
from hpsearch.comparing.statistics.intervals import Interval


@dataclass(frozen=True)
class OverPopulation:
    """The mean difference against 0 over a population: a t test with Satterthwaite's degrees of freedom."""

    ci95: Interval
    statistic: float
    df: float
    p: float


@dataclass(frozen=True)
class OverExamples:
    """A pair's mean difference over seeds and test examples, where runs kept their scores by example.

    `clusters` counts those of the examples, if they have any; `seeds` are those of a and of b. These p are not adjusted
    and decide nothing: the verdict is about further seeds on these data.
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

    def sentence(self, a: str, b: str) -> str:
        """Return what holds of a minus b beyond these data; "" if nothing is known."""
        said = []
        for population, own in self.populations.items():
            if population is not Population.SEEDS:  # the verdict's own
                said.append(f"{population} {own.ci95[0]:.4g} to {own.ci95[1]:.4g} (p = {own.p:.2g})")
        if not said:
            return ""
        counted = f"{self.examples} test examples"
        if self.clusters is not None:
            counted += f" in {self.clusters} clusters"
        return (
            f"{a} minus {b} is {self.mean_difference:.4g} on {counted}; 95% intervals of the pair alone, not adjusted: "
            f"for {'; for '.join(reversed(said))}."
        )
