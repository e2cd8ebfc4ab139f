"""The storage worker: spool → final path, group sync, `.stored`; and the metadata files of its series.

It learns of work by messages and, after any death or restart, from the spool itself: a rescan finds what no message
told. It never waits for registration or inquiry; a hint that finds no room is dropped and counted, and the
registration worker rescans in its turn.
"""

import contextlib
import os
import select
import time

from loguru import logger

from oxidicom.errors import BootError, DatasetError
from oxidicom.records import Series
from oxidicom.storage.final_tree import FinalTree, links_work
from oxidicom.storage.group_sync import GroupSync
from oxidicom.storage.ledger import Ledger
from oxidicom.storage.names import RECEIVED, STORED, EntryName, NoteName
from oxidicom.storage.open_directories import OpenDirectories
from oxidicom.storage.paths import storage_worker_of
from oxidicom.storage.spool import associations, contents, describe_entry, end_for_the_dead, ledger_mtime_ns, ledger_of
from workers.asides import Asides
from workers.messages import MOST_IN_MESSAGE, AssociationEnded, Instance, InstancesStored, ProcessDied
from workers.notes import SeriesNotes
from workers.retries import Retries
from workers.scoreboard import Counter, Phase, Role, Slot, State
from workers.shared import Shared

_MOST_IN_GROUP = 256
_GATHER_SECONDS = 0.02
"""Under load groups are synced no more often than this."""
_WAIT_SECONDS = 1.0
_RESCAN_SECONDS = 10.0
_ADOPT_SECONDS = 60.0


