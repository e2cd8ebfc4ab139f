"""What the spool knows of series, for their live progress: how far they are, and whether those who follow were told."""

import collections
import contextlib
import os
import time
from collections.abc import Callable, Iterator, Mapping
from typing import NamedTuple

from loguru import logger

from oxidicom.records import COMMITTED_COUNT_KEY, Series
from oxidicom.spool.entries import contents, entries
from oxidicom.spool.gateway_directory import GatewayDirectory, aside_directories
from oxidicom.spool.ledger import LEDGER_NAME, Committed, NumberSet, SeriesOpened, lines
from oxidicom.spool.names import REGISTERED, TOLD, EntryName, MetadataValue
from workers.channels.heartbeat import beating
from workers.channels.scoreboard import Slot


class Counted(NamedTuple):
    """How far the series of an association were at one moment."""

    at_ns: int
    """Of the monotonic clock: what left the spool before is counted."""
    registered: dict[str, int]
    """Number of registered instances, by subject."""


class SeriesInSpool:
    """Looks into the directories of associations."""

    def __init__(
        self, directory: GatewayDirectory, files_root: str, slot: Slot, subject_of: Callable[[Series], str]
    ) -> None:
        """`subject_of` tells which series are one for those who follow it."""
        self._spool = directory.spool
        self._aside = aside_directories(files_root)
        self._slot = slot
        self._subject_of = subject_of

    def count(self, association: str) -> Counted:
        """Count what is registered: what was committed, and neither waits in the spool nor was set aside."""
        registered: collections.Counter[str] = collections.Counter()
        directory = os.path.join(self._spool, association)
        numbers = NumberSet()
        subjects: dict[str, str] = {}
        with contextlib.suppress(OSError):  # the ledger, or the storage, is away: what comes is counted
            for line in beating(self._slot, lines(os.path.join(directory, LEDGER_NAME))):
                match line:
                    case Committed():
                        numbers.add(line.number)
                        registered[line.series_hash] += 1
                    case SeriesOpened():
                        subjects[line.series_hash] = self._subject_of(line.series)
            for name, _ in beating(self._slot, entries(directory)):
                if name.number in numbers:  # what was committed meanwhile is not counted either way
                    registered[name.series_hash] -= 1
            for name in beating(self._slot, self._names_set_aside(association)):
                if name.number in numbers:
                    registered[name.series_hash] -= 1
        by_subject: collections.Counter[str] = collections.Counter()
        for series_hash, subject in subjects.items():
            by_subject[subject] += max(0, registered[series_hash])
        return Counted(time.monotonic_ns(), dict(by_subject))

    def registered_in_the_end(self, association: str, committed: Mapping[str, int]) -> int:
        """Return how many of the committed instances are registered, now that these series are done.

        `committed` has the number of each, by series hash.
        """
        aside: collections.Counter[str] = collections.Counter()
        with contextlib.suppress(OSError):  # the storage is away; the database has them, or not
            aside.update(
                name.series_hash for name in self._names_set_aside(association) if name.series_hash in committed
            )
        return sum(max(0, count - aside[series_hash]) for series_hash, count in committed.items())

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
