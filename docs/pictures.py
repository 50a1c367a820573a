"""Make the pictures of the documentation: `make pictures`, a few minutes on a CPU. They go to docs/pictures/.

The live screen is drawn by the code that draws it at a terminal, from the log of a search that has just run, at a
moment in its middle. The pages are what headless Chromium shows of them.
"""

import io
import re
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from itertools import takewhile
from pathlib import Path

from rich.console import Console

from hpsearch.console.progress import draw
from hpsearch.console.search_state import SearchState, SearchTarget
from hpsearch.experiment.layout import LOG
from hpsearch.experiment.log import read_past
from hpsearch.records import Goal

DOCS = Path(__file__).parent
PICTURES = DOCS / "pictures"
TUTORIAL = DOCS / "tutorials" / "first-search.md"
MIDDLE = 0.6
"""The part of the trials' events after which the live screen is drawn."""
WIDTH, HEIGHT = 100, 22
"""Of the terminal, in characters."""


def main() -> None:
    """Run the tutorial in a folder of its own, then look at what it left."""
    PICTURES.mkdir(exist_ok=True)
    with tempfile.TemporaryDirectory() as folder:
        place = Path(folder)
        for name, text in titled_blocks(TUTORIAL.read_text(encoding="utf-8")).items():
            (place / name).write_text(text, encoding="utf-8")
        log = subprocess.run([sys.executable, "train.py", "--epochs=3"], cwd=place, check=True, capture_output=True)
        (place / "train.log").write_bytes(log.stdout)
        hpsearch(place, "init", "train.py", "--log", "train.log")
        hpsearch(place, "run", "train.yaml", "--trials", "12", "--set", "confirm.seeds=3")
        live_screen(place / "experiments" / "train", PICTURES / "live.svg")
        page_of(place, "train", PICTURES / "page.png")
        hpsearch(place, "study", "gain.yaml", "--format", "html")
        photograph((place / "reports" / "gain" / "report.html").as_uri(), PICTURES / "report.png")


def titled_blocks(text: str) -> dict[str, str]:
    """Return the files that a page shows, by their names."""
    return dict(re.findall(r'^```\w+ title="([^"]+)"\n(.*?)^```', text, flags=re.MULTILINE | re.DOTALL))


def hpsearch(place: Path, *words: str) -> None:
    """Run a command in a folder."""
    subprocess.run([sys.executable, "-m", "hpsearch", *words], cwd=place, check=True)


def live_screen(folder: Path, picture: Path) -> None:
    """Draw the screen as it was in the middle of a search."""
    events = read_past(folder / LOG).events
    trials = list(takewhile(lambda event: not getattr(event, "run", "").startswith("confirm"), events))
    told = trials[: int(MIDDLE * len(trials))]
    begin, now = time.monotonic(), told[-1].elapsed
    target = SearchTarget(
        "val/accuracy", Goal.MAXIMIZE, 12, title=folder.name, length=lambda _: 20, replicates=3, workers=2
    )
    search = SearchState(target, clock=lambda: begin + now)
    for event in told:
        search.follow(event)
    console = Console(width=WIDTH, height=HEIGHT, record=True, force_terminal=True, file=io.StringIO())
    console.print(draw(search, width=WIDTH, height=HEIGHT))
    picture.write_text(console.export_svg(title=f"hpsearch run {folder.name}.yaml"), encoding="utf-8")


def page_of(place: Path, name: str, picture: Path, *, size: tuple[int, int] = (1400, 1500)) -> None:
    """Take a picture of the page that `hpsearch watch --web` serves: of all of it that fits, once it is drawn."""
    from selenium import webdriver
    from selenium.webdriver.support.wait import WebDriverWait

    options = webdriver.ChromeOptions()
    options.binary_location = shutil.which("chromium") or "chromium"
    for flag in ("--headless", "--no-sandbox", "--hide-scrollbars", f"--window-size={size[0]},{size[1]}"):
        options.add_argument(flag)
    command = [sys.executable, "-m", "hpsearch", "watch", name, "--web", "--no-open"]
    server = subprocess.Popen(command, cwd=place, stderr=subprocess.PIPE, text=True)
    browser = webdriver.Chrome(options=options, service=webdriver.ChromeService(shutil.which("chromedriver")))
    try:
        browser.get((server.stderr or io.StringIO()).readline().strip())
        drawn = "return document.querySelectorAll('.plot .main-svg').length >= 9"
        WebDriverWait(browser, 120).until(lambda _: browser.execute_script(drawn))
        time.sleep(2)  # the last curve is drawn by then, and the examination is there
        browser.save_screenshot(str(picture))
    finally:
        browser.quit()
        server.send_signal(signal.SIGINT)
        server.wait()


def photograph(address: str, picture: Path, *, size: tuple[int, int] = (1400, 1100)) -> None:
    """Take a picture of a page."""
    flags = ["--headless", "--no-sandbox", "--hide-scrollbars", f"--window-size={size[0]},{size[1]}"]
    waiting = ["--virtual-time-budget=10000", f"--screenshot={picture}"]
    subprocess.run([shutil.which("chromium") or "chromium", *flags, *waiting, address], check=True, capture_output=True)


if __name__ == "__main__":
    main()
