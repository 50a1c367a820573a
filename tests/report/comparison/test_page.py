"""The page in a real browser: at the width of a desk and of a phone, in the light and in the dark."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from hpsearch.comparing import Comparison
from hpsearch.report.comparison.contents import ReportContents
from hpsearch.report.comparison.files import write_grouped, write_report
from hpsearch.report.comparison.grouped import GroupedReport
from hpsearch.report.comparison.overview import Entry
from tests import browsing
from tests.browsing import chromium, complaints
from tests.report.comparison.evidence import datasets_evidence, search_evidence, seeds_evidence

if TYPE_CHECKING:
    from selenium import webdriver

pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def browser() -> Iterator["webdriver.Chrome"]:
    with chromium() as driver:
        yield driver


def look(browser: "webdriver.Chrome", page: Path, *, width: int, dark: bool) -> None:
    browsing.look(browser, page.as_uri(), width=width, dark=dark)


@pytest.mark.parametrize("make", [seeds_evidence, datasets_evidence, search_evidence])
@pytest.mark.parametrize(("width", "dark"), [(1200, False), (390, True)])
def test_it_draws_all_pictures_and_fits_the_screen(
    browser: "webdriver.Chrome", tmp_path: Path, make: Callable[[], ReportContents], width: int, dark: bool
) -> None:
    write_report(make(), tmp_path, ["html"])
    look(browser, tmp_path / "report.html", width=width, dark=dark)
    places = browser.execute_script("return document.querySelectorAll('[data-plot]').length")
    drawn = browser.execute_script("return document.querySelectorAll('[data-plot] .main-svg').length")
    assert places > 0
    assert drawn >= places
    assert browser.execute_script("return document.documentElement.scrollWidth") <= width
    assert complaints(browser) == []
    ink = browser.execute_script("return getComputedStyle(document.body).backgroundColor")
    assert ink == ("rgb(15, 20, 25)" if dark else "rgb(255, 255, 255)")


def test_names_of_runs_are_shown_as_they_are(browser: "webdriver.Chrome", tmp_path: Path) -> None:
    write_report(seeds_evidence(), tmp_path, ["html"])
    look(browser, tmp_path / "report.html", width=1200, dark=False)
    labels = browser.execute_script(
        "return [...document.querySelectorAll('[data-plot=scores] .ytick text')].map(e => e.textContent)"
    )
    assert "cnn_small & <b>x</b>|$50%" in labels


@dataclass(frozen=True)
class Together:
    """A group as a report takes it."""

    name: str
    evidence: ReportContents
    why: str = "the same <b>metric</b>"

    @property
    def comparison(self) -> Comparison:
        return self.evidence.comparison


@pytest.mark.parametrize(("width", "dark"), [(1400, False), (390, True)])
def test_a_page_of_groups_draws_what_is_seen_and_fits_the_screen(
    browser: "webdriver.Chrome", tmp_path: Path, width: int, dark: bool
) -> None:
    """Six searches take more WebGL contexts than a browser has: one that left the screen gives its own back."""
    from selenium.webdriver.support.wait import WebDriverWait

    entry = Entry("<i>one</i>", "experiment", "x", "hpsearch", "line", "val/accuracy", None, "running", {"complete": 3})
    groups = [Together(f"<b>group</b> {place}", search_evidence()) for place in range(6)]
    write_grouped(GroupedReport([entry, entry], groups, unread=[("y", "y is <u>bad</u>")]), tmp_path, ["html"])
    look(browser, tmp_path / "report.html", width=width, dark=dark)
    assert browser.execute_script("return document.documentElement.scrollWidth") <= width
    text = browser.find_element("tag name", "body").text
    for words in ("<i>one</i>", "<b>group</b> 5", "the same <b>metric</b>", "y is <u>bad</u>"):
        assert words in text
    costly = browser.find_elements("css selector", "[data-plot*=trials]")
    assert len(costly) > 5
    for place in (costly[-1], costly[0]):
        browser.execute_script("arguments[0].scrollIntoView()", place)
        WebDriverWait(browser, 240).until(lambda _, here=place: here.find_elements("css selector", ".main-svg"))
    WebDriverWait(browser, 240).until(lambda _: not costly[-1].find_elements("css selector", ".main-svg"))
    messages = [entry["message"] for entry in browser.get_log("browser")]
    assert [each for each in messages if "SEVERE" in each or "Too many active WebGL contexts" in each] == []
