"""Whatever a file holds, reading it gives a space or the list of its mistakes."""

import contextlib
import tempfile
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from hpsearch.errors import SpaceError
from hpsearch.space import Space, read_space
from hpsearch.space.ranges import flow
from tests.space.toy import DATA, HEAD, random_numbers, resolve

WORDS = ["val/loss", "model.width", "model.position", "model.width % 2 == 0", "1h", "tpe", "best", "", "<<"]
KEYS = ["float", "log", "int", "choice", "step", "kind", "learned", "rope", "mixture", "experts", "router", "gate"]
SETTINGS = ["layers", "width", "heads", "dropout", "sizes", "stack", "activation", "position", "feed"]
TRAIN = ["epochs", "learning_rate", "clip", "stopping"]
SEARCH = ["sampler", "pruner", "time", "workers", "seed"]
PATHS = ["model.width", "model.position.rope.base", "model.feed", "train", "search", "search.time", "start", "x"]

scalars = st.one_of(
    st.none(),
    st.booleans(),
    st.integers(-3, 70),
    st.floats(allow_nan=False),
    st.sampled_from(WORDS + KEYS),
    st.text(max_size=3),
)
keys = st.sampled_from(KEYS) | st.text(max_size=2)
values = st.recursive(
    scalars, lambda inner: st.lists(inner, max_size=3) | st.dictionaries(keys, inner, max_size=3), max_leaves=6
)
models = st.dictionaries(st.sampled_from(SETTINGS), values, max_size=3)
sections = st.fixed_dictionaries(
    {},
    optional={
        "model": models | values,
        "train": st.dictionaries(st.sampled_from(TRAIN), values, max_size=2),
        "search": st.dictionaries(st.sampled_from(SEARCH), values, max_size=2),
        "require": values,
        "start": values,
        "confirm": values,
        "quick": st.dictionaries(st.sampled_from(PATHS), values, max_size=3),
    },
)


def read_bytes(data: bytes, **options) -> Space | None:
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "x.yaml"
        path.write_bytes(data)
        with contextlib.suppress(SpaceError):
            return read_space(path, resolve, **options)
    return None


@given(st.binary(max_size=60))
def test_any_bytes(data):
    read_bytes(data)


@given(st.text(alphabet="ab:{}[],-?&*!|>'\"%@` \n\t#<~=\\0", max_size=40))
def test_any_punctuation(text):
    read_bytes((HEAD + DATA + text).encode())


@settings(suppress_health_check=[HealthCheck.too_slow], deadline=None)
@given(sections, st.booleans())
def test_any_sections(written, quick):
    text = HEAD + DATA + "".join(f"{name}: {quoted(value)}\n" for name, value in written.items())
    space = read_bytes(text.encode("utf-8", "surrogatepass"), quick=quick)
    if space is not None:
        assert space.sample_feasible(random_numbers()) is not None
        assert space.violation(space.sample_feasible(random_numbers())) is None
        space.resolved()


@settings(deadline=None)
@given(st.sampled_from(PATHS), values)
def test_any_override(path, value):
    read_bytes((HEAD + DATA).encode(), overrides=[f"{path}={quoted(value)}"])


def quoted(value):
    """Flow style with keys that survive it."""
    if isinstance(value, dict):
        return "{" + ", ".join(f"{flow(name)}: {quoted(child)}" for name, child in value.items()) + "}"
    if isinstance(value, list):
        return "[" + ", ".join(quoted(child) for child in value) + "]"
    return flow(value)


def test_the_fuzz_reaches_valid_spaces():
    assert read_bytes((HEAD + DATA + f"model: {quoted({'width': {'choice': [4, 8]}})}\n").encode()) is not None


@pytest.mark.parametrize("text", ["objective: [1]", "search: 3", "confirm: [1]", "model: {feed: {choice: 3}}", "data:"])
def test_wrong_kinds_of_sections(text):
    assert read_bytes(("family: toy\n" + text).encode()) is None
