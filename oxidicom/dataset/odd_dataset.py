"""Datasets that the header scanner does not know, read by pydicom: big-endian and irregular ones.

Slow, and lenient as the readers of the stored files are. The laws of this file: whatever pydicom raises, warns of or
returns, its caller sees raw values, and what kept the rest from being read; and its work is bounded by what it reads,
never by what it steps over or what stands behind.
"""

import os
import warnings
from typing import BinaryIO, Literal, NamedTuple, cast

from pydicom.dataelem import RawDataElement
from pydicom.filereader import ENCODED_VR, data_element_generator
from pydicom.tag import BaseTag

from oxidicom.dataset.scanner import MAX_VALUE_BYTES, Buffer
from oxidicom.wanted_tags import KEYWORDS, LAST_TAG, REQUIRED_TAGS, SPECIFIC_CHARACTER_SET

MAX_READS = 50_000
"""So often pydicom may read: twice or thrice for an element or item, each of which costs it microseconds. Of items it
makes datasets of half a kilobyte."""

MAX_READ_BYTES = 16 * 1024 * 1024
"""So much it may read: values of private attributes inside sequences, which it keeps in memory, and delimiters that it
has to search for. Other values that nobody wants are stepped over."""

_UNDEFINED = 0xFFFFFFFF
_FIRST_DELIMITER = 0xFFFE0000
"""Items and delimiters, which have no value representation (PS3.5, 7.5)."""
_HEAD_BYTES = 8
"""Of the shortest element, and what pydicom reads of each first."""
_MAX_WARNINGS = 4
_REQUIRED = frozenset(REQUIRED_TAGS)


class OddReading(NamedTuple):
    """What was found in a dataset."""

    values: dict[int, bytes]
    """The raw values of the wanted tags, at most MAX_VALUE_BYTES of each."""
    obstacle: str
    """Why it was not read as far as was wanted, such as `cut off in (7FE0,0010)`; '' if it was. At most 35 characters,
    for datasets of less than 10 GB."""
    is_cut_off: bool
    """Whether the obstacle is that the dataset ends inside an element."""
    warnings: tuple[str, ...]
    """What was read here, and is an obstacle for pydicom alone."""


def read_odd_dataset(
    buffer: Buffer, start: int, *, implicit: bool, little_endian: bool, to_its_end: bool = False
) -> OddReading:
    """Read the dataset from `start` to the end of `buffer`, as far as the scanner would, or `to_its_end`.

    Two things that end pydicom's reading are stepped over: delimiters of items outside of sequences, and the padding of
    values whose odd length does not count it. A value that is cut off is left out: it would be another one.
    """
    reader = _Reader(buffer, start, implicit=implicit, little_endian=little_endian)
    values: dict[int, bytes] = {}
    obstacle, is_cut_off = "", False
    try:
        is_enough = _read_values(reader, values, implicit, little_endian, to_its_end)
    except Exception as error:  # noqa: BLE001 (pydicom has no common error, and hostile bytes find them all)
        obstacle, is_cut_off = reader.obstacle(error)
    else:
        if reader.is_cut_off and not is_enough:
            obstacle, is_cut_off = reader.end()
    if is_cut_off:
        values.pop(reader.tag, None)
    return OddReading(values, obstacle, is_cut_off, tuple(reader.warnings))


def _read_values(
    reader: "_Reader", values: dict[int, bytes], implicit: bool, little_endian: bool, to_its_end: bool
) -> bool:
    """Add the wanted values of a dataset. Return whether the rest was left unread, for all that is wanted is there."""
    is_enough = False

    def stop_when(tag: BaseTag, vr: str | None, length: int) -> bool:
        nonlocal is_enough
        reader.note(int(tag), vr, length)
        is_enough = not to_its_end and int(tag) > LAST_TAG and values.keys() >= _REQUIRED
        return is_enough

    tags: list[BaseTag | int] = list(KEYWORDS)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        while reader.has_more and not is_enough:
            for element in data_element_generator(
                cast(BinaryIO, reader), implicit, little_endian, stop_when, MAX_VALUE_BYTES, specific_tags=tags
            ):
                if isinstance(element, RawDataElement) and element.length != _UNDEFINED:
                    values[int(element.tag)] = reader.value(element)
            if reader.has_more and not is_enough:
                reader.warn("dataset has an item delimiter outside of sequences")
    return is_enough


