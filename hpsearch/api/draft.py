"""A space file to begin with, from what is to be searched: `hpsearch.init`."""

import os
from dataclasses import dataclass
from pathlib import Path

from hpsearch.api.arguments import StrPath
from hpsearch.drafting.drafts import draft_family, draft_function, draft_program
from hpsearch.drafting.program import read_program
from hpsearch.drafting.space_file import Draft, measure
from hpsearch.errors import HpsearchError, SpaceError
from hpsearch.families.command.family import Command
from hpsearch.families.command.recognised import recognised
from hpsearch.families.function.function import Function
from hpsearch.families.loading import family_names, load_interface
from hpsearch.running.loading import load_space
from hpsearch.trust import NamedCode, require_trust, trusting
from hpsearch.user_code import is_reference

_SPACES = Path(__file__).parents[2] / "spaces"
"""The spaces that come with the families, where hpsearch is used from its repository."""
_SEEN = 5
"""Lines of a log that are shown where none of them looks like a metric."""


@dataclass(frozen=True)
class DraftedSpace:
    """A space file that was drafted.

    Attributes:
        path: The file.
        notes: What was assumed or has to be looked at, in sentences.
        ranges: How many settings are searched; None if the file cannot be read here yet, and a note says why.
    """

    path: Path
    notes: tuple[str, ...]
    ranges: int | None

    @property
    def next_commands(self) -> tuple[str, ...]:
        """What to type next."""
        file = str(self.path)
        return f"hpsearch check {file}", f"hpsearch run {file} --quick", f"hpsearch run {file}"


def init(
    what: str,
    *,
    file: StrPath | None = None,
    log: StrPath | None = None,
    config: StrPath | None = None,
    subcommand: str | None = None,
    trust: bool | None = None,
) -> DraftedSpace:
    """Draft a space file for a program, a function or a family; `hpsearch init` in Python.

    A program runs up to where it reads its command line (argparse, click, typer, Hydra), as for `--help`.

    Example:
        drafted = hpsearch.init("train.py", log="train.log")

    Args:
        what: A program `train.py`, a function or a family of yours `./train.py:train`, or a family of hpsearch.
        file: The file to write; by default of the same name, with the ending `.yaml`. It must not exist.
        log: What an earlier run of a program printed: it tells the metrics.
        config: The YAML file with the values of a program that reads one.
        subcommand: Which subcommand of a program.
        trust: Whether code from outside this project may run; by default it may, but a command asks (SECURITY.md).

    Raises:
        UntrustedCodeError: The program, function or family is from outside this project, and not trusted.
        HpsearchError: The file is there already, or nothing can be drafted.
    """
    target = _file_for(what, file)
    if target.exists():
        raise HpsearchError(f"{target} is there already, and is not overwritten; --file names another file")
    typed = f"hpsearch init {what}" + (f" --log {log}" if log is not None else "")
    committed = _SPACES / f"{what}.yaml"
    if what in family_names() and what != "command" and committed.is_file():
        return _written(target, _copied(committed, typed), [])
    with trusting(trust):
        if is_reference(what):
            require_trust([NamedCode("code", Path(what.partition(":")[0]))])
        if what.endswith(".py"):
            draft, notes = _program(Path(what), target, typed, log=log, config=config, subcommand=subcommand)
        else:
            draft, notes = _code_or_family(what, target.parent, typed)
        return _written(target, draft.text, [*notes, *_missing(draft)])


def _missing(draft: Draft) -> list[str]:
    return [f"{path} has to be given: write its value in place of TODO" for path in draft.missing]


def _copied(committed: Path, typed: str) -> str:
    """Return the space that comes with a family, which was tried, without what only holds at its place."""
    lines = committed.read_text(encoding="utf-8").splitlines()
    kept = [line for line in lines if not line.startswith("# yaml-language-server:")]
    return "\n".join([f"# The space that comes with the family, written here by `{typed}`.", *kept]) + "\n"


def _written(file: Path, text: str, notes: list[str]) -> DraftedSpace:
    try:
        with file.open("x", encoding="utf-8") as target:
            target.write(text)
    except OSError as error:
        raise HpsearchError(f"{file} cannot be written: {error.strerror or error}") from error
    try:
        ranges = len(load_space(file, programs=False).parameters)
    except SpaceError as error:
        return DraftedSpace(file, (*notes, *str(error).splitlines()), None)
    return DraftedSpace(file, tuple(notes), ranges)


def _file_for(what: str, file: StrPath | None) -> Path:
    if file is not None:
        return Path(file)
    code = what.partition(":")[0]
    return Path(code).with_suffix(".yaml") if code.endswith(".py") else Path(f"{what}.yaml")


def _program(
    path: Path, file: Path, typed: str, *, log: StrPath | None, config: StrPath | None, subcommand: str | None
) -> tuple[Draft, list[str]]:
    program = read_program(path, subcommand=subcommand, config=None if config is None else Path(config))
    draft = draft_program(program, typed=typed)
    if file.parent.resolve() != path.parent.resolve():
        draft.directory = os.path.relpath(path.parent.resolve(), file.parent.resolve())
    lines = [] if log is None else _read(Path(log))
    forms = recognised(lines)
    notes = measure(draft, forms, "" if log is None else Path(log).name)
    if log is not None and not forms:
        notes += [f"no line of {log} looks like a metric, and it has {len(lines)} lines; the last of them:"]
        notes += [f"  {line[:100]}" for line in [line for line in lines if line.strip()][-_SEEN:]]
        notes += ["name the numbers yourself: metrics: {pattern: 'epoch (?P<epoch>\\S+): loss (?P<val__loss>\\S+)'}"]
    if not draft.lines:
        notes.append(f"{path} has no option that looks like a hyperparameter; those that it has are listed in the file")
    return draft, notes


def _read(log: Path) -> list[str]:
    try:
        return log.read_text(encoding="utf-8", errors="replace").split("\n")
    except OSError as error:
        raise HpsearchError(f"{log} cannot be read: {error.strerror or error}") from error


def _code_or_family(what: str, folder: Path, typed: str) -> tuple[Draft, list[str]]:
    """Return the draft of a family, or of what a reference names."""
    reference = what
    if is_reference(what):
        code, _, name = what.partition(":")
        reference = f"./{os.path.relpath(Path(code).resolve(), folder.resolve())}:{name}"
    found = load_interface(reference, folder)
    if isinstance(found, Command):
        raise HpsearchError("give the program itself instead of the family command: hpsearch init train.py")
    if isinstance(found, Function):
        return draft_function(found, reference, typed=typed), []
    return draft_family(found, reference, typed=typed), []
