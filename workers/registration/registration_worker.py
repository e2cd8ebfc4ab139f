"""The registration worker: stored → row in CUBE's database → COMMIT → gone from the spool.

One batch is in flight at a time, in a thread of its own, while the next one grows: so a lone instance is committed at
once and a flood in large transactions. The database may be down, hung or not migrated: then what waits stays in
the spool, a bounded part of it in memory, and the gateway is *degraded*, which stops nothing else.
"""

import concurrent.futures
import contextlib
import os
import select
import time
from functools import partial

from oxidicom.cube.database import Database
from oxidicom.cube.isolation import Isolated, register_isolating
from oxidicom.errors import DatabaseUnavailableError, FilesGoneError
from oxidicom.outage import Outage
from oxidicom.tree.series_files import describe_series
from oxidicom.tree.standing import require_files
from workers.channels.backoff import Backoff
from workers.channels.messages import InstancesStored, MetadataStored, ProcessDied, SeriesTold
from workers.channels.scoreboard import Counter, GatewayPhase, ProcessState, Slot
from workers.channels.setting_aside import SettingAside
from workers.registration.batch_clearing import BatchClearing
from workers.registration.batching import Batch, Pending
from workers.registration.completion import SeriesCompletion
from workers.registration.needs import RegistrationNeeds
from workers.registration.progress_telling import ProgressTelling
from workers.registration.registration_rescan import RegistrationRescan
from workers.registration.series_oddities import SeriesOddities
from workers.registration.verdicts import Verdicts

_WAIT_SECONDS = 1.0
_GATHER_SECONDS = 0.02
"""Under load batches begin no more often than this: to be woken by each row costs more than to register it."""
_ASK_SECONDS = 15.0
"""So often the database is asked whether it would take rows, while there are none."""
_TRANSACTION_SECONDS = 30.0
"""A transaction that takes longer hangs: the connection swallows packets. It is cut."""


