"""Connections on their way from one process to another: descriptors in a socket pair (SCM_RIGHTS, unix(7)).

Made before the fork, like the queues of messages (`queues`), and as safe against the death of either side. A connection
that is handed over is closed by nobody's death: the kernel holds it until it is taken.
"""

import contextlib
import os
import socket
from types import TracebackType
from typing import Self

from workers.channels.waiting_bytes import waiting_bytes

_WANTED_BUFFER_BYTES = 1024 * 1024
"""Room for more connections than the doorman keeps."""


class ConnectionQueue:
    """Connections that nothing was read from; any process may put and take."""

    def __init__(self) -> None:
        """Make the socket pair. Call it before the fork."""
        self._write_end, self._read_end = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        for end in (self._write_end, self._read_end):
            end.setblocking(False)
        self._write_end.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, _WANTED_BUFFER_BYTES)

    def put(self, connection: socket.socket) -> bool:
        """Queue a connection, which the caller then closes. Return whether there was room."""
        try:
            socket.send_fds(self._write_end, [b"\0"], [connection.fileno()])
        except OSError:  # full, or too many descriptors are on their way (ETOOMANYREFS)
            return False
        return True

    def take(self) -> socket.socket | None:
        """Return the oldest connection, or None when there is none, or no descriptor left to take it with."""
        try:
            _, descriptors, _, _ = socket.recv_fds(self._read_end, 1, 1, socket.MSG_CMSG_CLOEXEC)
        except BlockingIOError:
            return None
        if not descriptors:
            return None
        try:
            return socket.socket(fileno=descriptors[0])
        except OSError:
            with contextlib.suppress(OSError):
                os.close(descriptors[0])
            return None

    @property
    def waiting(self) -> int:
        """How many connections wait: each comes with one byte."""
        return waiting_bytes(self._read_end)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._write_end.close()
        self._read_end.close()

    def fileno(self) -> int:
        """The descriptor of the reading end, to wait for several things at once."""
        return self._read_end.fileno()