class _Reader:
    """The dataset as a file, as far as pydicom needs one. It knows what is being read, and says when it is enough."""

    def __init__(self, buffer: Buffer, start: int, *, implicit: bool, little_endian: bool) -> None:
        self._buffer = buffer
        self._start = start
        self._size = len(buffer) - start
        self._implicit = implicit
        self._byte_order: Literal["little", "big"] = "little" if little_endian else "big"
        self._position = 0
        self._reads = 0
        self._read_bytes = 0
        self._met_end = False
        self._value_at = 0
        self._length = 0
        self._lacks_vr = False
        self.tag = 0
        """Of the element that is being read."""
        self.warnings: dict[str, None] = {}
        """In the order in which they came."""

    def note(self, tag: int, vr: str | None, length: int) -> None:
        """The head of an element of the dataset itself was read."""
        self.tag, self._value_at, self._length = tag, self._position, length
        self._lacks_vr = vr is None and not self._implicit and tag < _FIRST_DELIMITER

    def warn(self, warning: str) -> None:
        """Note what is odd, but no flood of it."""
        if len(self.warnings) < _MAX_WARNINGS:
            self.warnings[warning] = None

    @property
    def has_more(self) -> bool:
        """Whether there may be another element; less than one is filling."""
        return self._size - self._position >= _HEAD_BYTES

    @property
    def is_cut_off(self) -> bool:
        """Whether the value that is being read goes on behind the end."""
        return self._length != _UNDEFINED and self._value_at + self._length > self._size

    def value(self, element: RawDataElement) -> bytes:
        """Return the raw value of an element: pydicom leaves out what is long, and has None for what is empty."""
        at = self._start + element.value_tell
        return bytes(self._buffer[at : at + min(element.length, MAX_VALUE_BYTES)])

    def obstacle(self, error: Exception) -> tuple[str, bool]:
        """Return why reading failed, and whether it is that the dataset ends inside an element."""
        if self._is_enough:
            return f"too much to read by byte {self._position}", False
        if _is_about_depth(error):
            return f"nested too deep at byte {self._position}", False
        if self._met_end or self.is_cut_off:
            return self.end()
        return f"unreadable from byte {self._value_at}", False

    def end(self) -> tuple[str, bool]:
        """Return what it means that the dataset ends before its element, as `obstacle` does.

        What has no value representation and is longer than all that follows is no element.
        """
        if self._lacks_vr:
            return f"no VR in {_name(self.tag)}", False
        return f"cut off in {_name(self.tag)}", True

    @property
    def _is_enough(self) -> bool:
        return self._reads > MAX_READS or self._read_bytes > MAX_READ_BYTES

    def read(self, count: int) -> bytes:
        if self.tag == SPECIFIC_CHARACTER_SET and (self._position, count) == (self._value_at, self._length):
            # pydicom looks it up at once, and some that no device should send are errors to Python.
            self._position += count
            return b""
        if self._length & 1 and count == _HEAD_BYTES and self._position == self._value_at + self._length:
            self._skip_padding()
        there = max(0, min(count, self._size - self._position))
        self._reads += 1
        self._read_bytes += there
        if self._is_enough:
            raise OSError
        self._met_end = there < count
        self._position += there
        at = self._start + self._position
        return bytes(self._buffer[at - there : at])

    def seek(self, offset: int, whence: int = os.SEEK_SET) -> None:
        self._position = offset + (self._position if whence == os.SEEK_CUR else 0)
        if self._position < 0:
            raise OSError

    def tell(self) -> int:
        return self._position

    def _skip_padding(self) -> None:
        """Step over a byte if the next element begins behind it, and not here."""
        if not self._is_head(self._position) and self._is_head(self._position + 1):
            self._position += 1
            self.warn(f"length of {_name(self.tag)} is odd and its padding not counted")

    def _is_head(self, at: int) -> bool:
        """Tell whether the next element, of a higher tag and known value representation, could begin there."""
        at += self._start
        group, number, rest = (self._buffer[at + i : at + j] for i, j in ((0, 2), (2, 4), (4, 8)))
        tag = int.from_bytes(group, self._byte_order) << 16 | int.from_bytes(number, self._byte_order)
        if tag <= self.tag or len(rest) < _HEAD_BYTES - 4:
            return False
        if self._implicit:
            return at + _HEAD_BYTES + int.from_bytes(rest, self._byte_order) <= len(self._buffer)
        return bytes(rest[:2]) in ENCODED_VR


def _is_about_depth(error: BaseException | None) -> bool:
    """Tell whether it was the depth of recursion. pydicom makes other errors of it."""
    while error and not isinstance(error, RecursionError):
        error = error.__context__
    return error is not None


def _name(tag: int) -> str:
    return f"({tag >> 16:04X},{tag & 0xFFFF:04X})"
