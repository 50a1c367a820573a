"""Headless Chromium for the tests: at any width, in the light and in the dark, with what it complains about."""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from selenium import webdriver


@contextmanager
def chromium() -> Iterator["webdriver.Chrome"]:
    """Start a browser and end it."""
    from selenium import webdriver

    options = webdriver.ChromeOptions()
    options.binary_location = "/usr/bin/chromium"
    for argument in ("--headless", "--no-sandbox", "--disable-dev-shm-usage", "--disable-gpu"):
        options.add_argument(argument)
    options.set_capability("goog:loggingPrefs", {"browser": "ALL"})
    driver = webdriver.Chrome(options=options, service=webdriver.ChromeService("/usr/bin/chromedriver"))
    try:
        yield driver
    finally:
        driver.quit()


def look(browser: "webdriver.Chrome", address: str, *, width: int, dark: bool) -> None:
    """Open a page on a screen of a width; what was said of a page before is forgotten."""
    browser.get("about:blank")
    browser.get_log("browser")
    scheme = "dark" if dark else "light"
    browser.execute_cdp_cmd(
        "Emulation.setEmulatedMedia", {"features": [{"name": "prefers-color-scheme", "value": scheme}]}
    )
    metrics: dict[str, Any] = {"width": width, "height": 900, "deviceScaleFactor": 1, "mobile": width < 600}
    browser.execute_cdp_cmd("Emulation.setDeviceMetricsOverride", metrics)
    browser.get(address)


def complaints(browser: "webdriver.Chrome") -> list[str]:
    """Return the errors that the browser has noted since the last time, blocked requests and styles among them."""
    return [entry["message"] for entry in browser.get_log("browser") if entry["level"] == "SEVERE"]
