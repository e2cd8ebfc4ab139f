"""One association, from the accepted connection to its closing line: the shell around the sans-I/O acceptor.

The socket is blocking, with waits of at most a second, so that the heartbeat goes on and every deadline is kept.
"""

import contextlib
import socket
import time

from loguru import logger
from ulid import ULID

from oxidicom.association.acceptor import Acceptor, AssociationState
from oxidicom.association.associate import AssociationRequest
from oxidicom.association.events import (
    Aborted,
    AssociationAccepted,
    AssociationRejected,
    AssociationRequested,
    ConnectionLost,
    DataEnded,
    DataReceived,
    Echoed,
    Event,
    ProtocolViolated,
    ReleaseRequested,
    RequestUnrecognized,
    StoreRefused,
    StoreRequested,
)
from oxidicom.association.negotiation import NO_ROOM
from oxidicom.errors import ProtocolError
from oxidicom.spool.ledger import Started
from workers.channels.bugs import place_of
from workers.channels.encryption import handshake_failure, say_no_more
from workers.channels.ending import UNWELCOME, Ending, EndKind, rejected
from workers.channels.scoreboard import Counter, GatewayPhase, ProcessState, Slot
from workers.listener.association_account import AssociationAccount
from workers.listener.connections import READ_SECONDS, Peer, acknowledge_now, learn_peer, wait_in_kernel
from workers.listener.deadlines import Deadlines
from workers.listener.needs import ListenerNeeds
from workers.listener.policy import acceptance_policy, is_allowed_here, title_policy
from workers.listener.rejection import explain
from workers.listener.store_service import StoreService
from workers.listener.turning_away import turn_away

_LOOK_SECONDS = 0.5
"""How often a listener with much to do gives a sign of life and sees whether it is to stop."""
_CLOSE_SECONDS = 1.0
"""How long the peer has to close the connection after the release (ARTIM, PS3.8, 9.1.5): it only costs a listener."""
_CLOSE_SOON_SECONDS = 0.1
"""The same for what was no association: a scanner or a monitor that holds on must not keep listeners from others.
The first byte of who is turned away is waited for as long."""


def _ending_by(event: ReleaseRequested | Aborted | ConnectionLost | ProtocolViolated) -> Ending:
    match event:
        case ReleaseRequested():
            return Ending(EndKind.RELEASED)
        case Aborted():
            return Ending(EndKind.ABORTED, f"source {event.source}, reason {event.reason}")
        case ConnectionLost():
            return Ending(EndKind.CONNECTION_LOST)
        case ProtocolViolated():
            return Ending(EndKind.PROTOCOL_VIOLATED, str(event.error))


class _Over(Exception):  # noqa: N818 (no error: the normal way out of the receiving loop)
    """The association is over."""

    def __init__(self, ending: Ending) -> None:
        super().__init__(str(ending))
        self.ending = ending


