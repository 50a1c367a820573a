"""The smallest simulated movies that have everything: what uses these very settings finds each other's data cached."""

from typing import Any

SMALL_MOVIES: dict[str, Any] = {
    "size": 8,
    "frames": {"train": 24, "val": 10, "test": 10},
    "emitters": {"per_frame": 2, "depth": [-500, 500]},
}
