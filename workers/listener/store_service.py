"""The store service (PS3.4, annex B) of one association: its instances, from the first byte to the answer.

Here is contract 1: Success means safe.
"""

import os
import sys
import time

from loguru import logger

from oxidicom.association.acceptor import Acceptor
from oxidicom.association.commands import StoreRequest
from oxidicom.dataset.describer import Describer
from oxidicom.dataset.part10 import build_file_meta
from oxidicom.errors import DatasetError
from oxidicom.records import Description
from oxidicom.spool.incoming import IncomingInstance
from oxidicom.spool.ledger import Started
from oxidicom.spool.names import EntryName
from oxidicom.spool.spool_writer import SpoolWriter
from oxidicom.statuses import Status
from oxidicom.storage.reserve import Reserve
from oxidicom.storage.trouble import sentence_of
from workers.channels.messages import AssociationEnded, Instance, ToStorage
from workers.channels.queues import Queue
from workers.channels.scoreboard import GatewayPhase, Histogram, ProcessState, Slot
from workers.channels.storage_condition import StorageCondition
from workers.listener.needs import ListenerNeeds
from workers.listener.store_account import StoreAccount

_WAIT_SECONDS = 1.0
_LEAST_INSTANCE_BYTES = 64 * 1024
"""What the smallest instance is counted as in the account of the free space: its inode is scarce too."""