class Association:
    """Serves one connection."""

    def __init__(self, shared: ListenerNeeds, slot: Slot, connection: socket.socket, peer: Peer) -> None:
        self._shared = shared
        self._slot = slot
        self._connection = connection
        self._ulid = str(ULID())
        self._account = AssociationAccount(self._ulid, peer, shared.repetitions, slot)
        self._acceptor = Acceptor(acceptance_policy(shared.settings), peer.address)
        self._deadlines = Deadlines(shared.settings, self._acceptor)
        self._store_service: StoreService | None = None
        self._is_unwelcome = False
        self._look_due = 0.0
        self._log = logger.bind(association=self._ulid)

    @property
    def was_accepted(self) -> bool:
        """Whether there was an association at all."""
        return self._store_service is not None

    def serve(self) -> None:
        """Serve the association to its end. A bug of ours costs this one, not the listener and its next ones."""
        ending = Ending(EndKind.FAILED)
        try:
            ending = self._converse()
        except Exception as error:  # noqa: BLE001 (what a peer can make of a bug is not foreseeable)
            self._log.opt(exception=error).error(
                "Unexpected {error} in {place}; the association is aborted",
                error=type(error).__name__,
                place=place_of(error),
                action="association_failed",
            )
            self._acceptor.abort()
            self._send_last()
        finally:
            self._close()
            self._end(ending)

    def _converse(self) -> Ending:
        try:
            self._learn_peer()
            self._shake_hands()
            while True:
                count = self._receive()
                for event in self._acceptor.received(count):
                    self._handle(event)
                self._send(self._acceptor.bytes_to_send())
        except _Over as over:
            # Its place is free before the peer can know: it may come again at once.
            self._slot.hold(self._ulid, "")
            self._send_last()
            return over.ending
        except OSError as error:
            return Ending(EndKind.CONNECTION_LOST, error.strerror or str(error))

    def _send_last(self) -> None:
        with contextlib.suppress(OSError, _Over):
            self._send(self._acceptor.bytes_to_send())

    def _learn_peer(self) -> None:
        """Learn from the balancer, if there is one, whose connection it is, and whether it may be here."""
        self._connection.settimeout(READ_SECONDS)
        limit_seconds = self._shared.settings.association_request_seconds

        def may_wait() -> bool:
            return not self._is_told_to_stop() and time.monotonic() - self._account.began < limit_seconds

        try:
            peer = learn_peer(self._connection, self._account.peer, self._shared.settings, may_wait)
        except ProtocolError as error:
            raise _Over(Ending(EndKind.NO_PROXY_HEADER, str(error))) from None
        self._account.peer = peer
        self._acceptor.peer_address = peer.address
        if not is_allowed_here(self._shared.settings, peer.address):
            self._is_unwelcome = True
            self._connection.settimeout(_CLOSE_SOON_SECONDS)
            turn_away(self._shared, self._slot, self._connection, peer, self._ulid)
            raise _Over(UNWELCOME)

    def _shake_hands(self) -> None:
        """Begin TLS, if the port speaks it."""
        encryption, limit_seconds = self._shared.encryption, self._shared.settings.tls_handshake_seconds
        if encryption is None:
            wait_in_kernel(self._connection)
            return
        try:
            secured = encryption.wrap(self._connection, self._shared.scoreboard.tls_generation)
            self._connection = secured
            while True:
                if self._is_told_to_stop():
                    raise _Over(Ending(EndKind.GATEWAY_STOPPED))
                with contextlib.suppress(TimeoutError):
                    secured.do_handshake()
                    self._account.tls = secured.version()
                    return
                if time.monotonic() - self._account.began > limit_seconds:
                    raise _Over(Ending(EndKind.DEADLINE, f"no TLS handshake within {limit_seconds:g} s"))
        except OSError as error:
            raise _Over(handshake_failure(error)) from None

    def _receive(self) -> int:
        """Put the next bytes into the acceptor's buffer; return how many, 0 at the end of file."""
        keep_pieces = self._store_service is not None and self._store_service.keep_or_flush_pieces()
        writable = self._acceptor.writable(keep_pieces=keep_pieces)
        while True:
            began = self._look_around()
            if self._may_be_inside_message:
                acknowledge_now(self._connection)
            count = None
            try:
                count = self._connection.recv_into(writable)
            except (TimeoutError, BlockingIOError):
                pass
            except ConnectionError:
                return 0
            overrun = self._deadlines.waited(time.monotonic() - began, count or 0)
            if overrun:
                self._give_up_waiting(overrun)
            if count is not None:
                return count

    @property
    def _may_be_inside_message(self) -> bool:
        """Whether a message has begun. Within TLS nobody can tell: a record is seen when it is whole."""
        return self._acceptor.inside_message or self._account.tls is not None

    def _look_around(self) -> float:
        """Give a sign of life now and then, and stop if that is wanted. Return the time."""
        now = time.monotonic()
        if now >= self._look_due:
            self._look_due = now + _LOOK_SECONDS
            if self._is_told_to_stop():
                self._acceptor.abort()
                raise _Over(Ending(EndKind.GATEWAY_STOPPED))
            self._shared.repetitions.tell_rest()
        return now

    def _is_told_to_stop(self) -> bool:
        self._slot.beat(ProcessState.WORKING)
        return self._shared.scoreboard.phase >= GatewayPhase.ABORTING_ASSOCIATIONS

    def _give_up_waiting(self, overrun: str) -> None:
        if self._acceptor.state is not AssociationState.AWAITING_REQUEST:  # there ARTIM closes without a word (AA-2)
            self._acceptor.abort()
        raise _Over(Ending(EndKind.DEADLINE, overrun))

    def _send(self, data: bytes) -> None:
        """Send all of `data`. `sendall` with a timeout loses count of what went out, so the offset is kept here."""
        deadline = 0.0
        while data:
            try:
                data = data[self._connection.send(data) :]
            except (TimeoutError, BlockingIOError):
                self._slot.beat(ProcessState.WORKING)
            if data:  # rare: the answer is short, and the peer waits for it
                deadline = deadline or time.monotonic() + self._shared.settings.stall_seconds
                if time.monotonic() > deadline:
                    raise _Over(Ending(EndKind.DEADLINE, "the peer does not read its answers"))

    def _handle(self, event: Event) -> None:
        match event:
            case DataReceived():
                self._service.take(event.piece)
            case StoreRequested():
                self._service.begin(event.request)
            case DataEnded():
                self._service.finish(event.request)
                self._look_around()  # one receive may have brought many instances, and each may take its time
            case StoreRefused():
                self._service.refuse(event.request, event.status, event.comment)
            case AssociationRequested():
                self._requested(event.request)
            case AssociationAccepted():
                self._accepted(event)
            case AssociationRejected():
                self._slot.add(Counter.ASSOCIATIONS_REJECTED)
                self._account.ask(event.request)
                self._account.rejection = explain(
                    event.request, self._shared.settings, self._account.peer.address, event.reason
                )
                raise _Over(rejected(event.reason))
            case Echoed():
                self._log.debug("C-ECHO answered", action="echoed")
            case RequestUnrecognized():
                self._account.tell_of_unrecognized(event.command_field)
            case ReleaseRequested() | Aborted() | ConnectionLost() | ProtocolViolated():
                raise _Over(_ending_by(event))

    def _requested(self, request: AssociationRequest) -> None:
        """Claim a place for the AE title, then see whether there are too many: of two at once none may slip through."""
        self._account.ask(request)
        self._slot.hold(self._ulid, request.calling_ae_title)
        most = title_policy(self._shared.settings, request.calling_ae_title).max_associations
        if most and self._shared.scoreboard.associations_of(request.calling_ae_title) > most:
            self._acceptor.reject(NO_ROOM)

    def _accepted(self, event: AssociationAccepted) -> None:
        self._account.contexts = event.contexts
        self._account.tell_of_contexts(event.request)
        titles = event.request.calling_ae_title, event.request.called_ae_title
        started = Started(self._ulid, *titles, peer=str(self._account.peer))
        self._store_service = StoreService(self._shared, self._slot, self._acceptor, started)
        self._slot.add(Counter.ASSOCIATIONS_ACCEPTED)
        self._log.debug(
            "Association from {calling_ae_title} accepted",
            calling_ae_title=titles[0],
            called_ae_title=titles[1],
            peer=str(self._account.peer),
            action="association_accepted",
        )

    @property
    def _service(self) -> StoreService:
        if self._store_service is None:
            raise AssertionError("the acceptor yields no message before the association is accepted")
        return self._store_service

    def _close(self) -> None:
        if not self._is_unwelcome:
            self._linger()
        self._connection.close()

    def _linger(self) -> None:
        """Half-close and let the peer read what was sent: to close at once could reset its last answer away."""
        with contextlib.suppress(OSError):
            seconds = _CLOSE_SECONDS if self.was_accepted else _CLOSE_SOON_SECONDS
            self._connection.settimeout(seconds)
            say_no_more(self._connection)
            deadline = time.monotonic() + seconds
            while self._connection.recv(65536) and time.monotonic() < deadline:
                pass

    def _end(self, ending: Ending) -> None:
        if self._store_service:
            self._store_service.end(str(ending))
        self._slot.hold("", "")
        stored = self._store_service.account if self._store_service else None
        if ending.kind is not EndKind.RELEASED and self._store_service:
            self._slot.add(Counter.ASSOCIATIONS_ABORTED)
        if not self._is_unwelcome:
            self._account.write_line(ending, stored)
        for fact in self._account.facts(ending, stored):
            self._shared.facts.tell(self._slot, fact)
