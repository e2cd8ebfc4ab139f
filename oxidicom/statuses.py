"""The DIMSE statuses that this program answers with."""

from enum import IntEnum


class Status(IntEnum):
    """Status (0000,0900): PS3.7, annex C; for C-STORE also PS3.4, table B.2-1."""

    SUCCESS = 0x0000
    PROCESSING_FAILURE = 0x0110
    SOP_CLASS_NOT_SUPPORTED = 0x0122
    UNRECOGNIZED_OPERATION = 0x0211
    OUT_OF_RESOURCES = 0xA700
    DATA_SET_MISMATCH = 0xA900
    """Data Set does not match SOP Class."""
    CANNOT_UNDERSTAND = 0xC000
