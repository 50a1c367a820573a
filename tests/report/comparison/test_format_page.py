"""docs/reference/compare-json.md names every field of compare.json, and no other."""

import re
from pathlib import Path
from typing import Any

from hpsearch.comparing.groups import NotCompared
from hpsearch.report.comparison.grouped import GroupedReport, LonelyOne
from hpsearch.report.comparison.overview import Best, Confirmation, Entry
from tests.report.comparison.evidence import datasets_evidence, search_evidence, seeds_evidence

PAGE = (Path(__file__).parents[3] / "docs" / "reference" / "compare-json.md").read_text(encoding="utf-8")
PARTS = re.split(r"^(?=An entry of|`methods`|`across_datasets`:)", PAGE, flags=re.MULTILINE)


def fields(part: str) -> set[str]:
    """Return the names in the first column of the part's table."""
    rows = [line.split("|")[1] for line in part.splitlines() if line.startswith("| `")]
    return {name for row in rows for name in re.findall(r"`(\w+)`", row)}


def test_every_field_is_documented_and_nothing_else() -> None:
    seeds, datasets = seeds_evidence().comparison.to_json(), datasets_evidence().comparison.to_json()
    top, experiment, pair, _, across = PARTS
    assert fields(top) == {*seeds, "methods"}  # which are there where somebody has written them
    assert fields(experiment) == set(seeds["experiments"][0])
    assert fields(pair) == {*seeds["pairs"][0], "over_examples"}  # which is there with scores by example only
    assert fields(across) == set(datasets["across_datasets"])


def test_the_inner_names_are_in_the_page_too() -> None:
    seeds, search = seeds_evidence().comparison.to_json(), search_evidence().comparison.to_json()
    inner: list[dict[str, Any]] = [
        *(seeds["pairs"][0]["effect"], seeds["pairs"][0]["equivalence"]),
        *(search["expected_best"][0], seeds["experiments"][0]["runs_dropped"][0]),
    ]
    assert {name for entry in inner for name in entry} <= set(re.findall(r"`(\w+)`", PAGE))


def test_every_field_of_a_report_of_groups_is_in_the_page() -> None:
    best, confirmed = Best(1, 0.5, {}), Confirmation(1, "test/accuracy", 3, None, 0.5, 0.1)
    entry = Entry("a", "experiment", "a", "hpsearch", "line", "x", None, "running", {}, best, [confirmed])
    document = GroupedReport(
        [entry],
        [],
        alone=[LonelyOne("a", "why", None)],
        not_compared=[NotCompared("a", "b", "why")],
        unread=[("place", "why")],
    ).to_json()
    named = set(re.findall(r"`(\w+)`", PAGE.partition("## Several groups")[2]))
    lists = ("overview", "alone", "not_compared", "unread")
    shown = document["overview"][0]
    inner = [*(document[name][0] for name in lists), shown["best"], shown["trials"], shown["seconds"]]
    assert {*document, *(name for each in inner for name in each), *shown["confirmation"][0]} <= named