class RegistrationWorker:
    """Registers everything that storage has stored."""

    def __init__(self, shared: RegistrationNeeds, slot: Slot) -> None:
        """Make the thread that uses the database, which is asked at once whether it can be used."""
        self._shared = shared
        self._slot = slot
        self._queue = shared.registration_queue
        self._pending = Pending()
        self._in_flight: concurrent.futures.Future[Isolated] | concurrent.futures.Future[None] | None = None
        self._batch = Batch()
        self._ask_due = 0.0
        self._sent_at = 0.0
        self._backoff = Backoff(0.25, 5.0)
        self._outage = Outage("database")
        setting_aside = SettingAside(
            shared.directory, slot, Counter.ROWS_SET_ASIDE, "row_set_aside", shared.repetitions, shared.facts
        )
        progress = ProgressTelling(shared, slot)
        verdicts = Verdicts(slot, shared.settings.pacs_addresses)
        self._completion = SeriesCompletion(shared, slot, self._pending, verdicts, progress)
        self._rescan = RegistrationRescan(shared, slot, self._pending, self._completion, setting_aside)
        self._clearing = BatchClearing(shared, slot, self._pending, self._completion, setting_aside, self._backoff)
        self._oddities = SeriesOddities()
        self._database = Database(
            self._shared.db_connection,
            max_connections=self._shared.settings.db_pool,
            before_commit=partial(require_files, self._shared.settings.files_root),
            describe=partial(describe_series, shared.settings.files_root),
        )
        self._thread = concurrent.futures.ThreadPoolExecutor(1, thread_name_prefix="register")
        self._batch_done = os.eventfd(0, os.EFD_NONBLOCK | os.EFD_CLOEXEC)

    def run(self) -> None:
        """Register until the gateway flushes and nothing is left that can be done now."""
        poll = select.poll()
        poll.register(self._batch_done, select.POLLIN)
        while True:
            self._slot.beat(ProcessState.WAITING)
            self._wait(poll)
            self._shared.repetitions.tell_rest()
            self._slot.beat(ProcessState.WORKING)
            self._take_messages()
            self._finish_batch()
            self._clearing.tell_storage()
            self._send_batch()  # before the spool is looked through: that goes on while the database works
            if self._rescan.can_go_on:
                self._rescan.go_on()
            elif self._in_flight is None and not self._pending.startable:
                self._rescan.run_if_due()
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
            elif isinstance(message, SeriesTold):
                self._completion.remove_if_finished(message.association)

    def _flushed(self) -> bool:
        """Nothing is in flight, and nothing waits or the database does not take it."""
        if self._in_flight is not None:
            return False
        if self._outage.lasts:
            return True
        return not (self._startable or self._rescan.is_behind or self._completion.progress.is_awaited)

    @property
    def _gives_up(self) -> bool:
        """The gateway ends while the database takes nothing."""
        return self._outage.lasts and self._shared.scoreboard.phase >= GatewayPhase.FLUSHING_REGISTRATION

    def _send_batch(self) -> None:
        """Send the next batch to the database, unless one is under way or the back-off is not over."""
        if self._in_flight is not None or self._backoff.due_seconds > 0 or self._gives_up:
            return
        batch = self._pending.next_batch()
        batch.values += self._completion.ready(self._pending.counts(), batch)
        if not batch:
            self._ask_if_due()
            return
        self._batch = batch
        self._sent_at = time.monotonic()
        files = [instance.file for instance in batch.instances]
        values = [value.series_value for value in batch.values]
        self._await(self._thread.submit(register_isolating, self._database, files, values))

    def _ask_if_due(self) -> None:
        """See whether the database would take rows: else a dead one is noticed by the first image."""
        if time.monotonic() >= self._ask_due and self._shared.scoreboard.phase < GatewayPhase.FLUSHING_REGISTRATION:
            self._await(self._thread.submit(self._database.examine))

    def _await(self, future: concurrent.futures.Future[Isolated] | concurrent.futures.Future[None]) -> None:
        self._in_flight = future
        future.add_done_callback(lambda _: os.eventfd_write(self._batch_done, 1))

    def _finish_batch(self) -> None:
        """See how the batch (or question) in flight is doing: cut it when it hangs, clear what it has committed."""
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
            self._clearing.store_anew([one for one in self._batch.entries if one.file.fname in error.names])
            return
        self._available()
        if outcome is None:
            return
        if outcome.failed:
            self._backoff.failed()
        self._oddities.tell(outcome.odd_series)
        self._clearing.clear(self._batch, outcome, self._sent_at)

    def _unavailable(self, error: DatabaseUnavailableError) -> None:
        reason = str(error)
        if error.has_waited:
            self._backoff.succeeded()
        else:
            self._backoff.failed()
        self._ask_due = 0.0
        self._slot.say(reason)
        self._slot.set(Counter.DATABASE_UP, 0)
        if not self._slot[Counter.DATABASE_DOWN]:
            self._slot.set(Counter.DATABASE_DOWN, int(time.time()))
        waiting = self._shared.scoreboard.steward[Counter.SPOOL_ENTRIES]
        self._outage.goes_on(
            "Degraded: the database cannot be used (rows wait in the spool, none is lost)",
            reason,
            remedy="bring the database back; `oxidicom check` says more",
            waits=f"{waiting} wait in the spool",
            spool_entries=waiting,
        )

    def _available(self) -> None:
        self._backoff.succeeded()
        self._ask_due = time.monotonic() + _ASK_SECONDS
        self._slot.set(Counter.DATABASE_UP, 1)
        self._slot.set(Counter.DATABASE_DOWN, 0)
        waiting = self._shared.scoreboard.steward[Counter.SPOOL_ENTRIES]
        what = "the database is back; {spool_entries} wait in the spool and are being registered"
        self._outage.is_over(what, spool_entries=waiting)
