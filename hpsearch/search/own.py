"""Samplers and pruners of the user's own: `sampler: ./mine.py:MySampler` in a space file.

The name is a class derived from Optuna's BaseSampler or BasePruner, or a function that makes one. It is called once
for a search, with the options that the file gives; a parameter `seed` that they leave out gets a seed that follows from
the search's. What it makes lives as long as the search and sees every trial; on resume it is asked and told again in
the order of the log, so that one whose answers follow from its seed and from what it was told comes to the same state.
"""

import inspect
import traceback
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeVar

import optuna

from hpsearch.errors import HpsearchError, SearchFailedError, suggestion
from hpsearch.seeds import derive_seed
from hpsearch.settings import OwnOption
from hpsearch.space import Search
from hpsearch.space.pruner_options import OwnPruner
from hpsearch.space.search_settings import OwnSampler
from hpsearch.user_code import UserCode, find_code

MadeT = TypeVar("MadeT", optuna.samplers.BaseSampler, optuna.pruners.BasePruner)

_BY_NAME = (inspect.Parameter.POSITIONAL_OR_KEYWORD, inspect.Parameter.KEYWORD_ONLY)


@dataclass(frozen=True)
class OwnMistake:
    """What is wrong with code of the user's, or with one of its options."""

    setting: str
    """`sampler` or `pruner`."""
    message: str
    option: str | None = None


def own_mistakes(search: Search, folder: Path) -> list[OwnMistake]:
    """List the mistakes in a user's sampler and pruner; `folder` is that of the space file.

    They are imported and made once, so that what their constructors refuse is told before anything is trained.
    """
    found: list[OwnMistake] = []
    for option in (search.sampler, search.pruner):
        try:
            if isinstance(option, OwnSampler):
                make_own_sampler(option, folder, seed=search.seed)
            elif isinstance(option, OwnPruner):
                make_own_pruner(option, folder, seed=search.seed)
        except _WrongOptionsError as error:
            found += error.mistakes
        except HpsearchError as error:
            found.append(OwnMistake(_setting(option), str(error)))
    return found


def make_own_sampler(option: OwnSampler, folder: Path, *, seed: int) -> optuna.samplers.BaseSampler:
    """Make the sampler that a space file in `folder` names; `seed` is the search's.

    Raises:
        HpsearchError: if it cannot be made, with every reason.

    """
    return _made(option, folder, seed, optuna.samplers.BaseSampler)  # type: ignore[type-abstract] # only asked about


def make_own_pruner(option: OwnPruner, folder: Path, *, seed: int) -> optuna.pruners.BasePruner:
    """Make the pruner that a space file in `folder` names, as for `make_own_sampler`."""
    return _made(option, folder, seed, optuna.pruners.BasePruner)  # type: ignore[type-abstract] # only asked about


@contextmanager
def blamed_on(option: Any, folder: Path) -> Iterator[None]:
    """Turn what goes wrong inside code of the user's into one sentence; a no-op for what hpsearch brings.

    Raises:
        SearchFailedError: with the exception, and the last line of the user's file that it came from.

    """
    try:
        yield
    except HpsearchError:
        raise
    except Exception as error:
        if not isinstance(option, OwnOption):
            raise
        file = str((folder / option.kind.partition(":")[0]).resolve())
        lines = [frame.lineno for frame in traceback.extract_tb(error.__traceback__) if frame.filename == file]
        where = f" in line {lines[-1]}" if lines else ""
        told = f"{option.kind} failed{where}: {type(error).__name__}: {error}"
        raise SearchFailedError(f"search.{_setting(option)}: {told}") from error


def _setting(option: object) -> str:
    return "sampler" if isinstance(option, OwnSampler) else "pruner"


class _WrongOptionsError(HpsearchError):
    """Options that the constructor does not know, or that it needs."""

    def __init__(self, mistakes: list[OwnMistake]) -> None:
        self.mistakes = mistakes
        super().__init__("; ".join(mistake.message for mistake in mistakes))


def _made(option: OwnOption, folder: Path, seed: int, base: type[MadeT]) -> MadeT:
    make = _maker(option, find_code(option.kind, folder, kind=_setting(option)), base)
    wrong = _wrong_options(option, make)
    if wrong:
        raise _WrongOptionsError(wrong)
    try:
        made = make(**_arguments(option, make, seed))
    except Exception as error:
        raise HpsearchError(f"{option.kind} cannot be made: {type(error).__name__}: {error}") from error
    if not isinstance(made, base):
        raise HpsearchError(f"{option.kind} gives {_article(type(made).__name__)}, not an {_public(base)}")
    return made


def _maker(option: OwnOption, code: UserCode, base: type) -> Callable[..., Any]:
    """Return the factory of the sampler or pruner. Raises HpsearchError if it is no class or function that could."""
    if code.found is None:
        raise HpsearchError(f"{code.path} has no {code.name}{code.near}")
    if isinstance(code.found, type) and not issubclass(code.found, base):
        raise HpsearchError(f"the class {code.name} of {code.path} is not derived from {_public(base)}")
    if not callable(code.found):
        kind = _article(type(code.found).__name__)
        raise HpsearchError(f"{option.kind} is {kind}, not a class or a function that makes an {_public(base)}")
    return code.found  # type: ignore[no-any-return] # callable, as just asked


def _wrong_options(option: OwnOption, make: Callable[..., Any]) -> list[OwnMistake]:
    """Find the options that the constructor does not know, and those that it needs."""
    setting, parameters = _setting(option), _parameters(make)
    if parameters is None:
        return []
    known = [name for name, parameter in parameters.items() if parameter.kind in _BY_NAME]
    anything = any(parameter.kind is inspect.Parameter.VAR_KEYWORD for parameter in parameters.values())
    names = ", ".join(known) or "none"
    unknown = [] if anything else [name for name in option.options if name not in known]
    told = [
        OwnMistake(setting, f"unknown option {name!r} of {option.kind}{suggestion(name, known)}; known: {names}", name)
        for name in unknown
    ]
    needed = [name for name in known if parameters[name].default is inspect.Parameter.empty]
    missing = [name for name in needed if name not in option.options and name != "seed"]
    return told + [OwnMistake(setting, f"missing option {name!r} of {option.kind}") for name in missing]


def _parameters(make: Callable[..., Any]) -> Mapping[str, inspect.Parameter] | None:
    """Return the parameters of a class or function, or None if they cannot be inspected."""
    try:
        return inspect.signature(make).parameters
    except (TypeError, ValueError):
        return None


def _arguments(option: OwnOption, make: Callable[..., Any], seed: int) -> dict[str, Any]:
    """Return the options, with a seed if there is a parameter for it that they leave out."""
    options = option.options
    if "seed" in (_parameters(make) or {}) and "seed" not in options:
        options["seed"] = derive_seed(seed, _setting(option))
    return options


def _public(base: type) -> str:
    return f"optuna.{base.__module__.split('.')[1]}.{base.__name__}"


def _article(noun: str) -> str:
    return f"an {noun}" if noun[0].lower() in "aeiou" else f"a {noun}"
