"""From a function's signature to the settings class that its values are checked against, and back to its arguments."""

import dataclasses
import inspect
import re
import typing
import warnings
from collections.abc import Callable, Iterator, Mapping
from enum import Enum
from pathlib import PurePath
from typing import Annotated, Any, get_origin

from pydantic import BaseModel, ConfigDict, Field, TypeAdapter, create_model
from pydantic.errors import PydanticUserError

from hpsearch.errors import HpsearchError
from hpsearch.settings import FIXED, Settings

REPORT, CONFIG = "report", "config"
_GUESSED = (bool, int, float, str)
"""Types that a default stands for where a parameter has no annotation."""
_ARGUMENT = re.compile(r"^\s+\**(\w+)(?:\s*\([^)]*\))?:\s+(\S.*)$")
_KINDS = inspect.Parameter


class FunctionConfig(Settings):
    """The settings of a function."""

    model_config = ConfigDict(protected_namespaces=())


class FreeConfig(FunctionConfig):
    """The settings of a function that takes whatever its space has."""

    model_config = ConfigDict(extra="allow")


class Configuration(Mapping[str, Any]):
    """Settings by name, as attributes too: `config["lr"]` and `config.lr`; a section is one of its own."""

    def __init__(self, values: Mapping[str, Any]) -> None:
        self._values = {name: _wrapped(value) for name, value in values.items()}

    def __getitem__(self, name: str) -> Any:
        return self._values[name]

    def __iter__(self) -> Iterator[str]:
        return iter(self._values)

    def __len__(self) -> int:
        return len(self._values)

    def __getattr__(self, name: str) -> Any:
        if name.startswith("__") or name == "_values":
            raise AttributeError(name)
        if name not in self._values:
            raise AttributeError(f"the configuration has no {name}; it has {', '.join(self._values) or 'nothing'}")
        return self._values[name]

    def __repr__(self) -> str:
        return f"Configuration({self.to_dict()})"

    def to_dict(self) -> dict[str, Any]:
        """Return plain nested dictionaries."""
        return {n: value.to_dict() if isinstance(value, Configuration) else value for n, value in self._values.items()}


def _wrapped(value: Any) -> Any:
    return Configuration(value) if isinstance(value, Mapping) and not isinstance(value, Configuration) else value


@dataclasses.dataclass(frozen=True)
class Signature:
    """What a function takes: `whole` if its settings come as one argument `config`, else one by one."""

    Config: type[BaseModel]
    whole: bool
    parameters: Mapping[str, inspect.Parameter]
    types: Mapping[str, Any]

    def arguments(self, config: BaseModel, report: Any) -> tuple[list[Any], dict[str, Any]]:
        """Return the arguments by place and by name that call the function with a configuration."""
        given = {REPORT: report}
        if self.whole:
            given[CONFIG] = _as(self.types.get(CONFIG, Any), config, _values(config))
        else:
            taken = {name: value for name, value in _values(config).items() if name in self.parameters}
            given |= {name: _as(self.types.get(name, Any), value, value) for name, value in taken.items()}
        places = [each.name for each in self.parameters.values() if each.kind is _KINDS.POSITIONAL_ONLY]
        named = {name: value for name, value in given.items() if name not in places}
        if any(each.kind is _KINDS.VAR_KEYWORD for each in self.parameters.values()):
            named |= {name: _wrapped(value) for name, value in (config.model_extra or {}).items()}
        return [given[name] for name in places], named


