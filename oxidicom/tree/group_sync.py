"""Group sync: make the data of many files durable at the price of one wait for the disk.

`syncfs` writes out all that is dirty on the filesystem and flushes the disk once, where `fdatasync` flushes it for each
file. Measured on ext4: 48 files of 10 KB 1.3 ms against 7.7 (4.0 with eight threads, at twenty times the CPU), of
512 KB 13 ms against 22, and already for two files it is not slower. But it waits for what others have written to the
same filesystem too: so a few files, when there is little to do, are synced one by one. So is everything for an hour
after an error: `syncfs` says that *something* was not written, and the next one says so no more, while each inode keeps
its own error.
"""

import ctypes
import os
import platform
import re
import time
from collections.abc import Iterable

from oxidicom.errors import BootError

_SINCE = (5, 8)
"""The version of Linux since which `syncfs` reports write errors (syncfs(2))."""


_FEW = 8
_CAREFUL_SECONDS = 3600.0


class GroupSync:
    """Syncs groups of files and directories on one filesystem."""

    def __init__(self, directory: str, kernel: str = "") -> None:
        """`directory` is any directory on the filesystem of the files, `kernel` the version of Linux if not this one.

        Its descriptor is opened before anything is written: `syncfs` reports write errors only since then.
        Raise BootError.
        """
        try:
            self._filesystem = os.open(directory, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
        except OSError as error:
            raise BootError(f"{directory} cannot be opened: {error.strerror}") from error
        self._syncfs = ctypes.CDLL(None, use_errno=True).syncfs
        self._reports_errors = _version(kernel or platform.release()) >= _SINCE
        self._careful_until = 0.0

    def sync(self, count: int, paths: Iterable[str]) -> dict[str, OSError]:
        """Return when the data of all `paths` is durable, except of those that are returned, each with its error.

        Raise OSError when it is not known whose data is not; then none of them may be trusted.
        They are `count`; when that is many nobody asks for their names, which cost 3 µs for each to make.
        """
        if count > _FEW and self._reports_errors and time.monotonic() >= self._careful_until:
            self._sync_filesystem()
            return {}
        return self._sync_each(paths)

    def _sync_each(self, paths: Iterable[str]) -> dict[str, OSError]:
        failed: dict[str, OSError] = {}
        for path in paths:
            try:
                sync_file(path)
            except OSError as error:
                failed[path] = error
        if not all(isinstance(error, FileNotFoundError) for error in failed.values()):
            self._be_careful()
        return failed

    def _sync_filesystem(self) -> None:
        if self._syncfs(self._filesystem) != 0:
            code = ctypes.get_errno()
            self._be_careful()
            raise OSError(code, os.strerror(code))

    def _be_careful(self) -> None:
        self._careful_until = time.monotonic() + _CAREFUL_SECONDS

    def close(self) -> None:
        """Close the descriptor."""
        os.close(self._filesystem)


def sync_file(path: str) -> None:
    """Make the data of one file durable, or the entries of a directory. Raise OSError, also for a link or a FIFO.

    Nobody waits for the writer of a FIFO; the kernel refuses to sync it (EINVAL).
    """
    descriptor = os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC)
    try:
        os.fdatasync(descriptor)
    finally:
        os.close(descriptor)


def _version(release: str) -> tuple[int, int]:
    match = re.match(r"(\d+)\.(\d+)", release)
    return (int(match[1]), int(match[2])) if match else (0, 0)
