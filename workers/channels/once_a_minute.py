"""What is said once a minute, whichever process comes to say it: shared memory, made before the fork."""

import mmap
import time
import zlib

_PLACES = 256
_MINUTE_NS = 60 * 1_000_000_000


class OnceAMinute:
    """Remembers by key when something was said last, in bounded memory: now and then two keys share a place."""

    def __init__(self) -> None:
        self._said_ns = memoryview(mmap.mmap(-1, _PLACES * 8)).cast("Q")

    def is_due(self, key: str) -> bool:
        """Tell whether `key` was not said within the last minute; then it is said now."""
        place, now_ns = zlib.crc32(key.encode()) % _PLACES, time.monotonic_ns()
        if self._said_ns[place] and now_ns - self._said_ns[place] < _MINUTE_NS:
            return False
        self._said_ns[place] = now_ns
        return True
