"""Tells of bugs of ours that the page survives: each kind at once, then once a minute with a count."""

from loguru import logger

from workers.channels.bugs import place_of
from workers.channels.repetitions import Repetitions
from workers.channels.scoreboard import Slot


class BugTelling:
    """Writes the lines. Whoever asks for a faulty page again and again, or looks at it, must not fill the log."""

    def __init__(self, repetitions: Repetitions, slot: Slot) -> None:
        self._repetitions = repetitions
        self._slot = slot

    def tell(self, error: Exception, outcome: str) -> None:
        """Say what showed itself where, and what came of it."""
        place = place_of(error)
        is_written = self._repetitions.log(
            self._slot,
            f"page {type(error).__name__} {place}",
            "ERROR",
            "Unexpected {error} in {place}; {outcome}",
            error=type(error).__name__,
            place=place,
            outcome=outcome,
            action="page_failed",
        )
        if is_written:
            logger.opt(exception=error).debug("The bug in {place}", place=place, action="page_failed")

    def tell_rest(self) -> None:
        """Write what was only counted, where the minute is over."""
        self._repetitions.tell_rest()
