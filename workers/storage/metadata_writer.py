"""Writing values: `.due` → file at its final path, synced → `.stored` → hint to registration.

The `.due` file in the spool comes first, so that a value that was decided once is never decided otherwise after a
crash.
"""

import os
from collections.abc import Callable
from typing import NamedTuple

from oxidicom.association.uids import shown_uid
from oxidicom.files.directories import error_above, sync_directory
from oxidicom.files.regular_file import open_regular
from oxidicom.records import Series, SharedColumns
from oxidicom.spool.metadata_rows import metadata_row
from oxidicom.spool.names import DUE, STORED, MetadataValue
from oxidicom.tree.final_tree import FinalTree
from workers.channels.messages import MetadataStored
from workers.channels.scoreboard import Counter, ProcessState, Slot
from workers.channels.setting_aside import SettingAside
from workers.storage.needs import StorageNeeds
from workers.storage.retries import Retries
from workers.storage.tree_watch import TreeWatch

_MAX_IN_GROUP = 256


class Due(NamedTuple):
    """A value that is to be written."""

    association: str
    series: Series
    value: MetadataValue
    columns: SharedColumns | None
    """What the first instance of the series says, where that is known."""

    @property
    def fname(self) -> str:
        """The final path of its file."""
        return metadata_row(self.association, self.series, self.value).fname


class MetadataWriter:
    """Writes the values of one storage worker, a group at a time."""

    def __init__(
        self, shared: StorageNeeds, slot: Slot, tree: FinalTree, watch: TreeWatch, forget: Callable[[str, str], None]
    ) -> None:
        """`forget` is told association and series hash of a value that cannot even be decided: it is decided anew."""
        self._shared = shared
        self._slot = slot
        self._tree = tree
        self._watch = watch
        self._forget = forget
        self._due: dict[tuple[str, MetadataValue], Due] = {}
        self._retries: Retries[Due] = Retries(lambda due: (due.association, due.value))
        self._setting_aside = SettingAside(
            shared.directory, slot, Counter.ROWS_SET_ASIDE, "row_set_aside", shared.repetitions, shared.facts
        )

    def add(self, due: Due) -> None:
        """Have a value written; what is due already, or waits for its next try, is taken once."""
        if not self._retries.knows(due):
            self._due.setdefault((due.association, due.value), due)

    @property
    def has_due(self) -> bool:
        """Something is to be written now."""
        return bool(self._due)

    def has_due_of(self, association: str) -> bool:
        """Tell whether something of an association is to be written now."""
        return any(due.association == association for due in self._due.values())

    def write_due(self) -> None:
        """Write the values that are due: decide in the spool, file, sync both, `.stored`, hint."""
        if not self._watch.takes_files:
            return
        self._tree.doubt()
        due = [*self._retries.due(), *self._due.values()]
        self._due.clear()
        for start in range(0, len(due), _MAX_IN_GROUP):
            self._slot.beat(ProcessState.SYNCING)
            self._write_group(due[start : start + _MAX_IN_GROUP])

    def _write_group(self, due: list[Due]) -> None:
        written = [one for one in due if self._decide(one) and self._write(one)]
        if not written:
            return
        # The files are empty: their entries, made durable here, are all that there is of them. Those in the spool too:
        # a value that is forgotten once its row is committed would be decided anew, perhaps as another.
        in_spool = self._sync_associations({one.association for one in written})
        in_tree = self._tree.sync_directories()
        for one in written:
            error = in_spool.get(one.association) or (error_above(one.fname, in_tree) if in_tree else None)
            if error:
                self._fail(one, error)
            else:
                self._mark_stored(one)

    def _sync_associations(self, associations: set[str]) -> dict[str, OSError]:
        """Make the names in the directories of associations durable. Return those of which that failed."""
        failed: dict[str, OSError] = {}
        for association in sorted(associations):
            try:
                sync_directory(os.path.join(self._shared.directory.spool, association))
            except OSError as error:
                failed[association] = error
        return failed

    def _decide(self, due: Due) -> bool:
        """Make the file in the spool, unless it is there already."""
        association, value = due.association, due.value
        try:
            path = os.path.join(self._shared.directory.spool, association, value.at(DUE))
            os.close(open_regular(path, os.O_WRONLY | os.O_CREAT, 0o666))
        except OSError as error:
            # If its directory is gone the association is finished; if that was only away, a rescan decides anew.
            if not isinstance(error, FileNotFoundError):
                self._warn(due, error)
            self._retries.forget(due)
            self._forget(association, value.series_hash)
            return False
        return True

    def _write(self, due: Due) -> bool:
        association, value = due.association, due.value
        try:
            self._tree.place_empty(due.fname)
        except OSError as error:
            self._fail(due, error)
            return False
        except Exception as error:  # noqa: BLE001 (a bug of ours costs this one)
            self._retries.forget(due)
            if not self._setting_aside.unexpected(association, value, DUE, error, due.fname):
                self._forget(association, value.series_hash)
            return False
        return True

    def _mark_stored(self, due: Due) -> None:
        association, value = due.association, due.value
        directory = os.path.join(self._shared.directory.spool, association)
        try:
            os.rename(os.path.join(directory, value.at(DUE)), os.path.join(directory, value.at(STORED)))
        except FileNotFoundError:
            self._retries.forget(due)  # it is stored already, or the association is finished
            return
        except OSError as error:
            self._fail(due, error)
            return
        self._retries.forget(due)
        self._shared.hint_registration(self._slot, MetadataStored(association, *value, due.series, due.columns))

    def _fail(self, due: Due, error: OSError) -> None:
        association, value = due.association, due.value
        if not self._watch.look():
            self._due.setdefault((association, value), due)  # it is the tree that takes nothing
            return
        if self._retries.failed(due, error):
            self._warn(due, error)
            if not self._retries.knows(due):
                self._forget(association, value.series_hash)
            return
        self._setting_aside.set_aside(association, value, DUE, f"cannot be written: {error.strerror}", due.fname)
        self._retries.forget(due)
        if self._setting_aside.leaves_alone(association, value, DUE):
            self._forget(association, value.series_hash)

    def _warn(self, due: Due, error: OSError) -> None:
        association, value = due.association, due.value
        self._shared.repetitions.log(
            self._slot,
            f"metadata_failed {error.errno}",  # a full disk meets every series
            "WARNING",
            "{key} of a series cannot be written: {reason}; it will be tried again",
            association=association,
            key=value.key,
            series_instance_uid=shown_uid(due.series.series_instance_uid),
            reason=error.strerror,
            action="metadata_failed",
        )
