"""Which files of a project are its code; and of the rest, which is used where it is, whether it has changed.

Git is only asked which files there are (`git ls-files`, which reads): index, branches and files stay as they are.
"""

import hashlib
import os
import shutil
import stat
import subprocess
from collections.abc import Iterator, Mapping
from contextlib import suppress
from itertools import islice
from pathlib import Path, PurePosixPath

from hpsearch.errors import HpsearchError
from hpsearch.experiment.layout import EXPERIMENTS

LARGEST_FILE = 5_000_000
"""Bytes: a larger file is taken for data or weights."""
LARGEST = 200_000_000
"""Bytes of all files of a snapshot."""
RULE = (
    f"left out of a snapshot: what git ignores; files larger than {LARGEST_FILE // 1_000_000} MB; secrets by their "
    "names (.env, .netrc, *.pem, *.key, id_rsa, credentials, ...); links that lead out of the project; and where there "
    "is no git, hidden folders and environments. They stay where they are, and a training from a snapshot finds them "
    "there. A large file that has changed makes another contender; if anything else of them has, but for secrets, the "
    "answer says so. Of experiments/ a training finds nothing but Python files that git tracks"
)
_SECRET_NAMES = {
    *(".netrc", ".pypirc", ".npmrc", ".pgpass", ".htpasswd", ".git-credentials", ".dockercfg", ".dockerconfigjson"),
    *("credentials", "credentials.json", "kaggle.json"),
    *("secrets.toml", "secrets.yaml", "secrets.yml", "secrets.json"),
}
_SECRET_FOLDERS = {".ssh", ".aws", ".gnupg", ".azure", ".kube", "credentials", "secrets"}
_SECRET_STEMS = ("id_rsa", "id_dsa", "id_ecdsa", "id_ed25519", ".env")
_SECRET_SUFFIXES = {".env", ".pem", ".key", ".p12", ".pfx", ".ppk", ".jks", ".asc", ".keystore", ".kdbx"}
NO_CODE = {"__pycache__", "node_modules", "mlruns", "wandb", EXPERIMENTS.name}
"""Folders that hold no code, where no git says so."""
_ELSEWHERE = {"GIT_DIR", "GIT_WORK_TREE", "GIT_INDEX_FILE"}
"""By these variables git's hooks name a repository, which need not be that of the project."""
_BLOCK, _SHOWN = 1 << 16, 16
TOO_LARGE = f"larger than {LARGEST_FILE // 1_000_000} MB"
_SECRET = "a secret, by its name"  # noqa: S105 -- a reason, no password
_ENVIRONMENT, _HIDDEN = "an environment", "a hidden folder"
_PASSED_OVER = {_SECRET, _ENVIRONMENT, _HIDDEN}
"""What is left out and not looked at."""
_LOOKED_AT, _READ = 1000, 64_000_000
"""The most files of what was left out that are looked at, and the most bytes that are read of them."""
_TRACES = {".log", ".pyc", ".out", ".err"}
"""Endings of files that trainings and tools leave behind, whose change says nothing."""


def sorted_out(project: Path, results: Path) -> tuple[list[str], dict[str, str]]:
    """Return the files of a project that are its code, and what is left out with the reasons.

    `results` is the folder of the title's, or one with other titles and experiments.

    Raises:
        HpsearchError: They are more than a snapshot may hold, or git does not answer.
    """
    sizes: dict[str, int] = {}
    left_out: dict[str, str] = {}
    for path, ignored in _found(project):
        with suppress(FileNotFoundError):  # an editor's file that was there a moment ago
            why = _objection(project, path, results) if ignored is None else ignored
            if why is None:
                sizes[path] = (project / path).lstat().st_size
            elif why:
                left_out[path] = why
    if sum(sizes.values()) > LARGEST:
        raise HpsearchError(_too_large(project, sizes))
    return sorted(sizes), left_out


def _found(folder: Path, within: str = "") -> Iterator[tuple[str, str | None]]:
    """Yield the files of a project; or a path that is left out, whole folders at once, with the reason.

    The files of submodules, and of other repositories within, are its own.
    """
    tracked = _ask_git(folder, "--cached")
    if tracked is None:
        yield from _walked(folder, within)
        return
    new = _ask_git(folder, "--others", "--exclude-standard") or []
    results = f"{EXPERIMENTS.name}/"
    code = [each for each in tracked if not each.startswith(results) or _is_tracked_code(each)]
    for path in sorted({*code, *(each for each in new if within or not each.startswith(results))}):
        place = folder / path
        if place.is_symlink() or not place.is_dir():
            yield within + path, None
        elif (place / ".git").exists():
            yield from _found(place, f"{within}{path.rstrip('/')}/")
    ignored = _ask_git(folder, "--others", "--ignored", "--exclude-standard", "--directory") or []
    for path in {each.rstrip("/") for each in ignored}:
        yield within + path, "ignored by git"


def _is_tracked_code(path: str) -> bool:
    """Whether a tracked file below experiments/ is code of the project, and not of a title that is kept there."""
    return path.endswith(".py") and "snapshots" not in PurePosixPath(path).parts


