"""What a report is made of: a comparison with the runs behind it, and for a study what comes before and after it."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from hpsearch.comparing.comparison import Comparison
from hpsearch.health import Digest
from hpsearch.records import FinishedRun


@dataclass(frozen=True)
class Section:
    """A part of a report, from top to bottom: sentences, a list, a table, code, and a last remark."""

    title: str = ""
    sentences: Sequence[str] = ()
    points: Sequence[str] = ()
    columns: Sequence[str] = ()
    rows: Sequence[Sequence[str]] = ()
    code: str = ""
    remark: str = ""


@dataclass(frozen=True)
class Cover:
    """The title of a report, a sentence on its scale, the answer, and what comes before and after the comparison."""

    title: str
    scale: str
    answer: Sequence[str]
    before: Sequence[Section]
    after: Sequence[Section]


@dataclass(frozen=True)
class ReportContents:
    """What a report is made of: the comparison and the runs behind it.

    By experiment: the importance of its parameters, and what is wrong with its trainings. `cover`: a study's.
    """

    comparison: Comparison
    runs: Sequence[FinishedRun] = ()
    importance: Mapping[str, Mapping[str, float]] = field(default_factory=dict)
    health: Mapping[str, Sequence[Digest]] = field(default_factory=dict)
    cover: Cover | None = None
