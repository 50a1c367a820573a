"""The fingerprint of the data of an experiment: its files by size and hash, a simulation by its settings.

It tells the source, not how it is divided: all trials, replicates and folds of an experiment have one fingerprint, and
so have other experiments on the same data, wherever the files lie and whatever a single file is called.
"""

import functools
import hashlib
import importlib.util
import json
import os
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

from hpsearch.errors import DataError

WHAT_TO_DO = "Put the old data back, or search the new ones under another --name"
PACKAGE = "package:"
"""Begins the path of a file that an installed package brings: `package:sklearn/datasets/data/digits.csv.gz`."""
_TEXT = frozenset({".csv", ".json", ".jsonl", ".ndjson", ".tsv", ".txt"})
"""Of files with these endings the lines are told."""
_BLOCK = 1 << 20
_ROLES = {"data.train": "data.path", "data.val": "data.val_path", "data.test": "data.test_path"}
_IMAGE_ROLES = {**_ROLES, "data.train": "data.source.images.path"}
"""Settings that name the same data by the name that they had first: equal files have equal digests."""
_MEMBERS = 1000
"""A folder with at most this many files is recorded file by file, a larger one by its subfolders."""
_NAMED = 3
"""The most files that differ which are named."""
_SHOWN = 12
"""Digits of a hash that are shown."""


@dataclass(frozen=True)
class Source:
    """Where examples come from.

    `files` maps settings to the files and folders that are read, as they are written in the space; of folders only the
    files with these `suffixes` count, if there are any. `settings` are those that decide which examples there are.
    Examples of a `simulated` source follow from the settings and a seed. `members`, where it is given, says of a file
    or folder which files it stands for: the images that a table lists, for instance. `arrays` tells what code in a file
    returns: names, bytes and hashes.
    """

    kind: str
    files: Mapping[str, str] = field(default_factory=dict)
    settings: Mapping[str, Any] = field(default_factory=dict)
    suffixes: frozenset[str] = frozenset()
    simulated: bool = False
    members: Callable[[Path], Sequence[Path]] | None = None
    arrays: Callable[[Path], Iterable[tuple[str, int, str]]] | None = None

    @property
    def key(self) -> str:
        """The same for equal settings, whatever the files hold."""
        files = {_role(self.kind, setting): path for setting, path in self.files.items()}
        return json.dumps([self.kind, files, self.settings], sort_keys=True, default=str)


def _role(kind: str, setting: str) -> str:
    return (_IMAGE_ROLES if kind == "images" else _ROLES).get(setting, setting)


@dataclass(frozen=True)
class Content:
    """A file or folder: how many files, their bytes, one hash; of a folder the same for each member.

    `lines` are those of a file of text, and 0 for others.
    """

    setting: str
    path: str
    files: int
    bytes: int
    sha256: str
    members: Mapping[str, Sequence[Any]] = field(default_factory=dict)
    lines: int = 0

    def describe(self) -> str:
        """Return the content in words."""
        count, unit = (self.files, "file") if self.members else (self.lines, "line")
        many = f"{count:,} {unit}{'' if count == 1 else 's'}, " if count else ""
        return f"{many}{self.bytes:,} bytes, sha256 {self.sha256[:_SHOWN]}"


@dataclass(frozen=True)
class Fingerprint:
    """What the examples are made of."""

    kind: str
    contents: tuple[Content, ...] = ()
    settings: Mapping[str, Any] = field(default_factory=dict)

    @property
    def digest(self) -> str:
        """Equal for equal data: neither the place nor the name of a file has a say, those within a folder do."""
        parts = [[_role(self.kind, each.setting), each.bytes, each.sha256] for each in self.contents]
        text = json.dumps([self.kind, sorted(parts), self.settings], sort_keys=True, default=str)
        return hashlib.sha256(text.encode()).hexdigest()[:16]

    def to_json(self) -> dict[str, Any]:
        """Return plain data, with the digest."""
        return {"digest": self.digest, **asdict(self)}

    @classmethod
    def from_json(cls, content: Mapping[str, Any]) -> "Fingerprint":
        """Read the output of `to_json`.

        Raises:
            KeyError: it is not what `to_json` wrote.
            TypeError: it is not what `to_json` wrote.
        """
        contents = tuple(Content(**each) for each in content["contents"])
        return cls(content["kind"], contents, content["settings"])


def fingerprint_of(source: Source, find: Callable[[str], Path]) -> Fingerprint:
    """Return the fingerprint of a source; `find` says where a path lies.

    A file is read once by a process as long as it does not change: it is known by its size, its times and its inode.

    Raises:
        DataError: a file cannot be read.
    """
    contents = tuple(
        _content(setting, path, _packaged(path) if path.startswith(PACKAGE) else find(path), source)
        for setting, path in sorted(source.files.items())
    )
    plain: dict[str, Any] = json.loads(json.dumps(dict(source.settings), default=str))
    return Fingerprint(source.kind, contents, plain)


def _packaged(path: str) -> Path:
    """Return the path of a file of an installed package, without importing it."""
    package, _, inside = path.removeprefix(PACKAGE).partition("/")
    spec = importlib.util.find_spec(package)
    folders = list(spec.submodule_search_locations or ()) if spec else []
    return Path(folders[0] if folders else package, inside)


