"""One association, from the accepted connection to its closing line: the shell around the sans-I/O acceptor.

The socket is blocking, with waits of at most a second, so that the heartbeat goes on and every deadline is kept.
"""

import collections
import contextlib
import socket
import time
from collections.abc import Sequence

from loguru import logger
from ulid import ULID

from oxidicom.association.acceptor import Acceptor, State
from oxidicom.association.commands import StoreRequest
from oxidicom.association.events import (
    Aborted,
    AssociationAccepted,
    AssociationRejected,
    ConnectionLost,
    DataEnded,
    DataReceived,
    Echoed,
    Event,
    ProtocolViolated,
    ReleaseRequested,
    RequestUnrecognized,
    StoreRefused,
    StoreRequested,
)
from oxidicom.association.negotiation import AcceptancePolicy
from oxidicom.association.statuses import Status
from oxidicom.dataset.part10 import build_file_meta
from oxidicom.errors import DatasetError
from oxidicom.records import Description
from oxidicom.storage.incoming import IncomingInstance
from oxidicom.storage.ledger import Started
from oxidicom.storage.names import EntryName
from oxidicom.storage.spool import Reception
from workers.messages import AssociationEnded, InstanceReceived
from workers.scoreboard import Counter, Phase, Slot
from workers.scoreboard import State as WorkerState
from workers.shared import Shared

_WAIT_SECONDS = 1.0
_CLOSE_SECONDS = 1.0
"""How long the peer has to close the connection after the release (ARTIM, PS3.8, 9.1.5): it only costs a listener."""


class _Over(Exception):  # noqa: N818 (no error: the normal way out of the receiving loop)
    """The association is over; the argument says how."""


