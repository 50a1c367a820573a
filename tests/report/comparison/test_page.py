"""The page in a real browser: at the width of a desk and of a phone, in the light and in the dark."""

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from selenium import webdriver

from hpsearch.report.comparison.files import write_report
from hpsearch.report.comparison.gallery import Evidence
from tests.report.comparison.evidence import datasets_evidence, search_evidence, seeds_evidence

pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def browser() -> Iterator[webdriver.Chrome]:
    options = webdriver.ChromeOptions()
    options.binary_location = "/usr/bin/chromium"
    for argument in ("--headless", "--no-sandbox", "--disable-dev-shm-usage", "--disable-gpu"):
        options.add_argument(argument)
    options.set_capability("goog:loggingPrefs", {"browser": "ALL"})
    driver = webdriver.Chrome(options=options, service=webdriver.ChromeService("/usr/bin/chromedriver"))
    yield driver
    driver.quit()


def look(browser: webdriver.Chrome, page: Path, *, width: int, dark: bool) -> None:
    scheme = "dark" if dark else "light"
    browser.execute_cdp_cmd(
        "Emulation.setEmulatedMedia", {"features": [{"name": "prefers-color-scheme", "value": scheme}]}
    )
    metrics: dict[str, Any] = {"width": width, "height": 900, "deviceScaleFactor": 1, "mobile": width < 600}
    browser.execute_cdp_cmd("Emulation.setDeviceMetricsOverride", metrics)
    browser.get(page.as_uri())


@pytest.mark.parametrize("make", [seeds_evidence, datasets_evidence, search_evidence])
@pytest.mark.parametrize(("width", "dark"), [(1200, False), (390, True)])
def test_it_draws_all_pictures_and_fits_the_screen(
    browser: webdriver.Chrome, tmp_path: Path, make: Callable[[], Evidence], width: int, dark: bool
) -> None:
    write_report(make(), tmp_path, ["html"])
    look(browser, tmp_path / "report.html", width=width, dark=dark)
    places = browser.execute_script("return document.querySelectorAll('[data-plot]').length")
    drawn = browser.execute_script("return document.querySelectorAll('[data-plot] .main-svg').length")
    assert places > 0
    assert drawn >= places
    assert browser.execute_script("return document.documentElement.scrollWidth") <= width
    assert [entry for entry in browser.get_log("browser") if entry["level"] == "SEVERE"] == []
    ink = browser.execute_script("return getComputedStyle(document.body).backgroundColor")
    assert ink == ("rgb(15, 20, 25)" if dark else "rgb(255, 255, 255)")


def test_names_of_runs_are_shown_as_they_are(browser: webdriver.Chrome, tmp_path: Path) -> None:
    write_report(seeds_evidence(), tmp_path, ["html"])
    look(browser, tmp_path / "report.html", width=1200, dark=False)
    labels = browser.execute_script(
        "return [...document.querySelectorAll('[data-plot=scores] .ytick text')].map(e => e.textContent)"
    )
    assert "cnn_small & <b>x</b>|$50%" in labels
