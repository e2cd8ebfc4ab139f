"""The upper layer's state machine for the side that accepts one association (PS3.8, 9.2).

Theory of operation. The owner of the connection drives it, whatever kind of connection that is:

    count = connection.recv_into(acceptor.writable())
    for event in acceptor.received(count):          # count 0: the peer has closed the connection
        ...                                         # on DataEnded: acceptor.respond(event.request, status)
    connection.send(acceptor.bytes_to_send())

All events have to be taken before `writable` is called again: it ends the life of the pieces of
`DataReceived`, unless there is room and they are kept, and nothing is decoded before its event is asked
for. Deadlines are the owner's: `state` and `inside_message` tell which one applies. The peer's mistakes are
events too (`ProtocolViolated`); no exception leaves this class because of bytes.

States and what may come in them; the names of PS3.8, table 9-10 stand beside ours:

    state              PDU               action                                      next state
    AWAITING_REQUEST   A-ASSOCIATE-RQ    AE-6, AE-7  queue A-ASSOCIATE-AC            ESTABLISHED
      (Sta2, Sta3)                       AE-6, AE-8  or queue A-ASSOCIATE-RJ         AWAITING_CLOSE
                       A-ABORT           AA-2                                        CLOSED
                       other             AA-1        queue A-ABORT (service user)    AWAITING_CLOSE
    ESTABLISHED        P-DATA-TF         DT-2        messages: see `dimse`           ESTABLISHED
      (Sta6)           A-RELEASE-RQ      AR-2, AR-4  queue A-RELEASE-RP              AWAITING_CLOSE
                       A-ABORT           AA-3                                        CLOSED
                       other             AA-8        queue A-ABORT (provider, why)   AWAITING_CLOSE
    AWAITING_CLOSE     anything          AA-6        drop it                         AWAITING_CLOSE
      (Sta13)
    CLOSED (Sta1)      anything                      drop it                         CLOSED

The end of file leads to CLOSED from everywhere; it is a loss (AA-4, AA-5) unless the peer was expected to
close. We never ask for a release, so releases do not collide. A release in the middle of a message is
granted: the message is incomplete, and the owner drops it as after a lost connection.
"""

from collections.abc import Callable, Iterator, Mapping, Sequence
from enum import Enum, auto

from oxidicom.association.associate import decode_associate_rq, encode_associate_ac
from oxidicom.association.commands import StoreRequest
from oxidicom.association.dimse import DimseProvider
from oxidicom.association.events import (
    Aborted,
    AssociationAccepted,
    AssociationRejected,
    AssociationRequested,
    ConnectionLost,
    Event,
    ProtocolViolated,
    ReleaseRequested,
)
from oxidicom.association.negotiation import AcceptancePolicy, Accepted, Rejected, negotiate
from oxidicom.association.pdu import (
    PDU_HEADER,
    AbortReason,
    AbortSource,
    PduType,
    encode_abort,
    encode_associate_rj,
    encode_release_rp,
)
from oxidicom.association.pdu_reader import Fragment, PduReader
from oxidicom.errors import ProtocolError

_MAX_SHORT_PDU_BYTES = 1024
"""A-RELEASE-RQ and A-ABORT have 4 bytes (PS3.8, 9.3.6 and 9.3.8); what follows these is ignored."""


class AssociationState(Enum):
    """Where the association is; see the table above."""

    AWAITING_REQUEST = auto()
    ESTABLISHED = auto()
    AWAITING_CLOSE = auto()
    """Our last word is queued: send it, and close when the peer has closed or a short time is over."""
    CLOSED = auto()
    """The peer is gone; nothing is left to be sent."""


