"""Labelled texts: from files, or the docstrings of the standard library, a corpus that every Python brings.

Texts that occur in two parts of the data, or twice in one, make a test score too good. Needs no torch.
"""

import ast
import hashlib
import sysconfig
import warnings
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from hpsearch.errors import DataError, UnknownNameError

_MODULES = {
    "archives": "tarfile zipfile gzip bz2 lzma shutil",
    "asyncio": "asyncio",
    "collections": "collections _collections_abc heapq bisect weakref _weakrefset queue operator functools",
    "dates": "datetime _pydatetime calendar zoneinfo _strptime",
    "debugging": "pdb bdb cmd trace profile pstats cProfile timeit",
    "email": "email mailbox",
    "files": "pathlib os tempfile posixpath ntpath genericpath fnmatch glob _pyio fileinput",
    "importing": "importlib pkgutil zipimport modulefinder runpy",
    "inspection": "inspect ast dis tokenize symtable pydoc pyclbr traceback",
    "logging": "logging",
    "numbers": "_pydecimal fractions statistics numbers random",
    "processes": "multiprocessing concurrent threading subprocess",
    "testing": "unittest doctest",
    "typing": "typing enum dataclasses abc _py_abc types",
    "web": "http urllib xmlrpc wsgiref socketserver",
    "xml": "xml",
}
TOPICS: Mapping[str, tuple[str, ...]] = {topic: tuple(modules.split()) for topic, modules in _MODULES.items()}
"""The classes of the corpus `docstrings`, and the modules and packages of each; one that a Python lacks is left out."""
SHORTEST = 4
"""A docstring of fewer words says too little about what it belongs to."""
_SHOWN = 3


@dataclass(frozen=True)
class LabelledTexts:
    """Texts with their labels, and labels for an optional second task; None for an example without one."""

    texts: tuple[str, ...]
    labels: tuple[str | None, ...]
    auxiliary: tuple[str | None, ...] | None = None

    def __len__(self) -> int:
        return len(self.texts)

    def part(self, indices: Iterable[int]) -> "LabelledTexts":
        """Return the examples at these indices."""
        chosen = [int(index) for index in indices]
        auxiliary = None if self.auxiliary is None else tuple(self.auxiliary[index] for index in chosen)
        return LabelledTexts(
            tuple(self.texts[index] for index in chosen), tuple(self.labels[index] for index in chosen), auxiliary
        )


@cache
def docstrings(topics: tuple[str, ...] = tuple(TOPICS)) -> LabelledTexts:
    """Return the docstrings of the running Python's standard library; the label is the topic of their module.

    They are those of modules, classes and functions, in the order of the files, without the packages' tests; with
    `topics` only of those. A text that occurs in several places is kept once, and not at all where its topics differ.
    The corpus belongs to the Python release: 4,383 texts of 16 topics in CPython 3.11, half of them of 15 words or
    fewer.

    Raises:
        DataError: the standard library is not there as source.
        UnknownNameError: there is no such topic.
    """
    library = Path(sysconfig.get_path("stdlib"))
    found: dict[str, tuple[str, set[str]]] = {}
    for topic in topics:
        if topic not in TOPICS:
            raise UnknownNameError("topic of the corpus docstrings", topic, TOPICS)
        for module in TOPICS[topic]:
            for text in _module_docstrings(library, module):
                if len(text.split()) >= SHORTEST:
                    found.setdefault(normalised(text), (text, set()))[1].add(topic)
    kept = [(text, next(iter(topics))) for text, topics in found.values() if len(topics) == 1]
    missing = set(topics) - {topic for _, topic in kept}
    if missing:
        names = ", ".join(sorted(missing))
        raise DataError(
            f"the corpus 'docstrings' needs the standard library's sources; {library} lacks those of {names}"
        )
    texts, labels = zip(*kept, strict=True)
    return LabelledTexts(texts, labels)


def normalised(text: str) -> str:
    """Return a text without what tells copies apart: case, and how white space is laid out."""
    return " ".join(text.casefold().split())


def _module_docstrings(library: Path, module: str) -> Iterator[str]:
    package, file = library / module, library / f"{module}.py"
    files = sorted(package.rglob("*.py")) if package.is_dir() else [file] if file.is_file() else []
    for path in files:
        if not {"test", "tests"} & set(path.relative_to(library).parts):
            for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
                if isinstance(node, ast.Module | ast.ClassDef | ast.FunctionDef | ast.AsyncFunctionDef):
                    yield ast.get_docstring(node) or ""


CORPORA: Mapping[str, Callable[..., LabelledTexts]] = {"docstrings": docstrings}
"""The labelled texts that need no file, by name; each takes the classes that are wanted, or nothing for all."""


@dataclass(frozen=True)
class Leakage:
    """Indices into the checked part, in order."""

    exact: tuple[int, ...]
    """Texts that are also in the other part, letter by letter."""
    nearly: tuple[int, ...]
    """Texts that are there except for case and white space."""
    repeated: tuple[int, ...]
    """Texts that occur earlier in the checked part itself, whatever their case and white space."""


def find_leakage(checked: Sequence[str], learned: Collection[str]) -> Leakage:
    """Return which of the `checked` texts are also among those that were learned from, and which occur twice."""
    exact_texts, texts = set(learned), {normalised(text) for text in learned}
    exact, nearly, repeated = [], [], []
    seen: set[str] = set()
    for index, text in enumerate(checked):
        plain = normalised(text)
        if text in exact_texts:
            exact.append(index)
        elif plain in texts:
            nearly.append(index)
        if plain in seen:
            repeated.append(index)
        seen.add(plain)
    return Leakage(tuple(exact), tuple(nearly), tuple(repeated))


def text_hashes(texts: Iterable[str]) -> NDArray[np.int64]:
    """Return a number for each different text, in ascending order; case and white space do not matter.

    They are 64 bits of BLAKE2b: among a million texts two share a number with a probability of 3e-8.
    """
    numbers = {_number(normalised(text)) for text in texts}
    return np.sort(np.fromiter(numbers, dtype=np.int64, count=len(numbers)))


def _number(text: str) -> int:
    digest = hashlib.blake2b(text.encode("utf-8", "surrogatepass"), digest_size=8).digest()
    return int.from_bytes(digest, "big", signed=True)


def without_leakage(part: LabelledTexts, learned: Collection[str], *, name: str, drop: bool) -> LabelledTexts:
    """Return a part, without the texts that were learned from if they are to be dropped; warn if there are any."""
    found = find_leakage(part.texts, learned)
    leaked = sorted((*found.exact, *found.nearly))
    if not leaked:
        return part
    shown = "; ".join(repr(part.texts[index][:60]) for index in leaked[:_SHOWN])
    warnings.warn(
        f"{len(leaked)} of {len(part)} {name} texts are also in the data before them: "
        f"{len(found.exact)} letter by letter, "
        f"{len(found.nearly)} but for case and white space, for example {shown}"
        + ("; they are left out" if drop else "; data.leaked: drop leaves them out"),
        stacklevel=2,
    )
    return part.part(index for index in range(len(part)) if index not in set(leaked)) if drop else part


def without_repeats(texts: LabelledTexts) -> LabelledTexts:
    """Return the first of each group of texts that differ in case and white space only."""
    repeated = set(find_leakage(texts.texts, ()).repeated)
    return texts.part(index for index in range(len(texts)) if index not in repeated)
