"""What the spool knows of series, for their live progress: how far they are, and whether those who follow were told."""

import collections
import contextlib
import os
import time
from collections.abc import Iterator
from typing import NamedTuple

from loguru import logger

from oxidicom.records import COMMITTED_COUNT_KEY
from oxidicom.spool.entries import contents, entries
from oxidicom.spool.gateway_directory import GatewayDirectory, aside_directories
from oxidicom.spool.ledger import LEDGER_NAME, NumberSet, committed_lines
from oxidicom.spool.names import REGISTERED, TOLD, EntryName, MetadataValue
from workers.channels.heartbeat import beating
from workers.channels.scoreboard import Slot


class Counted(NamedTuple):
    """How far the series of an association were at one moment."""

    at_ns: int
    """Of the monotonic clock: what left the spool before is counted."""
    registered: dict[str, int]
    """Number of registered instances, by series hash."""


class SeriesInSpool:
    """Looks into the directories of associations."""

    def __init__(self, directory: GatewayDirectory, files_root: str, slot: Slot) -> None:
        self._spool = directory.spool
        self._aside = aside_directories(files_root)
        self._slot = slot

    def count(self, association: str) -> Counted:
        """Count what is registered: what was committed, and neither waits in the spool nor was set aside."""
        registered: collections.Counter[str] = collections.Counter()
        directory = os.path.join(self._spool, association)
        numbers = NumberSet()
        with contextlib.suppress(OSError):  # the ledger, or the storage, is away: what comes is counted
            for line in beating(self._slot, committed_lines(os.path.join(directory, LEDGER_NAME))):
                numbers.add(line.number)
                registered[line.series_hash] += 1
            for name, _ in beating(self._slot, entries(directory)):
                if name.number in numbers:  # what was committed meanwhile is not counted either way
                    registered[name.series_hash] -= 1
            for name in beating(self._slot, self._names_set_aside(association)):
                if name.number in numbers:
                    registered[name.series_hash] -= 1
        return Counted(time.monotonic_ns(), {series: max(0, count) for series, count in registered.items()})

    def registered_in_the_end(self, association: str, series_hash: str, committed: int) -> int:
        """Return how many of the committed instances of a series are registered, now that it is done."""
        try:
            aside = sum(name.series_hash == series_hash for name in self._names_set_aside(association))
        except OSError:
            aside = 0  # the storage is away; the database has them, or not
        return max(0, committed - aside)

    def mark_told(self, association: str, series_hash: str, committed: int) -> bool:
        """Mark that the end of a series is told. Return whether it was not: then it is the caller's to tell."""
        value = MetadataValue(series_hash, COMMITTED_COUNT_KEY, str(committed))
        directory = os.path.join(self._spool, association)
        told = os.path.join(directory, value.at(TOLD))
        try:
            # A rename may hide a value from those who look at that moment, so that it is decided and registered anew.
            was_told = os.path.exists(told)
            os.rename(os.path.join(directory, value.at(REGISTERED)), told)
        except FileNotFoundError:
            return False
        except OSError as error:
            logger.bind(association=association).debug(
                "A series cannot be marked as told: {reason}; it will be tried again", reason=error.strerror
            )
            return False
        return not was_told

    def _names_set_aside(self, association: str) -> Iterator[EntryName]:
        for aside in self._aside:
            for name, _ in contents(os.path.join(aside, association)):
                if isinstance(name, EntryName):
                    yield name
