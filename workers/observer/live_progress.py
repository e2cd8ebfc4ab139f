"""Live progress over NATS (LONK): how far each series is, and that it is done.

That a series is done is said once, after the COMMIT that makes it true: whoever renames its count in the spool from
`registered` to `told` says so. The publisher does it right before it writes the message, so a death of this process
before that leaves it to the next, which is told again. Of series that share a subject the last one says so
(`shared_subjects`).
"""

import collections
import functools
import threading
import time
from collections.abc import Sequence

from oxidicom.lonk.messages import DONE, count_payload, error_payload, subject_of
from oxidicom.lonk.progress import Progress, SeriesKey
from oxidicom.lonk.publisher import Message, Publisher
from oxidicom.paths.private_root import moment_of
from oxidicom.records import Series
from workers.channels.facts import Fact, InstancesRegistered, SeriesFailed, SeriesRegistered, SeriesShare
from workers.channels.messages import SeriesTold
from workers.channels.scoreboard import Counter, Slot
from workers.observer.needs import ObserverNeeds
from workers.observer.series_in_spool import Counted, SeriesInSpool
from workers.observer.shared_subjects import SharedSubject, SharedSubjects

_FAILED = "the series cannot be completed: its OxidicomAttemptedPushCount was set aside; `oxidicom status` says why"
_SOON_SECONDS = 0.02
_MAX_COUNTED = 100
"""Of so many associations that began before it is remembered how far they were; a forgotten one is looked at again."""
_MAX_FAILED = 10_000


class LiveProgress:
    """Takes what registration tells of series, and publishes it."""

    wants = (InstancesRegistered, SeriesRegistered, SeriesFailed)

    def __init__(self, shared: ObserverNeeds, slot: Slot) -> None:
        """Begin to connect, for which nobody waits."""
        settings = shared.settings
        self._shared = shared
        self._slot = slot
        self._root = settings.root_subject
        self._began = time.time()
        self._spool = SeriesInSpool(shared.directory, settings.files_root, slot, self._subject_of)
        self._shared_subjects = SharedSubjects(shared.directory.spool, slot, self._subject_of)
        self._failed: dict[SeriesKey, None] = {}
        """Of these an error was said."""
        self._telling = threading.Lock()
        """Held by who marks a series as told: the publisher, or this thread when nothing can be sent."""
        self._counted: dict[str, Counted] = {}
        """Of associations that began before this process."""
        self._progress = Progress(settings.progress_interval_seconds)
        self._told: collections.deque[str] = collections.deque()
        """Associations of which the publisher told that series are done."""
        self._publisher = Publisher(settings.nats_addresses, settings.nats_credentials, self._count)
        self._publisher.start()

    @property
    def due_seconds(self) -> float:
        """How long `tick` may wait."""
        if self._publisher.is_busy or self._told:
            return _SOON_SECONDS
        return max(0.0, self._progress.next_due() - time.monotonic())

    def tick(self) -> None:
        """Say what is due by time, and what the publisher has done."""
        self._say_due()
        for association in {self._told.popleft() for _ in range(len(self._told))}:
            self._shared.hint_registration(self._slot, SeriesTold(association))

    def take(self, fact: Fact) -> None:
        """Publish what a fact tells, at once or when its time has come."""
        match fact:
            case InstancesRegistered():
                for share in fact.shares:
                    self._add(share, fact.began_ns)
                self._say_due()
            case SeriesRegistered():
                self._end(fact)
            case SeriesFailed():
                self._fail(fact)

    def close(self) -> None:
        """Send what is left, within a second."""
        self.tick()
        self._publisher.close()

    def _say_due(self) -> None:
        for subject, count in self._progress.due(time.monotonic()):
            self._publish(subject, count_payload(count))

    def _add(self, share: SeriesShare, began_ns: int) -> None:
        key = self._key_of(share)
        counted = self._counted_before(share.association)
        if key not in self._progress:
            self._progress.begin(key, counted.registered.get(key[1], 0) if counted else 0)
        is_counted = counted is not None and began_ns < counted.at_ns
        self._progress.add(key, 0 if is_counted else share.instances, time.monotonic())

    def _counted_before(self, association: str) -> Counted | None:
        """Of an association that began before this process, return how far it was when this was asked first."""
        moment = moment_of(association)
        if moment is None or moment.timestamp() > self._began:
            return None
        if association not in self._counted:
            if len(self._counted) >= _MAX_COUNTED:
                del self._counted[next(iter(self._counted))]
            self._counted[association] = self._spool.count(association)
        return self._counted[association]

    def _end(self, fact: SeriesRegistered) -> None:
        try:
            shared = self._shared_subjects.of(fact.association, fact.series_hash)
        except OSError:
            return  # the directory is gone, so it was told; or the storage is away, then registration tells of it again
        self._end_counting(fact, shared)
        self._publisher.publish(Message(self._subject_of(fact), functools.partial(self._end_of, fact, shared)))

    def _fail(self, fact: SeriesFailed) -> None:
        try:
            shared = self._shared_subjects.of(fact.association, fact.series_hash)
        except OSError:
            shared = None  # the whole association was set aside
        self._end_counting(fact, shared)
        key = self._key_of(fact)
        if key in self._failed:
            return
        if len(self._failed) >= _MAX_FAILED:
            del self._failed[next(iter(self._failed))]
        self._failed[key] = None
        self._publish(key[1], error_payload(_FAILED))

    def _end_counting(self, fact: SeriesRegistered | SeriesFailed, shared: SharedSubject | None) -> None:
        """Say no more counts, if this is the last series of its subject: a count must not come after its end."""
        if shared:
            shared.awaited.discard(fact.series_hash)
        if not (shared and shared.awaited):
            self._progress.end(self._key_of(fact))

    def _end_of(self, fact: SeriesRegistered, shared: SharedSubject | None) -> Sequence[bytes]:
        """Called by the publisher, right before it says that a series is done, or drops that."""
        with self._telling:
            is_last = shared is None or shared.untold == {fact.series_hash}
            committed = {**(shared.told if shared else {}), fact.series_hash: fact.count} if is_last else {}
            count = self._spool.registered_in_the_end(fact.association, committed) if is_last else 0
            is_ours = self._spool.mark_told(fact.association, fact.series_hash, fact.count)
            if shared and is_ours:
                shared.untold.discard(fact.series_hash)
                shared.told[fact.series_hash] = fact.count
        self._told.append(fact.association)
        return (count_payload(count), DONE) if is_ours and is_last else ()

    def _publish(self, subject: str, payload: bytes) -> None:
        self._publisher.publish(Message(subject, lambda: (payload,)))

    def _count(self, published: int, dropped: int) -> None:
        self._slot.add(Counter.PROGRESS_PUBLISHED, published)
        self._slot.add(Counter.PROGRESS_DROPPED, dropped)

    def _key_of(self, fact: SeriesShare | SeriesRegistered | SeriesFailed) -> SeriesKey:
        return fact.association, self._subject_of(fact)

    def _subject_of(self, fact: SeriesShare | SeriesRegistered | SeriesFailed | Series) -> str:
        return subject_of(self._root, fact.calling_ae_title, fact.series_instance_uid)
