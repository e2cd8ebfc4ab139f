"""Standard error that nobody ever waits for: lines that its reader does not take are dropped, and counted.

Whoever reads it may stall without closing it (a terminal in which somebody selects text, a log shipper that hangs).
Then its pipe is full, and a process that wrote would wait for as long as that lasts. The law of this file: a
line is written whole and at once, or not at all.

- A pipe or terminal is opened anew, without waiting (O_NONBLOCK belongs to what was opened, which is shared with the
  shell and others, so it is not set there), and takes the place of descriptor 2: so not even a library that writes
  there by itself can wait.
- A socket (journald's) is told with each line not to wait. A file never makes anybody wait for a reader.
- Up to PIPE_BUF bytes are written to a pipe whole or not at all, and stay together (pipe(7)): longer lines are cut.

Made before the fork: the count of what was dropped is the kernel's (eventfd(2)), one for all processes.
"""

import contextlib
import errno
import io
import mmap
import os
import select
import socket
import stat
import sys
from collections.abc import Callable, Iterator
from functools import partial

MAX_LINE_BYTES = select.PIPE_BUF - 1
"""One less, for the line break that goes before a line after one that was torn."""
_STDERR = 2
_CUT = b" [cut]\n"


class LogStream(io.RawIOBase):
    """The descriptor of standard error, for one process and all that it forks."""

    def __init__(self, descriptor: int = _STDERR) -> None:
        super().__init__()
        self._descriptor = descriptor
        self._socket = _socket_of(descriptor)
        self._write = partial(_send, self._socket) if self._socket else _way_to_write(descriptor)
        self._dropped = os.eventfd(0, os.EFD_NONBLOCK | os.EFD_CLOEXEC)
        self.dropped_here = 0
        """Lines that this process lost."""
        self._torn = mmap.mmap(-1, 1)
        """1 after a line of which a part was written: the next begins a new one, whoever writes it."""

    def write(self, data: bytes | memoryview) -> int:  # type: ignore[override]  # a buffer is what Python passes
        """Write lines. What is not taken is counted; to the caller all is written."""
        for lines in _portions(bytes(data)):
            if not self._put(lines):
                count = max(1, lines.count(b"\n"))
                self.dropped_here += count
                self.count_dropped(count)
        return len(data)

    def _put(self, lines: bytes) -> bool:
        """Return whether all was written."""
        if self._torn[0]:
            lines = b"\n" + lines
        try:
            count = self._write(lines)
        except OSError:  # no room (EAGAIN); nobody reads any more (EPIPE, EIO); no space (ENOSPC): nobody to be told
            return False
        self._torn[0] = count < len(lines)
        return count == len(lines)

    def count_dropped(self, count: int) -> None:
        """Count lines that were lost, for all processes together."""
        with contextlib.suppress(BlockingIOError):  # the count is at its end, at 2^64
            os.eventfd_write(self._dropped, count)

    def take_dropped(self) -> int:
        """Return how many lines all processes have lost since this was asked last; 0 while no line would be taken."""
        poll = select.poll()
        poll.register(self._descriptor, select.POLLOUT)
        if [event for _, event in poll.poll(0)] != [select.POLLOUT]:
            return 0
        try:
            return os.eventfd_read(self._dropped)
        except BlockingIOError:
            return 0

    def close(self) -> None:
        """Give back what the stream needed for itself; the descriptor stays open."""
        if not self.closed:
            os.close(self._dropped)
            if self._socket:
                self._socket.close()
        super().close()

    def writable(self) -> bool:
        """It is."""
        return True

    def fileno(self) -> int:
        """The descriptor."""
        return self._descriptor

    def isatty(self) -> bool:
        """Whether it is a terminal."""
        return os.isatty(self._descriptor)


def never_wait_for_readers() -> LogStream:
    """Let nothing that this process and its children write to standard error wait. Call it before the first fork."""
    stream = LogStream()
    # It passes on whole lines, and all lines of one `print` together.
    sys.stderr = io.TextIOWrapper(stream, encoding="utf-8", errors="backslashreplace", line_buffering=True)
    return stream


def _socket_of(descriptor: int) -> socket.socket | None:
    return socket.socket(fileno=os.dup(descriptor)) if stat.S_ISSOCK(os.fstat(descriptor).st_mode) else None


def _send(connection: socket.socket, data: bytes) -> int:
    return connection.send(data, socket.MSG_DONTWAIT)


def _way_to_write(descriptor: int) -> Callable[[bytes], int]:
    if stat.S_ISFIFO(os.fstat(descriptor).st_mode) or os.isatty(descriptor):
        try:
            anew = os.open(f"/proc/self/fd/{descriptor}", os.O_WRONLY | os.O_NONBLOCK | os.O_NOCTTY | os.O_CLOEXEC)
        except OSError:  # it belongs to another user (EACCES), or nobody reads it (ENXIO)
            return partial(_write_if_there_is_room, descriptor)
        os.dup2(anew, descriptor)
        os.close(anew)
    return partial(os.write, descriptor)


def _write_if_there_is_room(descriptor: int, data: bytes) -> int:
    """Write to what was opened to wait, if it has room now: a pipe that says so has PIPE_BUF bytes of it.

    Where the kernel can (pipes since Linux 6.4) it is told not to wait: between our question and the write another
    process may have taken the room.
    """
    try:
        return os.pwritev(descriptor, [data], -1, os.RWF_NOWAIT)
    except OSError as error:
        if error.errno != errno.EOPNOTSUPP:
            raise
    poll = select.poll()
    poll.register(descriptor, select.POLLOUT)
    if not poll.poll(0):
        raise BlockingIOError(errno.EAGAIN, os.strerror(errno.EAGAIN))
    return os.write(descriptor, data)


def _portions(data: bytes) -> Iterator[bytes]:
    """Yield lines, as many at a time as stay together; one that is too long by itself is cut."""
    if len(data) <= MAX_LINE_BYTES:
        yield data
        return
    for line in data.splitlines(keepends=True):
        if len(line) > MAX_LINE_BYTES:
            whole = line[: MAX_LINE_BYTES - len(_CUT)].decode(errors="ignore")  # no half of a character
            yield whole.encode() + _CUT
        else:
            yield line
