"""What the registration worker finds in the spool by itself: what is stored, and no message told.

It is *behind* when something may wait of which no message is to come: a hint found no room, or a process died. Then it
goes once through the whole spool, oldest association first, and until it is through it listens to no message: else
those that never stop coming would be served before those that wait. It pauses where memory is full and goes on there,
so that a million entries are looked at once, and not once for each time that memory was full.
"""

import itertools
import os
import time
from collections.abc import Iterator

from oxidicom.errors import DatasetError
from oxidicom.spool.association_directory import associations, ledger_of
from oxidicom.spool.entries import contents, entries
from oxidicom.spool.entry_describer import EntryDescriber, read_ahead
from oxidicom.spool.journal import Owner, owner_of
from oxidicom.spool.names import STORED, EntryName, MetadataValue
from workers.channels.heartbeat import beating
from workers.channels.messages import Instance, MetadataStored
from workers.channels.scoreboard import Counter, ProcessState, Role, Slot
from workers.channels.setting_aside import SettingAside, waits_for_next_rescan
from workers.registration.batching import MAX_IN_BATCH, Pending
from workers.registration.completion import SeriesCompletion
from workers.registration.needs import RegistrationNeeds

_RESCAN_SECONDS = 10.0
_SOON_SECONDS = 1.0
"""Delay before looking for counts that did not fit in memory."""
_SORTED = 10_000
"""So many names of a directory are held and put in the order of their commits."""
_AHEAD = 128
"""So many entries are read at the same time, while those before them are described."""


