"""The peer of the tests (pynetdicom encodes what it sends and decodes what it gets) and their listener."""

from collections.abc import Iterable, Iterator, Sequence
from io import BytesIO
from struct import pack

from pydicom.dataset import Dataset
from pynetdicom.dimse_messages import C_ECHO_RQ, C_FIND_RQ, C_STORE_RQ, DIMSEMessage
from pynetdicom.dimse_primitives import C_ECHO, C_FIND, C_STORE
from pynetdicom.dsutils import encode
from pynetdicom.pdu import (
    A_ABORT_RQ,
    A_ASSOCIATE_AC,
    A_ASSOCIATE_RJ,
    A_ASSOCIATE_RQ,
    A_RELEASE_RP,
    A_RELEASE_RQ,
    P_DATA_TF,
    PDU,
)
from pynetdicom.pdu_primitives import (
    A_ASSOCIATE,
    AsynchronousOperationsWindowNegotiation,
    ImplementationClassUIDNotification,
    ImplementationVersionNameNotification,
    MaximumLengthNotification,
    SCP_SCU_RoleSelectionNegotiation,
    SOPClassCommonExtendedNegotiation,
    SOPClassExtendedNegotiation,
    UserIdentityNegotiation,
)
from pynetdicom.presentation import PresentationContext

from oxidicom.association.acceptor import Acceptor
from oxidicom.association.events import AssociationRequested, DataEnded, DataReceived, Event, StoreRequested
from oxidicom.association.negotiation import Rejected

CT = "1.2.840.10008.5.1.4.1.1.2"
MR = "1.2.840.10008.5.1.4.1.1.4"
VERIFICATION = "1.2.840.10008.1.1"
IMPLICIT = "1.2.840.10008.1.2"
EXPLICIT = "1.2.840.10008.1.2.1"
JPEG = "1.2.840.10008.1.2.4.50"
INSTANCE = "1.3.12.2.1107.5.2.19.45152.2013030808110258929186035"
CONTEXTS = ((1, CT, (EXPLICIT, IMPLICIT)), (3, MR, (IMPLICIT,)), (5, VERIFICATION, (IMPLICIT,)))

RELEASE_RQ: bytes = A_RELEASE_RQ().encode()
ABORT = pack(">BxLxxBB", 7, 4, 2, 5)

Proposal = Iterable[tuple[int, str, Sequence[str]]]
UserInformation = (
    AsynchronousOperationsWindowNegotiation
    | ImplementationClassUIDNotification
    | ImplementationVersionNameNotification
    | MaximumLengthNotification
    | SCP_SCU_RoleSelectionNegotiation
    | SOPClassCommonExtendedNegotiation
    | SOPClassExtendedNegotiation
    | UserIdentityNegotiation
)


def build_context(context_id: int, abstract_syntax: str, transfer_syntaxes: Sequence[str]) -> PresentationContext:
    context = PresentationContext()
    context.context_id = context_id
    context.abstract_syntax = abstract_syntax
    context.transfer_syntax = list(transfer_syntaxes)
    return context


def associate_rq(
    contexts: Proposal = CONTEXTS,
    *,
    calling: str = "PACS",
    max_pdu_length: int = 16384,
    user_information: Sequence[UserInformation] = (),
) -> bytes:
    """Return an A-ASSOCIATE-RQ PDU as pynetdicom encodes it."""
    primitive = A_ASSOCIATE()
    primitive.application_context_name = "1.2.840.10008.3.1.1.1"
    primitive.calling_ae_title = calling
    primitive.called_ae_title = "ChRIS"
    primitive.presentation_context_definition_list = [build_context(*context) for context in contexts]
    maximum = MaximumLengthNotification()
    maximum.maximum_length_received = max_pdu_length
    implementation = ImplementationClassUIDNotification()
    implementation.implementation_class_uid = "1.2.3.4"
    primitive.user_information = [maximum, implementation, *user_information]
    pdu = A_ASSOCIATE_RQ()
    pdu.from_primitive(primitive)
    return pdu.encode()


def with_calling_ae_title(request: bytes, title: bytes) -> bytes:
    """Return an A-ASSOCIATE-RQ PDU with 16 bytes as calling AE title that pynetdicom would not send."""
    assert len(title) == 16
    return request[:26] + title + request[42:]


def _messages(
    message: DIMSEMessage, primitive: C_STORE | C_ECHO | C_FIND, context_id: int, max_pdu_length: int
) -> bytes:
    message.primitive_to_message(primitive)
    pdus = []
    for p_data in message.encode_msg(context_id, max_pdu_length):
        pdu = P_DATA_TF()
        pdu.from_primitive(p_data)
        pdus.append(pdu.encode())
    return b"".join(pdus)


