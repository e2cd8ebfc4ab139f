"""Locks on regular files: who lives, and who may change something at this moment.

`flock` on a regular file that is open for writing is the one lock that network filesystems keep between hosts, if
they keep any: NFS turns it into a lock of the server, for a directory it knows none.
"""

import contextlib
import fcntl
import os
from collections.abc import Iterator

from oxidicom.files.regular_file import open_regular


def take_lock(path: str) -> int:
    """Open the file at `path`, made if it is missing, and lock it. Return its descriptor, which holds the lock.

    Raise BlockingIOError when somebody else holds it, or OSError.
    """
    descriptor = open_regular(path, os.O_RDWR | os.O_CREAT)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError:
        os.close(descriptor)
        raise
    return descriptor


def lock_holds(path: str) -> bool:
    """Tell whether the lock that somebody holds on `path` is refused to a second open of the file. Raise OSError."""
    try:
        os.close(take_lock(path))
    except BlockingIOError:
        return True
    return False


def is_locked(path: str) -> bool:
    """Tell whether somebody holds the lock on `path`, without disturbing him: a shared one is tried. Raise OSError."""
    descriptor = open_regular(path)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_SH | fcntl.LOCK_NB)
    except BlockingIOError:
        return True
    finally:
        os.close(descriptor)
    return False


@contextlib.contextmanager
def locked(descriptor: int) -> Iterator[None]:
    """Hold the lock of an open file while it lasts, waiting for it. Raise OSError."""
    fcntl.flock(descriptor, fcntl.LOCK_EX)
    try:
        yield
    finally:
        fcntl.flock(descriptor, fcntl.LOCK_UN)