def _ask_git(project: Path, *options: str) -> list[str] | None:
    """Return paths that git lists of a repository; None for a folder that is none. It runs nothing of the repository's.

    Raises:
        HpsearchError: Git is not there, or does not answer: what it ignores must not be taken for code.
    """
    if not (project / ".git").exists():
        return None
    program = shutil.which("git")
    if program is None:
        raise HpsearchError(f"{project} is a git repository, and only git knows what it ignores: install git")
    command = [program, "-c", "core.fsmonitor=false", "-C", str(project), "ls-files", "-z", *options]
    own = {name: value for name, value in os.environ.items() if name not in _ELSEWHERE}
    answer = subprocess.run(command, capture_output=True, check=False, env=own)
    if answer.returncode != 0:
        said = os.fsdecode(answer.stderr).strip().partition("\n")[0]
        raise HpsearchError(f"git does not list the files of {project}: {said}")
    return [os.fsdecode(each) for each in answer.stdout.split(b"\0") if each]


def _walked(folder: Path, within: str) -> Iterator[tuple[str, str | None]]:
    """Yield the files below a folder that no git tells of; of folders that hold no code, where they are linked."""
    with os.scandir(folder) as entries:
        for entry in sorted(entries, key=lambda each: each.name):
            path = f"{within}{entry.name}"
            if not entry.is_dir(follow_symlinks=False):
                yield path, None
            elif Path(entry, "pyvenv.cfg").exists():
                yield path, _ENVIRONMENT
            elif entry.name.startswith("."):
                yield path, _HIDDEN
            elif entry.name not in NO_CODE:
                yield from _found(Path(entry), f"{path}/")


def _objection(project: Path, path: str, results: Path) -> str | None:
    """Return why a file is left out; nothing at all for what is no file of the project's, None if it is kept."""
    place, parts = project / path, PurePosixPath(path).parts
    own = place.absolute().is_relative_to(results.absolute()) and not _is_tracked_code(path)
    if not os.path.lexists(place) or own or "__pycache__" in parts:
        return ""
    if _is_secret(path):
        return _SECRET
    mode = place.lstat().st_mode
    if stat.S_ISLNK(mode):
        return None if leads_to(place).is_relative_to(project.absolute()) else "a link that leads out of the project"
    if not stat.S_ISREG(mode):
        return ""
    return TOO_LARGE if place.stat().st_size > LARGEST_FILE else None


def leads_to(link: Path) -> Path:
    """Return the absolute path that a link leads to."""
    return Path(os.path.normpath(link.parent.absolute() / link.readlink()))


def _is_secret(path: str) -> bool:
    *folders, name = PurePosixPath(path.lower()).parts
    named = name in _SECRET_NAMES or name.startswith(_SECRET_STEMS)
    return named or PurePosixPath(name).suffix in _SECRET_SUFFIXES or bool(_SECRET_FOLDERS & {*folders})


def _too_large(project: Path, sizes: Mapping[str, int]) -> str:
    tops: dict[str, int] = {}
    for path, size in sizes.items():
        top = PurePosixPath(path).parts[0]
        tops[top] = tops.get(top, 0) + size
    largest = max(tops, key=lambda top: tops[top])
    ignore = "belong into .gitignore" if (project / ".git").exists() else "are left out by git: `git init`, .gitignore"
    return (
        f"the code in {project} is more than the {LARGEST // 1_000_000} MB that a snapshot may hold; the largest part "
        f"is {largest} with {tops[largest] // 1_000_000} MB: data and results {ignore}"
    )


def looks_of(project: Path, left_out: Mapping[str, str]) -> dict[str, str]:
    """Return what tells whether something has changed that was left out, by path, without secrets.

    Large files are looked at in three places, folders as far as their first files. Traces of tools are passed over.
    """
    found = {}
    for path, why in left_out.items():
        place, name = project / path, PurePosixPath(path).name
        if why in _PASSED_OVER or name.startswith(".") or name in NO_CODE or _is_trace(name):
            continue
        digest, left = hashlib.sha256(), _READ
        with suppress(OSError):
            for file in islice(_files_in(place), _LOOKED_AT):
                seen, left = _look(file, left)
                digest.update(f"{file.relative_to(place)}\0".encode() + seen)
            found[path] = digest.hexdigest()[:_SHOWN]
    return found


def _is_trace(name: str) -> bool:
    return PurePosixPath(name).suffix in _TRACES


def _files_in(place: Path) -> Iterator[Path]:
    """Yield a file, or the files below a folder, without traces of tools, in the order of their names."""
    if not place.is_dir():
        if place.is_file():  # nothing that would have to be waited for
            yield place
        return
    with os.scandir(place) as entries:
        names = sorted(entry.name for entry in entries)
    for name in names:
        below = (place / name).is_symlink() and (place / name).is_dir()  # which may lead round and round
        if not (below or name.startswith(".") or name in NO_CODE or _is_trace(name)):
            yield from _files_in(place / name)


def _look(file: Path, left: int) -> tuple[bytes, int]:
    """Return the size of a file with a part of its content, and how many bytes may still be read."""
    size = file.stat().st_size
    with file.open("rb") as opened:
        if size <= 3 * _BLOCK:
            content = opened.read() if size <= left else b""
        else:
            content = b""
            for start in (0, (size - _BLOCK) // 2, size - _BLOCK) if left >= 3 * _BLOCK else ():
                opened.seek(start)
                content += opened.read(_BLOCK)
    return f"{size}\0".encode() + hashlib.sha256(content).digest(), left - len(content)
