"""Sends messages to a NATS server, in a thread of its own. Whoever publishes never waits, and never fails.

A message that cannot be sent soon is dropped and counted: at once while no server answers, or when MAX_WAITING wait.
After that a server is tried once a second for ever. Each connection is a new client without the reconnection of
nats-py, which waits for a server that hangs to take what was written to it.

What a message says is asked right before it is written: a death of this process before that moment loses nothing that
whoever answers has not done yet. Whoever answers may take his time, for nobody waits for this thread.
"""

import asyncio
import collections
import contextlib
import dataclasses
import threading
import time
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING

from loguru import logger

from oxidicom.lonk.address import shown
from oxidicom.lonk.connection import abandon, connect, new_client, reason_of
from oxidicom.outage import Outage

if TYPE_CHECKING:
    from nats.aio.client import Client

MAX_WAITING = 10_000
_MAX_AT_ONCE = 500
_ANSWER_SECONDS = 2
"""A server that does not answer a ping for so long hangs, or is so slow that it costs messages."""
_PING_SECONDS = 5.0
_TURNS = 5
_RETRY_SECONDS = 1.0
_CLOSE_SECONDS = 0.8


@dataclasses.dataclass(frozen=True, slots=True)
class Message:
    """What is said of one series at one moment."""

    subject: str
    payloads: Callable[[], Sequence[bytes]]
    """Asked once, right before they are written or dropped, by the thread that does so; none: nothing is said."""


