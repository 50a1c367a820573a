"""The smallest simulation of EEG that has everything: what uses these very settings finds each other's data cached."""

from typing import Any

SMALL_EEG: dict[str, Any] = {
    "electrodes": 16,
    "regions": 64,
    "samples": 48,
    "rate": 100.0,
    "clips": 12,
    "examples": {"train": 24, "val": 10, "test": 10},
    "patches": {"smallest": 2, "largest": 5},
}
