"""Server-sent events: the sections of the page that have changed, once a second, for as many as look at it.

Nothing is queued for anybody. Each section has a number that says when it changed last, and whoever is slow gets, when
he is ready, what has changed since he was told last.
"""

import asyncio
import contextlib
import json
import time
from collections.abc import AsyncIterator, Iterator

from starlette.requests import Request
from starlette.responses import PlainTextResponse, Response, StreamingResponse
from starlette.types import Receive, Scope, Send

from workers.page.bug_telling import BugTelling
from workers.page.limits import MAX_VIEWERS, VIEW_SECONDS
from workers.page.rendering import Renderer
from workers.page.reporter import Reporter

_TICK_SECONDS = 1.0
_SILENCE_SECONDS = 15.0
"""After which a comment is sent, so that whoever is gone is noticed."""


class Events:
    """All who look at the page."""

    def __init__(self, reporter: Reporter, renderer: Renderer, bugs: BugTelling) -> None:
        self._reporter = reporter
        self._renderer = renderer
        self._bugs = bugs
        self._number = 0
        self._sections: dict[str, tuple[int, str]] = {}
        """The number of its last change, and its HTML, by name."""
        self._viewers = 0
        self._someone_looks = asyncio.Event()
        self._changed = asyncio.Condition()

    async def run(self) -> None:
        """Look once a second while somebody looks at the page. A bug of ours costs one look."""
        while True:
            await self._someone_looks.wait()
            try:
                await self._tick()
            except Exception as error:  # noqa: BLE001 (whatever it is: it would end the whole page)
                self._bugs.tell(error, "the page keeps showing the last status")
            await asyncio.sleep(_TICK_SECONDS)

    async def _tick(self) -> None:
        sections = self._renderer.sections(await self._reporter.status())
        changed = {name: html for name, html in sections.items() if self._sections.get(name, (0, ""))[1] != html}
        if changed:
            self._number += 1
            self._sections.update({name: (self._number, str(html)) for name, html in changed.items()})
            async with self._changed:
                self._changed.notify_all()

    async def answer(self, request: Request) -> Response:
        """Begin to tell somebody, if there are not too many already."""
        if request.method == "HEAD":
            return Response(media_type="text/event-stream")
        if self._viewers >= MAX_VIEWERS:
            return PlainTextResponse("too many people are looking at the page\n", 503, {"Retry-After": "60"})
        return _Telling(self)

    @contextlib.contextmanager
    def viewer(self) -> Iterator[None]:
        """Somebody looks at the page. What the last one saw, who may have left long ago, is not shown to the first."""
        if not self._viewers:
            self._sections.clear()
        self._viewers += 1
        self._someone_looks.set()
        try:
            yield
        finally:
            self._viewers -= 1
            if not self._viewers:
                self._someone_looks.clear()

    async def tell(self) -> AsyncIterator[str]:
        """Yield everything, then what changes, as events."""
        seen = 0 if self._sections else self._number
        until = time.monotonic() + VIEW_SECONDS
        while time.monotonic() < until:
            if seen < self._number:
                news = {name: html for name, (number, html) in self._sections.items() if number > seen}
                seen = self._number
                yield f"data: {json.dumps(news)}\n\n"
            elif not await self._changed_after(seen):
                yield ":\n\n"

    async def _changed_after(self, seen: int) -> bool:
        """Wait for a change. Return False when none comes for some time."""
        try:
            async with asyncio.timeout(_SILENCE_SECONDS), self._changed:
                await self._changed.wait_for(lambda: self._number > seen)
        except TimeoutError:
            return False
        return True


class _Telling(StreamingResponse):
    """The response to one viewer, who counts for as long as it lasts."""

    def __init__(self, events: Events) -> None:
        super().__init__(events.tell(), media_type="text/event-stream", headers={"Cache-Control": "no-store"})
        self._events = events

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Tell until he is gone, or his time is over."""
        with self._events.viewer():
            await super().__call__(scope, receive, send)
