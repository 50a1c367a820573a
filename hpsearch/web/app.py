"""The addresses of the page: its files, what they ask for as JSON, and the stream of what changes."""

import asyncio
import os
from collections.abc import AsyncIterator, Callable, Iterator
from dataclasses import asdict
from functools import cached_property
from importlib.resources import files
from typing import Any, BinaryIO

import orjson
from starlette.applications import Starlette
from starlette.concurrency import run_in_threadpool
from starlette.requests import Request
from starlette.responses import Response, StreamingResponse
from starlette.routing import Route

from hpsearch.errors import HpsearchError, UnknownNameError
from hpsearch.experiment.files import fault_of_the_machine
from hpsearch.plain_files import open_plain
from hpsearch.web import details
from hpsearch.web.control import obey
from hpsearch.web.feed import Feed
from hpsearch.web.guard import App, Guard
from hpsearch.web.shelf import Opening, Shelf

EVERY = 1.0
"""Seconds between two looks at a log that a browser watches."""
SIGN_EVERY = 15.0
"""Seconds after which a silent stream says that it is still there."""
LONGEST_ORDER = 100_000
"""Bytes of an order."""
_PART = 1 << 20
"""Bytes of an artifact that are read at once."""
_DIGITS = 20
"""An offset of a log has fewer."""
_TYPES = {".html": "text/html", ".css": "text/css", ".js": "text/javascript"}
_DAY = {"cache-control": "private, max-age=86400, immutable"}


