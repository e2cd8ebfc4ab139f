"""Listening sockets: that of the gateway, which all listeners share, and that of the page.

Who has said nothing yet is kept by the kernel for a while (TCP_DEFER_ACCEPT, tcp(7)): it completes the handshake,
but lets nobody accept the connection before its first byte, or its end. After that time, and when so many are silent
that it answers with SYN cookies, a silent one is accepted after all.
"""

import socket

from oxidicom.errors import BootError, ConfigurationError
from oxidicom.port import OF_CONFIGURATION, bound_socket, port_trouble
from oxidicom.settings import Settings

_BACKLOG = 1024
"""So many connections may wait to be accepted, and as many may be silent."""

_MAX_DEFERRED_SECONDS = 63


def open_port(address: str, port: int) -> socket.socket:
    """Return a listening socket, for IPv6 and IPv4 where `address` is `::`. Raise OSError."""
    listening_socket = bound_socket(address, port)
    try:
        listening_socket.listen(_BACKLOG)
    except OSError:
        listening_socket.close()
        raise
    return listening_socket


def bind(settings: Settings) -> socket.socket:
    """Return the socket on which the gateway listens; to accept from it never waits.

    Raise ConfigurationError when this user may not have the port, BootError for any other trouble with it.
    """
    address, port = settings.bind_address, settings.port
    try:
        listening_socket = open_port(address, port)
    except OSError as error:
        sentence = port_trouble("PORT", port, "CHRIS_BIND_ADDRESS", address, error)
        if error.errno in OF_CONFIGURATION:
            raise ConfigurationError([sentence]) from error
        raise BootError(sentence) from error
    listening_socket.setblocking(False)
    seconds = _deferral_seconds(opening_seconds(settings))
    listening_socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_DEFER_ACCEPT, seconds)
    return listening_socket


def opening_seconds(settings: Settings) -> float:
    """How long a peer has for what it has to say first; see `oxidicom.association.opening`."""
    seconds = settings.association_request_seconds
    return min(seconds, settings.tls_handshake_seconds) if settings.tls_certificate else seconds


def deferred_seconds(listening_socket: socket.socket) -> float:
    """For how long the kernel has kept a connection back that is silent when it is accepted."""
    return listening_socket.getsockopt(socket.IPPROTO_TCP, socket.TCP_DEFER_ACCEPT)


def _deferral_seconds(max_seconds: float) -> int:
    """The kernel counts in times that it could send SYN-ACK again: after 1, 3, 7, 15 ... seconds."""
    seconds = 1
    while (longer := 2 * seconds + 1) <= min(max_seconds, _MAX_DEFERRED_SECONDS):
        seconds = longer
    return seconds
