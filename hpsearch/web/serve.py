"""Serving the page on loopback until Ctrl-C."""

import contextlib
import os
import socket
import sys
import tempfile
import webbrowser
from collections.abc import Callable, Iterator
from pathlib import Path

from hpsearch.errors import HpsearchError
from hpsearch.experiment.layout import is_experiment
from hpsearch.web.shelf import Opening, Shelf

HOST = "127.0.0.1"
GOODBYE_SECONDS = 2
"""How long browsers are given to let go at the end."""
LEADS_ON = '<!doctype html><title>hpsearch</title><meta http-equiv="refresh" content="0; url={address}">\n'


def serve(
    shelf: Shelf,
    opening: Opening,
    *,
    port: int = 0,
    announce: Callable[[str], None],
    open_browser: bool = True,
) -> None:
    """Serve the page until Ctrl-C; `announce` gets its address. Port 0 is any free one.

    Raises:
        HpsearchError: The port cannot be used.
    """
    import uvicorn

    from hpsearch.web.app import Page
    from hpsearch.web.guard import new_token

    if opening.first and is_experiment(shelf.folder(opening.first)):
        shelf.feed(opening.first).advance()  # what takes seconds of a large search is done before somebody waits for it
    with listening(port) as heard:
        token, there = new_token(), heard.getsockname()[1]
        page = Page(shelf, token, opening, stopping=lambda: server.should_exit)
        config = uvicorn.Config(
            page.app,
            log_level="critical",
            access_log=False,
            lifespan="off",
            server_header=False,
            ws="none",
            timeout_graceful_shutdown=GOODBYE_SECONDS,
        )
        server = uvicorn.Server(config)
        address = f"http://{HOST}:{there}/{token}/"
        announce(address)
        if "SSH_CONNECTION" in os.environ:
            announce(
                f"from your own machine: ssh -L {there}:{HOST}:{there} {socket.gethostname()}, then the same address"
            )
        opened = shown(address) if open_browser and _has_screen() else contextlib.nullcontext()
        with contextlib.suppress(KeyboardInterrupt), opened:
            server.run(sockets=[heard])


@contextlib.contextmanager
def shown(address: str) -> Iterator[None]:
    """Open a browser at an address, by a private file that leads there and is removed after the block.

    The arguments of a browser are those of a process, which every account of the machine can read.
    """
    with contextlib.ExitStack() as stack:
        with contextlib.suppress(OSError):  # on a full disk the address was announced
            private = stack.enter_context(tempfile.TemporaryDirectory(prefix="hpsearch-", ignore_cleanup_errors=True))
            page = Path(private, "open.html")
            page.write_text(LEADS_ON.format(address=address), encoding="utf-8")
            webbrowser.open(page.as_uri())
        yield


def listening(port: int) -> socket.socket:
    """Return a socket that listens on a port of loopback.

    Raises:
        HpsearchError: The port is taken, or may not be used.
    """
    try:
        return socket.create_server((HOST, port))
    except OSError as error:
        why = os.strerror(error.errno) if error.errno else str(error)
        raise HpsearchError(f"port {port} of {HOST} cannot be used ({why}); choose another with --port") from error


def _has_screen() -> bool:
    """Check whether a browser would have a window, here and not at the other end of a network."""
    if "SSH_CONNECTION" in os.environ:
        return False
    return sys.platform != "linux" or any(name in os.environ for name in ("DISPLAY", "WAYLAND_DISPLAY"))
