"""What several functions are given: overrides of a space, an experiment, a configuration; and their names in errors."""

import inspect
import os
import re
import sys
from collections.abc import Callable, Collection, Mapping, Sequence
from functools import cache, wraps
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar, cast

from hpsearch.errors import ExperimentError, HpsearchError, ProgramError, SearchFailedError, suggestion
from hpsearch.experiment.layout import EXPERIMENTS, is_experiment, is_study
from hpsearch.extras import explained

if TYPE_CHECKING:
    from hpsearch.space import Space

StrPath = str | os.PathLike[str]
"""A path; an opened experiment is one, too."""
Overrides = Mapping[str, Any] | Sequence[str]
"""What `--set` replaces: `{"train.epochs": 5, "train.width": {"int": [8, 64]}}`, or `["train.epochs=5"]`."""
BEST = "best"
FunctionT = TypeVar("FunctionT", bound=Callable[..., Any])
_OPTION = re.compile(r"`[^`]*`|(?<![\w-])--([a-z]+(?:-[a-z]+)*)(?:=(?:\"([^\"]*)\"|([^\s;:`]+)))?(?![\w=-])")
"""An option in a message, with or without its value; first a command in backticks, which stays as it is."""
Params = Mapping[str, Any] | StrPath
"""The values of a configuration by their dotted names, a file with them, or `best` for those of a winner."""


def settings_of(overrides: Overrides | None) -> list[str]:
    """Return overrides as `--set` has them: `train.epochs=5`.

    Raises:
        HpsearchError: A value is nothing that a space file can hold.
    """
    if isinstance(overrides, Mapping):
        return [f"{path}={_as_yaml(path, value)}" for path, value in overrides.items()]
    return [overrides] if isinstance(overrides, str) else [*(overrides or ())]


def parsed_settings(overrides: Overrides | None) -> dict[str, Any]:
    """Return overrides as values by dotted path.

    Raises:
        HpsearchError: One is not of the form a.b.c=VALUE, or its value is not YAML.
    """
    import yaml

    found = {}
    for each in settings_of(overrides):
        path, sign, value = each.partition("=")
        if not sign or not path.strip():
            raise HpsearchError(f"--set {each}: expected a.b.c=VALUE")
        try:
            found[path.strip()] = yaml.safe_load(value)
        except yaml.YAMLError as error:
            raise HpsearchError(f"--set {each}: the value is not YAML: {error}") from None
    return found


def _as_yaml(path: str, value: Any) -> str:
    """Write a value in one line of YAML."""
    import yaml

    try:
        text = yaml.safe_dump(_with_lists(plain(value)), default_flow_style=True, width=sys.maxsize)
    except yaml.YAMLError:
        raise HpsearchError(f"{path}: {value!r} is nothing that a space file can hold") from None
    return text.strip().removesuffix("\n...").strip()


def as_yaml(content: Mapping[str, Any]) -> str:
    """Write a space as a YAML file has it."""
    import yaml

    return str(yaml.safe_dump(content, sort_keys=False, allow_unicode=True))


def _with_lists(value: Any) -> Any:
    """Return plain nested values with lists in place of tuples, which YAML writes otherwise."""
    if isinstance(value, Mapping):
        return {name: _with_lists(each) for name, each in value.items()}
    return [_with_lists(each) for each in value] if isinstance(value, list | tuple) else value


def plain(value: Any) -> Any:
    """Return a value with Python's numbers, lists and texts in place of NumPy's numbers and arrays, and of paths."""
    if isinstance(value, Mapping):
        return {plain(name): plain(each) for name, each in value.items()}
    if isinstance(value, tuple):
        return tuple(plain(each) for each in value)
    if isinstance(value, list | range):
        return [plain(each) for each in value]
    if isinstance(value, os.PathLike):
        return os.fspath(value)
    return value.tolist() if hasattr(value, "tolist") else value


def find_experiment(experiment: StrPath) -> Path:
    """Return the folder of an experiment or study from its path or, if there is no such path, its name.

    Raises:
        ExperimentError: It is a name, and there is no such folder.
    """
    place = place_of(experiment)
    if place == EXPERIMENTS / Path(experiment).expanduser() and not place.exists():
        held = sorted(folder.name for folder in EXPERIMENTS.glob("*") if _is_record(folder))
        known = f"; there are {', '.join(held)}" if held else f", and no other: {EXPERIMENTS}/ holds none"
        raise ExperimentError(f"there is no experiment {place.name!r}{suggestion(place.name, held)}{known}")
    return place


def place_of(experiment: StrPath) -> Path:
    """Return where an experiment or study of this path or name is, or would be.

    A folder of that name that is neither, such as the data's, does not stand in the way of an experiment.
    """
    path = Path(experiment).expanduser()
    named = EXPERIMENTS / path
    if path.parent == Path() and path.exists() and not _is_record(path) and _is_record(named):
        return named
    return named if not path.exists() and (named.exists() or path.parent == Path()) else path


def _is_record(folder: Path) -> bool:
    return is_experiment(folder) or is_study(folder)


def given_params(params: Params, space: "Space") -> dict[str, Any]:
    """Return the values of a space's ranges, from a file or as they are.

    Raises:
        SpaceError: Values of a file do not fit, with their places.
        HpsearchError: Values that were given as a mapping do not fit.
    """
    if not isinstance(params, Mapping):
        from hpsearch.space import read_params

        return read_params(Path(params), space)
    given: dict[str, Any] = plain(params)
    if wrong := space.check_params(given):
        raise HpsearchError(f"the configuration does not fit {space.path}: {'; '.join(wrong)}")
    return dict(space.canonical(given))


@cache
def naming_arguments(function: FunctionT) -> FunctionT:
    """Return a function of the package's whose errors name its arguments, where a command's errors name its options.

    The command and the function raise the same errors. What a user's program has said is left as it is.
    """
    known = inspect.signature(function).parameters

    @wraps(function)
    def called(*positional: Any, **named: Any) -> Any:
        try:
            return function(*positional, **named)
        except (SearchFailedError, ProgramError):
            raise
        except ImportError as error:
            if (lacking := explained(error, f"hpsearch.{function.__name__}")) is None:
                raise
            raise lacking from error
        except HpsearchError as error:
            error.args = (as_arguments(str(error), known),)
            raise

    return cast("FunctionT", called)


def as_arguments(message: str, known: Collection[str]) -> str:
    """Return a message with `metric=` for `--metric`, and `goal='maximize'` for `--goal=maximize`."""

    def named(found: re.Match[str]) -> str:
        option = (found[1] or "").replace("-", "_")
        name = next((each for each in (option, f"{option}_") if each in known), None)
        if name is None:
            return found[0]
        value = next((each for each in (found[2], found[3]) if each is not None), None)
        return f"{name}={'' if value is None else repr(value)}"

    if "set" in known:
        message = re.sub(r"(?m)^--set (?=\S)", "set: ", message)
    return _OPTION.sub(named, message)
