"""Whose code may run: that of the project in which a command was started, and what the user has trusted.

The project is the git repository around the current folder, or the current folder itself. Whatever a space or an
experiment from elsewhere names (a family, a function, a sampler, a program) would run with all that its user may do, so
it is asked about before it is imported or started: see SECURITY.md. Workers are given nothing that was not asked about.
"""

import hashlib
import json
import os
import sys
import tempfile
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager, suppress
from contextvars import ContextVar
from dataclasses import dataclass
from pathlib import Path

from hpsearch.errors import UntrustedCodeError

FOLDERS = "HPSEARCH_TRUST"
"""The environment variable with folders, separated as in PATH, whose code is trusted like the project's own."""
_REMEMBERED = "trusted.json"
_VERSION = 1
_HERE = Path(__file__).resolve().parents[1]
_SHELVES = (_HERE / "spaces", _HERE / "studies", Path(sys.prefix, "share", "hpsearch").resolve())
"""What comes with hpsearch, as a checkout and as an installed wheel."""
Ask = Callable[[str], bool]
"""Asks the user a question that is answered with yes or no."""


@dataclass(frozen=True)
class NamedCode:
    """Code that a space, an experiment or an option names.

    Args:
        setting: What names it: `family`, `search.sampler`, `data.source`, `command`.
        path: Its file; of a command line, the file that says it.
        words: The command line.
    """

    setting: str
    path: Path
    words: str = ""

    def __str__(self) -> str:
        return _shown(f"{self.setting} {self.path}" + (f" ({self.words})" if self.words else ""))


@dataclass(frozen=True)
class _Trust:
    everything: bool = False
    ask: Ask | None = None
    within: Path | None = None


_CALLER = _Trust(everything=True)
_TRUST: ContextVar[_Trust] = ContextVar("trust", default=_CALLER)
"""What the running call trusts. It is context and no argument, as every way to a space would have to pass it on.

Outside of a command a Python program calls, which has chosen what it opens: it trusts unless it says otherwise.
"""


@contextmanager
def trusting(everything: bool | None, *, ask: Ask | None = None, within: Path | None = None) -> Iterator[None]:
    """Trust all code within the block, or only what is the user's own or answered for; None: as around the block.

    With `within`, code has to lie in that folder, or come with hpsearch, whatever else was trusted before.
    """
    around = _TRUST.get()
    chosen = around.everything if everything is None else everything
    token = _TRUST.set(_Trust(chosen, ask or around.ask, within or around.within))
    try:
        yield
    finally:
        _TRUST.reset(token)


def trusts_everything() -> bool:
    """Whether the running call trusts all code."""
    return _TRUST.get().everything


def require_trust(named: Iterable[NamedCode]) -> None:
    """Let code be run that is the project's own or trusted; ask about other code, and remember the answer.

    Raises:
        UntrustedCodeError: The user does not trust it, or cannot be asked.
    """
    strangers = strangers_in(named)
    if not strangers:
        return
    listed = "; ".join(map(str, strangers))
    within = _TRUST.get().within
    if within is not None:
        raise UntrustedCodeError(f"here only code of {_shown(str(within))} is run, not {listed}", map(str, strangers))
    where = f"outside this project ({_shown(str(project_of(Path.cwd())))})"
    ask = _TRUST.get().ask
    if ask is not None and ask(f"Code from {where} would run: {listed}. It can do whatever you can do. Run it?"):
        remember(strangers)
        return
    raise UntrustedCodeError(
        f"code from {where} would run: {listed}. Look at it first; --trust runs it (see SECURITY.md)",
        map(str, strangers),
    )


def strangers_in(named: Iterable[NamedCode]) -> list[NamedCode]:
    """Return the code that is neither the project's nor trusted, each once."""
    if trusts_everything():
        return []
    others = [each for each in dict.fromkeys(named) if not is_own(each.path)]
    known = _remembered() if others and _TRUST.get().within is None else {}
    return [
        each
        for each in others
        if (digest := _digest(each.path)) != "" and known.get(str(each.path.resolve())) != digest
    ]


def is_own(path: Path) -> bool:
    """Whether a file is the project's own, or lies in a folder whose code is trusted."""
    real, within = path.resolve(), _TRUST.get().within
    if within is not None:
        brought = any(real.is_relative_to(folder) for folder in _SHELVES)
        return brought or (real.is_relative_to(within) and _is_inside(path, within))
    named = [Path(folder).resolve() for folder in os.environ.get(FOLDERS, "").split(os.pathsep) if folder]
    trusted = [*named, *_SHELVES]
    return _is_inside(path, project_of(Path.cwd())) or any(real.is_relative_to(folder) for folder in trusted)


def project_of(folder: Path) -> Path:
    """Return the git repository around a folder, or the folder itself; one of a whole home folder does not count."""
    folder = folder.resolve()
    around = next((each for each in (folder, *folder.parents) if (each / ".git").exists()), folder)
    return folder if around in (Path.home().resolve(), Path(around.anchor)) else around


def remember(named: Iterable[NamedCode]) -> None:
    """Trust these files from now on, as they are now; without a folder to note it in, for this time only."""
    known = _remembered() | {str(path): _digest(path) for path in {each.path.resolve() for each in named}}
    file = _file()
    with suppress(OSError):
        file.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        with tempfile.NamedTemporaryFile("w", dir=file.parent, delete=False, encoding="utf-8") as written:
            json.dump({"version": _VERSION, "files": known}, written, indent=2)
        Path(written.name).replace(file)


def _is_inside(path: Path, project: Path) -> bool:
    """Whether a file is the project's own: in its folder, and not in another repository that lies there."""
    written, real = Path(os.path.normpath(path.absolute())), path.resolve()
    return any(
        place.is_relative_to(project)
        and not any((each / ".git").is_dir() for each in place.parents if each != project and project in each.parents)
        for place in (written, real)
        if place.resolve() == real  # of `link/../a.py` what is written is another file
    )


def _file() -> Path:
    """Return the file with what is trusted, in the user's configuration folder (XDG Base Directory Specification)."""
    given = Path(os.environ.get("XDG_CONFIG_HOME", ""))
    return (given if given.is_absolute() else Path.home() / ".config") / "hpsearch" / _REMEMBERED


def _remembered() -> dict[str, str]:
    try:
        content = json.loads(_file().read_text(encoding="utf-8"))
        files = content["files"] if content["version"] == _VERSION else {}
        return {str(path): str(digest) for path, digest in files.items()}
    except (OSError, ValueError, LookupError, TypeError, AttributeError):
        return {}  # none yet; or damaged, and then the user is asked again


def _digest(path: Path) -> str:
    """Return the SHA-256 of a file, or nothing for one that cannot be read: nothing of it can be run either."""
    try:
        return hashlib.sha256(path.read_bytes()).hexdigest() if path.is_file() else ""
    except OSError:
        return ""


def _shown(text: str) -> str:
    """Return a text without what would change the terminal."""
    return "".join(letter if letter.isprintable() else ascii(letter)[1:-1] for letter in text)
