"""The judge of conversations: whatever a peer sends, only three things may come of it.

Progress; an A-ABORT of the right source and reason; or an instance that is refused. Anything else is an
AssertionError, or whatever exception it was.
"""

import functools
from collections.abc import Iterator
from importlib import resources

from fuzzing.annotated import parse_annotated
from fuzzing.datasets import judge_dataset
from oxidicom.association.acceptor import Acceptor, AssociationState
from oxidicom.association.commands import StoreRequest
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
from oxidicom.association.negotiation import NO_ROOM, AcceptancePolicy
from oxidicom.association.pdu import AbortReason, PduType

_ENDS: set[type] = {ReleaseRequested, Aborted, ConnectionLost, ProtocolViolated}
_BETWEEN_MESSAGES: set[type] = {StoreRequested, StoreRefused, Echoed, RequestUnrecognized, *_ENDS}
_INSIDE_DATASET: set[type] = {DataReceived, DataEnded, *_ENDS}
_FOLLOWERS: dict[type | None, set[type]] = {
    None: {AssociationRequested, AssociationRejected, Aborted, ConnectionLost, ProtocolViolated},
    AssociationRequested: {AssociationAccepted, AssociationRejected},
    AssociationAccepted: _BETWEEN_MESSAGES,
    StoreRequested: _INSIDE_DATASET,
    DataReceived: _INSIDE_DATASET,
    **dict.fromkeys((DataEnded, StoreRefused, Echoed, RequestUnrecognized), _BETWEEN_MESSAGES),
    **{event: set() for event in (AssociationRejected, *_ENDS)},
}
"""Which event may come after which; the first after None."""

_C_CANCEL = 0x0FFF
_MAX_DATASET_BYTES = 64 * 1024
_CHUNKS = (1 << 20, 1, 7, 100)

STRICT, UNCOMPRESSED_ONLY, ESTABLISHED, NO_ROOM_LEFT, CHUNKS, KEPT = 0x01, 0x02, 0x04, 0x08, 0x30, 0x40
"""The bits of the first byte of an input: the policy, where it begins, in what chunks it comes, and whether pieces of
datasets are kept in the receive buffer for as long as there is room."""

_REQUEST = """
01 00 <4 00 01 00 00 "ChRIS           PACS            "
  00 00 00 00 00 00 00 00 00 00 00 00 00 00 00 00 00 00 00 00 00 00 00 00 00 00 00 00 00 00 00 00
  10 00 <2 "1.2.840.10008.3.1.1.1" >
  20 00 <2 01 00 00 00 30 00 <2 "1.2.840.10008.5.1.4.1.1.2" > 40 00 <2 "1.2.840.10008.1.2.1" > >
  20 00 <2 03 00 00 00 30 00 <2 "1.2.840.10008.5.1.4.1.1.4" > 40 00 <2 "1.2.840.10008.1.2" > >
  20 00 <2 05 00 00 00 30 00 <2 "1.2.840.10008.1.1" > 40 00 <2 "1.2.840.10008.1.2" > >
  20 00 <2 07 00 00 00 30 00 <2 "1.2.840.10008.5.1.4.1.1.2" > 40 00 <2 "1.2.840.10008.1.2.1.99" > >
  50 00 <2 51 00 <2 00 00 40 00 > >
>
"""
ASSOCIATION_REQUEST = parse_annotated(_REQUEST)


@functools.cache
def seeds() -> tuple[bytes, ...]:
    """Return the annotated conversations as inputs of `judge_conversation`."""
    folder = resources.files("fuzzing") / "seeds"
    found = []
    for file in sorted(folder.iterdir(), key=lambda file: file.name):
        if file.name.endswith(".txt"):
            first = ESTABLISHED if file.name.startswith("message-") else 0
            found.append(bytes([first]) + parse_annotated(file.read_text(encoding="ascii")))
    return tuple(found)


def judge_conversation(data: bytes) -> list[Event]:
    """Hold a conversation of which the first byte says how, and the others are what the peer sends.

    Return its events. Raise AssertionError when something comes of it that may not.
    """
    first, stream = (data[0], data[1:]) if data else (0, b"")
    conversation = _Conversation(first)
    if first & ESTABLISHED:
        conversation.receive(ASSOCIATION_REQUEST)
    size = _CHUNKS[(first & CHUNKS) >> 4]
    for at in range(0, min(len(stream), size * 5000), size):
        conversation.receive(stream[at : at + size])
    conversation.end()
    return conversation.events


