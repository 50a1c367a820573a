"""What an examination says: findings, each with its numbers and with what to change."""

from dataclasses import dataclass
from enum import StrEnum


class Severity(StrEnum):
    """How much a finding matters, the least first."""

    NOTE = "note"
    WARNING = "warning"
    SERIOUS = "serious"

    @property
    def rank(self) -> int:
        """The place in the order; higher matters more."""
        return list(Severity).index(self)


class Kind(StrEnum):
    """What may be wrong."""

    DIVERGENCE = "divergence"
    OUT_OF_MEMORY = "out of memory"
    EXPLODING_GRADIENTS = "exploding gradients"
    VANISHING_GRADIENTS = "vanishing gradients"
    UNUSUAL_GRADIENTS = "unusual gradients"
    BAD_PARAMETER_GRADIENTS = "bad parameter gradients"
    OVER_FITTING = "over-fitting"
    UNDER_FITTING = "under-fitting"
    OSCILLATION = "oscillation"
    STAGNATION = "stagnation"
    PLATEAU = "plateau"
    SLOW_CONVERGENCE = "slow convergence"
    UNREAD_SETTING = "unread setting"
    IDENTICAL_CURVES = "identical curves"


@dataclass(frozen=True)
class Finding:
    """Something that was found in a training: `sentence` has the numbers; `step` is where it shows, if at one step.

    `advice` names settings of the trained configuration, each from its value to a better one:
    `train.learning_rate 0.01 -> 0.003`.
    """

    kind: Kind
    severity: Severity
    trial: int
    sentence: str
    step: int | None = None
    advice: tuple[str, ...] = ()