class Page:
    """The page over a shelf of experiments; without a first one it begins with the list of all.

    `stopping` says that the server is about to end, so that streams end, too.
    """

    def __init__(
        self,
        shelf: Shelf,
        token: str,
        opening: Opening = Opening(),  # noqa: B008 - it is frozen
        *,
        stopping: Callable[[], bool] = lambda: False,
    ) -> None:
        self.shelf = shelf
        self._opening = opening
        self._stopping = stopping
        self._sparing: dict[tuple[str, str], details.Sparing] = {}
        self.app: App = Guard(Starlette(routes=self._routes()), token)

    def _routes(self) -> list[Route]:
        answers: dict[str, Callable[[Request], Any]] = {
            "/api/start": lambda _: asdict(self._opening),
            "/api/experiments": lambda _: {"experiments": self.shelf.told()},
            "/api/experiment": lambda request: self._feed(request).whole(),
            "/api/glance": lambda request: self._feed(request).glance(),
            "/api/curves": lambda request: self._feed(request).curves(),
            "/api/changes": self._changes_since,
            "/api/examination": lambda request: self._spared(request, details.examination),
            "/api/confirmation": lambda request: self._spared(request, details.confirmation),
            "/api/study": lambda request: self._spared(request, details.study),
            "/api/training": lambda request: details.training(
                self._feed(request).record(), request.query_params["run"]
            ),
        }
        orders = [Route("/api/orders", self._orders, methods=["POST"])] if self._opening.control else []
        return [
            *orders,
            *(Route(path, _answering(answer)) for path, answer in answers.items()),
            Route("/api/stream", self._stream),
            Route("/artifact", self._artifact),
            Route("/plotly.js", self._plotly),
            Route("/", self._file),
            Route("/{name}", self._file),
        ]

    def _feed(self, request: Request) -> Feed:
        return self.shelf.feed(request.query_params.get("of", ""))

    def _folder(self, request: Request) -> Any:
        return self.shelf.folder(request.query_params.get("of", ""))

    def _spared(self, request: Request, find: Callable[[Any], dict[str, Any]]) -> dict[str, Any]:
        folder = self._folder(request)
        key = find.__name__, str(folder)
        return self._sparing.setdefault(key, details.Sparing(lambda: find(folder)))()

    def _changes_since(self, request: Request) -> dict[str, Any]:
        asked = request.query_params
        changes = self._feed(request).since(_whole(asked["generation"]), _whole(asked["offset"]))
        return {"anew": True} if changes is None else changes

    async def _stream(self, request: Request) -> Response:
        """Answer with what has changed since an offset, and go on telling until the browser goes away."""
        try:
            feed = await run_in_threadpool(self._feed, request)
            generation = _whole(request.query_params["generation"])
            offset = _whole(request.headers.get("last-event-id") or request.query_params["offset"])
        except (HpsearchError, KeyError) as error:
            return _json({"error": str(error)}, status=400)
        told = self._changes(feed, generation, offset)
        return StreamingResponse(told, media_type="text/event-stream", headers={"x-accel-buffering": "no"})

    async def _changes(self, feed: Feed, generation: int, offset: int) -> AsyncIterator[bytes]:
        silent = 0.0
        was_live = None
        while not self._stopping():
            try:
                changes = await run_in_threadpool(feed.since, generation, offset)
            except (HpsearchError, OSError) as error:  # the folder has gone, or is being written anew
                yield _event("lost", {"error": str(error)})
                return
            if changes is None:
                yield _event("anew", {})
                return
            live, silent = changes["head"]["live"], silent + EVERY
            if changes["offset"] > offset or live or live != was_live:
                offset, silent = changes["offset"], 0.0
                yield _event("changes", changes, number=offset)
            elif silent >= SIGN_EVERY:
                silent = 0.0
                yield b": still here\n\n"
            was_live = live
            await asyncio.sleep(EVERY)

    async def _orders(self, request: Request) -> Response:
        """Place an order that the page gives."""
        content = b""
        async for part in request.stream():
            content += part
            if len(content) > LONGEST_ORDER:
                return _json({"error": f"an order has at most {LONGEST_ORDER:,} bytes"}, status=413)
        try:
            asked = orjson.loads(content)
            folder = await run_in_threadpool(self._folder, request)
            return _json(await run_in_threadpool(obey, folder, asked, trust=self._opening.trust))
        except (HpsearchError, ValueError) as error:
            return _json({"error": str(error)}, status=400)
        except OSError as error:
            return _json({"error": fault_of_the_machine(error) or str(error)}, status=503)

    def _artifact(self, request: Request) -> Response:
        """Answer with a picture of a training, to be looked at; with any other file to be kept."""
        try:
            feed = self._feed(request)
            run = details.found_run(feed.record(), request.query_params.get("run", ""))
            known = details.artifacts(feed.folder / run.run)
            name = request.query_params.get("name", "")
            if name not in known:
                raise UnknownNameError("artifact", name, known)
            file = open_plain(known[name])
        except (HpsearchError, OSError) as error:
            return _json({"error": str(error)}, status=404)
        size = os.fstat(file.fileno()).st_size
        headers = {"content-length": str(size)}
        if name.endswith(".png"):
            return StreamingResponse(_parts(file, size), media_type="image/png", headers=headers)
        headers |= {"content-disposition": "attachment"}
        return StreamingResponse(_parts(file, size), media_type="application/octet-stream", headers=headers)

    @cached_property
    def _files(self) -> dict[str, bytes]:
        return {path.name: path.read_bytes() for path in (files("hpsearch.web") / "page").iterdir()}

    def _file(self, request: Request) -> Response:
        name = request.path_params.get("name") or "index.html"
        if name not in self._files:
            return Response("there is no such page\n", status_code=404, media_type="text/plain")
        kind = _TYPES.get(name[name.rfind(".") :], "application/octet-stream")
        return Response(self._files[name], media_type=kind)

    def _plotly(self, _: Request) -> Response:
        """Answer with plotly.js as the installed package has it; of this address it does not change."""
        content = (files("plotly") / "package_data" / "plotly.min.js").read_bytes()
        return Response(content, media_type="text/javascript", headers=_DAY)


def _answering(answer: Callable[[Request], Any]) -> Callable[[Request], Response]:
    """Return an endpoint that answers with JSON; it runs in a thread, and says what is wrong in a sentence."""

    def endpoint(request: Request) -> Response:
        try:
            return _json(answer(request))
        except (HpsearchError, KeyError) as error:  # or the request lacks something
            return _json({"error": str(error)}, status=404)
        except OSError as error:
            return _json({"error": fault_of_the_machine(error) or str(error)}, status=503)

    return endpoint


def _parts(file: BinaryIO, left: int) -> Iterator[bytes]:
    """Yield so many bytes of a file: one that grows meanwhile is as long as was said."""
    with file:
        while left and (part := file.read(min(left, _PART))):
            left -= len(part)
            yield part


def _whole(text: str) -> int:
    if not (text.isdecimal() and text.isascii() and len(text) < _DIGITS):
        raise HpsearchError(f"{text!r} is no offset of a log")
    return int(text)


def _json(value: Any, *, status: int = 200) -> Response:
    """Return JSON; numbers that are not finite are null in it."""
    return Response(orjson.dumps(value), status_code=status, media_type="application/json")


def _event(name: str, value: Any, *, number: int | None = None) -> bytes:
    """Return one server-sent event."""
    head = f"event: {name}\n" + ("" if number is None else f"id: {number}\n")
    return head.encode() + b"data: " + orjson.dumps(value) + b"\n\n"