def store_rq(
    dataset: bytes, message_id: int = 7, context_id: int = 1, sop_class: str = CT, max_pdu_length: int = 16384
) -> bytes:
    """Return the P-DATA-TF PDUs of a C-STORE-RQ with its dataset."""
    primitive = C_STORE()
    primitive.MessageID = message_id
    primitive.AffectedSOPClassUID = sop_class
    primitive.AffectedSOPInstanceUID = INSTANCE
    primitive.Priority = 0
    primitive.DataSet = BytesIO(dataset)
    return _messages(C_STORE_RQ(), primitive, context_id, max_pdu_length)


def echo_rq(message_id: int = 9, context_id: int = 5) -> bytes:
    primitive = C_ECHO()
    primitive.MessageID = message_id
    primitive.AffectedSOPClassUID = VERIFICATION
    return _messages(C_ECHO_RQ(), primitive, context_id, 16384)


def find_rq(message_id: int = 11, context_id: int = 1) -> bytes:
    """Return a C-FIND-RQ, which has a dataset too, on a presentation context of storage."""
    primitive = C_FIND()
    primitive.MessageID = message_id
    primitive.AffectedSOPClassUID = "1.2.840.10008.5.1.4.1.2.2.1"
    primitive.Priority = 0
    primitive.Identifier = BytesIO(b"\x08\x00\x52\x00\x06\x00\x00\x00SERIES")
    return _messages(C_FIND_RQ(), primitive, context_id, 16384)


def command_set(**elements: object) -> bytes:
    """Return a command set of any elements, by keyword, encoded by pydicom."""
    dataset = Dataset()
    for keyword, value in elements.items():
        setattr(dataset, keyword, value)
    encoded = encode(dataset, True, True)
    assert encoded is not None
    return pack("<HHLL", 0, 0, 4, len(encoded)) + encoded


def pdv(fragment: bytes, control: int, context_id: int = 1) -> bytes:
    return pack(">LBB", len(fragment) + 2, context_id, control) + fragment


def p_data(*pdvs: bytes) -> bytes:
    return pack(">BxL", 4, sum(map(len, pdvs))) + b"".join(pdvs)


PDUS: dict[int, type[PDU]] = {2: A_ASSOCIATE_AC, 3: A_ASSOCIATE_RJ, 4: P_DATA_TF, 6: A_RELEASE_RP, 7: A_ABORT_RQ}


def decode_pdus(stream: bytes) -> Iterator[PDU]:
    """Yield the PDUs that the acceptor sent, decoded by pynetdicom."""
    while stream:
        length = 6 + int.from_bytes(stream[2:6], "big")
        pdu = PDUS[stream[0]]()
        pdu.decode(stream[:length])
        yield pdu
        stream = stream[length:]


def decode_responses(stream: bytes) -> Iterator[tuple[int, Dataset]]:
    """Yield presentation context id and command set of each response, decoded by pynetdicom."""
    message = DIMSEMessage()
    for pdu in decode_pdus(stream):
        assert isinstance(pdu, P_DATA_TF)
        if message.decode_msg(pdu.to_primitive()):
            assert message.context_id is not None
            yield message.context_id, message.command_set
            message = DIMSEMessage()


class Listener:
    """Drives an acceptor as a listener does, and answers each instance with Success."""

    def __init__(self, acceptor: Acceptor, refusal: Rejected | None = None, *, keeps_pieces: bool = False) -> None:
        self.acceptor = acceptor
        self.keeps_pieces = keeps_pieces
        """Whether it keeps pieces where they are for as long as there is room."""
        self.kept: list[memoryview] = []
        self.refusal = refusal
        """How every request is rejected that could be accepted."""
        self.events: list[Event] = []
        """All events but those of data and of requests that nothing speaks against."""
        self.datasets: list[bytes] = []
        self.sent = b""

    def receive(self, *chunks: bytes) -> "Listener":
        for chunk in chunks:
            if not (self.keeps_pieces and self.acceptor.has_room):
                self._copy_kept()
            free = self.acceptor.writable(keep_pieces=bool(self.kept))
            assert len(free) >= len(chunk)
            free[: len(chunk)] = chunk
            for event in self.acceptor.received(len(chunk)):
                self._handle(event)
            self.sent += self.acceptor.bytes_to_send()
        if not self.keeps_pieces:
            self._copy_kept()
        return self

    def _handle(self, event: Event) -> None:
        if isinstance(event, DataReceived):
            assert len(event.piece)
            self.kept.append(event.piece)
            return
        if isinstance(event, AssociationRequested):
            if self.refusal:
                self.acceptor.reject(self.refusal)
            return
        self.events.append(event)
        if isinstance(event, StoreRequested):
            self.datasets.append(b"")
        elif isinstance(event, DataEnded):
            self._copy_kept()
            self.acceptor.respond(event.request, 0x0000)

    def _copy_kept(self) -> None:
        for piece in self.kept:
            self.datasets[-1] += piece
        self.kept.clear()

    def take_sent(self) -> bytes:
        sent, self.sent = self.sent, b""
        return sent