class Acceptor:
    """One association, from the first byte to the last."""

    def __init__(self, policy: AcceptancePolicy, peer_address: str = "0.0.0.0") -> None:
        """`peer_address` is the IPv4 or IPv6 address at the other end, which the policy may be about."""
        self._policy = policy
        self.peer_address = peer_address
        self._refusal: Rejected | None = None
        self._reader = PduReader()
        self._dimse = DimseProvider({}, 0, policy.max_command_bytes)
        self._outgoing = self._dimse.outgoing
        self._enter(AssociationState.AWAITING_REQUEST)

    @property
    def state(self) -> AssociationState:
        return self._state

    @property
    def inside_message(self) -> bool:
        """Whether the peer owes the rest of something that it has begun: of a PDU, a command set or a dataset."""
        return self._reader.inside_pdu or self._dimse.inside_message

    @property
    def has_room(self) -> bool:
        """Whether pieces of earlier events may be kept when `writable` is called next."""
        return self._reader.has_room

    def writable(self, *, keep_pieces: bool = False) -> memoryview:
        """Return where the next bytes are to be put. Pieces of earlier events become invalid, unless they are kept."""
        return self._reader.writable(keep_pieces=keep_pieces)

    def received(self, count: int) -> Iterator[Event]:
        """Yield what follows from the `count` bytes that were put into `writable()`; 0 is the end of file."""
        if count == 0:
            return self._handle_end_of_file()
        self._reader.received(count)
        return self._events()

    def reject(self, refusal: Rejected) -> None:
        """Answer the request of `AssociationRequested` with A-ASSOCIATE-RJ. `AssociationRejected` comes next."""
        self._refusal = refusal

    def respond(
        self, request: StoreRequest, status: int, comment: str = "", offending_tags: Sequence[int] = ()
    ) -> None:
        """Queue the response to a C-STORE-RQ whose dataset has ended.

        Does nothing if the association is over: an instance can take longer than its peer's patience.
        """
        if self._state is AssociationState.ESTABLISHED:
            self._dimse.respond(request, status, comment, offending_tags)

    def abort(self, reason: int = AbortReason.NOT_SPECIFIED) -> None:
        """Queue an A-ABORT, unless the association is over already.

        In an association the source is the service provider (AA-8); before there is one, the service user, and
        then there is no reason (AA-1; PS3.8, 9.3.8).
        """
        if self._state is AssociationState.ESTABLISHED:
            self._outgoing.append(encode_abort(AbortSource.SERVICE_PROVIDER, reason))
        elif self._state is AssociationState.AWAITING_REQUEST:
            self._outgoing.append(encode_abort(AbortSource.SERVICE_USER, AbortReason.NOT_SPECIFIED))
        else:
            return
        self._enter(AssociationState.AWAITING_CLOSE)

    def bytes_to_send(self) -> bytes:
        """Take what is queued for the peer."""
        queued = b"".join(self._outgoing)
        self._outgoing.clear()
        return queued

    def _enter(self, state: AssociationState) -> None:
        self._state = state
        self._reader.expect(_limits(state, self._policy))

    def _events(self) -> Iterator[Event]:
        try:
            while (part := self._reader.read()) is not None:
                if isinstance(part, Fragment):
                    yield from self._dimse.handle(part)
                else:
                    yield from _HANDLERS[part.pdu_type](self, part.body)
        except ProtocolError as error:
            self.abort(error.abort_reason)
            yield ProtocolViolated(error)

    def _handle_end_of_file(self) -> Iterator[Event]:
        was_expected = self._state in (AssociationState.AWAITING_CLOSE, AssociationState.CLOSED)
        self._enter(AssociationState.CLOSED)
        if not was_expected:
            yield ConnectionLost()

    def _handle_associate_rq(self, body: memoryview) -> Iterator[Event]:
        """Accept or reject (AE-6 to AE-8)."""
        request = decode_associate_rq(body)
        answer = negotiate(request, self._policy, self.peer_address)
        if isinstance(answer, Accepted):
            yield AssociationRequested(request)
            answer = self._refusal or answer
        if isinstance(answer, Rejected):
            self._outgoing.append(encode_associate_rj(answer.result, answer.source, answer.reason))
            self._enter(AssociationState.AWAITING_CLOSE)
            yield AssociationRejected(request, answer.reason)
            return
        accepted = {context.context_id: context for context in answer.contexts if context.is_accepted}
        self._dimse = DimseProvider(accepted, request.max_pdu_length, self._policy.max_command_bytes)
        self._outgoing = self._dimse.outgoing
        self._outgoing.append(
            encode_associate_ac(request, answer.contexts, answer.role_selections, self._policy.max_pdu_length)
        )
        self._enter(AssociationState.ESTABLISHED)
        yield AssociationAccepted(request, answer.contexts)

    def _handle_release_rq(self, _: memoryview) -> Iterator[Event]:
        """Grant the release at once (AR-2, AR-4)."""
        self._outgoing.append(encode_release_rp())
        self._enter(AssociationState.AWAITING_CLOSE)
        yield ReleaseRequested()

    def _handle_abort(self, body: memoryview) -> Iterator[Event]:
        """Take note (AA-2, AA-3). What is queued has no reader any more."""
        self._outgoing.clear()
        self._enter(AssociationState.CLOSED)
        source, reason = body[2:4] if len(body) >= 4 else (AbortSource.SERVICE_USER, AbortReason.NOT_SPECIFIED)
        yield Aborted(source, reason)


_HANDLERS: Mapping[PduType, Callable[[Acceptor, memoryview], Iterator[Event]]] = {
    PduType.A_ASSOCIATE_RQ: Acceptor._handle_associate_rq,
    PduType.A_RELEASE_RQ: Acceptor._handle_release_rq,
    PduType.A_ABORT: Acceptor._handle_abort,
}


def _limits(state: AssociationState, policy: AcceptancePolicy) -> Mapping[PduType, int]:
    """Return which PDUs may come in a state, and how long they may be, in bytes after the length field."""
    if state is AssociationState.AWAITING_REQUEST:
        longest = policy.max_request_bytes - PDU_HEADER.size
        return {PduType.A_ASSOCIATE_RQ: longest, PduType.A_ABORT: _MAX_SHORT_PDU_BYTES}
    if state is AssociationState.ESTABLISHED:
        announced = policy.max_pdu_length
        return {
            PduType.P_DATA_TF: announced if announced and policy.strict else max(announced, policy.max_pdu_bytes),
            PduType.A_RELEASE_RQ: _MAX_SHORT_PDU_BYTES,
            PduType.A_ABORT: _MAX_SHORT_PDU_BYTES,
        }
    return {}
