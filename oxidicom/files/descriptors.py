"""File descriptors: how many a process may have and one keeper of open things may use up; and what they lead to."""

import errno
import os
import resource

OUR_TROUBLE = (errno.EMFILE, errno.ENFILE, errno.ENOMEM)
"""Errors of a look at a file that say something about us, and nothing about the file."""


def raise_limit() -> int:
    """Raise the soft limit of this process and its children to the hard one, where that is allowed. Return the limit.

    The soft one is low (1,024 by tradition) for the sake of programs that use select(2); this one does not.
    """
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    if soft != hard:
        try:
            resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
        except (OSError, ValueError):  # not allowed here: then it is as it is
            return _count(soft)
    return _count(hard)


def keepable(most: int) -> int:
    """Return how many descriptors a keeper may hold open that would like to hold `most`: a quarter of all at most."""
    return min(most, _count(resource.getrlimit(resource.RLIMIT_NOFILE)[0]) // 4)


def _count(limit: int) -> int:
    return 1 << 30 if limit == resource.RLIM_INFINITY else limit


def stands_at(path: str, descriptor: int) -> bool:
    """Tell whether what is open is what stands at `path` now; False when nothing does. Raise OSError."""
    try:
        return os.path.samestat(os.stat(path), os.fstat(descriptor))
    except (FileNotFoundError, NotADirectoryError):
        return False
