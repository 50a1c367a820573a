"""The code as it stands at some moment: files by their hashes, kept with the title, and brought back into a new folder.

objects/3f/9a...            the content of a file, by its SHA-256
snapshots/0f3a61c2.../      manifest.json: every file with its hash and mode, and what was left out
                            tree/: the files, where they are trained; made when it is needed
environments/51ab....txt    packages that were installed, as `pip freeze` lists them
"""

import hashlib
import json
import os
import shutil
import stat
from contextlib import suppress
from dataclasses import asdict, dataclass, replace
from importlib.metadata import distributions
from pathlib import Path, PurePosixPath
from platform import python_version
from typing import Any

from hpsearch.errors import ExperimentError, HpsearchError
from hpsearch.experiment.files import read_json, write_atomically, write_json
from hpsearch.experiment.layout import EXPERIMENTS
from hpsearch.experiment.provenance import git_state
from hpsearch.referee.project_files import NO_CODE, leads_to, sorted_out

MANIFEST, TREE = "manifest.json", "tree"
_VERSION, _SHOWN = 1, 16
_OTHERS = stat.S_IRGRP | stat.S_IROTH


@dataclass(frozen=True)
class KeptFile:
    """A file of a snapshot: its path within the project, the hash of its content, and its kind.

    `mode` is that of git: 100644, 100755 for a program, 120000 for a link, whose content is where it leads.
    """

    path: str
    sha256: str
    mode: str
    size: int


@dataclass(frozen=True)
class Snapshot:
    """The files of a project. `left_out` are the paths that are in the project and not in the snapshot, with reasons.

    `revision` is the commit of git that they stand on.
    """

    files: tuple[KeptFile, ...]
    left_out: tuple[tuple[str, str], ...] = ()
    revision: str | None = None

    @property
    def digest(self) -> str:
        """The same for the same files, wherever they are."""
        text = json.dumps([[each.path, each.sha256, each.mode] for each in self.files])
        return hashlib.sha256(text.encode()).hexdigest()[:_SHOWN]

    @property
    def size(self) -> int:
        """Bytes of all files."""
        return sum(each.size for each in self.files)


def keep_environment(store: Path) -> str:
    """Note Python and the installed packages with their versions in a store; return the digest of that list."""
    found = {each.name.lower(): f"{each.name}=={each.version}" for each in distributions() if each.name}
    text = "\n".join([f"# Python {python_version()}", *(found[name] for name in sorted(found))]) + "\n"
    digest = hashlib.sha256(text.encode()).hexdigest()[:_SHOWN]
    place = environment_file(store, digest)
    if not place.exists():
        place.parent.mkdir(parents=True, exist_ok=True)
        write_atomically(place, text)
    return digest


def environment_file(store: Path, digest: str) -> Path:
    """Return the file with the packages of an environment."""
    return store / "environments" / f"{digest}.txt"


def changed_packages(store: Path, before: str, after: str) -> list[str]:
    """Return how two environments differ: `torch 2.5 -> 2.6`; nothing where one of them is gone."""
    try:
        old, new = (_versions(environment_file(store, each).read_text(encoding="utf-8")) for each in (before, after))
    except OSError:
        return []
    names = sorted({*old, *new})
    return [
        f"{name} {old.get(name, 'absent')} -> {new.get(name, 'absent')}"
        for name in names
        if old.get(name) != new.get(name)
    ]


def _versions(text: str) -> dict[str, str]:
    pairs = (line.replace("# Python ", "Python==").partition("==") for line in text.splitlines())
    return {name: version for name, _, version in pairs}


def take(project: Path, store: Path) -> Snapshot:
    """Keep the files of a project as they are now in a store of snapshots.

    Raises:
        HpsearchError: They are more than a snapshot may hold, or one of them cannot be read.
    """
    results = store.parent if not project.absolute().is_relative_to(store.parent.absolute()) else store
    paths, left_out = sorted_out(project, results)
    kept = [each for path in paths if (each := _keep(project, path, store)) is not None]
    state = git_state(project, own=False)
    revision = None if state is None else state["commit"]
    snapshot = Snapshot(tuple(kept), tuple(sorted(left_out.items())), revision)
    _write(snapshot, store)
    return snapshot


def _keep(project: Path, path: str, store: Path) -> KeptFile | None:
    """Keep a file; return None if it is gone. A link within the project leads to the same place in every copy."""
    place = project / path
    try:
        mode = place.lstat().st_mode
        if stat.S_ISLNK(mode):
            content = os.fsencode(os.path.relpath(leads_to(place), place.parent.absolute()))
        else:
            content = place.read_bytes()
    except FileNotFoundError:
        return None
    except OSError as error:
        raise HpsearchError(f"{place} cannot be kept in the snapshot: {error.strerror or error}") from error
    digest = hashlib.sha256(content).hexdigest()
    target = _object(store, digest)
    if not target.exists() or target.stat().st_size != len(content):  # a machine without power leaves an empty one
        target.parent.mkdir(parents=True, exist_ok=True)
        write_atomically(target, content, durable=False)
        if not mode & _OTHERS:
            target.chmod(0o600)
    kind = "120000" if stat.S_ISLNK(mode) else "100755" if mode & stat.S_IXUSR else "100644"
    return KeptFile(path, digest, kind, len(content))


