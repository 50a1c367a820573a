"""A display that lives in a notebook: one output of a cell, which is drawn again while the cell runs.

Rich's own needs ipywidgets for that, and a front end that has them; this one needs IPython alone, as every kernel does.
"""

import contextlib
import threading
from collections.abc import Callable, Mapping
from io import StringIO

from rich.console import Console, RenderableType

REFRESHES = 2
"""How often a second the frame is drawn again: each one is a message to the browser."""
_PAGE = """\
<pre style="overflow-x:auto; line-height:normal; font-family:Menlo,'DejaVu Sans Mono',monospace">{code}</pre>
"""

Show = Callable[[Mapping[str, str]], None]
"""Shows a text by its MIME types, in place of what was shown before."""


def output_of_cell() -> Show:
    """Return what shows texts in one output of the cell that runs, which is made by the first of them."""
    from IPython.display import display

    handle = None

    def show(bundle: Mapping[str, str]) -> None:
        nonlocal handle
        if handle is None:
            handle = display(bundle, raw=True, display_id=True)  # type: ignore[no-untyped-call]
        else:
            handle.update(bundle, raw=True)

    return show


class NotebookLive:
    """Draws a frame again and again, as `rich.live.Live` does in a terminal, until it is stopped.

    Args:
        frame: Returns what to draw now; called from a thread of this object.
        width: Columns.
        show: Where to draw it; by default in an output of the running cell.
    """

    def __init__(self, frame: Callable[[], RenderableType], *, width: int, show: Show | None = None) -> None:
        self._frame = frame
        self._width = width
        self._show = show
        self._stopping = threading.Event()
        self._thread = threading.Thread(target=self._keep_drawing, name="notebook display", daemon=True)

    def start(self) -> None:
        """Draw the first frame, and go on until `stop`."""
        self._show = self._show or output_of_cell()
        self._draw()
        self._thread.start()

    def stop(self) -> None:
        """Draw the last frame, which stays."""
        self._stopping.set()
        self._thread.join()
        self._draw()

    def _keep_drawing(self) -> None:
        while not self._stopping.wait(1 / REFRESHES):
            self._draw()

    def _draw(self) -> None:
        """Draw the frame. A front end that has gone away ends no search."""
        if self._show is not None:
            with contextlib.suppress(OSError, ValueError):
                self._show(as_bundle(self._frame(), width=self._width))


def as_bundle(frame: RenderableType, *, width: int) -> dict[str, str]:
    """Return what a terminal of this width would show as HTML, in which everything is escaped, and as plain text."""
    paper = Console(file=StringIO(), record=True, width=width, force_terminal=True, force_jupyter=False)
    paper.print(frame)
    return {
        "text/html": paper.export_html(inline_styles=True, code_format=_PAGE, clear=False),
        "text/plain": paper.export_text(),
    }
