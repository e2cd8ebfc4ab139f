"""The directory of the gateway in the storage: made at the start, and again when it is gone or on another mount.

Whether the storage is the right one, the steward says; this is what the supervisor does about it, since the lock of the
directory is to be inherited by all processes.
"""

import time

from loguru import logger

from oxidicom.errors import BootError
from oxidicom.outage import Outage
from oxidicom.storage.clock import StorageClock
from oxidicom.storage.root import Root, look_at_root
from oxidicom.storage.trouble import StorageTrouble
from workers.channels.scoreboard import Counter
from workers.channels.shared import Shared
from workers.channels.storage_condition import StorageCondition
from workers.supervisor.children import Children

_TRY_SECONDS = 2.0
"""Seconds between two attempts to make it."""


class DirectoryKeeper:
    """Makes the directory, and sets the clock of the storage with it."""

    def __init__(self, shared: Shared, children: Children) -> None:
        """Make it now if the storage is known to be there. Raise BootError.

        The `children` come first: by them the roles are found on the scoreboard.
        """
        self._shared = shared
        self._children = children
        self._condition = StorageCondition(shared.scoreboard)
        self._due = 0.0
        self._outage = Outage("spool", "ERROR")
        self.is_made = False
        """The directory was made, at least once."""
        for counter in (Counter.STORAGE_TROUBLE, Counter.TREE_TROUBLE):
            shared.scoreboard.steward.set(counter, StorageTrouble.NOT_LOOKED_AT)
        if _is_there(shared.settings.files_root):  # else the steward finds out why not
            self._make()

    def make_if_missing(self) -> None:
        """Make the directory when the steward says that the storage is there and it is not.

        Raise BootError when that is impossible at the start; later it is tried again.
        """
        missing = self._condition.trouble is StorageTrouble.SPOOL_MISSING
        if not missing or time.monotonic() < self._due:
            return
        self._due = time.monotonic() + _TRY_SECONDS
        was_made = self.is_made
        try:
            if was_made:
                # They have files of the storage open as it was before, and its lock. What they open anew is there;
                # associations were being refused already.
                logger.warning(
                    "The storage was remounted or its spool is gone: restarting all processes", action="storage_renewed"
                )
                self._children.replace_all()
            self._make()
        except BootError as error:
            if not was_made:
                raise
            what = "Degraded: no instance is accepted (A700) and the spool cannot be made again"
            self._outage.goes_on(what, str(error))

    def _make(self) -> None:
        """Make and lock it, and set the clock of the storage. Raise BootError."""
        shared = self._shared
        shared.directory.make()
        try:
            offset_ns = StorageClock(shared.settings.files_root).synchronise()
        except OSError as error:
            raise BootError(f"the clock of the storage cannot be set: {error.strerror} ({error.filename})") from error
        steward = shared.scoreboard.steward
        steward.set(Counter.CLOCK_OFFSET_NS, max(offset_ns, steward[Counter.CLOCK_OFFSET_NS]))
        steward.set(Counter.STORAGE_TROUBLE, StorageTrouble.NONE)
        shared.scoreboard.slots[0].add(Counter.DIRECTORY_MADE)
        self._outage.is_over("the spool is made again")
        self.is_made = True

    def remove_if_empty(self) -> None:
        """At the end: remove it, unless something waits in it."""
        if self.is_made and not self._shared.directory.remove_if_empty():
            logger.info(
                "Instances that are not registered yet wait in the spool for the next start", action="backlog_kept"
            )


def _is_there(files_root: str) -> bool:
    try:
        return look_at_root(files_root) is Root.THERE
    except OSError:
        return False
