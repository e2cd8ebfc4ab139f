"""When a series and an association are finished: the directory in the spool alone decides, so it holds after any crash.

OxidicomAttemptedPushCount is the last row of its series. A series is finished when both of its metadata values are
registered or set aside; when all are, the directory goes.
"""

import itertools
import os
import time
from collections.abc import Iterator, Set

from oxidicom.records import COMMITTED_COUNT_KEY, EXPECTED_COUNT_KEY
from oxidicom.spool.association_directory import remove_finished
from oxidicom.spool.entries import contents
from oxidicom.spool.gateway_directory import aside_directories
from oxidicom.spool.journal import is_open, is_to_be_told
from oxidicom.spool.ledger import LEDGER_NAME, Counts, committed_lines, read_counts
from oxidicom.spool.metadata_rows import UNKNOWN
from oxidicom.spool.names import STORED, EntryName, MetadataValue
from oxidicom.spool.put_back import series_that_come_back
from oxidicom.spool.repeated import repeated_counts
from workers.channels.heartbeat import beating
from workers.channels.messages import MetadataStored
from workers.channels.scoreboard import ProcessState, Slot
from workers.registration.account_telling import AccountTelling
from workers.registration.batching import MAX_IN_BATCH, Batch, Pending
from workers.registration.needs import RegistrationNeeds
from workers.registration.progress_telling import ProgressTelling
from workers.registration.verdicts import Verdicts

_SHARE = 20
"""Looks into a directory that find more to be registered may take a twentieth of the time: it may be a large one."""
_MAX_LOOKED = 10_000


