"""The side that asks for an association and stores over it: as little as a C-STORE user can be (PS3.8, 9.2).

The connection blocks, so that waiting costs nothing; its deadlines are those of the kernel (SO_RCVTIMEO), since a
timeout of Python's would cost a system call for each read and write.
"""

import socket
import struct

from pynetdicom.pdu import A_ASSOCIATE_AC, A_ASSOCIATE_RQ
from pynetdicom.pdu_primitives import A_ASSOCIATE, ImplementationClassUIDNotification, MaximumLengthNotification
from pynetdicom.presentation import build_context

from benchmarks.errors import BenchmarkError
from benchmarks.message import CONTEXT_ID, Message
from oxidicom.association.pdu import PDU_HEADER, PduType

CALLING_AE_TITLE = "BENCHMARK"
_DEADLINE = struct.pack("ll", 60, 0)  # struct timeval
_RECEIVE_BYTES = 16 * 1024
_RELEASE_RQ = bytes((PduType.A_RELEASE_RQ, 0, 0, 0, 0, 4, 0, 0, 0, 0))
_ELEMENT = struct.Struct("<HHL")
_COMMAND_SET_AT = 12
"""Behind the headers of PDU and presentation data value."""
_MESSAGE_ID_BEING_RESPONDED_TO, _STATUS = 0x0120, 0x0900


class Requestor:
    """One association with one presentation context."""

    def __init__(self, port: int, sop_class_uid: str, transfer_syntax_uid: str) -> None:
        """Connect and associate. Raise BenchmarkError when the peer does not accept."""
        self._connection = socket.create_connection(("127.0.0.1", port))
        self._connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self._connection.setsockopt(socket.SOL_SOCKET, socket.SO_RCVTIMEO, _DEADLINE)
        self._connection.setsockopt(socket.SOL_SOCKET, socket.SO_SNDTIMEO, _DEADLINE)
        self._received = bytearray()
        self._connection.sendall(_encode_associate_rq(sop_class_uid, transfer_syntax_uid))
        self.max_pdu_bytes = _max_pdu_bytes(self._read_pdu(PduType.A_ASSOCIATE_AC))
        """The longest PDU that the peer takes, in bytes after the length field."""

    def store(self, message: Message, message_id: int) -> None:
        """Send a C-STORE-RQ and wait for its response. Raise BenchmarkError unless it is Success."""
        send = self._connection.sendall
        for piece in message.pieces():
            send(piece)
        pdu = self._read_pdu(PduType.P_DATA_TF)
        response = decode_response(pdu)
        if response != (message_id, 0x0000):
            raise BenchmarkError(f"message {message_id} was answered with (message, status) {response}: {pdu.hex(' ')}")

    def release(self) -> None:
        """End the association in order."""
        self._connection.sendall(_RELEASE_RQ)
        self._read_pdu(PduType.A_RELEASE_RP)
        self._connection.close()

    def _read_pdu(self, expected: PduType) -> bytes:
        """Return one whole PDU, header included."""
        received = self._received
        while len(received) < PDU_HEADER.size or len(received) < PDU_HEADER.size + PDU_HEADER.unpack_from(received)[1]:
            received += self._receive()
        pdu_type, length = PDU_HEADER.unpack_from(received)
        if pdu_type != expected:
            raise BenchmarkError(f"{expected.name} was due, a PDU of type {pdu_type:02X}H came")
        pdu = bytes(received[: PDU_HEADER.size + length])
        del received[: PDU_HEADER.size + length]
        return pdu

    def _receive(self) -> bytes:
        try:
            data = self._connection.recv(_RECEIVE_BYTES)
        except BlockingIOError:
            raise BenchmarkError("the peer was silent for a minute") from None
        if not data:
            raise BenchmarkError("the peer closed the connection")
        return data


def _encode_associate_rq(sop_class_uid: str, transfer_syntax_uid: str) -> bytes:
    request = A_ASSOCIATE()
    request.application_context_name = "1.2.840.10008.3.1.1.1"
    request.calling_ae_title = CALLING_AE_TITLE
    request.called_ae_title = "ANY-SCP"
    context = build_context(sop_class_uid, transfer_syntax_uid)
    context.context_id = CONTEXT_ID
    request.presentation_context_definition_list = [context]
    longest, implementation = MaximumLengthNotification(), ImplementationClassUIDNotification()
    longest.maximum_length_received = _RECEIVE_BYTES
    implementation.implementation_class_uid = "1.2.826.0.1.3680043.8.498.99"
    request.user_information = [longest, implementation]
    pdu = A_ASSOCIATE_RQ()
    pdu.from_primitive(request)
    return pdu.encode()


def _max_pdu_bytes(pdu: bytes) -> int:
    answer = A_ASSOCIATE_AC()
    answer.decode(pdu)
    results = [context.result for context in answer.presentation_context]
    if results != [0]:
        raise BenchmarkError(f"the peer does not accept the presentation context: result {results}")
    user_information = answer.user_information
    longest = user_information.maximum_length if user_information else None
    return longest or 1 << 20


def decode_response(pdu: bytes) -> tuple[int | None, int | None]:
    """Return message id and status of a response that is one P-DATA-TF PDU with one value (PS3.7, table 9.3-2)."""
    message_id = status = None
    position, end = _COMMAND_SET_AT, len(pdu)
    while position < end:
        _, element, length = _ELEMENT.unpack_from(pdu, position)
        position += _ELEMENT.size
        if element == _MESSAGE_ID_BEING_RESPONDED_TO:
            message_id = int.from_bytes(pdu[position : position + length], "little")
        elif element == _STATUS:
            status = int.from_bytes(pdu[position : position + length], "little")
        position += length
    return message_id, status
