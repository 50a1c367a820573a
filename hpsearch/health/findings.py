"""What an examination finds: findings with their numbers, from which numbers on, and the recipes against them.

A recipe is a row of remedies. A remedy knows the settings it is for by their last name, so that it finds them in every
family, a user's own too, and proposes nothing where a configuration has none of them.
"""

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from enum import StrEnum
from typing import Any, NamedTuple


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
    """Largest gradient norm that is not an explosion, whatever it was before."""
    growth: float = 10.0
    """Nor is one below this multiple of the first norm: the norm of a summed loss is always large."""
    early: int = 3
    """Number of evaluations whose median is the first gradient norm."""
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
    """Largest rise of the validation loss from its best."""
    rise_evaluations: int = 3
    """Evaluations that must have followed the best one before a rise counts."""
    gap: float = 0.5
    """Largest growth of the gap between validation and training loss while the training loss falls."""
    little_fall: float = 0.1
    """A training that lowers its loss by a smaller fraction of the first value does not fit its data."""
    still_falling: float = 0.1
    """A training whose last quarter brings a larger fraction of the whole fall has not converged."""
    swing: float = 0.15
    """Largest change from one evaluation to the next (root of the mean square)."""
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


Leaves = Mapping[str, Any]
Change = Callable[[Any, str, Leaves], Any]
"""From a value, its path and all leaves to a better value; None when there is none."""


class Remedy(NamedTuple):
    """A change of the settings that have one of these names; `above` for one that replaces the section of the name."""

    names: tuple[str, ...]
    change: Change
    above: bool = False


def advise(kind: Kind, config: Mapping[str, Any], *, higher_rate: bool = True) -> tuple[str, ...]:
    """Return `setting value -> better value` for each setting of a configuration that a finding's recipe knows.

    `higher_rate` says whether a higher learning rate may be among them.
    """
    leaves = dict(flatten(config))
    remedies = [each for each in RECIPES.get(kind, ()) if higher_rate or each not in _RATE_RAISING]
    return tuple(dict.fromkeys(line for remedy in remedies for line in _proposals(remedy, leaves)))


def flatten(config: Mapping[str, Any], above: str = "") -> Iterator[tuple[str, Any]]:
    """Yield (dotted path, value) for every value of a nested configuration that is not a mapping."""
    for name, value in config.items():
        if isinstance(value, Mapping):
            yield from flatten(value, f"{above}{name}.")
        else:
            yield f"{above}{name}", value


def _proposals(remedy: Remedy, leaves: Leaves) -> Iterator[str]:
    for path, value in leaves.items():
        if not path.startswith("data.") and path.endswith(tuple(f".{name}" for name in remedy.names)):
            better = remedy.change(value, path, leaves)
            if better is not None and better != value:
                yield f"{_present(path, value, remedy)} -> {_text(better)}"


def _present(path: str, value: Any, remedy: Remedy) -> str:
    above, _, name = path.rpartition(".")
    if not remedy.above:
        return f"{path} {_text(value)}"
    return f"{above} {value}" if name == "kind" else f"{above} {{{name}: {_text(value)}}}"


def _text(value: Any) -> str:
    return "none" if value is None else f"{value:.3g}" if isinstance(value, float) else str(value)


def _times(factor: float, *, least: float = 0.0, most: float = float("inf"), start: float | None = None) -> Change:
    """Multiply and round to one digit; `start` is what takes the place of 0 and None."""

    def change(value: Any, _: str, __: Leaves) -> Any:
        if not value:
            return start
        if not isinstance(value, int | float) or isinstance(value, bool):
            return None
        better = float(f"{value * factor:.1g}") if isinstance(value, float) else int(value * factor)
        return better if least <= better <= most else None

    return change


def _plus(amount: float, *, least: float = 0.0, most: float = float("inf"), start: float | None = None) -> Change:
    def change(value: Any, _: str, __: Leaves) -> Any:
        if not isinstance(value, int | float) or isinstance(value, bool):
            return None
        better = start if start is not None and value == 0 else round(value + amount, 6)
        return better if least <= better <= most else None

    return change


def _instead(of: Any, better: Any, *, where: Callable[[Leaves], bool] = lambda _: True) -> Change:
    """Replace one value by another."""
    return lambda value, _, leaves: better if value == of and where(leaves) else None


