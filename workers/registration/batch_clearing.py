"""What becomes of the spool when a batch is committed: its entries leave, are set aside, or go back one step."""

import collections
import contextlib
import os
import time
from collections.abc import Set

from loguru import logger

from oxidicom.cube.isolation import Isolated
from oxidicom.cube.rows import Oddity
from oxidicom.files.open_directories import OpenDirectories
from oxidicom.spool.journal import first_state, next_state_of
from oxidicom.spool.names import STORED
from oxidicom.tree.standing import missing
from workers.channels.backoff import Backoff
from workers.channels.facts import BatchRegistered
from workers.channels.messages import Instance, MetadataStored, ProcessDied, ToStorage
from workers.channels.queues import Queue
from workers.channels.scoreboard import Counter, Histogram, Slot
from workers.channels.setting_aside import SettingAside, waits_for_next_rescan
from workers.registration.batching import Batch, Pending
from workers.registration.completion import SeriesCompletion
from workers.registration.needs import RegistrationNeeds
from workers.registration.progress_telling import Cleared

_HELD_SECONDS = 5.0
_HELD_TOLD_SECONDS = 60.0
_MAX_SHARES = 500
"""Associations in one fact, so that it fits a message."""

_Entry = Instance | MetadataStored


class BatchClearing:
    """Clears the spool of what is registered, and accounts for it."""

    def __init__(
        self,
        shared: RegistrationNeeds,
        slot: Slot,
        pending: Pending,
        completion: SeriesCompletion,
        setting_aside: SettingAside,
        backoff: Backoff,
    ) -> None:
        """`backoff` is told what had better not be tried again at once."""
        self._shared = shared
        self._slot = slot
        self._spool = shared.directory.spool
        self._pending = pending
        self._completion = completion
        self._setting_aside = setting_aside
        self._backoff = backoff
        self._held_told_due = 0.0
        self._untold: dict[int, Queue[ToStorage]] = {}
        """Queues of the storage workers that are still to hear that something went back to them."""

    def clear(self, batch: Batch, outcome: Isolated, sent_at: float) -> None:
        """The batch is committed: its entries leave the spool, but for those of rows that could not be registered.

        `sent_at` is when it was sent to the database, on the monotonic clock.
        """
        aside = {file.fname: f"its row was refused: {error}" for file, error in outcome.refused}
        failed = {file.fname: error for file, error in outcome.failed}
        batch = self._without_what_stays(batch, outcome, failed)
        aside |= self._series_without_files(batch, outcome, aside.keys())
        gone = self._gone(batch)
        if gone:
            self.store_anew(gone)
            batch = batch.without({message.file.fname for message in gone} - aside.keys())
        self._measure(batch, outcome, sent_at)
        new = set(outcome.new)
        cleared, refused = Cleared(), list[_Entry]()
        with OpenDirectories(self._spool) as directories:
            for message in batch.entries:
                fname = message.file.fname
                if failed and fname in failed:
                    continue  # it was set aside
                if aside and fname in aside:
                    refused.append(message)
                    continue
                if fname in new:
                    new.remove(fname)
                elif isinstance(message, Instance):
                    self._completion.verdicts.known(message)
                if self._registered(message, directories):
                    cleared.add(message)
        self._completion.progress.tell(cleared)
        for message in refused:  # after what is told of the rows of the same series: an error is the last that is said
            fname = message.file.fname
            self._setting_aside.set_aside(message.association, message.name, STORED, aside[fname], fname)
        self._pending.done(batch)
        self._slot.add(Counter.ROWS_REGISTERED, len(outcome.new))
        self._slot.add(Counter.ROWS_KNOWN, outcome.known)
        for association in {value.association for value in batch.values}:
            self._completion.remove_if_finished(association)

    def _without_what_stays(self, batch: Batch, outcome: Isolated, failed: dict[str, Exception]) -> Batch:
        """Return the batch without the entries of rows that are to be tried again."""
        if failed:
            waiting = self._meet_bugs(batch, failed)
            batch = batch.without(waiting | {file.fname for file in outcome.postponed})
        if outcome.held:
            self._leave(batch, outcome.held)
            batch = batch.without(outcome.held)
        return batch

    def _series_without_files(self, batch: Batch, outcome: Isolated, refused: Set[str]) -> dict[str, str]:
        """Return the values of series that have no row because all that came of them is set aside, with the reason.

        They are set aside too: so `oxidicom retry` brings them back behind their instances, and only then does the
        series have its row, and its end. Not so if none can come back, since a power failure damaged them all.
        """
        without = {one.name for one in outcome.odd_series if one.oddity is Oddity.NO_FILES}
        values = [value for value in batch.values if value.file.fname in without]
        come_back = {(one.association, one.series_hash) for one in batch.instances if one.file.fname in refused}
        for association in {value.association for value in values}:
            wanted = {value.series_hash for value in values if value.association == association}
            with contextlib.suppress(OSError):  # it cannot be told: it is set aside, where it is seen
                wanted = self._completion.come_back(association, wanted)
            come_back |= {(association, series_hash) for series_hash in wanted}
        reason = "all files of its series are set aside"
        return {one.file.fname: reason for one in values if (one.association, one.series_hash) in come_back}

    def _leave(self, batch: Batch, held: Set[str]) -> None:
        """CUBE deletes what these belong to: they stay in the spool, and are tried again when that may be over."""
        for message in batch.entries:
            if message.file.fname in held:
                self._setting_aside.leave_alone(message.association, message.name, STORED, _HELD_SECONDS)
                self._pending.forget(message)
        if time.monotonic() >= self._held_told_due:
            self._held_told_due = time.monotonic() + _HELD_TOLD_SECONDS
            logger.info(
                "{count} rows wait until CUBE has deleted what they belong to",
                count=len(held),
                action="rows_held",
            )

    def _gone(self, batch: Batch) -> list[_Entry]:
        """Return what has no file any more. Its row may be there, but the spool does not let go of it."""
        try:
            gone = missing(self._shared.settings.files_root, [message.file.fname for message in batch.entries])
        except OSError:
            return batch.entries  # it cannot be told: all of it is stored again, which changes nothing if it is there
        return [message for message in batch.entries if message.file.fname in gone] if gone else []

    def store_anew(self, gone: list[_Entry]) -> None:
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
                waits_for_next_rescan(directory, error)
                self._backoff.failed()
                continue
            self._pending.forget(message)
            self._give_back(message)
        self.tell_storage()
        if gone:
            logger.warning(
                "{count} files are no longer at their final paths; they are being stored again from the spool",
                count=len(gone),
                action="files_gone",
            )

    def _give_back(self, message: _Entry) -> None:
        """Tell the storage worker of an instance. For a value, or without room for it, a rescan is to find it."""
        queue = self._shared.storage_queue_of(message.series_hash)
        if not (isinstance(message, Instance) and queue.put(message)):
            self._untold[id(queue)] = queue

    def tell_storage(self) -> None:
        """Have storage look for what went back untold: into an association that goes on it does not by itself."""
        for key, queue in list(self._untold.items()):
            if queue.put(ProcessDied()):  # without room for it it is told the next time
                del self._untold[key]

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

    def _measure(self, batch: Batch, outcome: Isolated, sent_at: float) -> None:
        """Measure the batch and its lag, and tell the observer of it."""
        now_ns, storage_ns = time.time_ns(), self._shared.storage_time_ns()
        self._slot.observe(Histogram.BATCH_ROWS, len(batch.entries))
        for message in batch.instances:
            self._slot.observe(Histogram.LAG_SECONDS, max(0, storage_ns - message.committed_ns) / 1e9)
        if not self._shared.facts.wants(BatchRegistered):
            return
        new = set(outcome.new)
        rows = collections.Counter(message.association for message in batch.entries)
        added = collections.Counter(message.association for message in batch.entries if message.file.fname in new)
        shares = [(association, added[association], rows[association] - added[association]) for association in rows]
        began_ns = now_ns - int((time.monotonic() - sent_at) * 1e9)
        for start in range(0, len(shares), _MAX_SHARES):
            part = shares[start : start + _MAX_SHARES]
            self._shared.facts.tell(self._slot, BatchRegistered(began_ns, now_ns, len(batch.entries), part))

    def _registered(self, message: _Entry, directories: OpenDirectories) -> bool:
        """Let an entry leave the spool, or mark a value. Return whether it was this call that did so."""
        stored = message.name.at(STORED)
        try:
            directory = directories[message.association]
            next_state = next_state_of(message.name, STORED)
            if next_state is None:
                os.unlink(stored, dir_fd=directory)
            else:
                os.rename(stored, message.name.at(next_state), src_dir_fd=directory, dst_dir_fd=directory)
        except FileNotFoundError:
            return False  # registered twice, by a message and by a rescan
        except OSError as error:
            self._setting_aside.leave_alone(message.association, message.name, STORED)
            self._shared.repetitions.log(
                self._slot,
                f"clear_failed {error.errno}",
                "WARNING",
                "Registered entries cannot be removed from the spool: {reason}; retrying every minute",
                reason=error.strerror,
                action="clear_failed",
            )
            return False
        return True