class RegistrationRescan:
    """The rescans of the registration worker, which fill `pending`."""

    def __init__(
        self,
        shared: RegistrationNeeds,
        slot: Slot,
        pending: Pending,
        completion: SeriesCompletion,
        setting_aside: SettingAside,
    ) -> None:
        self._slot = slot
        self._pending = pending
        self._completion = completion
        self._setting_aside = setting_aside
        self._directory = shared.directory
        self._queue = shared.registration_queue
        self._scoreboard = shared.scoreboard
        self._droppers = [
            shared.scoreboard.slots[0],
            *shared.scoreboard.of_role(Role.STORAGE),
            *shared.scoreboard.of_role(Role.STEWARD),
        ]
        self._dropped_seen = 0
        self._is_behind = False
        self._due = 0.0
        self._walk: Iterator[None] | None = None
        """The walk through the spool that is under way."""

    @property
    def is_behind(self) -> bool:
        """Whether something older may wait in the spool than the messages tell of."""
        return self._walk is not None or self._is_behind or self._dropped != self._dropped_seen

    @property
    def can_go_on(self) -> bool:
        """Whether a walk is under way and there is room for a batch more."""
        return self._walk is not None and self._pending.room >= MAX_IN_BATCH

    @property
    def _dropped(self) -> int:
        return sum(slot[Counter.HINTS_DROPPED] for slot in self._droppers)

    def somebody_died(self) -> None:
        """What the dead had to tell is found by the next rescan."""
        self._is_behind = True

    def run_if_due(self) -> None:
        """Look through the spool when it is behind, and now and then. Call it when nothing else is to be registered."""
        if self._walk is None:
            if not self.is_behind and time.monotonic() < self._due:
                return
            self._begin()
        self.go_on()

    def _begin(self) -> None:
        self._due = time.monotonic() + _RESCAN_SECONDS
        self._dropped_seen = self._dropped
        if self._is_behind:
            while self._queue.get():
                pass  # what these tell is found as well, and what comes after them is queued behind
        self._is_behind = False
        self._walk = self._through_spool()

    def go_on(self) -> None:
        """Go on with the walk that is under way, until memory is full or it is through."""
        if self._walk is not None and next(self._walk, self) is self:
            self._walk = None
            self._completion.incomplete = ""
            if self._pending.counts_left_out:
                self._due = time.monotonic() + _SOON_SECONDS

    def _through_spool(self) -> Iterator[None]:
        """Take up what is stored, oldest association first. Yield while memory is full."""
        try:
            directories = associations(self._directory.spool)
        except FileNotFoundError:
            return  # the spool is gone: the steward has it made again
        for directory in directories:
            self._slot.beat(ProcessState.WORKING)
            association = os.path.basename(directory)
            if self._setting_aside.leaves_association_alone(association):
                continue
            self._completion.incomplete = association
            try:
                yield from self._take_up(directory, association)
            except OSError as error:
                waits_for_next_rescan(directory, error)
            except Exception as error:  # noqa: BLE001 (a bug of ours costs this association)
                self._setting_aside.unexpected_association(association, error)
                self._due = time.monotonic() + _SOON_SECONDS
            self._completion.incomplete = ""
            self._completion.remove_if_finished(association, tell_again=True)

    def _take_up(self, directory: str, association: str) -> Iterator[None]:
        """Take up what is stored in one directory. Yield while memory is full. Raise OSError."""
        if not self._is_counted(directory, association):
            self._is_behind = True  # somebody is at it at this moment
            return
        stored, describer = self._stored_in(directory, association), EntryDescriber()
        while names := sorted(itertools.islice(stored, _SORTED)):
            for at, name in enumerate(names):
                if at % _AHEAD == 0:
                    read_ahead(self._paths(directory, names[at + _AHEAD if at else 0 : at + 2 * _AHEAD]))
                while self._pending.full:
                    yield
                self._slot.beat(ProcessState.WORKING)
                self._take_up_instance(directory, association, name, describer)
        values = self._values_in(directory, association)
        while group := list(itertools.islice(values, _SORTED)):
            for message in self._messages_of(directory, association, group):
                while self._pending.full:
                    yield
                self._pending.add(message)

    def _paths(self, directory: str, names: list[EntryName]) -> Iterator[str]:
        for name in names:
            self._slot.beat(ProcessState.WORKING)  # to open each may take its time
            yield os.path.join(directory, name.at(STORED))

    def _is_counted(self, directory: str, association: str) -> bool:
        """See that the ledger counts every entry, before one is registered and gone. Raise OSError."""
        if self._scoreboard.has_listener(association):
            return True
        return self._directory.end_for_the_dead(directory, lambda: self._slot.beat(ProcessState.WORKING))

    def _stored_in(self, directory: str, association: str) -> Iterator[EntryName]:
        for name, state in beating(self._slot, entries(directory)):
            if owner_of(name, state) is Owner.REGISTRATION and not self._setting_aside.leaves_alone(
                association, name, state
            ):
                yield name

    def _values_in(self, directory: str, association: str) -> Iterator[MetadataValue]:
        for name, state in beating(self._slot, contents(directory)):
            if not isinstance(name, MetadataValue) or owner_of(name, state) is not Owner.REGISTRATION:
                continue
            if not self._setting_aside.leaves_alone(association, name, state):
                yield name

    def _messages_of(self, directory: str, association: str, values: list[MetadataValue]) -> Iterator[MetadataStored]:
        """Yield what the messages of values would have said; set those aside whose series nothing tells."""
        ledger = ledger_of(directory, {value.series_hash for value in values}.__contains__)
        for value in values:
            series = ledger.series.get(value.series_hash) if ledger else None
            if ledger is not None and series is not None:
                yield MetadataStored(association, *value, series, ledger.columns.get(value.series_hash))
            elif os.path.exists(os.path.join(directory, value.at(STORED))):
                self._setting_aside.set_aside(association, value, STORED, "the ledger no longer names its series")

    def _take_up_instance(self, directory: str, association: str, name: EntryName, describer: EntryDescriber) -> None:
        path = os.path.join(directory, name.at(STORED))
        try:
            entry = describer.describe(path)
            self._pending.add(Instance(association, *name, entry.committed_ns, entry.description.file))
        except FileNotFoundError:
            pass  # it went on while we looked
        except OSError as error:
            self._setting_aside.cannot_read(association, name, STORED, error)
        except DatasetError as error:
            self._setting_aside.set_aside(association, name, STORED, f"not readable: {error}")
        except Exception as error:  # noqa: BLE001 (a bug of ours costs this entry)
            self._setting_aside.unexpected(association, name, STORED, error)
            self._due = time.monotonic() + _SOON_SECONDS
