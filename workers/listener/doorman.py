"""The doorman: tells those who wait in vain that the gateway is busy, instead of letting them wait in silence.

A connection that no listener takes within CHRIS_SCP_BUSY_SECONDS is accepted here; its request is read and rejected,
"transient, local limit exceeded" (PS3.8, 9.3.4), which makes a PACS come again later. The doorman serves all such
connections at once, so that a slow one holds up nobody, and takes none while a listener is free. It keeps the
waiting room too, where those are who have not sent their request yet (`workers.listener.waiting_room`).
"""

import contextlib
import select
import socket
import ssl
import time
from collections.abc import Callable

from ulid import ULID

from oxidicom.association.acceptor import Acceptor, AssociationState
from oxidicom.association.events import AssociationRejected, AssociationRequested
from oxidicom.association.negotiation import NO_ROOM
from oxidicom.association.pdu import PresentationRejectReason
from oxidicom.errors import ProtocolError
from oxidicom.files.descriptors import keepable
from workers.channels.encryption import say_no_more
from workers.channels.ending import rejected
from workers.channels.facts import AssociationFinished
from workers.channels.scoreboard import Counter, GatewayPhase, ProcessState, Role, Slot
from workers.listener.accept_queue import AcceptQueue, count_waiting
from workers.listener.association_account import write_rejection
from workers.listener.connections import Peer, accept, learn_peer, peer_of
from workers.listener.listener import HEARTBEAT_SECONDS
from workers.listener.needs import ListenerNeeds
from workers.listener.policy import acceptance_policy, is_allowed_here
from workers.listener.rejection import Rejection, explain, explain_busy
from workers.listener.turning_away import turn_away
from workers.listener.waiting_room import WaitingRoom

_TICK_SECONDS = 0.25
_CLOSE_SECONDS = 1.0
"""How long a rejected peer has to close the connection."""
_MAX_CALLERS = 64
"""At once. It bounds memory: each may send a request of 1 MiB."""
_HURRY_SECONDS = 1.0
"""How long each has for its request while there are so many: the silent ones may not keep the others waiting."""
_FREE_HEARTBEAT_NS = (2 * HEARTBEAT_SECONDS + 2) * 1_000_000_000
"""A listener that waits for a connection gives signs of life; one that has not for so long is stuck, not free."""


class _Caller:
    """A connection that is being told."""

    def __init__(self, connection: socket.socket, peer: Peer, acceptor: Acceptor) -> None:
        self.connection = connection
        self.peer = peer
        self.acceptor = acceptor
        self.answered = False
        self.began_ns = time.time_ns()
        self.since = time.monotonic()
        """When it was accepted, or answered."""