def differences(then: Fingerprint, now: Fingerprint) -> list[str]:
    """List the differences between two fingerprints; empty if their digests are equal."""
    if then.digest == now.digest:
        return []
    found = [] if then.kind == now.kind else [f"the data were {then.kind}, and are {now.kind}"]
    for name in sorted({*then.settings, *now.settings}):
        before, after = then.settings.get(name), now.settings.get(name)
        found += [] if before == after else [f"{name} was {json.dumps(before)}, and is {json.dumps(after)}"]
    before, after = ({_role(side.kind, each.setting): each for each in side.contents} for side in (then, now))
    for role in sorted({*before, *after}):
        found += _content_differences(before.get(role), after.get(role))
    return found


def _content_differences(before: Content | None, after: Content | None) -> Iterator[str]:
    if before is None or after is None:
        known = before or after
        assert known is not None  # noqa: S101 -- ours: one of the two is there
        yield f"{known.setting} ({known.path}) {'is new' if before is None else 'is no longer read'}"
    elif (before.bytes, before.sha256) != (after.bytes, after.sha256):
        now = f"{after.describe()}{_members(before, after)}"
        yield f"{after.setting} ({after.path}) had {before.describe()}, and has {now}"


def _members(before: Content, after: Content) -> str:
    """Name what differs within a folder."""
    names = sorted({*before.members, *after.members})
    changed = [name for name in names if _plain(before.members.get(name)) != _plain(after.members.get(name))]
    if not changed:
        return ""
    told = [f"{name} {_how(name, before, after)}" for name in changed[:_NAMED]]
    more = f" and {len(changed) - _NAMED} more" if len(changed) > _NAMED else ""
    return f": {', '.join(told)}{more}"


def _how(name: str, before: Content, after: Content) -> str:
    if name not in before.members:
        return "is new"
    return "has changed" if name in after.members else "is gone"


def _plain(member: Sequence[Any] | None) -> list[Any] | None:
    return None if member is None else list(member)


def _content(setting: str, path: str, place: Path, source: Source) -> Content:
    try:
        members = None if source.members is None else source.members(place)
        if members is not None and list(members) != [place]:
            return _together_of(setting, path, place if place.is_dir() else place.parent, members)
        if source.arrays is not None and place.suffix == ".py":
            return _together_of(setting, path, place.parent, [place], list(source.arrays(place)))
        if not place.is_dir():
            size, digest = hash_file(place)
            lines = _known(place)[1] if place.suffix.lower() in _TEXT else 0
            return Content(setting, path, 1, size, digest, lines=lines)
        counted = (
            each for each in place.rglob("[!.]*") if not source.suffixes or each.suffix.lower() in source.suffixes
        )
        return _together_of(setting, path, place, [each for each in counted if each.is_file()])
    except OSError as error:
        raise DataError(f"{setting}: {place} cannot be read: {error.strerror or error}") from None


def _together_of(
    setting: str, path: str, home: Path, paths: Iterable[Path], more: Sequence[tuple[str, int, str]] = ()
) -> Content:
    """Return the content of several files, by their names in the folder `home`, and `more` that is like files."""
    files = sorted((Path(os.path.relpath(each, home)).as_posix(), each) for each in set(paths))
    rows: list[tuple[str, int, str]] = [(name, *hash_file(file)) for name, file in files] + [*more]
    members = {name: (1, size, digest) for name, size, digest in rows}
    if len(rows) > _MEMBERS:
        groups: dict[str, list[tuple[str, int, str]]] = {}
        for row in rows:
            groups.setdefault(row[0].partition("/")[0], []).append(row)
        members = {name: (len(group), sum(row[1] for row in group), _together(group)) for name, group in groups.items()}
    return Content(setting, path, len(rows), sum(row[1] for row in rows), _together(rows), members)


def _together(rows: Sequence[tuple[str, int, str]]) -> str:
    digest = hashlib.sha256()
    for name, size, own in rows:
        digest.update(f"{name!r} {size} {own}\n".encode(errors="surrogateescape"))
    return digest.hexdigest()


def hash_of(parts: Iterable[str]) -> str:
    """Return a hash of several texts in their order."""
    return hashlib.sha256("\n".join(parts).encode()).hexdigest()


def hash_file(path: Path) -> tuple[int, str]:
    """Return the bytes of a file and their SHA-256 in hexadecimal.

    Raises:
        OSError: the file cannot be read.
    """
    return path.stat().st_size, _known(path)[0]


def _known(path: Path) -> tuple[str, int]:
    """Return the hash of a file and how many lines it has, the last one counting if it has no end."""
    state = path.stat()
    return _hashed(str(path), state.st_size, state.st_mtime_ns, state.st_ctime_ns, state.st_ino)


@functools.lru_cache(maxsize=1 << 17)
def _hashed(path: str, *_: int) -> tuple[str, int]:
    digest, lines, block = hashlib.sha256(), 0, b""
    with Path(path).open("rb") as file:
        while more := file.read(_BLOCK):
            block = more
            digest.update(block)
            lines += block.count(b"\n")
    return digest.hexdigest(), lines + bool(block and not block.endswith(b"\n"))
