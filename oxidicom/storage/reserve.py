"""The reserve of the storage: below it no instance is taken, so that the disk is never full.

A full disk would also stop CUBE and the database, if they share it, and what is already acknowledged needs room for
its directories and metadata.
"""

import os

from oxidicom.association.statuses import Status
from oxidicom.errors import DatasetError

_MOST_BYTES = 1 << 30
_FRACTION = 100
_FEWEST_INODES = 1000


class Reserve:
    """Watches the filesystem of `directory`. Costs one `statvfs`, 1-2 µs, for each question."""

    def __init__(self, directory: str, reserve_bytes: int | None) -> None:
        """`reserve_bytes` None: 1 GiB, or 1 % of the filesystem if that is less."""
        self._directory = directory
        self._reserve_bytes = reserve_bytes

    def check(self) -> None:
        """Raise DatasetError (status A700, "Refused: Out of Resources", PS3.4, B.2.3) when the reserve is reached."""
        space = os.statvfs(self._directory)
        if space.f_bavail * space.f_frsize < self.bytes_of(space):
            raise DatasetError("Storage: free space is below its reserve", Status.OUT_OF_RESOURCES)
        if space.f_files and space.f_favail < _FEWEST_INODES and self._reserve_bytes != 0:
            raise DatasetError("Storage: few free inodes are left", Status.OUT_OF_RESOURCES)

    def bytes_of(self, space: os.statvfs_result) -> int:
        """Return the reserve in bytes, on a filesystem of that size."""
        if self._reserve_bytes is not None:
            return self._reserve_bytes
        return min(_MOST_BYTES, space.f_blocks * space.f_frsize // _FRACTION)
