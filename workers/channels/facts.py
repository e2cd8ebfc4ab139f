"""Facts: what the processes tell the observer and the page. Either may be dead or slow: then facts are dropped, and
counted.

No fact holds patient data. Times are nanoseconds since the epoch.
"""

from typing import TypeAlias, TypeVar

import msgspec

from oxidicom.spool.metadata_rows import Verdict
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


class LineLogged(msgspec.Struct, frozen=True, array_like=True, tag=4):
    """A process wrote a log line."""

    time_ns: int
    level: str
    message: str
    fields: dict[str, str]
    association: str


class SeriesJudged(msgspec.Struct, frozen=True, array_like=True, tag=9):
    """An association is wholly registered or set aside, and this is what became of one series of it."""

    association: str
    at_ns: int
    calling_ae_title: str
    series_instance_uid: str
    """Empty when the ledger has lost it."""
    received: int
    set_aside: int
    expected: int | None
    """None: the PACS did not say how many it has."""
    verdict: Verdict


ProgressFact: TypeAlias = InstancesRegistered | SeriesRegistered | SeriesFailed
"""What live progress is made of."""
Fact: TypeAlias = AssociationFinished | SeriesAsked | BatchRegistered | LineLogged | ProgressFact
PageFact: TypeAlias = AssociationFinished | SeriesJudged
"""What the page shows of what is over; what is under way it sees on the scoreboard and in the spool."""

F = TypeVar("F")

MAX_SERIES_SHARES = 100
"""So many fit one message: each has less than 600 bytes."""


class FactChannel:
    """The way to the observer, and one to the page: neither waits for the other. Made before the fork."""

    def __init__(self, *, is_wanted: bool, progress_is_wanted: bool = False, page_is_wanted: bool = False) -> None:
        """When nobody wants facts (nothing is exported), none is sent; those of live progress are for LONK alone."""
        self.queue: Queue[Fact] = Queue(Fact)
        self.page_queue: Queue[PageFact] | None = Queue(PageFact) if page_is_wanted else None
        self.is_wanted = is_wanted
        self.progress_is_wanted = progress_is_wanted

    def tell(self, slot: Slot, fact: Fact | PageFact) -> None:
        """Tell whoever wants to know, without ever waiting. `slot` is that of the process that tells."""
        if self.page_queue and isinstance(fact, PageFact):
            _put(self.page_queue, slot, fact)
        if isinstance(fact, SeriesJudged):
            return
        if self.progress_is_wanted if isinstance(fact, ProgressFact) else self.is_wanted:
            _put(self.queue, slot, fact)


def _put(queue: Queue[F], slot: Slot, fact: F) -> None:
    try:
        told = queue.put(fact)
    except ValueError:
        told = False  # larger than a message may be
    if not told:
        slot.add(Counter.FACTS_DROPPED)
