"""A report of several comparisons: an overview, a group for each, lone experiments, and what is not compared.

Every format lays out the same sections; the document is that of `compare --json` where there are groups.
"""

from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass, replace
from typing import Any, Protocol

from hpsearch.comparing import Comparison
from hpsearch.comparing.conclusion import METHODS
from hpsearch.comparing.groups import NotCompared
from hpsearch.report.charts.gallery import Picture, gallery, palette_of
from hpsearch.report.comparison.contents import ReportContents, Section
from hpsearch.report.comparison.overview import OVERVIEW_TITLES, Entry, overview_rows
from hpsearch.report.comparison.rows import SCORE_TITLES, score_rows

VERSION = 1
SPANS = (
    "Each group answers its own question: its p-values are adjusted for the tests of the group and for no others. "
    "Whoever picks the most striking result of several groups has looked at the tests of all of them."
)
"""What the error rates of several groups are about."""
LONELY_TITLES = ("metric", *SCORE_TITLES)


class ComparedTogether(Protocol):
    """A group: what is compared in one comparison, and why together."""

    @property
    def name(self) -> str:
        """A name that no other group has."""
        ...

    @property
    def why(self) -> str:
        """Why these can be compared."""
        ...

    @property
    def comparison(self) -> Comparison:
        """The group's own tests."""
        ...

    @property
    def evidence(self) -> ReportContents:
        """The comparison with the runs behind it."""
        ...


@dataclass(frozen=True)
class LonelyOne:
    """What is compared with nothing, and why; `comparison` describes it by itself, None if it has no value yet."""

    name: str
    why: str
    comparison: Comparison | None


@dataclass(frozen=True)
class GroupedReport:
    """Everything that a report of groups shows; `unread` are places with the reason."""

    entries: Sequence[Entry]
    groups: Sequence[ComparedTogether]
    alone: Sequence[LonelyOne] = ()
    not_compared: Sequence[NotCompared] = ()
    unread: Sequence[tuple[str, str]] = ()
    warnings: Sequence[str] = ()

    @property
    def title(self) -> str:
        """How many of each kind there are."""
        counts = [
            _counted(sum(each.kind == kind for each in self.entries), kind.removesuffix("s"), plural)
            for kind, plural in (("experiment", "experiments"), ("study", "studies"), ("runs", "sets of runs"))
        ]
        said = ", ".join(count for count in counts if count)
        return f"{said}: {_counted(len(self.groups), 'group', 'groups') or 'nothing'} to compare"

    def to_json(self) -> dict[str, Any]:
        """Return the document; each group is a compare.json with a name and a reason."""
        return {
            "version": VERSION,
            "overview": [each.to_json() for each in self.entries],
            "groups": [{"name": each.name, "why": each.why, **each.comparison.to_json()} for each in self.groups],
            "alone": [
                {"name": each.name, "why": each.why, "comparison": each.comparison and each.comparison.to_json()}
                for each in self.alone
            ],
            "not_compared": [asdict(each) for each in self.not_compared],
            "unread": [{"place": place, "why": why} for place, why in self.unread],
            "warnings": list(self.warnings),
        }

    @property
    def before(self) -> list[Section]:
        """What comes before the groups."""
        found = [Section("Warnings", points=self.warnings)] if self.warnings else []
        said = [SPANS] if len(self.groups) > 1 else []
        return [*found, Section("Overview", said, columns=OVERVIEW_TITLES, rows=overview_rows(self.entries))]

    @property
    def after(self) -> list[Section]:
        """What comes behind the groups."""
        return [*self._by_themselves(), *self._apart(), *self._unread()]

    def _by_themselves(self) -> Iterator[Section]:
        if self.alone:
            points = [f"{each.name}: {each.why}" for each in self.alone]
            yield Section("By themselves", points=points, columns=LONELY_TITLES, rows=lonely_rows(self.alone))

    def _apart(self) -> Iterator[Section]:
        if self.not_compared:
            yield Section("Not compared with one another", points=condensed(self.not_compared))

    def _unread(self) -> Iterator[Section]:
        if self.unread:
            yield Section("Not read", points=[why for _, why in self.unread])


def _counted(count: int, one: str, several: str) -> str:
    return "" if not count else f"1 {one}" if count == 1 else f"{count} {several}"


def adjustment(comparison: Comparison) -> str:
    """Describe which tests the adjustment of a group covers."""
    size = comparison.family_size
    if size < 2:
        return "It has a single test, with nothing to adjust for." if size else "Nothing in it is tested."
    return f"The adjustment, by {METHODS[comparison.adjust]}, spans the {size} tests of this group."


def lonely_rows(alone: Sequence[LonelyOne]) -> list[tuple[str, ...]]:
    """Return a row for each summary of a lone experiment, with the titles LONELY_TITLES."""
    return [
        (each.comparison.metric, *row.cells)
        for each in alone
        if each.comparison is not None
        for row in score_rows(each.comparison)
        if row.cells[1] != "0"
    ]


def condensed(pairs: Sequence[NotCompared]) -> list[str]:
    """Return a sentence for each reason, with all those that it keeps apart."""
    by_reason: dict[str, dict[str, list[str]]] = {}
    for each in pairs:
        by_reason.setdefault(each.why, {}).setdefault(each.a, []).append(each.b)
    said = []
    for why, partners in by_reason.items():
        merged: dict[tuple[str, ...], list[str]] = {}
        for name, others in partners.items():
            merged.setdefault(tuple(others), []).append(name)
        said += [f"{_listed(names)} and {_listed(others)}: {why}" for others, names in merged.items()]
    return said


def _listed(names: Sequence[str]) -> str:
    return names[0] if len(names) == 1 else f"({', '.join(names)})"


def prefix_of(place: int) -> str:
    """Return the prefix of a group's picture names; `place` counts from 1."""
    return f"group-{place}-"


def pictures_of(report: GroupedReport) -> list[Picture]:
    """Return the pictures of all groups."""
    palette = palette_of(*(group.evidence for group in report.groups))
    return [
        replace(picture, name=f"{prefix_of(place)}{picture.name}")
        for place, group in enumerate(report.groups, start=1)
        for picture in gallery(group.evidence, palette)
    ]
