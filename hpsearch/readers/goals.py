"""The directions in which the studies or experiments of one store improve: they agree, or are refused."""

from collections.abc import Mapping

from hpsearch.errors import DataError
from hpsearch.readers import Wanted
from hpsearch.records import Goal

Told = Mapping[str, Mapping[Goal, str]]
"""By metric: each direction that was told, and the first that told it."""


def agreed(source: str, told: Told, wanted: Wanted, *, advice: str) -> dict[str, Goal]:
    """Return the direction of each metric. Errors: DataError where two contradict each other on a wanted metric."""
    for name, ways in told.items():
        if len(ways) > 1 and wanted.metric in (None, name):
            says = " and ".join(f"'{who}' {way.value}s it" for way, who in ways.items())
            raise DataError(f"{source}: not all agree on '{name}': {says}. {advice}")
    return {name: next(iter(ways)) for name, ways in told.items() if len(ways) == 1}
