"""The step of population based bandits (Parker-Holder et al. 2020), by Ray's own functions."""

import warnings
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import pandas as pd
from ray.tune.schedulers import pb2

_EXPLORE: Any = pb2._explore
"""Annotated for trials, of which it uses but the names."""

Row = tuple[str, int, Mapping[str, float], float]
"""A member at a step: its name, the step, what it was trained with, and its reward, of which more is better."""


def propose(
    rows: Sequence[Row],
    *,
    bounds: Mapping[str, tuple[float, float]],
    chosen: Sequence[Mapping[str, float]],
    donor: str,
    values: Mapping[str, float],
    seed: int,
) -> dict[str, float] | None:
    """Return the values that promise the greatest gain after `donor`, which has `values`, up to its next step.

    `chosen` are the values that others have got for the same stretch. None as long as the rows do not show what the
    donor gained in a stretch of its own, or when the Gaussian process cannot be fitted. numpy's global random state,
    from which Ray draws, is seeded, and afterwards as before.
    """
    data = pd.DataFrame(
        [{"Trial": name, "Time": step, **held, "Reward": reward} for name, step, held, reward in rows],
        columns=["Trial", "Time", *bounds, "Reward"],
    )
    if not _has_gained(data, donor, list(bounds)):
        return None
    current = np.array([[held[name] for name in bounds] for held in chosen]) if chosen else None
    kept = np.random.get_state()  # noqa: NPY002 -- it is Ray that draws from it
    np.random.seed(seed)  # noqa: NPY002
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # about kernels at the bounds of their parameters
            new, _ = _EXPLORE(data, {**bounds}, current, donor, "", {**values})
    except np.linalg.LinAlgError:
        return None
    finally:
        np.random.set_state(kept)  # noqa: NPY002
    return {name: float(new[name]) for name in bounds}


def _has_gained(data: pd.DataFrame, member: str, names: list[str]) -> bool:
    """Check whether two steps of the member with the same values are known; else Ray answers with the old ones."""
    steps = data[data["Trial"] == member].groupby(names)["Time"].nunique()
    return bool((steps > 1).any())
