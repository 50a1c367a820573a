"""Which range a setting may be searched in, by its name, type and default: a proposal that its reader changes.

rates           log scale around the default                widths, batch sizes     powers of two around it
shares          dropout and the like, within 0 and 1        depths                  whole numbers around it
switches        both                                        choices                 all
paths, seeds, devices, logging, lengths                     stay as they are
"""

import json
import math
import re
from collections.abc import Sequence
from dataclasses import dataclass, replace
from enum import StrEnum
from typing import Any


class Kind(StrEnum):
    """What a setting holds."""

    INTEGER = "integer"
    NUMBER = "number"
    SWITCH = "switch"
    CHOICE = "choice"
    TEXT = "text"
    OTHER = "other"


@dataclass(frozen=True)
class Setting:
    """A setting as its owner declares it; `choices` are those of CHOICE, the bounds None where there are none."""

    name: str
    kind: Kind
    default: Any = None
    choices: Sequence[Any] = ()
    required: bool = False
    help: str = ""
    low: float | None = None
    high: float | None = None

    @property
    def words(self) -> list[str]:
        """The words of its name, in lower case; `fp16` is two, and one too."""
        words = re.findall(r"[A-Z]+(?![a-z])|[A-Z]?[a-z]+|\d+", self.name)
        return [word.lower() for word in [*words, *re.findall(r"[A-Za-z]+\d+", self.name)]]


@dataclass(frozen=True)
class Proposal:
    """A value or a range as YAML, and why it is that.

    `searched` says whether it is a range, and `keeps_default` whether the default is in it.
    """

    text: str
    why: str
    searched: bool
    keeps_default: bool = False


def words_of(text: str) -> frozenset[str]:
    """Return the words of a text."""
    return frozenset(text.split())


_FIXED: tuple[tuple[str, frozenset[str]], ...] = (
    ("a path or a name", words_of("path dir directory folder file root out output data dataset csv corpus")),
    ("a path or a name", words_of("name project entity group run tag tags id url host port user save load")),
    (
        "for the machine",
        words_of("worker workers thread threads gpu gpus cuda rank node nodes process processes"),
    ),
    ("for the machine", words_of("amp fp16 bf16 precision compile pin memory backend prefetch distributed")),
    (
        "what is logged",
        words_of("log logging logger verbose quiet debug print wandb tensorboard mlflow every"),
    ),
    ("what is logged", words_of("interval freq frequency plot progress profile eval evaluate test dry")),
    ("the length of a training", words_of("epoch epochs iteration iterations iters steps budget patience")),
    ("randomness", words_of("seed seeds deterministic")),
)
"""Words that make a setting none to search, with the reason."""
_ROUND = words_of("batch width hidden dim dims embed embedding units channels filters size heads head features")
_DEEP = words_of("layers layer depth blocks block stages")
_SHARES = words_of("dropout drop droprate smoothing mixup cutmix fraction ratio prob probability p")
_RATES = words_of("lr rate")
_DECAYS = words_of("decay wd l1 l2 reg regularization regularisation")
_NEAR_ONE = words_of("momentum beta beta1 beta2 betas gamma ema")


def propose(setting: Setting) -> Proposal:
    """Return the range that a setting may be searched in, or its default with the reason why it stays."""
    setting, assumed = _with_default(setting)
    if assumed:
        usual = propose(setting)
        return replace(usual, why=f"ASSUMED, it has no default: {usual.why}", keeps_default=False)
    reason = stays(setting)
    if reason:
        return _fixed(setting, reason)
    if setting.kind is Kind.SWITCH:
        return Proposal(
            "{choice: [false, true]}", f"default {yaml_of(setting.default)}", searched=True, keeps_default=True
        )
    if setting.kind is Kind.CHOICE:
        inside = setting.default in setting.choices
        told = f"default {yaml_of(setting.default)}" if inside else "no default"
        return Proposal(f"{{choice: {yaml_of(list(setting.choices))}}}", told, searched=True, keeps_default=inside)
    found = _whole(setting) if setting.kind is Kind.INTEGER else _number(setting)
    return found or _fixed(setting, f"its default {yaml_of(setting.default)} tells no range")


_USUAL = (
    (words_of("lr rate"), 1e-3),
    (words_of("decay wd"), 1e-4),
    (words_of("dropout"), 0.1),
    (words_of("momentum"), 0.9),
    (words_of("batch"), 32),
    (words_of("width hidden dim units channels embed"), 64),
    (words_of("heads"), 4),
    (words_of("layers depth"), 2),
)
"""What is usual where a setting that has to be given has no default."""


