"""An association that we request of a PACS (PS3.8, chapter 7), over a blocking socket with one presentation context.

Law of this file: every wait has a deadline that the socket itself keeps, in every state, and nothing is as long as the
peer claims it to be. What comes is split by the same bounded reader as what PACS push to us; pynetdicom encodes what we
send and decodes the answer to the request. Its own SCU is not used: it reads a PDU to its claimed end without a
deadline, waits in vain when the peer releases in the middle of an exchange, and tells no Message ID.

Deadlines are moments of `time.monotonic`. Whatever ends the association is a `PacsUnavailableError`, and then the
socket is closed.
"""

import contextlib
import select
import socket
import ssl
import time
from collections.abc import Iterator
from typing import NamedTuple

from pynetdicom.dimse_messages import C_ECHO_RQ, C_FIND_RQ, C_STORE_RQ
from pynetdicom.dimse_primitives import C_ECHO, C_FIND, C_STORE
from pynetdicom.pdu import A_ASSOCIATE_AC, A_RELEASE_RQ, P_DATA_TF
from pynetdicom.pdu_primitives import A_RELEASE

from oxidicom.association.commands import Command, decode_command
from oxidicom.association.pdu import (
    PDU_HEADER,
    AbortReason,
    AbortSource,
    PduType,
    encode_abort,
    encode_release_rp,
)
from oxidicom.association.pdu_reader import ControlPdu, Fragment, PduReader
from oxidicom.errors import ProtocolError
from oxidicom.pacs.address_book import PacsAddress
from oxidicom.pacs.errors import PacsRefusesError, PacsUnavailableError
from oxidicom.pacs.proposal import CONTEXT_ID, EXPLICIT_VR, IMPLICIT_VR, decode_rejection, encode_request

_LEAST_PDU_LENGTH = 128
"""A peer that announces less, but for 0 (no limit), is not obeyed: PS3.8 knows no least, and 6 bytes are headers."""
_MAX_ANSWER_BYTES = 65536
"""Longest A-ASSOCIATE-AC, and longest command set; those of the world have a few hundred bytes."""
_MAX_DATASET_BYTES = 1024 * 1024
"""Longest identifier of a response."""
_MAX_SHORT_PDU_BYTES = 1024
_LAST_MESSAGE_ID = 0xFFFF
_AT_ONCE_SECONDS = 0.1
"""How long the rest of a PDU may take that nobody waits for."""

_NEGOTIATING = {
    PduType.A_ASSOCIATE_AC: _MAX_ANSWER_BYTES,
    PduType.A_ASSOCIATE_RJ: _MAX_SHORT_PDU_BYTES,
    PduType.A_ABORT: _MAX_SHORT_PDU_BYTES,
}
_ESTABLISHED = {
    PduType.P_DATA_TF: 2 * _MAX_DATASET_BYTES,
    PduType.A_RELEASE_RQ: _MAX_SHORT_PDU_BYTES,
    PduType.A_RELEASE_RP: _MAX_SHORT_PDU_BYTES,
    PduType.A_ABORT: _MAX_SHORT_PDU_BYTES,
}

_MESSAGES = {C_ECHO: C_ECHO_RQ, C_FIND: C_FIND_RQ, C_STORE: C_STORE_RQ}


class Message(NamedTuple):
    """A DIMSE message of the peer (PS3.7, 6.3)."""

    command: Command
    dataset: bytes
    """Encoded in the transfer syntax of the association; empty if there is none."""


