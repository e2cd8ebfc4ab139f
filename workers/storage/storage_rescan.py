"""What a storage worker finds in the spool by itself: what no message told, after a death or a restart.

Of an association whose listener lives only what the ledger counts is taken: what has no line yet may be half-written,
and its listener may still refuse it. Of the others everything is, once their ledgers are complete.
"""

import contextlib
import itertools
import math
import os
import time
from collections.abc import Callable, Iterator

from oxidicom.errors import DatasetError
from oxidicom.files.lost_pages import has_lost_pages
from oxidicom.paths.final_path import storage_worker_of
from oxidicom.records import COMMITTED_COUNT_KEY, EXPECTED_COUNT_KEY, Series
from oxidicom.spool.association_directory import associations, ledger_mtime_ns, ledger_of
from oxidicom.spool.entries import contents, entries
from oxidicom.spool.entry_describer import EntryDescriber
from oxidicom.spool.gateway_directory import aside_directories
from oxidicom.spool.journal import Owner, owner_of
from oxidicom.spool.ledger import LEDGER_NAME, Ledger, NumberSet, committed_numbers
from oxidicom.spool.names import DUE, RECEIVED, REGISTERED, EntryName, MetadataValue
from workers.channels.heartbeat import beating
from workers.channels.messages import Instance
from workers.channels.scoreboard import ProcessState, Slot
from workers.channels.setting_aside import SettingAside, waits_for_next_rescan
from workers.storage.needs import StorageNeeds
from workers.storage.retries import Retries
from workers.storage.series_metadata import MAX_OPEN, SeriesMetadata

MAX_IN_GROUP = 256
"""Instances that are stored together, at the price of one sync."""
_SORTED = 50_000
"""So many names of a directory are held and put in the order of their series: each directory of the final tree that a
group touches is synced, and a directory tells its names in no order. They take 12 MB."""
_RESCAN_SECONDS = 10.0
_SOON_SECONDS = 1.0
"""Delay before retrying what found no room or met trouble that may have passed."""
_AGAIN_SECONDS = 60.0
"""So long after something was left alone in it an association that goes on is looked into again: see `leaves_alone`."""

_TICK_NS = 1_000_000_000
"""A directory that was changed just now may be changed again without showing it: a filesystem's clock ticks slowly."""

_Store = Callable[[list[Instance]], None]
BOTH_KEYS = {EXPECTED_COUNT_KEY, COMMITTED_COUNT_KEY}


class _Selection:
    """Says which series of a ledger are wanted: no more at a time than there is room for, for there may be 100,000."""

    def __init__(self, is_wanted: Callable[[str], bool]) -> None:
        self._is_wanted = is_wanted
        self._chosen: set[str] = set()

    def __call__(self, series_hash: str) -> bool:
        if series_hash in self._chosen:
            return True
        if len(self._chosen) > MAX_OPEN or not self._is_wanted(series_hash):
            return False
        self._chosen.add(series_hash)
        return True


