"""Facts: what the processes tell the observer and the page. Either may be dead or slow: then facts are dropped, and
counted.

No fact holds patient data. Times are nanoseconds since the epoch.
"""

from collections.abc import Collection
from typing import TypeAlias, TypeVar

import msgspec

from oxidicom.history.records import Refusal, SeriesCount
from workers.channels.ending import Ending
from workers.channels.queues import Queue
from workers.channels.scoreboard import Counter, Slot


class Remark(msgspec.Struct, frozen=True, array_like=True):
    """Something about one instance that is worth an event: it was refused, or stored with a warning."""

    time_ns: int
    name: str
    instance: int
    """Counts the instances of the association from 1."""
    status: str
    reason: str


class AssociationFinished(msgspec.Struct, frozen=True, array_like=True, tag=1):
    """A listener served an association, or rejected one, to its end."""

    association: str
    began_ns: int
    ended_ns: int
    peer_address: str
    peer_port: int
    calling_ae_title: str
    called_ae_title: str
    ending: Ending
    contexts_accepted: int = 0
    contexts_rejected: int = 0
    received: int = 0
    committed: int = 0
    bytes: int = 0
    series: int = 0
    refused: dict[str, int] = {}
    """Number of refused instances by status, such as C000."""
    remarks: list[Remark] = []
    warned: int = 0
    """Instances that were stored with a warning."""
    tls: str = ""
    """The version of TLS; empty: there was none."""
    explanation: str = ""
    """Of one that was rejected: why, by which setting, and what to do."""


class SeriesAsked(msgspec.Struct, frozen=True, array_like=True, tag=2):
    """Inquiry asked a PACS for the size of a series."""

    association: str
    ae_title: str
    began_ns: int
    ended_ns: int
    count: int | None
    reason: str
    """Why there is no count."""


class BatchRegistered(msgspec.Struct, frozen=True, array_like=True, tag=3):
    """A transaction was committed. `shares`: association, its new rows, its rows that were there already."""

    began_ns: int
    ended_ns: int
    rows: int
    shares: list[tuple[str, int, int]]


class SeriesShare(msgspec.Struct, frozen=True, array_like=True):
    """What a transaction brought of one series in one association."""

    association: str
    series_hash: str
    calling_ae_title: str
    series_instance_uid: str
    instances: int
    """Registered now, whether their rows are new or were there already."""


class InstancesRegistered(msgspec.Struct, frozen=True, array_like=True, tag=5):
    """Instances were registered, and left the spool between `began_ns` of the monotonic clock and now."""

    began_ns: int
    shares: list[SeriesShare]


class SeriesRegistered(msgspec.Struct, frozen=True, array_like=True, tag=6):
    """OxidicomAttemptedPushCount of a series is registered: nothing more comes for it in this association."""

    association: str
    series_hash: str
    calling_ae_title: str
    series_instance_uid: str
    count: int


class SeriesFailed(msgspec.Struct, frozen=True, array_like=True, tag=7):
    """A series can never be completed: its OxidicomAttemptedPushCount was set aside."""

    association: str
    series_hash: str
    calling_ae_title: str
    series_instance_uid: str


class InstancesRefused(msgspec.Struct, frozen=True, array_like=True, tag=8):
    """Why instances of an association were refused. Its AssociationFinished was told before."""

    association: str
    refusals: list[Refusal]


class SeriesReceived(msgspec.Struct, frozen=True, array_like=True, tag=9):
    """Series of which an association has brought instances. Its AssociationFinished was told before."""

    association: str
    series: list[SeriesCount]


class AssociationRegistered(msgspec.Struct, frozen=True, array_like=True, tag=10):
    """All that an association left in the spool is registered or set aside. What is known of it is from its ledger."""

    association: str
    calling_ae_title: str
    called_ae_title: str
    peer: str
    """Address and port, as they are shown."""
    how: str
    ended_ns: int
    refused: int | None
    bytes: int
    stored: int
    series: list[SeriesCount]
    """Some of its series."""
    is_last: bool
    """No others come."""


class LineLogged(msgspec.Struct, frozen=True, array_like=True, tag=4):
    """A process wrote a log line."""

    time_ns: int
    level: str
    message: str
    fields: dict[str, str]
    association: str


ProgressFact: TypeAlias = InstancesRegistered | SeriesRegistered | SeriesFailed
"""What live progress is made of."""
HistoryFact: TypeAlias = AssociationFinished | InstancesRefused | SeriesReceived | AssociationRegistered
"""What the history is made of."""
Fact: TypeAlias = SeriesAsked | BatchRegistered | LineLogged | ProgressFact | HistoryFact
PageFact: TypeAlias = AssociationFinished | AssociationRegistered
"""What the page shows of what is over; what is under way it sees on the scoreboard and in the spool."""

F = TypeVar("F")

MAX_SERIES_SHARES = 100
"""So many fit one message: each has less than 600 bytes."""
MAX_SERIES_COUNTS = 60
"""The same: each has less than 1000 bytes."""


class FactChannel:
    """The way to the observer, and one to the page: neither waits for the other. Made before the fork."""

    def __init__(self, wanted: Collection[type[Fact]], *, page_is_wanted: bool = False) -> None:
        """The observer is sent only facts of the kinds that are `wanted`, the page its own."""
        self.queue: Queue[Fact] = Queue(Fact)
        self.page_queue: Queue[PageFact] | None = Queue(PageFact) if page_is_wanted else None
        self._wanted = frozenset(wanted)

    def wants(self, kind: type[Fact]) -> bool:
        """Tell whether facts of a kind are sent to anybody: else they need not be made."""
        return kind in self._wanted or (self.page_queue is not None and issubclass(kind, PageFact))

    @property
    def progress_is_wanted(self) -> bool:
        """Whether live progress is published."""
        return SeriesRegistered in self._wanted

    def tell(self, slot: Slot, fact: Fact) -> None:
        """Tell whoever wants to know, without ever waiting. `slot` is that of the process that tells."""
        if self.page_queue and isinstance(fact, PageFact):
            _put(self.page_queue, slot, fact)
        if type(fact) in self._wanted and not _put(self.queue, slot, fact) and isinstance(fact, HistoryFact):
            slot.add(Counter.HISTORY_DROPPED)


def _put(queue: Queue[F], slot: Slot, fact: F) -> bool:
    """Return whether there was room for it; else it is counted as dropped."""
    try:
        told = queue.put(fact)
    except ValueError:
        told = False  # larger than a message may be
    if not told:
        slot.add(Counter.FACTS_DROPPED)
    return told
