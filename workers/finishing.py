"""When a series and an association are finished: the directory in the spool alone decides, so it holds after any crash.

OxidicomAttemptedPushCount is the last row of its series; when those of all series are registered, the directory goes.
"""

import itertools
import os

from loguru import logger

from oxidicom.records import COMMITTED_COUNT_KEY
from oxidicom.storage.names import REGISTERED, STORED, EntryName, NoteName
from oxidicom.storage.spool import contents, ledger_of, remove_finished
from workers.batching import MOST_IN_BATCH, Batch
from workers.closing import ClosingAccounts
from workers.messages import NoteStored
from workers.shared import Shared


class Finishing:
    """Tells what is finished, as the registration worker wants to know it."""

    def __init__(self, shared: Shared, accounts: ClosingAccounts) -> None:
        self._shared = shared
        self._spool = shared.directory.spool
        self._rejected = shared.directory.rejected
        self._accounts = accounts

    def ready(self, ends: list[NoteStored], batch: Batch) -> list[NoteStored]:
        """Return those counts whose series have nothing left but what is in `batch`; MOST_IN_BATCH at most."""
        ready: list[NoteStored] = []
        if not ends:
            return ready
        in_batch = {(message.association, message.name.at(STORED)) for message in batch.entries}
        by_association = itertools.groupby(
            sorted(ends, key=lambda end: end.association), key=lambda end: end.association
        )
        for association, its_ends in by_association:
            # Looked at twice: what storage renames to `.stored` during the one look can be missed by it (readdir(3)),
            # but not by the next, for only this process takes it from there.
            try:
                without = self._without_rest(association, list(its_ends), in_batch)
                ready += self._without_rest(association, without, in_batch)
            except OSError as error:
                _warn(association, error)
            if len(ready) >= MOST_IN_BATCH:
                break
        return ready[:MOST_IN_BATCH]

    def _without_rest(
        self, association: str, ends: list[NoteStored], in_batch: set[tuple[str, str]]
    ) -> list[NoteStored]:
        if not ends:
            return []
        left = {
            name.series_hash
            for name, state in contents(os.path.join(self._spool, association))
            if state != REGISTERED and not _is_end(name) and (association, name.at(state)) not in in_batch
        }
        return [end for end in ends if end.series_hash not in left]

    def remove_if_finished(self, association: str) -> None:
        """Remove the directory of an association, and account for it, if everything that came is registered."""
        if self._shared.scoreboard.has_listener(association):
            return  # it goes on: its ledger, which may be long, need not be read
        try:
            self._remove_if_finished(os.path.join(self._spool, association), association)
        except OSError as error:
            _warn(association, error)

    def _remove_if_finished(self, directory: str, association: str) -> None:
        if any(state != REGISTERED for _, state in contents(directory)):
            return
        there = list(contents(directory))  # the second look of `ready`, for the same reason
        if any(state != REGISTERED for _, state in there):
            return
        notes = [name for name, _ in there if isinstance(name, NoteName)]
        ledger = ledger_of(directory)
        if ledger is None:
            remove_finished(directory)  # a crash ended in the middle of that
            return
        ends = {name.series_hash for name in notes if _is_end(name)}
        if ledger.ended and ends >= self._series_to_end(directory, set(ledger.series)):
            remove_finished(directory)
            self._accounts.close(association, notes, ledger)

    def _series_to_end(self, directory: str, series: set[str]) -> set[str]:
        """Series of which the count itself was refused and set aside are not waited for."""
        aside = os.path.join(self._rejected, os.path.basename(directory))
        refused = {name.series_hash for name, _ in contents(aside) if _is_end(name)}
        return series - refused


def _warn(association: str, error: OSError) -> None:
    logger.bind(association=association).warning(
        "The spool of an association cannot be read or cleared: {reason}; it is looked at again",
        reason=error.strerror,
        action="finish_failed",
    )


def _is_end(name: EntryName | NoteName) -> bool:
    return isinstance(name, NoteName) and name.key == COMMITTED_COUNT_KEY
