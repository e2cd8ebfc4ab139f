"""Has a file pages that were never written, although it is as long as it should be?

A power failure can leave it so where the filesystem enters the new length before the data is on the disk: ext4 and XFS
give such pages as zeros, and tell them as a hole. What the gateway writes has no holes.
"""

import contextlib
import os

_TELLING = {"ext4", "xfs", "tmpfs"}
"""Filesystems on which a hole is what was not written. Others make holes of zeros that were (ZFS, when it compresses),
or ask somebody else (NFS)."""


def has_lost_pages(path: str) -> bool:
    """Tell whether the file at `path` has pages that were never written, if its filesystem tells. Raise OSError."""
    descriptor = os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC)
    try:
        size = os.fstat(descriptor).st_size
        return size > 0 and os.lseek(descriptor, 0, os.SEEK_HOLE) < size and _filesystem_of(descriptor) in _TELLING
    finally:
        os.close(descriptor)


def _filesystem_of(descriptor: int) -> str:
    """Return the type of the filesystem of an open file, by the number of its mount (proc(5))."""
    with open(f"/proc/self/fdinfo/{descriptor}") as file:
        mount = next((line.split()[1] for line in file if line.startswith("mnt_id:")), "")
    with contextlib.suppress(OSError), open("/proc/self/mountinfo") as file:
        for line in file:
            fields = line.split()
            if fields[0] == mount:
                return fields[fields.index("-") + 1]
    return ""
