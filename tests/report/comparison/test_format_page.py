"""COMPARE.md names every field of compare.json, and no other."""

import re
from pathlib import Path
from typing import Any

from tests.report.comparison.evidence import datasets_evidence, search_evidence, seeds_evidence

PAGE = (Path(__file__).parents[3] / "COMPARE.md").read_text(encoding="utf-8")
PARTS = re.split(r"^(?=An entry of|`across_datasets`:)", PAGE, flags=re.MULTILINE)


def fields(part: str) -> set[str]:
    """Return the names in the first column of the part's table."""
    rows = [line.split("|")[1] for line in part.splitlines() if line.startswith("| `")]
    return {name for row in rows for name in re.findall(r"`(\w+)`", row)}


def test_every_field_is_documented_and_nothing_else() -> None:
    seeds, datasets = seeds_evidence().comparison.to_json(), datasets_evidence().comparison.to_json()
    top, experiment, pair, across = PARTS
    assert fields(top) == set(seeds)
    assert fields(experiment) == set(seeds["experiments"][0])
    assert fields(pair) == set(seeds["pairs"][0])
    assert fields(across) == set(datasets["across_datasets"])


def test_the_inner_names_are_in_the_page_too() -> None:
    seeds, search = seeds_evidence().comparison.to_json(), search_evidence().comparison.to_json()
    inner: list[dict[str, Any]] = [
        *(seeds["pairs"][0]["effect"], seeds["pairs"][0]["equivalence"]),
        *(search["expected_best"][0], seeds["experiments"][0]["runs_dropped"][0]),
    ]
    assert {name for entry in inner for name in entry} <= set(re.findall(r"`(\w+)`", PAGE))
