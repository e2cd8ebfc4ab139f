"""The header scanner: the wanted values of a little-endian dataset, read from its bytes in place.

Theory of operation. An element is a tag, a length and a value (PS3.5, 7.1); whatever is not wanted is stepped
over by its length. Only a sequence of undefined length has to be walked through, to find its end (PS3.5,
7.5); MAX_DEPTH bounds that recursion. Each step moves at least 8 bytes ahead and no byte is looked at twice,
so the work is linear; MAX_STEPS, counted over all depths, bounds it for datasets of nothing but tiny
elements. The instances of a series have nearly all of their header in common: `header_stencil` saves most of them
the walk.

The walk ends at the first element past the wanted tags, but for datasets that are not in ascending order: if a
required tag is missing there, it goes on to the first such element behind the last required one, or to the end.

The scanner knows ordinary datasets only. For all others, those that end too soon or are beyond its limits among them,
it raises OddDatasetError, and `odd_dataset` has a try. It refuses nothing.
"""

import mmap
import struct
from collections.abc import Generator, Iterator
from typing import NamedTuple

from oxidicom.wanted_tags import KEYWORDS, LAST_TAG, REQUIRED_TAGS

MAX_STEPS = 250_000
"""Elements, items and delimiters that are looked at in one dataset."""

MAX_DEPTH = 64
"""Sequences of undefined length inside one another."""

MAX_VALUE_BYTES = 4096
"""What is kept of a value. No column and no path has room for as much."""

MAX_PLACES = 512
"""Of so many elements a scan says where they are; no header of good will has more."""

BEYOND = -1
"""Stands for the tag of the first element past the wanted ones."""

_UNDEFINED = 0xFFFFFFFF

_explicit_element = struct.Struct("<IHH").unpack_from
_implicit_element = struct.Struct("<II").unpack_from
_long_length = struct.Struct("<I").unpack_from

Buffer = bytes | bytearray | mmap.mmap
"""Their slices can be compared with bytes and searched, those of a memoryview cannot."""


class OddDatasetError(Exception):
    """The dataset is not what this scanner knows, or all of it; it may still be readable."""


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

_wanted = {_little_endian(tag): tag for tag in KEYWORDS}.get
_LAST_GROUP, _LAST_ELEMENT = LAST_TAG >> 16, LAST_TAG & 0xFFFF
_REQUIRED = frozenset(REQUIRED_TAGS)
_ITEM = _little_endian(0xFFFEE000)
_ITEM_DELIMITER = _little_endian(0xFFFEE00D)
_SEQUENCE_DELIMITER = _little_endian(0xFFFEE0DD)
_ITEM_DELIMITER_BYTES = b"\xfe\xff\x0d\xe0"


Place = tuple[int, int, int]
"""Where the value of an element is: tag, start and end.

The tag is that of a wanted element, BEYOND, or 0: any other, and all inside sequences of undefined length. A plain
tuple, for one is made for each element.
"""


class Scan(NamedTuple):
    """What was found in a dataset."""

    values: dict[int, bytes]
    """The raw values of the wanted tags, at most MAX_VALUE_BYTES of each."""
    places: list[Place]
    """A `Place` for each element as they stand, headers between them; with more than MAX_PLACES only the first
    of them. The last one is BEYOND, empty and right behind the tag of its element, unless the dataset ends before."""


def looks_implicit(buffer: Buffer, start: int, *, expected: bool) -> bool:
    """Tell from its first element whether a dataset is in implicit VR; `expected` if it is too short.

    Some devices send the other kind than they negotiated. Two capital letters are a value representation: as
    a length they would be over 16 KiB, which no first element has. pydicom decides in the same way.
    """
    code = buffer[start + 4 : start + 6]
    return expected if len(code) < 2 else not (code.isalpha() and code.isupper())


def scan(buffer: Buffer, start: int, *, implicit: bool, complete: bool) -> Scan | None:
    """Return what there is of the wanted tags in the dataset that begins at `start`.

    None: the bytes end before the wanted tags do. With `complete` they are known to be all bytes of the
    dataset: then its end is the end, if it is the end of an element. Raise OddDatasetError when the dataset is
    nothing for this scanner. A tag of which the value is a sequence of undefined length is left out.
    """
    values: dict[int, bytes] = {}
    places: list[Place] = []
    try:
        for place in _walk(buffer, start, implicit):
            tag, value_at, end = place
            if tag:  # which most have not
                if tag != BEYOND:
                    values[tag] = bytes(buffer[value_at : min(end, value_at + MAX_VALUE_BYTES)])
                elif values.keys() >= _REQUIRED:
                    places.append(place)
                    break
                elif buffer[value_at - 4 : value_at] == _ITEM_DELIMITER_BYTES:
                    raise OddDatasetError("an item ends that has not begun")
                else:
                    continue
            if len(places) < MAX_PLACES:
                places.append(place)
    except _MoreNeededError:
        if not complete:
            return None
        raise OddDatasetError("dataset ends inside an element") from None
    except EOFError:
        if not complete:
            return None
    return Scan(values, places[:MAX_PLACES])


def is_whole(buffer: Buffer, start: int, *, implicit: bool) -> bool:
    """Walk to the end of a dataset, and tell whether it is the end of an element. Raise OddDatasetError."""
    try:
        for _ in _walk(buffer, start, implicit):
            pass
    except _MoreNeededError:
        return False
    except EOFError:
        pass
    return True


