"""The health page: /healthz, /readyz and /metrics over HTTP, for Kubernetes, Prometheus and people.

- `/healthz`: 200 while every process gives signs of life, else 503.
- `/readyz`: 200 while the gateway accepts associations and its storage takes instances, else 503. It is about
  reception only: a database that is away, a backlog, a tree that takes nothing are `degraded`, with their reasons, and
  stay 200, or an outage of what all gateways share would take all of them out of the balancer at once.

An answer costs no walk of the spool: it is read from the scoreboard.
"""

import http.server
import json
import socket
import sys
import threading
import time
from collections.abc import Callable
from typing import Any

from loguru import logger

from oxidicom.errors import DatasetError
from oxidicom.storage.reserve import Reserve
from oxidicom.telemetry.prometheus import CONTENT_TYPE
from workers.channels.bugs import place_of
from workers.channels.ports import open_port
from workers.channels.scoreboard import Counter, GatewayPhase, ProcessState, Role, Scoreboard
from workers.channels.storage_condition import StorageCondition, sentence_of
from workers.observer.needs import ObserverNeeds
from workers.observer.readings import backlog

_ANSWER_SECONDS = 15.0
_SILENT_SECONDS = 60.0
_REQUEST_SECONDS = 5.0
MAX_REQUESTS = 16
"""Of the health page at once."""


def health(shared: ObserverNeeds) -> tuple[bool, dict[str, Any]]:
    """Tell whether every process is alive, and which are not."""
    now_ns = time.monotonic_ns()
    silent = [
        slot.role.name.lower()
        for slot in shared.scoreboard.slots
        if slot.pid  # else it waits for the storage to be there
        and slot.state not in (ProcessState.SYNCING, ProcessState.ENDED)
        and (now_ns - slot.heartbeat_ns) / 1e9 > _SILENT_SECONDS
    ]
    return not silent, {"status": "failing" if silent else "ok", "silent": silent}


def readiness(shared: ObserverNeeds) -> tuple[bool, dict[str, Any]]:
    """Tell whether instances are taken, and why not."""
    board = shared.scoreboard
    entries, age_seconds = backlog(board)
    reasons = [reason for reason in (_phase_trouble(board), _storage_trouble(shared)) if reason]
    is_up, is_down = (
        any(slot[counter] for slot in board.of_role(Role.REGISTRATION))
        for counter in (Counter.DATABASE_UP, Counter.DATABASE_DOWN)
    )
    degraded = ["the database cannot be used: rows wait in the spool"] if is_down else []
    if tree := sentence_of(StorageCondition(board).tree_trouble):
        degraded.append(f"{tree}: instances wait in the spool")
    return not reasons, {
        "status": "not ready" if reasons else "degraded" if degraded else "ready",
        "reasons": reasons + degraded,
        "database": "up" if is_up else "down" if is_down else "not used yet",
        "backlog": {"entries": entries, "oldest_seconds": round(age_seconds, 1)},
    }


def _phase_trouble(board: Scoreboard) -> str:
    return "" if board.phase is GatewayPhase.SERVING else f"the gateway is {board.phase.name.lower().replace('_', ' ')}"


def _storage_trouble(shared: ObserverNeeds) -> str:
    steward = shared.scoreboard.steward
    if steward.state is ProcessState.SYNCING and time.monotonic_ns() - steward.heartbeat_ns > _ANSWER_SECONDS * 1e9:
        return f"the storage has not answered for {_ANSWER_SECONDS:g} s"
    if trouble := sentence_of(StorageCondition(shared.scoreboard).trouble):
        return trouble
    try:
        Reserve(shared.directory.spool, shared.settings.storage_reserve_bytes).check()
    except DatasetError as error:
        return str(error)
    except OSError as error:
        return f"the storage cannot be read: {error.strerror}"
    return ""


class HealthServer:
    """Serves the page from a thread of the observer."""

    def __init__(self, shared: ObserverNeeds, page: Callable[[], bytes]) -> None:
        """`page` makes the text of `/metrics`. Trouble with the port is logged, and nothing else."""
        address, port = shared.settings.http_address, shared.settings.http_port
        handler = type("Handler", (_Handler,), {"shared": shared, "page": staticmethod(page)})
        try:
            server = _Server(open_port(address, port), handler)
        except OSError as error:
            logger.error(
                "No health page: {address}:{port} cannot be used: {reason}; set CHRIS_HTTP_PORT to a free port",
                address=address,
                port=port,
                reason=error.strerror,
                action="health_port_failed",
            )
            return
        threading.Thread(target=server.serve_forever, daemon=True, name="health").start()


class _Server(http.server.ThreadingHTTPServer):
    """Speaks at a port that is open already. The one of the library would ask the DNS for the name of this host."""

    daemon_threads = True

    def __init__(self, listening_socket: socket.socket, handler: type[http.server.BaseHTTPRequestHandler]) -> None:
        super().__init__(listening_socket.getsockname()[:2], handler, bind_and_activate=False)
        self.socket.close()
        self.socket = listening_socket
        self._places = threading.BoundedSemaphore(MAX_REQUESTS)

    def process_request(self, request: Any, client_address: Any) -> None:  # noqa: ANN401 (of socketserver)
        """Answer in a thread, or hang up when there are too many: each may take its time."""
        if self._places.acquire(blocking=False):
            super().process_request(request, client_address)
        else:
            self.shutdown_request(request)

    def process_request_thread(self, request: Any, client_address: Any) -> None:  # noqa: ANN401
        """Answer, and give the place back."""
        try:
            super().process_request_thread(request, client_address)
        finally:
            self._places.release()

    def handle_error(self, request: Any, client_address: Any) -> None:  # noqa: ANN401
        """A client that hung up is no error; anything else is a bug of ours."""
        error = sys.exception()
        if isinstance(error, ConnectionError | TimeoutError) or error is None:
            return
        logger.opt(exception=error).error(
            "Unexpected {error} in {place}; the health page gave no answer",
            error=type(error).__name__,
            place=place_of(error),
            action="health_page_failed",
        )


class _Handler(http.server.BaseHTTPRequestHandler):
    shared: ObserverNeeds
    page: Callable[[], bytes]
    timeout = _REQUEST_SECONDS
    server_version = "oxidicom"
    sys_version = ""

    def do_GET(self) -> None:
        """Answer."""
        if self.path == "/metrics":
            self._answer(200, CONTENT_TYPE, self.page())
        elif self.path in ("/healthz", "/readyz"):
            good, body = (health if self.path == "/healthz" else readiness)(self.shared)
            self._answer(200 if good else 503, "application/json", json.dumps(body).encode() + b"\n")
        else:
            self._answer(404, "text/plain", b"/healthz, /readyz and /metrics are here\n")

    def _answer(self, status: int, content_type: str, body: bytes) -> None:
        self.send_response(status)
        self.send_header("Content-Type", content_type)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, format: str, *args: object) -> None:  # noqa: A002 (named by http.server)
        """Probes come by the second: no line for them."""
