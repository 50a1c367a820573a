"""What a notebook's cell shows while a search runs."""

import io
import threading
from collections.abc import Mapping

from rich.console import Console
from rich.text import Text

from hpsearch.console.notebook import NotebookLive, as_bundle
from hpsearch.console.progress import LiveProgress, PlainProgress, make_progress
from hpsearch.console.search_state import SearchTarget
from hpsearch.records import Goal

AIM = SearchTarget(metric="val/<b>auc", goal=Goal.MAXIMIZE, budget=60, title="line", length=lambda _: 20)


def notebook() -> Console:
    return Console(file=io.StringIO(), force_jupyter=True)


def test_a_notebook_gets_the_live_display_unless_it_is_to_be_quiet() -> None:
    assert isinstance(make_progress(AIM, console=notebook()), LiveProgress)
    assert isinstance(make_progress(AIM, console=notebook(), quiet=True), PlainProgress)


def test_it_says_how_a_notebook_is_interrupted_and_escapes_every_name() -> None:
    bundle = as_bundle(LiveProgress(AIM, console=notebook()).frame(), width=100)
    assert "Interrupt the kernel" in bundle["text/plain"]
    assert "Ctrl-C" not in bundle["text/plain"]
    assert "val/&lt;b&gt;auc" in bundle["text/html"]
    assert "<b>auc" not in bundle["text/html"]


def test_it_is_drawn_from_the_first_moment_until_the_last() -> None:
    seen: list[str] = []
    redrawn = threading.Event()
    said = iter(["first", "second"])

    def show(bundle: Mapping[str, str]) -> None:
        seen.append(bundle["text/plain"].strip())
        if len(seen) == 2:
            redrawn.set()

    live = NotebookLive(lambda: Text(next(said, "last")), width=40, show=show)
    live.start()
    assert seen == ["first"]
    assert redrawn.wait(30)
    live.stop()
    assert seen[:2] + seen[-1:] == ["first", "second", "last"]
    assert not any(thread.name == "notebook display" for thread in threading.enumerate())


def test_a_front_end_that_is_gone_ends_no_search() -> None:
    def gone(bundle: Mapping[str, str]) -> None:
        raise OSError("the socket is closed")

    live = NotebookLive(lambda: Text("x"), width=40, show=gone)
    live.start()
    live.stop()
