"""What could not be stored at its final path and is tried again: with back-off, and not for ever."""

import errno
import time
from typing import Generic, TypeVar

T = TypeVar("T")

_DELAYS_SECONDS = (1.0, 2.0, 4.0, 8.0, 16.0, 32.0, 60.0)

# The path or the name is not to be had, whatever the state of the storage. With any other error the storage is full,
# failing or away, which is no fault of the one file: it waits for as long as it takes.
_ITS_OWN_FAULT = {
    errno.EACCES,
    errno.EEXIST,
    errno.EINVAL,
    errno.EISDIR,
    errno.ELOOP,
    errno.ENAMETOOLONG,
    errno.ENOTDIR,
    errno.ENOTEMPTY,
    errno.EPERM,
}


class Retries(Generic[T]):
    """Things that failed, with the time of their next try."""

    def __init__(self) -> None:
        self._waiting: dict[T, tuple[int, float]] = {}

    def failed(self, thing: T, error: OSError) -> bool:
        """Note a failure. Return False when it was the last one allowed."""
        attempts = self._waiting.get(thing, (0, 0.0))[0] + 1
        if attempts > len(_DELAYS_SECONDS) and error.errno in _ITS_OWN_FAULT:
            return False
        delay = _DELAYS_SECONDS[min(attempts, len(_DELAYS_SECONDS)) - 1]
        self._waiting[thing] = (attempts, time.monotonic() + delay)
        return True

    def forget(self, thing: T) -> None:
        """It succeeded, or was set aside."""
        self._waiting.pop(thing, None)

    def knows(self, thing: T) -> bool:
        """Tell whether it failed before and waits."""
        return thing in self._waiting

    @property
    def is_due(self) -> bool:
        """Whether anything is to be tried now."""
        return bool(self._waiting) and min(due for _, due in self._waiting.values()) <= time.monotonic()

    def due(self) -> list[T]:
        """Return what is to be tried now; it stays known until `forget`."""
        now = time.monotonic()
        return [thing for thing, (_, due) in self._waiting.items() if due <= now]
