"""The clock of the storage: one time for all gateways on it, which never goes back.

Of two versions of a file, the one committed later stays, and the moment of the commit is the mtime of its entry. The
clock of a host will not do for it: it may be set back by an hour, and two hosts differ. So the moments are taken from
here:

    storage time = CLOCK_BOOTTIME of the host + an offset

CLOCK_BOOTTIME is the same in all processes of a host and is never set. The offset comes from the file
`.oxidicom/clock`, which each gateway touches every few seconds under its lock. Its ctime is what the clock of the
*filesystem* showed then (on network storage that of the server, so one for all hosts), its mtime what storage time
was; so a gateway that starts knows how far the two are apart, and takes up where storage time is. A clock that is set,
whichever and wherever, changes nothing for those that run; and storage time is never set back after a restart.
"""

import os
import time
from collections.abc import Callable
from typing import NamedTuple

from oxidicom.files.locks import locked
from oxidicom.files.regular_file import open_regular
from oxidicom.paths.private_root import PRIVATE_ROOT

_NAME = "clock"
_JUMP_NS = 1_000_000_000
"""A filesystem whose clock gains more than this on ours between two looks was set: that is not followed."""

_AT_ONCE_NS = 1_000_000
_MOST_NS = 30_000_000
"""Looking takes so long at most: three ticks of the slowest clock."""


class _Look(NamedTuple):
    """The two clocks, read one after the other. The larger one is that in which the filesystem's is further ahead."""

    ahead_ns: int
    filesystem_ns: int
    boot_ns: int
    took_ns: int


def boot_time_ns() -> int:
    """Return the time since the host was booted, in ns: the same in all its processes."""
    return time.clock_gettime_ns(time.CLOCK_BOOTTIME)


class StorageClock:
    """Keeps the offset of one gateway in step with the others on its storage."""

    def __init__(self, files_root: str, offset_ns: int = 0, boot_time: Callable[[], int] = boot_time_ns) -> None:
        """`offset_ns` is what the gateway goes by already; 0: it is just starting."""
        self._path = os.path.join(files_root, PRIVATE_ROOT, _NAME)
        self._boot_time = boot_time
        self.offset_ns = offset_ns
        """Storage time less CLOCK_BOOTTIME."""

    def synchronise(self) -> int:
        """Bring the offset in step, and tell the others. Return it. Raise OSError."""
        descriptor = open_regular(self._path, os.O_RDWR | os.O_CREAT)
        try:
            with locked(descriptor):
                before = os.fstat(descriptor)
                filesystem_ns, boot_ns = self._both_times(descriptor)
                now_ns = self._agree(boot_ns, filesystem_ns, before)
                os.utime(descriptor, ns=(now_ns, now_ns))
        finally:
            os.close(descriptor)
        self.offset_ns = now_ns - boot_ns
        return self.offset_ns

    def _both_times(self, descriptor: int) -> tuple[int, int]:
        """Return what the clock of the filesystem and that of the host show at one moment.

        A filesystem shows the last tick of its clock, which may be 10 ms ago; and who reads the two may be held up
        between them. Either makes a gateway go behind the others, and its versions lose; nothing makes it go ahead.
        So it looks until that clock has just moved on, and the look counts in which it is furthest ahead.
        """
        best = last = self._look(descriptor)
        until_ns = last.boot_ns + _MOST_NS
        while last.boot_ns < until_ns:
            look = self._look(descriptor)
            best = max(best, look)
            if look.filesystem_ns != last.filesystem_ns and look.took_ns < _AT_ONCE_NS:
                break
            last = look
        return best.filesystem_ns, best.boot_ns

    def _look(self, descriptor: int) -> _Look:
        began_ns = self._boot_time()
        os.utime(descriptor)
        filesystem_ns = os.fstat(descriptor).st_mtime_ns
        boot_ns = self._boot_time()
        return _Look(filesystem_ns - boot_ns, filesystem_ns, boot_ns, boot_ns - began_ns)

    def _agree(self, boot_ns: int, filesystem_ns: int, before: os.stat_result) -> int:
        """Return the storage time: not less than anybody has used, and in step with those that run."""
        shift_ns = before.st_mtime_ns - before.st_ctime_ns
        used_ns = before.st_mtime_ns + 1
        if not self.offset_ns:
            return max(filesystem_ns + max(0, shift_ns), used_ns)
        mine_ns = max(boot_ns + self.offset_ns, used_ns)
        theirs_ns = filesystem_ns + shift_ns
        return theirs_ns if mine_ns < theirs_ns < mine_ns + _JUMP_NS else mine_ns
