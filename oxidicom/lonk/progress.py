"""What is to be said now of each series that goes on: the first count at once, then the newest, once an interval. Pure.

A series is known by its association and its subject: what is one series for who listens may be several in the spool,
which tells them apart by what else they say of themselves. Their counts are added up. The number of those that are
remembered is bounded: one that is forgotten begins anew with what comes, and its last count is exact all the same,
since the spool has it.
"""

import dataclasses
import heapq
import math
from collections.abc import Iterator

MAX_SERIES = 10_000

SeriesKey = tuple[str, str]
"""Association and subject."""


@dataclasses.dataclass(slots=True)
class _Said:
    count: int
    due: float = 0.0
    """When the next count may be said."""
    waits: bool = False
    """A count is to be said then."""


class Progress:
    """Counts what is registered of each series. `now` is any clock that goes forward, in seconds."""

    def __init__(self, interval_seconds: float) -> None:
        self._interval_seconds = interval_seconds
        self._series: dict[SeriesKey, _Said] = {}
        self._waiting: list[tuple[float, SeriesKey]] = []
        """A heap: when a count of which series is to be said."""

    def __contains__(self, key: SeriesKey) -> bool:
        return key in self._series

    def begin(self, key: SeriesKey, count: int) -> None:
        """Know a series of which `count` instances were registered before."""
        if len(self._series) >= MAX_SERIES:
            del self._series[next(iter(self._series))]
        self._series[key] = _Said(count)

    def add(self, key: SeriesKey, instances: int, now: float) -> None:
        """Count `instances` more of a series that is known."""
        said = self._series[key]
        said.count += instances
        if not said.waits:
            said.waits = True
            heapq.heappush(self._waiting, (max(said.due, now), key))

    def end(self, key: SeriesKey) -> None:
        """Forget a series of which nothing more is to be said."""
        self._series.pop(key, None)

    def due(self, now: float) -> Iterator[tuple[str, int]]:
        """Yield subject and count of each series of which one is to be said now."""
        while self._waiting and self._waiting[0][0] <= now:
            _, key = heapq.heappop(self._waiting)
            said = self._series.get(key)
            if said and said.waits:
                said.waits = False
                said.due = now + self._interval_seconds
                yield key[1], said.count

    def next_due(self) -> float:
        """Return when something is to be said next; infinity when nothing waits."""
        return self._waiting[0][0] if self._waiting else math.inf