class RequestedAssociation:
    """An association with a PACS, for one thread. `request_association` makes one."""

    def __init__(self, connection: socket.socket, name: str) -> None:
        """`name` is the PACS's AE title, for messages."""
        self._connection = connection
        self._name = name
        self._reader = PduReader()
        self._max_pdu_length = 0
        self._message_id = 0
        self.transfer_syntax_uid = ""

    def negotiate(self, our_ae_title: str, abstract_syntax_uid: str, deadline: float) -> None:
        """Propose one presentation context, in the two uncompressed little endian transfer syntaxes.

        Raise PacsRefusesError or PacsUnavailableError; `close` is the caller's then.
        """
        with self._ended_by_trouble("the request of an association"):
            self._send(encode_request(our_ae_title, self._name, abstract_syntax_uid), deadline)
            self._reader.expect(_NEGOTIATING)
            answer = self._next_part(deadline)
        if not isinstance(answer, ControlPdu) or answer.pdu_type == PduType.A_ABORT:
            raise PacsUnavailableError("it aborts the association")
        encoded = PDU_HEADER.pack(answer.pdu_type, len(answer.body)) + answer.body
        if answer.pdu_type == PduType.A_ASSOCIATE_RJ:
            self.close()
            raise decode_rejection(encoded, our_ae_title, self._name)
        self._accepted(encoded)

    def _accepted(self, encoded: bytes) -> None:
        """Learn what the PACS accepts from its A-ASSOCIATE-AC (PS3.8, 9.3.3)."""
        answer = A_ASSOCIATE_AC()
        try:
            answer.decode(encoded)
            contexts = {context.context_id: context for context in answer.presentation_context}
            context = contexts.get(CONTEXT_ID)
            about_it = answer.user_information
            self._max_pdu_length = (about_it.maximum_length or 0) if about_it else 0
        except Exception as error:  # noqa: BLE001 (what pynetdicom makes of any bytes is not foreseeable)
            raise PacsUnavailableError(f"its A-ASSOCIATE-AC cannot be read ({type(error).__name__})") from None
        if context is None or context.result != 0:
            raise PacsRefusesError("it accepts the association but not the service")
        self.transfer_syntax_uid = str(context.transfer_syntax)
        if self.transfer_syntax_uid not in (IMPLICIT_VR, EXPLICIT_VR):
            raise PacsRefusesError("it accepts a transfer syntax that was not proposed")
        self._reader.expect(_ESTABLISHED)

    def next_message_id(self) -> int:
        """Return a Message ID that this association has not had. Raise PacsUnavailableError when there is none left."""
        if self._message_id == _LAST_MESSAGE_ID:
            raise PacsUnavailableError("all Message IDs of the association are used up")
        self._message_id += 1
        return self._message_id

    def send(self, request: C_ECHO | C_FIND | C_STORE, deadline: float) -> None:
        """Send a request (PS3.7, 9.3). Raise PacsUnavailableError."""
        message = _MESSAGES[type(request)]()
        message.primitive_to_message(request)
        longest = max(self._max_pdu_length, _LEAST_PDU_LENGTH) if self._max_pdu_length else 0
        pdus = b"".join(P_DATA_TF(part).encode() for part in message.encode_msg(CONTEXT_ID, longest))
        with self._ended_by_trouble("the question"):
            self._send(pdus, deadline)

    def receive(self, deadline: float) -> Message:
        """Return the next message. Raise PacsUnavailableError when there will be none."""
        with self._ended_by_trouble("the question"):
            command = decode_command(self._receive_part(deadline, is_command=True, longest=_MAX_ANSWER_BYTES))
            if not command.has_dataset:
                return Message(command, b"")
            return Message(command, self._receive_part(deadline, is_command=False, longest=_MAX_DATASET_BYTES))

    def _receive_part(self, deadline: float, *, is_command: bool, longest: int) -> bytes:
        """Return a whole command set or dataset (PS3.8, annex E)."""
        whole = bytearray()
        while True:
            part = self._next_part(deadline)
            if isinstance(part, ControlPdu):
                self._take_leave(part, deadline)
            elif part.context_id != CONTEXT_ID or part.is_command != is_command:
                raise ProtocolError("a fragment that is not allowed here", AbortReason.UNEXPECTED_PDU_PARAMETER)
            else:
                whole += part.piece
                if len(whole) > longest:
                    raise ProtocolError(f"a message of more than {longest} bytes", AbortReason.INVALID_PDU_PARAMETER)
                if part.is_last:
                    return bytes(whole)

    def _take_leave(self, pdu: ControlPdu, deadline: float) -> None:
        """Take leave of a peer that wants it so (AR-2 and AR-4; AA-3)."""
        if pdu.pdu_type == PduType.A_RELEASE_RQ:
            self._send(encode_release_rp(), deadline)
            self.close()
            raise PacsUnavailableError("it releases the association before answering")
        if pdu.pdu_type == PduType.A_ABORT:
            self.close()
            raise PacsUnavailableError("it aborts the association")
        raise ProtocolError(f"{pdu.pdu_type.name} is not expected here", AbortReason.UNEXPECTED_PDU)

    def check_is_idle(self) -> None:
        """See that the peer has neither ended the association nor said anything since the last exchange.

        Raise PacsUnavailableError if it has.
        """
        poll = select.poll()
        poll.register(self._connection, select.POLLIN)
        if self._reader.inside_pdu or poll.poll(0):
            self.receive(time.monotonic() + _AT_ONCE_SECONDS)
            self.abort()
            raise PacsUnavailableError("it sends an answer to no question")

    def release(self, deadline: float) -> None:
        """Release the association (PS3.8, 7.2), waiting for the peer's consent until the deadline, and close it."""
        with contextlib.suppress(PacsUnavailableError), self._ended_by_trouble("the release"):
            self._send(A_RELEASE_RQ(A_RELEASE()).encode(), deadline)
            while not isinstance(pdu := self._next_part(deadline), ControlPdu):
                pass  # an answer that comes too late
            if pdu.pdu_type == PduType.A_RELEASE_RQ:  # both at once (PS3.8, 7.2.2)
                self._send(encode_release_rp(), deadline)
        self.close()

    def abort(self, reason: int = AbortReason.NOT_SPECIFIED) -> None:
        """Abort the association (PS3.8, 7.3), without waiting, and close it."""
        with contextlib.suppress(OSError):
            self._connection.setblocking(False)
            self._connection.send(encode_abort(AbortSource.SERVICE_USER, reason))
        self.close()

    def close(self) -> None:
        """Close the connection."""
        self._connection.close()

    def _next_part(self, deadline: float) -> Fragment | ControlPdu:
        while (part := self._reader.read()) is None:
            self._connection.settimeout(_seconds_until(deadline))
            count = self._connection.recv_into(self._reader.writable())
            if not count:
                raise ConnectionError("it closes the connection")
            self._reader.received(count)
        return part

    def _send(self, data: bytes, deadline: float) -> None:
        self._connection.settimeout(_seconds_until(deadline))
        self._connection.sendall(data)

    @contextlib.contextmanager
    def _ended_by_trouble(self, unanswered: str) -> Iterator[None]:
        """Close the association at any trouble with it, and say what that was, or what has no answer in time."""
        try:
            yield
        except TimeoutError:
            self.abort()
            raise PacsUnavailableError(f"it does not answer {unanswered}") from None
        except OSError as error:
            self.close()
            raise PacsUnavailableError(error.strerror or str(error)) from None
        except ProtocolError as error:
            self.abort(error.abort_reason)
            raise PacsUnavailableError(f"it breaks the protocol: {error}") from None


