"""A table that does not belong to its movie, or is read otherwise than it was written, is told by the light."""

import re
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import tifffile

from hpsearch.data.emitter_tables import EmitterTable
from hpsearch.data.movies import Movie, open_movie
from hpsearch.data.table_places import place_objection

FRAMES, HEIGHT, WIDTH = 90, 30, 40
Numbers = tuple[np.ndarray, np.ndarray, np.ndarray]


def table(frame: np.ndarray, x: np.ndarray, y: np.ndarray) -> EmitterTable:
    order = np.argsort(frame, kind="stable")
    return EmitterTable(frame[order].astype(np.int64), x[order], y[order], None, None)


@pytest.fixture(scope="module", params=[1, 4], ids=["a frame each", "four frames each"])
def recorded(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> tuple[Movie, Numbers]:
    """A movie with a bright edge, whose molecules are on for some frames, and its molecules."""
    generator = np.random.default_rng(0)
    count = 640 // request.param
    begin = generator.integers(0, FRAMES - request.param, count)
    frame = (begin[:, None] + np.arange(request.param)).ravel()
    x, y = (np.repeat(generator.uniform(1, side - 2, count), request.param) for side in (WIDTH, HEIGHT))
    rows, columns = np.mgrid[:HEIGHT, :WIDTH]
    light = 20.0 + 30.0 * (columns > WIDTH - 6) * np.ones((FRAMES, HEIGHT, WIDTH))
    for t, a, b in zip(frame, x, y, strict=True):
        light[t] += 300 * np.exp(-((columns - a) ** 2 + (rows - b) ** 2) / 3) / (3 * np.pi)
    path: Path = tmp_path_factory.mktemp("movie") / "movie.tif"
    tifffile.imwrite(path, generator.poisson(light).astype(np.uint16), imagej=True)
    return open_movie(path), (frame, x, y)


def test_its_own_table_is_taken(recorded: tuple[Movie, Numbers]) -> None:
    movie, (frame, x, y) = recorded
    assert place_objection(movie, table(frame, x, y), first_frame=1) == ""
    noisy = table(frame, x + 0.5, y - 0.5)  # half a pixel is for the scores to tell
    assert place_objection(movie, noisy, first_frame=1) == ""


@pytest.mark.parametrize(
    ("read", "message"),
    [
        (lambda f, x, y: (f, y, x), "with x and y exchanged"),
        (lambda f, x, y: (f, x, HEIGHT - 1 - y), "with y counted from the last row"),
        (lambda f, x, y: (f, WIDTH - 1 - x, y), "with x counted from the last column"),
        (lambda f, x, y: (f - 1, x, y), "with frames counted from 0 .*or set first_frame"),
        (lambda f, x, y: (f + 1, x, y), "with frames counted from 2"),
        (lambda f, x, y: ((f + 40) % FRAMES, x, y), "no brighter where its molecules are than elsewhere"),
        (lambda f, x, y: (f, x * 0.6, y * 0.6), "no brighter where its molecules are than elsewhere"),
    ],
    ids=["exchanged", "rows", "columns", "from 0", "from 2", "another movie", "another pixel"],
)
def test_another_reading_is_told(read: Callable[..., Numbers], message: str, recorded: tuple[Movie, Numbers]) -> None:
    movie, numbers = recorded
    found = place_objection(movie, table(*read(*numbers)), first_frame=1)
    assert re.search(message, found), found


def test_of_few_molecules_nothing_is_said(recorded: tuple[Movie, Numbers]) -> None:
    movie, (frame, x, y) = recorded
    assert place_objection(movie, table(frame[:45], y[:45], x[:45]), first_frame=1) == ""
