"""What stands around a comparison in the report of a study: sections that every format shows in its own way."""

from collections.abc import Sequence
from dataclasses import dataclass


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
