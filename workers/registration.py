"""The registration worker: stored → row in CUBE's database → COMMIT → gone from the spool.

One batch is in flight at a time, in a thread of its own, while the next one grows: so a lone instance is committed at
once and a flood in large transactions. The database may be down, hung or not migrated: then what waits stays in
the spool, a bounded part of it in memory, and the gateway is *degraded*, which stops nothing else.
"""

import collections
import concurrent.futures
import contextlib
import heapq
import itertools
import os
import select
import time
from collections.abc import Iterator

from loguru import logger

from oxidicom.cube.database import Database
from oxidicom.cube.isolation import Isolated, register_isolating
from oxidicom.errors import DatabaseUnavailableError, DatasetError
from oxidicom.records import COMMITTED_COUNT_KEY
from oxidicom.storage.custom_metadata import metadata_row
from oxidicom.storage.names import REGISTERED, STORED, EntryName, NoteName
from oxidicom.storage.open_directories import OpenDirectories
from oxidicom.storage.spool import (
    associations,
    contents,
    describe_entry,
    ledger_of,
    remove_finished,
)
from workers.asides import Asides
from workers.batching import Batch, Pending
from workers.closing import ClosingAccounts
from workers.facts import BatchRegistered
from workers.messages import Instance, InstancesStored, NoteStored, ProcessDied
from workers.process import Backoff
from workers.scoreboard import Counter, Histogram, Phase, Role, Slot, State
from workers.shared import Shared

_WAIT_SECONDS = 1.0
_GATHER_SECONDS = 0.02
"""Under load batches begin no more often than this: to be woken by each row costs more than to register it."""
_RESCAN_SECONDS = 10.0
_MOST_SHARES = 500
"""Associations in one fact, so that it fits a message."""
_BATCH_SECONDS = 30.0
"""A batch that takes longer hangs: the connection swallows packets. It is cut."""

_Entry = Instance | NoteStored