class Publisher(threading.Thread):
    """Publishes to the first server that answers."""

    def __init__(self, addresses: Sequence[str], credentials: str, count: Callable[[int, int], None]) -> None:
        """`credentials` is the path of a `.creds` file, or empty. `count` is told what was published, and dropped.

        It is called by this thread and by the caller of `publish`, under a lock.
        """
        super().__init__(daemon=True, name="lonk")
        self._addresses = list(addresses)
        self._credentials = credentials
        self._count = count
        self._lock = threading.Lock()
        self._waiting: collections.deque[Message] = collections.deque()
        self._is_away = False
        """No server answered when it was tried last."""
        self._is_closing = False
        self._loop = asyncio.new_event_loop()
        self._wake = asyncio.Event()
        self._outage = Outage("nats")
        self._last_error: Exception | None = None
        self._is_refused = False
        """It was told that the server refuses messages."""

    def publish(self, message: Message) -> None:
        """Send a message soon, or drop it."""
        if self._is_away or len(self._waiting) >= MAX_WAITING:
            self._drop([message])
            return
        self._waiting.append(message)
        with contextlib.suppress(RuntimeError):  # the loop has ended
            self._loop.call_soon_threadsafe(self._wake.set)

    @property
    def is_busy(self) -> bool:
        """Whether messages wait to be sent."""
        return bool(self._waiting)

    def close(self) -> None:
        """Send what waits, within a second."""
        self._is_closing = True
        with contextlib.suppress(RuntimeError):
            self._loop.call_soon_threadsafe(self._wake.set)
        self.join(_CLOSE_SECONDS)

    def run(self) -> None:
        """Connect, send, and connect again."""
        self._loop.set_exception_handler(lambda _, context: logger.debug("NATS: {what}", what=context["message"]))
        with contextlib.suppress(RuntimeError):  # the interpreter ends
            self._loop.run_until_complete(self._serve())
        self._loop.close()

    async def _serve(self) -> None:
        while not self._is_closing:
            client = await self._connect()
            if client is None:
                await self._rest()
                continue
            began = time.monotonic()
            reason = await self._send_over(client)
            logger.debug("The connection to NATS is over: {reason}", reason=reason)
            await abandon(client)
            if time.monotonic() < began + _RETRY_SECONDS:
                await self._rest()  # a server that closes each connection is asked no more often than one that is away

    async def _connect(self) -> "Client | None":
        """Return a client of the first server that answers, or None."""
        reason = ""
        for address in list(self._addresses):
            client = new_client()
            reason = await self._try(client, address)
            if not reason:
                self._tell_back(address)
                self._addresses.remove(address)
                self._addresses.insert(0, address)
                return client
            await abandon(client)
            if self._is_closing:
                return None
        self._is_away = True
        self._tell_away(reason)
        self._drop(self._take(len(self._waiting)))
        return None

    async def _try(self, client: "Client", address: str) -> str:
        """Let a client connect. Return why it cannot; '' when it is connected."""
        self._last_error = None
        try:
            await connect(client, address, self._credentials, on_error=self._note, on_end=self._disconnected)
        except Exception as error:  # noqa: BLE001 (whatever it is: nothing can be sent)
            return reason_of(self._last_error or error)
        return ""

    async def _send_over(self, client: "Client") -> str:
        """Send what comes, until it is over. Return why."""
        try:
            while True:
                batch = self._take(_MAX_AT_ONCE)
                if not batch and self._is_closing:
                    return ""
                await self._send(client, batch)
                if not self._waiting:
                    with contextlib.suppress(TimeoutError):
                        async with asyncio.timeout(0 if self._is_closing else _PING_SECONDS):
                            await self._wake.wait()
                self._wake.clear()
                if not client.is_connected:
                    return reason_of(self._last_error or ConnectionResetError("the connection was closed"))
        except Exception as error:  # noqa: BLE001 (whatever it is: nothing more can be sent over this connection)
            return reason_of(self._last_error or error)

    async def _send(self, client: "Client", batch: list[Message]) -> None:
        """Write messages, and see that the server has them; without any this is a ping."""
        written = 0
        try:
            async with asyncio.timeout(_ANSWER_SECONDS):
                while batch and client.is_connected:
                    message = batch.pop(0)
                    for payload in message.payloads():
                        await client.publish(message.subject, payload)
                        written += 1
                    await _written(client)
                await client.flush(_ANSWER_SECONDS)
                self._tell_refused()
        except Exception:
            self._tell_counts(0, written)
            self._waiting.extendleft(reversed(batch))
            raise
        self._waiting.extendleft(reversed(batch))
        self._tell_counts(written, 0)

    async def _rest(self) -> None:
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(_RETRY_SECONDS):
                while not self._is_closing:
                    await self._wake.wait()
                    self._wake.clear()

    async def _note(self, error: Exception) -> None:
        self._last_error = error

    async def _disconnected(self) -> None:
        self._wake.set()

    def _take(self, count: int) -> list[Message]:
        return [self._waiting.popleft() for _ in range(min(count, len(self._waiting)))]

    def _drop(self, messages: Sequence[Message]) -> None:
        """Nobody hears these; whoever knows what they say has to hear that their time is over all the same."""
        self._tell_counts(0, sum(len(message.payloads()) for message in messages))

    def _tell_counts(self, published: int, dropped: int) -> None:
        with self._lock:
            self._count(published, dropped)

    def _tell_refused(self) -> None:
        """Say what the server has against our messages, although it keeps the connection."""
        if self._last_error and not self._is_refused:
            self._is_refused = True
            logger.warning(
                "The NATS server takes no live progress: {reason}",
                reason=reason_of(self._last_error),
                action="nats_refused",
            )
        self._last_error = None

    def _tell_back(self, address: str) -> None:
        self._is_away = False
        self._outage.is_over("NATS is back at {address}; live progress is published again", address=shown(address))

    def _tell_away(self, reason: str) -> None:
        self._outage.goes_on(
            "Live progress is lost (images are not affected): no NATS server can be used",
            reason,
            remedy="see that one of {addresses} runs, or correct CHRIS_NATS_ADDRESS",
            addresses=", ".join(map(shown, sorted(self._addresses))),
        )


async def _written(client: "Client") -> None:
    """Let nats-py write what it was given, before the next message is asked: it does so when it has a turn."""
    for _ in range(_TURNS):
        if not client.pending_data_size:
            return
        await asyncio.sleep(0)
