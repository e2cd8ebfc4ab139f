"""The registration worker: stored → row in CUBE's database → COMMIT → gone from the spool.

One batch is in flight at a time, in a thread of its own, while the next one grows: so a lone instance is committed at
once and a flood in large transactions. The database may be down, hung or not migrated: then what waits stays in
the spool, a bounded part of it in memory, and the gateway is *degraded*, which stops nothing else.
"""

import collections
import concurrent.futures
import contextlib
import os
import select
import time
from collections.abc import Sequence

from loguru import logger

from oxidicom.cube.database import Database
from oxidicom.cube.isolation import Isolated, register_isolating
from oxidicom.errors import DatabaseUnavailableError, FilesGoneError
from oxidicom.files.open_directories import OpenDirectories
from oxidicom.records import PacsFile
from oxidicom.spool.journal import first_state, next_state_of
from oxidicom.spool.names import STORED
from oxidicom.tree.standing import missing
from workers.channels.backoff import Backoff
from workers.channels.facts import BatchRegistered
from workers.channels.messages import Instance, InstancesStored, MetadataStored, ProcessDied
from workers.channels.scoreboard import Counter, GatewayPhase, Histogram, ProcessState, Slot
from workers.channels.setting_aside import SettingAside, waits_for_next_rescan
from workers.registration.batching import Batch, Pending
from workers.registration.completion import SeriesCompletion
from workers.registration.needs import RegistrationNeeds
from workers.registration.registration_rescan import RegistrationRescan
from workers.registration.verdicts import Verdicts

_WAIT_SECONDS = 1.0
_GATHER_SECONDS = 0.02
"""Under load batches begin no more often than this: to be woken by each row costs more than to register it."""
_MAX_SHARES = 500
"""Associations in one fact, so that it fits a message."""
_TRANSACTION_SECONDS = 30.0
"""A transaction that takes longer hangs: the connection swallows packets. It is cut."""

_Entry = Instance | MetadataStored


