"""All metrics of the gateway at one moment: from the scoreboard, the spool, and what facts add to it.

The names are those of docs/observability.md and of the dashboard; a test holds them equal.
"""

import collections
from collections.abc import Mapping, Sequence

from oxidicom.judgement.rules import judge
from oxidicom.telemetry.readings import AnyReading, HistogramReading, Instrument, Number, Reading
from workers.channels.condition import backlog, condition_of
from workers.channels.ending import EndKind
from workers.channels.facts import AssociationFinished
from workers.channels.needs import ReadingNeeds
from workers.channels.outcomes import REFUSED_WITH, SERIES_ENDED
from workers.channels.scoreboard import BOUNDS, Counter, Histogram, Role, Scoreboard

MAX_AE_TITLES = 100
"""So many calling AE titles have numbers of their own; the titles of all further ones count as `other`."""

_TURNED_AWAY = "network not allowed"
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
        elif fact.ending.kind is not EndKind.TURNED_AWAY:  # of which not all are told
            self._add(fact.calling_ae_title, fact.committed, fact.bytes)

    def _add(self, ae_title: str, instances: int, size_bytes: int) -> None:
        if ae_title not in self.associations and len(self.associations) >= MAX_AE_TITLES:
            ae_title = _OTHER
        self.associations[ae_title] += 1
        self.instances[ae_title] += instances
        self.bytes[ae_title] += size_bytes


def take_readings(shared: ReadingNeeds, ae_totals: AeTotals) -> Sequence[AnyReading]:
    """Read everything, from the scoreboard: nothing waits for a storage that may not answer."""
    board = shared.scoreboard
    return [
        *(_total(board, *one) for one in _TOTALS),
        *(_histogram(board, *one) for one in _HISTOGRAMS),
        *_associations(board, ae_totals),
        *_instances(board),
        *_by_ae_title(ae_totals),
        *_waiting(shared),
        *_condition(shared),
        *_judgement(shared),
    ]


def _total(board: Scoreboard, name: str, unit: str, description: str, counter: Counter) -> Reading:
    return Reading(name, Instrument.COUNTER, unit, description, [Number(board.total(counter))])


def _histogram(board: Scoreboard, name: str, unit: str, description: str, histogram: Histogram) -> HistogramReading:
    return HistogramReading(name, unit, description, BOUNDS[histogram], *board.histogram(histogram))


def _labelled(
    name: str, kind: Instrument, unit: str, description: str, label: str, values: Mapping[str, float]
) -> Reading:
    copy = list(values.items())  # at once: another thread may add to them
    return Reading(name, kind, unit, description, [Number(value, {label: key}) for key, value in copy])


def rejections_by_reason(board: Scoreboard, ae_totals: AeTotals) -> dict[str, int]:
    """Return how many associations were rejected, as far as it is known why."""
    turned_away = board.total(Counter.ASSOCIATIONS_TURNED_AWAY)
    return {**ae_totals.rejections, **({_TURNED_AWAY: turned_away} if turned_away else {})}


def _associations(board: Scoreboard, ae_totals: AeTotals) -> list[Reading]:
    active = sum(bool(slot.association) for slot in board.of_role(Role.LISTENER))
    reasons = rejections_by_reason(board, ae_totals)
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
    refused = {f"{status:04X}": board.total(counter) for status, counter in REFUSED_WITH.items()}
    refused[_OTHER] = board.total(Counter.REFUSED_OTHERWISE)
    received = board.total(Counter.INSTANCES_COMMITTED) + sum(refused.values())
    verdicts = {verdict.value: board.total(counter) for verdict, counter in SERIES_ENDED.items()}
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
            "Age of the oldest thing that waits in the spool",
            [Number(age_seconds)],
        ),
        _labelled("oxidicom.queue.size", Instrument.GAUGE, "By", "Bytes waiting in a queue", "queue", queues),
    ]


def _condition(shared: ReadingNeeds) -> list[Reading]:
    board, condition = shared.scoreboard, condition_of(shared)
    free_bytes = condition.room.free_bytes if condition.room and not condition.storage else 0  # else it is away
    respawns: collections.Counter[str] = collections.Counter()
    for slot in board.slots[1:]:
        respawns[slot.role.name.lower()] += slot[Counter.RESPAWNS]
    up = max(slot[Counter.DATABASE_UP] for slot in board.of_role(Role.REGISTRATION))
    return [
        Reading("oxidicom.storage.free", Instrument.GAUGE, "By", "Free bytes of the storage", [Number(free_bytes)]),
        Reading(
            "oxidicom.database.up",
            Instrument.GAUGE,
            "{database}",
            "1 if the database takes rows, 0 if not; it is asked while there are none",
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


def _judgement(shared: ReadingNeeds) -> list[Reading]:
    condition = condition_of(shared)
    expires = condition.certificate_expires
    left = [Number((expires - condition.at).total_seconds())] if expires else []
    return [
        Reading(
            "oxidicom.judgement",
            Instrument.GAUGE,
            "{level}",
            "How the gateway is: 0 OK, 1 warning, 2 critical",
            [Number(judge(condition).level.exit_status)],
        ),
        Reading(
            "oxidicom.set_aside.now",
            Instrument.GAUGE,
            "{thing}",
            "Things that are set aside now",
            [Number(condition.set_aside)],
        ),
        Reading("oxidicom.certificate.left", Instrument.GAUGE, "s", "Time until the certificate of TLS expires", left),
        Reading(
            "oxidicom.build",
            Instrument.GAUGE,
            "{gateway}",
            "1, with the version",
            [Number(1, {"version": condition.version})],
        ),
    ]
