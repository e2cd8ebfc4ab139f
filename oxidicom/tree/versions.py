"""Which of two versions of a file stays: that with the later commit, in whatever order they come to their final path.

The moment of the commit is the mtime of the entry, by the clock of the storage. Two storage workers, of one gateway or
of two, may meet at one path: so looking and replacing are done under one lock, `.oxidicom/versions`.
"""

import contextlib
import os
import stat
from collections.abc import Callable, Iterator

from oxidicom.files.locks import locked
from oxidicom.files.regular_file import open_regular
from oxidicom.paths.private_root import PRIVATE_ROOT

_NAME = "versions"
_AHEAD_NS = 10_000_000_000
"""The clocks of two gateways on one storage differ by milliseconds: what is further ahead has its time elsewhere."""


class Versions:
    """Judges versions, for one storage worker."""

    def __init__(self, files_root: str, now_ns: Callable[[], int]) -> None:
        """`now_ns` is the clock of the storage."""
        self._path = os.path.join(files_root, PRIVATE_ROOT, _NAME)
        self._now_ns = now_ns
        self._descriptor = -1

    @contextlib.contextmanager
    def sole_use(self) -> Iterator[None]:
        """Keep everybody else from replacing a version while it lasts. Raise OSError."""
        if self._descriptor < 0:
            self._descriptor = open_regular(self._path, os.O_RDWR | os.O_CREAT)
        with locked(self._descriptor):
            yield

    def stays(self, name: str, descriptor: int, committed_ns: int) -> bool:
        """Tell whether the file `name` in a directory is later than a version committed at `committed_ns`, and stays.

        What is no file, such as a directory in the way, is no version. And its time is not that of a commit when it is
        of the future: then somebody else has set it, and it must not win for ever.
        """
        try:
            there = os.stat(name, dir_fd=descriptor, follow_symlinks=False)
        except FileNotFoundError:
            return False
        is_later = committed_ns < there.st_mtime_ns <= self._now_ns() + _AHEAD_NS
        return is_later and stat.S_ISREG(there.st_mode)

    def close(self) -> None:
        """Close the lock file."""
        if self._descriptor >= 0:
            os.close(self._descriptor)
            self._descriptor = -1
