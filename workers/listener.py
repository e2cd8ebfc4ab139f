"""The listener: accepts one connection at a time from the socket that all listeners share, and serves it.

The kernel wakes one waiting listener for each connection. An idle listener costs nothing but a heartbeat now and then.
"""

import os
import socket
import struct

from oxidicom.errors import BootError
from workers.association import Association
from workers.connections import accept
from workers.scoreboard import Counter, Phase, Slot, State
from workers.shared import Shared

HEARTBEAT_SECONDS = 3
"""An idle listener gives a sign of life so often; there may be a hundred of them."""
_TIMEVAL = struct.pack("ll", HEARTBEAT_SECONDS, 0)


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
        self._shared.listening_socket.setsockopt(socket.SOL_SOCKET, socket.SO_RCVTIMEO, _TIMEVAL)

    def run(self) -> None:
        """Accept and serve."""
        while self._shared.scoreboard.phase < Phase.ACCEPTING_NO_MORE:
            self._slot.beat(State.WAITING)
            accepted = accept(self._shared.listening_socket, self._shared.settings)
            if accepted:
                self._slot.add(Counter.CONNECTIONS_ACCEPTED)  # first: see `accept_queue`
                self._slot.beat(State.WORKING)
                connection, peer = accepted
                with connection:
                    Association(self._shared, self._slot, connection, peer).serve()
