"""How many bytes wait in a socket to be read, as the kernel counts them."""

import fcntl
import struct
import termios
from typing import Protocol

_INT = struct.Struct("i")


class _HasDescriptor(Protocol):
    def fileno(self) -> int: ...


def waiting_bytes(source: _HasDescriptor) -> int:
    """Return the number of bytes that can be read from `source` now (FIONREAD, tcp(7) and unix(7))."""
    answer = fcntl.ioctl(source.fileno(), termios.FIONREAD, bytes(_INT.size))
    return int(_INT.unpack(answer)[0])
