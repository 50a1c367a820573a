"""Placeholders: `{train.rate}` in a command or in an environment variable, and what is wrong with them."""

import contextlib
import json
import re
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

from hpsearch.errors import suggestion
from hpsearch.families.command.settings import CommandConfig, split

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
    texts += [(f"environment.{name}", text) for name, text in config.environment.items()]
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

    `--resume {checkpoint}` are two arguments: the option before the checkpoint goes with it.
    """
    values = _values(config, given)
    found: list[str] = []
    for word in split(config.command):
        if "checkpoint" in names_in(word) and not resuming:
            if word == "{checkpoint}" and found and found[-1].startswith("-") and "=" not in found[-1]:
                found.pop()
            continue
        found.append(fill(word, values))
    return found


def environment(config: CommandConfig, given: Mapping[str, str]) -> dict[str, str]:
    """Return the variables that the program gets in addition to the environment's."""
    own = {name: fill(text, _values(config, given)) for name, text in config.environment.items()}
    return {**{f"HPSEARCH_{name.upper()}": value for name, value in given.items()}, "PYTHONUNBUFFERED": "1", **own}


def _values(config: CommandConfig, given: Mapping[str, str]) -> dict[str, Any]:
    own = config.own
    return {**{name: own[path] for name, path in short_names(own).items()}, **given}
