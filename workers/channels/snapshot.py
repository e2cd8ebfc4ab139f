"""A snapshot: what one process wants to leave to its successor, in shared memory that is made before the fork.

There are two places, written in turn, and a number that says which is whole: so a process that dies while it writes
leaves the snapshot before. One process writes; only its successor reads.
"""

import mmap
import struct
import zlib

_NUMBER_BYTES = 8
_HEAD = struct.Struct("<II")  # bytes, CRC-32


class Snapshot:
    """Some bytes that outlive the process that wrote them."""

    def __init__(self, max_bytes: int) -> None:
        """Make the memory for `max_bytes` at a time; with 0 nothing is kept. Call it before the fork."""
        self._place_bytes = _HEAD.size + max_bytes
        self._max_bytes = max_bytes
        self._memory = mmap.mmap(-1, _NUMBER_BYTES + 2 * self._place_bytes)
        self._number = memoryview(self._memory)[:_NUMBER_BYTES].cast("Q")
        """One number, which is written in one piece."""

    def write(self, data: bytes) -> bool:
        """Keep `data` in place of what was kept before. Return False, and keep that, when it is too large."""
        if len(data) > self._max_bytes:
            return False
        number = self._number[0] + 1
        at = self._at(number)
        _HEAD.pack_into(self._memory, at, len(data), zlib.crc32(data))
        self._memory[at + _HEAD.size : at + _HEAD.size + len(data)] = data
        self._number[0] = number
        return True

    def read(self) -> bytes | None:
        """Return what was kept last, or None when nothing was, or it cannot be trusted."""
        if self._number[0] == 0:
            return None
        at = self._at(self._number[0])
        count, checksum = _HEAD.unpack_from(self._memory, at)
        if count > self._max_bytes:
            return None
        data = self._memory[at + _HEAD.size : at + _HEAD.size + count]
        return data if zlib.crc32(data) == checksum else None

    def _at(self, number: int) -> int:
        return _NUMBER_BYTES + number % 2 * self._place_bytes
