"""The "Oxidicom Custom Metadata" of the series of one storage worker: what is asked, answered and so decided.

For each series of each association: its first instance makes a question to inquiry; the answer makes the value
NumberOfSeriesRelatedInstances; the end of the association, once there is an answer, makes OxidicomAttemptedPushCount.
`metadata_writer` writes them.
"""

import dataclasses
import os

from oxidicom.records import COMMITTED_COUNT_KEY, EXPECTED_COUNT_KEY, Series, SharedColumns
from oxidicom.spool.association_directory import ledger_of
from oxidicom.spool.ledger import Ledger
from oxidicom.spool.metadata_rows import committed_count_value, expected_count_value
from oxidicom.spool.names import DUE, MetadataValue
from oxidicom.tree.final_tree import FinalTree
from workers.channels.messages import Instance, SeriesSeen
from workers.channels.scoreboard import Role, Slot
from workers.storage.metadata_writer import Due, MetadataWriter
from workers.storage.needs import StorageNeeds
from workers.storage.tree_watch import TreeWatch

MAX_OPEN = 2000
"""So many series are kept in memory; those beyond are found in the spool when there is room."""


@dataclasses.dataclass(slots=True)
class _Progress:
    """How far the values of one series in one association are."""

    series: Series
    columns: SharedColumns | None
    """What its first instance says, where that is known."""
    asked_generation: int | None = None
    """The inquiry process that was asked: if it dies, the next one is asked."""
    answered: bool = False
    ended: bool = False
    """OxidicomAttemptedPushCount is decided."""
    count: int | None = None
    """Number of committed instances, once the association has ended."""


_Key = tuple[str, str]  # association, series hash


