"""What the process of the page does: it serves, gives signs of life, and ends with the others."""

import asyncio
import socket

from workers.channels.scoreboard import GatewayPhase, ProcessState, Slot
from workers.page.application import build_application
from workers.page.bug_telling import BugTelling
from workers.page.chronicle import Chronicle
from workers.page.needs import PageNeeds
from workers.page.port import Port
from workers.page.storage_thread import StorageThread
from workers.page.web_server import WebServer

_BEAT_SECONDS = 0.5
_PORT_SECONDS = 5.0
"""Between two tries to open the port."""


class Site:
    """Serves until everybody else has ended."""

    def __init__(self, shared: PageNeeds, slot: Slot, port: Port) -> None:
        self._shared = shared
        self._slot = slot
        self._port = port
        self._bugs = BugTelling(shared.repetitions, slot)

    def run(self, listening_socket: socket.socket | None) -> None:
        """Serve at a socket, or as soon as the port can be opened."""
        asyncio.run(self._run(listening_socket))

    async def _run(self, listening_socket: socket.socket | None) -> None:
        asyncio.get_running_loop().set_exception_handler(self._tell_bug)
        listening_socket = listening_socket or await self._open_port()
        if listening_socket is None:
            return
        chronicle = Chronicle(self._shared.scoreboard, self._shared.page_memory)
        application, events = build_application(self._shared, StorageThread(), chronicle, self._bugs)
        server = WebServer(application, self._bugs)
        self._take_facts(chronicle)
        async with asyncio.TaskGroup() as tasks:
            telling = tasks.create_task(events.run())
            tasks.create_task(server.serve_at(listening_socket))
            while not self._is_over:
                self._slot.beat(ProcessState.WAITING)
                chronicle.sample_if_due()
                self._bugs.tell_rest()
                await asyncio.sleep(_BEAT_SECONDS)
            server.end()
            telling.cancel()

    def _take_facts(self, chronicle: Chronicle) -> None:
        """Take them as they come: there is little room where they wait."""
        queue = self._shared.facts.page_queue
        if queue is None:
            return

        def take() -> None:
            fact = queue.get()
            if fact is not None:
                chronicle.take(fact)

        asyncio.get_running_loop().add_reader(queue.fileno(), take)

    @property
    def _is_over(self) -> bool:
        return self._shared.scoreboard.phase >= GatewayPhase.FLUSHING_TELEMETRY

    async def _open_port(self) -> socket.socket | None:
        """Return the open port, however long that takes, or None when everybody else has ended before."""
        while not self._is_over:
            self._slot.beat(ProcessState.WAITING)
            await asyncio.sleep(_PORT_SECONDS)
            if listening_socket := self._port.open():
                return listening_socket
        return None

    def _tell_bug(self, _loop: asyncio.AbstractEventLoop, context: dict[str, object]) -> None:
        """Tell of what nobody waited for."""
        error = context.get("exception")
        if isinstance(error, Exception) and not isinstance(error, OSError):
            self._bugs.tell(error, "the page goes on")
