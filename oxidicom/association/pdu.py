"""Protocol data units of the DICOM upper layer (PS3.8, 9.3): their numbers, and the encoders of the small
ones.

Everything in a PDU header is big-endian (PS3.8, 9.3.1): type, a reserved byte, length of what follows the
length.
"""

from enum import IntEnum
from struct import Struct
from typing import Final

from oxidicom.errors import ProtocolError

PDU_HEADER: Final = Struct(">BxL")
PDV_HEADER: Final = Struct(">LBB")
"""Item length, presentation context id, message control header (PS3.8, 9.3.5.1 and annex E.2)."""

_P_DATA_WITH_ONE_PDV: Final = Struct(">BxLLBB")
_FOUR_BYTE_PDU: Final = Struct(">BxLxBBB")

PDV_LENGTH_COUNTS_BYTES: Final = 2
"""The item length of a PDV also counts the context id and the message control header."""

IS_COMMAND: Final = 0b01
"""Message control header: the fragment is of a command set, not of a dataset (PS3.8, E.2)."""
IS_LAST: Final = 0b10
"""Message control header: the fragment is the last of its command set or dataset (PS3.8, E.2)."""


class PduType(IntEnum):
    """PS3.8, 9.3.2 to 9.3.8."""

    A_ASSOCIATE_RQ = 0x01
    A_ASSOCIATE_AC = 0x02
    A_ASSOCIATE_RJ = 0x03
    P_DATA_TF = 0x04
    A_RELEASE_RQ = 0x05
    A_RELEASE_RP = 0x06
    A_ABORT = 0x07


class AbortSource(IntEnum):
    """PS3.8, table 9-26."""

    SERVICE_USER = 0
    SERVICE_PROVIDER = 2


class AbortReason(IntEnum):
    """PS3.8, table 9-26; has a meaning only if the source is the service provider."""

    NOT_SPECIFIED = 0
    UNRECOGNIZED_PDU = 1
    UNEXPECTED_PDU = 2
    UNRECOGNIZED_PDU_PARAMETER = 4
    UNEXPECTED_PDU_PARAMETER = 5
    INVALID_PDU_PARAMETER = 6


def invalid_parameter(message: str) -> ProtocolError:
    """Return the error for a length, an identifier or a value that cannot be (PS3.8, AA-8)."""
    return ProtocolError(message, AbortReason.INVALID_PDU_PARAMETER)


class RejectResult(IntEnum):
    """PS3.8, table 9-21."""

    PERMANENT = 1
    TRANSIENT = 2


class RejectSource(IntEnum):
    """PS3.8, table 9-21; each source has reasons of its own."""

    SERVICE_USER = 1
    ACSE_PROVIDER = 2
    PRESENTATION_PROVIDER = 3


class UserRejectReason(IntEnum):
    """PS3.8, table 9-21, source 1."""

    NO_REASON_GIVEN = 1
    APPLICATION_CONTEXT_NAME_NOT_SUPPORTED = 2
    CALLING_AE_TITLE_NOT_RECOGNIZED = 3
    CALLED_AE_TITLE_NOT_RECOGNIZED = 7


class AcseRejectReason(IntEnum):
    """PS3.8, table 9-21, source 2."""

    NO_REASON_GIVEN = 1
    PROTOCOL_VERSION_NOT_SUPPORTED = 2


class PresentationRejectReason(IntEnum):
    """PS3.8, table 9-21, source 3."""

    TEMPORARY_CONGESTION = 1
    LOCAL_LIMIT_EXCEEDED = 2


RejectReason = UserRejectReason | AcseRejectReason | PresentationRejectReason


def encode_associate_rj(result: RejectResult, source: RejectSource, reason: RejectReason) -> bytes:
    """Return an A-ASSOCIATE-RJ PDU (PS3.8, 9.3.4)."""
    return _FOUR_BYTE_PDU.pack(PduType.A_ASSOCIATE_RJ, 4, result, source, reason)


def encode_release_rp() -> bytes:
    """Return an A-RELEASE-RP PDU (PS3.8, 9.3.7)."""
    return _FOUR_BYTE_PDU.pack(PduType.A_RELEASE_RP, 4, 0, 0, 0)


def encode_abort(source: AbortSource, reason: int) -> bytes:
    """Return an A-ABORT PDU (PS3.8, 9.3.8)."""
    return _FOUR_BYTE_PDU.pack(PduType.A_ABORT, 4, 0, source, reason)


def encode_command_pdus(context_id: int, command_set: bytes, max_pdu_length: int) -> bytes:
    """Return the P-DATA-TF PDUs that carry a command set, as few as the peer's maximum allows (0: no limit).

    The maximum counts what follows the PDU length field (PS3.8, D.1). Fragments have an even length
    (PS3.8, annex E); a maximum that allows none cannot be obeyed: then they have two bytes.
    """
    longest = (max_pdu_length - PDV_HEADER.size) & ~1
    if not max_pdu_length or len(command_set) <= longest:
        return _encode_command_pdu(context_id, command_set, IS_COMMAND | IS_LAST)
    longest = max(longest, 2)
    fragments = [command_set[at : at + longest] for at in range(0, len(command_set), longest)]
    pdus = [_encode_command_pdu(context_id, fragment, IS_COMMAND) for fragment in fragments[:-1]]
    pdus.append(_encode_command_pdu(context_id, fragments[-1], IS_COMMAND | IS_LAST))
    return b"".join(pdus)


def _encode_command_pdu(context_id: int, fragment: bytes, control: int) -> bytes:
    item_length = len(fragment) + PDV_LENGTH_COUNTS_BYTES
    return _P_DATA_WITH_ONE_PDV.pack(PduType.P_DATA_TF, item_length + 4, item_length, context_id, control) + fragment
