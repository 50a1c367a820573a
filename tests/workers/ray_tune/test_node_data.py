"""Data that the processes of a node load once."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import torch

from hpsearch.training.task import TensorData
from tests.ray_cluster import own_cluster

pytestmark = pytest.mark.slow


class Reader:
    """A process that wants data; it is made a Ray actor by `readers`."""

    def read(self, key: str, notes: str, trouble: str = "none") -> list[float]:
        """Read the data under a key and return their sum, noting every load in a file."""
        from hpsearch.workers.ray_tune.node_data import shared

        def load() -> Any:
            with Path(notes).open("a", encoding="utf-8") as file:
                file.write("loaded\n")
            if trouble == "missing":
                raise FileNotFoundError("no such data")
            data = TensorData(x=torch.arange(6.0), y=torch.ones(6))
            if trouble == "unsendable":
                data.lock = __import__("threading").Lock()  # type: ignore[attr-defined]
            return data

        data = shared(key, load)
        return [float(data.batch([0, 5])["x"].sum()), float(len(data))]


@pytest.fixture(scope="module")
def readers() -> Iterator[list[Any]]:
    with own_cluster(cpus=2):
        import ray

        actor = ray.remote(num_cpus=1)(Reader)
        yield [actor.remote(), actor.remote()]


def loads(notes: Path) -> int:
    return len(notes.read_text(encoding="utf-8").splitlines())


def both(readers: list[Any], key: str, notes: Path, trouble: str = "none") -> list[list[float]]:
    import ray

    answers: list[list[float]] = ray.get([reader.read.remote(key, str(notes), trouble) for reader in readers])
    return answers


def test_they_are_loaded_once(readers: list[Any], tmp_path: Path) -> None:
    notes = tmp_path / "notes"
    assert both(readers, "digits", notes) == [[5.0, 6.0]] * 2
    assert both(readers, "digits", notes) == [[5.0, 6.0]] * 2
    assert loads(notes) == 1


def test_other_data_are_other_data(readers: list[Any], tmp_path: Path) -> None:
    notes = tmp_path / "notes"
    both(readers, "train", notes)
    both(readers, "val", notes)
    assert loads(notes) == 2


def test_who_cannot_load_lets_the_next_one_try(readers: list[Any], tmp_path: Path) -> None:
    notes = tmp_path / "notes"
    with pytest.raises(FileNotFoundError):
        both(readers, "absent", notes, "missing")
    assert both(readers, "absent", notes) == [[5.0, 6.0]] * 2


def test_data_that_cannot_be_sent_are_loaded_by_each(readers: list[Any], tmp_path: Path) -> None:
    notes = tmp_path / "notes"
    assert both(readers, "locked", notes, "unsendable") == [[5.0, 6.0]] * 2
    assert loads(notes) == 2