class StorageRescan:
    """The rescans of one storage worker."""

    def __init__(
        self,
        shared: StorageNeeds,
        slot: Slot,
        index: int,
        metadata: SeriesMetadata,
        setting_aside: SettingAside,
        retries: Retries[Instance],
    ) -> None:
        """`retries` knows what failed and is tried again anyway."""
        self._shared = shared
        self._slot = slot
        self._index = index
        self._metadata = metadata
        self._setting_aside = setting_aside
        self._retries = retries
        self._spool = shared.directory.spool
        self._aside = aside_directories(shared.settings.files_root)
        self._settled: dict[str, tuple[int, int]] = {}
        """Directories of ended associations in which nothing is left to do for this worker, with the mtimes of their
        ledgers and their own: one that was finished and put back since, or got an entry back, is not settled."""
        self._in_order: dict[str, float] = {}
        """Directories of associations that go on, which were looked into since the last death: all that comes to them
        is told by messages, and their ledgers may be long. With the moment when they are looked into all the same:
        what was left alone in them is remembered by nobody."""
        self._due = 0.0

    def somebody_died(self) -> None:
        """Look at everything anew, at the next call of `run_if_due`."""
        self._in_order.clear()
        self._due = 0.0

    def look_again(self, association: str) -> None:
        """Something of an association is remembered by nobody: find it again, although the association goes on."""
        self._in_order.pop(os.path.join(self._spool, association), None)
        self._look_soon()

    def _look_soon(self) -> None:
        self._due = min(self._due, time.monotonic() + _SOON_SECONDS)

    def run_if_due(self, store: _Store) -> None:
        """Look through the spool, after a death and now and then, and give what is found to `store`, in groups."""
        now = time.monotonic()
        if now >= self._due:
            self._due = now + _RESCAN_SECONDS
            with contextlib.suppress(FileNotFoundError):  # the spool is gone: the steward has it made again
                self._run(store)

    def _run(self, store: _Store) -> None:
        directories = associations(self._spool)
        self._settled = {one: self._settled[one] for one in directories if one in self._settled}
        self._metadata.keep_only({os.path.basename(directory) for directory in directories})
        self._in_order = self._still_in_order(directories)
        for directory in directories:
            self._slot.beat(ProcessState.WORKING)
            if directory not in self._in_order:
                self._take_up(directory, store)
        if self._metadata.left_out:
            self._look_soon()

    def _still_in_order(self, directories: list[str]) -> dict[str, float]:
        now = time.monotonic()
        undecided = {os.path.join(self._spool, association) for association in self._metadata.take_undecided()}
        return {
            one: self._in_order[one]
            for one in directories
            if now < self._in_order.get(one, 0.0) and one not in undecided and self._has_listener(one)
        }

    def _take_up(self, directory: str, store: _Store) -> None:
        """Take up one association. What it meets costs the others nothing."""
        association = os.path.basename(directory)
        try:
            if not self._setting_aside.leaves_association_alone(association) and not self._is_settled(directory):
                self._take_up_whole(directory, store)
        except OSError as error:
            self._in_order.pop(directory, None)
            waits_for_next_rescan(directory, error)
        except Exception as error:  # noqa: BLE001 (a bug of ours costs this association)
            self._in_order.pop(directory, None)
            self._setting_aside.unexpected_association(association, error)
            self._look_soon()

    def _is_settled(self, directory: str) -> bool:
        """Tell whether nothing is left to do; what came back to the directory is found by a look at it."""
        settled = self._settled.get(directory)
        if settled is None or settled[0] != ledger_mtime_ns(directory):
            return False
        mtime_ns = os.stat(directory).st_mtime_ns
        if settled[1] != mtime_ns:
            if self._is_left(directory):
                return False
            self._settled[directory] = settled[0], mtime_ns
        return True

    def _take_up_whole(self, directory: str, store: _Store) -> None:
        # First the ledger: an entry that it does not count must not be registered and gone before it is counted.
        is_over = self._end_for_the_dead(directory)
        if not is_over and not self._has_listener(directory):
            self._due = 0.0  # another worker is ending it at this moment
            return
        # Then the values: what is decided there is neither asked nor decided anew because of an instance.
        ledger = self._take_up_metadata(directory)
        if not is_over:
            self._in_order[directory] = math.inf  # first: what fails now is to be looked for again
        self._store_received(directory, is_over, store)
        if ledger and is_over:
            self._close(directory, ledger)

    def _end_for_the_dead(self, directory: str) -> bool:
        if self._has_listener(directory):
            return False
        return self._shared.directory.end_for_the_dead(directory, lambda: self._slot.beat(ProcessState.WORKING))

    def _store_received(self, directory: str, is_over: bool, store: _Store) -> None:
        """Store what is received, group by group while the directory is read: it may have a million entries."""
        counted = None if is_over else committed_numbers(os.path.join(directory, LEDGER_NAME))
        names, describer = self._received_in(directory, counted), EntryDescriber()
        while some := sorted(itertools.islice(names, _SORTED), key=lambda name: (name.series_hash, name.number)):
            for start in range(0, len(some), MAX_IN_GROUP):
                if self._retries.is_full:  # the tree takes nothing: so much as waits for it already is enough to try
                    self._in_order.pop(directory, None)
                    return
                store(self._described(directory, some[start : start + MAX_IN_GROUP], describer))

    def _take_up_metadata(self, directory: str) -> Ledger | None:
        """Take up the series that lack a metadata value. Return the ledger, with no other series in it."""
        values, finished = self._open_values(directory)
        ledger = ledger_of(directory, _Selection(lambda series: self._is_mine(series) and series not in finished))
        self._metadata.finish(os.path.basename(directory), finished)
        if ledger is None or ledger.damaged:
            self._set_aside_orphans(os.path.basename(directory), values, ledger.series if ledger else {})
        if ledger:
            self._metadata.take_up(os.path.basename(directory), ledger, values)
        return ledger

    def _set_aside_orphans(
        self, association: str, values: list[tuple[MetadataValue, str]], series: dict[str, Series]
    ) -> None:
        """Set aside the values that are to be written of series which the ledger has lost: nobody can write them."""
        if len(series) > MAX_OPEN:
            return  # not all of them were read
        for value, state in values:
            if state == DUE and value.series_hash not in series:
                self._setting_aside.set_aside(association, value, DUE, "the ledger no longer names its series")

    def _open_values(self, directory: str) -> tuple[list[tuple[MetadataValue, str]], set[str]]:
        """Return the values of the series that lack one or have one to be written; and the series that are finished."""
        values: dict[str, list[tuple[MetadataValue, str]]] = {}
        finished: set[str] = set()
        aside = self._values_set_aside(os.path.basename(directory))
        for name, state in beating(self._slot, itertools.chain(contents(directory), aside)):
            if isinstance(name, MetadataValue) and self._is_mine(name.series_hash):
                of_series = values.setdefault(name.series_hash, [])
                of_series.append((name, state))
                if {one.key for one, _ in of_series} >= BOTH_KEYS and all(state != DUE for _, state in of_series):
                    finished.add(name.series_hash)
                    del values[name.series_hash]
        return [one for of_series in values.values() for one in of_series], finished

    def _values_set_aside(self, association: str) -> Iterator[tuple[MetadataValue, str]]:
        """Yield the values that are set aside, as if they were registered: they are decided, once and for all."""
        for aside in self._aside:
            with contextlib.suppress(OSError):  # what can be stored does not wait for what is set aside
                for name, _ in contents(os.path.join(aside, association)):
                    if isinstance(name, MetadataValue):
                        yield name, REGISTERED

    def _close(self, directory: str, ledger: Ledger) -> None:
        """The association is over: its counts are final."""
        association = os.path.basename(directory)
        self._metadata.end(association, ledger)
        before = ledger_mtime_ns(directory), os.stat(directory).st_mtime_ns
        is_quiet = abs(time.time_ns() - before[1]) > _TICK_NS
        if is_quiet and self._metadata.are_written(association, ledger.series) and not self._is_left(directory):
            self._settled[directory] = before

    def _has_listener(self, directory: str) -> bool:
        return self._shared.scoreboard.has_listener(os.path.basename(directory))

    def _received_in(self, directory: str, counted: NumberSet | None) -> Iterator[EntryName]:
        """Yield the entries in `directory` that are this worker's to store now; with `counted` only those."""
        association = os.path.basename(directory)
        for name in self._mine_received(directory):
            if (counted is None or name.number in counted) and not self._retries.knows_key((association, name.number)):
                if self._setting_aside.leaves_alone(association, name, RECEIVED):
                    self._look_again_later(directory)
                else:
                    yield name

    def _look_again_later(self, directory: str) -> None:
        """Something is left alone: no message will tell of it again, although the association may go on for hours."""
        if directory in self._in_order:
            self._in_order[directory] = min(self._in_order[directory], time.monotonic() + _AGAIN_SECONDS)

    def _described(self, directory: str, names: list[EntryName], describer: EntryDescriber) -> list[Instance]:
        """Return what the messages about entries would have said."""
        described = []
        for name in names:
            if message := self._describe(directory, name, describer):
                described.append(message)
            elif self._setting_aside.leaves_alone(os.path.basename(directory), name, RECEIVED):
                self._look_again_later(directory)
        return described

    def _describe(self, directory: str, name: EntryName, describer: EntryDescriber) -> Instance | None:
        """Return what the message about an entry would have said; set it aside if it is damaged."""
        self._slot.beat(ProcessState.WORKING)
        association = os.path.basename(directory)
        path = os.path.join(directory, name.at(RECEIVED))
        reason = "its size is not that of its name: it was cut off by a power failure"
        try:
            status = os.stat(path, follow_symlinks=False)
            if status.st_size == name.size_bytes and has_lost_pages(path):
                reason = "parts of it were never written to the disk: the power failed"
            elif status.st_size == name.size_bytes:
                entry = describer.describe(path)
                return Instance(association, *name, entry.committed_ns, entry.description.file)
        except FileNotFoundError:
            return None  # it went on while we looked
        except OSError as error:
            self._setting_aside.cannot_read(association, name, RECEIVED, error)
            return None
        except DatasetError as error:
            reason = f"not readable: {error}"
        except Exception as error:  # noqa: BLE001 (a bug of ours costs this entry)
            self._setting_aside.unexpected(association, name, RECEIVED, error)
            self.look_again(association)
            return None
        self._setting_aside.set_aside(association, name, RECEIVED, reason)
        return None

    def _mine_received(self, directory: str) -> Iterator[EntryName]:
        names = beating(self._slot, entries(directory))
        return (name for name, state in names if self._is_to_do(name, state))

    def _is_left(self, directory: str) -> bool:
        """Tell whether this worker has an instance to store or a metadata value to write."""
        return any(self._is_to_do(name, state) for name, state in beating(self._slot, contents(directory)))

    def _is_to_do(self, name: EntryName | MetadataValue, state: str) -> bool:
        return owner_of(name, state) is Owner.STORAGE and self._is_mine(name.series_hash)

    def _is_mine(self, series_hash: str) -> bool:
        return storage_worker_of(series_hash, len(self._shared.storage_queues)) == self._index
