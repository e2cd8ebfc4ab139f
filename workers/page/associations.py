"""The associations under way, and those whose series are not registered yet: read from the spool, which is the truth.

Ledgers are followed: what was read of one is not read again.
"""

import collections
import contextlib
import datetime
import os
import time

import msgspec

from oxidicom.association.uids import shown_uid
from oxidicom.paths.private_root import moment_of
from oxidicom.records import EXPECTED_COUNT_KEY
from oxidicom.spool.association_directory import associations
from oxidicom.spool.entries import contents
from oxidicom.spool.gateway_directory import aside_directories
from oxidicom.spool.ledger import LEDGER_NAME, Committed, SeriesOpened, Started, lines_after
from oxidicom.spool.names import EntryName, MetadataValue
from workers.channels.needs import StorageUserNeeds

MAX_ASSOCIATIONS = 20
MAX_SERIES = 8
_MAX_KNOWN_SERIES = 2000
"""Of one association; further ones only count in its total."""
_MAX_LEDGER_BYTES = 1 << 20
"""Read of one ledger at one look."""
_MAX_RATE_SECONDS = 5.0


class SeriesUnderWay(msgspec.Struct):
    """How far a series is."""

    series_instance_uid: str
    received: int
    """Answered with Success."""
    registered: int
    set_aside: int
    expected: int | None
    """By the PACS; None: it has not said so, or not yet."""


class AssociationUnderWay(msgspec.Struct):
    """An association that is not wholly registered."""

    association: str
    since: datetime.datetime | None
    calling_ae_title: str
    peer: str
    is_open: bool
    """The peer may still send."""
    received: int
    received_per_second: float
    registered: int
    series: list[SeriesUnderWay]
    """The last ones, the newest first; all others are in `more_series`."""
    more_series: int


class AssociationsUnderWay(msgspec.Struct):
    """All of them."""

    associations: list[AssociationUnderWay]
    """Those that are open first, of each kind the oldest first."""
    more: int


class AssociationLook:
    """Looks into the spool."""

    def __init__(self, shared: StorageUserNeeds) -> None:
        self._board = shared.scoreboard
        self._spool = shared.directory.spool
        self._aside = aside_directories(shared.settings.files_root)
        self._followed: dict[str, _Followed] = {}

    def look(self) -> AssociationsUnderWay:
        """Return what is there now. A storage that is away has nothing."""
        try:
            directories = associations(self._spool)
        except OSError:
            directories = []
        names = [os.path.basename(directory) for directory in directories]
        names.sort(key=lambda name: not self._board.has_listener(name))
        shown = names[:MAX_ASSOCIATIONS]
        self._followed = {name: self._followed.get(name) or _Followed(self._spool, name) for name in shown}
        for followed in self._followed.values():
            followed.look(self._aside)
        found = [one.as_shown(is_open=self._board.has_listener(name)) for name, one in self._followed.items()]
        return AssociationsUnderWay([one for one in found if one.received or one.is_open], len(names) - len(shown))


class _Followed:
    """One association, as far as it was read."""

    def __init__(self, spool: str, association: str) -> None:
        self._association = association
        self._directory = os.path.join(spool, association)
        self._ledger = os.path.join(self._directory, LEDGER_NAME)
        self._offset = 0
        self._started: Started | None = None
        self._uids: dict[str, str] = {}
        """Series Instance UID by series hash."""
        self._committed: collections.Counter[str] = collections.Counter()
        self._waiting: collections.Counter[str] = collections.Counter()
        self._set_aside: collections.Counter[str] = collections.Counter()
        self._expected: dict[str, int] = {}
        self._received = 0
        self._counted: collections.deque[tuple[float, int]] = collections.deque([(time.monotonic(), 0)])
        """How many were received at some moments of the last seconds, for the rate."""

    def look(self, aside: list[str]) -> None:
        with contextlib.suppress(OSError):  # finished while we look, or the storage is away
            self._follow()
            self._look_at_entries()
            self._set_aside = collections.Counter(
                name.series_hash
                for directory in aside
                for name, _ in contents(os.path.join(directory, self._association))
                if isinstance(name, EntryName)
            )
        now = time.monotonic()
        self._counted.append((now, self._received))
        while len(self._counted) > 2 and self._counted[1][0] < now - _MAX_RATE_SECONDS:
            self._counted.popleft()

    def _follow(self) -> None:
        """Read on in the ledger. It comes before the entries: what is committed meanwhile counts as not registered."""
        first = self._offset == 0
        lines, self._offset = lines_after(self._ledger, self._offset, _MAX_LEDGER_BYTES)
        for line in lines:
            match line:
                case Started():
                    self._started = line
                case SeriesOpened() if len(self._uids) < _MAX_KNOWN_SERIES:
                    self._uids.setdefault(line.series_hash, line.series.series_instance_uid)
                case Committed():
                    self._received += 1
                    if line.series_hash in self._uids:
                        self._committed[line.series_hash] += 1
        if first:  # what it brought before it was looked at tells nothing of its rate
            self._counted = collections.deque([(time.monotonic(), self._received)])

    def _look_at_entries(self) -> None:
        waiting: collections.Counter[str] = collections.Counter()
        for name, _ in contents(self._directory):
            if isinstance(name, EntryName):
                waiting[name.series_hash] += 1
            elif isinstance(name, MetadataValue) and name.key == EXPECTED_COUNT_KEY and name.text.isdecimal():
                self._expected[name.series_hash] = int(name.text)
        self._waiting = waiting

    def as_shown(self, *, is_open: bool) -> AssociationUnderWay:
        last = list(self._uids)[: -MAX_SERIES - 1 : -1]
        return AssociationUnderWay(
            self._association,
            moment_of(self._association),
            self._started.calling_ae_title if self._started else "",
            self._started.peer if self._started else "",
            is_open,
            self._received,
            self._rate(),
            max(0, self._received - self._waiting.total() - self._set_aside.total()),
            [self._series(series_hash) for series_hash in last],
            len(self._uids) - len(last),
        )

    def _series(self, series_hash: str) -> SeriesUnderWay:
        received, aside = self._committed[series_hash], self._set_aside[series_hash]
        return SeriesUnderWay(
            shown_uid(self._uids[series_hash]),
            received,
            max(0, received - self._waiting[series_hash] - aside),
            aside,
            self._expected.get(series_hash),
        )

    def _rate(self) -> float:
        (began, before), (ended, after) = self._counted[0], self._counted[-1]
        return round((after - before) / (ended - began), 1) if ended > began else 0.0