class Association:
    """Serves one connection."""

    def __init__(self, shared: Shared, slot: Slot, connection: socket.socket, peer: str) -> None:
        settings = shared.settings
        self._shared = shared
        self._slot = slot
        self._connection = connection
        self._peer = peer
        self._ulid = str(ULID())
        self._acceptor = Acceptor(
            AcceptancePolicy(
                ae_title=settings.ae_title,
                max_pdu_length=settings.max_pdu_length_bytes,
                strict=settings.strict,
                uncompressed_only=settings.uncompressed_only,
            )
        )
        self._calling_ae_title = ""
        self._called_ae_title = ""
        self._reception: Reception | None = None
        self._incoming: IncomingInstance | None = None
        self._refusal: DatasetError | None = None
        self._began = time.monotonic()
        self._received = 0
        self._committed = 0
        self._committed_bytes = 0
        self._refused: collections.Counter[int] = collections.Counter()
        self._log = logger.bind(association=self._ulid)

    def serve(self) -> None:
        """Serve the association to its end. Never raises for anything that the peer does."""
        how = "listener failed"
        try:
            how = self._converse()
        finally:
            self._close()
            self._end(how)

    # -- the conversation ------------------------------------------------------------------------------------

    def _converse(self) -> str:
        try:
            while True:
                count = self._receive()
                for event in self._acceptor.received(count):
                    self._handle(event)
                self._flush_incoming()  # its pieces lie in the buffer that is filled next
                self._send(self._acceptor.bytes_to_send())
        except _Over as over:
            with contextlib.suppress(OSError, _Over):
                self._send(self._acceptor.bytes_to_send())
            return str(over)
        except OSError as error:
            return f"connection lost ({error.strerror or error})"

    def _receive(self) -> int:
        """Put the next bytes into the acceptor's buffer; return how many, 0 at the end of file."""
        silent_since = time.monotonic()
        while True:
            self._keep_alive()
            try:
                return self._connection.recv_into(self._acceptor.writable())
            except TimeoutError:
                self._check_deadline(silent_since)
            except ConnectionError:
                return 0

    def _keep_alive(self) -> None:
        self._slot.beat(WorkerState.WORKING)
        if self._shared.scoreboard.phase >= Phase.ABORTING_ASSOCIATIONS:
            self._acceptor.abort()
            raise _Over("gateway stopped")

    def _check_deadline(self, silent_since: float) -> None:
        settings = self._shared.settings
        if self._acceptor.state is State.AWAITING_REQUEST:
            since, limit_seconds, what = (
                self._began,
                settings.association_request_seconds,
                "association request",
            )
        elif self._acceptor.inside_pdu or self._incoming:
            since, limit_seconds, what = silent_since, settings.stall_seconds, "rest of a message"
        else:
            since, limit_seconds, what = silent_since, settings.idle_seconds, "next message"
        if time.monotonic() - since > limit_seconds:
            self._acceptor.abort()
            raise _Over(f"deadline: no {what} within {limit_seconds:g} s")

    def _send(self, data: bytes) -> None:
        """Send all of `data`. `sendall` with a timeout loses count of what went out, so the offset is kept here."""
        offset = 0
        silent_since = time.monotonic()
        view = memoryview(data)
        while offset < len(data):
            try:
                offset += self._connection.send(view[offset:])
                silent_since = time.monotonic()
            except TimeoutError:
                self._slot.beat(WorkerState.WORKING)
                if time.monotonic() - silent_since > self._shared.settings.stall_seconds:
                    raise _Over("deadline: the peer takes no answer") from None

    # -- events ----------------------------------------------------------------------------------------------

    def _handle(self, event: Event) -> None:
        match event:
            case DataReceived():
                self._take_piece(event.piece)
            case StoreRequested():
                self._begin_instance(event.request)
            case DataEnded():
                self._finish_instance(event.request)
            case StoreRefused():
                self._note_refusal(event.status)
            case AssociationAccepted():
                self._accepted(event)
            case AssociationRejected():
                self._rejected(event)
            case Echoed():
                self._log.debug("C-ECHO answered", action="echoed")
            case RequestUnrecognized():
                self._log.warning(
                    "{ae_title} sent a request that this gateway does not serve",
                    ae_title=self._calling_ae_title,
                    command_field=f"{event.command_field:04X}H",
                    action="request_unrecognized",
                )
            case ReleaseRequested():
                raise _Over("released")
            case Aborted():
                raise _Over(f"aborted by the peer (source {event.source}, reason {event.reason})")
            case ConnectionLost():
                raise _Over("connection lost")
            case ProtocolViolated():
                raise _Over(f"protocol violated: {event.error}")

    def _accepted(self, event: AssociationAccepted) -> None:
        self._calling_ae_title = event.request.calling_ae_title
        self._called_ae_title = event.request.called_ae_title
        self._slot.hold(self._ulid, self._calling_ae_title)
        self._slot.add(Counter.ASSOCIATIONS_ACCEPTED)
        self._log.debug(
            "Association with {ae_title} accepted",
            ae_title=self._calling_ae_title,
            peer=self._peer,
            action="association_accepted",
        )

    def _rejected(self, event: AssociationRejected) -> None:
        self._slot.add(Counter.ASSOCIATIONS_REJECTED)
        self._calling_ae_title = event.request.calling_ae_title
        raise _Over(f"rejected: {event.reason}")

    # -- instances -------------------------------------------------------------------------------------------

    def _begin_instance(self, request: StoreRequest) -> None:
        self._received += 1
        self._refusal = None
        file_meta = build_file_meta(
            sop_class_uid=request.affected_sop_class_uid,
            sop_instance_uid=request.affected_sop_instance_uid,
            transfer_syntax_uid=request.transfer_syntax_uid,
            calling_ae_title=self._calling_ae_title,
            our_ae_title=self._shared.settings.ae_title,
        )
        try:
            self._incoming = IncomingInstance(self._open_reception(), file_meta, request.transfer_syntax_uid)
        except OSError as error:
            self._refuse_for(error)

    def _open_reception(self) -> Reception:
        if self._reception is None:
            started = Started(self._ulid, self._calling_ae_title, self._called_ae_title, self._peer)
            self._reception = Reception(self._shared.directory.spool, started)
        return self._reception

    def _take_piece(self, piece: memoryview) -> None:
        if self._incoming:
            try:
                self._incoming.write(piece)
            except OSError as error:
                self._refuse_for(error)

    def _flush_incoming(self) -> None:
        if self._incoming:
            try:
                self._incoming.flush()
            except OSError as error:
                self._refuse_for(error)

    def _refuse_for(self, error: OSError) -> None:
        """The disk does not take the instance: what still comes of it is read and dropped."""
        reason = f"Spool: {error.strerror or 'write error'}"[:64]
        self._log.error(
            "The spool does not take an instance: {reason}",
            reason=error.strerror,
            action="spool_write_failed",
        )
        self._drop_incoming(DatasetError(reason, Status.OUT_OF_RESOURCES))

    def _drop_incoming(self, refusal: DatasetError | None) -> None:
        self._refusal = refusal
        if self._incoming:
            incoming, self._incoming = self._incoming, None
            incoming.discard()

    def _finish_instance(self, request: StoreRequest) -> None:
        """Commit → queue → respond: the order that makes Success mean safe.

        1. Commit: the complete file takes its committed name in the spool, and the ledger counts it. From here on
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
        else:
            refusal = self._refusal or DatasetError("Processing failure", Status.PROCESSING_FAILURE)
            self._note_refusal(refusal.status, refusal)
            self._acceptor.respond(request, refusal.status, str(refusal)[:64], refusal.offending_tags)

    def _commit(self, request: StoreRequest) -> tuple[EntryName, Description] | None:
        """Commit the instance that has come, or remember why not and give its space back."""
        if self._incoming is None:
            return None
        try:
            name, description = self._incoming.commit(
                self._calling_ae_title, request.affected_sop_class_uid, request.affected_sop_instance_uid
            )
        except DatasetError as error:
            self._drop_incoming(error)
            return None
        except OSError as error:
            self._refuse_for(error)
            return None
        self._incoming = None
        self._committed += 1
        self._committed_bytes += name.size_bytes
        self._slot.add(Counter.INSTANCES_COMMITTED)
        self._slot.add(Counter.BYTES_COMMITTED, name.size_bytes)
        for warning in description.warnings:
            self._log.warning(
                "Instance {number}: {warning}", number=name.number, warning=warning, action="value_mended"
            )
        return name, description

    def _queue(self, name: EntryName, description: Description) -> None:
        queue = self._shared.storage_queue_of(name.series_hash)
        message = InstanceReceived(self._ulid, name.number, name.series_hash, name.size_bytes, description.file)
        while not queue.put(message, _WAIT_SECONDS):
            self._slot.beat(WorkerState.WORKING)
            if self._shared.scoreboard.phase >= Phase.STOPPING:
                return  # committed: the next start takes it up

    def _note_refusal(self, status: int, error: DatasetError | None = None) -> None:
        if error is None:  # refused by its command alone: it was never begun
            self._received += 1
        self._refused[status] += 1
        self._slot.add(Counter.INSTANCES_REFUSED)
        self._log.warning(
            "An instance of {ae_title} was refused: {reason}",
            ae_title=self._calling_ae_title,
            reason=str(error) if error else "its command cannot be served",
            status=f"{status:04X}",
            action="instance_refused",
        )

    # -- the end ---------------------------------------------------------------------------------------------

    def _close(self) -> None:
        """Half-close, let the peer read what was sent, close: to close at once could reset its last answer away."""
        with contextlib.suppress(OSError):
            self._connection.shutdown(socket.SHUT_WR)
            self._connection.settimeout(_CLOSE_SECONDS)
            deadline = time.monotonic() + _CLOSE_SECONDS
            while self._connection.recv(65536) and time.monotonic() < deadline:
                pass
        self._connection.close()

    def _end(self, how: str) -> None:
        self._drop_incoming(None)
        series = self._reception.series_hashes() if self._reception else []
        if self._reception:
            self._reception.end(how)
            self._tell_storage(series)
        self._slot.hold("", "")
        self._account(how, len(series))

    def _tell_storage(self, series: Sequence[str]) -> None:
        queues = {id(queue): queue for queue in map(self._shared.storage_queue_of, series)}
        for queue in queues.values():
            while not queue.put(AssociationEnded(self._ulid), _WAIT_SECONDS):
                self._slot.beat(WorkerState.WORKING)
                if self._shared.scoreboard.phase >= Phase.STOPPING:
                    return

    def _account(self, how: str, series: int) -> None:
        seconds = time.monotonic() - self._began
        if not self._acceptor.request:
            # A probe of a load balancer, a port scan, a browser: no DICOM association ever began.
            level = "DEBUG" if how == "connection lost" else "INFO"
            self._log.log(
                level,
                "Connection from {peer} ended: {how}",
                peer=self._peer,
                how=how,
                action="no_association",
            )
            return
        if how != "released":
            self._slot.add(Counter.ASSOCIATIONS_ABORTED)
        self._log.info(
            "Association with {calling_ae_title} ended ({how}): {received} instances received, {committed} committed, "
            "{refused_total} refused",
            calling_ae_title=self._calling_ae_title,
            peer=self._peer,
            how=how,
            received=self._received,
            committed=self._committed,
            refused_total=self._refused.total(),
            refused={f"{status:04X}": count for status, count in self._refused.items()},
            bytes=self._committed_bytes,
            seconds=round(seconds, 3),
            megabytes_per_second=round(self._committed_bytes / 1e6 / max(seconds, 1e-6), 1),
            series=series,
            action="association_ended",
        )
