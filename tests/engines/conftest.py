from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.engines.sessions import Terminal, open_terminal


@pytest.fixture
def terminal(tmp_path: Path) -> Iterator[Terminal]:
    with open_terminal(tmp_path) as opened:
        yield opened
