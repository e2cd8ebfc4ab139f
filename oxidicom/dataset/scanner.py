"""The header scanner: the wanted values of a little-endian dataset, read from its bytes in place.

Theory of operation. An element is a tag, a length and a value (PS3.5, 7.1); whatever is not wanted is stepped
over by its length. Only a sequence of undefined length has to be walked through, to find its end (PS3.5,
7.5); MOST_DEPTH bounds that recursion. Each step moves at least 8 bytes ahead and no byte is looked at twice,
so the work is linear; MOST_STEPS, counted over all depths, bounds it for datasets of nothing but tiny
elements. The instances of a series have nearly all their element headers in common: how far a header leads is
remembered by its 8 bytes, which makes a walk three times as fast as decoding each header.

The scanner knows ordinary datasets only. For the others it raises OddDatasetError, and `odd_dataset` has a
try.
"""

import mmap
import struct
from collections.abc import Iterator

from oxidicom.dataset.wanted_tags import KEYWORDS, LAST_TAG
from oxidicom.errors import DatasetError

MOST_STEPS = 250_000
"""Elements, items and delimiters that are looked at in one dataset."""

MOST_DEPTH = 64
"""Sequences of undefined length inside one another."""

MOST_VALUE_BYTES = 4096
"""What is kept of a value. No column and no path has room for as much."""

_MOST_REMEMBERED = 4096
_CANNOT_UNDERSTAND = 0xC000
_UNDEFINED = 0xFFFFFFFF

_explicit_element = struct.Struct("<IHH").unpack_from
_implicit_element = struct.Struct("<II").unpack_from
_long_length = struct.Struct("<I").unpack_from

Buffer = bytes | mmap.mmap
"""Slices of both are bytes."""


class OddDatasetError(Exception):
    """The dataset is not what this scanner knows; it may still be readable."""


class _MoreNeededError(Exception):
    """The bytes end before the wanted tags do."""


def _little_endian(tag: int) -> int:
    """Return a tag as it looks when its four bytes are read as one little-endian number."""
    return (tag & 0xFFFF) << 16 | tag >> 16


def _vr_codes(names: str) -> frozenset[int]:
    return frozenset(int.from_bytes(name.encode(), "little") for name in names.split())


_SHORT_VRS = _vr_codes("AE AS AT CS DA DS DT FD FL IS LO LT PN SH SL SS ST TM UI UL US")
"""Value representations with a length of 16 bits (PS3.5, table 7.1-2)."""
_LONG_VRS = _vr_codes("OB OD OF OL OV OW SQ SV UC UN UR UT UV")
"""Value representations with two reserved bytes and a length of 32 bits (PS3.5, table 7.1-1)."""
_UN = int.from_bytes(b"UN", "little")

_WANTED = {_little_endian(tag): tag for tag in KEYWORDS}
_LAST_GROUP, _LAST_ELEMENT = LAST_TAG >> 16, LAST_TAG & 0xFFFF
_ITEM = _little_endian(0xFFFEE000)
_ITEM_DELIMITER = _little_endian(0xFFFEE00D)
_SEQUENCE_DELIMITER = _little_endian(0xFFFEE0DD)


class _Steps(dict[bytes, int]):
    """How far the headers of unwanted elements lead: bytes from one header to the next, by the header's 8 bytes."""

    def learn(self, header: bytes, step: int) -> None:
        if len(self) >= _MOST_REMEMBERED:
            self.clear()  # no dataset of good will gets here, and a memo may be lost at any time
        self[header] = step


_explicit_steps, _implicit_steps = _Steps(), _Steps()


def looks_implicit(buffer: Buffer, start: int, *, expected: bool) -> bool:
    """Tell from its first element whether a dataset is in implicit VR; `expected` if it is too short.

    Some devices send the other kind than they negotiated. Two capital letters are a value representation: as
    a length they would be over 16 KiB, which no first element has. pydicom decides in the same way.
    """
    code = buffer[start + 4 : start + 6]
    return expected if len(code) < 2 else not (code.isalpha() and code.isupper())


def scan(buffer: Buffer, start: int, *, implicit: bool, complete: bool) -> dict[int, bytes] | None:
    """Return the raw values of the wanted tags of the dataset that begins at `start`.

    None: the bytes end before the wanted tags do. With `complete` they are known to be all bytes of the
    dataset: then its end is the end, if it is the end of an element. Raise OddDatasetError, or DatasetError
    when the dataset is broken or beyond the limits. A tag of which the value is a sequence of undefined
    length is left out.
    """
    values: dict[int, bytes] = {}
    read = _read_implicit if implicit else _read_explicit
    try:
        read(buffer, start, values)
    except _MoreNeededError:
        if not complete:
            return None
        raise DatasetError("dataset ends inside an element", _CANNOT_UNDERSTAND) from None
    except EOFError:
        if not complete:
            return None
    return values


