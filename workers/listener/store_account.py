"""What became of the instances of one association: counted, logged, and remembered for its trace."""

import collections
import time

from loguru import logger

from oxidicom.association.commands import StoreRequest
from oxidicom.paths.final_path import sanitize
from oxidicom.records import Description
from oxidicom.spool.ledger import Started
from oxidicom.spool.names import EntryName
from oxidicom.statuses import Status
from workers.channels.facts import Remark
from workers.channels.scoreboard import Counter, Slot
from workers.listener.store_counts import Refusals, SeriesCounts

MAX_LOGGED = 10
"""Refusals of each association, and warnings of each kind; the line that accounts for it has the total of refusals."""
_MAX_WARNINGS = 100
"""Of all kinds together: the text of a warning may hold what the peer chose, so there may be any number of kinds."""
_MAX_REMARKS = 50
"""So many refusals and warnings are told to the observer."""
_REFUSED: dict[int, Counter] = {
    Status.OUT_OF_RESOURCES: Counter.REFUSED_OUT_OF_RESOURCES,
    Status.DATA_SET_MISMATCH: Counter.REFUSED_MISMATCH,
    Status.CANNOT_UNDERSTAND: Counter.REFUSED_CANNOT_UNDERSTAND,
}


class StoreAccount:
    """The account of one association."""

    def __init__(self, slot: Slot, started: Started) -> None:
        self._slot = slot
        self._ae_title = started.calling_ae_title
        self._log = logger.bind(association=started.association)
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
        self._warnings: collections.Counter[str] = collections.Counter()
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
            self._warn(name.number, warning)

    def add_refused(self, status: int, reason: str, sop_instance_uid: str) -> None:
        """Count an instance that is answered with a failure status."""
        self.refused[status] += 1
        self.refusals.add(f"{status:04X}", reason, sop_instance_uid)
        self._slot.add(_REFUSED.get(status, Counter.REFUSED_OTHERWISE))
        self._remember("instance refused", status, reason)
        self._log.log(
            "WARNING" if self.refused.total() <= MAX_LOGGED else "DEBUG",
            "An instance of {ae_title} was refused: {reason}",
            ae_title=self._ae_title,
            reason=reason,
            status=f"{status:04X}",
            action="instance_refused",
        )

    def _warn(self, number: int, warning: str) -> None:
        is_news = self._warnings[warning] < MAX_LOGGED and self._warnings.total() < _MAX_WARNINGS
        if is_news:
            self._warnings[warning] += 1
            self._remember("instance stored with a warning", Status.SUCCESS, warning)
        self._log.log(
            "WARNING" if is_news else "DEBUG",
            "Instance {number} was stored with a warning: {warning}",
            number=number,
            warning=warning,
            action="instance_warned",
        )

    def _remember(self, name: str, status: int, reason: str) -> None:
        if len(self.remarks) < _MAX_REMARKS:
            self.remarks.append(Remark(time.time_ns(), name, self.received, f"{status:04X}", reason))

    # -- said once -----------------------------------------------------------------------------------------------

    def tell_of_other_class(self, request: StoreRequest) -> None:
        """Say once that the peer sends what it has not proposed: nothing is wrong with the instance."""
        if self._has_other_class:
            return
        self._has_other_class = True
        reason = f"SOP class {request.affected_sop_class_uid} in a context of {request.abstract_syntax_uid}"
        self._log.warning(
            "{ae_title} sends {reason}; it is stored, but the sender should propose a context for each class",
            ae_title=self._ae_title,
            reason=reason,
            action="class_not_of_context",
        )
        self._remember("class not of context", Status.SUCCESS, reason)

    def tell_of_shared_directory(self) -> None:
        """Say that the title of the peer is not the name of its directory, which it may share with another."""
        if (directory := sanitize(self._ae_title)) != self._ae_title:
            self._log.warning(
                "Files of AE title {ae_title} stand in the directory {directory}. If another title has that too, what "
                "both send is registered under the title that sent it first; rename one of them",
                ae_title=self._ae_title,
                directory=directory,
                action="directory_not_of_title",
            )
