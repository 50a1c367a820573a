"""The settings of a program that is searched; all other sections of the space are the program's own."""

import re
import shlex
from collections.abc import Mapping, Sequence
from typing import Any, Literal

from pydantic import (
    ConfigDict,
    Field,
    SerializerFunctionWrapHandler,
    field_validator,
    model_serializer,
    model_validator,
)

from hpsearch.settings import Settings


class MetricSource(Settings):
    """Where the program says its metrics: exactly one of `stdout`, `file` and `pattern`."""

    stdout: Literal["json"] | None = None
    """`json`: each line that is a JSON object, such as {"epoch": 3, "val/loss": 0.2}; other lines do not matter."""
    file: str | None = None
    """A file of such lines, or a table with a header (.csv, .tsv); a relative name starts at the trial's folder."""
    pattern: str | None = None
    """A regular expression for printed lines, in which each named group is a metric, as in
    'epoch (?P<step>\\d+): loss (?P<loss>\\S+)'. A group cannot be called test/loss; `test__loss` means that."""
    stderr: bool = False
    """Read the error output as well, where Python's logging writes; with `stdout` and `pattern`."""
    step: str | None = None
    """The metric that counts the steps; `step` or `epoch` unless named here. Without one, reports are counted."""

    @model_serializer(mode="wrap")
    def _without_what_is_newer(self, dump: SerializerFunctionWrapHandler) -> dict[str, Any]:
        """Leave out `stderr` unless it is set: trials of earlier versions have no such setting, and still fit."""
        found: dict[str, Any] = dump(self)
        return found if self.stderr else {name: value for name, value in found.items() if name != "stderr"}

    @model_validator(mode="after")
    def _one_source(self) -> "MetricSource":
        if sum(source is not None for source in (self.stdout, self.file, self.pattern)) != 1:
            raise ValueError("give exactly one of stdout, file and pattern")
        return self

    @field_validator("pattern")
    @classmethod
    def _names_metrics(cls, value: str | None) -> str | None:
        if value is not None:
            try:
                groups = re.compile(value).groupindex
            except re.error as error:
                raise ValueError(f"not a regular expression: {error}") from error
            if not groups:
                raise ValueError("name the metrics by groups such as (?P<loss>\\S+)")
        return value


class CommandConfig(Settings):
    """A program and how it is run. Every further section is its own, and every value there may be a range."""

    model_config = ConfigDict(extra="allow")

    command: str | tuple[str, ...]
    """The program with its arguments: a list, or text that is split as a shell would; no shell runs it. `{train.rate}`
    stands for the value of a setting; see README.md for the other names."""
    metrics: MetricSource = MetricSource(stdout="json")
    directory: str = "."
    """Where the program runs; a relative name starts at the folder of the space file."""
    checkpoint: str = "checkpoint"
    """The file in the trial's folder that `{checkpoint}` stands for."""
    environment: Mapping[str, str] = {}
    """Further environment variables; they may hold placeholders too."""
    device: str = "auto"
    """What `{device}` stands for; `auto` is cuda where a GPU was assigned to the trial, else cpu."""
    grace: float = Field(default=10.0, ge=0)
    """Seconds that the program has to end after SIGTERM, before SIGKILL."""

    @field_validator("command")
    @classmethod
    def _splits(cls, value: str | tuple[str, ...]) -> str | tuple[str, ...]:
        try:
            words = split(value)
        except ValueError as error:
            raise ValueError(f"cannot be split into arguments: {error}") from error
        if not words:
            raise ValueError("is empty")
        return value

    @property
    def own(self) -> Mapping[str, Any]:
        """The program's own settings by dotted path."""
        return flat(self.model_extra or {})

    @property
    def epochs(self) -> float | None:
        """The last epoch, where the space has `train.epochs`."""
        epochs = self.own.get("train.epochs")
        return epochs if isinstance(epochs, int | float) and not isinstance(epochs, bool) else None


def split(command: str | Sequence[str]) -> list[str]:
    """Return the words of a command.

    Raises:
        ValueError: A quotation is not closed.
    """
    return shlex.split(command) if isinstance(command, str) else list(command)


def flat(settings: Mapping[str, Any], path: str = "") -> dict[str, Any]:
    """Return nested settings by dotted path."""
    found: dict[str, Any] = {}
    for name, value in settings.items():
        inner = f"{path}.{name}" if path else str(name)
        found |= flat(value, inner) if isinstance(value, Mapping) else {inner: value}
    return found
