"""The account of an association: the one line of the log that says what became of it, and what the observer is told."""

import dataclasses
import time
from collections.abc import Iterator, Sequence

from loguru import logger

from oxidicom.association.associate import AnsweredContext, AssociationRequest
from workers.channels.ending import Ending, EndKind
from workers.channels.facts import (
    MAX_SERIES_COUNTS,
    AssociationFinished,
    HistoryFact,
    InstancesRefused,
    SeriesReceived,
)
from workers.listener.connections import Peer
from workers.listener.store_account import StoreAccount


@dataclasses.dataclass
class AssociationAccount:
    """What is known of a connection, filled in as it is learnt."""

    ulid: str
    peer: Peer
    titles: tuple[str, str] | None = None
    """Calling and called AE title. None: a connection without a request, such as a probe, is no association."""
    contexts: Sequence[AnsweredContext] = ()
    tls: str | None = None
    """The version of TLS, if there is TLS."""
    is_news: bool = True
    """Whether one more connection without an association is worth a line at INFO."""
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
        )

    def write_line(self, ending: Ending, stored: StoreAccount | None) -> None:
        """Write the one line that accounts for it."""
        titles = self.titles
        if titles is None or stored is None:
            # A port scan, a browser, a rejected request; or a load balancer, whose probes come by the second.
            is_news = self.is_news and ending.kind is not EndKind.CONNECTION_LOST
            write_connection_line(self.peer, ending, is_news=is_news, association=self.ulid)
            return
        seconds = time.monotonic() - self.began
        logger.bind(association=self.ulid).info(
            "Association with {calling_ae_title} ended ({how}): {received} instances received, {committed} committed, "
            "{refused_total} refused",
            calling_ae_title=titles[0],
            peer=str(self.peer),
            how=str(ending),
            received=stored.received,
            committed=stored.committed,
            refused_total=stored.refused.total(),
            refused=_by_code(stored),
            bytes=stored.committed_bytes,
            seconds=round(seconds, 3),
            megabytes_per_second=round(stored.committed_bytes / 1e6 / max(seconds, 1e-6), 1),
            series=stored.series,
            tls=self.tls or "no",
            action="association_ended",
        )


def write_connection_line(peer: Peer, ending: Ending, *, is_news: bool = True, association: str = "") -> None:
    """Write the line about a connection that ended without an association."""
    logger.bind(**({"association": association} if association else {})).log(
        "INFO" if is_news else "DEBUG",
        "Connection from {peer} ended without an association: {how}",
        peer=str(peer),
        how=str(ending),
        action="no_association",
    )


def _by_code(stored: StoreAccount) -> dict[str, int]:
    return {f"{status:04X}": count for status, count in stored.refused.items()}