class SeriesMetadata:
    """Keeps the values of the series that are not finished, up to a fixed number of series."""

    def __init__(self, shared: StorageNeeds, slot: Slot, index: int, tree: FinalTree, watch: TreeWatch) -> None:
        self._shared = shared
        self._slot = slot
        self._index = index
        self._writer = MetadataWriter(shared, slot, tree, watch, self._forget)
        self._series: dict[_Key, _Progress] = {}
        self._unasked: dict[_Key, _Progress] = {}
        self._finished: dict[str, set[str]] = {}
        """Hashes of the series that need nothing more, by association: they are neither asked nor decided anew."""
        self._undecided: set[str] = set()
        """Associations with a value that could not be decided or written."""
        self._inquiry_slot: Slot | None = None
        self.answers = shared.answer_queues[index]
        self.left_out = False
        """There are more series than are kept: a rescan finds them."""

    @property
    def waiting(self) -> bool:
        """An answer or a file is still to come."""
        return bool(self._unasked or self._writer.has_due)

    def see(self, message: Instance) -> None:
        """Note that an instance came; the first one of a series makes a question."""
        key = (message.association, message.series_hash)
        if key not in self._series and not self._is_finished(*key) and self._has_room:
            self._open(key, message.file.series, message.file.columns)

    def _is_finished(self, association: str, series_hash: str) -> bool:
        return series_hash in self._finished.get(association, ())

    def finish(self, association: str, finished: set[str]) -> None:
        """Note that both values of these series are on disk: nothing more is to be remembered of them."""
        if finished:
            self._finished.setdefault(association, set()).update(finished)
        for series_hash in finished:
            self._series.pop((association, series_hash), None)

    @property
    def _has_room(self) -> bool:
        if len(self._series) < MAX_OPEN:
            return True
        self.left_out = True
        return False

    def _forget(self, association: str, series_hash: str) -> None:
        """A value of a series could not be decided: a rescan takes the series up again, as the spool has it then."""
        self._series.pop((association, series_hash), None)
        self._unasked.pop((association, series_hash), None)
        self._undecided.add(association)
        self.left_out = True

    def take_undecided(self) -> set[str]:
        """Return the associations of which a rescan is to take series up again, although they may go on; once."""
        undecided, self._undecided = self._undecided, set()
        return undecided

    def _open(self, key: _Key, series: Series, columns: SharedColumns | None) -> None:
        self._series[key] = self._unasked[key] = _Progress(series, columns)

    def take_up(self, association: str, ledger: Ledger, values: list[tuple[MetadataValue, str]]) -> None:
        """Learn from the spool how far the series of an association are, those that `ledger` has."""
        for series_hash, one in ledger.series.items():
            key = (association, series_hash)
            if key not in self._series and self._has_room:
                self._open(key, one, ledger.columns.get(series_hash))
        for value, state in values:
            key = (association, value.series_hash)
            if progress := self._series.get(key):
                self._learn(key, progress, value, state)

    def _learn(self, key: _Key, progress: _Progress, value: MetadataValue, state: str) -> None:
        if value.key == EXPECTED_COUNT_KEY:
            progress.answered = True
            self._unasked.pop(key, None)
        progress.ended |= value.key == COMMITTED_COUNT_KEY
        if state == DUE:
            self._write(key, progress, value)

    def end(self, association: str, ledger: Ledger | None = None) -> None:
        """Note that an association ended: the counts of its series are final."""
        ledger = ledger or ledger_of(
            os.path.join(self._shared.directory.spool, association),
            lambda series_hash: (association, series_hash) in self._series,
        )
        if ledger is None:
            return
        for series_hash, count in ledger.committed.items():
            progress = self._series.get((association, series_hash))
            if progress and progress.count is None:
                progress.count = count
                self._finish_if_ready((association, series_hash), progress)

    def are_written(self, association: str, series: dict[str, Series]) -> bool:
        """Tell whether both values of all these series are on disk."""
        keys = [(association, series_hash) for series_hash in series]
        done = all((p := self._series.get(key)) and p.answered and p.ended for key in keys)
        if not done or self._writer.has_due_of(association):
            return False
        self.finish(association, set(series))
        return True

    def keep_only(self, associations: set[str]) -> None:
        """Forget all associations that are wholly registered: their directories are gone."""
        for key in [key for key in self._series if key[0] not in associations]:
            del self._series[key]
            self._unasked.pop(key, None)
        for association in self._finished.keys() - associations:
            del self._finished[association]
        self.left_out = False  # who is left out is found by the rescan that begins here

    def take_answers(self) -> None:
        """Take the answers of inquiry, and put the questions that are still to be put."""
        while (answer := self.answers.get()) is not None:
            key = (answer.association, answer.series_hash)
            progress = self._series.get(key)
            if progress and not progress.answered:
                progress.answered = True
                self._unasked.pop(key, None)
                self._write(key, progress, expected_count_value(key[1], answer.count))
                self._finish_if_ready(key, progress)
        self._ask()

    def _finish_if_ready(self, key: _Key, progress: _Progress) -> None:
        if progress.answered and progress.count is not None and not progress.ended:
            progress.ended = True
            self._write(key, progress, committed_count_value(key[1], progress.count))

    def _write(self, key: _Key, progress: _Progress, value: MetadataValue) -> None:
        self._writer.add(Due(key[0], progress.series, value, progress.columns))

    def _ask(self) -> None:
        """Put every question that is open. Never waits: what finds no room is put at the next call."""
        if not self._unasked:
            return
        generation = self._inquiry.generation
        for (association, series_hash), progress in self._unasked.items():
            if progress.asked_generation == generation:
                continue
            question = SeriesSeen(self._index, association, series_hash, progress.series)
            if not self._shared.inquiry_queue.put(question):
                return
            progress.asked_generation = generation

    @property
    def _inquiry(self) -> Slot:
        if self._inquiry_slot is None:
            self._inquiry_slot = self._shared.scoreboard.of_role(Role.INQUIRY)[0]
        return self._inquiry_slot

    def write_due(self) -> None:
        """Put the questions that are open, and write the values that are due."""
        self._ask()
        self._writer.write_due()