class SeriesCompletion:
    """Tells what is finished, as the registration worker wants to know it."""

    def __init__(
        self, shared: RegistrationNeeds, slot: Slot, pending: Pending, verdicts: Verdicts, progress: ProgressTelling
    ) -> None:
        self._shared = shared
        self._slot = slot
        self._pending = pending
        self._spool = shared.directory.spool
        self._aside = aside_directories(shared.settings.files_root)
        self.verdicts = verdicts
        self.progress = progress
        self._accounts = AccountTelling(shared, slot)
        self._look_due: dict[str, float] = {}
        """When an association may be looked into again, after something was found that is not registered."""
        self.incomplete = ""
        """The association whose directory a rescan is reading at the moment: there is more in it."""

    def ready(self, counts: list[MetadataStored], batch: Batch) -> list[MetadataStored]:
        """Return those counts whose series have nothing left but what is in `batch`; MAX_IN_BATCH at most.

        The other metadata value of the series has to be registered, in the batch, or set aside.
        """
        ready: list[MetadataStored] = []
        if not counts:
            return ready
        in_batch = {(message.association, message.name.at(STORED)) for message in batch.entries}
        by_association = itertools.groupby(
            sorted(counts, key=lambda count: count.association), key=lambda count: count.association
        )
        for association, its_counts in by_association:
            if self._is_early(association, batch):
                continue
            # Looked at twice: what storage renames to `.stored` during the one look can be missed by it (readdir(3)),
            # but not by the next, for only this process takes it from there.
            try:
                without = self._without_rest(association, list(its_counts), in_batch)
                ready += self._without_rest(association, without, in_batch)
            except OSError as error:
                self._warn(association, error)
            if len(ready) >= MAX_IN_BATCH:
                break
        return ready[:MAX_IN_BATCH]

    def _is_early(self, association: str, batch: Batch) -> bool:
        """Tell without a look into its directory that an association has more to be registered than is in `batch`."""
        return (
            association == self.incomplete
            or self._pending.has_more_of(association, batch)
            or time.monotonic() < self._look_due.get(association, 0.0)
        )

    def _without_rest(
        self, association: str, counts: list[MetadataStored], in_batch: set[tuple[str, str]]
    ) -> list[MetadataStored]:
        if not counts:
            return []
        began = time.monotonic()
        left: set[str] = set()
        expected: set[str] = set()
        for name, state in beating(self._slot, contents(os.path.join(self._spool, association))):
            if is_open(name, state) and not _is_count(name) and (association, name.at(state)) not in in_batch:
                left.add(name.series_hash)
            elif isinstance(name, MetadataValue) and name.key == EXPECTED_COUNT_KEY:
                expected.add(name.series_hash)
        ready = [count for count in counts if count.series_hash not in left]
        if any(count.series_hash not in expected for count in ready):
            expected |= {one for one, key in self._values_set_aside(association) if key == EXPECTED_COUNT_KEY}
            ready = [count for count in ready if count.series_hash in expected]
        if len(ready) < len(counts):
            self._look_later(association, began)
        return ready

    def _look_later(self, association: str, began: float) -> None:
        if len(self._look_due) >= _MAX_LOOKED:
            self._look_due.clear()
        now = time.monotonic()
        self._look_due[association] = now + _SHARE * (now - began)

    def remove_if_finished(self, association: str, *, tell_again: bool = False) -> None:
        """Remove the directory of an association, and account for it, if everything that came is registered.

        Where progress is published, those who follow its series have to be told before: `tell_again` does so for what
        is registered and not told, since a fact may be lost.
        """
        if self._shared.scoreboard.has_listener(association):
            return  # it goes on: its ledger, which may be long, need not be read
        try:
            directory = os.path.join(self._spool, association)
            self._remove_if_finished(directory, association, tell_again and self.progress.is_wanted)
        except OSError as error:
            self._warn(association, error)

    def _warn(self, association: str, error: OSError) -> None:
        self._shared.repetitions.log(
            self._slot,
            f"finish_failed {error.errno}",
            "WARNING",
            "The spool of an association cannot be read or cleared: {reason}; it will be tried again",
            association=association,
            reason=error.strerror,
            action="finish_failed",
        )

    def _remove_if_finished(self, directory: str, association: str, tell_again: bool) -> None:
        for _ in range(2):  # two looks, as in `ready`
            expected: dict[str, str] = {}
            counted: set[str] = set()
            untold: list[MetadataValue] = []
            is_left = False
            for name, state in beating(self._slot, contents(directory)):
                if is_open(name, state):
                    is_left = True
                    if not tell_again:
                        return
                elif isinstance(name, MetadataValue):
                    if _is_count(name):
                        counted.add(name.series_hash)
                    elif expected.get(name.series_hash, UNKNOWN) == UNKNOWN:  # there may be a placeholder too
                        expected[name.series_hash] = name.text
                    if is_to_be_told(name, state):
                        untold.append(name)
            if tell_again and untold:
                untold = self.progress.tell_again(directory, untold)
            if is_left or (untold and self.progress.is_wanted):
                return
        try:
            counts = read_counts(os.path.join(directory, LEDGER_NAME))
        except FileNotFoundError:
            remove_finished(directory)  # a crash ended in the middle of that
            return
        if counts.ended and self._is_finished(directory, expected, counted, counts):
            counts.repeated = self._repeated(os.path.join(directory, LEDGER_NAME), sum(counts.committed.values()))
            aside = self._set_aside_of(directory)
            self._accounts.tell(directory, expected, counts, aside)
            remove_finished(directory)  # but for what is not ours: that keeps it
            self._look_due.pop(association, None)
            self.progress.is_over(association)
            self.verdicts.close(association, expected, counts, aside)

    def _repeated(self, ledger: str, committed: int) -> dict[str, int]:
        return repeated_counts((beating(self._slot, committed_lines(ledger)) for _ in itertools.count()), committed)

    def _is_finished(self, directory: str, expected: dict[str, str], counted: set[str], counts: Counts) -> bool:
        """Tell whether both values of each series are registered, or were refused and set aside.

        `expected` and `counted` are the series whose values are registered.
        """
        open_values = {
            (series_hash, key)
            for series_hash in counts.committed.keys() & counts.opened
            for key, registered in ((EXPECTED_COUNT_KEY, expected), (COMMITTED_COUNT_KEY, counted))
            if series_hash not in registered
        }
        if not open_values:
            return True
        return open_values <= self._values_set_aside(os.path.basename(directory))

    def _values_set_aside(self, association: str) -> set[tuple[str, str]]:
        """Return the metadata values of an association that were refused, by series hash and key."""
        names = self._names_set_aside(association)
        return {(name.series_hash, name.key) for name in names if isinstance(name, MetadataValue)}

    def come_back(self, association: str, wanted: Set[str]) -> set[str]:
        """Return those of the `wanted` series, by hash, of which something is set aside that can be put back.

        Raise OSError.
        """
        self._slot.beat(ProcessState.WORKING)
        paths = (os.path.join(aside, association) for aside in self._aside)
        return {series_hash for path in paths for series_hash in series_that_come_back(path, wanted)}

    def _set_aside_of(self, directory: str) -> dict[str, int]:
        """Return how many instances of an association are set aside, by series hash."""
        aside: dict[str, int] = {}
        for name in self._names_set_aside(os.path.basename(directory)):
            if isinstance(name, EntryName):
                aside[name.series_hash] = aside.get(name.series_hash, 0) + 1
        return aside

    def _names_set_aside(self, association: str) -> Iterator[EntryName | MetadataValue]:
        return (name for aside in self._aside for name, _ in contents(os.path.join(aside, association)))


def _is_count(name: EntryName | MetadataValue) -> bool:
    return isinstance(name, MetadataValue) and name.key == COMMITTED_COUNT_KEY