def _read_explicit(buffer: Buffer, position: int, values: dict[int, bytes]) -> None:
    """Read elements of Explicit VR (PS3.5, 7.1.2) up to the first past the wanted ones.

    Raise EOFError when the buffer ends before that one, and _MoreNeededError when it ends inside an element:
    a step beyond the end is noticed when the next element is to be read there.
    """
    steps = iter(range(MOST_STEPS))
    known_step = _explicit_steps.get
    try:
        for _ in steps:
            if step := known_step(header := buffer[position : position + 8]):
                position += step
                continue
            tag, vr, length = _explicit_element(buffer, position)
            if (group := tag & 0xFFFF) >= _LAST_GROUP and (group > _LAST_GROUP or tag >> 16 > _LAST_ELEMENT):
                return
            if vr in _SHORT_VRS:
                position += 8
                if tag not in _WANTED:
                    _explicit_steps.learn(header, 8 + length)
            elif vr not in _LONG_VRS:
                raise OddDatasetError("unknown value representation")
            else:
                (length,) = _long_length(buffer, position + 8)
                position += 12
                if length == _UNDEFINED:
                    position = _skip_sequence(buffer, position, vr == _UN, steps)
                    continue
            if tag in _WANTED:
                values[_WANTED[tag]] = buffer[position : position + min(length, MOST_VALUE_BYTES)]
            position += length
    except struct.error:
        raise _end(buffer, position) from None
    raise _too_many()


def _read_implicit(buffer: Buffer, position: int, values: dict[int, bytes]) -> None:
    """Read elements of Implicit VR (PS3.5, 7.1.3), as `_read_explicit` does."""
    steps = iter(range(MOST_STEPS))
    known_step = _implicit_steps.get
    try:
        for _ in steps:
            if step := known_step(header := buffer[position : position + 8]):
                position += step
                continue
            tag, length = _implicit_element(buffer, position)
            if (group := tag & 0xFFFF) >= _LAST_GROUP and (group > _LAST_GROUP or tag >> 16 > _LAST_ELEMENT):
                return
            position += 8
            if length == _UNDEFINED:
                position = _skip_sequence(buffer, position, True, steps)
                continue
            if tag in _WANTED:
                values[_WANTED[tag]] = buffer[position : position + min(length, MOST_VALUE_BYTES)]
            else:
                _implicit_steps.learn(header, 8 + length)
            position += length
    except struct.error:
        raise _end(buffer, position) from None
    raise _too_many()


def _skip_sequence(buffer: Buffer, position: int, implicit: bool, steps: Iterator[int]) -> int:
    """Return the position after the sequence of undefined length whose first item is at `position`."""
    try:
        return _after_sequence(buffer, position, implicit, steps, 1)
    except struct.error:
        raise _MoreNeededError from None


def _after_sequence(buffer: Buffer, position: int, implicit: bool, steps: Iterator[int], depth: int) -> int:
    """Step over items up to the delimiter of their sequence (PS3.5, 7.5.2).

    They are in implicit VR if `implicit`, as those of UN are (PS3.5, 6.2.2, note 2), or if an item shows it:
    some devices keep their private sequences so in a dataset of explicit VR.
    """
    if depth > MOST_DEPTH:
        raise DatasetError("sequences are nested too deep", _CANNOT_UNDERSTAND)
    for _ in steps:
        tag, length = _implicit_element(buffer, position)
        position += 8
        if tag == _SEQUENCE_DELIMITER:
            return position
        if tag != _ITEM:
            raise OddDatasetError("no item where one has to be")
        if length != _UNDEFINED:
            position += length
        else:
            item_implicit = implicit or looks_implicit(buffer, position, expected=False)
            position = _after_item(buffer, position, item_implicit, steps, depth)
    raise _too_many()


def _after_item(buffer: Buffer, position: int, implicit: bool, steps: Iterator[int], depth: int) -> int:
    """Step over the elements of an item of undefined length, up to its delimiter."""
    for _ in steps:
        tag, length = _implicit_element(buffer, position)
        if tag == _SEQUENCE_DELIMITER:  # some devices forget to end the item
            return position
        position += 8
        if tag == _ITEM_DELIMITER:
            return position
        vr = _UN
        if not implicit:
            vr, length = length & 0xFFFF, length >> 16
            if vr in _LONG_VRS:
                (length,) = _long_length(buffer, position)
                position += 4
            elif vr not in _SHORT_VRS:
                raise OddDatasetError("unknown value representation")
        if length == _UNDEFINED:
            position = _after_sequence(buffer, position, vr == _UN, steps, depth + 1)
        else:
            position += length
    raise _too_many()


def _end(buffer: Buffer, position: int) -> Exception:
    """Return what the end of the buffer means, with `position` behind the last thing that was read whole.

    Less than the 8 bytes of the shortest element behind the last one is filling, and ignored as pydicom does.
    """
    return EOFError() if 0 <= len(buffer) - position < 8 else _MoreNeededError()


def _too_many() -> DatasetError:
    return DatasetError("dataset has too many elements", _CANNOT_UNDERSTAND)
