"""Stencils: what the headers of a series have in common, so that only the first few have to be read.

Theory of operation. The slices of a series agree in every element header and in nearly every value. A stencil is cut
from one of them: it covers its bytes up to the last wanted tag, and has holes where values may differ. Laid over
another dataset it fits if all that it covers is equal. Then every element is where it was, and every covered
value is what it was, so that only the values in the holes are left to be taken.

SOPInstanceUID and InstanceNumber are holes from the beginning. When a stencil does not fit a dataset that has its
elements in the same places, the values that differ become holes too; but not the values that name a series.
"""

import struct
from collections.abc import Mapping, Sequence
from typing import NamedTuple

from oxidicom.dataset.scanner import BEYOND, MOST_PLACES, MOST_VALUE_BYTES
from oxidicom.dataset.wanted_tags import INSTANCE_NUMBER, SOP_INSTANCE_UID

MOST_BYTES = 16 * 1024
"""A longer header is read each time: to compare it would cost as much."""

_INSTANCE_TAGS = (SOP_INSTANCE_UID, INSTANCE_NUMBER)

Bytes = bytes | memoryview


class InstanceValues(NamedTuple):
    """The raw values that tell the instances of a series apart; None where missing."""

    sop_instance_uid: bytes | None
    instance_number: bytes | None

    @classmethod
    def of(cls, values: Mapping[int, bytes]) -> "InstanceValues":
        """Pick them from raw values by tag."""
        return cls(values.get(SOP_INSTANCE_UID), values.get(INSTANCE_NUMBER))


class Stencil:
    """Fits the datasets that have all of their header in common with one of them, but for its holes."""

    def __init__(self, sample: bytes, places: Sequence[tuple[int, int, int]], indices: Mapping[int, int]) -> None:
        """Use `cut`. `indices` says for the tags that tell instances apart where they are in `places`."""
        self._sample = sample
        self._places = places
        self._holes = set(indices.values())
        self._uid_at = places[indices[SOP_INSTANCE_UID]] if SOP_INSTANCE_UID in indices else None
        self._number_at = places[indices[INSTANCE_NUMBER]] if INSTANCE_NUMBER in indices else None
        self._pierce()

    def values_of(self, dataset: Bytes) -> InstanceValues | None:
        """Return the values in the holes if the stencil fits the beginning of `dataset`, else None."""
        if len(dataset) < self._covered.size or self._covered.unpack_from(dataset) != self._expected:
            return None
        return InstanceValues(_value(dataset, self._uid_at), _value(dataset, self._number_at))

    def widen(self, dataset: bytes, places: Sequence[tuple[int, int, int]]) -> bool:
        """Make it fit `dataset` too, which was read and has its elements in `places`. Return whether it does."""
        if places != self._places:
            return False
        values = enumerate(places)
        holes = {index for index, (_, start, end) in values if dataset[start:end] != self._sample[start:end]}
        if any(places[index][0] > 0 for index in holes - self._holes):
            return False  # it is another series
        before, self._holes = self._holes, self._holes | holes
        self._pierce()
        if self.values_of(dataset) is None:  # it has other elements
            self._holes = before
            self._pierce()
            return False
        return True

    def _pierce(self) -> None:
        """Make the format that passes over the holes, and what it has to find everywhere else."""
        pieces, position = [], 0
        for index in sorted(self._holes):
            _, start, end = self._places[index]
            pieces.append(f"{start - position}s{end - start}x")
            position = end
        self._covered = struct.Struct("".join(pieces) + f"{len(self._sample) - position}s")
        self._expected = self._covered.unpack(self._sample)


def cut(dataset: bytes, places: Sequence[tuple[int, int, int]]) -> Stencil | None:
    """Cut a stencil from a dataset that has its elements in `places`; None if it would be of no use."""
    if not places or len(places) == MOST_PLACES:
        return None
    last, end, _ = places[-1]
    indices = [(tag, index) for index, (tag, _, _) in enumerate(places) if tag in _INSTANCE_TAGS]
    if last != BEYOND or end > MOST_BYTES or len(dict(indices)) < len(indices):
        return None
    return Stencil(bytes(dataset[:end]), places, dict(indices))


def _value(dataset: Bytes, place: tuple[int, int, int] | None) -> bytes | None:
    if place is None:
        return None
    _, start, end = place
    return bytes(dataset[start : min(end, start + MOST_VALUE_BYTES)])
