"""Header stencils: what the headers of a series have in common.

The slices of a series agree in every element header and in nearly every value. A stencil of one of them covers all
bytes up to the last wanted tag. SOPInstanceUID and InstanceNumber are holes from the beginning. When it does not fit a
dataset that has its elements in the same places, the values that differ become holes too; but not those that name a
series.
"""

from collections.abc import Mapping, Sequence
from typing import NamedTuple

from oxidicom.dataset.scanner import BEYOND, MAX_PLACES, MAX_VALUE_BYTES, Place
from oxidicom.stencil import Span, Stencil
from oxidicom.wanted_tags import INSTANCE_NUMBER, SOP_INSTANCE_UID

MAX_BYTES = 16 * 1024
"""A longer header is read each time: to compare it would cost as much."""

_INSTANCE_TAGS = (SOP_INSTANCE_UID, INSTANCE_NUMBER)

Places = Sequence[Place]
"""Those of a dataset, as in `scanner.Scan`."""


class InstanceValues(NamedTuple):
    """The raw values that tell the instances of a series apart; None where missing."""

    sop_instance_uid: bytes | None
    instance_number: bytes | None

    @classmethod
    def of(cls, values: Mapping[int, bytes]) -> "InstanceValues":
        """Pick them from raw values by tag."""
        return cls(values.get(SOP_INSTANCE_UID), values.get(INSTANCE_NUMBER))


class HeaderStencil:
    """Fits the datasets whose headers were found to be alike."""

    def __init__(self, sample: bytes, places: Places, indices: Mapping[int, int]) -> None:
        """Use `cut`. `indices` says for the tags that tell instances apart where they are in `places`."""
        self._sample = sample
        self._places = places
        self._holes = set(indices.values())
        self._uid_at, self._number_at = [_span(places, indices.get(tag)) for tag in _INSTANCE_TAGS]
        self._stencil = self._pierced(self._holes)

    def values_of(self, dataset: bytes | memoryview) -> InstanceValues | None:
        """Return the instance values if the stencil fits the beginning of `dataset`, else None."""
        if not self._stencil.fits(dataset):
            return None
        return InstanceValues(_value(dataset, self._uid_at), _value(dataset, self._number_at))

    def widen(self, dataset: bytes, places: Places) -> bool:
        """Make it fit `dataset` too, which was read and has its elements in `places`. Return whether it does."""
        if places != self._places:
            return False
        values = enumerate(places)
        differing = {index for index, (_, start, end) in values if dataset[start:end] != self._sample[start:end]}
        if any(places[index][0] > 0 for index in differing - self._holes):
            return False  # it is another series
        holes = self._holes | differing
        stencil = self._pierced(holes)
        if not stencil.fits(dataset):
            return False  # it has other elements in the same places
        self._holes, self._stencil = holes, stencil
        return True

    def _pierced(self, holes: set[int]) -> Stencil:
        return Stencil(self._sample, [self._places[index][1:] for index in holes])


def cut(dataset: bytes, places: Places) -> HeaderStencil | None:
    """Cut a stencil from a dataset that has its elements in `places`; None if it would be of no use."""
    if not places or len(places) == MAX_PLACES:
        return None
    last, end, _ = places[-1]
    indices = [(tag, index) for index, (tag, _, _) in enumerate(places) if tag in _INSTANCE_TAGS]
    if last != BEYOND or end > MAX_BYTES or len(dict(indices)) < len(indices):
        return None
    return HeaderStencil(bytes(dataset[:end]), places, dict(indices))


def _span(places: Places, index: int | None) -> Span | None:
    return None if index is None else places[index][1:]


def _value(dataset: bytes | memoryview, span: Span | None) -> bytes | None:
    if span is None:
        return None
    start, end = span
    return bytes(dataset[start : min(end, start + MAX_VALUE_BYTES)])
