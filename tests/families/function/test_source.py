"""A function of a notebook or a script becomes a module that computes the same, or is refused with the reason."""

import linecache
import subprocess
import sys
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest

from hpsearch.errors import HpsearchError
from hpsearch.families.function.source import file_of, module_text

CELLS = [
    """
import math as m
import xml.etree.ElementTree
from os.path import join as glue, basename
from pathlib import Path
from dataclasses import dataclass
from functools import cache
from asyncio import run
STEPS, NAMES, PLACE, NOWHERE = 3, {"a": (1, [2.5, None])}, Path("/x"), float("inf")
class Live:
    pass
live = Live()
""",
    """
@dataclass
class Net:
    width: int = STEPS
    def area(self):
        return self.width * outer(1)
""",
    """
@cache
def outer(n):
    return 1 if n > 2 else inner(n)
def inner(n):
    return outer(n + 1) + 1
async def later(n):
    return n + 1
""",
    """
def train(config, report, *, limit=NOWHERE):
    live = 3  # a name of its own
    tag = xml.etree.ElementTree.fromstring("<a/>").tag
    lines = [glue(tag, str(PLACE)) for tag in NAMES]
    told = [live, tag, lines, limit > 1e300, run(later(1))]
    return [STEPS, NAMES, m.floor(2.5), Net().area(), *told, [n for n in range(STEPS)]]
""",
    """
def refused(config, report):
    return live
""",
]


@pytest.fixture
def notebook() -> Any:
    """Cells as IPython keeps them: in no file, their text in linecache."""
    module = ModuleType("__main__")
    names = []
    for number, text in enumerate(CELLS):
        name = f"<ipython-input-{number}-0123456789ab>"
        names.append(name)
        linecache.cache[name] = (len(text), None, text.splitlines(keepends=True), name)
        exec(compile(text, name, "exec"), module.__dict__)  # noqa: S102 -- as a notebook does
    yield module
    for name in names:
        del linecache.cache[name]


def test_the_module_of_a_notebooks_function_computes_the_same(notebook: ModuleType, tmp_path: Path) -> None:
    assert file_of(notebook.train) is None
    (tmp_path / "train.py").write_text(module_text(notebook.train))
    code = "import train; print(train.train({}, None))"
    told = subprocess.run([sys.executable, "-c", code], cwd=tmp_path, capture_output=True, text=True, check=False)
    assert told.stdout.strip() == str(notebook.train({}, None)), told.stderr


def test_a_live_object_is_refused(notebook: ModuleType) -> None:
    with pytest.raises(
        HpsearchError, match=r"refused uses live, a Live that lives in this process only: make it inside"
    ):
        module_text(notebook.refused)


def test_without_source_it_is_refused() -> None:
    scope: dict[str, Any] = {"__name__": "__main__"}
    exec("def train(config, report): pass", scope)  # noqa: S102 -- as Python's prompt does
    with pytest.raises(HpsearchError, match=r"the source of train is not to be had; write the function into a file"):
        module_text(scope["train"])


def test_what_no_other_process_can_find_is_refused() -> None:
    state = [1]

    def closure(config: Any, report: Any) -> None:
        state.append(config)

    class Owner:
        def train(self, config: Any, report: Any) -> None: ...

    for function, words in (
        (closure, "closure uses state of the function around it"),
        (lambda config, report: None, "a lambda has no name"),
        (Owner().train, "train is a method of an object of Owner, and the trainings run in other processes"),
        (Owner(), "is not a plain function"),
    ):
        with pytest.raises(HpsearchError, match=words):
            file_of(function)


def test_a_function_of_a_file_stays_there() -> None:
    assert file_of(file_of) == Path(sys.modules[file_of.__module__].__file__ or "")
