"""Connections, as the listener and the doorman accept them from the socket that they share.

Who has said nothing yet is kept by the kernel for a while (TCP_DEFER_ACCEPT, tcp(7)): it completes the handshake,
but lets nobody accept the connection before its first byte, or its end. After that time, and when so many are silent
that it answers with SYN cookies, a silent one is accepted after all.
"""

import contextlib
import errno
import ipaddress
import socket
import struct
import time
from collections.abc import Callable
from typing import NamedTuple

from loguru import logger

from oxidicom.association.proxy_protocol import HEADER_BYTES, body_length, source_of
from oxidicom.errors import BootError, ProtocolError
from oxidicom.settings import Settings

READ_SECONDS = 1.0
"""The longest wait for a peer, so that the heartbeat goes on and every deadline is kept."""
_TIMEVAL = struct.pack("ll", int(READ_SECONDS), 0)
_OUT_OF_DESCRIPTORS = (errno.EMFILE, errno.ENFILE, errno.ENOBUFS, errno.ENOMEM)
_WITHOUT_DESCRIPTORS_SECONDS = 0.5
"""`accept` fails at once then, for as long as it lasts: a pause keeps the log and the processor free."""
_PROBE_SECONDS = 10
_PROBES = 6
_BACKLOG = 1024
"""So many connections may wait to be accepted, and as many may be silent."""
_MOST_DEFERRED_SECONDS = 63


class Peer(NamedTuple):
    """The other end of a connection."""

    address: str
    """IPv4 or IPv6."""
    port: int

    @property
    def network(self) -> str:
        """The network that it is on, as far as an address tells: that of a site or a segment (RFC 4291, 2.5.4)."""
        address = self.address.partition("%")[0]  # a link-local one may name its interface
        return str(ipaddress.ip_network((address, 64 if ":" in address else 24), strict=False))

    def __str__(self) -> str:
        return f"[{self.address}]:{self.port}" if ":" in self.address else f"{self.address}:{self.port}"


NOBODY = Peer("::", 0)
"""The other end of a connection that is lost."""


def open_port(address: str, port: int) -> socket.socket:
    """Return a listening socket, for IPv6 and IPv4 where `address` is `::`. Raise OSError."""
    family = socket.AF_INET6 if ":" in address else socket.AF_INET
    if address == "::" and not socket.has_dualstack_ipv6():
        family, address = socket.AF_INET, "0.0.0.0"
    listening_socket = socket.socket(family, socket.SOCK_STREAM)
    try:
        listening_socket.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        if address == "::":
            listening_socket.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 0)
        listening_socket.bind((address, port))
        listening_socket.listen(_BACKLOG)
    except OSError:
        listening_socket.close()
        raise
    return listening_socket


def bind(settings: Settings) -> socket.socket:
    """Return the socket on which the gateway listens; to accept from it never waits. Raise BootError."""
    address, port = settings.bind_address, settings.port
    try:
        listening_socket = open_port(address, port)
    except OSError as error:
        raise BootError(
            f"port {port} on {address} cannot be used: {error.strerror}; "
            "stop the program that has it, or set PORT (and CHRIS_BIND_ADDRESS)"
        ) from error
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


def _deferral_seconds(most_seconds: float) -> int:
    """The kernel counts in times that it could send SYN-ACK again: after 1, 3, 7, 15 ... seconds."""
    seconds = 1
    while (longer := 2 * seconds + 1) <= min(most_seconds, _MOST_DEFERRED_SECONDS):
        seconds = longer
    return seconds


def accept(listening_socket: socket.socket, settings: Settings) -> tuple[socket.socket, Peer] | None:
    """Accept a connection. None: there is none after all, whatever the reason."""
    try:
        connection, address = listening_socket.accept()
    except BlockingIOError:
        return None  # nobody is there, or another process was quicker
    except OSError as error:
        if error.errno in _OUT_OF_DESCRIPTORS:
            logger.error("No connection can be accepted: {reason}", reason=error.strerror, action="accept_failed")
            time.sleep(_WITHOUT_DESCRIPTORS_SECONDS)
        return None  # the socket was shut down, or the peer is gone already (ECONNABORTED)
    with contextlib.suppress(OSError):
        _configure(connection, settings)
    return connection, _peer(address)


def peer_of(connection: socket.socket) -> Peer:
    """Return the other end of a connection, or NOBODY when it is gone."""
    try:
        return _peer(connection.getpeername())
    except OSError:
        return NOBODY


def _peer(address: tuple[str, int]) -> Peer:
    return Peer(address[0].removeprefix("::ffff:"), address[1])


def learn_peer(connection: socket.socket, balancer: Peer, settings: Settings, may_wait: Callable[[], bool]) -> Peer:
    """Return whose connection it is: with the PROXY protocol the balancer says it before anything else.

    `may_wait` is asked after each read that does not bring all of it, however short. Raise ProtocolError when the word
    is missing or is not to be trusted, OSError when the connection is lost.
    """
    if not settings.proxy_protocol:
        return balancer
    address = ipaddress.ip_address(balancer.address)
    if not any(address in network for network in settings.trusted_proxies):
        raise ProtocolError("it is no trusted balancer; if it is one, add it to CHRIS_PROXY_TRUSTED")
    header = _read_exactly(connection, HEADER_BYTES, may_wait)
    body = _read_exactly(connection, body_length(header), may_wait)
    source = source_of(header, body)
    return Peer(*source) if source else balancer


def _read_exactly(connection: socket.socket, count: int, may_wait: Callable[[], bool]) -> bytes:
    """Read so much and no more: what follows is the peer's, and may be TLS."""
    data = b""
    while len(data) < count:
        with contextlib.suppress(TimeoutError):
            piece = connection.recv(count - len(data))
            if not piece:
                raise ConnectionError(errno.ECONNRESET, "connection lost")
            data += piece
        if len(data) < count and not may_wait():  # asked after each piece too: a trickle is no excuse
            raise ProtocolError("no header of the PROXY protocol came in time")
    return data


def wait_in_kernel(connection: socket.socket) -> None:
    """Let the kernel keep the timeout of a plain connection: `settimeout` polls before each receive and each send.

    From now on a wait that is over raises BlockingIOError.
    """
    connection.settimeout(None)
    connection.setsockopt(socket.SOL_SOCKET, socket.SO_RCVTIMEO, _TIMEVAL)
    connection.setsockopt(socket.SOL_SOCKET, socket.SO_SNDTIMEO, _TIMEVAL)


def _configure(connection: socket.socket, settings: Settings) -> None:
    # Without it every response waits 40 ms for a delayed acknowledgement.
    connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    # A peer that lost its power says nothing more: the kernel asks it, first after two hours unless told otherwise.
    connection.setsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1)
    connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_KEEPIDLE, settings.keep_alive_seconds)
    connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_KEEPINTVL, _PROBE_SECONDS)
    connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_KEEPCNT, _PROBES)
