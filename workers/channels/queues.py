"""Our multiprocessing queue: many writers, one reader, made before the fork and inherited by it.

It is an AF_UNIX SOCK_SEQPACKET socket pair. The kernel keeps the order and the boundaries of the messages and
holds them outside every process, which is what the queues of `multiprocessing` do not do:

- `Queue.get` and `SimpleQueue.get` hold a lock while they wait: a reader that is killed there takes the lock along,
  and its successor waits for ever.
- `Queue.put` hands over to a thread: a writer that is killed after `put` takes its messages along.

Here a `put` that returned True has handed the message to the kernel, and a respawned reader gets what was queued.
The supervisor keeps both ends open for as long as it lives, so there is no end of file.
"""

import select
import socket
from typing import Generic, TypeVar

import msgspec

from workers.channels.waiting_bytes import waiting_bytes

M = TypeVar("M")

MAX_MESSAGE_BYTES = 65536
_WANTED_BUFFER_BYTES = 4 * 1024 * 1024  # the kernel caps it at net.core.wmem_max: 93 messages of 1.2 KB by default


class Queue(Generic[M]):
    """Messages of type M, a tagged union of msgspec structs."""

    def __init__(self, message_type: type[M] | object) -> None:
        """Make the socket pair. Call it before the fork."""
        self._write_end, self._read_end = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        for end in (self._write_end, self._read_end):
            end.setblocking(False)  # O_NONBLOCK is shared by all that inherit an end: the same for everyone, for ever
        self._write_end.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, _WANTED_BUFFER_BYTES)
        self._encoder = msgspec.msgpack.Encoder()
        self._decoder: msgspec.msgpack.Decoder[M] = msgspec.msgpack.Decoder(message_type)
        self._buffer = bytearray(MAX_MESSAGE_BYTES + 1)
        self._view = memoryview(self._buffer)

    def put(self, message: M, timeout_seconds: float = 0.0) -> bool:
        """Queue `message`, waiting up to `timeout_seconds` for room. Return whether it is queued.

        Raise ValueError when it is larger than MAX_MESSAGE_BYTES.
        """
        data = self._encoder.encode(message)
        if len(data) > MAX_MESSAGE_BYTES:
            raise ValueError(f"a message of {len(data)} bytes is larger than {MAX_MESSAGE_BYTES}")
        if self._send(data):
            return True
        return timeout_seconds > 0 and _wait(self._write_end, select.POLLOUT, timeout_seconds) and self._send(data)

    def _send(self, data: bytes) -> bool:
        try:
            self._write_end.send(data)
        except BlockingIOError:
            return False
        return True

    def get(self, timeout_seconds: float = 0.0) -> M | None:
        """Return the oldest message, or None when there is none within `timeout_seconds`."""
        message = self._receive()
        if message is None and timeout_seconds > 0 and _wait(self._read_end, select.POLLIN, timeout_seconds):
            message = self._receive()
        return message

    def _receive(self) -> M | None:
        try:
            count = self._read_end.recv_into(self._buffer)
        except BlockingIOError:
            return None
        return self._decoder.decode(self._view[:count])

    @property
    def waiting_bytes(self) -> int:
        """Bytes of the messages that wait."""
        return waiting_bytes(self._read_end)

    def fileno(self) -> int:
        """The descriptor of the reading end, to wait for several things at once."""
        return self._read_end.fileno()

    def close(self) -> None:
        """Close both ends in this process."""
        self._write_end.close()
        self._read_end.close()


def _wait(end: socket.socket, event: int, timeout_seconds: float) -> bool:
    poll = select.poll()
    poll.register(end, event)
    return bool(poll.poll(timeout_seconds * 1000))
