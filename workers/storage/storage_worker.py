"""The storage worker: spool → final path, group sync, `.stored`; and the metadata files of its series.

It learns of work by messages and, after any death or restart, from the spool itself: a rescan finds what no message
told. It never waits for registration or inquiry; a hint that finds no room is dropped and counted, and the
registration worker rescans in its turn.
"""

import contextlib
import itertools
import os
import select
import time
from collections.abc import Callable, Sequence

from loguru import logger

from oxidicom.files.directories import error_above
from oxidicom.files.open_directories import OpenDirectories
from oxidicom.files.regular_file import is_regular
from oxidicom.spool.ledger import LEDGER_NAME
from oxidicom.spool.names import RECEIVED, STORED
from oxidicom.tree.final_tree import FinalTree
from oxidicom.tree.group_sync import GroupSync
from workers.channels.messages import MAX_IN_MESSAGE, AssociationEnded, Instance, InstancesStored, ProcessDied
from workers.channels.scoreboard import Counter, GatewayPhase, ProcessState, Slot
from workers.channels.setting_aside import SettingAside, waits_for_next_rescan
from workers.channels.storage_condition import StorageCondition
from workers.storage.needs import StorageNeeds
from workers.storage.retries import Retries
from workers.storage.series_metadata import SeriesMetadata
from workers.storage.storage_rescan import MAX_IN_GROUP, StorageRescan
from workers.storage.tree_watch import TreeWatch

_GATHER_SECONDS = 0.02
"""Under load groups are synced no more often than this."""
_WAIT_SECONDS = 1.0
_MAX_NAMED = 10_000
"""So many associations are remembered of which the name is durable; that of one that is forgotten is synced again."""


