"""The receive buffer, and the PDUs in it.

P-DATA-TF PDUs are never assembled: each `Fragment` is a view of the bytes where the socket put them. All
other PDUs are small and are read when they are whole; they too stay where they are, and the buffer is the
limit of their length. So memory does not depend on any length that the peer claims.

    _start            _end             len(_buffer)
      | not yet read    | free            |
      +-----------------+-----------------+
"""

import mmap
from collections.abc import Mapping
from typing import Final

import msgspec

from oxidicom.association.pdu import (
    IS_COMMAND,
    IS_LAST,
    PDU_HEADER,
    PDV_HEADER,
    PDV_LENGTH_COUNTS_BYTES,
    AbortReason,
    PduType,
    invalid_parameter,
)
from oxidicom.errors import ProtocolError

BUFFER_BYTES: Final = 1024 * 1024

_LEAST_ROOM_BYTES: Final = 64 * 1024
"""With less free space pieces are not kept: to receive in small portions costs more than to write them out."""

MAX_REQUEST_BYTES: Final = BUFFER_BYTES
"""Longest PDU other than P-DATA-TF, header included: it has to fit into the buffer."""


class Fragment(msgspec.Struct, frozen=True, gc=False):
    """Bytes of a command set or dataset: a fragment (PS3.8, annex E.1), or what has come of one so far."""

    context_id: int
    is_command: bool
    is_last: bool
    """With it the command set or dataset ends."""
    piece: memoryview
    """Valid until `PduReader.writable` is called again and does not keep it; empty only if the fragment is."""


class ControlPdu(msgspec.Struct, frozen=True, gc=False):
    """A PDU other than P-DATA-TF, whole."""

    pdu_type: PduType
    body: memoryview
    """What follows the length field. Valid until `PduReader.writable` is called again."""


class PduReader:
    """Splits what was received into fragments and control PDUs."""

    def __init__(self) -> None:
        # Anonymous pages: what is never received into takes no memory, and all of it is given back with the last view.
        self._buffer = memoryview(mmap.mmap(-1, BUFFER_BYTES))
        self._start = 0
        self._end = 0
        self._limits: Mapping[PduType, int] = {}
        self._left_in_pdu = 0
        """Bytes of the current P-DATA-TF PDU that follow the current PDV."""
        self._left_in_pdv = 0
        """Bytes of the current fragment that were not read yet."""
        self._context_id = 0
        self._control = 0

    def expect(self, limits: Mapping[PduType, int]) -> None:
        """Set which PDUs may come now, and how long they may be; if none may, all that comes is dropped."""
        self._limits = limits

    @property
    def inside_pdu(self) -> bool:
        """Whether a part of a PDU has come and the rest has not."""
        return bool(self._left_in_pdu or self._left_in_pdv or self._start != self._end)

    @property
    def has_room(self) -> bool:
        """Whether enough of the buffer is free to go on behind what is there."""
        return BUFFER_BYTES - self._end >= _LEAST_ROOM_BYTES

    def writable(self, *, keep_pieces: bool = False) -> memoryview:
        """Return the free space; some is left if `read` was exhausted.

        Ends the life of all pieces, unless they are to be kept, for which there must be room.
        """
        if self._start and not keep_pieces:
            unread = self._end - self._start
            self._buffer[:unread] = self._buffer[self._start : self._end]
            self._start, self._end = 0, unread
        return self._buffer[self._end :]

    def received(self, count: int) -> None:
        """Take note that `count` bytes were put at the beginning of the free space."""
        self._end += count

    def read(self) -> Fragment | ControlPdu | None:
        """Return what comes next, or None if more bytes are needed. Raises ProtocolError."""
        if not self._limits:
            self._drop()
            return None
        if self._left_in_pdv:
            return self._take_fragment()
        if self._left_in_pdu:
            return self._begin_fragment(self._start, self._left_in_pdu)
        return self._read_pdu()

    def _drop(self) -> None:
        self._start = self._end = self._left_in_pdu = self._left_in_pdv = 0

    def _read_pdu(self) -> Fragment | ControlPdu | None:
        """Read the header of a PDU, if it may come now, and what follows. A P-DATA-TF with nothing in it is skipped."""
        start = self._start
        while self._end - start >= PDU_HEADER.size:
            pdu_type, length = PDU_HEADER.unpack_from(self._buffer, start)
            limit = self._limits.get(pdu_type)
            if limit is None:
                raise _unexpected(pdu_type)
            if length > limit:
                raise invalid_parameter(f"PDU of type {pdu_type:02X}H claims {length} bytes, {limit} are allowed")
            if pdu_type != PduType.P_DATA_TF:
                return self._take_control_pdu(PduType(pdu_type), start + PDU_HEADER.size, length)
            if length:
                return self._begin_fragment(start + PDU_HEADER.size, length)
            self._start = start = start + PDU_HEADER.size
        return None

    def _take_control_pdu(self, pdu_type: PduType, at: int, length: int) -> ControlPdu | None:
        if self._end - at < length:
            return None
        self._start = at + length
        return ControlPdu(pdu_type, self._buffer[at : self._start])

    def _begin_fragment(self, at: int, left_in_pdu: int) -> Fragment | None:
        """Begin the PDV `at` there (PS3.8, 9.3.5.1); nothing is consumed before all of its header is here."""
        if left_in_pdu < PDV_HEADER.size:
            raise invalid_parameter("P-DATA-TF PDU ends inside a presentation data value item")
        if self._end - at < PDV_HEADER.size:
            return None
        item_length, self._context_id, self._control = PDV_HEADER.unpack_from(self._buffer, at)
        fragment_length = item_length - PDV_LENGTH_COUNTS_BYTES
        left_in_pdu -= PDV_HEADER.size + fragment_length
        if fragment_length < 0 or left_in_pdu < 0:
            raise invalid_parameter(f"presentation data value of {item_length} bytes does not fit its PDU")
        self._start = at + PDV_HEADER.size
        self._left_in_pdv = fragment_length
        self._left_in_pdu = left_in_pdu
        return self._take_fragment()

    def _take_fragment(self) -> Fragment | None:
        """Return what is here of the current fragment."""
        start, left = self._start, self._left_in_pdv
        here = self._end - start
        if here < left:
            if not here:
                return None
            left = here
        self._start = start + left
        self._left_in_pdv -= left
        control = self._control
        return Fragment(
            self._context_id,
            bool(control & IS_COMMAND),
            bool(control & IS_LAST) and not self._left_in_pdv,
            self._buffer[start : self._start],
        )


_OTHER_PROTOCOLS: Final = {0x16: "TLS", 0x0B: "HL7", 0x4D: "HL7", **dict.fromkeys(b"DGHOP", "HTTP")}
"""What a first byte tells of whoever mistook the port: a TLS handshake record (RFC 8446, 5.1), the start block of
HL7's MLLP and the M of MSH, the first letters of DELETE, GET, HEAD, OPTIONS, POST and PUT."""


def _unexpected(pdu_type: int) -> ProtocolError:
    try:
        name = PduType(pdu_type).name
    except ValueError:
        protocol = _OTHER_PROTOCOLS.get(pdu_type)
        hint = f"; the peer seems to speak {protocol}" if protocol else ""
        return ProtocolError(f"PDU type {pdu_type:02X}H is unknown{hint}", AbortReason.UNRECOGNIZED_PDU)
    return ProtocolError(f"{name} is not expected here", AbortReason.UNEXPECTED_PDU)
