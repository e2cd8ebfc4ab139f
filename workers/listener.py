"""The listener: accepts one connection at a time from the socket that all listeners share, and serves it.

The kernel wakes one waiting listener for each connection. An idle listener costs nothing but a heartbeat a second.
"""

import contextlib
import errno
import os
import socket
import struct

from loguru import logger

from oxidicom.errors import BootError
from workers.association import Association
from workers.scoreboard import Phase, Slot, State
from workers.shared import Shared

_HEARTBEAT = struct.pack("ll", 1, 0)  # struct timeval: one second
_READ_SECONDS = 1.0
_OUT_OF_DESCRIPTORS = (errno.EMFILE, errno.ENFILE, errno.ENOBUFS, errno.ENOMEM)


class Listener:
    """Accepts and serves until the supervisor shuts the listening socket down."""

    def __init__(self, shared: Shared, slot: Slot) -> None:
        self._shared = shared
        self._slot = slot

    def boot(self) -> None:
        """Make sure that the spool takes files. Raise BootError."""
        probe = os.path.join(self._shared.directory.spool, f".probe-{os.getpid()}")
        try:
            os.close(os.open(probe, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600))
            os.unlink(probe)
        except OSError as error:
            raise BootError(f"the spool {self._shared.directory.spool} takes no files: {error.strerror}") from error
        # SO_RCVTIMEO, not settimeout: a blocking accept is woken alone, a poll would wake every listener at once.
        self._shared.listening_socket.setsockopt(socket.SOL_SOCKET, socket.SO_RCVTIMEO, _HEARTBEAT)

    def run(self) -> None:
        """Accept and serve."""
        while self._shared.scoreboard.phase < Phase.ACCEPTING_NO_MORE:
            accepted = self._accept()
            if accepted:
                connection, peer = accepted
                with connection:
                    Association(self._shared, self._slot, connection, peer).serve()

    def _accept(self) -> tuple[socket.socket, str] | None:
        self._slot.beat(State.WAITING)
        try:
            connection, address = self._shared.listening_socket.accept()
        except BlockingIOError:
            return None  # a second without a connection
        except OSError as error:
            if error.errno in _OUT_OF_DESCRIPTORS:
                logger.error("No connection can be accepted: {reason}", reason=error.strerror, action="accept_failed")
            return None  # the socket was shut down, or the peer is gone already (ECONNABORTED)
        self._slot.beat(State.WORKING)
        with contextlib.suppress(OSError):
            connection.settimeout(_READ_SECONDS)
            # Without it every response waits 40 ms for a delayed acknowledgement.
            connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            connection.setsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1)
        return connection, f"{address[0].removeprefix('::ffff:')}:{address[1]}"
