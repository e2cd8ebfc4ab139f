"""The reserve of the storage: below it no instance is taken, so that the disk is never full.

A full disk would also stop CUBE and the database, if they share it, and what is already acknowledged needs room for
its directories and metadata.
"""

import os

from oxidicom.errors import DatasetError
from oxidicom.judgement.condition import Room
from oxidicom.statuses import Status

_MAX_BYTES = 1 << 30
_FRACTION = 100
_FEWEST_INODES = 1000
_MAX_CREDIT_BYTES = 4 << 20
_SHARE = 64


class Reserve:
    """Watches the filesystem of `directory`, for one writer.

    Each look at it gives credit for some bytes: a 64th of what is free above the reserve, since there are other
    writers too, and 4 MiB at most. So small instances far from the reserve do without a `statvfs`, and near it every
    one has its own.
    """

    def __init__(self, directory: str, reserve_bytes: int | None) -> None:
        """`reserve_bytes` None: 1 GiB, or 1 % of the filesystem if that is less."""
        self._directory = directory
        self._reserve_bytes = reserve_bytes
        self._credit_bytes = 0

    def use(self, count: int) -> None:
        """Note that so many bytes are written. Raise DatasetError as `check` does."""
        self._credit_bytes -= count
        if self._credit_bytes < 0:
            self.check()

    def check(self) -> None:
        """Raise DatasetError (status A700, "Refused: Out of Resources", PS3.4, B.2.3) when the reserve is reached."""
        space = os.statvfs(self._directory)
        margin_bytes = space.f_bavail * space.f_frsize - self.bytes_of(space)
        if margin_bytes < 0:
            raise DatasetError("Storage: free space is below its reserve", Status.OUT_OF_RESOURCES)
        if space.f_files and space.f_favail < _FEWEST_INODES and self._reserve_bytes != 0:
            raise DatasetError("Storage: few free inodes are left", Status.OUT_OF_RESOURCES)
        self._credit_bytes = min(margin_bytes // _SHARE, _MAX_CREDIT_BYTES)

    def bytes_of(self, space: os.statvfs_result) -> int:
        """Return the reserve in bytes, on a filesystem of that size."""
        if self._reserve_bytes is not None:
            return self._reserve_bytes
        return min(_MAX_BYTES, space.f_blocks * space.f_frsize // _FRACTION)


def room_of(files_root: str, reserve_bytes: int | None) -> Room:
    """Return the room on the storage. Raise OSError."""
    reserve, space = Reserve(files_root, reserve_bytes), os.statvfs(files_root)
    try:
        reserve.check()
    except DatasetError:
        is_full = True
    else:
        is_full = False
    return Room(space.f_bavail * space.f_frsize, space.f_blocks * space.f_frsize, reserve.bytes_of(space), is_full)
