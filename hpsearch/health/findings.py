"""What an examination says: findings, each with its numbers and with what to change, and from which numbers on."""

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


@dataclass(frozen=True)
class Thresholds:
    """Limits of the checks. Falls and rises of a loss are fractions of how far it fell in the whole training.

    A fraction of the fall, not of the value: losses may be negative, and their floor is seldom 0.
    """

    exploding: float = 10.0
    """Largest gradient norm that is no explosion, whatever it was before."""
    growth: float = 10.0
    """Nor is one below this multiple of the first norm: the norm of a summed loss is always large."""
    early: int = 3
    """So many evaluations (their median) say how large a gradient norm was at first."""
    vanishing: float = 1e-6
    """Smallest gradient norm that has not vanished."""
    healthy_low: float = 0.1
    healthy_high: float = 2.0
    """Between these the median of the gradient norms is as usual."""
    parameter_norm: float = 100.0
    """Largest gradient norm of a single parameter."""
    fading: float = 1e-3
    """Gradients of the first layers that are at least this fraction of those of the last ones have not faded."""
    fewest_weights: int = 6
    """Of models with fewer weights nothing is said about layers."""
    rise: float = 0.1
    """So far the validation loss may rise from its best."""
    rise_evaluations: int = 3
    """So many evaluations must have followed the best one before a rise counts."""
    gap: float = 0.5
    """So far the gap between validation and training loss may grow, while the training loss falls."""
    little_fall: float = 0.1
    """A training that lowers its loss by a smaller fraction of the first value does not fit its data."""
    still_falling: float = 0.1
    """A training whose last quarter brings a larger fraction of the whole fall has not converged."""
    swing: float = 0.15
    """So large the changes from one evaluation to the next may be (root of the mean square)."""
    turns: float = 0.5
    """An oscillation turns at more than this fraction of the evaluations."""
    window: int = 20
    """Evaluations over which stagnation and oscillation are judged."""
    stall_variance: float = 1e-3
    """Smaller variance in the window, of the loss over its first value, is stagnation unless there is a trend."""
    stall_fall: float = 0.01
    """A trend that lowers the loss by a larger fraction of its first value over the window is a downward one."""
    fewest_evaluations: int = 6
    """Shorter curves are not judged by their shape."""


GUIDES = Thresholds()
