"""The closing account of a series: what was expected, what came, and what to make of it."""

import collections

from loguru import logger

from oxidicom.records import COMMITTED_COUNT_KEY, EXPECTED_COUNT_KEY
from oxidicom.storage.custom_metadata import Verdict, verdict_of
from oxidicom.storage.ledger import Ledger
from oxidicom.storage.names import NoteName
from workers.messages import Instance
from workers.scoreboard import Counter, Slot

_COUNTERS = {
    Verdict.COMPLETE: Counter.SERIES_COMPLETE,
    Verdict.INCOMPLETE: Counter.SERIES_INCOMPLETE,
    Verdict.MORE_THAN_EXPECTED: Counter.SERIES_MORE_THAN_EXPECTED,
    Verdict.UNKNOWN: Counter.SERIES_UNKNOWN,
}


class ClosingAccounts:
    """Counts while associations are registered, and writes one line for each series at the end."""

    def __init__(self, slot: Slot) -> None:
        self._slot = slot
        self._known: dict[str, collections.Counter[str]] = {}
        """By association and series hash: instances whose rows were there before. A restart begins at 0."""

    def known(self, message: Instance) -> None:
        """The row of an instance was there already."""
        self._known.setdefault(message.association, collections.Counter())[message.series_hash] += 1

    def close(self, association: str, notes: list[NoteName], ledger: Ledger) -> None:
        """An association is wholly registered: account for its series."""
        known = self._known.pop(association, collections.Counter())
        values = {(note.series_hash, note.key): note.value for note in notes}
        for series_hash, committed in ledger.committed.items():
            expected = values.get((series_hash, EXPECTED_COUNT_KEY))
            if (series_hash, COMMITTED_COUNT_KEY) in values:
                self._account(association, series_hash, expected, committed, known[series_hash], ledger)

    def _account(
        self, association: str, series_hash: str, expected: str | None, committed: int, known: int, ledger: Ledger
    ) -> None:
        verdict = verdict_of(expected, committed)
        self._slot.add(_COUNTERS[verdict])
        level = "WARNING" if verdict in (Verdict.INCOMPLETE, Verdict.MORE_THAN_EXPECTED) else "INFO"
        logger.bind(association=association).log(
            level,
            "Series of {calling_ae_title} {verdict}: {committed} of {expected} instances, association {how}",
            calling_ae_title=ledger.started.calling_ae_title if ledger.started else "",
            verdict=verdict.value,
            committed=committed,
            expected=expected or "unknown",
            how=ledger.ended.how if ledger.ended else "",
            registered_before=known,
            refused_in_association=ledger.ended.refused if ledger.ended else None,
            series=series_hash,
            action="series_ended",
        )
