from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.engines.sessions import Terminal, open_terminal
from tests.engines.unbroken import Whole, search_unbroken


@pytest.fixture
def terminal(tmp_path: Path) -> Iterator[Terminal]:
    with open_terminal(tmp_path) as opened:
        yield opened


@pytest.fixture(scope="session")
def whole(tmp_path_factory: pytest.TempPathFactory) -> Whole:
    return search_unbroken(tmp_path_factory.mktemp("whole"))
