"""Whoever prepares data says how far that is; without a listener it costs nothing."""

import pytest

from hpsearch.data.microscopy import MicroscopySettings, simulate_frames
from hpsearch.data.preparation import counted, heard, preparing
from tests.small_movies import SMALL_MOVIES


def test_what_is_counted_is_told_under_the_name_of_what_is_prepared() -> None:
    told: list[tuple[str, int, int]] = []
    with heard(lambda *said: told.append(said)):
        with preparing("train data"):
            assert list(counted("ab", "files read", 2)) == ["a", "b"]
        list(counted("c", "files read", 1))
    list(counted("d", "files read", 1))
    assert told == [
        ("train data", 0, 0),
        ("train data, files read", 0, 2),
        ("train data, files read", 1, 2),
        ("data, files read", 0, 1),
    ]


def test_a_listener_can_end_the_preparing() -> None:
    def stop(_: str, done: int, __: int) -> None:
        if done == 2:
            raise KeyboardInterrupt

    seen = []
    with heard(stop), pytest.raises(KeyboardInterrupt):
        seen.extend(counted(range(9), "files read", 9))
    assert seen == [0, 1]


def test_a_simulation_tells_of_its_frames() -> None:
    told: list[tuple[str, int, int]] = []
    with heard(lambda *said: told.append(said)), preparing("val data"):
        frames = simulate_frames(MicroscopySettings(**SMALL_MOVIES), "val", 0)["frames"]
    assert told[1:] == [("val data, frames simulated", number, len(frames)) for number in range(len(frames))]
