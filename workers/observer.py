"""The observer: reads the scoreboard and says now and then what was done. Nobody waits for it."""

import time

from loguru import logger

from workers.scoreboard import Counter, Phase, Slot, State
from workers.shared import Shared

_WAIT_SECONDS = 0.5
_REPORT_SECONDS = 60.0


class Observer:
    """Reports totals once a minute, if there is news."""

    def __init__(self, shared: Shared, slot: Slot) -> None:
        self._shared = shared
        self._slot = slot
        self._reported = (0, 0, 0)

    def boot(self) -> None:
        """Nothing to get ready."""

    def run(self) -> None:
        """Report until the gateway stops."""
        due = time.monotonic() + _REPORT_SECONDS
        while self._shared.scoreboard.phase < Phase.STOPPING:
            self._slot.beat(State.WAITING)
            time.sleep(_WAIT_SECONDS)
            if time.monotonic() >= due:
                due = time.monotonic() + _REPORT_SECONDS
                self._report()

    def _report(self) -> None:
        total = self._shared.scoreboard.total
        news = (total(Counter.INSTANCES_COMMITTED), total(Counter.ROWS_REGISTERED), total(Counter.BACKLOG))
        if news != self._reported:
            self._reported = news
            logger.info(
                "So far {committed} instances committed and {rows} rows registered; {backlog} wait for registration",
                committed=news[0],
                rows=news[1],
                backlog=news[2],
                action="totals",
            )
