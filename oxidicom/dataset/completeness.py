"""Whether a dataset came whole, though its header was read: some devices and networks lose the end of an image.

Theory of operation. To know it, the elements up to the last one have to be walked over, which costs tens of
microseconds, and where they are is not known when a header is recognized by a stencil. But the datasets of a series
have few lengths, and of one that is as long as a whole one was nothing is missing. Encapsulated pixel data ends in a
delimiter (PS3.5, A.4), and nearly all other datasets end where the length of their pixel data says. So one look at a
length, or at 8 bytes, is enough for nearly all.

Not known is the end of deflated datasets, which would have to be inflated for it.
"""

from typing import Final

from oxidicom.dataset.header import (
    DEFLATED,
    EXPLICIT_VR_BIG_ENDIAN,
    EXPLICIT_VR_LITTLE_ENDIAN,
    IMPLICIT_VR_LITTLE_ENDIAN,
)
from oxidicom.dataset.odd_dataset import read_odd_dataset
from oxidicom.dataset.scanner import Buffer, OddDatasetError, is_whole, looks_implicit

_NATIVE: Final = {IMPLICIT_VR_LITTLE_ENDIAN, EXPLICIT_VR_LITTLE_ENDIAN, EXPLICIT_VR_BIG_ENDIAN}
_SEQUENCE_DELIMITATION: Final = b"\xfe\xff\xdd\xe0\0\0\0\0"

_PIXEL_DATA: Final = b"\xe0\x7f\x10\0"
"""The tag (7FE0,0010)."""

_MAX_LENGTHS = 4096
_HEADER_BYTES = 32 * 1024
_MAX_PIXEL_DATA = 3
"""So far, and so often, pixel data is looked for."""


Length = tuple[str, str, int]
"""The directory of a series, a transfer syntax, and how many bytes a dataset had."""


class WholeLengths(set[Length]):
    """The lengths that whole datasets of the series of an association had. A set, for it is asked for each instance."""

    def learn(self, length: Length) -> None:
        """Note the length of a whole dataset."""
        if len(self) >= _MAX_LENGTHS:
            self.clear()
        self.add(length)


def ends_as_it_should(end: bytes, transfer_syntax_uid: str) -> bool:
    """Tell whether a dataset is whole by its last 8 bytes; False: they do not tell."""
    return end == _SEQUENCE_DELIMITATION and transfer_syntax_uid not in _NATIVE and transfer_syntax_uid not in DEFLATED


def find_flaw(buffer: Buffer, start: int, transfer_syntax_uid: str) -> str:
    """Return a warning if the dataset from `start` on goes on behind the end of `buffer`; '': not that anybody knew."""
    if transfer_syntax_uid in DEFLATED:
        return ""
    if transfer_syntax_uid == EXPLICIT_VR_BIG_ENDIAN:
        return _find_odd_flaw(buffer, start, implicit=False, little_endian=False)
    implicit = looks_implicit(buffer, start, expected=transfer_syntax_uid == IMPLICIT_VR_LITTLE_ENDIAN)
    try:
        if _ends_with_pixel_data(buffer, start, implicit) or is_whole(buffer, start, implicit=implicit):
            return ""
    except OddDatasetError:
        return _find_odd_flaw(buffer, start, implicit=implicit, little_endian=True)
    return _find_odd_flaw(buffer, start, implicit=implicit, little_endian=True) or "dataset is cut off"


def _ends_with_pixel_data(buffer: Buffer, start: int, implicit: bool) -> bool:
    """Tell whether what looks like pixel data ends where the dataset does. The first may be that of an icon."""
    at = start
    for _ in range(_MAX_PIXEL_DATA):
        at = buffer.find(_PIXEL_DATA, at, start + _HEADER_BYTES)
        if at < 0:
            return False
        at += 8 if implicit else 12
        if at + int.from_bytes(buffer[at - 4 : at], "little") == len(buffer):
            return True
    return False


def _find_odd_flaw(buffer: Buffer, start: int, *, implicit: bool, little_endian: bool) -> str:
    """Name the element in which it is cut off."""
    reading = read_odd_dataset(buffer, start, implicit=implicit, little_endian=little_endian, to_its_end=True)
    return f"dataset is {reading.obstacle}" if reading.is_cut_off else ""
