"""What a storage worker finds in the spool by itself: what no message told, after a death or a restart.

Of an association whose listener lives only what the ledger counts is taken: what has no line yet may be half-written,
and its listener may still refuse it. Of the others everything is, once their ledgers are complete.
"""

import os
import time
from collections.abc import Callable

from loguru import logger

from oxidicom.errors import DatasetError
from oxidicom.records import Series
from oxidicom.storage.ledger import LEDGER_NAME, Ledger, committed_numbers
from oxidicom.storage.names import RECEIVED, EntryName, NoteName
from oxidicom.storage.paths import storage_worker_of
from oxidicom.storage.spool import associations, contents, describe_entry, end_for_the_dead, ledger_mtime_ns, ledger_of
from workers.asides import Asides, waits_for_next_rescan
from workers.messages import Instance
from workers.notes import SeriesNotes
from workers.retries import Retries
from workers.scoreboard import Slot, State
from workers.shared import Shared

MOST_IN_GROUP = 256
"""Instances that are stored together, at the price of one sync."""
_RESCAN_SECONDS = 10.0
_ADOPT_SECONDS = 60.0


def warn_of_orphan(path: str, error: OSError) -> None:
    """Log that what a gateway left cannot be taken over."""
    logger.warning(
        "What another gateway left in {path} cannot be taken over: {reason}; "
        "it belongs to this user only if both ran as the same one",
        path=path,
        reason=error.strerror,
        action="adoption_failed",
    )