def signature_of(function: Callable[..., Any], name: str) -> Signature:
    """Return the signature of a function that a space names as `name`.

    Raises:
        HpsearchError: It does not take `report`, or parameters that no space can give.
    """
    _refuse_other_kinds(function, name)
    parameters = inspect.signature(function).parameters
    types = _types(function, name)
    if REPORT not in parameters:
        raise HpsearchError(
            f"{name} takes no report: write def {function.__name__}(config, report), or give it the settings one by "
            f"one, as in def {function.__name__}(lr, width, *, report); it calls report(step, {{'val/loss': ...}})"
        )
    if any(each.kind is _KINDS.VAR_POSITIONAL for each in parameters.values()):
        raise HpsearchError(f"{name}: a space gives values by name, and {function.__name__} takes *arguments")
    own = {each: parameter for each, parameter in parameters.items() if each != REPORT}
    if list(own) == [CONFIG]:
        return Signature(_whole(types.get(CONFIG, Any), name), True, parameters, types)
    free = any(each.kind is _KINDS.VAR_KEYWORD for each in own.values())
    settings = {each: parameter for each, parameter in own.items() if _is_setting(parameter)}
    texts = _texts(function.__doc__ or "")
    fields = {each: _field(parameter, types, texts.get(each), name) for each, parameter in settings.items()}
    made = _made(function.__name__, FreeConfig if free else FunctionConfig, fields, function.__doc__, name)
    return Signature(made, False, parameters, types)


def _refuse_other_kinds(function: Callable[..., Any], name: str) -> None:
    bare = inspect.unwrap(function)
    if inspect.iscoroutinefunction(bare) or inspect.isgeneratorfunction(bare) or inspect.isasyncgenfunction(bare):
        kind = "a generator: it would not run" if inspect.isgeneratorfunction(bare) else "async"
        raise HpsearchError(f"{name} is {kind}; write a plain function that calls report(step, {{'val/loss': ...}})")


def _types(function: Callable[..., Any], name: str) -> dict[str, Any]:
    """Return the annotations; those of `report` and of what is returned may name what does not exist."""
    bare = inspect.unwrap(function)
    written = {each: hint for each, hint in bare.__annotations__.items() if each not in (REPORT, "return")}
    holder = type("Annotations", (), {"__annotations__": written, "__module__": bare.__module__})
    try:
        return typing.get_type_hints(holder, globalns=bare.__globals__, include_extras=True)
    except Exception as error:
        raise HpsearchError(f"{name}: its annotations cannot be read: {type(error).__name__}: {error}") from error


def _is_setting(parameter: inspect.Parameter) -> bool:
    """Check whether a space may give a parameter: a default that no file can hold stays the function's own."""
    return parameter.kind is not _KINDS.VAR_KEYWORD and (
        parameter.default is _KINDS.empty or _is_plain(parameter.default)
    )


def _is_plain(value: Any) -> bool:
    if isinstance(value, Mapping):
        return all(map(_is_plain, value.values()))
    if isinstance(value, list | tuple):
        return all(map(_is_plain, value))
    is_instance = dataclasses.is_dataclass(value) and not isinstance(value, type)
    return is_instance or value is None or isinstance(value, bool | int | float | str | PurePath | Enum | BaseModel)


def _whole(annotation: Any, name: str) -> type[BaseModel]:
    """Return the settings class of a function that takes all of them as `config`."""
    if dataclasses.is_dataclass(annotation):
        return _of_dataclass(annotation, name)
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        known = annotation.model_fields
        fields = {each: (_fixed(field.annotation, field.metadata), field) for each, field in known.items()}
        return _made(annotation.__name__, annotation, fields, annotation.__doc__, name)
    if annotation in (Any, Mapping, dict) or get_origin(annotation) in (dict, Mapping):
        return FreeConfig
    if annotation is Configuration:
        return FreeConfig
    raise HpsearchError(
        f"{name}: config is a {annotation!r}; it may be a dataclass or a pydantic model with the settings, or without "
        "annotation whatever the space has"
    )


def _of_dataclass(kind: Any, name: str) -> type[BaseModel]:
    hints = typing.get_type_hints(kind, include_extras=True)
    texts = _texts(kind.__doc__ or "")
    fields: dict[str, Any] = {}
    for each in dataclasses.fields(kind):
        if not each.init:
            continue
        default: Any = ... if each.default is dataclasses.MISSING else each.default
        made = None if each.default_factory is dataclasses.MISSING else each.default_factory
        fields[each.name] = _described(_setting(hints[each.name], name), default, made, texts.get(each.name))
    doc = None if (kind.__doc__ or "").startswith(f"{kind.__name__}(") else kind.__doc__
    return _made(kind.__name__, FunctionConfig, fields, doc, name)


