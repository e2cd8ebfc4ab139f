"""All metrics of the gateway at one moment: from the scoreboard, the spool, and what facts add to it.

The names are those of docs/observability.md and of the dashboard; a test holds them equal.
"""

import collections
import os
import time
from collections.abc import Mapping, Sequence

from oxidicom.telemetry.readings import AnyReading, HistogramReading, Instrument, Number, Reading
from workers.channels.ending import EndKind
from workers.channels.facts import AssociationFinished
from workers.channels.needs import ReadingNeeds
from workers.channels.scoreboard import BOUNDS, Counter, Histogram, Role, Scoreboard

MAX_AE_TITLES = 100
"""So many calling AE titles have numbers of their own; the titles of all further ones count as `other`."""

_OTHER = "other"

# name, unit, description, counter
_TOTALS = (
    ("oxidicom.association.accepted", "{association}", "Associations accepted", Counter.ASSOCIATIONS_ACCEPTED),
    ("oxidicom.association.failed", "{association}", "Associations that did not end by a release",
     Counter.ASSOCIATIONS_ABORTED),
    ("oxidicom.instance.committed", "{instance}", "Instances answered with Success", Counter.INSTANCES_COMMITTED),
    ("oxidicom.instance.warned", "{instance}", "Instances committed with a warning", Counter.INSTANCES_WITH_WARNING),
    ("oxidicom.instance.io", "By", "Bytes of committed instances", Counter.BYTES_COMMITTED),
    ("oxidicom.instance.stored", "{instance}", "Instances at their final path", Counter.INSTANCES_STORED),
    ("oxidicom.instance.set_aside", "{instance}", "Instances set aside, since they cannot be stored",
     Counter.INSTANCES_SET_ASIDE),
    ("oxidicom.row.registered", "{row}", "Rows added to the database", Counter.ROWS_REGISTERED),
    ("oxidicom.row.duplicate", "{row}", "Rows that were in the database already", Counter.ROWS_KNOWN),
    ("oxidicom.row.set_aside", "{row}", "Rows set aside, since the database refuses them", Counter.ROWS_SET_ASIDE),
    ("oxidicom.hint.dropped", "{hint}", "Hints to registration that found no room; it reads the spool instead",
     Counter.HINTS_DROPPED),
    ("oxidicom.lonk.published", "{message}", "Messages of live progress that a NATS server took",
     Counter.PROGRESS_PUBLISHED),
    ("oxidicom.lonk.dropped", "{message}", "Messages of live progress that were lost: no NATS server took them in time",
     Counter.PROGRESS_DROPPED),
    ("oxidicom.fact.dropped", "{fact}", "Facts that did not reach the observer, or the page", Counter.FACTS_DROPPED),
)  # fmt: skip

_HISTOGRAMS = (
    ("oxidicom.store.duration", "s", "From a C-STORE request to its response", Histogram.STORE_SECONDS),
    ("oxidicom.registration.lag", "s", "From the commit of an instance to that of its row", Histogram.LAG_SECONDS),
    ("oxidicom.registration.batch", "{row}", "Rows of one transaction", Histogram.BATCH_ROWS),
    ("oxidicom.find.duration", "s", "C-FIND for the size of a series", Histogram.FIND_SECONDS),
)

_REFUSED = {
    "A700": Counter.REFUSED_OUT_OF_RESOURCES,
    "A900": Counter.REFUSED_MISMATCH,
    "C000": Counter.REFUSED_CANNOT_UNDERSTAND,
    _OTHER: Counter.REFUSED_OTHERWISE,
}

_SERIES = {
    "complete": Counter.SERIES_COMPLETE,
    "incomplete": Counter.SERIES_INCOMPLETE,
    "more than expected": Counter.SERIES_MORE_THAN_EXPECTED,
    "unknown": Counter.SERIES_UNKNOWN,
    "set aside in part": Counter.SERIES_SET_ASIDE,
}


class AeTotals:
    """What each calling AE title brought. Bounded: the titles come from the network."""

    def __init__(self) -> None:
        self.associations: collections.Counter[str] = collections.Counter()
        self.instances: collections.Counter[str] = collections.Counter()
        self.bytes: collections.Counter[str] = collections.Counter()
        self.rejections: collections.Counter[str] = collections.Counter()
        """Rejected associations by reason."""

    def take(self, fact: AssociationFinished) -> None:
        """Count an association that ended, or was rejected."""
        if fact.ending.kind is EndKind.REJECTED:
            self.rejections[fact.ending.detail] += 1
        else:
            self._add(fact.calling_ae_title, fact.committed, fact.bytes)

    def _add(self, ae_title: str, instances: int, size_bytes: int) -> None:
        if ae_title not in self.associations and len(self.associations) >= MAX_AE_TITLES:
            ae_title = _OTHER
        self.associations[ae_title] += 1
        self.instances[ae_title] += instances
        self.bytes[ae_title] += size_bytes


def take_readings(shared: ReadingNeeds, ae_totals: AeTotals, free_bytes: int) -> Sequence[AnyReading]:
    """Read everything. `free_bytes` are those of the storage, which may not answer: nothing else waits for it."""
    board = shared.scoreboard
    return [
        *(_total(board, *one) for one in _TOTALS),
        *(_histogram(board, *one) for one in _HISTOGRAMS),
        *_associations(board, ae_totals),
        *_instances(board),
        *_by_ae_title(ae_totals),
        *_waiting(shared),
        *_condition(shared.scoreboard, free_bytes),
    ]


