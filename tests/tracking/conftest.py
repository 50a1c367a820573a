import shutil
from collections.abc import Callable
from pathlib import Path

import pytest

from hpsearch.tracking.mlflow.store import DATABASE, default_uri
from tests.tracking.folders import ExperimentFolder, grow_confirmation, grow_search, sync
from tests.tracking.reading import Reading


@pytest.fixture(scope="session")
def mirrored(tmp_path_factory: pytest.TempPathFactory, empty_database: Path) -> Reading:
    """A whole experiment, mirrored once; for tests that only read."""
    root = tmp_path_factory.mktemp("mirrored")
    shutil.copy(empty_database, root / DATABASE)
    folder = ExperimentFolder(root / "line")
    grow_search(folder)
    grow_confirmation(folder)
    sync(folder.path)
    return Reading(default_uri(root), "line")


@pytest.fixture
def root(tmp_path: Path, empty_database: Path) -> Path:
    """A folder for experiments, with a store and a name that must be quoted in a URI."""
    folder = tmp_path / "my experiments #1"
    folder.mkdir()
    shutil.copy(empty_database, folder / DATABASE)
    return folder


@pytest.fixture
def other(root: Path, empty_database: Path) -> Path:
    """A second, empty store."""
    return shutil.copy(empty_database, root / "other.db")


@pytest.fixture
def folder(root: Path) -> ExperimentFolder:
    return ExperimentFolder(root / "line")


@pytest.fixture
def read(root: Path) -> Callable[[], Reading]:
    return lambda: Reading(default_uri(root), "line")
