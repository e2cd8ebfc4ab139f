"""What is where: the paths of the page, and what every answer has in common.

Nothing can be changed here: only GET and HEAD are answered. At a loopback address a request must name it, or a page of
somebody else that is open in a browser on this host could have the name of its own server lead here and read what we
say (DNS rebinding). Nothing here is patient data; but who sends to whom is nobody else's business either.
"""

import json
from collections.abc import Awaitable, Callable, Sequence
from typing import Any

import msgspec
from starlette.applications import Starlette
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import HTMLResponse, PlainTextResponse, Response
from starlette.routing import Route
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from oxidicom.telemetry.prometheus import CONTENT_TYPE, prometheus_page
from workers.channels.readings import AeTotals, take_readings
from workers.page.bug_telling import BugTelling
from workers.page.chronicle import Chronicle
from workers.page.events import Events
from workers.page.health import health, readiness
from workers.page.needs import PageNeeds
from workers.page.rendering import Renderer, asset
from workers.page.reporter import Reporter
from workers.page.storage_thread import StorageThread

_HEADERS = (
    (
        b"content-security-policy",
        b"default-src 'none'; script-src 'self'; style-src 'self'; connect-src 'self'; img-src 'self'; "
        b"base-uri 'none'; form-action 'none'; frame-ancestors 'none'",
    ),
    (b"x-content-type-options", b"nosniff"),
    (b"referrer-policy", b"no-referrer"),
    (b"cross-origin-resource-policy", b"same-origin"),
)
_FRESH = {"Cache-Control": "no-cache"}
_FILES = {"page.css": "text/css", "page.js": "text/javascript", "icon.svg": "image/svg+xml"}
_LOOPBACK = ("localhost", "127.0.0.1", "::1")


def build_application(
    shared: PageNeeds, storage: StorageThread, chronicle: Chronicle, bugs: BugTelling
) -> tuple[ASGIApp, Events]:
    """Return the application, and the events that are to be kept running."""
    probes = Probes(shared, chronicle.ae_totals)
    reporter, renderer = Reporter(shared, storage, chronicle), Renderer()
    events = Events(reporter, renderer, bugs)
    views = Views(reporter, renderer)
    routes = [
        Route("/", views.page),
        Route("/status.json", views.status_json),
        Route("/events", events.answer),
        *(Route(f"/{name}", _file(name, media_type)) for name, media_type in _FILES.items()),
        Route("/healthz", probes.healthz),
        Route("/readyz", probes.readyz),
        Route("/metrics", probes.metrics),
    ]
    names = _names_of(shared.settings.http_address)
    starlette = Starlette(routes=routes, exception_handlers={HTTPException: _say_what_is_here})
    return WithHeaders(OfThisHost(starlette, names)), events


class Views:
    """What people look at."""

    def __init__(self, reporter: Reporter, renderer: Renderer) -> None:
        self._reporter = reporter
        self._renderer = renderer

    async def page(self, _request: Request) -> Response:
        """The page as it is now: whole without any script."""
        return HTMLResponse(self._renderer.page(await self._reporter.status()), headers=_FRESH)

    async def status_json(self, _request: Request) -> Response:
        """The same as JSON."""
        body = msgspec.json.format(msgspec.json.encode(await self._reporter.status()), indent=2)
        return Response(body + b"\n", media_type="application/json", headers=_FRESH)


def _file(name: str, media_type: str) -> Callable[[Request], Awaitable[Response]]:
    body = asset(name)

    async def answer(_request: Request) -> Response:
        return Response(body, media_type=media_type, headers=_FRESH)

    return answer


class Probes:
    """What programs ask for."""

    def __init__(self, shared: PageNeeds, ae_totals: AeTotals) -> None:
        self._shared = shared
        self._ae_totals = ae_totals

    async def healthz(self, _request: Request) -> Response:
        """Whether every process is alive."""
        return _probe(*health(self._shared))

    async def readyz(self, _request: Request) -> Response:
        """Whether instances are taken."""
        return _probe(*readiness(self._shared))

    async def metrics(self, _request: Request) -> Response:
        """All metrics."""
        return Response(
            prometheus_page(take_readings(self._shared, self._ae_totals)), headers={"content-type": CONTENT_TYPE}
        )


class WithHeaders:
    """Adds to every answer what keeps a browser from doing more with it than show it."""

    def __init__(self, application: ASGIApp) -> None:
        self._application = application

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer."""

        async def send_with_headers(message: Message) -> None:
            if message["type"] == "http.response.start":
                message["headers"] = [*message.get("headers", ()), *_HEADERS]
            await send(message)

        await self._application(scope, receive, send_with_headers)


class OfThisHost:
    """Answers requests that name a host of `names` (none: any), or no host at all as simple probes do."""

    def __init__(self, application: ASGIApp, names: Sequence[str]) -> None:
        self._application = application
        self._names = names

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer, or say that the request is for another one (RFC 9110, 15.5.20)."""
        host = next((value for name, value in scope["headers"] if name == b"host"), b"").decode("latin-1")
        if host and self._names and _without_port(host) not in self._names:
            response = PlainTextResponse(f"this page is at {self._names[0]} only\n", 421)
            await response(scope, receive, send)
        else:
            await self._application(scope, receive, send)


def _names_of(address: str) -> Sequence[str]:
    return _LOOPBACK if address in _LOOPBACK or address.startswith("127.") else ()


def _without_port(host: str) -> str:
    if host.startswith("["):
        return host[1:].partition("]")[0]
    return host.partition(":")[0].lower()


def _probe(good: bool, body: dict[str, Any]) -> Response:
    return Response(json.dumps(body).encode() + b"\n", 200 if good else 503, media_type="application/json")


async def _say_what_is_here(_request: Request, error: Exception) -> Response:
    assert isinstance(error, HTTPException)
    if error.status_code == 404:
        return PlainTextResponse("/, /status.json, /healthz, /readyz and /metrics are here\n", 404)
    return PlainTextResponse(f"{error.detail}\n", error.status_code, error.headers)
