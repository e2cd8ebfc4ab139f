"""What the registration worker finds in the spool by itself: what is stored, and no message told.

It is *behind* when something may wait of which no message is to come: a hint found no room, a process died, or memory
was full before the end of the spool. Until it has caught up it listens to no message, but takes from the spool, the
oldest first: else those that never stop coming would be served before those that wait.
"""

import heapq
import os
import time
from collections.abc import Iterator

from oxidicom.errors import DatasetError
from oxidicom.storage.custom_metadata import metadata_row
from oxidicom.storage.names import STORED, EntryName, NoteName
from oxidicom.storage.spool import associations, contents, describe_entry, ledger_of
from workers.asides import Asides, waits_for_next_rescan
from workers.batching import Pending
from workers.finishing import Finishing
from workers.messages import Instance, NoteStored
from workers.scoreboard import Counter, Role, Slot, State
from workers.shared import Shared

_RESCAN_SECONDS = 10.0
_SOON_SECONDS = 1.0
"""After so long counts are looked for of which there are more than are kept; they may wait for long themselves."""


class RegistrationRescan:
    """The rescans of the registration worker, which fill `pending`."""

    def __init__(self, shared: Shared, slot: Slot, pending: Pending, finishing: Finishing, asides: Asides) -> None:
        self._slot = slot
        self._pending = pending
        self._finishing = finishing
        self._asides = asides
        self._spool = shared.directory.spool
        self._queue = shared.registration_queue
        self._droppers = [shared.scoreboard.slots[0], *shared.scoreboard.of_role(Role.STORAGE)]
        self._dropped_seen = 0
        self._is_behind = False
        self._due = 0.0

    @property
    def is_behind(self) -> bool:
        """Whether something older may wait in the spool than the messages tell of."""
        return self._is_behind or self._dropped != self._dropped_seen

    @property
    def _dropped(self) -> int:
        return sum(slot[Counter.HINTS_DROPPED] for slot in self._droppers)

    def somebody_died(self) -> None:
        """What the dead had to tell is found by the next rescan."""
        self._is_behind = True

    def run_if_due(self) -> None:
        """Look through the spool when it is behind, and now and then. Call it when nothing else is to be registered."""
        if not self.is_behind and time.monotonic() < self._due:
            return
        self._due = time.monotonic() + _RESCAN_SECONDS
        self._dropped_seen = self._dropped
        if self._is_behind:
            while self._queue.get():
                pass  # what these tell is found as well, and what comes after them is queued behind
        self._is_behind = not self._run()
        if self._pending.ends_left_out:
            self._due = time.monotonic() + _SOON_SECONDS

    def _run(self) -> bool:
        """Take up what is stored, oldest first. Return False when memory was full before the end."""
        for directory in associations(self._spool):
            self._slot.beat(State.WORKING)
            association = os.path.basename(directory)
            try:
                if not self._take_up(directory, association):
                    return False
            except OSError as error:
                waits_for_next_rescan(association, error)
            self._finishing.remove_if_finished(association)
        return True

    def _take_up(self, directory: str, association: str) -> bool:
        """Take up what is stored in one directory. Return False when memory was full. Raise OSError."""
        entries = (name for name in self._stored_in(directory, association) if isinstance(name, EntryName))
        for name in heapq.nsmallest(self._pending.room + 1, entries):
            if self._pending.full:
                return False
            self._slot.beat(State.WORKING)
            self._take_up_instance(directory, association, name)
        notes = [name for name in self._stored_in(directory, association) if isinstance(name, NoteName)]
        ledger = ledger_of(directory) if notes else None
        for note in notes:
            if self._pending.full:
                return False
            if ledger and note.series_hash in ledger.series:
                row = metadata_row(association, ledger.series[note.series_hash], note)
                self._pending.add(NoteStored(association, *note, row))
        return True

    def _stored_in(self, directory: str, association: str) -> Iterator[EntryName | NoteName]:
        for name, state in contents(directory):
            if state == STORED and not self._asides.leaves_alone(association, name, state):
                yield name

    def _take_up_instance(self, directory: str, association: str, name: EntryName) -> None:
        path = os.path.join(directory, name.at(STORED))
        try:
            file = describe_entry(path).file
            self._pending.add(Instance(association, *name, os.stat(path).st_mtime_ns, file))
        except FileNotFoundError:
            pass  # it went on while we looked
        except OSError as error:
            self._asides.cannot_read(association, name, STORED, error)
        except DatasetError as error:
            self._asides.set_aside(association, name, STORED, f"not readable: {error}")
