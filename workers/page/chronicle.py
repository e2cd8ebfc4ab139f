"""What was: totals by AE title, the last series, and the last hour, of which nobody else has the numbers any more.

All of it is bounded, and a snapshot is left in shared memory now and then, so that the death of this process costs some
seconds of it and no more.
"""

import collections
import datetime
import time
from typing import NamedTuple

import msgspec

from oxidicom.association.uids import shown_uid
from oxidicom.history.records import SeriesCount
from oxidicom.spool.metadata_rows import Verdict
from oxidicom.spool.put_back import ENDED
from workers.channels.condition import backlog
from workers.channels.facts import AssociationFinished, AssociationRegistered, PageFact
from workers.channels.readings import AeTotals
from workers.channels.scoreboard import Counter, Histogram, Scoreboard
from workers.channels.snapshot import Snapshot

SAMPLE_SECONDS = 10
SAMPLES = 3600 // SAMPLE_SECONDS
MAX_SERIES = 50


class Sample(msgspec.Struct, frozen=True, array_like=True):
    """What happened in one span of the last hour."""

    at: int
    """Its end, in seconds since the epoch."""
    received_per_second: float
    """Instances."""
    registered_per_second: float
    """Instances."""
    lag_seconds: float | None
    """From the commit of an instance to that of its row, on average; None: no row was committed."""
    waiting: int
    """Things in the spool."""


class SeriesDone(msgspec.Struct):
    """What became of a series in one association."""

    at: datetime.datetime
    association: str
    calling_ae_title: str
    series_hash: str
    """Tells series of one UID apart."""
    series_instance_uid: str
    received: int
    repeated: int
    """So many of those had come before in the same association."""
    registered: int
    set_aside: int
    expected: int | None
    verdict: Verdict


def _series_done(fact: AssociationRegistered, count: SeriesCount) -> SeriesDone:
    return SeriesDone(
        datetime.datetime.now(datetime.UTC).replace(microsecond=0),
        fact.association,
        fact.calling_ae_title,
        count.series_hash,
        shown_uid(count.series_instance_uid),
        count.stored,
        count.repeated,
        count.registered,
        count.set_aside,
        count.expected,
        count.verdict,
    )


def _mended(known: SeriesDone, count: SeriesCount) -> SeriesCount:
    """Return what a series is now, of which something was put back."""
    return msgspec.structs.replace(
        count,
        stored=known.received,
        repeated=known.repeated,
        expected=known.expected if count.expected is None else count.expected,
    )


class _Memory(msgspec.Struct, array_like=True):
    associations: dict[str, int]
    instances: dict[str, int]
    bytes: dict[str, int]
    rejections: dict[str, int]
    last_seen_ns: dict[str, int]
    series: list[SeriesDone]
    samples: list[Sample]


class _Counted(NamedTuple):
    """How far the counters were at one moment of the monotonic clock."""

    moment: float
    received: int
    registered: int
    lag_seconds: float


class Chronicle:
    """Takes facts, samples the scoreboard, and remembers what the process before has left."""

    def __init__(self, board: Scoreboard, snapshot: Snapshot) -> None:
        self._board = board
        self._snapshot = snapshot
        self.ae_totals = AeTotals()
        self.last_seen_ns: dict[str, int] = {}
        """When an association of a calling AE title ended last."""
        self.series: collections.deque[SeriesDone] = collections.deque(maxlen=MAX_SERIES)
        self.samples: collections.deque[Sample] = collections.deque(maxlen=SAMPLES)
        self._remember()
        self._counted = self._count()

    def take(self, fact: PageFact) -> None:
        """Note what a process tells."""
        match fact:
            case AssociationRegistered():
                self._note_series(fact)
            case AssociationFinished():
                self.ae_totals.take(fact)
                self._note_end(fact)

    def _note_series(self, fact: AssociationRegistered) -> None:
        for one in fact.series:
            if fact.how != ENDED:
                self.series.append(_series_done(fact, one))
            elif known := self._known(fact.association, one.series_hash):
                self.series.remove(known)
                self.series.append(_series_done(fact, _mended(known, one)))

    def _known(self, association: str, series_hash: str) -> SeriesDone | None:
        """Return what was said of a series before; what was put back is only known by that."""
        return next(
            (one for one in self.series if (one.association, one.series_hash) == (association, series_hash)), None
        )

    def _note_end(self, fact: AssociationFinished) -> None:
        if fact.calling_ae_title in self.ae_totals.associations:  # which is bounded
            self.last_seen_ns[fact.calling_ae_title] = fact.ended_ns

    def sample_if_due(self) -> None:
        """Sample, unless the last one is not long enough ago, and leave a snapshot."""
        if time.monotonic() - self._counted.moment < SAMPLE_SECONDS:
            return
        before, self._counted = self._counted, self._count()
        self.samples.append(self._sample_of(before, self._counted))
        self._leave()

    def _count(self) -> _Counted:
        buckets, lag_seconds = self._board.histogram(Histogram.LAG_SECONDS)
        return _Counted(time.monotonic(), self._board.total(Counter.INSTANCES_COMMITTED), sum(buckets), lag_seconds)

    def _sample_of(self, before: _Counted, now: _Counted) -> Sample:
        seconds = now.moment - before.moment
        registered = now.registered - before.registered
        return Sample(
            int(time.time()),
            round((now.received - before.received) / seconds, 2),
            round(registered / seconds, 2),
            round((now.lag_seconds - before.lag_seconds) / registered, 4) if registered else None,
            backlog(self._board)[0],
        )

    def _leave(self) -> None:
        totals = self.ae_totals
        memory = _Memory(
            dict(totals.associations),
            dict(totals.instances),
            dict(totals.bytes),
            dict(totals.rejections),
            self.last_seen_ns,
            list(self.series),
            list(self.samples),
        )
        self._snapshot.write(msgspec.msgpack.encode(memory))

    def _remember(self) -> None:
        data = self._snapshot.read()
        if data is None:
            return
        memory = msgspec.msgpack.decode(data, type=_Memory)
        for counter, counts in (
            (self.ae_totals.associations, memory.associations),
            (self.ae_totals.instances, memory.instances),
            (self.ae_totals.bytes, memory.bytes),
            (self.ae_totals.rejections, memory.rejections),
        ):
            counter.update(counts)
        self.last_seen_ns.update(memory.last_seen_ns)
        self.series.extend(memory.series)
        self.samples.extend(memory.samples)