def _halved_width(value: Any, path: str, leaves: Leaves) -> Any:
    """Halve a width that its attention heads still divide."""
    heads = leaves.get(f"{path.rpartition('.')[0]}.heads", 1)
    if not isinstance(value, int) or value % 2 or value < 16 or not heads or (value // 2) % heads:
        return None
    return value // 2


def _twice_as_long(value: Any, path: str, _: Leaves) -> Any:
    """Double a training; what else counts epochs or steps, such as `train.evaluate`, is no training's length."""
    own = path.split(".")[-2] not in ("evaluate", "freeze", "warmup") and isinstance(value, int)
    return 2 * value if own else None


def _on_cuda(leaves: Leaves) -> bool:
    return str(leaves.get("train.device", "")).startswith("cuda")


_RATE, _BATCH, _CLIP = ("learning_rate", "lr"), ("batch_size",), ("clip_norm", "gradient_clip")
_WIDTH = ("width", "embed_dim", "dim", "d_model", "hidden_size", "filters", "channels")
_LAYERS, _DROPOUT, _DECAY = ("layers", "depth", "num_layers"), ("dropout",), ("weight_decay",)
_NONE_THEN_ONE = _times(0.5, start=1.0)

_LOWER_RATE = Remedy(_RATE, _times(1 / 3))
_HIGHER_RATE = Remedy(_RATE, _times(5 / 3, most=1.0))
_MUCH_HIGHER_RATE = Remedy(_RATE, _times(5.0, most=1.0))
_RATE_RAISING = (_HIGHER_RATE, _MUCH_HIGHER_RATE)
_TIGHTER_CLIP = Remedy(_CLIP, _NONE_THEN_ONE)
_NARROWER = Remedy(_WIDTH, _halved_width)
_WIDER = Remedy(_WIDTH, _times(2.0))
_FEWER_LAYERS = Remedy(_LAYERS, _plus(-1, least=1))
_MORE_LAYERS = Remedy(_LAYERS, _plus(1))
_LARGER_BATCH = Remedy(_BATCH, _times(2.0))
_WARM_UP = Remedy(("warmup.steps",), _instead(0, "{fraction: 0.05}"), above=True)
_FALLING_RATE = Remedy(("schedule.kind",), _instead("constant", "cosine"), above=True)
_ADAPTIVE_RATE = Remedy(("schedule.kind",), _instead("constant", "adaptive"), above=True)
_LONGER = Remedy(("epochs", "steps"), _twice_as_long)
_STOP_EARLY = Remedy(("early_stopping",), _instead(None, "{patience: 10}"))

RECIPES: Mapping[Kind, tuple[Remedy, ...]] = {
    Kind.EXPLODING_GRADIENTS: (_LOWER_RATE, _TIGHTER_CLIP, _NARROWER, _WARM_UP),
    Kind.BAD_PARAMETER_GRADIENTS: (_LOWER_RATE, _TIGHTER_CLIP),
    Kind.VANISHING_GRADIENTS: (
        _HIGHER_RATE,
        _FEWER_LAYERS,
        Remedy(("initialisation",), _instead("default", "xavier")),
        Remedy(("activation",), _instead("relu", "gelu")),
    ),
    Kind.DIVERGENCE: (
        _LOWER_RATE,
        _TIGHTER_CLIP,
        _WARM_UP,
        Remedy(("precision",), _instead("fp16", "bf16")),
    ),
    Kind.OUT_OF_MEMORY: (
        Remedy(_BATCH, _times(0.5, least=1)),
        Remedy(("accumulate",), _times(2.0)),
        _NARROWER,
        Remedy(("precision",), _instead("fp32", "bf16", where=_on_cuda)),
    ),
    Kind.OVER_FITTING: (
        Remedy(_DROPOUT, _plus(0.05, start=0.1, most=0.8)),
        Remedy(_DECAY, _times(10.0, start=1e-4, most=0.5)),
        Remedy(("noise_std",), _times(2.0, start=0.01)),
        Remedy(("max_shift",), _times(2.0, start=5)),
        _STOP_EARLY,
    ),
    Kind.UNDER_FITTING: (
        _WIDER,
        _MORE_LAYERS,
        _HIGHER_RATE,
        _LONGER,
        Remedy(_DROPOUT, _times(0.5)),
        Remedy(_DECAY, _times(0.1)),
    ),
    Kind.OSCILLATION: (_LOWER_RATE, _LARGER_BATCH, _WARM_UP, _FALLING_RATE),
    Kind.STAGNATION: (_MUCH_HIGHER_RATE, _WARM_UP, _ADAPTIVE_RATE),
    Kind.PLATEAU: (_STOP_EARLY,),
    Kind.SLOW_CONVERGENCE: (_HIGHER_RATE, _LONGER, _LARGER_BATCH, _FEWER_LAYERS),
}
"""Explosion, over-fitting, slowness and exhausted memory as in guide 000 (docs/reference/guides.md); a stall as in
guide 003's, which raised the rate fivefold behind a warm-up, or by a schedule that watches the loss; under-fitting and
divergence as in guide 002's."""