class RegistrationWorker:
    """Registers everything that storage has stored."""

    def __init__(self, shared: Shared, slot: Slot) -> None:
        self._shared = shared
        self._slot = slot
        self._spool = shared.directory.spool
        self._queue = shared.registration_queue
        self._pending = Pending()
        self._flight: concurrent.futures.Future[Isolated] | None = None
        self._batch = Batch()
        self._flight_began = 0.0
        self._backoff = Backoff(0.25, 5.0)
        self._degraded: str | None = None
        self._dropped_seen = 0
        self._rescan_due = 0.0
        self._incomplete_rescan = False
        self._accounts = ClosingAccounts(slot)
        self._asides = Asides(shared.directory, slot, Counter.ROWS_REJECTED, "row_rejected")

    def boot(self) -> None:
        """Make the connection pool, which nobody waits for, and the thread that uses it."""
        self._database = Database(self._shared.db_connection, max_connections=self._shared.settings.db_pool)
        self._database.open()
        self._thread = concurrent.futures.ThreadPoolExecutor(1, thread_name_prefix="register")
        self._landed = os.eventfd(0, os.EFD_NONBLOCK | os.EFD_CLOEXEC)
        self._storage_slots = self._shared.scoreboard.of_role(Role.STORAGE)

    def run(self) -> None:
        """Register until the gateway flushes and nothing is left that can be done now."""
        poll = select.poll()
        poll.register(self._landed, select.POLLIN)
        while True:
            self._slot.beat(State.WAITING)
            self._wait(poll)
            self._slot.beat(State.WORKING)
            self._take_messages()
            self._land()
            self._rescan_if_due()
            self._take_off()
            self._slot.set(Counter.BACKLOG, len(self._pending))
            if self._shared.scoreboard.phase >= Phase.FLUSHING_REGISTRATION and self._flushed():
                self._database.close()
                return

    def _wait(self, poll: select.poll) -> None:
        """Wait for messages, the end of the batch in flight, or the next thing that is due by time."""
        time.sleep(max(0.0, self._flight_began + _GATHER_SECONDS - time.monotonic()))
        if self._pending.full:
            poll.register(self._queue, 0)
        else:
            poll.register(self._queue, select.POLLIN)
        seconds = min(_WAIT_SECONDS, self._backoff.due_seconds) if self._startable else _WAIT_SECONDS
        poll.poll(seconds * 1000)
        with contextlib.suppress(BlockingIOError):
            os.eventfd_read(self._landed)

    @property
    def _startable(self) -> bool:
        return self._flight is None and self._pending.startable

    def _take_messages(self) -> None:
        while not self._pending.full and (message := self._queue.get()):
            if isinstance(message, ProcessDied):
                self._rescan_due = 0.0
            elif isinstance(message, NoteStored):
                self._pending.add(message)
            elif isinstance(message, InstancesStored):
                for instance in message.instances:
                    self._pending.add(instance)

    def _flushed(self) -> bool:
        """Nothing is in flight, and nothing waits or the database does not take it."""
        if self._flight is not None:
            return False
        return self._degraded is not None or not (self._startable or self._incomplete_rescan)

    # -- one batch ---------------------------------------------------------------------------------------------

    def _take_off(self) -> None:
        """Send the next batch to the database, unless one is under way or the back-off is not over."""
        if self._flight is not None or self._backoff.due_seconds > 0:
            return
        batch = self._pending.next_batch()
        batch.notes += self._ready_ends(batch)
        if not batch:
            return
        self._batch = batch
        self._flight_began = time.monotonic()
        files = [instance.file for instance in batch.instances]
        notes = [note.file for note in batch.notes]
        self._flight = self._thread.submit(register_isolating, self._database, files, notes)
        self._flight.add_done_callback(lambda _: os.eventfd_write(self._landed, 1))

    def _ready_ends(self, batch: Batch) -> list[NoteStored]:
        """Return the counts whose series have nothing left but what is in this batch.

        The directory alone decides, so that it holds after every crash: OxidicomAttemptedPushCount is the last row.
        """
        ready: list[NoteStored] = []
        if not self._pending.has_ends:
            return ready
        in_batch = {(m.association, _name(m).at(STORED)) for m in batch.entries}
        by_association = itertools.groupby(
            sorted(self._pending.ends(), key=lambda end: end.association), key=lambda end: end.association
        )
        for association, ends in by_association:
            # Looked at twice: what storage renames to `.stored` during the one look can be missed by it (readdir(3)),
            # but not by the next, for only this process takes it from there.
            without = self._ends_without_rest(association, list(ends), in_batch)
            ready += self._ends_without_rest(association, without, in_batch)
        return ready

    def _ends_without_rest(
        self, association: str, ends: list[NoteStored], in_batch: set[tuple[str, str]]
    ) -> list[NoteStored]:
        if not ends:
            return []
        left = {
            name.series_hash
            for name, state in contents(os.path.join(self._spool, association))
            if state != REGISTERED
            and not (isinstance(name, NoteName) and name.key == COMMITTED_COUNT_KEY)
            and (association, name.at(state)) not in in_batch
        }
        return [end for end in ends if end.series_hash not in left]

    def _land(self) -> None:
        """See how the batch in flight is doing: cut it when it hangs, clear its entries when it is committed."""
        if self._flight is None:
            return
        if not self._flight.done():
            if time.monotonic() - self._flight_began > _BATCH_SECONDS:
                self._database.interrupt()
            return
        flight, self._flight = self._flight, None
        try:
            outcome = flight.result()
        except DatabaseUnavailableError as error:
            self._unavailable(str(error))
            return
        self._available()
        self._clear(self._batch, outcome)

    def _clear(self, batch: Batch, outcome: Isolated) -> None:
        """The batch is committed: its entries leave the spool, and those that the database refused are set aside."""
        self._measure(batch, outcome)
        refused = {file.fname: error for file, error in outcome.refused}
        new = set(outcome.new)
        with OpenDirectories(self._spool) as directories:
            for message in batch.entries:
                fname = message.file.fname
                if refused and (error := refused.get(fname)):
                    reason = f"its row was refused: {error}"
                    self._asides.set_aside(message.association, _name(message), STORED, reason, fname)
                    continue
                if fname in new:
                    new.remove(fname)
                elif isinstance(message, Instance):
                    self._accounts.known(message)
                self._registered(message, directories)
        self._pending.done(batch)
        self._slot.add(Counter.ROWS_REGISTERED, len(outcome.new))
        self._slot.add(Counter.ROWS_KNOWN, outcome.known)
        for association in {note.association for note in batch.notes}:
            self._remove_if_finished(association)

    def _measure(self, batch: Batch, outcome: Isolated) -> None:
        """Measure the batch and its lag, and tell the observer of it."""
        now_ns = time.time_ns()
        self._slot.add(Counter.BATCHES)
        self._slot.observe(Histogram.BATCH_ROWS, len(batch.entries))
        for message in batch.instances:
            self._slot.observe(Histogram.LAG_SECONDS, max(0, now_ns - message.committed_ns) / 1e9)
        if not self._shared.facts.is_wanted:
            return
        new = set(outcome.new)
        rows = collections.Counter(message.association for message in batch.entries)
        added = collections.Counter(message.association for message in batch.entries if message.file.fname in new)
        shares = [(association, added[association], rows[association] - added[association]) for association in rows]
        began_ns = now_ns - int((time.monotonic() - self._flight_began) * 1e9)
        for start in range(0, len(shares), _MOST_SHARES):
            part = shares[start : start + _MOST_SHARES]
            self._shared.facts.tell(self._slot, BatchRegistered(began_ns, now_ns, len(batch.entries), part))

    def _registered(self, message: _Entry, directories: OpenDirectories) -> None:
        name = _name(message)
        try:
            beside = directories[message.association]
            if isinstance(message, Instance):
                os.unlink(name.at(STORED), dir_fd=beside)
            else:
                os.rename(name.at(STORED), name.at(REGISTERED), src_dir_fd=beside, dst_dir_fd=beside)
        except FileNotFoundError:
            pass  # registered twice, by a message and by a rescan
        except OSError as error:
            logger.warning("The spool cannot be cleared: {reason}", reason=error.strerror, action="clear_failed")

    def _remove_if_finished(self, association: str) -> None:
        directory = os.path.join(self._spool, association)
        if any(state != REGISTERED for _, state in contents(directory)):
            return
        there = list(contents(directory))
        ledger = ledger_of(directory)
        ends = {name.series_hash for name, _ in there if isinstance(name, NoteName) and name.key == COMMITTED_COUNT_KEY}
        if ledger and ledger.ended and ends >= self._series_to_end(directory, set(ledger.series)):
            remove_finished(directory)
            self._accounts.close(association, [name for name, _ in there if isinstance(name, NoteName)], ledger)

    def _series_to_end(self, directory: str, series: set[str]) -> set[str]:
        """Series of which the count itself was refused and set aside are not waited for."""
        aside = os.path.join(self._shared.directory.rejected, os.path.basename(directory))
        refused = {
            name.series_hash
            for name, _ in contents(aside)
            if isinstance(name, NoteName) and name.key == COMMITTED_COUNT_KEY
        }
        return series - refused

    # -- degraded ----------------------------------------------------------------------------------------------

    def _unavailable(self, reason: str) -> None:
        self._backoff.failed()
        self._slot.set(Counter.DATABASE_UP, 0)
        if reason != self._degraded:
            self._degraded = reason
            logger.warning(
                "Degraded: rows wait in the spool, since the database cannot be used: {reason}",
                reason=reason,
                action="database_unavailable",
            )

    def _available(self) -> None:
        self._backoff.succeeded()
        self._slot.set(Counter.DATABASE_UP, 1)
        if self._degraded is not None:
            self._degraded = None
            logger.info("The database is back; the backlog is being registered", action="database_available")

    # -- rescan ------------------------------------------------------------------------------------------------

    def _rescan_if_due(self) -> None:
        """Read the spool when a hint was dropped, after a death, and now and then; not while memory is full of work."""
        dropped = sum(slot[Counter.HINTS_DROPPED] for slot in self._storage_slots)
        due = dropped != self._dropped_seen or self._incomplete_rescan or time.monotonic() >= self._rescan_due
        if not due or self._flight is not None or self._pending.startable:
            return
        self._dropped_seen = dropped
        self._rescan_due = time.monotonic() + _RESCAN_SECONDS
        self._incomplete_rescan = not self._rescan()

    def _rescan(self) -> bool:
        """Take up what is stored, oldest first. Return False when memory was full before the end."""
        for directory in associations(self._spool):
            self._slot.beat(State.WORKING)
            room = self._pending.room
            for name in self._stored_in(directory, room + 1):
                if self._pending.full:
                    return False
                self._slot.beat(State.WORKING)
                self._take_up(directory, name)
            self._remove_if_finished(os.path.basename(directory))
        return True

    def _stored_in(self, directory: str, most: int) -> list[EntryName | NoteName]:
        """Return up to `most` things in `directory` that are to be registered, the oldest instances first."""
        entries = (name for name in self._ready_in(directory) if isinstance(name, EntryName))
        notes = (name for name in self._ready_in(directory) if isinstance(name, NoteName))
        return [*heapq.nsmallest(most, entries), *itertools.islice(notes, most)]

    def _ready_in(self, directory: str) -> Iterator[EntryName | NoteName]:
        association = os.path.basename(directory)
        for name, state in contents(directory):
            if state == STORED and not self._asides.leaves_alone(association, name, state):
                yield name

    def _take_up(self, directory: str, name: EntryName | NoteName) -> None:
        association = os.path.basename(directory)
        try:
            if isinstance(name, EntryName):
                path = os.path.join(directory, name.at(STORED))
                file = describe_entry(path).file
                self._pending.add(Instance(association, *name, os.stat(path).st_mtime_ns, file))
            elif (ledger := ledger_of(directory)) and name.series_hash in ledger.series:
                row = metadata_row(association, ledger.series[name.series_hash], name)
                self._pending.add(NoteStored(association, *name, row))
        except FileNotFoundError:
            pass  # it went on while we looked
        except OSError as error:
            logger.bind(association=association).warning(
                "An entry of the spool cannot be read: {reason}", reason=error.strerror, action="take_up_failed"
            )
        except DatasetError as error:
            self._asides.set_aside(association, name, STORED, f"not readable: {error}")


def _name(message: _Entry) -> EntryName | NoteName:
    if isinstance(message, Instance):
        return EntryName(message.number, message.series_hash, message.size_bytes)
    return NoteName(message.series_hash, message.key, message.value)
