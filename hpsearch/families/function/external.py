"""The family `external`: configurations that a program asks for and trains itself, see `hpsearch.ask_tell`."""

from pathlib import Path
from typing import Any

from hpsearch.errors import HpsearchError
from hpsearch.families.function.function import Function

EXTERNAL = "external"
REFUSAL = (
    "the family external is trained by the program that asks for its configurations (hpsearch.ask_tell), and hpsearch "
    "cannot train them; to have it train them, search a function (hpsearch.run) or a program (family: command)"
)


def external(config: Any, report: Any) -> None:
    """Take whatever settings a space has."""
    del config, report
    raise HpsearchError(REFUSAL)


class External(Function):
    """A training that hpsearch does not know: whether it goes on, and when its code changes, is not known either."""

    code = ""

    goes_on = False

    def __init__(self) -> None:
        super().__init__(external, name=EXTERNAL, file=Path(__file__))
