"""Opening files that somebody else may have put there: a FIFO would make the reader wait, a link lead elsewhere."""

import errno
import os
import stat


class NotRegularFileError(OSError):
    """What stands under a name is a link, a directory, a FIFO, a socket or a device."""

    def __init__(self, path: str) -> None:
        super().__init__(errno.EIO, f"{os.path.basename(path)} is not a regular file", path)


def open_regular(path: str, flags: int = os.O_RDONLY, mode: int = 0o600, *, dir_fd: int | None = None) -> int:
    """Open the regular file at `path` and return its descriptor: never waiting, never following a link.

    With `dir_fd` the path begins in that directory. It can be the `opener` of `open`. Raise NotRegularFileError, or
    another OSError.
    """
    try:
        descriptor = os.open(path, flags | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC, mode, dir_fd=dir_fd)
    except OSError as error:
        if error.errno in (errno.ELOOP, errno.EISDIR, errno.ENXIO):  # of a link, a directory, a FIFO or a socket
            raise NotRegularFileError(path) from error
        raise
    if not stat.S_ISREG(os.fstat(descriptor).st_mode):
        os.close(descriptor)
        raise NotRegularFileError(path)
    return descriptor


def is_regular(path: str) -> bool:
    """Tell whether a regular file stands at `path`; False when nothing does. Raise OSError."""
    try:
        return stat.S_ISREG(os.lstat(path).st_mode)
    except FileNotFoundError:
        return False
