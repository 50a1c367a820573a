"""From paths to a report: runs are read, compared and shown. `hpsearch compare` ends here, and its Python form."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

from hpsearch.compare import Comparison, compare_runs
from hpsearch.compare.metric_choice import choose_goal, choose_metric, goal_warnings
from hpsearch.engines.importance import importance
from hpsearch.errors import HpsearchError, UnknownNameError
from hpsearch.experiment.addresses import sqlite_path
from hpsearch.experiment.layout import is_study
from hpsearch.experiment.reading import read_resolved
from hpsearch.readers import Wanted
from hpsearch.readers.shelf import Found, read_sources
from hpsearch.report.comparison.files import FORMATS, write_report
from hpsearch.report.comparison.gallery import Evidence
from hpsearch.watching import digested

REPORTS = Path("reports")
"""Where reports are written unless told otherwise."""
MOST_EXAMINED = 200
"""Trials of an experiment up to which a report says what is wrong with them: every one's metrics have to be read."""


@dataclass(frozen=True)
class Request:
    """What is asked of a comparison; the names are those of the command's options."""

    metric: str | None = None
    goal: str | None = None
    by: str | None = None
    baseline: str | None = None
    margin: float | None = None
    alpha: float = 0.05
    adjust: str = "holm"
    unit: str = "auto"
    wide: str | None = None
    step: int | None = None
    stochastic_order: bool = False
    seed: int = 0
    separator: str | None = None
    decimal: str | None = None


@dataclass(frozen=True)
class ComparedRuns:
    """A comparison with the runs behind it; `found` says what was read and by which reader."""

    comparison: Comparison
    found: Found

    @cached_property
    def evidence(self) -> Evidence:
        """What a report is made of; importance and health take a moment with many trials."""
        shares = {
            record.name: importance(record, read_resolved(Path(record.folder))["space"])
            for record in self.found.experiments
        }
        looked_at = [record for record in self.found.experiments if len(record.trials) <= MOST_EXAMINED]
        health = {record.name: digested(record) for record in looked_at}
        return Evidence(self.comparison, self.found.runs, shares, health)

    def write(self, folder: str | Path, formats: Iterable[str] = tuple(FORMATS)) -> list[Path]:
        """Write the report. Errors: UnknownNameError; HpsearchError when the folder cannot be written."""
        return write_report(self.evidence, Path(folder), formats)


def compare_experiments(*sources: str | Path, **options: Any) -> ComparedRuns:
    """Compare finished runs of any origin; the options are those of `Request`, as `hpsearch compare` has them.

        compared = hpsearch.compare_experiments("experiments/", metric="test/accuracy", margin=0.01)
        compared.comparison.pairs[0].verdict
        compared.write("reports/mine")

    Errors: as for `compare_sources`.
    """
    return compare_sources(sources, Request(**options))


def compare_sources(sources: Sequence[str | Path], request: Request) -> ComparedRuns:
    """Read runs of any origin and compare the experiments that they belong to.

    Errors: DataError for sources without runs; UnknownNameError; HpsearchError when metric or goal must be given.
    """
    asked = Wanted(request.metric, by=request.by, separator=request.separator, decimal=request.decimal)
    found = read_sources([str(source) for source in sources], wide=request.wide, asked=asked)
    metric = choose_metric(found.runs, found.main, request.metric)
    goal = choose_goal(metric, found.goals, request.goal, disputed=found.disputed)
    comparison = compare_runs(
        found.runs,
        metric=metric,
        goal=goal,
        unit=request.unit,
        baseline=request.baseline,
        margin=request.margin,
        alpha=request.alpha,
        adjust=request.adjust,
        by=request.by,
        step=request.step,
        stochastic_order=request.stochastic_order,
        seed=request.seed,
        warnings=[*found.warnings, *goal_warnings(metric, goal, found.goals, disputed=found.disputed)],
    )
    return ComparedRuns(comparison, found)


def report_folder(sources: Sequence[str | Path]) -> Path:
    """Return where the report of these sources goes by default: below reports/, called after the first of them.

    Not where `hpsearch study` writes a study's own report, which answers by the plan.
    """
    first = str(sqlite_path(str(sources[0]).rstrip("/")))
    name = first.rpartition("/")[2].partition(".")[0] or "comparison"
    return REPORTS / (f"{name}-compared" if is_study(Path(first)) else name)


def parse_formats(text: str) -> list[str]:
    """Return the formats in a list with commas. Errors: UnknownNameError."""
    names = [name.strip() for name in text.split(",") if name.strip()]
    if not names:
        raise HpsearchError(f"--format names no format; known: {', '.join(FORMATS)}")
    for name in names:
        if name not in FORMATS:
            raise UnknownNameError("report format", name, FORMATS)
    return names
