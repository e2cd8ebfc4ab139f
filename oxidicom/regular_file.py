"""Opening files that somebody else may have put there: a FIFO would make the reader wait, a link lead elsewhere."""

import errno
import os
import stat


def open_regular(path: str, flags: int = os.O_RDONLY, mode: int = 0o600) -> int:
    """Open the regular file at `path` and return its descriptor: never waiting, never following a link.

    It can be the `opener` of `open`. Raise OSError: ELOOP for a link, EINVAL for anything else that is no regular file.
    """
    descriptor = os.open(path, flags | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC, mode)
    if not stat.S_ISREG(os.fstat(descriptor).st_mode):
        os.close(descriptor)
        raise OSError(errno.EINVAL, "no regular file", path)
    return descriptor