def _object(store: Path, digest: str) -> Path:
    return store / "objects" / digest[:2] / digest[2:]


def home_of(store: Path, digest: str) -> Path:
    """Return the folder of a snapshot."""
    return store / "snapshots" / digest


def _write(snapshot: Snapshot, store: Path) -> None:
    home = home_of(store, snapshot.digest)
    if (home / MANIFEST).exists():
        known = read(store, snapshot.digest)
        if {*snapshot.left_out} <= {*known.left_out}:
            return
        snapshot = replace(snapshot, left_out=tuple(sorted({*known.left_out, *snapshot.left_out})))
    home.mkdir(parents=True, exist_ok=True)
    write_json(home / MANIFEST, {"version": _VERSION, **asdict(snapshot)})


def read(store: Path, digest: str) -> Snapshot:
    """Read a snapshot.

    Raises:
        ExperimentError: It is gone or damaged.
    """
    home = home_of(store, digest)
    try:
        content: dict[str, Any] = read_json(home / MANIFEST)
        files = tuple(KeptFile(**each) for each in content["files"])
        left_out = tuple((str(path), str(why)) for path, why in content["left_out"])
    except (OSError, ValueError, LookupError, TypeError) as error:
        raise ExperimentError(f"{home / MANIFEST} cannot be used: {error}; put a copy back") from error
    snapshot = Snapshot(files, left_out, content.get("revision"))
    if snapshot.digest != digest:
        raise ExperimentError(f"{home / MANIFEST} is damaged: its files are not those of {digest}; put a copy back")
    return snapshot


def bring_back(store: Path, snapshot: Snapshot, folder: Path) -> None:
    """Write the files of a snapshot into a folder that does not exist, all or none.

    Raises:
        HpsearchError: The folder exists.
        ExperimentError: A file of the store is gone or damaged.
    """
    if os.path.lexists(folder):
        raise HpsearchError(f"{folder} exists: a snapshot is brought back into a new folder")
    folder.parent.mkdir(parents=True, exist_ok=True)
    unfinished = folder.with_name(f".{folder.name}.{os.getpid()}.tmp")
    shutil.rmtree(unfinished, ignore_errors=True)
    try:
        unfinished.mkdir()
        for each in snapshot.files:
            _place(store, each, unfinished)
        unfinished.rename(folder)
    except BaseException:
        shutil.rmtree(unfinished, ignore_errors=True)
        raise


def _place(store: Path, kept: KeptFile, folder: Path) -> None:
    parts = PurePosixPath(kept.path)
    if parts.is_absolute() or ".." in parts.parts:
        raise ExperimentError(f"the snapshot names {kept.path}, which is not within a project")
    target = folder / kept.path
    target.parent.mkdir(parents=True, exist_ok=True)
    if not target.parent.resolve().is_relative_to(folder.resolve()):
        raise ExperimentError(f"the snapshot leads out of its folder by {kept.path}")
    source = _object(store, kept.sha256)
    try:
        content = source.read_bytes()
    except OSError as error:
        raise ExperimentError(f"{kept.path} is not in the store: {source}: {error.strerror or error}") from error
    if hashlib.sha256(content).hexdigest() != kept.sha256:
        raise ExperimentError(f"{source} is damaged: it is not {kept.path} any more; put a copy back")
    if kept.mode == "120000":
        target.symlink_to(os.fsdecode(content))
        return
    target.write_bytes(content)
    mode = 0o755 if kept.mode == "100755" else 0o644
    target.chmod(mode if source.stat().st_mode & _OTHERS else mode & 0o700)


def remove_tree(store: Path, digest: str) -> None:
    """Remove the folder that a snapshot was trained from, which can be made again; what it links to stays."""
    tree = home_of(store, digest) / TREE
    unfinished = tree.with_name(f".{TREE}.{os.getpid()}.tmp")  # which `tree_of` removes if this is killed
    with suppress(OSError):
        tree.rename(unfinished)
    shutil.rmtree(unfinished, ignore_errors=True)


def tree_of(store: Path, digest: str, project: Path) -> Path:
    """Return a folder with the files of a snapshot, to be trained from.

    What was left out of it is linked from the project, as far as it is there: data, secrets, environments.
    """
    tree = home_of(store, digest) / TREE
    for unfinished in tree.parent.glob(f".{TREE}.*.tmp"):
        shutil.rmtree(unfinished, ignore_errors=True)
    snapshot = read(store, digest)
    if not tree.exists():
        bring_back(store, snapshot, tree)
    for path, _ in snapshot.left_out:
        source, link = project.absolute() / path, tree / path
        if PurePosixPath(path).name in NO_CODE or path.startswith(f"{EXPERIMENTS.name}/"):
            continue
        if link.is_symlink() and not link.exists():  # the project was moved, or another copy of it is gone
            link.unlink()
        if os.path.lexists(link) or not source.exists() or store.absolute().is_relative_to(source):
            continue
        link.parent.mkdir(parents=True, exist_ok=True)
        link.symlink_to(source)
    return tree