class _Conversation:
    """Drives an acceptor as a listener does, and watches it."""

    def __init__(self, first: int) -> None:
        policy = AcceptancePolicy(
            strict=bool(first & STRICT), uncompressed_only=bool(first & UNCOMPRESSED_ONLY), max_pdu_length=4096
        )
        self._has_room = not first & NO_ROOM_LEFT
        self._acceptor = Acceptor(policy)
        self._sent = bytearray()
        self._dataset = bytearray()
        self._keeps = bool(first & KEPT)
        self._pieces: list[memoryview] = []
        self._answers = 0
        self.events: list[Event] = []

    def receive(self, chunk: bytes) -> None:
        while chunk:
            if not (self._keeps and self._acceptor.has_room):
                self._copy_pieces()
            free = self._acceptor.writable(keep_pieces=bool(self._pieces))
            assert len(free), "there is always room for more bytes"
            count = min(len(free), len(chunk))
            free[:count], chunk = chunk[:count], chunk[count:]
            self._take(count)

    def end(self) -> None:
        """The peer closes the connection; look at all that it got."""
        self._take(0)
        assert self._acceptor.state is AssociationState.CLOSED
        self._judge_answers()

    def _take(self, count: int) -> None:
        for event in self._acceptor.received(count):
            assert type(event) in _FOLLOWERS[type(self.events[-1]) if self.events else None], (self.events[-1:], event)
            self.events.append(event)
            self._handle(event)
        self._sent += self._acceptor.bytes_to_send()

    def _handle(self, event: Event) -> None:
        match event:
            case AssociationRequested():
                if not self._has_room:
                    self._acceptor.reject(NO_ROOM)
            case AssociationAccepted():
                assert self._has_room
            case StoreRequested():
                self._pieces.clear()
                self._dataset.clear()
            case DataReceived():
                assert len(event.piece)
                self.events.pop()  # its piece is about to become invalid
                self.events.append(DataReceived(memoryview(b"")))
                self._pieces.append(event.piece)
            case DataEnded():
                self._copy_pieces()
                status = judge_dataset(bytes(self._dataset), event.request.transfer_syntax_uid)
                self._respond(event.request, status)
            case Echoed() | StoreRefused():
                self._answers += 1
            case RequestUnrecognized():
                self._answers += event.command_field != _C_CANCEL

    def _copy_pieces(self) -> None:
        for piece in self._pieces:
            self._dataset += piece[: _MAX_DATASET_BYTES - len(self._dataset)]
        self._pieces.clear()

    def _respond(self, request: StoreRequest, status: int) -> None:
        details = ("hostile\\comment\xff", (0x00100020,)) if status else ()
        self._acceptor.respond(request, status, *details)
        self._answers += 1

    def _judge_answers(self) -> None:
        """What was sent has to be whole PDUs, and the ones that the events ask for."""
        pdus = list(_split(bytes(self._sent)))
        last = self.events[-1] if self.events else None
        established = any(isinstance(event, AssociationAccepted) for event in self.events)
        if isinstance(last, ProtocolViolated):
            reason = last.error.abort_reason
            assert AbortReason(reason) is not AbortReason.NOT_SPECIFIED
            expected = bytes((0, 0, 2, reason)) if established else bytes(4)
            assert pdus.pop() == (PduType.A_ABORT, expected)
        if isinstance(last, ReleaseRequested):
            assert pdus.pop() == (PduType.A_RELEASE_RP, bytes(4))
        if isinstance(last, AssociationRejected):
            ((pdu_type, body),) = pdus
            assert (pdu_type, len(body)) == (PduType.A_ASSOCIATE_RJ, 4)
            return
        if established and pdus:
            assert pdus.pop(0)[0] == PduType.A_ASSOCIATE_AC
        assert all(pdu_type == PduType.P_DATA_TF for pdu_type, _ in pdus)
        answers = sum(body[5] == 0b11 for _, body in pdus)
        assert all(int.from_bytes(body[:4], "big") == len(body) - 4 for _, body in pdus)
        assert answers == self._answers or isinstance(last, Aborted), "each request has its answer"


def _split(stream: bytes) -> Iterator[tuple[int, bytes]]:
    while stream:
        length = int.from_bytes(stream[2:6], "big")
        assert len(stream) >= 6 + length
        yield stream[0], stream[6 : 6 + length]
        stream = stream[6 + length :]
