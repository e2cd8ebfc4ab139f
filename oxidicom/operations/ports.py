"""The ports of `oxidicom check`: whether a gateway with these settings can listen on them."""

import contextlib
import errno
from collections.abc import Iterator

from oxidicom.errors import OperationError
from oxidicom.operations.finding import Finding, Verdict
from oxidicom.operations.live_status import fetch, status_address
from oxidicom.operations.running_here import ports_here
from oxidicom.port import bound_socket, port_trouble
from oxidicom.settings import Settings, page_address


def of_ports(settings: Settings) -> Iterator[Finding]:
    """Look at the port of the gateway, and at that of the page if there is to be one."""
    yield _of_port(settings)
    if settings.http_port:
        yield _of_page(settings)


def _of_port(settings: Settings) -> Finding:
    port, address = settings.port, settings.bind_address
    subject = f"port {port}"
    error = _try(address, port)
    if error is None:
        return Finding(subject, Verdict.GOOD, "free")
    if error.errno == errno.EADDRINUSE and port in ports_here(settings.files_root):
        return Finding(subject, Verdict.GOOD, "the gateway of this storage, which is running, listens on it")
    trouble = port_trouble("PORT", port, "CHRIS_BIND_ADDRESS", address, error)
    if error.errno == errno.EADDRINUSE:
        return Finding(subject, Verdict.NOTE, f"{trouble}; this is fine if that is a gateway that this user cannot see")
    return Finding(subject, Verdict.CRITICAL, trouble)


def _of_page(settings: Settings) -> Finding:
    """Without its page the gateway does all else."""
    port, address = settings.http_port, settings.http_address
    subject = f"page, port {port}"
    error = _try(address, port)
    if error is None:
        return Finding(subject, Verdict.GOOD, "free")
    if error.errno == errno.EADDRINUSE and _is_our_page(settings):
        return Finding(subject, Verdict.GOOD, "the page of the gateway of this storage answers there")
    trouble = port_trouble("CHRIS_HTTP_PORT", port, "CHRIS_HTTP_ADDRESS", address, error)
    return Finding(subject, Verdict.WARNING, f"there is no page: {trouble}")


def _is_our_page(settings: Settings) -> bool:
    ports = ports_here(settings.files_root) or [settings.port]
    with contextlib.suppress(OperationError):
        return fetch(status_address(page_address(settings))).port in ports
    return False


def _try(address: str, port: int) -> OSError | None:
    """Return why it cannot be listened on. Nothing is accepted, not even for a moment: nobody is kept from anything."""
    try:
        bound_socket(address, port).close()
    except OSError as error:
        return error
    return None
