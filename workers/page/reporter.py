"""The reporter: puts together what the page shows, from the scoreboard, the storage, and the chronicle."""

import contextlib
import datetime

from oxidicom import __version__
from oxidicom.judgement.condition import Condition
from oxidicom.judgement.rules import judge
from workers.channels.condition import condition_of
from workers.channels.outcomes import REFUSED
from workers.channels.readings import rejections_by_reason
from workers.channels.scoreboard import Counter, Histogram, Role
from workers.page.associations import AssociationsUnderWay
from workers.page.chronicle import Chronicle
from workers.page.findings import Findings, StorageLook
from workers.page.needs import PageNeeds
from workers.page.status import Pacs, SetAside, Status, Tls, Totals, Waiting, sample_of_hour
from workers.page.storage_thread import StorageThread

_NOTHING = Findings(AssociationsUnderWay([], 0), SetAside([], 0))


class Reporter:
    """Tells how the gateway is."""

    def __init__(self, shared: PageNeeds, storage: StorageThread, chronicle: Chronicle) -> None:
        self._shared = shared
        self._board = shared.scoreboard
        self._storage = storage
        self._chronicle = chronicle
        self._look = StorageLook(shared)
        self._found = _NOTHING

    async def status(self) -> Status:
        """Return everything. What a storage that does not answer would tell is as it was before."""
        with contextlib.suppress(TimeoutError):
            self._found = await self._storage.ask(self._look.look)
        found, condition = self._found, condition_of(self._shared)
        settings = self._shared.settings
        return Status(
            at=datetime.datetime.now(datetime.UTC).replace(microsecond=0),
            version=__version__,
            gateway=self._shared.directory.ulid,
            ae_title=settings.ae_title,
            port=settings.port,
            phase=condition.phase,
            judgement=judge(condition),
            database=condition.database.word,
            totals=self._totals(),
            under_way=found.under_way,
            hour=[sample_of_hour(sample) for sample in self._chronicle.samples],
            pacs=self._pacs(),
            rejections=rejections_by_reason(self._board, self._chronicle.ae_totals),
            series=list(reversed(self._chronicle.series)),
            waiting=Waiting(condition.waiting, round(condition.oldest_seconds)),
            set_aside=found.set_aside,
            tls=_tls(condition, is_on=bool(settings.tls_certificate)),
            storage=None if condition.storage else condition.room,
        )

    def _totals(self) -> Totals:
        total = self._board.total
        return Totals(
            associations_open=sum(bool(slot.association) for slot in self._board.of_role(Role.LISTENER)),
            associations_accepted=total(Counter.ASSOCIATIONS_ACCEPTED),
            associations_rejected=total(Counter.ASSOCIATIONS_REJECTED),
            instances_received=total(Counter.INSTANCES_COMMITTED),
            instances_refused=sum(map(total, REFUSED)),
            instances_registered=sum(self._board.histogram(Histogram.LAG_SECONDS)[0]),
            bytes_received=total(Counter.BYTES_COMMITTED),
        )

    def _pacs(self) -> list[Pacs]:
        totals, last_seen = self._chronicle.ae_totals, self._chronicle.last_seen_ns
        pacs = [
            Pacs(title, count, totals.instances[title], totals.bytes[title], _moment(last_seen.get(title)))
            for title, count in totals.associations.items()
        ]
        return sorted(pacs, key=lambda one: one.calling_ae_title)


def _tls(condition: Condition, *, is_on: bool) -> Tls:
    expires = condition.certificate_expires
    return Tls(is_on, expires, (expires - condition.at).days if expires else None)


def _moment(time_ns: int | None) -> datetime.datetime | None:
    return datetime.datetime.fromtimestamp(time_ns // 1_000_000_000, datetime.UTC) if time_ns else None
