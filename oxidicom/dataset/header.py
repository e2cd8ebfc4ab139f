"""The header of a dataset: the raw values of its wanted tags, however it is encoded.

Which reader has it:

- Explicit and Implicit VR Little Endian, so all compressed syntaxes too: the scanner, on the bytes in place.
- Deflated: inflated piece by piece, no further than the scanner has to look.
- Explicit VR Big Endian, and what the scanner finds odd: pydicom, as soon as all bytes are there.

A dataset in the other VR encoding than negotiated is taken, with a warning: its bytes are stored as received,
and pydicom, by which CUBE's plugins read them, tells the two apart by the first element, as it is done here.
Nothing is refused here but what has no elements at all: a header says what is there, and what kept the rest from
being read, and `description` judges.
"""

import mmap
import zlib
from collections.abc import Sequence
from dataclasses import dataclass, field, replace

from oxidicom.dataset.odd_dataset import read_odd_dataset
from oxidicom.dataset.part10 import FileMeta, read_file_meta
from oxidicom.dataset.scanner import Buffer, OddDatasetError, Place, looks_implicit, scan
from oxidicom.errors import DatasetError
from oxidicom.files.regular_file import open_regular
from oxidicom.wanted_tags import REQUIRED_TAGS

MAX_INFLATED_BYTES = 16 * 1024 * 1024
"""So far a deflated dataset is inflated in search of the wanted tags."""

_FIRST_INFLATED_BYTES = 64 * 1024
_MAX_AT_ONCE_BYTES = 1024 * 1024
_FIRST_READ_BYTES = 128 * 1024

IMPLICIT_VR_LITTLE_ENDIAN = "1.2.840.10008.1.2"
EXPLICIT_VR_LITTLE_ENDIAN = "1.2.840.10008.1.2.1"
EXPLICIT_VR_BIG_ENDIAN = "1.2.840.10008.1.2.2"
DEFLATED = frozenset(
    {
        "1.2.840.10008.1.2.1.99",  # Deflated Explicit VR Little Endian
        "1.2.840.10008.1.2.4.95",  # JPIP Referenced Deflate
        "1.2.840.10008.1.2.4.205",  # JPIP HTJ2K Referenced Deflate
    }
)


@dataclass(frozen=True)
class Header:
    """The raw values of the wanted tags that a dataset has, and what was odd about it."""

    values: dict[int, bytes]
    """By tag. At most 4,096 bytes of each."""
    warnings: tuple[str, ...] = ()
    obstacle: str = ""
    """Why not all of it was read, if so; tags that are missing may be behind it."""
    places: Sequence[Place] = field(default=(), compare=False)
    """Where the elements of the dataset are, if the scanner found them in the bytes in place (`scanner.Scan`)."""


def read_header(head: Buffer, transfer_syntax_uid: str, *, complete: bool) -> Header | None:
    """Read the header of the dataset that begins with `head`.

    None: more of the dataset is needed. With `complete` these are all its bytes, and the answer is never
    None. Raise DatasetError when the dataset is empty or cannot be inflated.
    """
    return _read(head, 0, transfer_syntax_uid, complete=complete)


def read_header_of_file(path: str) -> tuple[FileMeta, Header]:
    """Read file meta and header of a Part 10 file. Raise DatasetError when it is none, or OSError.

    The header has no places, since those in the file are of no use to anybody.
    """
    with open(path, "rb", opener=open_regular) as file:
        # Nearly all headers end here. A sector that the disk cannot read is an error here, and SIGBUS in a mapping.
        head = file.read(_FIRST_READ_BYTES)
        if not head:
            raise DatasetError("file is empty")
        meta = read_file_meta(head)
        is_all = len(head) < _FIRST_READ_BYTES
        header = _read(head, meta.dataset_offset, meta.transfer_syntax_uid, complete=is_all)
        if header is None:
            with mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ) as contents:
                header = _read(contents, meta.dataset_offset, meta.transfer_syntax_uid, complete=True)
    if header is None:
        raise DatasetError("dataset cannot be read")
    return meta, replace(header, places=())


