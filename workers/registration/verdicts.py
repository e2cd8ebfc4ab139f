"""The closing account of a series: what was expected, what came, and what to make of it."""

import collections
from collections.abc import Container

from loguru import logger

from oxidicom.association.uids import shown_uid
from oxidicom.spool.ledger import Counts
from oxidicom.spool.metadata_rows import UNKNOWN, Verdict, verdict_of
from oxidicom.spool.put_back import is_put_back
from oxidicom.wording import counted
from workers.channels.messages import Instance
from workers.channels.outcomes import SERIES_ENDED
from workers.channels.scoreboard import Slot

_SAID = {
    Verdict.COMPLETE: "is complete",
    Verdict.INCOMPLETE: "is incomplete",
    Verdict.MORE_THAN_EXPECTED: "has more instances than expected",
    Verdict.UNKNOWN: "is of unknown size",
    Verdict.SET_ASIDE: "was set aside in part",
}
_TROUBLE = (Verdict.INCOMPLETE, Verdict.MORE_THAN_EXPECTED, Verdict.SET_ASIDE)
_MAX_KNOWN = 10_000
"""So many associations have a count of what was registered before; that of one beyond begins at 0 again."""


class Verdicts:
    """Counts while associations are registered, and writes one line for each series at the end."""

    def __init__(self, slot: Slot, asked: Container[str]) -> None:
        """`asked` are the calling AE titles whose PACS are asked for the size of a series."""
        self._slot = slot
        self._asked = asked
        self._known: dict[str, collections.Counter[str]] = {}
        """By association and series hash: instances whose rows were there before. A restart begins at 0."""

    def known(self, message: Instance) -> None:
        """The row of an instance was there already."""
        if message.association not in self._known and len(self._known) >= _MAX_KNOWN:
            del self._known[next(iter(self._known))]
        self._known.setdefault(message.association, collections.Counter())[message.series_hash] += 1

    def close(self, association: str, expected: dict[str, str], counts: Counts, set_aside: dict[str, int]) -> None:
        """An association is wholly registered or set aside: account for its series.

        `expected` are the registered values of how many instances there should be, by series hash.
        """
        known = self._known.pop(association, collections.Counter())
        if is_put_back(counts):
            _tell_of_put_back(association, counts, set_aside)
        for series_hash, committed in counts.committed.items():
            size = expected.get(series_hash, UNKNOWN)
            aside = set_aside.get(series_hash, 0)
            repeated = counts.repeated.get(series_hash, 0)
            verdict = verdict_of(size, committed - repeated, aside)
            self._slot.add(SERIES_ENDED[verdict])
            is_all_aside = verdict is Verdict.SET_ASIDE and aside >= committed - repeated
            said = "was set aside" if is_all_aside else _SAID[verdict]
            logger.bind(association=association).log(
                "WARNING" if verdict in _TROUBLE else "INFO",
                f"Series from {{calling_ae_title}} {said}: {{account}} (association ended: {{how}})",
                calling_ae_title=counts.calling_ae_title,
                verdict=verdict.value,
                committed=committed,
                expected=size,
                account=_account(
                    committed - repeated, size, aside, repeated, is_asked=counts.calling_ae_title in self._asked
                ),
                how=counts.ended.how if counts.ended else "",
                repeated=repeated,
                registered_before=known[series_hash],
                refused_in_association=counts.ended.refused if counts.ended else None,
                series_hash=series_hash,
                series_instance_uid=shown_uid(counts.opened[series_hash]) if series_hash in counts.opened else "",
                action="series_ended",
            )


def _tell_of_put_back(association: str, counts: Counts, set_aside: dict[str, int]) -> None:
    """Say of series whose account was given before what became of what was put back."""
    for series_hash, series_instance_uid in counts.opened.items():
        aside = set_aside.get(series_hash, 0)
        logger.bind(association=association).log(
            "WARNING" if aside else "INFO",
            "Series from {calling_ae_title}, put back: {account}",
            calling_ae_title=counts.calling_ae_title,
            account=f"{counted(aside, 'instance')} still set aside" if aside else "no instance is set aside any more",
            series_hash=series_hash,
            series_instance_uid=shown_uid(series_instance_uid),
            action="series_put_back",
        )


def _account(distinct: int, expected: str, set_aside: int, repeated: int, *, is_asked: bool) -> str:
    """Say what came and what was expected, in a few words."""
    if expected == UNKNOWN:
        why = "the PACS did not say how many it has" if is_asked else "no PACS was asked (CHRIS_PACS_ADDRESS)"
        account = f"{distinct} received, {why}"
    else:
        account = f"{distinct} of {expected} received"
    if repeated:
        account += f", {repeated} came again"
    return f"{account}, {set_aside} of them set aside" if set_aside else account
