"""A mass of equal trouble is one line with a count: the first at once, then one a minute for all that came meanwhile.

Whichever process meets it: shared memory, made before the fork, says when a line of its kind was written last, and how
many there were. Each process counts in a column of its own, so none is lost, and keeps the latest line of each kind,
which it writes when its minute has come (`tell_rest`). Bounded: now and then two kinds share a place, and their count.
"""

import mmap
import time
import zlib
from typing import Any, NamedTuple

from loguru import logger

from workers.channels.scoreboard import Slot

PLACES = 4096
_MINUTE_NS = 60 * 1_000_000_000


class _Line(NamedTuple):
    level: str
    message: str
    fields: dict[str, Any]


class Repetitions:
    """Writes lines that may come in masses. What it knows is shared, but for the lines that this process keeps."""

    def __init__(self, slots: int) -> None:
        """Make the shared memory, for as many processes as the scoreboard has slots. Call it before the fork."""
        memory = memoryview(mmap.mmap(-1, (2 + slots) * PLACES * 8)).cast("Q")
        self._said_ns = memory[:PLACES]
        """When the last line of each kind was written, by the monotonic clock."""
        self._told = memory[PLACES : 2 * PLACES]
        """How many of each kind lines have told of, all together."""
        self._counts = [memory[at * PLACES : (at + 1) * PLACES] for at in range(2, 2 + slots)]
        """How many of each kind there were, by slot."""
        self._kept: dict[int, _Line] = {}

    def log(self, slot: Slot, kind: str, level: str, message: str, **fields: Any) -> bool:  # noqa: ANN401 (loguru's)
        """Write a line, unless one of its `kind` was written within the last minute: then count it.

        `slot` is that of this process. Return whether it was written. With CHRIS_VERBOSE each is, at DEBUG.
        """
        place = zlib.crc32(kind.encode(errors="replace")) % PLACES
        self._counts[slot.index][place] += 1
        line = _Line(level, message, fields)
        if self._is_due(place):
            self._write(place, line)
            return True
        self._kept[place] = line
        logger.debug(message, **fields)
        return False

    def tell_rest(self, *, all_of_it: bool = False) -> None:
        """Write what was only counted, where the minute is over; `all_of_it` at the end of the gateway."""
        for place, line in list(self._kept.items()):
            if not self._untold(place):
                del self._kept[place]  # another process has told it with its own
            elif all_of_it or self._is_due(place):
                self._write(place, line)

    @property
    def has_rest(self) -> bool:
        """Whether this process keeps a line that is still to be written."""
        return bool(self._kept)

    def _is_due(self, place: int) -> bool:
        return not self._said_ns[place] or time.monotonic_ns() - self._said_ns[place] >= _MINUTE_NS

    def _untold(self, place: int) -> int:
        return max(0, sum(counts[place] for counts in self._counts) - self._told[place])

    def _write(self, place: int, line: _Line) -> None:
        """Two processes at the same moment may both write: that does no harm."""
        self._said_ns[place] = time.monotonic_ns()
        count = self._untold(place)
        self._told[place] += count
        self._kept.pop(place, None)
        message = line.message if count < 2 else line.message + " ({count} of this kind since the last line)"
        logger.log(line.level, message, **line.fields, **({"count": count} if count > 1 else {}))
