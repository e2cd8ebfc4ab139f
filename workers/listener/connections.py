"""Connections, as the listener and the doorman accept them from the socket that they share."""

import contextlib
import errno
import ipaddress
import os
import socket
import struct
import time
from collections.abc import Callable
from typing import NamedTuple

from oxidicom.association.proxy_protocol import HEADER_BYTES, body_length, source_of
from oxidicom.errors import ProtocolError
from oxidicom.settings import Settings
from workers.channels.repetitions import Repetitions
from workers.channels.scoreboard import Slot

READ_SECONDS = 1.0
"""The longest wait for a peer, so that the heartbeat goes on and every deadline is kept."""
_TIMEVAL = struct.pack("ll", int(READ_SECONDS), 0)
_OUT_OF_DESCRIPTORS = (errno.EMFILE, errno.ENFILE, errno.ENOBUFS, errno.ENOMEM)
_WITHOUT_DESCRIPTORS_SECONDS = 0.5
"""`accept` fails at once then, for as long as it lasts: a pause keeps the log and the processor free."""
_PROBE_SECONDS = 10
_PROBES = 6


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


def accept(
    listening_socket: socket.socket, settings: Settings, repetitions: Repetitions, slot: Slot
) -> tuple[socket.socket, Peer] | None:
    """Accept a connection. None: there is none after all, whatever the reason. `slot` is that of this process."""
    try:
        connection, address = listening_socket.accept()
    except BlockingIOError:
        return None  # nobody is there, or another process was quicker
    except OSError as error:
        if error.errno in _OUT_OF_DESCRIPTORS:
            repetitions.log(
                slot,
                "accept_failed",
                "ERROR",
                "No connection can be accepted: {reason}. To do: {remedy}",
                reason=error.strerror,
                remedy="raise the limit of open files (LimitNOFILE=, ulimit -n), or close connections",
                action="accept_failed",
            )
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
        raise ProtocolError("it is not a trusted balancer; if it should be, add its address to CHRIS_PROXY_TRUSTED")
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
                raise ConnectionError(errno.ECONNRESET, os.strerror(errno.ECONNRESET))
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


def acknowledge_now(connection: socket.socket) -> None:
    """Acknowledge what was received, without the usual delay of 40 ms.

    Senders that leave Nagle's algorithm on (RFC 896), as DCMTK's do, hold the rest of a message back until then. The
    option does not last: the kernel goes back to delays by itself.
    """
    connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_QUICKACK, 1)


def _configure(connection: socket.socket, settings: Settings) -> None:
    # Without it every response waits 40 ms for a delayed acknowledgement.
    connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    # A peer that lost its power says nothing more: the kernel asks it, first after two hours unless told otherwise.
    connection.setsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1)
    connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_KEEPIDLE, settings.keep_alive_seconds)
    connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_KEEPINTVL, _PROBE_SECONDS)
    connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_KEEPCNT, _PROBES)