def _field(parameter: inspect.Parameter, types: Mapping[str, Any], text: str | None, name: str) -> Any:
    """Return annotation and default of a setting; of a parameter without annotation its default tells the type.

    0 and 1 may be either kind of number: `momentum=0` and `layers=1` are both written so.
    """
    default = ... if parameter.default is _KINDS.empty else parameter.default
    annotation = types.get(parameter.name, Any)
    if annotation is Any and type(default) in _GUESSED:
        annotation = int | float if type(default) is int and default in (0, 1) else type(default)
    setting = _setting(annotation, name)
    try:
        TypeAdapter(setting)
    except PydanticUserError:
        raise HpsearchError(
            f"{name}: no space can give the parameter {parameter.name} a {annotation!r}; make it inside the function"
        ) from None
    return _described(setting, default, None, text)


def _described(annotation: Any, default: Any, made: Callable[[], Any] | None, text: str | None) -> Any:
    if made is not None:
        return _fixed(annotation), Field(default_factory=lambda: _plain(made()), description=text)
    return _fixed(annotation), Field(default=_plain(default), description=text)


def _plain(default: Any) -> Any:
    """Return a default as a space would write it: a dataclass as the settings in it."""
    if dataclasses.is_dataclass(default) and not isinstance(default, type):
        return {each.name: _plain(getattr(default, each.name)) for each in dataclasses.fields(default) if each.init}
    return default


def _fixed(annotation: Any, metadata: Any = ()) -> Any:
    """Mark a setting: it cannot change while a training runs."""
    return Annotated[(annotation, FIXED, *metadata)]


def _setting(annotation: Any, name: str) -> Any:
    """Return what a settings class has for an annotation: a section for a dataclass, anything for a mapping."""
    if dataclasses.is_dataclass(annotation):
        return _of_dataclass(annotation, name)
    if annotation in (dict, Mapping, Configuration) or get_origin(annotation) in (dict, Mapping):
        return Any
    members = typing.get_args(annotation)
    if type(None) in members and len(members) == 2:
        only = next(each for each in members if each is not type(None))
        return _setting(only, name) | None if dataclasses.is_dataclass(only) else annotation
    return annotation


def _made(title: str, base: type[BaseModel], fields: Mapping[str, Any], doc: str | None, name: str) -> type[BaseModel]:
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # a setting may be called as a method of pydantic's: copy, json
            made: type[BaseModel] = create_model(title, __base__=base, __doc__=_first(doc), **fields)
            return made
    except (PydanticUserError, NameError, TypeError) as error:
        raise HpsearchError(f"{name}: no space can give this: {str(error).splitlines()[0]}") from error


def _first(doc: str | None) -> str | None:
    """Return the first paragraph of a docstring."""
    return inspect.cleandoc(doc).split("\n\n")[0] if doc else None


def _texts(doc: str) -> dict[str, str]:
    """Return what a docstring in Google's style says of each argument, as far as that is on one line."""
    return {found[1]: found[2] for line in doc.splitlines() if (found := _ARGUMENT.match(line))}


def _values(config: BaseModel) -> dict[str, Any]:
    fields = {each: getattr(config, each) for each in type(config).model_fields}
    return {**fields, **(config.model_extra or {})}


def _as(annotation: Any, checked: Any, value: Any) -> Any:
    """Return a checked value as the function's annotation says: a dataclass, the user's own model, a dictionary."""
    members = [each for each in typing.get_args(annotation) if each is not type(None)]
    kind: Any = members[0] if dataclasses.is_dataclass(members[0] if members else None) else annotation
    if dataclasses.is_dataclass(kind) and isinstance(checked, BaseModel):
        hints = typing.get_type_hints(kind, include_extras=True)
        values = _values(checked)
        make: Any = kind
        return make(**{each: _as(hints[each], inner, inner) for each, inner in values.items()})
    if isinstance(annotation, type) and issubclass(annotation, BaseModel) and isinstance(checked, annotation):
        return checked
    if annotation is dict or get_origin(annotation) is dict:
        return dict(value)
    return _wrapped(value)
