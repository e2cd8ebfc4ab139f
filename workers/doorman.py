"""The doorman: tells those who wait in vain that the gateway is busy, instead of letting them wait in silence.

A connection that no listener takes within CHRIS_SCP_BUSY_SECONDS is accepted here; its request is read and rejected,
"transient, local limit exceeded" (PS3.8, 9.3.4), which makes a PACS come again later. The doorman serves all such
connections at once, so that a slow one holds up nobody, and takes none while a listener is free.
"""

import contextlib
import select
import socket
import ssl
import time

from loguru import logger
from ulid import ULID

from oxidicom.association.acceptor import Acceptor, State
from oxidicom.association.events import AssociationRejected, AssociationRequested
from oxidicom.association.negotiation import NO_ROOM
from oxidicom.errors import ProtocolError
from workers.accept_queue import AcceptQueue
from workers.association import policy_of
from workers.connections import Peer, accept, learn_peer
from workers.encryption import say_no_more
from workers.facts import AssociationFinished
from workers.listener import HEARTBEAT_SECONDS
from workers.scoreboard import Counter, Phase, Role, Slot
from workers.scoreboard import State as WorkerState
from workers.shared import Shared

_TICK_SECONDS = 0.25
_CLOSE_SECONDS = 1.0
"""How long a rejected peer has to close the connection."""
_MOST_CALLERS = 64
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

    def __init__(self, shared: Shared, slot: Slot) -> None:
        self._shared = shared
        self._slot = slot
        self._policy = policy_of(shared.settings)
        self._queue = AcceptQueue(shared.listening_socket)
        self._callers: dict[int, _Caller] = {}
        """By descriptor, oldest first."""
        self._poll = select.poll()

    def boot(self) -> None:
        """Nothing to get ready."""

    def run(self) -> None:
        """Watch until the gateway accepts no more."""
        while self._shared.scoreboard.phase < Phase.ACCEPTING_NO_MORE:
            self._slot.beat(WorkerState.WAITING)
            for descriptor, _ in self._poll.poll(_TICK_SECONDS * 1000):
                self._converse(self._callers[descriptor])
            self._dismiss_slow()
            while len(self._callers) < _MOST_CALLERS and self._someone_waits_in_vain():
                self._take_in()

    def _someone_waits_in_vain(self) -> bool:
        self._queue.look(time.monotonic(), lambda: self._shared.scoreboard.total(Counter.CONNECTIONS_ACCEPTED))
        too_long = self._queue.longest_wait_seconds >= self._shared.settings.busy_seconds
        return too_long and not self._listener_is_free()

    def _listener_is_free(self) -> bool:
        """Then the connection is the listener's, who is about to take it."""
        fresh_ns = time.monotonic_ns() - _FREE_HEARTBEAT_NS
        listeners = self._shared.scoreboard.of_role(Role.LISTENER)
        return any(slot.state is WorkerState.WAITING and slot.heartbeat_ns > fresh_ns for slot in listeners)

    # -- callers -------------------------------------------------------------------------------------------------

    def _take_in(self) -> None:
        """Accept the connection that has waited longest."""
        accepted = accept(self._shared.listening_socket, self._shared.settings)
        if not accepted:
            return
        self._slot.add(Counter.CONNECTIONS_ACCEPTED)
        connection, peer = accepted
        connection.setblocking(False)
        try:  # what a balancer says came while the connection waited
            peer = learn_peer(connection, peer, self._shared.settings, lambda: False)
        except (OSError, ProtocolError):
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
        if caller.acceptor.state is State.CLOSED:
            self._dismiss(caller)

    def _account(self, caller: _Caller, event: AssociationRejected) -> None:
        self._slot.add(Counter.ASSOCIATIONS_REJECTED)
        self._tell(caller, event)
        logger.warning(
            "Association of {calling_ae_title} rejected ({reason}): no listener was free for {seconds:g} s",
            calling_ae_title=event.request.calling_ae_title,
            reason=event.reason.name.lower().replace("_", " "),
            seconds=self._shared.settings.busy_seconds,
            peer=str(caller.peer),
            listeners=self._shared.settings.listeners,
            action="busy",
        )

    def _tell(self, caller: _Caller, event: AssociationRejected) -> None:
        reason = event.reason.name.lower().replace("_", " ")
        fact = AssociationFinished(
            association=str(ULID()),
            began_ns=caller.began_ns,
            ended_ns=time.time_ns(),
            peer_address=caller.peer.address,
            peer_port=caller.peer.port,
            calling_ae_title=event.request.calling_ae_title,
            called_ae_title=event.request.called_ae_title,
            how=f"rejected: {reason}",
            rejection=reason,
        )
        self._shared.facts.tell(self._slot, fact)

    def _dismiss_slow(self) -> None:
        crowded = len(self._callers) >= _MOST_CALLERS
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