def request_association(
    address: PacsAddress,
    our_ae_title: str,
    abstract_syntax_uid: str,
    deadline: float,
    tls: ssl.SSLContext | None = None,
) -> RequestedAssociation:
    """Connect to a PACS and have it accept an association. Raise PacsRefusesError or PacsUnavailableError."""
    connection = _connect(address, deadline)
    if tls:
        connection = _encrypt(connection, tls, address, deadline)
    association = RequestedAssociation(connection, address.ae_title)
    try:
        association.negotiate(our_ae_title, abstract_syntax_uid, deadline)
    except BaseException:
        association.abort()
        raise
    return association


def _connect(address: PacsAddress, deadline: float) -> socket.socket:
    """Connect to the first address of the host that answers; each has its share of the time."""
    try:
        found = socket.getaddrinfo(address.host, address.port, type=socket.SOCK_STREAM)
    except (OSError, UnicodeError) as error:
        raise PacsUnavailableError(f"its host name {address.host!r} is not resolved ({error})") from None
    trouble = "it has no address"
    for left, (family, kind, protocol, _, where) in zip(range(len(found), 0, -1), found, strict=True):
        try:
            with contextlib.ExitStack() as undo:
                connection = undo.enter_context(socket.socket(family, kind, protocol))
                connection.settimeout(_seconds_until(deadline) / left)
                connection.connect(where)
                connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
                undo.pop_all()
                return connection
        except OSError as error:
            trouble = error.strerror or str(error)
    raise PacsUnavailableError(f"there is no connection to {address.host} port {address.port}: {trouble}")


def _encrypt(connection: socket.socket, tls: ssl.SSLContext, address: PacsAddress, deadline: float) -> socket.socket:
    try:
        connection.settimeout(_seconds_until(deadline))
        return tls.wrap_socket(connection, server_hostname=address.host)
    except (OSError, ValueError) as error:
        connection.close()
        trouble = error.verify_message if isinstance(error, ssl.SSLCertVerificationError) else str(error)
        raise PacsUnavailableError(f"TLS cannot be established: {trouble}") from None


def _seconds_until(deadline: float) -> float:
    """Return how long to wait. Raise TimeoutError when the deadline is over: what still comes is not looked at."""
    seconds = deadline - time.monotonic()
    if seconds <= 0:
        raise TimeoutError("the time is up")
    return seconds
