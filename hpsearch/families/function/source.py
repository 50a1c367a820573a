"""From a function that no file can be imported for, as in a notebook, to a module that holds it and what it needs.

Workers are processes of their own: they import the function. What it refers to is written as its source (functions and
classes), as its value (constants) or as the import that it came by. All else is a live object, and is refused.
"""

import ast
import builtins
import inspect
import linecache
import math
import re
import site
import symtable
import sys
import sysconfig
import textwrap
import types
from collections.abc import Callable, Iterator
from pathlib import Path, PurePath
from typing import Any

from hpsearch.errors import HpsearchError

_TO_A_FILE = (
    "write the function into a file of its own, such as train.py, and pass train.train or family: ./train.py:train"
)


def file_of(function: Callable[..., Any]) -> Path | None:
    """Return the file that a function can be imported from, or None: that of a notebook or a script cannot.

    Raises:
        HpsearchError: It is no function that another process could call.
    """
    _refuse(function)
    module = sys.modules.get(function.__module__)
    known = getattr(module, "__file__", None)
    if function.__module__ == "__main__" or known is None or getattr(module, function.__name__, None) is not function:
        return None
    return Path(known).resolve()


def _refuse(function: Any) -> None:
    name = getattr(function, "__name__", None)
    if inspect.ismethod(function):
        owner = type(function.__self__).__name__
        raise HpsearchError(
            f"{name} is a method of an object of {owner}, and the trainings run in other processes: write a function "
            "that makes what it needs"
        )
    if not inspect.isfunction(function):
        raise HpsearchError(
            f"{function!r} is not a plain function; write def train(config, report), and call in it what you have"
        )
    if name == "<lambda>":
        raise HpsearchError(
            "a lambda has no name by which another process could find it; write def train(config, report)"
        )
    free = inspect.unwrap(function).__code__.co_freevars
    if free:
        raise HpsearchError(
            f"{name} uses {', '.join(free)} of the function around it, and the trainings run in other processes: let "
            f"it be a parameter that the space gives, or make it inside {name}"
        )


def module_text(function: Callable[..., Any]) -> str:
    """Return the source of a module with the function and all that it refers to.

    Raises:
        HpsearchError: It refers to a live object, or its source is not to be had.
    """
    return _Module(function).text()


class _Module:
    """Collects imports, constants and definitions, each before it is used."""

    def __init__(self, function: Callable[..., Any]) -> None:
        self._function = function
        self._known: dict[str, Any] = function.__globals__
        self._imports: dict[str, None] = {}
        self._paths: dict[str, None] = {}
        self._body: list[str] = []
        self._seen: set[str] = set()
        self._texts = _texts_around(function)
        self._define(function.__name__, function)

    def text(self) -> str:
        """Return the whole module."""
        future = "annotations" in _futures(self._function)
        head = [f'"""The function {self._function.__name__}, as it was when hpsearch.run was called."""']
        head += ["from __future__ import annotations"] if future else []
        if self._paths:
            head += ["import sys", *(f"sys.path.append({folder!r})" for folder in self._paths)]
        return "\n\n".join(["\n".join([*head, *self._imports]), *self._body]) + "\n"

    def _define(self, name: str, value: Any) -> None:
        """Add the source of a function or a class, behind what it refers to."""
        self._seen.add(name)
        source = self._source(name, value)
        for other in _names(source):
            if other not in self._seen and other in self._known:
                self._seen.add(other)
                self._need(other, self._known[other], source)
        self._body.append(source)

    def _source(self, name: str, value: Any) -> str:
        try:
            source = textwrap.dedent(inspect.getsource(inspect.unwrap(value)))
        except (OSError, TypeError):
            found = next((text for each in self._texts if (text := _definition(each, name))), None)
            if found is None:
                raise HpsearchError(f"the source of {name} is not to be had; {_TO_A_FILE}") from None
            source = found
        if _defined(source) != name:
            raise HpsearchError(f"{name} is not written as a definition of that name; {_TO_A_FILE}")
        return source

    def _need(self, name: str, value: Any, source: str) -> None:
        """Add what a name of the function's module stands for."""
        if isinstance(value, types.ModuleType):
            self._import_module(name, value, source)
        elif (text := _literal(value)) is not None:
            self._imports |= {"import math": None} if "math." in text else {}
            self._imports |= {"from pathlib import Path": None} if "Path(" in text else {}
            self._body.append(f"{name} = {text}")
        elif getattr(value, "__module__", None) == self._function.__module__ and _has_source(value):
            self._define(name, value)
        elif statement := self._import_statement(name, value):
            self._imports[statement] = None
        else:
            kind = type(value).__name__
            raise HpsearchError(
                f"{self._function.__name__} uses {name}, a {kind} that lives in this process only: make it inside the "
                f"function, give it as a parameter of the space, or {_TO_A_FILE}"
            )

    def _import_module(self, name: str, module: types.ModuleType, source: str) -> None:
        self._reach(module.__name__)
        plain = f"import {module.__name__}"
        self._imports[plain if name == module.__name__ else f"{plain} as {name}"] = None
        for found in re.findall(rf"\b{re.escape(name)}((?:\.\w+)+)", source):
            steps = found.split(".")[1:]
            for end in range(len(steps), 0, -1):
                inner = ".".join([module.__name__, *steps[:end]])
                if inner in sys.modules:
                    self._imports[f"import {inner}"] = None
                    break

    def _import_statement(self, name: str, value: Any) -> str | None:
        """Return the statement by which a name was imported, or another that imports the same."""
        written = next((found for each in self._texts if (found := _imported(each, name))), None)
        module, original = written or (getattr(value, "__module__", None), getattr(value, "__qualname__", None))
        if (
            not module
            or not original
            or (not written and getattr(sys.modules.get(module), original, None) is not value)
        ):
            return None
        self._reach(module)
        return f"from {module} import {original}" + (f" as {name}" if name != original else "")

    def _reach(self, module: str) -> None:
        """Let the folder of a module of the user's be looked in."""
        top = sys.modules.get(module.partition(".")[0])
        file = getattr(top, "__file__", None)
        if file is None:
            return
        place = Path(file).resolve()
        folder = place.parent.parent if place.name == "__init__.py" else place.parent
        if not _is_installed(folder):
            self._paths[str(folder)] = None


