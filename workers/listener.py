"""The listener: accepts one connection at a time from the socket that all listeners share, and serves it.

The kernel wakes one waiting listener for each connection. An idle listener costs nothing but a heartbeat now and then.
One that was used and has nothing to do any more ends, and the supervisor forks a fresh one: an association leaves 3 to
4 MB of memory behind that were shared before, since CPython writes to every object that it uses (the count of its
references).
"""

import socket
import struct
import time

from workers.association import Association
from workers.connections import accept
from workers.scoreboard import Counter, Phase, Slot, State
from workers.shared import Shared

RENEW_SECONDS = 20.0
"""A listener that was used and has been idle for so long is replaced by a fresh one."""
HEARTBEAT_SECONDS = 3
"""An idle listener gives a sign of life so often; there may be a hundred of them."""
_TIMEVAL = struct.pack("ll", HEARTBEAT_SECONDS, 0)


class Listener:
    """Accepts and serves until the supervisor shuts the listening socket down."""

    def __init__(self, shared: Shared, slot: Slot) -> None:
        self._shared = shared
        self._slot = slot

    def boot(self) -> None:
        """Get ready to wait for connections. Whether the storage takes what they bring, the steward says."""
        # SO_RCVTIMEO, not settimeout: a blocking accept is woken alone, a poll would wake every listener at once.
        self._shared.listening_socket.setsockopt(socket.SOL_SOCKET, socket.SO_RCVTIMEO, _TIMEVAL)

    def run(self) -> None:
        """Accept and serve, until it is time for a fresh process or the gateway stops."""
        used: float | None = None
        while self._shared.scoreboard.phase < Phase.ACCEPTING_NO_MORE:
            self._slot.beat(State.WAITING)
            accepted = accept(self._shared.listening_socket, self._shared.settings)
            if not accepted:
                if used is not None and time.monotonic() - used > RENEW_SECONDS:
                    return
            else:
                self._slot.add(Counter.CONNECTIONS_ACCEPTED)  # first: see `accept_queue`
                self._slot.beat(State.WORKING)
                connection, peer = accepted
                with connection:
                    association = Association(self._shared, self._slot, connection, peer)
                    association.serve()
                if association.was_accepted:
                    used = time.monotonic()
