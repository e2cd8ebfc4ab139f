"""The exchange of messages in an established association (PS3.7, chapters 8 and 9).

A message is a command set and, if that says so, a dataset; each comes in one or more fragments, all in the
same presentation context, and messages do not interleave (PS3.8, annex E.1):

    phase              fragments    what becomes of them
    COMMAND            command      with the last one the request is decoded and handled
    DATASET            data         pieces for the listener, which answers when the last one has come
    DROPPED_DATASET    data         none; with the last one the answer, which is ready, is queued

Only a C-STORE-RQ that could succeed is the listener's business. All other requests are answered here.
"""

from collections.abc import Callable, Mapping, Sequence
from enum import Enum, auto

from oxidicom.association.associate import AnsweredContext
from oxidicom.association.commands import (
    IS_RESPONSE,
    Command,
    CommandField,
    Element,
    StoreRequest,
    build_store_request,
    decode_command,
    encode_plain_response,
    encode_store_response,
)
from oxidicom.association.events import (
    DataEnded,
    DataReceived,
    Echoed,
    Event,
    RequestUnrecognized,
    StoreRefused,
    StoreRequested,
)
from oxidicom.association.familiar_requests import FamiliarRequests
from oxidicom.association.pdu import AbortReason, encode_command_pdus, invalid_parameter
from oxidicom.association.pdu_reader import Fragment
from oxidicom.association.syntaxes import is_storage_class
from oxidicom.association.uids import is_instance_uid
from oxidicom.errors import ProtocolError
from oxidicom.statuses import Status

_NONE = -1
"""No presentation context id, nor any byte of a peer, has this value."""


class MessagePhase(Enum):
    """Which part of a message comes next; see the table above."""

    COMMAND = auto()
    DATASET = auto()
    DROPPED_DATASET = auto()


