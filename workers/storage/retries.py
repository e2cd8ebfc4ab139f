"""What could not be stored at its final path and is tried again: with back-off, and not for ever."""

import errno
import time
from collections.abc import Callable, Hashable
from typing import Generic, NamedTuple, TypeVar

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


_MAX_WAITING = 2000


class _Retry(NamedTuple, Generic[T]):
    thing: T
    attempts: int
    due: float


class Retries(Generic[T]):
    """Things that failed, with the time of their next try, up to a fixed number."""

    def __init__(self, key: Callable[[T], Hashable]) -> None:
        """`key` says which things are the same one."""
        self._key = key
        self._waiting: dict[Hashable, _Retry[T]] = {}

    @property
    def is_full(self) -> bool:
        """Whether what fails now is not remembered: it is in the spool, and found there when there is room again."""
        return len(self._waiting) >= _MAX_WAITING

    def failed(self, thing: T, error: OSError) -> bool:
        """Note a failure. Return False when it was the last one allowed."""
        key = self._key(thing)
        known = self._waiting.get(key)
        if known is None and self.is_full:
            return True
        attempts = known.attempts + 1 if known else 1
        if attempts > len(_DELAYS_SECONDS) and error.errno in _ITS_OWN_FAULT:
            return False
        delay = _DELAYS_SECONDS[min(attempts, len(_DELAYS_SECONDS)) - 1]
        self._waiting[key] = _Retry(thing, attempts, time.monotonic() + delay)
        return True

    def forget(self, thing: T) -> None:
        """It succeeded, or was set aside."""
        self._waiting.pop(self._key(thing), None)

    def knows(self, thing: T) -> bool:
        """Tell whether it failed before and waits."""
        return self.knows_key(self._key(thing))

    def knows_key(self, key: Hashable) -> bool:
        """Tell whether the thing with this key failed before and waits."""
        return key in self._waiting

    @property
    def is_due(self) -> bool:
        """Whether anything is to be tried now."""
        return bool(self._waiting) and min(one.due for one in self._waiting.values()) <= time.monotonic()

    def due(self) -> list[T]:
        """Return what is to be tried now; it stays known until `forget`."""
        now = time.monotonic()
        return [one.thing for one in self._waiting.values() if one.due <= now]