class RegistrationWorker:
    """Registers everything that storage has stored."""

    def __init__(self, shared: RegistrationNeeds, slot: Slot) -> None:
        """Make the thread that uses the database, and let it connect, for which nobody waits."""
        self._shared = shared
        self._slot = slot
        self._spool = shared.directory.spool
        self._queue = shared.registration_queue
        self._pending = Pending()
        self._in_flight: concurrent.futures.Future[Isolated] | None = None
        self._batch = Batch()
        self._sent_at = 0.0
        self._backoff = Backoff(0.25, 5.0)
        self._degraded: str | None = None
        self._verdicts = Verdicts(slot)
        self._setting_aside = SettingAside(shared.directory, slot, Counter.ROWS_SET_ASIDE, "row_set_aside")
        self._completion = SeriesCompletion(shared, slot, self._pending, self._verdicts)
        self._rescan = RegistrationRescan(shared, slot, self._pending, self._completion, self._setting_aside)
        self._database = Database(
            self._shared.db_connection,
            max_connections=self._shared.settings.db_pool,
            before_commit=self._require_files,
        )
        self._thread = concurrent.futures.ThreadPoolExecutor(1, thread_name_prefix="register")
        self._thread.submit(self._database.open)
        self._batch_done = os.eventfd(0, os.EFD_NONBLOCK | os.EFD_CLOEXEC)

    def run(self) -> None:
        """Register until the gateway flushes and nothing is left that can be done now."""
        poll = select.poll()
        poll.register(self._batch_done, select.POLLIN)
        while True:
            self._slot.beat(ProcessState.WAITING)
            self._wait(poll)
            self._slot.beat(ProcessState.WORKING)
            self._take_messages()
            self._finish_batch()
            if self._rescan.can_go_on:
                self._rescan.go_on()
            elif self._in_flight is None and not self._pending.startable:
                self._rescan.run_if_due()
            self._send_batch()
            self._slot.set(Counter.BACKLOG, len(self._pending))
            if self._shared.scoreboard.phase >= GatewayPhase.FLUSHING_REGISTRATION and self._flushed():
                self._database.close()
                return

    def _wait(self, poll: select.poll) -> None:
        """Wait for messages, the end of the batch in flight, or the next thing that is due by time."""
        time.sleep(max(0.0, self._sent_at + _GATHER_SECONDS - time.monotonic()))
        poll.register(self._queue, select.POLLIN if self._takes_messages else 0)
        seconds = min(_WAIT_SECONDS, self._backoff.due_seconds) if self._startable else _WAIT_SECONDS
        poll.poll(seconds * 1000)
        with contextlib.suppress(BlockingIOError):
            os.eventfd_read(self._batch_done)

    @property
    def _startable(self) -> bool:
        return self._in_flight is None and self._pending.startable

    @property
    def _takes_messages(self) -> bool:
        """Whether there is room, and nothing older waits in the spool that has to come first."""
        return not self._pending.full and not self._rescan.is_behind

    def _take_messages(self) -> None:
        while self._takes_messages and (message := self._queue.get()):
            if isinstance(message, ProcessDied):
                self._rescan.somebody_died()
            elif isinstance(message, MetadataStored):
                self._pending.add(message)
            elif isinstance(message, InstancesStored):
                for instance in message.instances:
                    self._pending.add(instance)

    def _flushed(self) -> bool:
        """Nothing is in flight, and nothing waits or the database does not take it."""
        if self._in_flight is not None:
            return False
        return self._degraded is not None or not (self._startable or self._rescan.is_behind)

    @property
    def _gives_up(self) -> bool:
        """The gateway ends while the database takes nothing."""
        return self._degraded is not None and self._shared.scoreboard.phase >= GatewayPhase.FLUSHING_REGISTRATION

    # -- one batch ---------------------------------------------------------------------------------------------

    def _send_batch(self) -> None:
        """Send the next batch to the database, unless one is under way or the back-off is not over."""
        if self._in_flight is not None or self._backoff.due_seconds > 0 or self._gives_up:
            return
        batch = self._pending.next_batch()
        batch.values += self._completion.ready(self._pending.counts(), batch)
        if not batch:
            return
        self._batch = batch
        self._sent_at = time.monotonic()
        files = [instance.file for instance in batch.instances]
        values = [value.file for value in batch.values]
        self._in_flight = self._thread.submit(register_isolating, self._database, files, values)
        self._in_flight.add_done_callback(lambda _: os.eventfd_write(self._batch_done, 1))

    def _finish_batch(self) -> None:
        """See how the batch in flight is doing: cut it when it hangs, clear its entries when it is committed."""
        if self._in_flight is None:
            return
        if not self._in_flight.done():
            self._database.interrupt(after_seconds=_TRANSACTION_SECONDS)
            return
        future, self._in_flight = self._in_flight, None
        try:
            outcome = future.result()
        except DatabaseUnavailableError as error:
            self._unavailable(error)
            return
        except FilesGoneError as error:
            self._store_anew([one for one in self._batch.entries if one.file.fname in error.names])
            return
        self._available()
        if outcome.failed:
            self._backoff.failed()
        self._clear(self._batch, outcome)

    def _require_files(self, files: Sequence[PacsFile]) -> None:
        """No row without its file: called right before COMMIT, by the thread that uses the database."""
        try:
            gone = missing(self._shared.settings.files_root, [file.fname for file in files])
        except OSError as error:
            reason = f"the files of its rows cannot be looked at ({error.strerror})"
            raise DatabaseUnavailableError(reason) from error
        if gone:
            raise FilesGoneError(gone)

    def _store_anew(self, gone: list[_Entry]) -> None:
        """Files are not at their final paths any more: their entries, which are second links to them, go back.

        CUBE or a person removed the directory, and they were acknowledged: they are stored again as if they had just
        come, then registered. The version that is latest stays, as always.
        """
        for message in gone:
            directory = os.path.join(self._spool, message.association)
            try:
                before = message.name.at(first_state(message.name))
                os.rename(os.path.join(directory, message.name.at(STORED)), os.path.join(directory, before))
            except FileNotFoundError:
                pass  # it went on already
            except OSError as error:
                waits_for_next_rescan(message.association, error)
                self._backoff.failed()
                continue
            self._pending.forget(message)
            if isinstance(message, Instance):  # without room for it a rescan finds it
                self._shared.storage_queue_of(message.series_hash).put(message)
        if gone:
            logger.warning(
                "{count} files are no longer at their final paths; they are being stored again from the spool",
                count=len(gone),
                action="files_gone",
            )

    def _gone(self, batch: Batch) -> list[_Entry]:
        """Return what has no file any more. Its row may be there, but the spool does not let go of it."""
        try:
            gone = missing(self._shared.settings.files_root, [message.file.fname for message in batch.entries])
        except OSError:
            return batch.entries  # it cannot be told: all of it is stored again, which changes nothing if it is there
        return [message for message in batch.entries if message.file.fname in gone] if gone else []

    def _clear(self, batch: Batch, outcome: Isolated) -> None:
        """The batch is committed: its entries leave the spool, but for those of rows that could not be registered."""
        aside = {file.fname: error for file, error in outcome.refused}
        failed = {file.fname: error for file, error in outcome.failed}
        if failed:
            waiting = self._meet_bugs(batch, failed)
            batch = batch.without(waiting | {file.fname for file in outcome.postponed})
        gone = self._gone(batch)
        if gone:
            self._store_anew(gone)
            batch = batch.without({message.file.fname for message in gone} - aside.keys())
        self._measure(batch, outcome)
        new = set(outcome.new)
        with OpenDirectories(self._spool) as directories:
            for message in batch.entries:
                fname = message.file.fname
                if failed and fname in failed:
                    continue  # it was set aside
                if aside and fname in aside:
                    reason = f"its row was refused: {aside[fname]}"
                    self._setting_aside.set_aside(message.association, message.name, STORED, reason, fname)
                    continue
                if fname in new:
                    new.remove(fname)
                elif isinstance(message, Instance):
                    self._verdicts.known(message)
                self._registered(message, directories)
        self._pending.done(batch)
        self._slot.add(Counter.ROWS_REGISTERED, len(outcome.new))
        self._slot.add(Counter.ROWS_KNOWN, outcome.known)
        for association in {value.association for value in batch.values}:
            self._completion.remove_if_finished(association)

    def _meet_bugs(self, batch: Batch, failed: dict[str, Exception]) -> set[str]:
        """Our code stumbled over these rows: each is tried three times. Return the names of those that come again."""
        waiting = set()
        for message in batch.entries:
            fname = message.file.fname
            if fname in failed and not self._setting_aside.unexpected(
                message.association, message.name, STORED, failed[fname], fname
            ):
                waiting.add(fname)
        return waiting

    def _measure(self, batch: Batch, outcome: Isolated) -> None:
        """Measure the batch and its lag, and tell the observer of it."""
        now_ns, storage_ns = time.time_ns(), self._shared.storage_time_ns()
        self._slot.observe(Histogram.BATCH_ROWS, len(batch.entries))
        for message in batch.instances:
            self._slot.observe(Histogram.LAG_SECONDS, max(0, storage_ns - message.committed_ns) / 1e9)
        if not self._shared.facts.is_wanted:
            return
        new = set(outcome.new)
        rows = collections.Counter(message.association for message in batch.entries)
        added = collections.Counter(message.association for message in batch.entries if message.file.fname in new)
        shares = [(association, added[association], rows[association] - added[association]) for association in rows]
        began_ns = now_ns - int((time.monotonic() - self._sent_at) * 1e9)
        for start in range(0, len(shares), _MAX_SHARES):
            part = shares[start : start + _MAX_SHARES]
            self._shared.facts.tell(self._slot, BatchRegistered(began_ns, now_ns, len(batch.entries), part))

    def _registered(self, message: _Entry, directories: OpenDirectories) -> None:
        stored = message.name.at(STORED)
        try:
            directory = directories[message.association]
            next_state = next_state_of(message.name, STORED)
            if next_state is None:
                os.unlink(stored, dir_fd=directory)
            else:
                os.rename(stored, message.name.at(next_state), src_dir_fd=directory, dst_dir_fd=directory)
        except FileNotFoundError:
            pass  # registered twice, by a message and by a rescan
        except OSError as error:
            self._setting_aside.leave_alone(message.association, message.name, STORED)
            if not self._setting_aside.is_known_trouble(error):
                logger.warning(
                    "Registered entries cannot be removed from the spool: {reason}; retrying every minute",
                    reason=error.strerror,
                    action="clear_failed",
                )

    # -- degraded ----------------------------------------------------------------------------------------------

    def _unavailable(self, error: DatabaseUnavailableError) -> None:
        reason = str(error)
        if error.has_waited:
            self._backoff.succeeded()
        else:
            self._backoff.failed()
        self._slot.set(Counter.DATABASE_UP, 0)
        self._slot.set(Counter.DATABASE_DOWN, 1)
        if reason != self._degraded:
            self._degraded = reason
            logger.warning(
                "Degraded: rows wait in the spool because the database cannot be used: {reason}",
                reason=reason,
                action="database_unavailable",
            )

    def _available(self) -> None:
        self._backoff.succeeded()
        self._slot.set(Counter.DATABASE_UP, 1)
        self._slot.set(Counter.DATABASE_DOWN, 0)
        if self._degraded is not None:
            self._degraded = None
            logger.info("The database is back; the backlog is being registered", action="database_available")