def backlog(board: Scoreboard) -> tuple[int, float]:
    """Return how many things stand in the spool, and the age of the oldest association in seconds (0: none).

    As the steward counted them last.
    """
    oldest = board.steward[Counter.SPOOL_OLDEST_SECONDS]
    return board.steward[Counter.SPOOL_ENTRIES], max(0.0, time.time() - oldest) if oldest else 0.0


def _total(board: Scoreboard, name: str, unit: str, description: str, counter: Counter) -> Reading:
    return Reading(name, Instrument.COUNTER, unit, description, [Number(board.total(counter))])


def _histogram(board: Scoreboard, name: str, unit: str, description: str, histogram: Histogram) -> HistogramReading:
    return HistogramReading(name, unit, description, BOUNDS[histogram], *board.histogram(histogram))


def _labelled(
    name: str, kind: Instrument, unit: str, description: str, label: str, values: Mapping[str, float]
) -> Reading:
    copy = list(values.items())  # at once: another thread may add to them
    return Reading(name, kind, unit, description, [Number(value, {label: key}) for key, value in copy])


def _associations(board: Scoreboard, ae_totals: AeTotals) -> list[Reading]:
    active = sum(bool(slot.association) for slot in board.of_role(Role.LISTENER))
    reasons = dict(ae_totals.rejections)
    untold = board.total(Counter.ASSOCIATIONS_REJECTED) - sum(reasons.values())
    if untold > 0 or not reasons:
        reasons[_OTHER] = reasons.get(_OTHER, 0) + max(0, untold)
    return [
        Reading(
            "oxidicom.association.active", Instrument.GAUGE, "{association}", "Associations under way", [Number(active)]
        ),
        _labelled(
            "oxidicom.association.rejected",
            Instrument.COUNTER,
            "{association}",
            "Association requests rejected",
            "reason",
            reasons,
        ),
    ]


def _instances(board: Scoreboard) -> list[Reading]:
    refused = {status: board.total(counter) for status, counter in _REFUSED.items()}
    received = board.total(Counter.INSTANCES_COMMITTED) + sum(refused.values())
    verdicts = {verdict: board.total(counter) for verdict, counter in _SERIES.items()}
    return [
        Reading(
            "oxidicom.instance.received", Instrument.COUNTER, "{instance}", "Instances answered", [Number(received)]
        ),
        _labelled(
            "oxidicom.instance.refused",
            Instrument.COUNTER,
            "{instance}",
            "Instances answered with a failure",
            "status",
            refused,
        ),
        _labelled(
            "oxidicom.series.ended",
            Instrument.COUNTER,
            "{series}",
            "Series wholly registered, by what the PACS says",
            "verdict",
            verdicts,
        ),
    ]


def _by_ae_title(totals: AeTotals) -> list[Reading]:
    label = "ae_title"
    return [
        _labelled(
            "oxidicom.ae.associations",
            Instrument.COUNTER,
            "{association}",
            "Associations ended, by calling AE title",
            label,
            totals.associations,
        ),
        _labelled(
            "oxidicom.ae.instances",
            Instrument.COUNTER,
            "{instance}",
            "Instances committed, by calling AE title",
            label,
            totals.instances,
        ),
        _labelled(
            "oxidicom.ae.io", Instrument.COUNTER, "By", "Bytes committed, by calling AE title", label, totals.bytes
        ),
    ]


def _waiting(shared: ReadingNeeds) -> list[Reading]:
    entries, age_seconds = backlog(shared.scoreboard)
    queues = {
        **{f"storage-{index}": queue.waiting_bytes for index, queue in enumerate(shared.storage_queues)},
        "registration": shared.registration_queue.waiting_bytes,
        "inquiry": shared.inquiry_queue.waiting_bytes,
        "facts": shared.facts.queue.waiting_bytes,
    }
    if shared.facts.page_queue:
        queues["page"] = shared.facts.page_queue.waiting_bytes
    return [
        Reading("oxidicom.spool.entries", Instrument.GAUGE, "{entry}", "Things in the spool", [Number(entries)]),
        Reading(
            "oxidicom.spool.age",
            Instrument.GAUGE,
            "s",
            "Age of the oldest association in the spool",
            [Number(age_seconds)],
        ),
        _labelled("oxidicom.queue.size", Instrument.GAUGE, "By", "Bytes waiting in a queue", "queue", queues),
    ]


def _condition(board: Scoreboard, free_bytes: int) -> list[Reading]:
    respawns: collections.Counter[str] = collections.Counter()
    for slot in board.slots[1:]:
        respawns[slot.role.name.lower()] += slot[Counter.RESPAWNS]
    up = max(slot[Counter.DATABASE_UP] for slot in board.of_role(Role.REGISTRATION))
    return [
        Reading("oxidicom.storage.free", Instrument.GAUGE, "By", "Free bytes of the storage", [Number(free_bytes)]),
        Reading(
            "oxidicom.database.up",
            Instrument.GAUGE,
            "1",
            "1 if the last batch reached the database, 0 if not",
            [Number(up)],
        ),
        _labelled(
            "oxidicom.process.respawns",
            Instrument.COUNTER,
            "{process}",
            "Processes spawned again after a death",
            "role",
            respawns,
        ),
    ]


def free_bytes_of(files_root: str) -> int:
    """Return the free bytes of the storage; 0 when it is away."""
    try:
        space = os.statvfs(files_root)
    except OSError:
        return 0
    return space.f_bavail * space.f_frsize
