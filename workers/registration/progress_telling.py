"""What the observer is told of each series, for those who follow it live; nothing unless progress is published.

Facts may be dropped. That of a series that is done is told again at each rescan, until the spool says `told`.
"""

import collections
import os
import time

from oxidicom.records import COMMITTED_COUNT_KEY, Series
from oxidicom.spool.association_directory import ledger_of
from oxidicom.spool.names import MetadataValue
from workers.channels.facts import MAX_SERIES_SHARES, InstancesRegistered, SeriesRegistered, SeriesShare
from workers.channels.messages import Instance, MetadataStored
from workers.channels.scoreboard import Slot
from workers.registration.needs import RegistrationNeeds

_AWAITED_SECONDS = 1.0
"""A gateway that ends waits so long for the observer, lest a directory stays in the spool for nothing else."""


class Cleared:
    """What left the spool after one transaction."""

    def __init__(self) -> None:
        self.began_ns = time.monotonic_ns()
        self.instances: collections.Counter[tuple[str, str, str, str]] = collections.Counter()
        """By association, series hash, calling AE title and Series Instance UID."""
        self.counts: list[MetadataStored] = []

    def add(self, message: Instance | MetadataStored) -> None:
        """Note that an entry is gone, or that a value is marked as registered."""
        if isinstance(message, Instance):
            columns = message.file.columns
            self.instances[
                message.association, message.series_hash, columns.pacs_identifier, columns.series_instance_uid
            ] += 1
        elif message.key == COMMITTED_COUNT_KEY:
            self.counts.append(message)


class ProgressTelling:
    """Tells the observer, and knows whether its answer is still to come."""

    def __init__(self, shared: RegistrationNeeds, slot: Slot) -> None:
        self._facts = shared.facts
        self._slot = slot
        self._told_at = 0.0
        self._awaited: set[str] = set()
        """Associations of which series were told a moment ago."""

    @property
    def is_wanted(self) -> bool:
        """Whether progress is published."""
        return self._facts.progress_is_wanted

    @property
    def is_awaited(self) -> bool:
        """Whether the observer may be telling of series at this moment."""
        if self._awaited and time.monotonic() > self._told_at + _AWAITED_SECONDS:
            self._awaited.clear()
        return bool(self._awaited)

    def is_over(self, association: str) -> None:
        """The directory of an association is gone."""
        self._awaited.discard(association)

    def tell(self, cleared: Cleared) -> None:
        """Tell what left the spool: the instances first, for the count of a series comes after all of them."""
        if not self.is_wanted:
            return
        shares = [SeriesShare(*key, count) for key, count in cleared.instances.items()]
        for start in range(0, len(shares), MAX_SERIES_SHARES):
            part = shares[start : start + MAX_SERIES_SHARES]
            self._facts.tell(self._slot, InstancesRegistered(cleared.began_ns, part))
        for message in cleared.counts:
            self._tell_registered(message.association, message.name, message.series)

    def tell_again(self, directory: str, values: list[MetadataValue]) -> list[MetadataValue]:
        """Tell of counts that stand in the directory of an association and were not told. Raise OSError.

        Return those that could be told: of a series that the ledger has lost nobody can say anything.
        """
        ledger = ledger_of(directory, {value.series_hash for value in values}.__contains__)
        series = ledger.series if ledger else {}
        known = [value for value in values if value.series_hash in series]
        for value in known:
            self._tell_registered(os.path.basename(directory), value, series[value.series_hash])
        return known

    def _tell_registered(self, association: str, value: MetadataValue, series: Series) -> None:
        if not value.text.isdecimal():
            return
        self._told_at = time.monotonic()
        self._awaited.add(association)
        fact = SeriesRegistered(
            association, value.series_hash, series.calling_ae_title, series.series_instance_uid, int(value.text)
        )
        self._facts.tell(self._slot, fact)
