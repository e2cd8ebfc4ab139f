"""What became of the instances of one association: counted, logged, and remembered for its trace."""

import collections
import time

from oxidicom.association.commands import StoreRequest
from oxidicom.association.syntaxes import name_of_uid
from oxidicom.association.uids import shown_uid
from oxidicom.paths.final_path import sanitize
from oxidicom.records import Description
from oxidicom.spool.ledger import Started
from oxidicom.spool.names import EntryName
from oxidicom.statuses import Status
from workers.channels.facts import Remark
from workers.channels.outcomes import REFUSED_WITH
from workers.channels.repetitions import Repetitions
from workers.channels.scoreboard import Counter, Slot
from workers.listener.store_counts import Refusals, SeriesCounts

_MAX_REMARKS = 50
"""So many refusals and warnings are told to the observer."""
_MAX_ALIKE = 10
"""Of these, so many with the same words."""


class StoreAccount:
    """The account of one association."""

    def __init__(self, slot: Slot, started: Started, repetitions: Repetitions) -> None:
        self._slot = slot
        self._started = started
        self._repetitions = repetitions
        self.received = 0
        self.committed = 0
        self.committed_bytes = 0
        self.series = 0
        """Number of series that have a committed instance; known at the end."""
        self.refused: collections.Counter[int] = collections.Counter()
        """Number of refused instances by status."""
        self.warned = 0
        """Number of committed instances with a warning."""
        self.remarks: list[Remark] = []
        """Refused instances and warnings, for the trace."""
        self.refusals = Refusals()
        self.counts = SeriesCounts()
        self._reasons: collections.Counter[str] = collections.Counter()
        self._has_other_class = False

    def add_committed(self, name: EntryName, description: Description) -> None:
        """Count an instance that was committed, and say what is odd about it."""
        self.committed += 1
        self.committed_bytes += name.size_bytes
        self._slot.add(Counter.INSTANCES_COMMITTED)
        self._slot.add(Counter.BYTES_COMMITTED, name.size_bytes)
        self.counts.add(name.series_hash, description.series)
        if description.warnings:
            self.warned += 1
            self._slot.add(Counter.INSTANCES_WITH_WARNING)
        for warning in description.warnings:
            self._warn(description, warning)

    def add_refused(self, request: StoreRequest, status: int, reason: str, series_instance_uid: str = "") -> None:
        """Count an instance that is answered with a failure status. Its series is named where it is known."""
        self.refused[status] += 1
        self.refusals.add(f"{status:04X}", reason, request.affected_sop_instance_uid)
        self._slot.add(REFUSED_WITH.get(status, Counter.REFUSED_OTHERWISE))
        self._remember("instance refused", status, reason)
        self._tell(
            f"{status:04X} {reason}",
            "An instance from {calling_ae_title} was refused with {status}: {reason}",
            sop_instance_uid=shown_uid(request.affected_sop_instance_uid),
            sop_class=name_of_uid(request.affected_sop_class_uid) or shown_uid(request.affected_sop_class_uid),
            **({"series_instance_uid": shown_uid(series_instance_uid)} if series_instance_uid else {}),
            status=f"{status:04X}",
            reason=reason,
            action="instance_refused",
        )

    def _warn(self, description: Description, warning: str) -> None:
        self._remember("instance stored with a warning", Status.SUCCESS, warning)
        self._tell(
            warning,
            "An instance from {calling_ae_title} was stored with a warning: {reason}",
            sop_instance_uid=shown_uid(description.sop_instance_uid),
            series_instance_uid=shown_uid(description.series.series_instance_uid),
            reason=warning,
            action="instance_warned",
        )

    def _tell(self, what: str, message: str, **fields: str) -> None:
        """Write a line, unless one about the same at this peer was written a moment ago: then it is counted."""
        started = self._started
        self._repetitions.log(
            self._slot,
            f"{started.calling_ae_title} {started.peer.rpartition(':')[0]} {what}",
            "WARNING",
            message,
            association=started.association,
            peer=started.peer,
            calling_ae_title=started.calling_ae_title,
            **fields,
        )

    def _remember(self, name: str, status: int, reason: str) -> None:
        if len(self.remarks) < _MAX_REMARKS and self._reasons[reason] < _MAX_ALIKE:
            self._reasons[reason] += 1
            self.remarks.append(Remark(time.time_ns(), name, self.received, f"{status:04X}", reason))

    def tell_of_other_class(self, request: StoreRequest) -> None:
        """Say once that the peer sends what it has not proposed: nothing is wrong with the instance."""
        if self._has_other_class:
            return
        self._has_other_class = True
        affected, proposed = shown_uid(request.affected_sop_class_uid), shown_uid(request.abstract_syntax_uid)
        reason = f"SOP class {affected} in a presentation context for {proposed}"
        self._tell(
            reason,
            "{calling_ae_title} sends {reason}; this is stored, but the sender should propose a context for each class",
            reason=reason,
            action="class_not_of_context",
        )
        self._remember("class not of context", Status.SUCCESS, reason)

    def tell_of_shared_directory(self) -> None:
        """Say that the title of the peer is not the name of its directory, which it may share with another."""
        if (directory := sanitize(self._started.calling_ae_title)) != self._started.calling_ae_title:
            self._tell(
                f"directory {directory}",
                "Files of AE title {calling_ae_title} are in the directory {directory}. If another title has that "
                "directory too, an instance that both send is registered under the title that sent it first; rename "
                "one of them",
                directory=directory,
                action="directory_not_of_title",
            )