def _read(buffer: Buffer, start: int, transfer_syntax_uid: str, *, complete: bool) -> Header | None:
    if len(buffer) <= start:
        if complete:
            raise DatasetError("dataset is empty", offending_tags=REQUIRED_TAGS)
        return None
    if transfer_syntax_uid == EXPLICIT_VR_BIG_ENDIAN:
        return _read_oddly(buffer, start, implicit=False, little_endian=False) if complete else None
    if transfer_syntax_uid in DEFLATED:
        return _read_deflated(buffer, start, complete=complete)
    negotiated = transfer_syntax_uid == IMPLICIT_VR_LITTLE_ENDIAN
    return _read_little_endian(buffer, start, negotiated, complete=complete)


def _read_little_endian(buffer: Buffer, start: int, negotiated: bool, *, complete: bool) -> Header | None:
    """Read a dataset in implicit VR if `negotiated`, else in explicit VR, unless it shows otherwise."""
    implicit = looks_implicit(buffer, start, expected=negotiated)
    try:
        found = scan(buffer, start, implicit=implicit, complete=complete)
    except OddDatasetError:
        header = _read_oddly(buffer, start, implicit=implicit, little_endian=True) if complete else None
    else:
        header = Header(found.values, places=found.places) if found else None
    if header and implicit != negotiated:
        warning = f"dataset is in {'implicit' if implicit else 'explicit'} VR, which was not negotiated"
        return replace(header, warnings=(warning, *header.warnings))
    return header


def _read_oddly(buffer: Buffer, start: int, *, implicit: bool, little_endian: bool) -> Header:
    reading = read_odd_dataset(buffer, start, implicit=implicit, little_endian=little_endian)
    warnings = (*reading.warnings, f"dataset is {reading.obstacle}") if reading.obstacle else reading.warnings
    return Header(reading.values, warnings, reading.obstacle)


def _read_deflated(buffer: Buffer, start: int, *, complete: bool) -> Header | None:
    """Inflate more and more of a deflated dataset (PS3.5, annex A.5) until the scanner has what it wants.

    Each try sees twice as much as the one before, so that all of them together stay linear.
    """
    inflation = _Inflation(buffer, start)
    most = _FIRST_INFLATED_BYTES
    while True:
        ended = inflation.extend(most)
        whole = inflation.reached_end or (ended and complete)
        header = _read(inflation.inflated, 0, EXPLICIT_VR_LITTLE_ENDIAN, complete=whole)
        if header is not None:
            header = replace(header, places=())  # they are those of the inflated bytes
            return _cut_off(header) if ended and complete and not inflation.reached_end else header
        if ended:
            return None
        if most >= MAX_INFLATED_BYTES:
            break
        most *= 2
    header = _read(inflation.inflated, 0, EXPLICIT_VR_LITTLE_ENDIAN, complete=True)
    return header and replace(header, places=(), warnings=(), obstacle="behind too much to inflate")


def _cut_off(header: Header) -> Header:
    """Return what is known when the deflated stream has no end."""
    obstacle = "cut off in its deflated stream"
    return replace(header, warnings=(*header.warnings, f"dataset is {obstacle}"), obstacle=header.obstacle or obstacle)


class _Inflation:
    """A deflated dataset, of which more and more is inflated."""

    def __init__(self, buffer: Buffer, start: int) -> None:
        self._buffer = buffer
        self._position = start
        self._waiting = b""
        self._inflater = zlib.decompressobj(-zlib.MAX_WBITS)
        self.inflated = bytearray()

    @property
    def reached_end(self) -> bool:
        """Whether all of the dataset is inflated."""
        return self._inflater.eof

    def extend(self, most: int) -> bool:
        """Inflate up to `most` bytes in total. Return True when the buffer has no more to give."""
        while (missing := most - len(self.inflated)) > 0 and not self._inflater.eof:
            if not self._waiting:
                self._waiting = bytes(self._buffer[self._position : self._position + _FIRST_INFLATED_BYTES])
                self._position += len(self._waiting)
            exhausted = not self._waiting
            try:
                piece = self._inflater.decompress(self._waiting, min(missing, _MAX_AT_ONCE_BYTES))
            except zlib.error:
                raise DatasetError("deflated dataset cannot be inflated", offending_tags=REQUIRED_TAGS) from None
            self._waiting = self._inflater.unconsumed_tail
            self.inflated += piece
            if exhausted and not piece:
                return True
        return self._inflater.eof
