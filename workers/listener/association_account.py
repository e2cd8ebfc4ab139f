"""The account of an association: the lines of the log that say what became of it, and what the observer is told."""

import dataclasses
import time
from collections.abc import Iterator, Sequence

from loguru import logger

from oxidicom.association.associate import AnsweredContext, AssociationRequest
from oxidicom.association.context_report import report_contexts
from workers.channels.ending import Ending, EndKind
from workers.channels.facts import (
    MAX_SERIES_COUNTS,
    AssociationFinished,
    HistoryFact,
    InstancesRefused,
    SeriesReceived,
)
from workers.channels.repetitions import Repetitions
from workers.channels.scoreboard import Slot
from workers.listener.connections import Peer
from workers.listener.rejection import Rejection
from workers.listener.store_account import StoreAccount


@dataclasses.dataclass
class AssociationAccount:
    """What is known of a connection, filled in as it is learnt."""

    ulid: str
    peer: Peer
    repetitions: Repetitions
    slot: Slot
    titles: tuple[str, str] | None = None
    """Calling and called AE title. None: a connection without a request, such as a probe, is no association."""
    contexts: Sequence[AnsweredContext] = ()
    rejection: Rejection | None = None
    """Why it was rejected, if it was."""
    tls: str | None = None
    """The version of TLS, if there is TLS."""
    began: float = dataclasses.field(default_factory=time.monotonic)
    began_ns: int = dataclasses.field(default_factory=time.time_ns)

    def ask(self, request: AssociationRequest) -> None:
        """Note who asks. The request itself, which may have a megabyte of proposals, is not kept."""
        self.titles = request.calling_ae_title, request.called_ae_title

    def facts(self, ending: Ending, stored: StoreAccount | None) -> Iterator[HistoryFact]:
        """Yield what the observer is told; nothing if there was no request. Without `stored` it was rejected."""
        if self.titles is None:
            return
        yield self._finished(ending, self.titles, stored)
        if stored is None:
            return
        if refusals := stored.refusals.listed():
            yield InstancesRefused(self.ulid, refusals)
        counts = stored.counts.listed()
        for start in range(0, len(counts), MAX_SERIES_COUNTS):
            yield SeriesReceived(self.ulid, list(counts[start : start + MAX_SERIES_COUNTS]))

    def _finished(self, ending: Ending, titles: tuple[str, str], stored: StoreAccount | None) -> AssociationFinished:
        accepted = sum(context.is_accepted for context in self.contexts)
        return AssociationFinished(
            association=self.ulid,
            began_ns=self.began_ns,
            ended_ns=time.time_ns(),
            peer_address=self.peer.address,
            peer_port=self.peer.port,
            calling_ae_title=titles[0],
            called_ae_title=titles[1],
            contexts_accepted=accepted,
            contexts_rejected=len(self.contexts) - accepted,
            received=stored.received if stored else 0,
            committed=stored.committed if stored else 0,
            bytes=stored.committed_bytes if stored else 0,
            series=stored.series if stored else 0,
            refused=_by_code(stored) if stored else {},
            ending=ending,
            remarks=stored.remarks if stored else [],
            warned=stored.warned if stored else 0,
            tls=self.tls or "",
            explanation=str(self.rejection or ""),
        )

    def tell_of_contexts(self, request: AssociationRequest) -> None:
        """Write one line about what was proposed in vain, if anything was; for most associations there is none."""
        if report := report_contexts(request.contexts, self.contexts):
            self.repetitions.log(
                self.slot,
                f"{request.calling_ae_title} {self.peer.address} {report.refused}",
                "WARNING" if report.is_trouble else "INFO",
                "{calling_ae_title} proposed {proposed} presentation contexts, {accepted} were accepted; "
                "not accepted: {reason}",
                association=self.ulid,
                peer=str(self.peer),
                calling_ae_title=request.calling_ae_title,
                called_ae_title=request.called_ae_title,
                proposed=report.proposed,
                accepted=report.accepted,
                reason=report.refused,
                action="contexts_refused",
            )

    def tell_of_unrecognized(self, command_field: int) -> None:
        """Say that the peer asked for a service that there is none of here."""
        calling_ae_title = self.titles[0] if self.titles else ""
        self.repetitions.log(
            self.slot,
            f"{calling_ae_title} {self.peer.address} {command_field}",
            "WARNING",
            "{calling_ae_title} asks for a service that this gateway does not offer (command {command_field})",
            association=self.ulid,
            peer=str(self.peer),
            calling_ae_title=calling_ae_title,
            command_field=f"{command_field:04X}H",
            action="request_unrecognized",
        )

    def write_line(self, ending: Ending, stored: StoreAccount | None) -> None:
        """Write the one line that accounts for its end."""
        if self.titles is None or (stored is None and self.rejection is None):
            write_connection_line(self.repetitions, self.slot, self.peer, ending, self.ulid)
        elif stored is None:
            assert self.rejection
            write_rejection(self.repetitions, self.slot, self.peer, self.titles, self.rejection, self.ulid)
        else:
            self._write_end(self.titles, ending, stored)

    def _write_end(self, titles: tuple[str, str], ending: Ending, stored: StoreAccount) -> None:
        seconds = time.monotonic() - self.began
        logger.bind(association=self.ulid).info(
            "Association from {calling_ae_title} ended after {seconds} s ({how}). Instances: {received} received, "
            "{committed} committed, {refused} refused",
            calling_ae_title=titles[0],
            called_ae_title=titles[1],
            peer=str(self.peer),
            how=str(ending),
            received=stored.received,
            committed=stored.committed,
            refused=stored.refused.total(),
            refused_by_status=_by_code(stored),
            bytes=stored.committed_bytes,
            seconds=round(seconds, 3),
            megabytes_per_second=round(stored.committed_bytes / 1e6 / max(seconds, 1e-6), 1),
            series=stored.series,
            tls=self.tls or "no",
            action="association_ended",
        )


def write_rejection(
    repetitions: Repetitions,
    slot: Slot,
    peer: Peer,
    titles: tuple[str, str],
    rejection: Rejection,
    association: str,
) -> None:
    """Write the line about an association that was rejected. `titles`: calling and called."""
    repetitions.log(
        slot,
        f"{titles[0]} {peer.address} {rejection.reason}",
        "WARNING",
        "Association from {calling_ae_title} ({peer}) to {called_ae_title} rejected: {reason}. To do: {remedy}",
        association=association,
        peer=str(peer),
        calling_ae_title=titles[0],
        called_ae_title=titles[1],
        reason=rejection.reason,
        remedy=rejection.remedy,
        action="association_rejected",
    )


def write_connection_line(
    repetitions: Repetitions, slot: Slot, peer: Peer, ending: Ending, association: str = ""
) -> None:
    """Write the line about a connection that ended without a request: a port scan, a browser.

    Load balancers and monitors, whose probes come by the second, just close it: that is no news.
    """
    bound = {"association": association} if association else {}
    fields = {**bound, "peer": str(peer), "how": str(ending), "action": "no_association"}
    message = "Connection from {peer} ended without an association: {how}"
    if ending.kind is EndKind.CONNECTION_LOST:
        logger.debug(message, **fields)
    else:
        repetitions.log(slot, f"{peer.network} {ending}", "INFO", message, **fields)


def _by_code(stored: StoreAccount) -> dict[str, int]:
    return {f"{status:04X}": count for status, count in stored.refused.items()}
