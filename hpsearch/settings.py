"""The base of every settings class, and branches: a setting whose value is one of several named groups of settings.

    class AdamW(Option):
        kind: Literal["adamw"] = "adamw"
        beta2: float = 0.999

    class SGD(Option):
        kind: Literal["sgd"] = "sgd"
        momentum: float = 0.9

    class TrainSettings(Settings):
        optimizer: Annotated[AdamW | SGD, Field(discriminator="kind"), UNFOLD] = AdamW()

A file may then say `optimizer: sgd`, `optimizer: {sgd: {momentum: 0.5}}` or, as a range over the branch,
`optimizer: {choice: {adamw: {}, sgd: {momentum: {float: [0.5, 0.99]}}}}`.

A setting that must stay as it is while a training runs is marked: `epochs: Annotated[int, FIXED] = 20`; one that names
a file or a folder is, too: `path: Annotated[str, FILE]`.
"""

from typing import Any, ClassVar, Literal

from pydantic import (
    BaseModel,
    BeforeValidator,
    ConfigDict,
    SerializerFunctionWrapHandler,
    model_serializer,
    model_validator,
)
from pydantic.fields import FieldInfo

_NUMBERS = (int, float, int | float, int | None, float | None)


class Fixed:
    """The mark of a setting that cannot change while a training runs, so that no range over it can be `mutable`."""


FIXED = Fixed()
"""Annotates such a setting; a subclass that only changes the default keeps the mark."""


PlaceKind = Literal["file", "folder", "file or folder", "code"]


class PathMark:
    """The mark of a setting that names a file or a folder to be read, see `places.py`."""

    def __init__(self, kind: PlaceKind) -> None:
        self.kind: PlaceKind = kind


FILE = PathMark("file")
FOLDER = PathMark("folder")
PLACE = PathMark("file or folder")
CODE = PathMark("code")
"""Annotate such a setting: `path: Annotated[str, FILE]`. A relative one starts at the folder of the space file. CODE is
a name in a file of Python: `./mydata.py:load`."""


class Newer:
    """The mark of a setting that older configurations lack, see `Growing`."""


NEWER = Newer()


def fixed_settings(model: type[BaseModel]) -> frozenset[str]:
    """Return the names of the settings that are marked FIXED, by the class or by one it inherits from."""
    return frozenset(
        name
        for each in model.__mro__
        if issubclass(each, BaseModel)
        for name, field in each.model_fields.items()
        if FIXED in field.metadata
    )


class Settings(BaseModel):
    """Frozen settings that refuse unknown names; the base class of every family's configuration."""

    model_config = ConfigDict(extra="forbid", frozen=True, validate_default=True, allow_inf_nan=False)

    one_of: ClassVar[tuple[str, ...]] = ()
    """Settings of which one is given instead of another: where a space is overridden, it takes the place of that."""

    @model_validator(mode="before")
    @classmethod
    def _prepare(cls, values: Any) -> Any:
        """Refuse `true` as a number, and let an option that the default names keep the default's own settings."""
        if not isinstance(values, dict):
            return values
        known = cls.model_fields
        return {name: _prepared(known[name], value) if name in known else value for name, value in values.items()}


class Growing(Settings):
    """Settings to which some were added later: those that are marked NEWER.

    Where one has its default it is left out of what is written, which then equals what was written before there was it.
    """

    @model_serializer(mode="wrap")
    def _without_what_is_newer(self, dump: SerializerFunctionWrapHandler) -> dict[str, Any]:
        found: dict[str, Any] = dump(self)
        for name, field in type(self).model_fields.items():
            if NEWER in field.metadata and getattr(self, name) == field.default:
                found.pop(name, None)
        return found


def _prepared(field: FieldInfo, value: Any) -> Any:
    if isinstance(value, bool) and field.annotation in _NUMBERS:
        return str(value).lower()  # pydantic would read it as the number 1; as text the field refuses it
    if isinstance(field.default, Option):
        return _with_defaults(field.default, _unfold(value))
    return value


def _with_defaults(default: "Option", value: Any) -> Any:
    """Fill an option up from the field's default when that is the same option, instead of from the option's class.

    A family that trains with AdamW and a beta2 of 0.99 by default keeps it when a file says `optimizer: adamw`.
    """
    if isinstance(value, dict) and value.get("kind") == default.kind:
        return {**default.model_dump(), **value}
    return value


class Option(Settings):
    """One option of a branch; a subclass declares `kind: Literal["its name"] = "its name"`."""

    kind: str


def _unfold(value: Any) -> Any:
    """Turn `name` and `{name: {...}}` into the `{"kind": name, ...}` that pydantic's discriminator expects."""
    if isinstance(value, str):
        return {"kind": value}
    if isinstance(value, dict) and "kind" not in value and len(value) == 1:
        name, settings = next(iter(value.items()))
        if settings is None or isinstance(settings, dict):
            return {"kind": name, **(settings or {})}
    return value


class OwnOption(Option):
    """An option that is code of the user's: `kind` is its place, `./mine.py:MySampler`, the rest its options."""

    model_config = ConfigDict(extra="allow")

    @property
    def options(self) -> dict[str, Any]:
        """The options for the code, by name."""
        return dict(self.model_extra or {})


NAMED, OWN = "a named option", "an own option"
"""How a branch that also takes code of the user's tells pydantic, by tags, which of the two a value is."""
UNFOLD = BeforeValidator(_unfold)
"""Annotates a discriminated union of Options so that files can name the option instead of writing `kind`."""