class StorageWorker:
    """Stores the series whose hash leads to it, so that two versions of one file never race."""

    def __init__(self, shared: Shared, slot: Slot, index: int) -> None:
        self._shared = shared
        self._slot = slot
        self._index = index
        self._queue = shared.storage_queues[index]
        self._spool = shared.directory.spool
        self._retries: Retries[Instance] = Retries()
        self._untrusted: set[Instance] = set()
        """Entries whose sync failed: their pages may be marked clean without being on the disk."""
        self._asides = Asides(shared.directory, slot, Counter.INSTANCES_REJECTED, "instance_rejected")
        self._settled: dict[str, int] = {}
        """Directories of ended associations in which nothing is left to do for this worker, with the mtime of their
        ledgers: one that was finished and put back since is not settled."""
        self._in_order: set[str] = set()
        """Directories of associations that go on, which were looked into since the last death: all that comes to them
        is told by messages. Their ledgers may be long."""
        self._synced = 0.0
        self._rescan_due = 0.0
        self._adopt_due = time.monotonic() + _ADOPT_SECONDS

    def boot(self) -> None:
        """Open the final tree and try a hard link into it. Raise BootError."""
        self._tree = FinalTree(self._shared.settings.files_root, self._shared.directory.tmp)
        self._sync = GroupSync(self._spool)
        self._notes = SeriesNotes(self._shared, self._slot, self._index, self._tree)
        self._probe_links()

    def _probe_links(self) -> None:
        probe = os.path.join(self._spool, f".probe-{os.getpid()}")
        try:
            with open(probe, "wb"):
                pass
            if not links_work(probe, self._shared.settings.files_root):
                logger.warning(
                    "The storage has no hard links into SERVICES: every file is copied once more",
                    action="no_hard_links",
                )
        except OSError as error:
            raise BootError(f"the storage takes no files: {error.strerror} ({error.filename})") from error
        finally:
            with contextlib.suppress(OSError):
                os.unlink(probe)

    def run(self) -> None:
        """Store until the gateway flushes and nothing is left that can be done now."""
        poll = select.poll()
        poll.register(self._queue, select.POLLIN)
        poll.register(self._notes.answers, select.POLLIN)
        while True:
            self._rescan_if_due()
            self._slot.beat(State.WAITING)
            poll.poll(0 if self._retries.due() else _WAIT_SECONDS * 1000)
            self._slot.beat(State.WORKING)
            self._gather()
            self._notes.take_answers()
            worked = self._take_messages()
            self._store_again()
            self._notes.write_due()
            if not worked and self._shared.scoreboard.phase >= Phase.FLUSHING_STORAGE and not self._notes.waiting:
                return

    # -- messages ----------------------------------------------------------------------------------------------

    def _gather(self) -> None:
        """Let messages gather for a moment after the last group: to be woken by each costs more than to store it."""
        if self._queue.waiting_bytes:
            time.sleep(max(0.0, self._synced + _GATHER_SECONDS - time.monotonic()))

    def _take_messages(self) -> bool:
        """Take what is queued, up to one group, and store it. Return whether there was anything."""
        group: list[Instance] = []
        ended: list[str] = []
        worked = False
        while len(group) < _MOST_IN_GROUP and (message := self._queue.get()):
            match message:
                case Instance():
                    group.append(message)
                case AssociationEnded():
                    ended.append(message.association)
                case ProcessDied():
                    self._in_order.clear()
                    self._rescan_due = 0.0
            worked = True
        self._store(group)
        for association in ended:  # the queue keeps the order: their instances are in this group or came before
            self._notes.end(association)
        return worked

    # -- storing -----------------------------------------------------------------------------------------------

    def _store(self, group: list[Instance]) -> None:
        """Place, sync, rename to `.stored`, tell registration: in this order, a group at a time."""
        if not group:
            return
        self._slot.beat(State.SYNCING)  # a copy, where the storage has no links, may take its time too
        with OpenDirectories(self._spool) as directories:
            placed = [message for message in group if self._place(message, directories)]
            if self._make_durable(placed):
                self._tell_registration([message for message in placed if self._mark_stored(message, directories)])

    def _make_durable(self, placed: list[Instance]) -> bool:
        """Sync files and directories. Return whether they are safe: if not, none of them may be trusted."""
        if not placed:
            return False
        try:
            self._sync.sync([self._path(message) for message in placed])
            self._tree.sync_directories()
        except OSError as error:
            self._untrusted.update(placed)
            for message in placed:
                self._fail(message, error)
            return False
        self._synced = time.monotonic()
        return True

    def _place(self, message: Instance, directories: OpenDirectories) -> bool:
        self._notes.see(message)
        try:
            if self._untrusted and message in self._untrusted:
                self._tree.write_anew(self._path(message))
                self._untrusted.discard(message)
            self._tree.place(
                _name(message).at(RECEIVED), message.file.fname, source_directory=directories[message.association]
            )
        except OSError as error:
            if os.path.exists(self._path(message)):  # else it was taken up already: a message and a rescan told of it
                self._fail(message, error)
            return False
        return True

    def _mark_stored(self, message: Instance, directories: OpenDirectories) -> bool:
        name, beside = _name(message), directories[message.association]
        try:
            os.rename(name.at(RECEIVED), name.at(STORED), src_dir_fd=beside, dst_dir_fd=beside)
        except FileNotFoundError:
            return False  # the same entry twice in one group
        except OSError as error:
            self._fail(message, error)
            return False
        self._slot.add(Counter.INSTANCES_STORED)
        self._retries.forget(message)
        return True

    def _tell_registration(self, stored: list[Instance]) -> None:
        """Hand over a group in few messages: each costs two system calls, and the queue holds only so many."""
        for start in range(0, len(stored), MOST_IN_MESSAGE):
            message = InstancesStored(stored[start : start + MOST_IN_MESSAGE])
            if not self._shared.registration_queue.put(message):
                self._slot.add(Counter.HINTS_DROPPED)

    def _fail(self, message: Instance, error: OSError) -> None:
        """After Success nothing is given up: the entry stays, is tried again, and at last is set aside."""
        if self._retries.failed(message, error):
            logger.bind(association=message.association).warning(
                "Instance {number} cannot be stored: {reason}; it stays in the spool and is tried again",
                number=message.number,
                reason=error.strerror,
                action="store_failed",
            )
            return
        reason = f"cannot be stored: {error.strerror}"
        self._asides.set_aside(message.association, _name(message), RECEIVED, reason, message.file.fname)
        self._retries.forget(message)

    def _store_again(self) -> None:
        self._store(self._retries.take_due())

    def _path(self, message: Instance) -> str:
        return os.path.join(self._spool, message.association, _name(message).at(RECEIVED))

    # -- rescan ------------------------------------------------------------------------------------------------

    def _rescan_if_due(self) -> None:
        now = time.monotonic()
        if self._index == 0 and now >= self._adopt_due:
            self._adopt_due = now + _ADOPT_SECONDS
            self._adopt()
        if now >= self._rescan_due:
            self._rescan_due = now + _RESCAN_SECONDS
            self._rescan()

    def _adopt(self) -> None:
        adopted = self._shared.directory.adopt_orphans()
        if adopted:
            logger.warning(
                "Took over {count} associations of a gateway that is gone",
                count=adopted,
                action="spool_adopted",
            )
            self._rescan_due = 0.0

    def _rescan(self) -> None:
        """Find what no message told: after a death of this worker, of a listener, of a whole gateway."""
        directories = associations(self._spool)
        self._settled = {one: self._settled[one] for one in directories if one in self._settled}
        self._notes.keep_only({os.path.basename(directory) for directory in directories})
        self._in_order = {one for one in directories if one in self._in_order and self._has_listener(one)}
        for directory in directories:
            self._slot.beat(State.WORKING)
            try:
                if directory not in self._in_order and not self._is_settled(directory):
                    self._take_up(directory)
            except OSError as error:
                # A full or failing disk: this association waits for the next rescan, the others need not.
                logger.bind(association=os.path.basename(directory)).warning(
                    "An association cannot be taken up: {reason}", reason=error.strerror, action="take_up_failed"
                )

    def _is_settled(self, directory: str) -> bool:
        return directory in self._settled and self._settled[directory] == ledger_mtime_ns(directory)

    def _take_up(self, directory: str) -> None:
        # First the ledger: an entry that it does not count must not be registered and gone before it is counted.
        dead = end_for_the_dead(directory)
        if not dead and not self._has_listener(directory):
            self._rescan_due = 0.0  # another worker is ending it at this moment
            return
        # Then the notes: what is decided there is neither asked nor decided anew because of an instance.
        ledger = ledger_of(directory)
        if ledger:
            self._take_up_notes(directory, ledger)
        self._store_received(directory, dead)
        if ledger and dead:
            self._close(directory, ledger)
        elif not dead:
            self._in_order.add(directory)

    def _store_received(self, directory: str, dead: bool) -> None:
        names = self._received_in(directory)
        for start in range(0, len(names), _MOST_IN_GROUP):
            group = [self._describe(directory, name, dead) for name in names[start : start + _MOST_IN_GROUP]]
            self._store([message for message in group if message and not self._retries.knows(message)])

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
        association = os.path.basename(directory)
        return any(slot.association == association for slot in self._shared.scoreboard.of_role(Role.LISTENER))

    def _received_in(self, directory: str) -> list[EntryName]:
        """Return the entries in `directory` that are this worker's to store, in the order of their commits."""
        association = os.path.basename(directory)
        return sorted(
            name
            for name, state in contents(directory)
            if isinstance(name, EntryName)
            and state == RECEIVED
            and self._is_mine(name.series_hash)
            and not self._asides.leaves_alone(association, name, state)
        )

    def _describe(self, directory: str, name: EntryName, dead: bool) -> Instance | None:
        """Return what the message about an entry would have said; set it aside if it is damaged. Raise OSError."""
        self._slot.beat(State.WORKING)
        path = os.path.join(directory, name.at(RECEIVED))
        reason = "its size is not that of its name: it was cut off by a power failure"
        try:
            status = os.stat(path)
            if status.st_size == name.size_bytes:
                file = describe_entry(path).file
                return Instance(os.path.basename(directory), *name, status.st_mtime_ns, file)
            if not dead:
                return None  # its listener is about to write it
        except FileNotFoundError:
            return None  # it went on while we looked
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


def _name(message: Instance) -> EntryName:
    return EntryName(message.number, message.series_hash, message.size_bytes)
