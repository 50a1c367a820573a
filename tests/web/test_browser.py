"""The page in a real browser: a search that runs fills it, orders reach the search, and it fits every screen."""

import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from hpsearch.experiment.files import write_json
from hpsearch.experiment.layout import ARTIFACTS
from hpsearch.experiment.reading import read_experiment
from hpsearch.records import Outcome
from tests.browsing import chromium, complaints, look
from tests.experiment_factory import GrowingExperiment, grow_confirmation, grow_search
from tests.web.test_feed import grown

if TYPE_CHECKING:
    from selenium import webdriver

pytestmark = pytest.mark.slow
PATIENCE = 60


@pytest.fixture(scope="module")
def browser() -> Iterator["webdriver.Chrome"]:
    with chromium() as driver:
        yield driver


@contextmanager
def served(folder: Path, *words: str, ending: signal.Signals = signal.SIGINT) -> Iterator[str]:
    """The address of the page, served by the command itself, which then ends quietly by Ctrl-C."""
    command = [sys.executable, "-m", "hpsearch", *words, "--no-open"]
    environment = {name: value for name, value in os.environ.items() if name != "SSH_CONNECTION"}
    process = subprocess.Popen(command, cwd=folder, stderr=subprocess.PIPE, text=True, env=environment)
    assert process.stderr is not None
    try:
        yield process.stderr.readline().strip()
    finally:
        process.send_signal(ending)
        try:
            code, said = process.wait(60), process.stderr.read()
        finally:
            process.kill()
            process.stderr.close()
    assert (code, said) == (0, "")


def until(browser: "webdriver.Chrome", script: str, *arguments: Any) -> Any:
    """Wait until a script in the page answers with something true."""
    from selenium.webdriver.support.wait import WebDriverWait

    return WebDriverWait(browser, PATIENCE).until(
        lambda _: browser.execute_script(f"return {script}", *arguments), script
    )


def text_of(browser: "webdriver.Chrome") -> str:
    return str(browser.execute_script("return document.body.innerText"))