class StorageWorker:
    """Stores the series whose hash leads to it, so that two versions of one file never race."""

    def __init__(self, shared: StorageNeeds, slot: Slot, index: int) -> None:
        """Try to place a file in the final tree. Raise BootError when the spool cannot be opened."""
        self._shared = shared
        self._slot = slot
        self._index = index
        self._queue = shared.storage_queues[index]
        self._spool = shared.directory.spool
        self._retries: Retries[Instance] = Retries(lambda message: message.identity)
        self._distrusted_ns = 0
        """What was committed up to this moment of the storage's clock is written anew: a sync after it failed, and the
        pages of any of them may be marked clean without being on the disk."""
        self._setting_aside = SettingAside(
            shared.directory, slot, Counter.INSTANCES_SET_ASIDE, "instance_set_aside", shared.repetitions, shared.facts
        )
        self._synced = 0.0
        self._named: dict[str, None] = {}
        """Directories of associations whose own names are durable."""
        self._sync = GroupSync(self._spool)
        condition = StorageCondition(self._shared.scoreboard)
        self._tree = FinalTree(
            self._shared.settings.files_root,
            self._shared.directory.tmp,
            self._shared.storage_time_ns,
            lambda: condition.tree_place,
        )
        with contextlib.suppress(OSError):
            self._tree.clear()
        self._watch = TreeWatch(self._tree, self._spool, self._slot, condition)
        self._metadata = SeriesMetadata(self._shared, self._slot, self._index, self._tree, self._watch)
        self._rescan = StorageRescan(
            self._shared, self._slot, self._index, self._metadata, self._setting_aside, self._retries
        )
        if self._watch.look() and not self._watch.has_links:
            logger.warning(
                "The storage does not support hard links into SERVICES, so every file is copied once more",
                action="no_hard_links",
            )

    def run(self) -> None:
        """Store until the gateway flushes and nothing is left that can be done now."""
        poll = select.poll()
        poll.register(self._queue, select.POLLIN)
        poll.register(self._metadata.answers, select.POLLIN)
        while True:
            self._look_at_tree()
            self._rescan.run_if_due(self._store)
            self._slot.beat(ProcessState.WAITING)
            poll.poll(self._pause_seconds * 1000)
            self._shared.repetitions.tell_rest()
            self._slot.beat(ProcessState.WORKING)
            self._gather()
            self._metadata.take_answers()
            worked = self._take_messages()
            self._store_again()
            self._metadata.write_due()
            is_done = not self._metadata.waiting or not self._watch.takes_files
            if not worked and self._shared.scoreboard.phase >= GatewayPhase.FLUSHING_STORAGE and is_done:
                return

    @property
    def _pause_seconds(self) -> float:
        """How long messages are waited for."""
        return 0.0 if self._watch.takes_files and self._retries.is_due else _WAIT_SECONDS

    def _look_at_tree(self) -> None:
        """While the tree takes nothing, nothing is tried; what waits in the spool is found when it does again."""
        if not self._watch.takes_files and self._watch.look():
            self._rescan.somebody_died()

    def _gather(self) -> None:
        """Let messages gather for a moment after the last group: to be woken by each costs more than to store it."""
        if self._queue.waiting_bytes:
            time.sleep(max(0.0, self._synced + _GATHER_SECONDS - time.monotonic()))

    def _take_messages(self) -> bool:
        """Take what is queued, up to one group, and store it. Return whether there was anything."""
        group: list[Instance] = []
        ended: list[str] = []
        while len(group) < MAX_IN_GROUP and (message := self._queue.get()):
            match message:
                case Instance():
                    group.append(message)
                case AssociationEnded():
                    ended.append(message.association)
                case ProcessDied():
                    self._rescan.somebody_died()
        self._store(group)
        for association in ended:  # the queue keeps the order: their instances are in this group or came before
            self._end(association)
        return bool(group or ended)

    def _end(self, association: str) -> None:
        try:
            self._metadata.end(association)
        except OSError as error:  # its ledger cannot be read just now
            waits_for_next_rescan(os.path.join(self._spool, association), error)
            self._rescan.look_again(association)

    def _store(self, group: list[Instance]) -> None:
        """Sync, place, sync the names, rename to `.stored`, tell registration: in this order, a group at a time.

        The data first: a power failure must leave no name below SERVICES without it.
        """
        if not group:
            return
        if not self._watch.takes_files:
            for message in group:
                self._rescan.look_again(message.association)
            return
        self._slot.beat(ProcessState.SYNCING)  # a copy, where the storage has no links, may take its time too
        self._tree.doubt()
        with OpenDirectories(self._spool) as directories:
            there = [message for message in group if self._renew(message)]
            durable = self._make_durable(there, self._sync_spool)
            placed = [message for message in durable if self._place(message, directories)]
            named = self._make_durable(placed, self._sync_tree)
            self._tell_registration([message for message in named if self._mark_stored(message, directories)])

    def _make_durable(
        self, group: list[Instance], sync: Callable[[list[Instance]], list[OSError | None]]
    ) -> list[Instance]:
        """Sync what a group consists of. Return those that are safe; what is not is tried again."""
        if not group:
            return []
        errors: Sequence[OSError | None]
        try:
            errors = sync(group)
            self._synced = time.monotonic()
        except OSError as error_of_all:
            errors = [error_of_all] * len(group)
        if any(error and not isinstance(error, FileNotFoundError) for error in errors):  # which is no fault of the disk
            self._distrusted_ns = self._shared.storage_time_ns()
        for message, error in zip(group, errors, strict=True):
            if error:
                self._fail(message, error)
        return [message for message, error in zip(group, errors, strict=True) if not error]

    def _sync_tree(self, group: list[Instance]) -> list[OSError | None]:
        """Sync the names of what was placed. Return the error of each, or None where it is durable."""
        failed = self._tree.sync_directories()
        return [error_above(message.file.fname, failed) if failed else None for message in group]

    def _sync_spool(self, group: list[Instance]) -> list[OSError | None]:
        """Sync entries, with them the directories of their associations and the ledgers, which know how many there are.

        Return the error of each, or None where all of it is durable. Raise OSError when nothing of the group is known
        to be.
        """
        spooled = {os.path.join(self._spool, message.association) for message in group}
        ledgers = [os.path.join(one, LEDGER_NAME) for one in spooled if _has_ledger(one)]
        unnamed = [self._spool] if spooled - self._named.keys() else []
        others = [*ledgers, *spooled, *unnamed]
        failed = self._sync.sync(len(group) + len(others), itertools.chain(map(self._path, group), others))
        if self._spool not in failed:
            self._note_named(spooled)
        # A ledger counts for all of its association, as the directory does.
        failed |= {os.path.dirname(ledger): failed[ledger] for ledger in ledgers if ledger in failed}
        return [error_above(self._path(message), failed) if failed else None for message in group]

    def _note_named(self, spooled: set[str]) -> None:
        self._named.update(dict.fromkeys(spooled))
        while len(self._named) > _MAX_NAMED:
            del self._named[next(iter(self._named))]

    def _renew(self, message: Instance) -> bool:
        """See that an entry is there, written anew if a sync after it failed. Return whether it can be placed."""
        try:
            if message.committed_ns <= self._distrusted_ns:
                self._tree.write_anew(self._path(message))
        except OSError as error:
            if not self._is_gone(message):
                self._fail(message, error)
                return False
        if self._is_gone(message):
            self._retries.forget(message)
            return False
        return True

    def _place(self, message: Instance, directories: OpenDirectories) -> bool:
        try:
            source_directory = directories[message.association]
            self._tree.place(message.name.at(RECEIVED), message.file.fname, source_directory=source_directory)
        except OSError as error:
            if self._is_gone(message):
                self._retries.forget(message)
            else:
                self._fail(message, error)
            return False
        except Exception as error:  # noqa: BLE001 (a bug of ours costs this one)
            self._meet_bug(message, error)
            return False
        self._metadata.see(message)
        return True

    def _is_gone(self, message: Instance) -> bool:
        """Tell whether an entry is no longer there; what somebody put in its place is none of ours."""
        try:
            return not is_regular(self._path(message))
        except OSError:
            return False  # the disk does not say

    def _meet_bug(self, message: Instance, error: Exception) -> None:
        self._setting_aside.unexpected(message.association, message.name, RECEIVED, error, message.file.fname)
        self._leave_to_rescan(message)

    def _leave_to_rescan(self, message: Instance) -> None:
        """Nothing is remembered of what is set aside; what could not be is found in the spool again."""
        if self._setting_aside.leaves_alone(message.association, message.name, RECEIVED):
            self._rescan.look_again(message.association)
        self._retries.forget(message)

    def _mark_stored(self, message: Instance, directories: OpenDirectories) -> bool:
        try:
            directory = directories[message.association]
            os.rename(message.name.at(RECEIVED), message.name.at(STORED), src_dir_fd=directory, dst_dir_fd=directory)
        except FileNotFoundError:
            self._retries.forget(message)  # the same entry twice in one group
            return False
        except OSError as error:
            self._fail(message, error)
            return False
        self._slot.add(Counter.INSTANCES_STORED)
        self._retries.forget(message)
        return True

    def _tell_registration(self, stored: list[Instance]) -> None:
        """Hand over a group in few messages: each costs two system calls, and the queue holds only so many."""
        for start in range(0, len(stored), MAX_IN_MESSAGE):
            message = InstancesStored(stored[start : start + MAX_IN_MESSAGE])
            self._shared.hint_registration(self._slot, message)

    def _fail(self, message: Instance, error: OSError) -> None:
        """After Success nothing is given up: the entry stays, is tried again, and at last is set aside."""
        if not self._watch.look():
            self._rescan.look_again(message.association)
            return  # it is the tree that takes nothing
        if self._retries.failed(message, error):
            if not self._retries.knows(message):
                self._rescan.look_again(message.association)
            self._shared.repetitions.log(
                self._slot,
                f"store_failed {error.errno}",  # a full disk meets every instance
                "WARNING",
                "Instance {number} cannot be stored: {reason}; it stays in the spool and will be tried again",
                association=message.association,
                number=message.number,
                reason=error.strerror,
                action="store_failed",
            )
            return
        reason = f"cannot be stored: {error.strerror}"
        self._setting_aside.set_aside(message.association, message.name, RECEIVED, reason, message.file.fname)
        self._leave_to_rescan(message)

    def _store_again(self) -> None:
        self._store(self._retries.due())

    def _path(self, message: Instance) -> str:
        return os.path.join(self._spool, message.association, message.name.at(RECEIVED))


def _has_ledger(directory: str) -> bool:
    """Tell whether an association has a ledger: it may be lost, or something that is no file may stand in its place."""
    try:
        return is_regular(os.path.join(directory, LEDGER_NAME))
    except OSError:
        return False  # the sync of the directory meets the same trouble
