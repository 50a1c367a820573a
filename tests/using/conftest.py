"""Finished experiments of the families whose data a user brings as files, and the program as a user calls it."""

from pathlib import Path

import pytest

from tests import small_winners
from tests.calling import Call, caller


@pytest.fixture
def call(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Call:
    """Run `hpsearch WORDS` in an empty folder, in this process."""
    return caller(tmp_path, monkeypatch, capsys)


@pytest.fixture(scope="session")
def texts(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A search of a classifier of reviews."""
    return small_winners.search_texts(tmp_path_factory.mktemp("texts"))


@pytest.fixture(scope="session")
def images(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A search of a classifier of photographs."""
    return small_winners.search_images(tmp_path_factory.mktemp("images"))


@pytest.fixture(scope="session")
def characters(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A search of a character model."""
    return small_winners.search_characters(tmp_path_factory.mktemp("characters"))
