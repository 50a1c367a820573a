"""What `hpsearch train` was asked for: which space, which values, which folder; contradictions are refused."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from os import PathLike
from pathlib import Path
from shlex import join
from typing import Any

from hpsearch.errors import HpsearchError
from hpsearch.experiment.layout import is_study
from hpsearch.final.selection import Source, find_source
from hpsearch.running.loading import load_space, open_space
from hpsearch.running.same_data import changed_since
from hpsearch.space import Space, read_params

BEST = "best"
Params = Mapping[str, Any] | str | PathLike[str]
"""The values of a configuration by their dotted names, a file with them, or `best` for those of a winner."""


@dataclass(frozen=True)
class TrainRequest:
    """What is to be trained, as the options say: `file` is the space file, `source` what --from names."""

    params: Params
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


def plan_training(request: TrainRequest, *, root: Path) -> FinalTraining:
    """Return the training that is asked for.

    With a space file the values are those of a file or of an experiment's winner. Without one the space is that of the
    experiment that --from names, or of the arm of a study, as it was run. Errors: HpsearchError.
    """
    _refuse_contradictions(request)
    if request.file is not None:
        space = load_space(request.file, quick=request.quick, overrides=request.overrides)
        source = request.source or root / (space.path.stem + ("-quick" if request.quick else ""))
        return _training(space, request, find_source(source, arm=request.arm), f"{space.path.stem}-final")
    if request.source is None:
        raise HpsearchError("name a space file, or with --from the experiment or study whose space is to be used")
    found = find_source(request.source, arm=request.arm)
    name = f"{request.source.resolve().name}{f'-{request.arm}' if request.arm else ''}-final"
    return _training(open_space(found.folder, overrides=request.overrides), request, found, name)


def command_of(request: TrainRequest, *, name: str | None, test: bool) -> str:
    """Return the command that trains this again; how it was shown and where it was kept do not matter."""
    words = ["hpsearch", "train", *([str(request.file)] if request.file else []), "--params", str(request.params)]
    for option, value in (("--from", request.source), ("--arm", request.arm), ("--name", name)):
        words += [] if value is None else [option, str(value)]
    words += ["--quick"] if request.quick else []
    words += [word for override in request.overrides for word in ("--set", override)]
    return join([*words, *(["--test"] if test else [])])


def _training(space: Space, request: TrainRequest, source: Source, name: str) -> FinalTraining:
    if request.params == BEST:
        return FinalTraining(space, source.params, name, source)
    return FinalTraining(space, given_params(request.params, space), name, None)


def given_params(params: Params, space: Space) -> dict[str, Any]:
    """Return the values of a space's ranges, from a file or as they are.

    Raises:
        SpaceError: Values of a file do not fit, with their places.
        HpsearchError: Values that were given as a mapping do not fit.
    """
    if not isinstance(params, Mapping):
        return read_params(Path(params), space)
    if wrong := space.check_params(params):
        raise HpsearchError(f"the configuration does not fit {space.path}: {'; '.join(wrong)}")
    return dict(space.canonical(params))


def _refuse_contradictions(request: TrainRequest) -> None:
    params, file, source = request.params, request.file, request.source
    if file is None and request.quick:
        raise HpsearchError(
            "--quick lays a space file's quick section over it; without SPACE, --from says what was run"
        )
    if file is not None and source is not None and params != BEST:
        raise HpsearchError(
            f"--from names whose winner is taken, but the values come from {params} and the space from {file}"
        )
    if request.arm is not None and source is None:
        raise HpsearchError(f"--arm {request.arm} needs --from with the study that has this arm")
    if file is not None and source is not None and is_study(source):
        raise HpsearchError(f"--from {source} is a study, whose arms have their own spaces: leave {file} out")
