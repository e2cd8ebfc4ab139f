"""Whether the final tree as a whole takes files: then, and only then, is a failure the fault of one path.

Permissions of `SERVICES`, a mount that is read-only, stale or away: what concerns the whole tree keeps everything in
the spool, sets nothing aside, and heals by itself.
"""

import contextlib
import errno
import os
import time

from oxidicom.files.regular_file import open_regular
from oxidicom.storage.trouble import StorageTrouble
from oxidicom.tree.final_tree import FinalTree
from workers.channels.scoreboard import Counter, Slot
from workers.channels.storage_condition import StorageCondition

_LOOK_SECONDS = 1.0
_MISSING = (errno.ENOENT, errno.ENOTDIR)


class TreeWatch:
    """Watches the tree for one storage worker, by placing a probe as it places instances."""

    def __init__(self, tree: FinalTree, spool: str, slot: Slot, condition: StorageCondition) -> None:
        self._condition = condition
        self._tree = tree
        self._probe = os.path.join(spool, f".probe-{os.getpid()}")
        self._slot = slot
        self._looked = -_LOOK_SECONDS
        self.has_links = True
        """Whether files are linked into the tree; else they are copied."""
        self.takes_files = True
        """What the last look found."""

    def look(self) -> bool:
        """Tell whether the tree takes files, as it was found within the last second."""
        if not self._condition.tree_is_there:
            self.takes_files = False  # the steward says what is the matter with it
        elif time.monotonic() - self._looked >= _LOOK_SECONDS:
            self._looked = time.monotonic()
            self._look()
        return self.takes_files

    def _look(self) -> None:
        try:
            os.close(open_regular(self._probe, os.O_WRONLY | os.O_CREAT))
        except OSError:
            return  # the spool takes nothing: that says nothing about the tree
        try:
            self.has_links = self._tree.probe(self._probe)
        except OSError as error:
            self._found(StorageTrouble.TREE_MISSING if error.errno in _MISSING else StorageTrouble.TREE_REFUSES)
        else:
            self._found(StorageTrouble.NONE)
        finally:
            self._tree.remove_probe()
            with contextlib.suppress(OSError):
                os.unlink(self._probe)

    def _found(self, trouble: StorageTrouble) -> None:
        """Show it on the scoreboard: the steward says it, once for all who find the same."""
        self.takes_files = trouble is StorageTrouble.NONE
        self._slot.set(Counter.TREE_TROUBLE, trouble)