def _walk(buffer: Buffer, start: int, implicit: bool) -> Iterator[Place]:
    """Yield the places of elements, and before each that is past the wanted ones a place with the tag BEYOND.

    Raise EOFError when the buffer ends, and _MoreNeededError when it ends inside an element: a step beyond the end is
    noticed when the next element is to be read there.
    """
    return (_walk_implicit if implicit else _walk_explicit)(buffer, start, iter(range(MAX_STEPS)))


def _walk_explicit(buffer: Buffer, position: int, steps: Iterator[int]) -> Iterator[Place]:
    """Walk over elements in Explicit VR (PS3.5, 7.1.2)."""
    try:
        for _ in steps:
            tag, vr, length = _explicit_element(buffer, position)
            if (group := tag & 0xFFFF) >= _LAST_GROUP and (group > _LAST_GROUP or tag >> 16 > _LAST_ELEMENT):
                yield BEYOND, position + 4, position + 4
            if vr in _SHORT_VRS:
                position += 8
            elif vr in _LONG_VRS or _is_future(vr, length):
                (length,) = _long_length(buffer, position + 8)
                position += 12
                if length == _UNDEFINED:
                    position = yield from _skip_sequence(buffer, position, False, steps)
                    continue
            else:
                raise OddDatasetError("no value representation")
            end = position + length
            yield _wanted(tag, 0), position, end
            position = end
    except struct.error:
        raise _end(buffer, position) from None
    raise _too_many()


def _walk_implicit(buffer: Buffer, position: int, steps: Iterator[int]) -> Iterator[Place]:
    """Walk over elements in Implicit VR (PS3.5, 7.1.3)."""
    try:
        for _ in steps:
            tag, length = _implicit_element(buffer, position)
            if (group := tag & 0xFFFF) >= _LAST_GROUP and (group > _LAST_GROUP or tag >> 16 > _LAST_ELEMENT):
                yield BEYOND, position + 4, position + 4
            position += 8
            if length == _UNDEFINED:
                position = yield from _skip_sequence(buffer, position, True, steps)
                continue
            end = position + length
            yield _wanted(tag, 0), position, end
            position = end
    except struct.error:
        raise _end(buffer, position) from None
    raise _too_many()


def _is_future(vr: int, reserved: int) -> bool:
    """Tell whether it is a value representation of a later standard: two capitals, a length of 32 bits (PS3.5, 6.2)."""
    return not reserved and 0x41 <= vr & 0xFF <= 0x5A and 0x41 <= vr >> 8 <= 0x5A


_Places = Generator[Place, None, int]
"""The places of elements that nobody wants; returned is the position after them."""


def _skip_sequence(buffer: Buffer, position: int, implicit: bool, steps: Iterator[int]) -> _Places:
    """Walk through the sequence of undefined length whose first item is at `position`."""
    try:
        return (yield from _walk_sequence(buffer, position, implicit, steps, 1))
    except struct.error:
        raise _MoreNeededError from None


def _walk_sequence(buffer: Buffer, position: int, implicit: bool, steps: Iterator[int], depth: int) -> _Places:
    """Walk over items up to the delimiter of their sequence (PS3.5, 7.5.2).

    They are in implicit VR if `implicit`, or if an item shows it: those of UN are (PS3.5, 6.2.2, note 2), but for
    devices that only changed the VR, and some keep other private sequences so in a dataset of explicit VR.
    """
    if depth > MAX_DEPTH:
        raise OddDatasetError("sequences are nested too deep")
    for _ in steps:
        tag, length = _implicit_element(buffer, position)
        position += 8
        if tag == _SEQUENCE_DELIMITER:
            return position
        if tag != _ITEM:
            raise OddDatasetError("no item where one has to be")
        if length != _UNDEFINED:
            yield 0, position, position + length
            position += length
        else:
            item_implicit = implicit or looks_implicit(buffer, position, expected=False)
            position = yield from _walk_item(buffer, position, item_implicit, steps, depth)
    raise _too_many()


def _walk_item(buffer: Buffer, position: int, implicit: bool, steps: Iterator[int], depth: int) -> _Places:
    """Walk over the elements of an item of undefined length, up to its delimiter."""
    for _ in steps:
        tag, length = _implicit_element(buffer, position)
        if tag == _SEQUENCE_DELIMITER:  # some devices forget to end the item
            return position
        position += 8
        if tag == _ITEM_DELIMITER:
            return position
        if not implicit:
            vr, length = length & 0xFFFF, length >> 16
            if vr in _LONG_VRS or _is_future(vr, length):
                (length,) = _long_length(buffer, position)
                position += 4
            elif vr not in _SHORT_VRS:
                raise OddDatasetError("no value representation")
        if length == _UNDEFINED:
            position = yield from _walk_sequence(buffer, position, implicit, steps, depth + 1)
        else:
            yield 0, position, position + length
            position += length
    raise _too_many()


def _end(buffer: Buffer, position: int) -> Exception:
    """Return what the end of the buffer means, with `position` behind the last thing that was read whole.

    Less than the 8 bytes of the shortest element behind the last one is filling, and ignored as pydicom does.
    """
    return EOFError() if 0 <= len(buffer) - position < 8 else _MoreNeededError()


def _too_many() -> OddDatasetError:
    return OddDatasetError("dataset has too many elements")
