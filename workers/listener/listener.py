"""The listener: accepts one connection at a time from the socket that all listeners share, and serves it.

The kernel wakes one waiting listener for each connection (EPOLLEXCLUSIVE). An idle listener costs nothing but a
heartbeat now and then. A peer that has not sent its request holds no listener: what does not come within a moment is
waited for by the doorman, who waits for many at once, and gives the connection back to any listener when it is there.
One that was used and has nothing to do any more ends, and the supervisor forks a fresh one: an association leaves 3 to
4 MB of memory behind that were shared before, since CPython writes to every object that it uses (the count of its
references).
"""

import select
import socket
import time

from workers.channels.scoreboard import Counter, GatewayPhase, ProcessState, Slot
from workers.channels.storage_condition import StorageCondition
from workers.listener.accept_queue import count_waiting
from workers.listener.arrival import Arrival, opening_of
from workers.listener.association import Association
from workers.listener.connections import Peer, accept, peer_of
from workers.listener.needs import ListenerNeeds

RENEW_SECONDS = 20.0
"""A listener that was used and has been idle for so long is replaced by a fresh one."""
HEARTBEAT_SECONDS = 3
"""An idle listener gives a sign of life so often; there may be a hundred of them."""
_START_SECONDS = 0.05
"""So often a listener looks whether the start is over, before which it accepts nobody."""
_MOMENT_SECONDS = 0.25
"""How long the rest of a request is waited for here: longer than the way to any PACS and back, so that a request in
several segments is not handed over."""


class Listener:
    """Accepts and serves until the supervisor shuts the listening socket down."""

    def __init__(self, shared: ListenerNeeds, slot: Slot) -> None:
        """Get ready to wait for connections. Whether the storage takes what they bring, the steward says."""
        self._shared = shared
        self._slot = slot
        self._opening = opening_of(shared.settings)
        self._condition = StorageCondition(shared.scoreboard)
        self._poll = select.epoll()  # its own: one that is made before the fork is shared
        for source in (self._shared.listening_socket, self._shared.finished):
            self._poll.register(source, select.EPOLLIN | select.EPOLLEXCLUSIVE)

    def run(self) -> None:
        """Accept and serve, until it is time for a fresh process or the gateway stops."""
        used: float | None = None
        while not self._is_told_to_stop():
            self._slot.beat(ProcessState.WAITING)
            if self._is_starting():
                time.sleep(_START_SECONDS)
                continue
            arrived = self._take_finished() or self._accept()
            if arrived:
                self._slot.beat(ProcessState.WORKING)
                used = time.monotonic() if self._serve(*arrived) else used
            elif used is not None and time.monotonic() - used > RENEW_SECONDS and not self._shared.repetitions.has_rest:
                return
            else:
                self._poll.poll(HEARTBEAT_SECONDS)
                self._shared.repetitions.tell_rest()

    def _is_told_to_stop(self) -> bool:
        return self._shared.scoreboard.phase >= GatewayPhase.ACCEPTING_NO_MORE

    def _is_starting(self) -> bool:
        """Whether the spool is just being made: who comes meanwhile waits in the kernel, and is not refused."""
        return self._shared.scoreboard.phase is GatewayPhase.STARTING and self._condition.is_being_prepared

    def _take_finished(self) -> tuple[socket.socket, Peer] | None:
        """Take a connection whose opening the doorman has waited for: it came before those that wait to be accepted."""
        connection = self._shared.finished.take()
        return (connection, peer_of(connection)) if connection else None

    def _accept(self) -> tuple[socket.socket, Peer] | None:
        """Accept a connection. Return it if its opening is whole, else the doorman has it now."""
        accepted = accept(self._shared.listening_socket, self._shared.settings, self._shared.repetitions, self._slot)
        if accepted is None:
            return None
        self._slot.add(Counter.CONNECTIONS_ACCEPTED)  # first: see `accept_queue`
        self._slot.beat(ProcessState.WORKING)
        arrival = Arrival(*accepted, self._opening)
        is_whole = arrival.is_whole() or (self._has_a_moment_for(arrival) and arrival.is_whole(_MOMENT_SECONDS))
        connection = arrival.release()
        if is_whole:
            return accepted
        if not self._is_told_to_stop() and not self._shared.unfinished.put(connection):
            return accepted  # the doorman is dead or overrun: it is served under the deadlines of an association
        connection.close()
        return None

    def _has_a_moment_for(self, arrival: Arrival) -> bool:
        """Who is silent was waited for in the kernel already; and who trickles keeps nobody else waiting."""
        return not arrival.is_silent and not count_waiting(self._shared.listening_socket)

    def _serve(self, connection: socket.socket, peer: Peer) -> bool:
        """Serve a connection. Return whether there was an association."""
        with connection:
            association = Association(self._shared, self._slot, connection, peer)
            association.serve()
        return association.was_accepted