class DimseProvider:
    """Fragments in, events and the PDUs of responses out."""

    def __init__(self, contexts: Mapping[int, AnsweredContext], max_pdu_length: int, max_command_bytes: int) -> None:
        """`contexts` are the accepted ones by their id; `max_pdu_length` is the peer's (0: no limit)."""
        self.outgoing: list[bytes] = []
        """PDUs to be sent; whoever sends them clears the list."""
        self._contexts = contexts
        self._max_pdu_length = max_pdu_length
        self._max_command_bytes = max_command_bytes
        self._context_id = _NONE
        """That of the message which is being received."""
        self._command_set = bytearray()
        self._familiar = FamiliarRequests()
        self._phase = MessagePhase.COMMAND
        self._request: StoreRequest | None = None
        """The one whose dataset is being received."""
        self._conclusion: tuple[Event, bytes] | None = None
        """What happens, and the response (or none), when the dataset that is being dropped has ended."""

    @property
    def inside_message(self) -> bool:
        """Whether a part of a message has come and the rest has not."""
        return self._context_id != _NONE

    def handle(self, fragment: Fragment) -> Sequence[Event]:
        """Take the next fragment and return what it brings about. Raises ProtocolError."""
        if fragment.context_id != self._context_id:
            self._begin_message(fragment.context_id)
        if fragment.is_command != (self._phase is MessagePhase.COMMAND):
            raise _unexpected(f"fragment of the wrong kind in phase {self._phase.name}")
        if self._phase is MessagePhase.DATASET:
            return self._take_dataset(fragment)
        if self._phase is MessagePhase.COMMAND:
            return self._take_command(fragment)
        return self._conclude() if fragment.is_last else ()

    def respond(
        self, request: StoreRequest, status: int, comment: str = "", offending_tags: Sequence[int] = ()
    ) -> None:
        """Queue the C-STORE-RSP."""
        response = encode_store_response(request, status, comment, offending_tags)
        self.outgoing.append(encode_command_pdus(request.context_id, response, self._max_pdu_length))

    def _begin_message(self, context_id: int) -> None:
        if self._context_id != _NONE:
            raise _unexpected("messages of two presentation contexts are interleaved")
        if context_id not in self._contexts:
            raise invalid_parameter(f"presentation context {context_id} was not accepted")
        self._context_id = context_id

    def _end_message(self) -> None:
        self._context_id = _NONE
        self._phase = MessagePhase.COMMAND

    def _take_command(self, fragment: Fragment) -> Sequence[Event]:
        self._command_set += fragment.piece
        if len(self._command_set) > self._max_command_bytes:
            raise invalid_parameter(f"command set is longer than {self._max_command_bytes} bytes")
        if not fragment.is_last:
            return ()
        request = self._familiar.recognize(self._command_set, fragment.context_id)
        command_set = self._command_set
        self._command_set = bytearray()
        if request is not None:
            return self._begin_dataset(request)
        return self._handle_request(decode_command(bytes(command_set)))

    def _take_dataset(self, fragment: Fragment) -> Sequence[Event]:
        received = (DataReceived(fragment.piece),) if len(fragment.piece) else ()
        if not fragment.is_last:
            return received
        assert self._request is not None  # _handle_store sets it together with this state
        ended = DataEnded(self._request)
        self._end_message()
        return (*received, ended)

    def _handle_request(self, command: Command) -> Sequence[Event]:
        service = _SERVICES.get(command.field, DimseProvider._refuse_operation)
        return service(self, command)

    def _refuse_operation(self, command: Command) -> Sequence[Event]:
        if command.field & IS_RESPONSE:
            raise invalid_parameter(f"command {command.field:04X}H is a response, and nothing was requested")
        response = encode_plain_response(command, Status.UNRECOGNIZED_OPERATION)
        return self._answer(command, RequestUnrecognized(command.field), response)

    def _handle_cancel(self, command: Command) -> Sequence[Event]:
        """There is no response to it (PS3.7, 9.3.2.3); and nothing that we do can be cancelled."""
        return self._answer(command, RequestUnrecognized(command.field), b"")

    def _handle_echo(self, command: Command) -> Sequence[Event]:
        return self._answer(command, Echoed(), encode_plain_response(command, Status.SUCCESS))

    def _handle_store(self, command: Command) -> Sequence[Event]:
        request = build_store_request(command, self._contexts[self._context_id])
        refusal = _find_refusal(request, command)
        if refusal is not None:
            status, comment, offending = refusal
            response = encode_store_response(request, status, comment, (offending,))
            return self._answer(command, StoreRefused(request, status, comment), response)
        self._familiar.remember(command, request)
        return self._begin_dataset(request)

    def _begin_dataset(self, request: StoreRequest) -> Sequence[Event]:
        self._request = request
        self._phase = MessagePhase.DATASET
        return (StoreRequested(request),)

    def _answer(self, command: Command, event: Event, response: bytes) -> Sequence[Event]:
        """Answer the message when it ends: now, or when its dataset has ended."""
        self._conclusion = event, response
        if not command.has_dataset:
            return self._conclude()
        self._phase = MessagePhase.DROPPED_DATASET
        return ()

    def _conclude(self) -> Sequence[Event]:
        assert self._conclusion is not None  # _answer sets it together with this state
        event, response = self._conclusion
        if response:
            self.outgoing.append(encode_command_pdus(self._context_id, response, self._max_pdu_length))
        self._end_message()
        return (event,)


_SERVICES: Mapping[int, Callable[[DimseProvider, Command], Sequence[Event]]] = {
    CommandField.C_STORE_RQ: DimseProvider._handle_store,
    CommandField.C_ECHO_RQ: DimseProvider._handle_echo,
    CommandField.C_CANCEL_RQ: DimseProvider._handle_cancel,
}
"""What is served, by the command field of the request."""


def _find_refusal(request: StoreRequest, command: Command) -> tuple[Status, str, Element] | None:
    """Return status, comment and offending element if the command set alone shows that it cannot be stored."""
    if not is_storage_class(request.affected_sop_class_uid):
        # It should be that of the presentation context too (PS3.7, 9.1.1.1.9), but real devices take any that is there.
        return Status.SOP_CLASS_NOT_SUPPORTED, "Not the UID of a storage class", Element.AFFECTED_SOP_CLASS_UID
    if not is_instance_uid(request.affected_sop_instance_uid):
        return Status.CANNOT_UNDERSTAND, "Affected SOP Instance UID is not a UID", Element.AFFECTED_SOP_INSTANCE_UID
    if not command.has_dataset:
        return Status.CANNOT_UNDERSTAND, "C-STORE-RQ without a dataset", Element.COMMAND_DATA_SET_TYPE
    return None


def _unexpected(message: str) -> ProtocolError:
    return ProtocolError(message, AbortReason.UNEXPECTED_PDU_PARAMETER)
