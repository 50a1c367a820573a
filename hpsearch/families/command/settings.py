"""The settings of a program that is searched, and placeholders: `{train.rate}` in its command or environment.

All other sections of the space are the program's own.
"""

import contextlib
import json
import os
import re
import shlex
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import (
    ConfigDict,
    Field,
    SerializerFunctionWrapHandler,
    field_validator,
    model_serializer,
    model_validator,
)

from hpsearch.errors import ProgramError, suggestion
from hpsearch.settings import Settings

FromEnvironment = Annotated[Mapping[Literal["from"], Literal["env"]], Field(min_length=1)]
"""Written in place of a value that no file should have."""


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
    examples: str | None = None
    """A table that the program writes at its end in the trial's folder (.csv, .tsv, .jsonl, .parquet), with a row for
    each test example: a column `example`, its name; `cluster`, if examples of one subject or document are alike; and
    one for each score, called as the test metric. `compare` then says what holds over further data."""
    step: str | None = None
    """The metric that counts the steps; `step` or `epoch` unless named here. Without one, reports are counted."""

    @model_serializer(mode="wrap")
    def _without_what_is_newer(self, dump: SerializerFunctionWrapHandler) -> dict[str, Any]:
        """Leave out newer settings that are not set: trials of earlier versions have none of them, and still fit."""
        found: dict[str, Any] = dump(self)
        return {name: value for name, value in found.items() if value or name not in ("stderr", "examples")}

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
    becomes the value of a setting; see docs/how-to/programs.md for the other names."""
    metrics: MetricSource = MetricSource(stdout="json")
    directory: str = "."
    """Where the program runs; a relative name starts at the folder of the space file."""
    checkpoint: str = "checkpoint"
    """The file in the trial's folder that `{checkpoint}` becomes."""
    environment: Mapping[str, str | FromEnvironment] = {}
    """Further environment variables; they may hold placeholders too. `TOKEN: {from: env}` is the variable of this name
    where the search runs: its value stands in no file."""
    device: str = "auto"
    """What `{device}` becomes; `auto` is cuda where a GPU was assigned to the trial, else cpu."""
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
    def inherited(self) -> list[str]:
        """The variables that are handed on from the environment."""
        return [name for name, value in self.environment.items() if not isinstance(value, str)]

    @property
    def variables(self) -> dict[str, str]:
        """The variables whose values the space says."""
        return {name: value for name, value in self.environment.items() if isinstance(value, str)}

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


GIVEN = ("trial_dir", "seed", "checkpoint", "device", "config")
"""Variables besides the settings; `config` is a JSON file with all of them."""
_CONFIG = "HPSEARCH_CONFIG"
_LOOKED_AT = 1 << 20
"""Bytes of a program that are looked at."""
_PLACEHOLDER = re.compile(r"\{\{|\}\}|\{([A-Za-z_][\w.\-]*)\}")
"""Braces around anything but a name are the program's own, as in a JSON argument."""


def names_in(text: str) -> list[str]:
    """Return the placeholders of a text."""
    return [match[1] for match in _PLACEHOLDER.finditer(text) if match[1]]


def short_names(settings: Iterable[str]) -> dict[str, str]:
    """Return the path of each setting by its path, and by its last word where only one setting has it."""
    paths = list(settings)
    last = [path.rpartition(".")[2] for path in paths]
    short = {word: path for word, path in zip(last, paths, strict=True) if last.count(word) == 1}
    return {**short, **{path: path for path in paths}}


