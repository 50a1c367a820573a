"""Replicates on folds: which families divide their data so, and a configuration with a fold of its own."""

from collections.abc import Callable, Mapping, Sequence
from typing import Any

from pydantic import BaseModel, ValidationError

from hpsearch.space.mistakes import mistakes_of
from hpsearch.space.space import Space

Families = Callable[[], Sequence[str]]
"""Finds the names of the families that divide their data into folds; only asked where one does not."""


def divides(config: type[BaseModel]) -> bool:
    """Say whether configurations of this class have `data.folds`, see `data/folds.py`."""
    data = config.model_fields.get("data")
    kind = None if data is None else data.annotation
    return isinstance(kind, type) and issubclass(kind, BaseModel) and "folds" in kind.model_fields


def on_fold(configuration: Mapping[str, Any], *, fold: int, folds: int, seed: int) -> dict[str, Any]:
    """Return the configuration with one fold of a division as its test part."""
    division = {"count": folds, "index": fold, "seed": seed}
    return {**configuration, "data": {**configuration.get("data", {}), "folds": division}}


def fold_refusal(space: Space, families: Families) -> str | None:
    """Return why the space's winners cannot be confirmed on folds, or None where they can or are not asked to be.

    What the family's settings refuse is such a reason: data with a test part of their own, folds that leave nothing.
    """
    if space.confirm is None or space.confirm.folds is None:
        return None
    config = space.face.Config
    if not divides(config):
        known = ", ".join(families()) or "none"
        return f"the family {space.family} does not divide its data into folds (no data.folds); those that do: {known}"
    try:
        config.model_validate(on_fold(space.configuration(space.example), fold=0, folds=space.confirm.folds, seed=0))
    except ValidationError as error:
        return mistakes_of(config, error)[0].message
    return None
