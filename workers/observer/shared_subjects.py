"""Series of one association that are one for those who follow it, because they share a subject.

The gateway tells series apart by all that they say of themselves; a subject has no more than the calling AE title and
the SeriesInstanceUID. So a series in which the name of the patient, a description or a date differs between instances
has several hashes, each with a count of its own in the spool, and is done when the last of these is told.

The ledger of an association is read once, when the end of its first series is to be told: it is final by then, since
counts are decided after the end. Hardly any association has series that share a subject; of the others nothing is kept.
"""

import collections
import dataclasses
import os
import weakref
from collections.abc import Callable, Iterable, Iterator
from typing import NamedTuple

from oxidicom.records import COMMITTED_COUNT_KEY, Series
from oxidicom.spool.entries import contents
from oxidicom.spool.ledger import LEDGER_NAME, SeriesOpened, committed_lines, opened_lines
from oxidicom.spool.names import TOLD, MetadataValue
from workers.channels.heartbeat import beating
from workers.channels.scoreboard import ProcessState, Slot

_MAX_ASSOCIATIONS = 1_000
_MAX_SERIES = 100_000
"""So many series that share subjects are remembered, and those of one association however many there are."""


@dataclasses.dataclass(eq=False)
class SharedSubject:
    """The series that share a subject. What follows holds their hashes."""

    awaited: set[str]
    """Of these registration has not said yet that they have ended."""
    untold: set[str]
    """Of these the spool does not say `told`."""
    told: dict[str, int]
    """Of these it does: number of committed instances."""


class _Known(NamedTuple):
    """What is known of an association."""

    ledger: tuple[int, int, int]
    """Which ledger was read: what is put back has the same association, and another ledger."""
    shared: dict[str, SharedSubject]
    """By series hash."""


class SharedSubjects:
    """Finds the series that share a subject, and remembers them. Used by one thread."""

    def __init__(self, spool: str, slot: Slot, subject_of: Callable[[Series], str]) -> None:
        """`subject_of` tells which series are one for those who follow it."""
        self._spool = spool
        self._slot = slot
        self._subject_of = subject_of
        self._known: dict[str, _Known] = {}
        """By association; the one that was asked for last is the last."""
        self._in_use: weakref.WeakValueDictionary[tuple[str, str], SharedSubject] = weakref.WeakValueDictionary()
        """By association and subject. What is forgotten may still be used by who is about to tell of it: what he
        has not told yet would be missed by who reads the spool now."""

    def of(self, association: str, series_hash: str) -> SharedSubject | None:
        """Return what a series shares its subject with; None: with nothing. Raise OSError when it cannot be told."""
        directory = os.path.join(self._spool, association)
        status = os.stat(os.path.join(directory, LEDGER_NAME))
        ledger = (status.st_ino, status.st_size, status.st_mtime_ns)
        known = self._known.pop(association, None)
        if known is None or known.ledger != ledger:
            known = None  # so that only what is in use elsewhere is still in use
            known = _Known(ledger, self._read(association, directory))
            self._make_room(len(known.shared))
        self._known[association] = known
        return known.shared.get(series_hash)

    def _make_room(self, series: int) -> None:
        kept = sum(len(known.shared) for known in self._known.values())
        while self._known and (len(self._known) >= _MAX_ASSOCIATIONS or kept + series > _MAX_SERIES):
            kept -= len(self._known.pop(next(iter(self._known))).shared)

    def _read(self, association: str, directory: str) -> dict[str, SharedSubject]:
        groups = self._groups_in(os.path.join(directory, LEDGER_NAME))
        if not groups:
            return {}
        in_use = dict(self._in_use.items())  # held from before the look into the directory
        ends = self._ends_in(directory, {one for group in groups.values() for one in group})
        shared: dict[str, SharedSubject] = {}
        for subject, group in groups.items():
            one = in_use.get((association, subject)) or _shared_subject(group, ends)
            self._in_use[association, subject] = one
            shared.update(dict.fromkeys(group, one))
        return shared

    def _groups_in(self, path: str) -> dict[str, set[str]]:
        """Return the hashes of the series that share a subject, by subject."""
        first: dict[int, int] = {}
        """By a hash of the subject, for there may be 100,000 series: most of them are not remembered but here."""
        suspects: set[int] = set()
        for line in self._opened_in(path):
            key, series = hash(self._subject_of(line.series)), hash(line.series_hash)
            if first.setdefault(key, series) != series:
                suspects.add(key)
        if not suspects:
            return {}
        groups: dict[str, set[str]] = collections.defaultdict(set)
        for line in self._opened_in(path):
            if hash(subject := self._subject_of(line.series)) in suspects:
                groups[subject].add(line.series_hash)
        return {subject: group for subject, group in groups.items() if len(group) > 1}

    def _opened_in(self, path: str) -> Iterator[SeriesOpened]:
        for line in opened_lines(path):
            if line is None:
                self._slot.beat(ProcessState.WORKING)
            else:
                yield line

    def _ends_in(self, directory: str, hashes: set[str]) -> "_Ends":
        ends = _Ends(set(), set(), set(), {})
        for line in beating(self._slot, committed_lines(os.path.join(directory, LEDGER_NAME))):
            if line.series_hash in hashes:
                ends.committed.add(line.series_hash)
        for _ in range(2):  # what is renamed during a look can be missed by it (readdir(3))
            for name, state in beating(self._slot, contents(directory)):
                if isinstance(name, MetadataValue) and name.key == COMMITTED_COUNT_KEY and name.series_hash in hashes:
                    ends.note(name, state)
        return ends


class _Ends(NamedTuple):
    """What an association says of the ends of series, by their hashes."""

    committed: set[str]
    decided: set[str]
    placeholders: set[str]
    """Of what was put back: the count was registered before, or comes with it."""
    told: dict[str, int]

    def note(self, name: MetadataValue, state: str) -> None:
        if not name.text.isdecimal():
            self.placeholders.add(name.series_hash)
            return
        self.decided.add(name.series_hash)
        if state == TOLD:
            self.told[name.series_hash] = int(name.text)

    def is_to_come(self, series_hash: str) -> bool:
        """Tell whether a series will be told. One of which a crash left nothing but its line in the ledger never is."""
        if series_hash in self.told:
            return False
        return series_hash in self.decided or (series_hash in self.committed and series_hash not in self.placeholders)


def _shared_subject(group: Iterable[str], ends: _Ends) -> SharedSubject:
    to_come = {one for one in group if ends.is_to_come(one)}
    told = {one: ends.told[one] for one in group if one in ends.told}
    return SharedSubject(set(to_come), to_come, told)
