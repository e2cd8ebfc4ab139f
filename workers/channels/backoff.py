"""How long to wait before the next try."""

import time


class Backoff:
    """How long to wait before the next try: doubled at each failure, from `first_seconds` to `max_seconds`."""

    def __init__(self, first_seconds: float, max_seconds: float) -> None:
        self._first_seconds, self._max_seconds = first_seconds, max_seconds
        self._seconds = 0.0
        self._due = 0.0

    def failed(self) -> float:
        """Note a failure. Return the seconds until the next try."""
        self._seconds = min(max(self._seconds * 2, self._first_seconds), self._max_seconds)
        self._due = time.monotonic() + self._seconds
        return self._seconds

    def succeeded(self) -> None:
        """Note a success: the next failure starts at `first_seconds` again."""
        self._seconds = self._due = 0.0

    @property
    def due_seconds(self) -> float:
        """Seconds until the next try; 0 when it is due."""
        return max(0.0, self._due - time.monotonic())
