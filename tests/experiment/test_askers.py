"""Which programs ask for trials: one that lives is never taken for dead, nor a dead one for living."""

import fcntl
import os
from contextlib import ExitStack
from pathlib import Path

import pytest

from hpsearch.experiment.askers import Asker, Presence, known, living, presence
from hpsearch.experiment.layout import ASKERS


def test_one_that_somebody_looks_at_before_it_has_its_lock_is_not_dead(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A page looks each second, and holds the shared lock for a moment."""
    seen, taken = [], fcntl.flock

    def flock(descriptor: int, how: int) -> None:
        if not how & fcntl.LOCK_EX:
            taken(descriptor, how)
            return
        names = known(tmp_path)
        seen.extend(presence(tmp_path, name) for name in names)
        with ExitStack() as looking:
            for name in names:
                taken(looking.enter_context((tmp_path / ASKERS / name).open()).fileno(), fcntl.LOCK_SH)
            taken(descriptor, how)

    with monkeypatch.context() as patched:
        patched.setattr(fcntl, "flock", flock)
        asker = Asker(tmp_path)
    assert seen == []
    assert living(tmp_path) == [asker.name]
    asker.close()
    assert presence(tmp_path, asker.name) is Presence.LEFT
    assert [*(tmp_path / ASKERS).iterdir()] == []


def test_one_that_has_died_is_dead_though_a_child_of_its_lives(tmp_path: Path) -> None:
    reading, writing = os.pipe()
    if (asking := os.fork()) == 0:
        try:
            asker = Asker(tmp_path)
            if os.fork() == 0:
                os.close(writing)
                os.read(reading, 1)  # until the test has looked
                asker.close()
        finally:
            os._exit(0)
    try:
        os.waitpid(asking, 0)
        (name,) = known(tmp_path)
        assert presence(tmp_path, name) is Presence.DIED
    finally:
        os.close(writing)
        os.close(reading)


def test_the_end_of_a_child_takes_nothing_from_one_that_lives(tmp_path: Path) -> None:
    asker = Asker(tmp_path)
    if (child := os.fork()) == 0:
        try:
            asker.close()
        finally:
            os._exit(0)
    os.waitpid(child, 0)
    assert presence(tmp_path, asker.name) is Presence.ALIVE
    asker.close()


def test_what_could_not_be_written_leaves_no_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(*_: object) -> None:
        raise OSError("no space left")

    monkeypatch.setattr(Path, "rename", full)
    with pytest.raises(OSError, match="no space"):
        Asker(tmp_path)
    assert [*(tmp_path / ASKERS).iterdir()] == []
