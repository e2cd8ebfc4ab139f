"""Stencils: what many messages have in common, so that only the first few have to be decoded.

A stencil is cut from a sample and has holes where others may differ. Laid over other bytes it fits if all that it
covers is equal. If it covers everything that says where values are, it proves that they are where they were in the
sample, and that all values it covers are the same: what is left are those in the holes.
"""

import struct
from collections.abc import Iterable

Span = tuple[int, int]
"""Start and end in bytes."""


class Stencil:
    """Fits bytes that begin with as many as the sample has and differ from it in the holes only."""

    def __init__(self, sample: bytes, holes: Iterable[Span]) -> None:
        """`holes` do not overlap."""
        pieces, position = [], 0
        for start, end in sorted(holes):
            pieces.append(f"{start - position}s{end - start}x")
            position = end
        self._covered = struct.Struct("".join(pieces) + f"{len(sample) - position}s")
        self._expected = self._covered.unpack(sample)
        self.size = len(sample)

    def fits(self, data: bytes | bytearray | memoryview) -> bool:
        """Tell whether it fits. One comparison in C, whatever the number of holes."""
        return len(data) >= self.size and self._covered.unpack_from(data) == self._expected