def objections(configuration: Mapping[str, Any], folder: Path) -> dict[str, str]:
    """Return which texts hold unknown placeholders, and which settings no placeholder uses, by dotted path.

    `folder` is that of the space file.
    """
    config = CommandConfig.model_validate(configuration)
    own, known = config.own, short_names(config.own)
    texts = [("command", word) for word in split(config.command)]
    texts += [(f"environment.{name}", text) for name, text in config.variables.items()]
    used = [(path, name) for path, text in texts for name in names_in(text)]
    listed = ", ".join([*own, *GIVEN])
    unknown = {
        path: f"{path}: unknown placeholder {{{name}}}{suggestion(name, [*known, *GIVEN])}; known: {listed}"
        for path, name in used
        if name not in known and name not in GIVEN
    }
    named = {known.get(name, name) for _, name in used}
    if unknown or "config" in named or _reads_config(texts, folder / config.directory):
        return unknown
    return {
        path: f"{path}: the command does not use it; write {{{path}}} in it, or {{config}} for a file of all settings, "
        f"which {_CONFIG} names too"
        for path in own.keys() - named - {"train.epochs"}  # the last step, see CommandConfig.epochs
    }


def _reads_config(texts: Iterable[tuple[str, str]], directory: Path) -> bool:
    """Check whether a command or a file in it has the name of the variable with the file of all settings."""
    for path, text in texts:
        if _CONFIG in text:
            return True
        with contextlib.suppress(OSError, ValueError):  # no file, or no name of one
            if path == "command" and (directory / text).is_file():
                with (directory / text).open("rb") as file:
                    if _CONFIG.encode() in file.read(_LOOKED_AT):
                        return True
    return False


def fill(text: str, values: Mapping[str, Any]) -> str:
    """Return a text with its placeholders replaced."""

    def value(match: re.Match[str]) -> str:
        return match[0][0] if match[1] is None else written(values[match[1]])

    return _PLACEHOLDER.sub(value, text)


def written(value: Any) -> str:
    """Return a value as an argument: text as it is, true and false and lists as JSON."""
    return value if isinstance(value, str) else json.dumps(value)


def arguments(config: CommandConfig, given: Mapping[str, str], *, resuming: bool) -> list[str]:
    """Return the program and its arguments. What names the checkpoint is left out when there is none.

    `--resume {checkpoint}` are two arguments: the option before the checkpoint goes with it. A setting that is empty
    text is left out where it is an argument by itself, and no option's value: `{choice: ["", "--augment"]}` is a
    switch.
    """
    values = _values(config, given)
    found: list[str] = []
    before = ""
    for word in split(config.command):
        names = names_in(word)
        alone, valued = names == [word[1:-1]], before.startswith("-") and "=" not in before
        before = word
        if "checkpoint" in names and not resuming:
            if alone and valued:
                found.pop()
        elif not (alone and not valued and values[names[0]] == ""):
            found.append(fill(word, values))
    return found


_EXPONENT = re.compile(r'("(?:[^"\\]|\\.)*")|(?<![\d.])(\d+)(e[-+]?\d+)')


def settings_text(own: Mapping[str, Any]) -> str:
    """Return the settings as JSON that readers of YAML 1.1 take as well: to them 1e-05 is a text, and 1.0e-05 none."""
    text = json.dumps(own, indent=2)
    return _EXPONENT.sub(lambda match: match[1] or f"{match[2]}.0{match[3]}", text) + "\n"


def environment(config: CommandConfig, given: Mapping[str, str]) -> dict[str, str]:
    """Return the variables that the program gets in addition to the environment's, which has those that are inherited.

    Raises:
        ProgramError: The environment lacks one of these.
    """
    if missing := [message for _, message in lacking(config)]:
        raise ProgramError("; ".join(missing))
    own = {name: fill(text, _values(config, given)) for name, text in config.variables.items()}
    return {**{f"HPSEARCH_{name.upper()}": value for name, value in given.items()}, "PYTHONUNBUFFERED": "1", **own}


def lacking(config: CommandConfig) -> list[tuple[str, str]]:
    """Return the variables that the environment should have and has not, by dotted path, each with a sentence."""
    return [
        (f"environment.{name}", f"environment.{name}: there is no variable {name} in the environment of this machine")
        for name in config.inherited
        if name not in os.environ
    ]


def _values(config: CommandConfig, given: Mapping[str, str]) -> dict[str, Any]:
    own = config.own
    return {**{name: own[path] for name, path in short_names(own).items()}, **given}
