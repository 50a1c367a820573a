"""The family `command`: any program, in any language. What runs it is `hpsearch/command_objective/`."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, ClassVar

from hpsearch.families.command.arguments import objections
from hpsearch.families.command.settings import CommandConfig
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


FAMILY = Command
