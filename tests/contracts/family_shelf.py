"""What the conformance tests of families share: each family's quick space with data that are smaller still."""

import json
from pathlib import Path

from hpsearch.families import Family
from hpsearch.families.loading import family_names, load_interface
from hpsearch.running.loading import load_space
from hpsearch.testing.families import SpaceCase
from tests.small_eeg import SMALL_EEG
from tests.small_movies import SMALL_MOVIES

SPACES = Path(__file__).parents[2] / "spaces"
SMALLER = {
    "deepsif": [f"data.{name}={json.dumps(value)}" for name, value in SMALL_EEG.items()],
    "char_lm": ["data.context=16"],
    "decode": [f"data.{name}={json.dumps(value)}" for name, value in SMALL_MOVIES.items()],
    "text_classifier": ["data.classes=[archives, dates, xml]"],
}
"""What is laid over the quick space of a family whose data would take the tests more than a second or two."""
FAMILIES = [name for name in family_names() if isinstance(load_interface(name, Path()), Family)]


def shelf_case(name: str) -> SpaceCase:
    """One family with a small configuration of its quick space."""
    return SpaceCase(load_space(SPACES / f"{name}.yaml", quick=True, overrides=SMALLER.get(name, [])))
