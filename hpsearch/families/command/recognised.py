"""Which of a program's printed lines look like metrics, and the setting `metrics` that reads them."""

import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from hpsearch.families.command.printed import read_line, visible
from hpsearch.families.command.settings import MetricSource

MOST_LINES = 100_000
_NUMBER = re.compile(r"(?<![\w.])[-+]?(?:\d+(?:\.\d*)?|\.\d+)(?:[eE][-+]?\d+)?(?!\.?\w)|(?<!\w)(?:nan|inf)(?!\w)")
_NAME = re.compile(r"([A-Za-z][\w/@-]*(?: [a-z][\w/@-]*){0,2})\s*[:=]?\s*[\[({]?\s*$")
"""What may stand between a number and the number before it, to be its name."""
_SPLITS = {
    **dict.fromkeys(("train", "training", "trn"), "train"),
    **dict.fromkeys(("val", "valid", "validation", "dev", "eval", "evaluation"), "val"),
    **dict.fromkeys(("test", "testing"), "test"),
}
_STEPS = {
    **dict.fromkeys(("epoch", "epochs", "ep"), "epoch"),
    **dict.fromkeys(("step", "steps", "iter", "iteration", "iterations", "global_step"), "step"),
}
_CLOCKS = {"time", "elapsed", "eta", "seconds", "sec", "lr", "learning_rate", "rate", "it", "batch", "samples"}
_LEAST = 2
"""Lines of one form that make it more than a coincidence."""


@dataclass
class Form:
    """Lines that are alike but for their numbers; an empty `pattern` is that of JSON and printed dicts."""

    pattern: str
    names: tuple[str, ...]
    example: str
    count: int = 0
    more: set[str] = field(default_factory=set)

    @property
    def metrics(self) -> list[str]:
        """The names of what it measures, as hpsearch reads them: `val/loss`."""
        return [name.replace("__", "/") for name in (*self.names, *sorted(self.more)) if name not in _STEPS.values()]

    @property
    def scores(self) -> list[str]:
        """Those that are neither times nor rates."""
        return [name for name in self.metrics if name.rpartition("/")[2] not in _CLOCKS]


def recognised(lines: Iterable[str]) -> list[Form]:
    """Return the forms of lines that look like metrics, first those that tell of a validation split, then by number."""
    forms: dict[str, Form] = {}
    for number, line in enumerate(lines):
        if number >= MOST_LINES:
            break
        text = visible(line).strip()
        told = read_line(line, MetricSource(stdout="json"))
        if told is not None:
            form = forms.setdefault("", Form("", (), text))
            form.more |= told.metrics.keys()
        elif (found := _form(text)) is not None:
            form = forms.setdefault(found.pattern, found)
        else:
            continue
        form.count += 1
    known = [form for form in forms.values() if form.scores and (form.count >= _LEAST or _held_out(form))]
    return sorted(known, key=lambda form: (not _validates(form), bool(form.pattern), -form.count))


def _validates(form: Form) -> bool:
    return any(_split_of(name) == "val" for name in form.scores)


def _held_out(form: Form) -> bool:
    """Check whether it tells of a validation or test split: such a line may stand once, at a program's end."""
    return any(_split_of(name) in ("val", "test") for name in form.scores)


def _split_of(name: str) -> str | None:
    words = re.findall(r"[a-z]+", name.lower())
    return next((_SPLITS[word] for word in words if word in _SPLITS), None)


def _form(text: str) -> Form | None:
    """Return the form of a line for people: its words, with a group for every number that has a name."""
    pieces: list[str] = []
    names: list[str] = []
    start = end = 0
    for match in _NUMBER.finditer(text):
        before = text[start : match.start()]
        named = _NAME.search(before)
        name = _group(named[1], text[: match.start()]) if named else ""
        begin = start + named.start(1) if named and not names else start
        if name and name not in names:
            if not names:
                pieces = [_literal(text[_first_split(text, begin) : match.start()])]
            else:
                pieces.append(_literal(before))
            names.append(name)
            pieces.append(rf"(?P<{name}>\S+)")
            end = len(pieces)
        elif names:
            pieces += [_literal(before), r"\S+"]
        start = match.end()
    return Form("".join(pieces[:end]), tuple(names), text) if names else None


def _first_split(text: str, begin: int) -> int:
    """Return where the pattern begins: at the line's first name, or at the word before it that says which split."""
    head = text[:begin]
    found = [match.start() for match in re.finditer(r"[A-Za-z]+", head) if match[0].lower() in _SPLITS]
    return found[0] if found else begin


def _group(name: str, before: str) -> str:
    """Return the name of a group: `val__loss` for the loss in a line about validation."""
    plain = re.sub(r"\W+", "_", name.strip().lower()).strip("_")
    last = plain.rpartition("_")[2]
    if plain in _STEPS or last in _STEPS:
        return _STEPS.get(plain) or _STEPS[last]
    words = plain.split("_")
    if words[0] in _SPLITS and len(words) > 1:
        return f"{_SPLITS[words[0]]}__{'_'.join(words[1:])}"
    if any(word in _SPLITS for word in words):
        return plain
    split = [_SPLITS[word.lower()] for word in re.findall(r"[A-Za-z]+", before) if word.lower() in _SPLITS]
    return f"{split[-1]}__{plain}" if split else plain


def _literal(text: str) -> str:
    parts = (part for part in re.split(r"(\s+)", text) if part)
    return "".join(r"\s+" if part.isspace() else re.escape(part).replace(r"\-", "-") for part in parts)


def source_of(forms: Sequence[Form], metric: str) -> dict[str, Any] | None:
    """Return the setting `metrics` that reads a metric, and what other forms tell as far as one pattern can."""
    first = next((form for form in forms if metric in form.metrics), None)
    if first is None:
        return None
    if not first.pattern:
        return {"stdout": "json"}
    taken, patterns = set(first.names), [first.pattern]
    for form in forms:
        if form is not first and form.pattern and taken.isdisjoint(form.names):
            taken |= set(form.names)
            patterns.append(form.pattern)
    return {"pattern": "|".join(patterns)}


def objective_of(forms: Sequence[Form]) -> str | None:
    """Return the metric that a search would be about: of a validation split if there is one, never of a test split."""
    names = list(dict.fromkeys(name for form in forms for name in form.scores))
    by_split: Mapping[str | None, list[str]] = {
        split: [name for name in names if _split_of(name) == split] for split in ("val", None, "train")
    }
    for split in ("val", None, "train"):
        if by_split[split]:
            return by_split[split][0]
    return None


def advice(lines: Iterable[str]) -> str:
    """Return what in some output looks like metrics, and what would read it; empty if nothing does."""
    forms = recognised(lines)
    metric = objective_of(forms)
    source = source_of(forms, metric) if metric else None
    if metric is None or source is None:
        return ""
    told = ", ".join(dict.fromkeys(name for form in forms for name in form.metrics))
    setting = "stdout: json" if "stdout" in source else "pattern: '{}'".format(source["pattern"].replace("'", "''"))
    return f"what looks like metrics: {told}; metrics: {{{setting}}} reads {metric}"
