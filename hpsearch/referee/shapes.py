"""What the referee answers, as programs read it: one JSON object, whose shape has a version and a JSON Schema.

Fields may be added; none changes its meaning within a version. All differences are improvements: positive where the
challenger, or the present champion, is better, whatever the goal.
"""

from collections.abc import Mapping
from typing import Literal

from pydantic import BaseModel, ConfigDict, Field

from hpsearch.records import Goal, Outcome
from hpsearch.referee.ledger import Decision

ANSWER_VERSION = 1
ACCEPTED, REJECTED, UNDECIDED, FAILED = 0, 10, 11, 12
"""Exit statuses of `hpsearch challenge`."""
STATUSES = {
    Decision.ACCEPTED: ACCEPTED,
    Decision.REJECTED: REJECTED,
    Decision.UNDECIDED: UNDECIDED,
    Decision.FAILED: FAILED,
}


class Part(BaseModel):
    """The base of the answer's parts."""

    model_config = ConfigDict(extra="forbid", frozen=True)


class Quoted(Part):
    """The score of a champion on seeds that nobody was chosen by: what may be quoted."""

    mean: float | None
    interval: tuple[float, float] | None = Field(
        description="95 %, Student's t over seeds, from 100 seeds on BCa; null below two seeds"
    )
    sd: float | None
    seeds: int
    failed: int = Field(description="fresh seeds on which it came to no result")


class NoiseFloor(Part):
    """How much the score of one configuration varies over seeds, and what that lets anybody see."""

    sd: float | None
    df: float
    smallest: dict[str, float] = Field(
        description="for each number of seeds, the smallest difference that a two-sided paired test at 5 % detects "
        "with a power of 80 %; the test is done once, after the last seed"
    )


class Crowned(Part):
    """A reign: who has, or had, the title."""

    reign: int
    contender: int
    since: float = Field(description="Unix time")
    challenge: int | None = Field(description="by which the title was won; null for the first champion")
    note: str
    by: str
    snapshot: str
    revision: str | None
    overrides: tuple[str, ...]
    won_by: float | None = Field(
        description="the improvement in the challenge: it was chosen by it, so do not quote it"
    )
    evidence: float | None
    quoted: Quoted


class Pair(Part):
    """Champion and challenger on the same seed."""

    seed: int
    champion: float
    challenger: float


class BudgetLeft(Part):
    """The error budget over all challenges of the title."""

    method: str
    rate: float
    promise: str = Field(description="what the rate bounds, in a sentence")
    challenges: int
    next_level: float


class Answer(Part):
    """What `hpsearch challenge --json` prints."""

    version: Literal[1] = 1
    title: str
    metric: str
    goal: Goal
    decision: Decision
    reason: str
    challenge: int
    contender: int
    against: int = Field(description="the contender that was champion")
    note: str
    from_ledger: bool = Field(description="decided before: nothing was trained")
    advice: str = Field(description="what could be asked next, where it leads but this was not shown; else empty")
    warnings: tuple[str, ...] = Field(
        description="what makes the two less comparable: other data, packages or files that are no code"
    )
    outcome: Outcome | None = Field(description="of the training that came to no value, if one decided")
    estimate: float | None
    interval: tuple[float | None, float | None] | None
    margin: float
    evidence: float | None = Field(description="e-value; accepted where it reaches `needed`")
    needed: float
    level: float
    pairs: tuple[Pair, ...]
    seeds_used: int
    seeds_left: int
    budget: BudgetLeft
    noise: NoiseFloor
    champion: Crowned = Field(description="who has the title now")


class Told(Part):
    """A challenge in the history."""

    number: int
    time: float
    contender: int
    against: int
    note: str
    by: str
    decision: Decision | None = Field(description="null while it is open")
    reason: str
    outcome: Outcome | None
    estimate: float | None
    interval: tuple[float | None, float | None] | None
    evidence: float | None
    level: float
    seeds_used: int


class TestScores(Part):
    """First and present champion on the same fresh seeds, scored on the test split."""

    metric: str
    first: tuple[float, ...]
    present: tuple[float, ...]
    improvement: float
    interval: tuple[float, float] | None = Field(description="95 %, paired t; null where all pairs differ by the same")
    p: float | None = Field(description="two-sided, paired t")


class Opened(Part):
    """An opening of the test split; what `hpsearch champion confirm --json` prints."""

    version: Literal[1] = 1
    title: str
    number: int
    time: float
    first: int = Field(description="the first champion's number")
    present: int = Field(description="the number of the champion then")
    seeds: int
    worth: str = Field(description="what this opening is worth")
    result: TestScores | None = Field(description="null while it is not done")


class History(Part):
    """What `hpsearch champion --json` prints."""

    version: Literal[1] = 1
    title: str
    metric: str
    goal: Goal
    margin: float
    most: int
    budget: BudgetLeft
    noise: NoiseFloor
    champion: Crowned
    reigns: tuple[Crowned, ...]
    challenges: tuple[Told, ...]
    openings: tuple[Opened, ...]


class Chance(Part):
    """What becomes of a challenger that is better by `effect`."""

    effect: float
    accepted: float
    rejected: float
    undecided: float
    pairs: float = Field(description="the expected number of seeds")


class PlanAnswer(Part):
    """What `hpsearch challenge --plan --json` prints: the cost, before anything is spent."""

    version: Literal[1] = 1
    title: str
    level: float
    margin: float
    most: int
    worth: float | None
    noise: NoiseFloor
    smallest_found: float | None = Field(description="the smallest improvement that is accepted with a power of 80 %")
    trainings: int = Field(description="at most, of the challenger")
    trainings_of_the_champion: int = Field(description="at most, on seeds that it was not trained on yet")
    seconds_each: float | None = Field(description="the mean of the champion's trainings")
    power: tuple[Chance, ...]
    known: Answer | None = Field(description="the answer, where this was decided before: nothing would be trained")


SHAPES: Mapping[str, type[Part]] = {"challenge": Answer, "champion": History, "plan": PlanAnswer, "confirm": Opened}
"""The shapes by their names, for `hpsearch schema referee`."""


def referee_schema() -> dict[str, object]:
    """Return the JSON Schema of everything that the referee prints as JSON."""
    definitions: dict[str, object] = {}
    for shape in SHAPES.values():
        schema = shape.model_json_schema(ref_template="#/$defs/{model}", mode="serialization")
        definitions |= schema.pop("$defs", {})
        definitions[shape.__name__] = schema
    return {
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        "title": "What hpsearch champion and hpsearch challenge print with --json",
        "anyOf": [{"$ref": f"#/$defs/{shape.__name__}"} for shape in SHAPES.values()],
        "$defs": definitions,
    }