class Doorman:
    """Watches the queue of connections, and rejects."""

    def __init__(self, shared: ListenerNeeds, slot: Slot) -> None:
        """Open the waiting room."""
        self._shared = shared
        self._slot = slot
        self._policy = acceptance_policy(shared.settings)
        self._accept_queue = AcceptQueue(lambda: count_waiting(shared.listening_socket))
        self._finished_queue = AcceptQueue(lambda: shared.finished.waiting)
        self._max_callers = keepable(_MAX_CALLERS)
        self._callers: dict[int, _Caller] = {}
        """By descriptor, oldest first."""
        self._poll = select.poll()
        self._waiting_room = WaitingRoom(self._shared, slot)
        self._poll.register(self._waiting_room, select.POLLIN)

    def run(self) -> None:
        """Watch until the gateway accepts no more."""
        while self._shared.scoreboard.phase < GatewayPhase.ACCEPTING_NO_MORE:
            self._slot.beat(ProcessState.WAITING)
            for descriptor, _ in self._poll.poll(_TICK_SECONDS * 1000):
                if descriptor in self._callers:
                    self._converse(self._callers[descriptor])
            self._waiting_room.work()
            self._dismiss_slow()
            self._shared.repetitions.tell_rest()
            self._take_in_who_wait_in_vain()
        self._close()

    def _close(self) -> None:
        self._waiting_room.close()
        while (connection := self._shared.finished.take()) is not None:
            connection.close()

    def _take_in_who_wait_in_vain(self) -> None:
        for queue, count_taken, next_of in (
            (self._finished_queue, self._count_finished_taken, self._take_finished),
            (self._accept_queue, self._count_accepted, self._accept),
        ):
            while len(self._callers) < self._max_callers and self._someone_waits_in_vain(queue, count_taken):
                taken = next_of()
                if taken is None:  # a listener was quicker, or there is no descriptor for it
                    break
                self._take_in(*taken)

    def _someone_waits_in_vain(self, queue: AcceptQueue, count_taken: Callable[[], int]) -> bool:
        queue.look(time.monotonic(), count_taken)
        too_long = queue.longest_wait_seconds >= self._shared.settings.busy_seconds
        return too_long and not self._listener_is_free()

    def _count_accepted(self) -> int:
        return self._shared.scoreboard.total(Counter.CONNECTIONS_ACCEPTED)

    def _count_finished_taken(self) -> int:
        return self._waiting_room.given_back - self._shared.finished.waiting

    def _listener_is_free(self) -> bool:
        """Then the connection is the listener's, who is about to take it."""
        fresh_ns = time.monotonic_ns() - _FREE_HEARTBEAT_NS
        listeners = self._shared.scoreboard.of_role(Role.LISTENER)
        return any(slot.state is ProcessState.WAITING and slot.heartbeat_ns > fresh_ns for slot in listeners)

    def _accept(self) -> tuple[socket.socket, Peer] | None:
        """Accept the connection that has waited longest."""
        accepted = accept(self._shared.listening_socket, self._shared.settings, self._shared.repetitions, self._slot)
        if accepted is not None:
            self._slot.add(Counter.CONNECTIONS_ACCEPTED)
        return accepted

    def _take_finished(self) -> tuple[socket.socket, Peer] | None:
        """Take back the connection that no listener has taken for longest."""
        connection = self._shared.finished.take()
        return (connection, peer_of(connection)) if connection else None

    def _take_in(self, connection: socket.socket, peer: Peer) -> None:
        connection.setblocking(False)
        try:  # what a balancer says came while the connection waited
            peer = learn_peer(connection, peer, self._shared.settings, lambda: False)
        except (OSError, ProtocolError):
            connection.close()
            return
        if not is_allowed_here(self._shared.settings, peer.address):
            turn_away(self._shared, self._slot, connection, peer)
            connection.close()
            return
        if self._shared.encryption:
            try:
                connection = self._shared.encryption.wrap(connection, self._shared.scoreboard.tls_generation)
            except OSError:  # gone already
                connection.close()
                return
        self._callers[connection.fileno()] = _Caller(connection, peer, Acceptor(self._policy, peer.address))
        self._poll.register(connection, select.POLLIN)

    def _converse(self, caller: _Caller) -> None:
        """Take what has come, and answer. With TLS the handshake goes on by itself in `recv_into`."""
        try:
            count = caller.connection.recv_into(caller.acceptor.writable())
            for event in caller.acceptor.received(count):
                if isinstance(event, AssociationRequested):
                    caller.acceptor.reject(NO_ROOM)
                elif isinstance(event, AssociationRejected):
                    self._account(caller, event)
            answer = caller.acceptor.bytes_to_send()
            if answer:
                caller.connection.send(answer)  # ten bytes into an empty buffer: the kernel takes them at once
                say_no_more(caller.connection)
                caller.answered, caller.since = True, time.monotonic()
        except (BlockingIOError, ssl.SSLWantReadError):
            self._poll.modify(caller.connection, select.POLLIN)
            return
        except ssl.SSLWantWriteError:
            self._poll.modify(caller.connection, select.POLLOUT)
            return
        except OSError:
            self._dismiss(caller)
            return
        if caller.acceptor.state is AssociationState.CLOSED:
            self._dismiss(caller)

    def _account(self, caller: _Caller, event: AssociationRejected) -> None:
        self._slot.add(Counter.ASSOCIATIONS_REJECTED)
        association = str(ULID())
        titles = event.request.calling_ae_title, event.request.called_ae_title
        settings = self._shared.settings
        rejection = (
            explain_busy(settings)
            if event.reason is PresentationRejectReason.LOCAL_LIMIT_EXCEEDED
            else explain(event.request, settings, caller.peer.address, event.reason)
        )
        write_rejection(self._shared.repetitions, self._slot, caller.peer, titles, rejection, association)
        self._tell(association, caller, event, rejection)

    def _tell(self, association: str, caller: _Caller, event: AssociationRejected, rejection: Rejection) -> None:
        fact = AssociationFinished(
            association=association,
            began_ns=caller.began_ns,
            ended_ns=time.time_ns(),
            peer_address=caller.peer.address,
            peer_port=caller.peer.port,
            calling_ae_title=event.request.calling_ae_title,
            called_ae_title=event.request.called_ae_title,
            ending=rejected(event.reason),
            tls=(caller.connection.version() or "") if isinstance(caller.connection, ssl.SSLSocket) else "",
            explanation=str(rejection),
        )
        self._shared.facts.tell(self._slot, fact)

    def _dismiss_slow(self) -> None:
        crowded = len(self._callers) >= self._max_callers
        request_seconds = _HURRY_SECONDS if crowded else self._shared.settings.association_request_seconds
        now = time.monotonic()
        for caller in list(self._callers.values()):
            if now - caller.since > (_CLOSE_SECONDS if caller.answered else request_seconds):
                self._dismiss(caller)

    def _dismiss(self, caller: _Caller) -> None:
        descriptor = caller.connection.fileno()
        del self._callers[descriptor]
        self._poll.unregister(descriptor)
        with contextlib.suppress(OSError):
            caller.connection.close()
