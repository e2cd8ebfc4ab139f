"""What waits for registration, and which of it makes the next batch. Pure: it knows no database and no clock."""

import collections
import dataclasses
import itertools
from collections.abc import Collection

from oxidicom.records import COMMITTED_COUNT_KEY
from workers.channels.messages import Instance, MetadataStored

MAX_IN_BATCH = 500
"""Rows of one transaction, without the counts of series that it completes.

Measured: 100 give 25,000 rows/s, 500 give 34,000, and 2,000 a sixth more at four times the wait."""

MAX_PENDING = 2000
"""What is kept in memory; everything beyond is found in the spool when this has been worked off."""

MAX_COUNTS = 2000
"""Most counts kept while they wait for the rest of their series; they take no room from instances."""


@dataclasses.dataclass
class Batch:
    """The rows of one transaction, in the order in which they are inserted."""

    instances: list[Instance] = dataclasses.field(default_factory=list)
    values: list[MetadataStored] = dataclasses.field(default_factory=list)
    """NumberOfSeriesRelatedInstances first, then OxidicomAttemptedPushCount."""

    @property
    def entries(self) -> list[Instance | MetadataStored]:
        """Everything in it."""
        return [*self.instances, *self.values]

    def without(self, fnames: Collection[str]) -> "Batch":
        """Return the batch without the rows of these names."""
        return Batch(
            [instance for instance in self.instances if instance.file.fname not in fnames],
            [value for value in self.values if value.file.fname not in fnames],
        )

    def __bool__(self) -> bool:
        return bool(self.instances or self.values)


class Pending:
    """What is stored and not registered, up to a fixed number. Nothing is in it twice."""

    def __init__(self) -> None:
        self._instances: dict[tuple[str, int], Instance] = {}
        self._of_association: collections.Counter[str] = collections.Counter()
        self._values: dict[tuple[str, str, str], MetadataStored] = {}
        self._counts: dict[tuple[str, str], MetadataStored] = {}
        self.counts_left_out = False
        """There are more counts than are kept."""

    def __len__(self) -> int:
        return len(self._instances) + len(self._values) + len(self._counts)

    @property
    def startable(self) -> bool:
        """There is something that can be registered without waiting for anything else."""
        return bool(self._instances or self._values)

    @property
    def room(self) -> int:
        """So much more is taken of what can be registered at once."""
        return max(0, MAX_PENDING - len(self._instances) - len(self._values))

    @property
    def full(self) -> bool:
        """No more is taken."""
        return self.room == 0

    def add(self, message: Instance | MetadataStored) -> None:
        """Add something that was stored, unless it is already here."""
        if isinstance(message, Instance):
            if message.identity not in self._instances:
                self._instances[message.identity] = message
                self._of_association[message.association] += 1
        elif message.key == COMMITTED_COUNT_KEY:
            self._counts.setdefault((message.association, message.series_hash), message)
            if len(self._counts) > MAX_COUNTS:  # that which waits longest may wait for ever; a rescan finds it
                del self._counts[next(iter(self._counts))]
                self.counts_left_out = True
        else:
            self._values.setdefault((message.association, message.series_hash, message.key), message)

    def next_batch(self) -> Batch:
        """Return the oldest values and instances, MAX_IN_BATCH together. They stay pending until `done`."""
        values = list(itertools.islice(self._values.values(), MAX_IN_BATCH // 2))
        return Batch(list(itertools.islice(self._instances.values(), MAX_IN_BATCH - len(values))), values)

    def counts(self) -> list[MetadataStored]:
        """Return the counts that are to be registered once nothing else of their series is left."""
        return list(self._counts.values())

    def has_more_of(self, association: str, batch: Batch) -> bool:
        """Tell whether instances of an association wait that are not in `batch`."""
        waiting = self._of_association.get(association, 0)
        return waiting > 0 and waiting > sum(one.association == association for one in batch.instances)

    def done(self, batch: Batch) -> None:
        """Forget what was registered or set aside."""
        self.counts_left_out &= bool(self._counts)
        for instance in batch.instances:
            self.drop(instance)
        for value in batch.values:
            self._values.pop((value.association, value.series_hash, value.key), None)
            if value.key == COMMITTED_COUNT_KEY:
                self._counts.pop((value.association, value.series_hash), None)

    def forget(self, message: Instance | MetadataStored) -> None:
        """Forget something that is found in the spool again when its time has come."""
        if isinstance(message, Instance):
            self.drop(message)
        else:
            self._values.pop((message.association, message.series_hash, message.key), None)
            self._counts.pop((message.association, message.series_hash), None)

    def drop(self, instance: Instance) -> None:
        """Forget an instance, which is registered or is found in the spool again."""
        if self._instances.pop(instance.identity, None):
            left = self._of_association[instance.association] - 1
            if left:
                self._of_association[instance.association] = left
            else:
                del self._of_association[instance.association]
