"""The directories that the servers write to: each new, in a part of the disk where nothing was deleted just now.

Ext4 without a journal passes over every inode of a block group that was deleted within the last minutes, one by one,
whenever a file is created there: 8,000 deletions make a creation cost 1 ms instead of 0.03, to every server that comes
after. So the directories are spread over the block groups, the best of a few is taken, and what a server leaves is
emptied and not deleted before the end. Where the filesystem knows no such trouble, all this does no harm.
"""

import array
import contextlib
import fcntl
import os
import shutil
import tempfile
import time
from collections.abc import Iterator

_FS_IOC_GETFLAGS, _FS_IOC_SETFLAGS = 0x80086601, 0x40086602
_FS_TOPDIR_FL = 0x00020000
_CANDIDATES = 8
_PROBES = 16


@contextlib.contextmanager
def workplace(directory: str) -> Iterator[str]:
    """Make a directory for a whole session, which every user can pass, and remove it at the end."""
    own = tempfile.mkdtemp(prefix="oxidicom-benchmark-", dir=directory)
    try:
        os.chmod(own, 0o755)  # as root, PostgreSQL runs as another user
        _spread_subdirectories(own)
        yield own
    finally:
        shutil.rmtree(own, ignore_errors=True)
        os.sync()


def fresh_directory(parent: str, prefix: str) -> str:
    """Make a directory, of a few that are tried the one in which files are created fastest."""
    tried = []
    for _ in range(_CANDIDATES):
        path = tempfile.mkdtemp(prefix=prefix, dir=parent)
        os.chmod(path, 0o755)
        tried.append((_creation_seconds(path), path))
    tried.sort()
    for _, path in tried[1:]:
        os.rmdir(path)
    return tried[0][1]


def empty_files(directory: str) -> None:
    """Give the space of all files below `directory` back, and keep the files."""
    for parent, _, names in os.walk(directory):
        for name in names:
            os.truncate(os.path.join(parent, name), 0)


def _creation_seconds(directory: str) -> float:
    """Return the CPU time for a few new files, which are gone afterwards."""
    paths = [os.path.join(directory, f"probe-{number}") for number in range(_PROBES)]
    began = time.thread_time()
    for path in paths:
        os.close(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600))
    spent = time.thread_time() - began
    for path in paths:
        os.unlink(path)
    return spent


def _spread_subdirectories(directory: str) -> None:
    """Mark it as a top of hierarchies (`chattr +T`): ext4 then spreads its subdirectories over the disk."""
    descriptor = os.open(directory, os.O_RDONLY | os.O_DIRECTORY)
    flags = array.array("l", [0])
    try:
        with contextlib.suppress(OSError):  # other filesystems do not know the flag
            fcntl.ioctl(descriptor, _FS_IOC_GETFLAGS, flags)
            flags[0] |= _FS_TOPDIR_FL
            fcntl.ioctl(descriptor, _FS_IOC_SETFLAGS, flags)
    finally:
        os.close(descriptor)