class StoreService:
    """Takes the instances of one association. `account` tells what became of them."""

    def __init__(self, shared: ListenerNeeds, slot: Slot, acceptor: Acceptor, started: Started) -> None:
        self._shared = shared
        self._slot = slot
        self._acceptor = acceptor
        self._started = started
        self._spool_writer: SpoolWriter | None = None
        self._condition = StorageCondition(shared.scoreboard)
        self._told: dict[int, Queue[ToStorage]] = {}
        """The queues of the storage workers that got one of its series."""
        self._reserve = Reserve(shared.directory.spool, shared.settings.storage_reserve_bytes)
        self._describer = Describer(started.calling_ae_title)
        self._max_dataset_bytes = shared.settings.max_instance_bytes or sys.maxsize
        self._incoming: IncomingInstance | None = None
        self._refusal: DatasetError | None = None
        self._log = logger.bind(association=started.association)
        self._began_ns = 0
        self.account = StoreAccount(slot, started, shared.repetitions)

    def begin(self, request: StoreRequest) -> None:
        """A C-STORE-RQ has come: get ready for its dataset."""
        self.account.received += 1
        self._began_ns = time.monotonic_ns()
        self._refusal = None
        if request.affected_sop_class_uid != request.abstract_syntax_uid:
            self.account.tell_of_other_class(request)
        try:
            self._require_storage()
            self._reserve.use(_LEAST_INSTANCE_BYTES)
            file_meta = build_file_meta(
                sop_class_uid=request.affected_sop_class_uid,
                sop_instance_uid=request.affected_sop_instance_uid,
                transfer_syntax_uid=request.transfer_syntax_uid,
                calling_ae_title=self._started.calling_ae_title,
                our_ae_title=self._shared.settings.ae_title,
            )
            spool_writer = self._spool_writer or self._open_spool_writer()
            spool_writer.require_place()
            self._incoming = IncomingInstance(spool_writer, self._describer, file_meta, request.transfer_syntax_uid)
        except Exception as error:  # noqa: BLE001 (see `_fail`)
            self._fail(error)

    def _require_storage(self) -> None:
        """Refuse before anything is written where it would be no storage. Raise DatasetError."""
        if not self._condition.is_good:
            trouble = sentence_of(self._condition.trouble)
            raise DatasetError(trouble.capitalize(), Status.OUT_OF_RESOURCES)

    def _open_spool_writer(self) -> SpoolWriter:
        self._spool_writer = SpoolWriter(
            self._shared.directory.spool,
            self._started,
            durable=self._shared.settings.sync_before_success,
            now_ns=self._shared.storage_time_ns,
        )
        self.account.tell_of_shared_directory()
        return self._spool_writer

    def take(self, piece: memoryview) -> None:
        """Bytes of the dataset have come. They must stay as they are until `keep_or_flush_pieces` says no.

        Without room on the disk the instance is given up at once; what still comes of it is read and dropped.
        """
        incoming = self._incoming
        if incoming is None:
            return
        try:
            incoming.write(piece)
            self._reserve.use(len(piece))
            if incoming.dataset_bytes > self._max_dataset_bytes:
                # No A700: senders come again after that, and this one would be too long each time.
                raise DatasetError("Dataset is larger than CHRIS_SCP_MAX_INSTANCE_BYTES", Status.CANNOT_UNDERSTAND)
        except Exception as error:  # noqa: BLE001 (see `_fail`)
            self._fail(error)

    def keep_or_flush_pieces(self) -> bool:
        """Decide whether what was taken stays in the receive buffer, before more is received into it. Return whether.

        It does while it is little and there is room for more: an instance that comes whole is written in one piece.
        Else it is written out now. This is the one place where that is decided.
        """
        incoming = self._incoming
        if incoming is None or not incoming.dataset_bytes:
            return False
        if incoming.may_wait and self._acceptor.has_room:
            return True
        try:
            incoming.flush()
        except Exception as error:  # noqa: BLE001 (see `_fail`)
            self._fail(error)
        return False

    def finish(self, request: StoreRequest) -> None:
        """The dataset is complete. Commit → queue → respond: the order that makes Success mean safe.

        1. Commit: the complete file has its committed name in the spool, and the ledger counts it. From here on
           nothing that happens to any process loses it: every restart finds it by its name.
        2. Queue: its storage worker is told. This wait for room is the one place where a slow disk slows the peer.
           To die between 1 and 2 is safe: the dead listener's entries are taken up from the directory.
        3. Respond. To die between 2 and 3 makes the peer send the instance again, which replaces the file by an
           identical one and adds no row.

        No other order will do: to respond before 1 could lose an instance that the PACS then deletes, and to queue
        before 1 would announce an entry that is not there.
        """
        committed = self._commit(request)
        if committed:
            self._queue(*committed)
            self._acceptor.respond(request, Status.SUCCESS)
            self._slot.observe(Histogram.STORE_SECONDS, (time.monotonic_ns() - self._began_ns) / 1e9)
        else:
            refusal = self._refusal or DatasetError("Processing failure", Status.PROCESSING_FAILURE)
            self.account.add_refused(request, refusal.status, str(refusal), refusal.series_instance_uid)
            self._acceptor.respond(request, refusal.status, str(refusal)[:64], refusal.offending_tags)

    def _commit(self, request: StoreRequest) -> tuple[EntryName, int, Description] | None:
        """Commit the instance that has come, or remember why not and give its space back."""
        incoming = self._incoming
        if incoming is None:
            return None
        if self._shared.settings.sync_before_success:
            self._slot.beat(ProcessState.SYNCING)
        try:
            name, description = incoming.commit(request.affected_sop_class_uid, request.affected_sop_instance_uid)
        except Exception as error:  # noqa: BLE001 (see `_fail`)
            self._fail(error)
            return None
        self._incoming = None
        self.account.add_committed(name, description)
        return name, incoming.committed_ns, description

    def _queue(self, name: EntryName, committed_ns: int, description: Description) -> None:
        message = Instance(self._started.association, *name, committed_ns, description.file)
        queue = self._shared.storage_queue_of(name.series_hash)
        self._told[id(queue)] = queue
        self._put(queue, message)

    def refuse(self, request: StoreRequest, status: int, comment: str) -> None:
        """A C-STORE-RQ was answered for its command set alone; its dataset was dropped."""
        self.account.received += 1
        self.account.add_refused(request, status, comment)

    def _fail(self, error: Exception) -> None:
        """Give the instance up: for what it holds, for the disk, or for a bug of ours, which costs this one only."""
        match error:
            case DatasetError():
                self._give_up(error)
            case OSError():
                self._give_up(_refusal_by_spool(error))
            case _:
                name = type(error).__name__
                self._log.error("Unexpected {error}; the instance is refused", error=name, action="instance_failed")
                self._give_up(None)

    def _give_up(self, refusal: DatasetError | None) -> None:
        self._refusal = refusal
        if self._incoming:
            incoming, self._incoming = self._incoming, None
            incoming.discard()

    def end(self, how: str) -> None:
        """The association is over, `how` says how: drop what is unfinished, end the ledger, tell storage."""
        self._give_up(None)
        if self._spool_writer is None:
            return
        self.account.series = self._spool_writer.series
        self._spool_writer.end(how, self.account.refused.total())
        for queue in self._told.values():
            self._put(queue, AssociationEnded(self._started.association))

    def _put(self, queue: Queue[ToStorage], message: ToStorage) -> None:
        while not queue.put(message, _WAIT_SECONDS):
            self._slot.beat(ProcessState.WORKING)
            if self._shared.scoreboard.phase >= GatewayPhase.STOPPING:
                return  # it is in the spool: the next start takes it up


def _refusal_by_spool(error: OSError) -> DatasetError:
    """The disk does not take the instance. The status is transient: the sender may come again (PS3.4, B.2.3)."""
    reason = os.strerror(error.errno) if error.errno else "write error"
    return DatasetError(f"Spool: {reason}"[:64], Status.OUT_OF_RESOURCES)