def _is_installed(folder: Path) -> bool:
    known = [*sysconfig.get_paths().values(), *site.getsitepackages(), site.getusersitepackages()]
    return any(folder == Path(each).resolve() or folder.is_relative_to(Path(each).resolve()) for each in known[:3]) or (
        "site-packages" in folder.parts or "dist-packages" in folder.parts
    )


def _futures(function: Callable[..., Any]) -> list[str]:
    import __future__

    flags = inspect.unwrap(function).__code__.co_flags
    return [name for name in __future__.all_feature_names if flags & getattr(__future__, name).compiler_flag]


def _has_source(value: Any) -> bool:
    return isinstance(value, type) or (callable(value) and inspect.isfunction(inspect.unwrap(value)))


def _literal(value: Any) -> str | None:
    """Return a constant as Python writes it, or None for what is no constant."""
    if isinstance(value, PurePath):
        return f"Path({str(value)!r})"
    if isinstance(value, float) and not math.isfinite(value):
        return "math.nan" if math.isnan(value) else "math.inf" if value > 0 else "-math.inf"
    if value is None or type(value) in (bool, int, float, complex, str, bytes):
        return repr(value)
    if type(value) in (list, tuple, set, frozenset):
        parts = [_literal(each) for each in value]
        inner = None if None in parts else ", ".join(map(str, parts))
        marks: dict[type, str] = {
            list: "[{}]",
            tuple: "({},)" if parts else "({})",
            set: "{{{}}}",
            frozenset: "frozenset([{}])",
        }
        if inner is None:
            return None
        return "set()" if type(value) is set and not parts else marks[type(value)].format(inner)
    if type(value) is dict:
        pairs = [(_literal(key), _literal(each)) for key, each in value.items()]
        return None if any(None in pair for pair in pairs) else f"{{{', '.join(f'{k}: {v}' for k, v in pairs)}}}"
    return None


def _names(source: str) -> list[str]:
    """Return the names of its module that a definition refers to, in order."""
    top = symtable.symtable(source, "<function>", "exec")
    found: dict[str, None] = {}
    own = [each.get_name() for each in top.get_symbols() if each.is_assigned() or each.is_namespace()]
    for table in _tables(top):
        for symbol in table.get_symbols():
            if symbol.is_referenced() and (table is top or symbol.is_global()) and symbol.get_name() not in own:
                found[symbol.get_name()] = None
    return [name for name in found if not hasattr(builtins, name)]


def _tables(table: symtable.SymbolTable) -> Iterator[symtable.SymbolTable]:
    yield table
    for child in table.get_children():
        yield from _tables(child)


def _texts_around(function: Callable[..., Any]) -> list[str]:
    """Return the file that holds a function, or all the cells of its notebook, the newest first."""
    file = inspect.unwrap(function).__code__.co_filename
    if Path(file).is_file():
        return [Path(file).read_text(encoding="utf-8")]
    cells = [(name, entry) for name, entry in linecache.cache.items() if len(entry) == 4 and not Path(name).is_file()]
    return ["".join(entry[2]) for _, entry in reversed(cells)]


def _statements(text: str) -> list[ast.stmt]:
    try:
        return ast.parse(text).body
    except SyntaxError:
        return []


def _definition(text: str, name: str) -> str | None:
    for node in _statements(text):
        if isinstance(node, ast.ClassDef | ast.FunctionDef | ast.AsyncFunctionDef) and node.name == name:
            first = min([node.lineno, *(each.lineno for each in node.decorator_list)])
            return "\n".join(text.splitlines()[first - 1 : node.end_lineno]) + "\n"
    return None


def _imported(text: str, name: str) -> tuple[str, str] | None:
    """Return the module, and the name in it, that a text imports as `name`."""
    for node in _statements(text):
        if isinstance(node, ast.ImportFrom) and node.module and not node.level and node.module != "__future__":
            for alias in node.names:
                if (alias.asname or alias.name) == name:
                    return node.module, alias.name
    return None


def _defined(source: str) -> str | None:
    """Return the name of the definition that a source is."""
    for node in _statements(source):
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef):
            return node.name
    return None
