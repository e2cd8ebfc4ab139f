"""What happened within the last minutes: totals only grow, and say nothing of now."""

import collections
import time

from workers.channels.outcomes import REFUSED
from workers.channels.scoreboard import Counter, Scoreboard, Slot

MINUTES = 10
_SAMPLE_SECONDS = 60.0
_OF_TOTALS = {
    Counter.LATELY_TAKEN: (Counter.INSTANCES_COMMITTED,),
    Counter.LATELY_REFUSED: REFUSED,
    Counter.LATELY_OUT_OF_RESOURCES: (Counter.REFUSED_OUT_OF_RESOURCES,),
    Counter.LATELY_ACCEPTED: (Counter.ASSOCIATIONS_ACCEPTED,),
    Counter.LATELY_REJECTED: (Counter.ASSOCIATIONS_REJECTED,),
    Counter.LATELY_RESPAWNED: (Counter.RESPAWNS,),
    Counter.LATELY_PROGRESS_LOST: (Counter.PROGRESS_DROPPED,),
}


class Lately:
    """Keeps a sample of the totals for each of the last minutes."""

    def __init__(self, board: Scoreboard, slot: Slot) -> None:
        """A successor of a process that died begins anew: it knows no earlier samples."""
        self._board = board
        self._slot = slot
        self._samples: collections.deque[dict[Counter, int]] = collections.deque(maxlen=MINUTES)
        self._due = 0.0

    def tell(self) -> None:
        """Show on the scoreboard what happened since the oldest sample."""
        now = self._totals()
        if time.monotonic() >= self._due:
            self._due = time.monotonic() + _SAMPLE_SECONDS
            self._samples.append(now)
        self._slot.set(Counter.LATELY_MINUTES, MINUTES)
        for counter, total in now.items():
            self._slot.set(counter, total - self._samples[0][counter])

    def _totals(self) -> dict[Counter, int]:
        return {counter: sum(map(self._board.total, totals)) for counter, totals in _OF_TOTALS.items()}
