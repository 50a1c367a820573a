"""Numbers, durations and parameter names as people read them. No text that comes out of here can break a line."""

import json
import statistics
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from hpsearch.cleaning import one_line
from hpsearch.records import Fold, Moment

UNKNOWN = "—"
SEPARATOR = " · "


def number(value: float | None) -> str:
    """Return a number with 4 significant digits: 0.9134, 3.1e-4, 1.235e4; whole numbers (int) in full."""
    if value is None:
        return UNKNOWN
    if isinstance(value, int):
        return str(value)
    digits, exponent, power = (f"{value:.3e}" if 0 < abs(value) < 1e-3 else f"{value:.4g}").partition("e")
    digits = digits.rstrip("0").rstrip(".") if "." in digits else digits
    return f"{digits}e{int(power)}" if exponent else digits


def duration(seconds: float | None) -> str:
    """Return a time with its two largest units: 14.2 s, 3 min 20 s, 1 h 05 min, 2 d 4 h."""
    if seconds is None:
        return UNKNOWN
    if seconds < 59.95:
        return f"{seconds:.1f} s"
    minutes, rest = divmod(round(seconds), 60)
    if minutes < 60:
        return f"{minutes} min {rest:02d} s"
    hours, minutes = divmod(minutes, 60)
    return f"{hours} h {minutes:02d} min" if hours < 24 else f"{hours // 24} d {hours % 24} h"


def rough_duration(seconds: float) -> str:
    """Return a time as roughly as it is known: 8 s, 25 min, 3.5 h, 2 d 4 h."""
    if seconds < 90:
        return f"{seconds:.0f} s"
    if seconds < 90 * 60:
        return f"{seconds / 60:.0f} min"
    return f"{seconds / 3600:.1f} h" if seconds < 48 * 3600 else duration(seconds)


def rough_size(count: float) -> str:
    """Return an amount of bytes with two digits: 34 kB, 1.2 GB."""
    for unit, scale in (("TB", 1e12), ("GB", 1e9), ("MB", 1e6)):
        if count >= scale:
            return f"{count / scale:.1f} {unit}" if count < 10 * scale else f"{count / scale:.0f} {unit}"
    return f"{count / 1e3:.0f} kB"


def shorten(text: str, length: int) -> str:
    """Return a text of at most `length` characters, the last one an ellipsis when something was cut off."""
    return text if len(text) <= length else text[: max(length - 1, 0)] + "…"


def plain(value: Any) -> str:
    """Return a parameter's value: numbers short, text bare, everything else as JSON."""
    if isinstance(value, str):
        return one_line(value)
    if isinstance(value, int | float) and not isinstance(value, bool):
        return number(value)
    return one_line(json.dumps(value, ensure_ascii=False, default=str, separators=(",", ":")))


def short_names(paths: Iterable[str]) -> dict[str, str]:
    """Return for each dotted path the fewest last words that tell it from the others."""
    known = list(dict.fromkeys(paths))
    taken = Counter(ending for path in known for ending in _endings(path))
    return {path: one_line(next((ending for ending in _endings(path) if taken[ending] == 1), path)) for path in known}


def _endings(path: str) -> list[str]:
    words = path.split(".")
    return [".".join(words[start:]) for start in reversed(range(len(words)))]


def assignments(params: Mapping[str, Any], names: Mapping[str, str] | None = None) -> str:
    """Return `learning_rate=3.1e-4 width=256`, by the names that `short_names` gave."""
    called = short_names(params) if names is None else names
    return " ".join(f"{called.get(path, path)}={plain(value)}" for path, value in params.items())


def score_list(scores: Mapping[str, float]) -> str:
    """Return `test/auc 0.91, test/loss 0.3`."""
    return ", ".join(f"{one_line(name)} {number(value)}" for name, value in scores.items())


def over_seeds(values: Sequence[float]) -> str:
    """Return ` (5 seeds, sd 0.012)`, to stand behind the mean of these values; nothing for one value or none."""
    return f" ({len(values)} seeds, sd {number(spread(values))})" if len(values) > 1 else ""


def spread(values: Sequence[float]) -> float | None:
    """Return the standard deviation of a trial's values over seeds; None of one value or none."""
    return statistics.stdev(values) if len(values) > 1 else None


def replicate_title(number: int, replicate: int | None, fold: Fold | None) -> str:
    """Return the title of a replicate of trial `number` for a sentence."""
    return f"{fold or f'replicate {replicate}'} of trial {number}"


def progress_line(moment: Moment) -> str:
    """Return how far a job is between two reports: `step 1,200/4,000, 3 min left, loss 0.53, rate 0.001, 832 ...`.

    What is most worth knowing comes first: a narrow terminal cuts the rest off.
    """
    if moment.preparing:
        counted = f": {moment.done:,} of {moment.total:,}" if moment.total else ""
        return f"preparing {one_line(moment.preparing)}{counted}"
    parts = [f"step {moment.done:,}/{moment.total:,}"]
    parts += [f"{rough_duration(moment.seconds_left)} left"] if moment.seconds_left is not None else []
    parts += [f"loss {number(moment.loss)}"] if moment.loss is not None else []
    parts += [f"rate {number(moment.learning_rate)}"] if moment.learning_rate is not None else []
    pace = moment.examples_per_second
    parts += [f"{pace:,.0f} examples/s" if pace >= 10 else f"{pace:.2g} examples/s"] if pace is not None else []
    return ", ".join(parts)


def no_sign(seconds: float) -> str:
    """Return that a training is silent, in words."""
    return f"no sign of life for {duration(seconds)}"


def rule(at: Any, unit: str) -> str:
    """Return at which step the objective is taken, in words."""
    if isinstance(at, Mapping):
        return f"mean of the last {at['mean_of_last']} {unit}s"
    return f"at the {at} {unit}"
