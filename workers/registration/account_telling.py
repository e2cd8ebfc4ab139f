"""What observer and page are told of an association when nothing of it is left to be done: its series with numbers.

Of what was put back the number of instances is 0: it was told before, and only what is set aside now is news.

It is told from the directory, right before that goes: so whatever was restarted, adopted or lost meanwhile, this comes.
A crash between the two has it told again.
"""

import contextlib
import os
from collections.abc import Iterator, Mapping

from oxidicom.history.records import SeriesCount
from oxidicom.spool.association_directory import ledger_mtime_ns
from oxidicom.spool.ledger import LEDGER_NAME, Counts, opened_lines
from oxidicom.spool.put_back import is_put_back
from workers.channels.facts import MAX_SERIES_COUNTS, AssociationRegistered
from workers.channels.scoreboard import ProcessState, Slot
from workers.registration.needs import RegistrationNeeds


class AccountTelling:
    """Tells, if somebody wants to know."""

    def __init__(self, shared: RegistrationNeeds, slot: Slot) -> None:
        self._facts = shared.facts
        self._slot = slot

    def tell(self, directory: str, expected: Mapping[str, str], counts: Counts, set_aside: Mapping[str, int]) -> None:
        """Tell of the association in `directory`, which may have a hundred thousand series.

        `expected` are the registered values of how many instances there should be, by series hash.
        What cannot be read is not told: nothing waits for that.
        """
        if not self._facts.wants(AssociationRegistered):
            return
        with contextlib.suppress(OSError):
            part: list[SeriesCount] = []
            for one in self._series(directory, expected, counts, set_aside):
                if len(part) >= MAX_SERIES_COUNTS:
                    self._tell(directory, counts, part, is_last=False)
                    part = []
                part.append(one)
            self._tell(directory, counts, part, is_last=True)

    def _series(
        self, directory: str, expected: Mapping[str, str], counts: Counts, set_aside: Mapping[str, int]
    ) -> Iterator[SeriesCount]:
        seen: set[str] = set()
        for line in opened_lines(os.path.join(directory, LEDGER_NAME)):
            if line is None:
                self._slot.beat(ProcessState.WORKING)
            elif line.series_hash not in seen and (line.series_hash in counts.committed or is_put_back(counts)):
                seen.add(line.series_hash)
                size = expected.get(line.series_hash, "")
                yield SeriesCount(
                    line.series_hash,
                    line.series.study_instance_uid,
                    line.series.series_instance_uid,
                    counts.committed.get(line.series_hash, 0),
                    set_aside.get(line.series_hash, 0),
                    int(size) if size.isdecimal() else None,
                    is_settled=True,
                    repeated=counts.repeated.get(line.series_hash, 0),
                )

    def _tell(self, directory: str, counts: Counts, series: list[SeriesCount], *, is_last: bool) -> None:
        started, ended = counts.started, counts.ended
        fact = AssociationRegistered(
            association=os.path.basename(directory),
            calling_ae_title=counts.calling_ae_title,
            called_ae_title=started.called_ae_title if started else "",
            peer=started.peer if started else "",
            how=ended.how if ended else "",
            ended_ns=ledger_mtime_ns(directory),
            refused=ended.refused if ended else None,
            bytes=counts.bytes,
            stored=sum(counts.committed.values()),
            series=series,
            is_last=is_last,
        )
        self._facts.tell(self._slot, fact)
