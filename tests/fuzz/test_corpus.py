"""Every input that once failed, and some mutations by seed, end with success or an HpsearchError."""

import random

import pytest

from tests.fuzz.mutations import mutate, stored
from tests.fuzz.targets import CORPUS, TARGETS, attempt

FOUND = [(path.parent.name, path) for path in sorted(CORPUS.glob("*/*"))]


@pytest.mark.parametrize("name", TARGETS)
def test_valid_inputs_and_some_mutations(name: str) -> None:
    target, draw = TARGETS[name], random.Random(5)  # no secret
    seeds = list(target.seeds())
    assert seeds
    for data in (*seeds[:4], *(mutate(draw.choice(seeds), seeds, target.words, draw) for _ in range(10))):
        attempt(name, data)


@pytest.mark.parametrize("name", TARGETS)
def test_what_failed_once(name: str) -> None:
    for data in stored(CORPUS / name):
        attempt(name, data)


def test_every_finding_belongs_to_a_target() -> None:
    assert {name for name, _ in FOUND} <= TARGETS.keys()