def _with_default(setting: Setting) -> tuple[Setting, bool]:
    """Return the setting with a usual default if it needs one, and whether it got one."""
    if setting.default is not None or not setting.required or setting.kind not in (Kind.INTEGER, Kind.NUMBER):
        return setting, False
    usual = next((value for words, value in _USUAL if words & set(setting.words)), None)
    if usual is None or (setting.kind is Kind.INTEGER) != isinstance(usual, int):
        return setting, False
    return replace(setting, default=usual), True


def stays(setting: Setting) -> str:
    """Return why a setting is none to search; empty if it may be one."""
    words = set(setting.words)
    if "warmup" not in words:
        for reason, named in _FIXED:
            if words & named and not (words & (_ROUND - {"size"}) and setting.kind is Kind.INTEGER):
                return reason
    if setting.kind in (Kind.TEXT, Kind.OTHER):
        return "a text" if setting.kind is Kind.TEXT else "neither number, switch nor choice"
    if setting.kind is Kind.CHOICE and len(setting.choices) < 2:
        return "a single choice"
    numeric = setting.kind in (Kind.INTEGER, Kind.NUMBER)
    if numeric and setting.default is None:
        return "it has no default"
    endless = isinstance(setting.default, float) and not math.isfinite(setting.default)
    return "its default tells no range" if numeric and endless else ""


def _fixed(setting: Setting, reason: str) -> Proposal:
    if setting.default is None and setting.required:
        return Proposal("TODO", "required: write its value here", searched=False)
    return Proposal(yaml_of(setting.default), reason, searched=False)


def _whole(setting: Setting) -> Proposal | None:
    default, words = int(setting.default), set(setting.words)
    if default <= 0:
        return None
    if words & _ROUND:
        middle = 2 ** round(math.log2(default))
        near = sorted({default, *(int(middle * factor) for factor in (0.5, 1, 2) if middle * factor >= 1)})
        return _within(setting, "choice", near, "powers of two around the default")
    low, high = (max(1, default - 2), default + 2) if words & _DEEP else (max(1, default // 2), 2 * default)
    return _within(setting, "int", [low, high], "around the default")


def _number(setting: Setting) -> Proposal | None:
    default, words = float(setting.default), set(setting.words)
    if words & _SHARES and 0 <= default <= 1:
        return _within(setting, "float", [0.0, max(0.5, _round(default))], "a fraction")
    if words & _DECAYS and not words & {"lr", "rate", "gamma"}:
        ends = [default / 100, default * 10] if default > 0 else [1e-6, 1e-2]
        return _within(
            setting, "log", ends, "around the default" if default > 0 else "its default, 0, has no logarithm"
        )
    if words & _NEAR_ONE and 0 < default < 1:
        ends = [1 - min(1.0, _round(4 * (1 - default))), 1 - _round((1 - default) / 4)]
        return _within(setting, "float", ends, "near 1", digits=8)
    if default <= 0:
        return None
    if words & _RATES:
        return _within(setting, "log", [default / 10, default * 10], "ten times smaller to ten times larger")
    return _within(setting, "log", [default / 3, default * 3], "a third to three times the default")


def _within(setting: Setting, head: str, ends: Sequence[float], why: str, *, digits: int = 2) -> Proposal | None:
    """Return a range within the setting's bounds, or None if nothing is left of it."""
    low = -math.inf if setting.low is None else setting.low
    high = math.inf if setting.high is None else setting.high
    kept = [_round(end, digits) for end in ends]
    kept = (
        [end for end in kept if low <= end <= high] if head == "choice" else [min(max(end, low), high) for end in kept]
    )
    if len(kept) < 2 or kept[0] >= kept[-1]:
        return None
    inside = setting.default in kept if head == "choice" else kept[0] <= setting.default <= kept[-1]
    told = f"{why} ({yaml_of(setting.default)})"
    return Proposal(f"{{{head}: {yaml_of(kept)}}}", told, searched=True, keeps_default=inside)


def _round(value: float, digits: int = 2) -> float:
    return value if isinstance(value, int) else float(f"{value:.{digits}g}")


def yaml_of(value: Any) -> str:
    """Return a value as YAML in one line; floats as the reader of space files takes them."""
    if isinstance(value, list | tuple):
        return f"[{', '.join(map(yaml_of, value))}]"
    if isinstance(value, float):
        return f"{value:.6g}"
    if isinstance(value, str) and re.fullmatch(r"[A-Za-z_][\w.\-/]*", value) and value.lower() not in _YAML_WORDS:
        return value
    return json.dumps(value)


_YAML_WORDS = words_of("true false null yes no on off y n")
