"""A connection that has just come: its opening is looked at where it lies, in the buffer of the kernel.

Nothing is read, so it may be handed over to another process at any moment. The kernel is told to wake us only when all
that is missing has come (SO_RCVLOWAT): a trickle costs nothing.
"""

import select
import socket
import time

from oxidicom.association.opening import Opening
from oxidicom.settings import Settings
from workers.channels.waiting_bytes import waiting_bytes
from workers.listener.connections import Peer

MAX_BYTES = 128 * 1024
"""Wait for at most this much of a longer opening; the rest is read as it comes. 128 contexts with 10 transfer syntaxes
each are 90 KB; with a higher mark a peer could make the kernel keep a megabyte for it."""


def opening_of(settings: Settings) -> Opening:
    """Return what the openings at our port are made of."""
    return Opening(
        proxied=settings.proxy_protocol,
        encrypted=bool(settings.tls_certificate),
        max_request_bytes=settings.max_request_bytes,
        allowed_peers=settings.allowed_peers,
    )


class Arrival:
    """A connection whose opening may be whole or not."""

    def __init__(self, connection: socket.socket, peer: Peer, opening: Opening) -> None:
        self.connection = connection
        self.peer = peer
        self.is_silent = False
        """Whether nothing had come at the last look."""
        self._opening = opening
        self._low_water = 1

    def is_whole(self, wait_seconds: float = 0.0) -> bool:
        """Tell whether nothing need be waited for any more, or does so within `wait_seconds`.

        That is so too when the peer may not be here, sends no more or is lost, or when the kernel can keep no more.
        """
        if not self._opening.is_of_interest(self.peer.address):
            return True
        deadline = time.monotonic() + wait_seconds if wait_seconds else 0.0
        while True:
            wanted = self._bytes_to_await()
            if not wanted:
                return True
            was_known = wanted == self._low_water
            self._set_low_water(wanted)
            if not self._is_readable(max(0.0, deadline - time.monotonic()) if deadline else 0.0):
                return False
            if was_known:  # it is readable, with fewer bytes: no more will come
                return True

    def release(self) -> socket.socket:
        """Return the connection as it came: whoever reads it is not to wait for a low-water mark of ours."""
        self._set_low_water(1)
        return self.connection

    def _bytes_to_await(self) -> int:
        """Return how many bytes have to be there; 0 when they are."""
        try:
            start = self.connection.recv(self._opening.start_bytes, socket.MSG_PEEK | socket.MSG_DONTWAIT)
        except BlockingIOError:
            self.is_silent = True
            return self._opening.bytes_wanted(b"")
        except OSError:
            return 0
        self.is_silent = False
        wanted = min(self._opening.bytes_wanted(start), MAX_BYTES)
        there = len(start) >= wanted or not start or waiting_bytes(self.connection) >= wanted
        return 0 if there else wanted

    def _set_low_water(self, count: int) -> None:
        if count != self._low_water:
            self._low_water = count
            self.connection.setsockopt(socket.SOL_SOCKET, socket.SO_RCVLOWAT, count)

    def _is_readable(self, seconds: float) -> bool:
        poll = select.poll()
        poll.register(self.connection, select.POLLIN)
        return bool(poll.poll(seconds * 1000))
