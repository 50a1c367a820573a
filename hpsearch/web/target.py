"""What a search wants, as its folder tells it: no family is loaded for it, and none of the user's code is run."""

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from hpsearch.cleaning import one_line
from hpsearch.console.search_state import SearchTarget
from hpsearch.experiment.activity import last_sign
from hpsearch.experiment.reading import most_seeds
from hpsearch.records import Goal, Params, is_number


def target_of(folder: Path, resolved: Mapping[str, Any]) -> SearchTarget:
    """Return the target of an experiment from its resolved.json."""
    space = resolved["space"]
    search = _section(space, "search")
    unit = str(resolved.get("unit") or "epoch")
    return SearchTarget(
        metric=one_line(space["objective"]["metric"]),
        goal=Goal(space["objective"]["goal"]),
        budget=_whole(search.get("trials")) or 0,
        title=folder.name,
        unit=one_line(unit),
        length=_length(space, unit),
        replicates=_replicates(_section(space, "confirm")),
        workers=_whole(search.get("workers")),
        time=search.get("time") if is_number(search.get("time")) else None,
        last_sign=lambda run: last_sign(folder / run),
        most_seeds=most_seeds(space),
    )


def _section(space: Mapping[str, Any], name: str) -> Mapping[str, Any]:
    section = space.get(name)
    return section if isinstance(section, Mapping) else {}


def _whole(value: Any) -> int | None:
    return value if type(value) is int and value > 0 else None


def _replicates(confirm: Mapping[str, Any]) -> int | None:
    """Return how many replicates a confirmation has: winners times seeds, or times folds and their repeats."""
    top, repeats = _whole(confirm.get("top")) or 1, _whole(confirm.get("repeats")) or 1
    folds, seeds = _whole(confirm.get("folds")), _whole(confirm.get("seeds"))
    if folds is not None:
        return top * folds * repeats
    return None if seeds is None else top * seeds


def _length(space: Mapping[str, Any], unit: str) -> Callable[[Params], int | None]:
    """Return what tells how many steps a training has, where `train.epochs` or `train.steps` does."""
    train = _section(space, "train")
    in_steps = train.get("steps") is not None
    name = "steps" if in_steps else "epochs"
    if in_steps != (unit == "step"):
        return lambda _: None
    fixed = _whole(train.get(name))
    return lambda params: _whole(params.get(f"train.{name}")) or fixed
