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
from collections.abc import Callable
from typing import Any

from loguru import logger

from oxidicom.judgement.condition import Condition
from oxidicom.judgement.rules import judge
from oxidicom.port_trouble import port_trouble
from oxidicom.telemetry.prometheus import CONTENT_TYPE
from workers.channels.bugs import place_of
from workers.channels.condition import condition_of, silent_roles
from workers.channels.ports import open_port
from workers.observer.needs import ObserverNeeds

_REQUEST_SECONDS = 5.0
MAX_REQUESTS = 16
"""Of the health page at once."""


def health(shared: ObserverNeeds) -> tuple[bool, dict[str, Any]]:
    """Tell whether every process is alive, and which are not."""
    silent = silent_roles(shared.scoreboard)
    return not silent, {"status": "failing" if silent else "ok", "silent": silent}


def readiness(shared: ObserverNeeds) -> tuple[bool, dict[str, Any]]:
    """Tell whether instances are taken, and the judgement with its reasons, those that speak against it first."""
    condition = condition_of(shared)
    judgement = judge(condition)
    reasons = [str(reason) for reason in judgement.reasons]
    if why := _why_not_ready(condition):
        reasons.insert(0, why)
    database = condition.database
    return not why, {
        "status": "not ready" if why else "degraded" if reasons else "ready",
        "judgement": judgement.level,
        "reasons": reasons,
        "database": "not asked yet" if not database.is_known else "down" if database.down_since else "up",
        "backlog": {"entries": condition.waiting, "oldest_seconds": round(condition.oldest_seconds, 1)},
    }


def _why_not_ready(condition: Condition) -> str:
    """Return why no instance is taken now; empty when they are."""
    if condition.phase != "serving":
        return f"the gateway is {condition.phase}"
    if condition.storage:
        return condition.storage.sentence
    if condition.room and condition.room.is_full:
        return "the free space of the storage is below its reserve"
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
                "No health page: {reason}",
                reason=port_trouble("CHRIS_HTTP_PORT", port, "CHRIS_HTTP_ADDRESS", address, error),
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
            "Unexpected {kind} in {place}; the health page gave no answer",
            kind=type(error).__name__,
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
