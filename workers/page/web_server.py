"""The web server: uvicorn, with bounds on connections that it does not have by itself.

uvicorn waits for ever for a request that does not come whole, and for a peer that does not read. Here each connection
has a deadline for its request and for taking its response, and one too many takes the place of the oldest that has not
sent a request.
"""

import asyncio
import contextlib
import fcntl
import socket
import struct
import termios
from collections.abc import Iterator

import uvicorn
from starlette.types import ASGIApp, Message, Receive, Scope, Send
from uvicorn.protocols.http.h11_impl import H11Protocol

from workers.page.bug_telling import BugTelling
from workers.page.limits import (
    MAX_BUFFER_BYTES,
    MAX_CONNECTIONS,
    MAX_CONNECTIONS_FOR_A_MOMENT,
    REQUEST_SECONDS,
    WRITE_SECONDS,
)

_DOUBT_SECONDS = 0.1
_NO_LINGER = struct.pack("ii", 1, 0)


class WebServer(uvicorn.Server):
    """Serves one application at one socket until `end` is called."""

    def __init__(self, application: ASGIApp, bugs: BugTelling) -> None:
        config = uvicorn.Config(
            Guarded(application, bugs),
            http=Connection,
            loop="asyncio",
            ws="none",
            lifespan="off",
            interface="asgi3",
            log_config=None,
            log_level="critical",  # what goes wrong with a peer is no news, what goes wrong with us `Guarded` tells
            access_log=False,
            server_header=False,
            proxy_headers=False,
            h11_max_incomplete_event_size=MAX_BUFFER_BYTES,
        )
        super().__init__(config)

    @contextlib.contextmanager
    def capture_signals(self) -> Iterator[None]:
        """Leave signals alone: the supervisor conducts."""
        yield

    async def serve_at(self, listening_socket: socket.socket) -> None:
        """Serve until `end` is called."""
        listening_socket.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, MAX_BUFFER_BYTES)  # those accepted inherit it
        await self.serve([listening_socket])

    def end(self) -> None:
        """Accept no more, and leave what is under way."""
        self.should_exit = self.force_exit = True


class Connection(H11Protocol):
    """One connection, with its deadlines."""

    _awaits_since = 0.0
    """Since when it awaits a request, by the clock of the loop."""
    _deadline: asyncio.TimerHandle | None = None
    _write_deadline: asyncio.TimerHandle | None = None
    _doubt: asyncio.TimerHandle | None = None

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        """Begin, in the place of another if there are too many."""
        super().connection_made(transport)
        transport.set_write_buffer_limits(high=MAX_BUFFER_BYTES)
        self._await_request()
        if len(self.connections) <= MAX_CONNECTIONS or self._take_place_of_a_silent_one():
            return
        if len(self.connections) > MAX_CONNECTIONS_FOR_A_MOMENT:
            transport.abort()
            return
        self._doubt = self.loop.call_later(_DOUBT_SECONDS, self._abort_if_too_many)  # some are done in a moment

    def connection_lost(self, exc: Exception | None) -> None:
        """End."""
        for timer in (self._deadline, self._write_deadline, self._doubt):
            if timer:
                timer.cancel()
        super().connection_lost(exc)

    def on_response_complete(self) -> None:
        """Await the next request."""
        super().on_response_complete()
        self._await_request()

    def pause_writing(self) -> None:
        """The peer takes nothing at the moment."""
        super().pause_writing()
        self._write_deadline = self.loop.call_later(WRITE_SECONDS, self._cut)

    def resume_writing(self) -> None:
        """It has taken something."""
        super().resume_writing()
        if self._write_deadline:
            self._write_deadline.cancel()

    def _cut(self) -> None:
        """Leave nothing to the kernel either: it would go on to offer what the peer does not take."""
        connection: socket.socket = self.transport.get_extra_info("socket")
        connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, _NO_LINGER)
        self.transport.abort()

    def _take_place_of_a_silent_one(self) -> bool:
        """Abort the connection that has awaited a request for longest, if one has nothing to be read either."""
        others = [one for one in self.connections if isinstance(one, Connection) and one is not self]
        silent = [one for one in others if one._awaits_request and not one._has_unread]
        if not silent:
            return False
        min(silent, key=lambda one: one._awaits_since).forget()
        return True

    def forget(self) -> None:
        """Abort, and hold no place from now on, not only when the loop comes to it."""
        self.connections.discard(self)
        self.transport.abort()

    @property
    def _awaits_request(self) -> bool:
        return self.cycle is None or self.cycle.response_complete

    @property
    def _has_unread(self) -> bool:
        """Whether something came that the loop has not come to yet."""
        connection: socket.socket = self.transport.get_extra_info("socket")
        return any(fcntl.ioctl(connection.fileno(), termios.FIONREAD, bytes(4)))

    def _await_request(self) -> None:
        self._awaits_since = self.loop.time()
        if self._deadline:
            self._deadline.cancel()
        self._deadline = self.loop.call_later(REQUEST_SECONDS, self._abort_if_idle)

    def _abort_if_too_many(self) -> None:
        if len(self.connections) > MAX_CONNECTIONS:
            self.transport.abort()

    def _abort_if_idle(self) -> None:
        if self._awaits_request:
            self.transport.abort()


class Guarded:
    """An application in which a bug of ours costs one answer and one line of log."""

    def __init__(self, application: ASGIApp, bugs: BugTelling) -> None:
        self._application = application
        self._bugs = bugs

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer one request."""
        started = False

        async def send_on(message: Message) -> None:
            nonlocal started
            started = True
            await send(message)

        try:
            await self._application(scope, receive, send_on)
        except Exception as error:
            self._bugs.tell(error, "the page gave no answer")
            if started:
                raise  # which cuts the connection: the rest is missing
            await send({"type": "http.response.start", "status": 500, "headers": [(b"content-length", b"0")]})
            await send({"type": "http.response.body", "body": b""})
