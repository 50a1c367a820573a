"""What comparing sources gives: one comparison or several groups, with the runs behind them and their report."""

from collections.abc import Iterable
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

from hpsearch.comparing import Comparison
from hpsearch.comparing.groups import NotCompared
from hpsearch.console.watching import digested
from hpsearch.errors import HpsearchError
from hpsearch.experiment.reading import read_resolved
from hpsearch.readers.shelf import Found
from hpsearch.records import ExperimentRecord, FinishedRun
from hpsearch.report.comparison.contents import Evidence
from hpsearch.report.comparison.files import FORMATS, write_grouped, write_report
from hpsearch.report.comparison.grouped import GroupedReport, LonelyOne
from hpsearch.report.comparison.overview import Entry
from hpsearch.search.importance import importance

MOST_EXAMINED = 200
"""Trials of an experiment up to which a report says what is wrong with them: every one's metrics have to be read."""


@dataclass(frozen=True)
class ComparedGroup:
    """A comparison with the runs behind it, and hpsearch's own experiments among them; `why` they are compared."""

    name: str
    comparison: Comparison
    runs: tuple[FinishedRun, ...]
    experiments: tuple[ExperimentRecord, ...]
    why: str = ""

    @cached_property
    def evidence(self) -> Evidence:
        """What a report is made of; importance and health take a moment with many trials."""
        shares = {
            record.name: importance(record, read_resolved(Path(record.folder))["space"]) for record in self.experiments
        }
        looked_at = [record for record in self.experiments if len(record.trials) <= MOST_EXAMINED]
        health = {record.name: digested(record) for record in looked_at}
        return Evidence(self.comparison, self.runs, shares, health)


@dataclass(frozen=True)
class ComparedRuns:
    """What a set of sources gives: one comparison, or several groups; `found` says what was read and by which reader.

    Where all can be compared with one another, or a metric is given, `groups` has one entry and the rest is empty.
    Else there is an `overview`, `alone` is in no group, and `not_compared` says of each two in no common group why.
    """

    found: Found
    groups: tuple[ComparedGroup, ...]
    overview: tuple[Entry, ...] = ()
    alone: tuple[LonelyOne, ...] = ()
    not_compared: tuple[NotCompared, ...] = ()
    warnings: tuple[str, ...] = ()

    @property
    def comparison(self) -> Comparison:
        """The comparison, where there is one. Errors: HpsearchError for several groups, or none."""
        return self._only.comparison

    @property
    def evidence(self) -> Evidence:
        """What the report of the one comparison is made of. Errors: as for `comparison`."""
        return self._only.evidence

    @property
    def _only(self) -> ComparedGroup:
        if len(self.groups) == 1:
            return self.groups[0]
        if not self.groups:
            raise HpsearchError("nothing here can be compared; `alone` and `not_compared` say why")
        names = ", ".join(group.name for group in self.groups)
        raise HpsearchError(f"there are {len(self.groups)} groups ({names}): `groups` has the comparison of each")

    @property
    def grouped(self) -> GroupedReport | None:
        """The report of groups; None where there is one comparison, whose report is its own."""
        if not self.overview:
            return None
        return GroupedReport(
            entries=self.overview,
            groups=self.groups,
            alone=self.alone,
            not_compared=self.not_compared,
            unread=self.found.unread,
            warnings=self.warnings,
        )

    def to_json(self) -> dict[str, Any]:
        """Return what `hpsearch compare --json` prints."""
        return self.comparison.to_json() if self.grouped is None else self.grouped.to_json()

    def write(self, folder: str | Path, formats: Iterable[str] = tuple(FORMATS)) -> list[Path]:
        """Write the report. Errors: UnknownNameError; HpsearchError when the folder cannot be written."""
        if self.grouped is None:
            return write_report(self.evidence, Path(folder), formats)
        return write_grouped(self.grouped, Path(folder), formats)
