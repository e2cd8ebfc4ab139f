"""A queue of connections that wait for a listener: how long each has been there.

The kernel tells the length only. Since it is first in, first out, and all who accept count what they take, the
moments of arrival follow from two looks. A process counts a connection before it shows as busy on the scoreboard, so a
look between its `accept` and its count still sees it as free.
"""

import collections
import socket
import struct
from collections.abc import Callable

_TCP_INFO_BYTES = 104
_UNACKED = struct.Struct("8x4x4x4x4xI")
"""struct tcp_info, tcpi_unacked: of a listening socket it is the length of this queue (linux/net/ipv4/tcp.c)."""

_MAX_TICK_SECONDS = 1.0


class AcceptQueue:
    """One queue, looked at now and then by one process."""

    def __init__(self, length: Callable[[], int]) -> None:
        """`length` tells how many wait."""
        self._length = length
        self._arrivals: collections.deque[float] = collections.deque()
        self._taken = 0
        self._looked: float | None = None
        self._clock = 0.0
        """Seconds that were watched: if the whole gateway was frozen for an hour, nobody has waited for it."""

    def look(self, now: float, count_taken: Callable[[], int]) -> None:
        """Take note of who came and went. `count_taken` tells how many connections all processes ever accepted.

        It is asked only when somebody waits or waited: there may be a hundred processes to be added up.
        """
        if self._looked is not None:
            self._clock += min(now - self._looked, _MAX_TICK_SECONDS)
        self._looked = now
        if not self._arrivals and not self._length():
            return
        taken = count_taken()
        for _ in range(min(taken - self._taken, len(self._arrivals))):
            self._arrivals.popleft()
        self._taken = taken
        length = self._length()
        while len(self._arrivals) > length:
            self._arrivals.popleft()
        self._arrivals.extend([self._clock] * (length - len(self._arrivals)))

    @property
    def longest_wait_seconds(self) -> float:
        """How long the oldest connection has waited at the last look; 0 when there is none."""
        return self._clock - self._arrivals[0] if self._arrivals else 0.0


def count_waiting(listening_socket: socket.socket) -> int:
    """Return how many connections wait to be accepted."""
    information = listening_socket.getsockopt(socket.IPPROTO_TCP, socket.TCP_INFO, _TCP_INFO_BYTES)
    return int(_UNACKED.unpack_from(information)[0])
