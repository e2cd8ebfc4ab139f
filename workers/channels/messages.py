"""What the processes tell each other: facts in the past tense, never commands.

The spool is the truth and a message is a hint that there is work: whoever misses one finds the work by a rescan.
"""

from typing import TypeAlias

import msgspec

from oxidicom.records import PacsFile, Series, SeriesValue, SharedColumns
from oxidicom.spool.metadata_rows import metadata_row
from oxidicom.spool.names import EntryName, MetadataValue

MAX_IN_MESSAGE = 10
"""So many instances fit one message of a queue, however long their values are: one has less than 6 KB."""


class Instance(msgspec.Struct, frozen=True, array_like=True, tag=1):
    """An instance in the spool. Alone, listener → storage worker of its series: it is committed."""

    association: str
    number: int
    series_hash: str
    size_bytes: int
    committed_ns: int
    """Moment of the commit, by the clock of the storage."""
    file: PacsFile

    @property
    def identity(self) -> tuple[str, int]:
        """Association and number, by which it is the same whoever tells of it: a filesystem may round its commit."""
        return self.association, self.number

    @property
    def name(self) -> EntryName:
        """Its name in the spool."""
        return EntryName(self.number, self.series_hash, self.size_bytes)


class AssociationEnded(msgspec.Struct, frozen=True, array_like=True, tag=2):
    """Listener → each storage worker that got one of its series."""

    association: str


class ProcessDied(msgspec.Struct, frozen=True, array_like=True, tag=3):
    """Supervisor → storage and registration: a process died, its work is to be taken up.

    Registration → storage: something went back that no other message tells of.
    """


class PhaseChanged(msgspec.Struct, frozen=True, array_like=True, tag=4):
    """Supervisor → everybody who waits on a queue: look at the phase on the scoreboard."""

    phase: int


class SeriesSeen(msgspec.Struct, frozen=True, array_like=True, tag=5):
    """Storage → inquiry: the first instance of a series came. Its size is wanted by storage worker `storage_worker`."""

    storage_worker: int
    association: str
    series_hash: str
    series: Series


class SeriesCounted(msgspec.Struct, frozen=True, array_like=True, tag=6):
    """Inquiry → storage: the PACS says how many instances the series has; None when it is not known."""

    association: str
    series_hash: str
    count: int | None


class InstancesStored(msgspec.Struct, frozen=True, array_like=True, tag=7):
    """Storage → registration: up to MAX_IN_MESSAGE instances are at their final paths and synced."""

    instances: list[Instance]


class MetadataStored(msgspec.Struct, frozen=True, array_like=True, tag=8):
    """Storage → registration: the file of a metadata value is at its final path and synced."""

    association: str
    series_hash: str
    key: str
    text: str
    series: Series
    columns: SharedColumns | None = None
    """What the first instance of the series says, where that is known."""

    @property
    def file(self) -> PacsFile:
        """The row that it is up to CUBE 5.2."""
        return metadata_row(self.association, self.series, self.name)

    @property
    def series_value(self) -> SeriesValue:
        """What the database is given of it."""
        return SeriesValue(self.series, self.file, self.columns)

    @property
    def name(self) -> MetadataValue:
        """Its name in the spool."""
        return MetadataValue(self.series_hash, self.key, self.text)


class SeriesTold(msgspec.Struct, frozen=True, array_like=True, tag=9):
    """Observer → registration: those who follow series of an association were told that they are done."""

    association: str


ToStorage: TypeAlias = Instance | AssociationEnded | ProcessDied | PhaseChanged
ToInquiry: TypeAlias = SeriesSeen | PhaseChanged
ToRegistration: TypeAlias = InstancesStored | MetadataStored | SeriesTold | ProcessDied | PhaseChanged
