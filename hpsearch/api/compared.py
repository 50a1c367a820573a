"""What comparing gives: one comparison or several groups, with the runs behind them and their report."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any

from hpsearch.api.arguments import StrPath
from hpsearch.api.shown import comparison_html, paragraphs
from hpsearch.comparing import Comparison
from hpsearch.comparing.comparison import PairResult
from hpsearch.comparing.conclusion import headline
from hpsearch.comparing.groups import NotCompared
from hpsearch.console.watching import digested
from hpsearch.errors import HpsearchError, UnknownNameError
from hpsearch.experiment.addresses import sqlite_path
from hpsearch.experiment.layout import is_study
from hpsearch.experiment.reading import read_resolved
from hpsearch.readers.shelf import Found
from hpsearch.records import ExperimentRecord, FinishedRun
from hpsearch.report.comparison.contents import ReportContents
from hpsearch.report.comparison.files import FORMATS, write_grouped, write_report
from hpsearch.report.comparison.grouped import GroupedReport, LonelyOne
from hpsearch.report.comparison.overview import Entry
from hpsearch.search.importance import importance

if TYPE_CHECKING:
    from pandas import DataFrame

REPORTS = Path("reports")
"""Where reports are written by default."""
MOST_EXAMINED = 200
"""The most trials of an experiment that a report examines for problems: the metrics of each must be read."""


@dataclass(frozen=True)
class ComparedGroup:
    """A comparison with the runs behind it, and hpsearch's own experiments among them; `why` they are compared."""

    name: str
    comparison: Comparison
    runs: tuple[FinishedRun, ...]
    experiments: tuple[ExperimentRecord, ...]
    why: str = ""

    @cached_property
    def evidence(self) -> ReportContents:
        """What a report is made of; importance and health take a moment with many trials."""
        shares = {
            record.name: importance(record, read_resolved(Path(record.folder))["space"]) for record in self.experiments
        }
        looked_at = [record for record in self.experiments if len(record.trials) <= MOST_EXAMINED]
        health = {record.name: digested(record) for record in looked_at}
        return ReportContents(self.comparison, self.runs, shares, health)


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
    sources: tuple[str, ...] = ()

    @property
    def comparison(self) -> Comparison:
        """The comparison, if there is one.

        Raises:
            HpsearchError: There are several groups, or none.
        """
        return self._only.comparison

    @property
    def pairs(self) -> tuple[PairResult, ...]:
        """The tests of the one comparison, pair by pair; it raises what `comparison` does."""
        return self.comparison.pairs

    @property
    def evidence(self) -> ReportContents:
        """What the report of the one comparison is made of; it raises what `comparison` does."""
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
        """The report of groups, or None if there is one comparison, whose report is its own."""
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
        """Return the JSON object of `hpsearch compare --json`."""
        return self.comparison.to_json() if self.grouped is None else self.grouped.to_json()

    def to_frame(self) -> "DataFrame":
        """Return a row for each pair that was compared, of all groups, with the columns of pairs.csv."""
        import pandas as pd

        rows = [
            {"group": group.name, "metric": group.comparison.metric, **pair.to_json()}
            for group in self.groups
            for pair in group.comparison.pairs
        ]
        frame = pd.json_normalize(rows).drop(columns=["also", "notes"], errors="ignore")
        # a part that only some pairs have makes an empty column next to the columns of the part
        parents = {name.rpartition(".")[0] for name in frame.columns}
        return frame.drop(columns=[name for name in frame.columns if name in parents])

    def save(
        self,
        folder: StrPath | None = None,
        *,
        format: str | Iterable[str] = tuple(FORMATS),  # noqa: A002 -- the option's name
        titles: bool = False,
    ) -> Path:
        """Write the report and return its folder.

        Args:
            folder: By default reports/<name of the first path>.
            format: What to write: html, md, tex, csv, json; with commas, or a list.
            titles: Whether figures have titles; in a paper their captions say what they show.

        Raises:
            UnknownNameError: For the format.
            HpsearchError: The folder cannot be written.
        """
        target = report_folder(self.sources) if folder is None else Path(folder)
        formats = parse_formats(format) if isinstance(format, str) else format
        if self.grouped is None:
            write_report(self.evidence, target, formats, titles=titles)
        else:
            write_grouped(self.grouped, target, formats, titles=titles)
        return target

    def __repr__(self) -> str:
        if len(self.groups) == 1:
            said = headline(self.comparison) or f"{len(self.pairs)} pairs"
            return f"<comparison of {len(self.comparison.experiments)} by {self.comparison.metric}: {said}>"
        return f"<{len(self.groups)} groups that are compared, {len(self.alone)} alone>"

    def _repr_html_(self) -> str:
        """Return HTML for a notebook: what is said of each group, with its scores and pairs."""
        several = self.grouped is not None or not self.groups
        said = paragraphs([repr(self)] if several else [])
        for group in self.groups:
            said += paragraphs([f"{group.name}: {group.why}"] if several else []) + comparison_html(group.comparison)
        return said + paragraphs(f"warning: {each}" for each in self.warnings)


def report_folder(sources: Sequence[StrPath]) -> Path:
    """Return the default report folder of these sources: below reports/, named after the first.

    Not where `hpsearch study` writes a study's own report, which answers by the plan.
    """
    first = str(sqlite_path(str(sources[0]).rstrip("/")))
    name = first.rpartition("/")[2].partition(".")[0] or "comparison"
    return REPORTS / (f"{name}-compared" if is_study(Path(first)) else name)


def parse_formats(text: str) -> list[str]:
    """Return the formats in a list with commas.

    Raises:
        UnknownNameError: There is no such format.
        HpsearchError: The list is empty.
    """
    names = [name.strip() for name in text.split(",") if name.strip()]
    if not names:
        raise HpsearchError(f"--format names no format; known: {', '.join(FORMATS)}")
    for name in names:
        if name not in FORMATS:
            raise UnknownNameError("report format", name, FORMATS)
    return names