class StorageRescan:
    """The rescans of one storage worker."""

    def __init__(
        self,
        shared: Shared,
        slot: Slot,
        index: int,
        notes: SeriesNotes,
        asides: Asides,
        retries: Retries[Instance],
    ) -> None:
        """`retries` knows what failed and is tried again anyway."""
        self._shared = shared
        self._slot = slot
        self._index = index
        self._notes = notes
        self._asides = asides
        self._retries = retries
        self._spool = shared.directory.spool
        self._settled: dict[str, int] = {}
        """Directories of ended associations in which nothing is left to do for this worker, with the mtime of their
        ledgers: one that was finished and put back since is not settled."""
        self._in_order: set[str] = set()
        """Directories of associations that go on, which were looked into since the last death: all that comes to them
        is told by messages. Their ledgers may be long."""
        self._due = 0.0
        self._adopt_due = time.monotonic() + _ADOPT_SECONDS

    def somebody_died(self) -> None:
        """Look at everything anew, at the next call of `run_if_due`."""
        self._in_order.clear()
        self._due = 0.0

    def look_again(self, association: str) -> None:
        """Something of an association is remembered by nobody: find it again, although the association goes on."""
        self._in_order.discard(os.path.join(self._spool, association))

    def run_if_due(self, store: Callable[[list[Instance]], None]) -> None:
        """Look through the spool, after a death and now and then, and give what is found to `store`, in groups."""
        now = time.monotonic()
        if self._index == 0 and now >= self._adopt_due:
            self._adopt_due = now + _ADOPT_SECONDS
            self._adopt()
        if now >= self._due:
            self._due = now + _RESCAN_SECONDS
            self._run(store)

    def _adopt(self) -> None:
        adopted = self._shared.directory.adopt_orphans(warn_of_orphan)
        if adopted:
            logger.warning(
                "Took over {count} associations of a gateway that is gone",
                count=adopted,
                action="spool_adopted",
            )
            self._due = 0.0

    def _run(self, store: Callable[[list[Instance]], None]) -> None:
        directories = associations(self._spool)
        self._settled = {one: self._settled[one] for one in directories if one in self._settled}
        self._notes.keep_only({os.path.basename(directory) for directory in directories})
        self._in_order = {one for one in directories if one in self._in_order and self._has_listener(one)}
        for directory in directories:
            self._slot.beat(State.WORKING)
            try:
                if directory not in self._in_order and not self._is_settled(directory):
                    self._take_up(directory, store)
            except OSError as error:
                waits_for_next_rescan(os.path.basename(directory), error)

    def _is_settled(self, directory: str) -> bool:
        return directory in self._settled and self._settled[directory] == ledger_mtime_ns(directory)

    def _take_up(self, directory: str, store: Callable[[list[Instance]], None]) -> None:
        # First the ledger: an entry that it does not count must not be registered and gone before it is counted.
        is_over = end_for_the_dead(directory)
        if not is_over and not self._has_listener(directory):
            self._due = 0.0  # another worker is ending it at this moment
            return
        # Then the notes: what is decided there is neither asked nor decided anew because of an instance.
        ledger = ledger_of(directory)
        if ledger:
            self._take_up_notes(directory, ledger)
        if not is_over:
            self._in_order.add(directory)  # first: what fails now is to be looked for again
        names = self._received_in(directory)
        if not is_over and names:
            counted = committed_numbers(os.path.join(directory, LEDGER_NAME))
            names = [name for name in names if name.number in counted]
        for start in range(0, len(names), MOST_IN_GROUP):
            if self._retries.is_full:  # the tree takes nothing: so much as waits for it already is enough to try
                self._in_order.discard(directory)
                break
            group = [self._describe(directory, name) for name in names[start : start + MOST_IN_GROUP]]
            store([message for message in group if message])
        if ledger and is_over:
            self._close(directory, ledger)

    def _take_up_notes(self, directory: str, ledger: Ledger) -> None:
        notes = [(name, state) for name, state in contents(directory) if isinstance(name, NoteName)]
        self._notes.take_up(os.path.basename(directory), self._mine(ledger), notes)

    def _close(self, directory: str, ledger: Ledger) -> None:
        """The association is over: its counts are final."""
        association = os.path.basename(directory)
        self._notes.end(association, ledger)
        if self._notes.are_written(association, self._mine(ledger)) and not self._received_left(directory):
            self._settled[directory] = ledger_mtime_ns(directory)

    def _mine(self, ledger: Ledger) -> dict[str, Series]:
        return {key: series for key, series in ledger.series.items() if self._is_mine(key)}

    def _has_listener(self, directory: str) -> bool:
        return self._shared.scoreboard.has_listener(os.path.basename(directory))

    def _received_in(self, directory: str) -> list[EntryName]:
        """Return the entries in `directory` that are this worker's to store now, in the order of their commits."""
        association = os.path.basename(directory)
        return sorted(
            name
            for name, state in contents(directory)
            if isinstance(name, EntryName)
            and state == RECEIVED
            and self._is_mine(name.series_hash)
            and not self._asides.leaves_alone(association, name, state)
            and not self._retries.knows_key((association, name.number))
        )

    def _describe(self, directory: str, name: EntryName) -> Instance | None:
        """Return what the message about an entry would have said; set it aside if it is damaged."""
        self._slot.beat(State.WORKING)
        path = os.path.join(directory, name.at(RECEIVED))
        reason = "its size is not that of its name: it was cut off by a power failure"
        try:
            status = os.stat(path)
            if status.st_size == name.size_bytes:
                file = describe_entry(path).file
                return Instance(os.path.basename(directory), *name, status.st_mtime_ns, file)
        except FileNotFoundError:
            return None  # it went on while we looked
        except OSError as error:
            self._asides.cannot_read(os.path.basename(directory), name, RECEIVED, error)
            return None
        except DatasetError as error:
            reason = f"not readable: {error}"
        self._asides.set_aside(os.path.basename(directory), name, RECEIVED, reason)
        return None

    def _received_left(self, directory: str) -> bool:
        return any(
            state == RECEIVED and isinstance(name, EntryName) and self._is_mine(name.series_hash)
            for name, state in contents(directory)
        )

    def _is_mine(self, series_hash: str) -> bool:
        return storage_worker_of(series_hash, len(self._shared.storage_queues)) == self._index