@pytest.fixture(scope="module")
def finished(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Two searches that have ended, with all that there is to show; names and texts are strangers'."""
    root = tmp_path_factory.mktemp("finished") / "experiments"
    for place, name in enumerate(("line <b>& co", "other")):
        growing = GrowingExperiment(root / name)
        grow_search(growing, seed=place)
        grow_confirmation(growing)
        reason = "<script>document.title='taken'</script><img src=x onerror=alert(1)>"
        run = growing.trial(30, (0.3,), outcome=Outcome.FAILED, params={"model.width": "<i>wide</i>"}, reason=reason)
        (growing.folder / run / "output.log").write_text("epoch 1\n<b>loss</b> 0.3\n" * 200, encoding="utf-8")
        (growing.folder / run / ARTIFACTS).mkdir()
        write_json(growing.folder / run / ARTIFACTS / "map.json", {"version": 1})
        growing.log.close()
    return root


PAGES = ["", "&run=trials/0030", "#compare=line+%3Cb%3E%26+co&with=other", "#all"]


@pytest.mark.parametrize(("width", "dark"), [(1400, False), (390, True)])
def test_every_page_is_drawn_and_fits_the_screen(
    browser: "webdriver.Chrome", finished: Path, width: int, dark: bool
) -> None:
    with served(finished.parent, "watch", "line <b>& co", "--web") as address:
        for page in PAGES:
            first = "#experiment=line+%3Cb%3E%26+co" if not page.startswith("#") else ""
            look(browser, f"{address}{first}{page}", width=width, dark=dark)
            drawn = "document.querySelectorAll('.plot .main-svg').length"
            until(
                browser,
                f"{drawn} >= {0 if page == '#all' else 2} && document.body.innerText.includes('line <b>& co')",
            )
            browser.execute_script("window.scrollTo(0, document.body.scrollHeight)")
            until(browser, "!document.body.innerText.includes('Looking at the trainings')")
            assert browser.execute_script("return document.documentElement.scrollWidth <= window.innerWidth")
            assert (
                browser.execute_script("return document.querySelectorAll('main img, main script, main i b').length")
                == 0
            )
            assert complaints(browser) == []
            assert browser.title != "taken"


def test_the_table_is_sorted_filtered_and_leads_to_a_trial(browser: "webdriver.Chrome", finished: Path) -> None:
    with served(finished.parent, "ui", "other") as address:
        look(browser, address, width=1400, dark=False)
        first = "document.querySelector('.trials tbody tr[data-trial]')?.dataset.trial"
        best = read_experiment(finished / "other").best
        assert best is not None
        until(browser, f"{first} === '{best.number}'")
        browser.find_element("xpath", "//th[normalize-space()='trial']").click()
        until(browser, f"{first} === '0'")
        find = browser.find_element("css selector", "input[type=search]")
        find.send_keys("outcome=diverged learning_rate>0")
        shown = "[...document.querySelectorAll('.trials tbody tr[data-trial]')].map(e => e.innerText)"
        rows = until(browser, f"({shown}).every(e => e.includes('diverged')) && {shown}")
        assert len(rows) == sum(run.outcome is Outcome.DIVERGED for run in read_experiment(finished / "other").trials)
        browser.find_element("css selector", ".trials tbody tr[data-trial]").click()
        until(browser, "document.body.innerText.includes('Configuration')")
        assert "run=trials" in browser.current_url


def test_ten_thousand_trials_are_painted_soon_and_few_rows_are_there(
    browser: "webdriver.Chrome", tmp_path: Path
) -> None:
    grown(tmp_path / "experiments" / "many", 10_000)
    with served(tmp_path, "watch", "many", "--web") as address:
        look(browser, address, width=1400, dark=False)
        until(browser, "document.body.innerText.includes('10000 trials')")
        painted = browser.execute_script("return performance.getEntriesByName('first-contentful-paint')[0].startTime")
        shown = browser.execute_script("return performance.getEntriesByName('hpsearch-shown')[0].startTime")
        print(f"10,000 trials: first paint {painted:.0f} ms, the table {shown:.0f} ms")
        assert browser.execute_script("return document.querySelectorAll('.trials tbody tr').length") < 100
        until(browser, "document.querySelectorAll('.plot .main-svg').length >= 2")
        browser.execute_script("const t = document.querySelector('.trials'); t.scrollTop = t.scrollHeight")
        until(browser, "[...document.querySelectorAll('.trials tbody tr[data-trial]')].at(-1).dataset.trial === '9999'")
        assert browser.execute_script("return document.querySelectorAll('.trials tbody tr').length") < 100
        assert complaints(browser) == []


def test_a_study_shows_its_arms_and_leads_to_them(browser: "webdriver.Chrome") -> None:
    kept = Path(__file__).parents[1] / "kept"
    with served(kept.parents[1], "watch", str(kept / "study"), "--web") as address:
        look(browser, address, width=390, dark=False)
        until(browser, "document.querySelectorAll('.plot .main-svg').length >= 1")
        assert "Which optimizer?" in text_of(browser)
        assert browser.execute_script("return document.documentElement.scrollWidth <= window.innerWidth")
        browser.find_element("link text", "adamw").click()
        until(browser, "document.querySelector('h1')?.innerText === 'study/adamw'")
        until(browser, "document.body.innerText.includes('Confirmation')")
        assert complaints(browser) == []


PROGRAM = """\
import argparse, time
parser = argparse.ArgumentParser()
parser.add_argument("--lr", type=float)
given = parser.parse_args()
for step in range(1, 10_000 if given.lr > 0.5 else 6):
    print(f"step {step} loss={(given.lr - 0.01) ** 2 + 1 / step:.5f}", flush=True)
    time.sleep(0.1)
"""
SPACE = r"""
family: command
objective: {metric: loss, goal: minimize, at: best}
command: python train.py --lr {train.lr}
metrics: {pattern: 'step (?P<step>\d+) loss=(?P<loss>\S+)'}
search: {trials: 3, workers: 1, sampler: random, pruner: none}
train: {lr: {log: [1e-4, 1]}}
start: [{train.lr: 1e-3}, {train.lr: 0.9}, {train.lr: 1e-2}]
confirm: {seeds: 1}
"""


def test_a_search_fills_the_page_and_obeys_it(browser: "webdriver.Chrome", tmp_path: Path) -> None:
    """A trial that would run for a quarter of an hour is stopped, another one is added, and a note is pinned."""
    (tmp_path / "train.py").write_text(PROGRAM, encoding="utf-8")
    (tmp_path / "own.yaml").write_text(SPACE, encoding="utf-8")
    command = [sys.executable, "-m", "hpsearch", "run", "own.yaml", "--quiet", "--no-mlflow"]
    with subprocess.Popen(command, cwd=tmp_path, stdout=subprocess.DEVNULL) as search:
        try:
            folder = tmp_path / "experiments" / "own"
            until(browser, "arguments[0]", True)
            for _ in range(PATIENCE * 10):
                if (folder / "log.jsonl").exists():
                    break
                browser.execute_async_script("setTimeout(arguments[0], 100)")
            with served(tmp_path, "watch", "own", "--web", "--control") as address:
                steer(browser, address, folder)
                assert search.wait(PATIENCE) == 0
                until(browser, "document.querySelector('h1 ~ .pill')?.innerText === 'finished'")
                until(browser, "document.body.innerText.includes('4 of 4')")
                assert complaints(browser) == []
        finally:
            search.kill()
    trials = {run.number: run for run in read_experiment(folder).trials}
    assert trials[1].outcome is Outcome.STOPPED
    assert any(run.params["train.lr"] == 0.002 and run.outcome is Outcome.COMPLETE for run in trials.values())
    assert [note.text for note in trials[1].notes] == ["too long"]


def steer(browser: "webdriver.Chrome", address: str, folder: Path) -> None:
    look(browser, address, width=1400, dark=False)
    until(
        browser, "document.querySelector('.worker .stop button') && document.body.innerText.includes('trial 1: epoch')"
    )
    points = "document.querySelectorAll('.plot .main-svg .point').length"
    until(browser, f"{points} >= 5")
    press(browser, "Try …")
    browser.find_element("css selector", "dialog input").send_keys("0.002")
    press(browser, "Try it")
    until(browser, "!document.querySelector('dialog')")
    browser.get(f"{address}#experiment=own&run=trials/0001")
    until(browser, "[...document.querySelectorAll('button')].some(e => e.innerText === 'Note')")
    press(browser, "Note")
    browser.find_element("css selector", "dialog textarea").send_keys("too long")
    press(browser, "Pin")
    until(browser, "document.body.innerText.includes('too long')")
    browser.get(f"{address}#experiment=own")
    until(browser, "document.querySelector('.worker .stop button')")
    browser.find_element("css selector", ".worker .stop button").click()
    browser.find_element("xpath", "//dialog//button[@type='submit']").click()
    until(browser, "document.querySelector('.trials')?.innerText.includes('stopped')")


def press(browser: "webdriver.Chrome", words: str) -> None:
    browser.find_element("xpath", f"//button[normalize-space()='{words}']").click()
