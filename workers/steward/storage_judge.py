"""The judge of the storage: is what stands at the root the storage, does it take files, is the tree the tree?

It tells nobody, but makes the tree where there never was one, and shows on the scoreboard where that is.
"""

import time

from oxidicom.cube.database import Database
from oxidicom.cube.session import TimeLimits
from oxidicom.errors import DatabaseUnavailableError
from oxidicom.spool.gateway_directory import Storage
from oxidicom.storage.root import (
    Root,
    has_files,
    has_tree,
    is_mount_point,
    look_at_root,
    make_tree,
    place_of_tree,
    tree_is_writable,
)
from oxidicom.storage.trouble import StorageTrouble, trouble_of_bare_root
from workers.channels.scoreboard import Counter, ProcessState, Slot
from workers.steward.needs import StewardNeeds

_LOOK_SECONDS = 1.0
"""The database that knows no files, or cannot be asked, is not asked more often."""
_ASK_SECONDS = 5.0
"""Nor is one that knows files."""
_TRY_SECONDS = 5.0
"""So often the spool is tried: an idle gateway costs next to nothing."""
_QUERY_LIMITS = TimeLimits(lock_seconds=3.0, statement_seconds=5.0, reading_seconds=5.0)
"""With the database: it is only asked whether there is a row."""


class UnwritableRootError(OSError):
    """A new storage can be read, and nothing can be made in it."""


class StorageJudge:
    """Judges the storage of one gateway."""

    def __init__(self, shared: StewardNeeds, slot: Slot) -> None:
        """`slot` is that of the steward."""
        self._shared = shared
        self._slot = slot
        self._root = shared.settings.files_root
        self._directory = shared.directory
        self._made = 0
        self._has_files: bool | None = None
        """What the database said of PACS files; None: it cannot be asked."""
        self._ask_due = 0.0
        self._try_due = 0.0

    def storage(self) -> StorageTrouble:
        """Tell what is wrong with the storage. Raise UnwritableRootError, or OSError when it cannot be read."""
        found = look_at_root(self._root)
        if found is Root.MISSING:
            return StorageTrouble.ROOT_MISSING
        if not self._shared.scoreboard.slots[0][Counter.DIRECTORY_MADE]:
            return self._judge_root_at_start(found)
        self._learn()
        match self._directory.storage():
            case Storage.OTHER:
                return StorageTrouble.ROOT_BARE if found is Root.BARE else StorageTrouble.ROOT_CHANGED
            case Storage.REMOUNTED:
                return StorageTrouble.SPOOL_MISSING  # all that is open leads to the old mount: to be made anew
        if not self._directory.is_there():
            return StorageTrouble.SPOOL_MISSING
        return self._judge_spool()

    def _judge_spool(self) -> StorageTrouble:
        """Tell whether the spool takes files; while it does, not at each look."""
        if time.monotonic() < self._try_due:
            return StorageTrouble.NONE
        if not self._directory.takes_files():
            return StorageTrouble.SPOOL_REFUSES
        self._try_due = time.monotonic() + _TRY_SECONDS
        return StorageTrouble.NONE

    def _learn(self) -> None:
        """The supervisor has made the directory, the first time or again: note where."""
        made = self._shared.scoreboard.slots[0][Counter.DIRECTORY_MADE]
        if made != self._made and self._directory.is_there():
            self._directory.learn()
            self._made = made

    def _judge_root_at_start(self, found: Root) -> StorageTrouble:
        if found is Root.BARE:
            if trouble := self._judge_bare_root():
                return trouble
            try:
                make_tree(self._root)
            except OSError as error:
                raise UnwritableRootError(error.errno, error.strerror) from error
        return StorageTrouble.SPOOL_MISSING  # the supervisor makes it

    def _judge_bare_root(self) -> StorageTrouble:
        """A new installation has no files in the database; a fresh volume may be taken before that can be asked."""
        trouble = trouble_of_bare_root(self._ask_for_files())
        is_fresh_volume = trouble is StorageTrouble.ROOT_UNCERTAIN and is_mount_point(self._root)
        return StorageTrouble.NONE if is_fresh_volume else trouble

    def tree(self) -> StorageTrouble:
        """Tell what is wrong with the tree; make it where it never was."""
        try:
            if not has_tree(self._root) or not has_files(self._root):
                if self._ask_for_files() is not False:
                    return StorageTrouble.TREE_MISSING
                make_tree(self._root)
            for counter, value in zip(
                (Counter.TREE_DEVICE, Counter.TREE_INODE), place_of_tree(self._root), strict=True
            ):
                self._slot.set(counter, value)
            return StorageTrouble.NONE if tree_is_writable(self._root) else StorageTrouble.TREE_REFUSES
        except OSError:  # stale, or a failing disk
            return StorageTrouble.TREE_REFUSES

    def _ask_for_files(self) -> bool | None:
        """Return whether the database knows PACS files; None when it cannot be asked."""
        if time.monotonic() < self._ask_due:
            return self._has_files
        self._slot.beat(ProcessState.WORKING)  # it is not the storage that does not answer
        database = Database(self._shared.db_connection, _QUERY_LIMITS)
        try:
            self._has_files = database.has_files()
        except DatabaseUnavailableError:
            self._has_files = None
        finally:
            database.close()
            self._slot.beat(ProcessState.SYNCING)
        self._ask_due = time.monotonic() + (_ASK_SECONDS if self._has_files else _LOOK_SECONDS)
        return self._has_files
