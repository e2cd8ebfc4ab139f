"""Facts that wait to be written into the history: as many as fit a number of bytes, whatever takes none."""

import collections
import itertools
import threading

import msgspec

from workers.channels.facts import Fact


class WaitingFacts:
    """Kept as they came over the queue, for a fact may have 60 KB. Used by two threads."""

    def __init__(self, max_bytes: int) -> None:
        self._max_bytes = max_bytes
        self._encoder = msgspec.msgpack.Encoder()
        self._decoder: msgspec.msgpack.Decoder[Fact] = msgspec.msgpack.Decoder(Fact)
        self._waiting: collections.deque[bytes] = collections.deque()
        self._bytes = 0
        self._lock = threading.Lock()

    def __len__(self) -> int:
        return len(self._waiting)

    def add(self, fact: Fact) -> bool:
        """Keep a fact. Return whether there was room for it."""
        data = self._encoder.encode(fact)
        with self._lock:
            if self._bytes + len(data) > self._max_bytes:
                return False
            self._waiting.append(data)
            self._bytes += len(data)
            return True

    def first(self, most: int) -> list[Fact]:
        """Return the oldest, which stay."""
        with self._lock:
            oldest = list(itertools.islice(self._waiting, most))
        return [self._decoder.decode(data) for data in oldest]

    def remove(self, count: int) -> None:
        """Remove the oldest."""
        with self._lock:
            for _ in range(count):
                self._bytes -= len(self._waiting.popleft())
