"""What `hpsearch train` was asked for: which space, which values, which folder; contradictions are refused."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from shlex import join
from typing import Any

from hpsearch.errors import HpsearchError
from hpsearch.experiment.layout import is_study
from hpsearch.final.source import Source, find_source
from hpsearch.running.loading import load_space, open_space
from hpsearch.running.same_data import changed_since
from hpsearch.space import Space, read_params

BEST = "best"


@dataclass(frozen=True)
class Wish:
    """The arguments of the command: `file` is the space file, `source` what --from names."""

    params: str
    file: Path | None = None
    source: Path | None = None
    arm: str | None = None
    quick: bool = False
    overrides: Sequence[str] = ()


@dataclass(frozen=True)
class FinalTraining:
    """One configuration to train. `name` is that of its experiment unless the user gives one."""

    space: Space
    params: dict[str, Any]
    name: str
    source: Source | None

    @property
    def data_changed(self) -> tuple[str, ...]:
        """How the data differ from those on which the winner was chosen."""
        return tuple(changed_since(self.space, self.source.folder)) if self.source else ()


def plan_training(wish: Wish, *, root: Path) -> FinalTraining:
    """Return the training that is wished for.

    With a space file the values are those of a file or of an experiment's winner. Without one the space is that of the
    experiment that --from names, or of the arm of a study, as it was run. Errors: HpsearchError.
    """
    _refuse_contradictions(wish)
    if wish.file is not None:
        space = load_space(wish.file, quick=wish.quick, overrides=wish.overrides)
        source = wish.source or root / (space.path.stem + ("-quick" if wish.quick else ""))
        return _training(space, wish, find_source(source, arm=wish.arm), f"{space.path.stem}-final")
    if wish.source is None:
        raise HpsearchError("name a space file, or with --from the experiment or study whose space is to be used")
    found = find_source(wish.source, arm=wish.arm)
    name = f"{wish.source.resolve().name}{f'-{wish.arm}' if wish.arm else ''}-final"
    return _training(open_space(found.folder, overrides=wish.overrides), wish, found, name)


def command_of(wish: Wish, *, name: str | None, test: bool) -> str:
    """Return the command that trains this again; how it was shown and where it was kept do not matter."""
    words = ["hpsearch", "train", *([str(wish.file)] if wish.file else []), "--params", wish.params]
    for option, value in (("--from", wish.source), ("--arm", wish.arm), ("--name", name)):
        words += [] if value is None else [option, str(value)]
    words += ["--quick"] if wish.quick else []
    words += [word for override in wish.overrides for word in ("--set", override)]
    return join([*words, *(["--test"] if test else [])])


def _training(space: Space, wish: Wish, source: Source, name: str) -> FinalTraining:
    if wish.params == BEST:
        return FinalTraining(space, source.params, name, source)
    return FinalTraining(space, read_params(Path(wish.params), space), name, None)


def _refuse_contradictions(wish: Wish) -> None:
    if wish.file is None and wish.quick:
        raise HpsearchError(
            "--quick lays a space file's quick section over it; without SPACE, --from says what was run"
        )
    if wish.file is not None and wish.source is not None and wish.params != BEST:
        raise HpsearchError(
            f"--from names whose winner is taken, but the values come from {wish.params} and the space from {wish.file}"
        )
    if wish.arm is not None and wish.source is None:
        raise HpsearchError(f"--arm {wish.arm} needs --from with the study that has this arm")
    if wish.file is not None and wish.source is not None and is_study(wish.source):
        raise HpsearchError(f"--from {wish.source} is a study, whose arms have their own spaces: leave {wish.file} out")
