"""The family `command`: any program, in any language. What runs it is `hpsearch/running/command_objective.py`."""

from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any, ClassVar

from pydantic import BaseModel

from hpsearch.data.fingerprint import Source
from hpsearch.families.command.settings import CommandConfig, lacking, objections
from hpsearch.places import texts_in
from hpsearch.records import Goal


class Command:
    """Any program: its arguments are searched, and the metrics that it prints are read."""

    Config = CommandConfig
    metrics: ClassVar[Mapping[str, Goal]] = {}
    methods: ClassVar[Sequence[str]] = ()

    def __init__(self, folder: Path = Path()) -> None:
        """`folder` is that of the space file, where programs and their files are looked for."""
        self._folder = folder

    def objections(self, configuration: Mapping[str, Any]) -> Mapping[str, str]:
        """Return unknown placeholders, and settings that the command does not use."""
        return objections(configuration, self._folder)

    def environment_objections(self, config: BaseModel) -> Mapping[str, str]:
        """Return which variables the environment lacks, by dotted path."""
        assert isinstance(config, CommandConfig)  # noqa: S101 -- ours: the configuration is of this family
        return dict(lacking(config))

    def source_of(self, config: BaseModel, home: Path) -> Source | None:
        """Return the files that the program's section `data` names, as far as there are any; they start where it runs.

        `home` is the folder of the space file.
        """
        assert isinstance(config, CommandConfig)  # noqa: S101 -- ours: the configuration is of this family
        places = {name: _from(config, path) for name, path in _data_texts(config)}
        files = {name: path for name, path in places.items() if _is_file(home / Path(path).expanduser())}
        return Source("a program's files", files) if files else None


def missing_data(config: CommandConfig, home: Path, errors: str) -> bool:
    """Check whether a program's error output names something of its section `data` that is not there."""
    return any(
        text and text in errors and not _exists(home / Path(_from(config, text)).expanduser())
        for _, text in _data_texts(config)
    )


def _data_texts(config: CommandConfig) -> Iterable[tuple[str, str]]:
    data = (config.model_extra or {}).get("data")
    return texts_in({"data": data}) if isinstance(data, Mapping) else ()


def _from(config: CommandConfig, path: str) -> str:
    """Return a path from where the program runs."""
    return path if path.startswith("~") else str(Path(config.directory, path))


def _is_file(path: Path) -> bool:
    try:
        return path.is_file()
    except (OSError, ValueError):  # a text that is not a path
        return False


def _exists(path: Path) -> bool:
    try:
        return path.exists()
    except (OSError, ValueError):
        return True


FAMILY = Command
