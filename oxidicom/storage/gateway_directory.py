"""The directories of the gateways below `.oxidicom/`: who owns which spool, and how an orphan is adopted.

    .oxidicom/{gateway ULID}/spool/      one directory for each association
    .oxidicom/{gateway ULID}/tmp/        names through which a final path is replaced
    .oxidicom/rejected/                  what could not be stored or registered, with the reason

A `flock` on the gateway's directory, inherited by all its processes, shows that its owner lives. The lock is on
the directory itself, so no lock file can be lost or left.
"""

import contextlib
import fcntl
import os

from ulid import ULID

from oxidicom.errors import BootError
from oxidicom.storage.spool import associations, remove_finished, remove_tree, sync_directory
from oxidicom.storage.spool import close_dead as end_association

PRIVATE_ROOT = ".oxidicom"
_REJECTED = "rejected"


class GatewayDirectory:
    """The directory of one running gateway."""

    def __init__(self, files_root: str) -> None:
        """Make a new directory below `files_root` and lock it. Raise BootError when the storage does not allow it."""
        self._private_root = os.path.join(files_root, PRIVATE_ROOT)
        self.ulid = str(ULID())
        self.path = os.path.join(self._private_root, self.ulid)
        self.spool = os.path.join(self.path, "spool")
        self.tmp = os.path.join(self.path, "tmp")
        self.rejected = os.path.join(self._private_root, _REJECTED)
        try:
            os.makedirs(files_root, exist_ok=True)
            for directory in (self._private_root, self.rejected, self.path):
                with contextlib.suppress(FileExistsError):
                    os.mkdir(directory, 0o700)
            self._lock = _lock(self.path)  # before it has a spool: without one nobody adopts it
            for directory in (self.spool, self.tmp):
                os.mkdir(directory, 0o700)
            for directory in (files_root, self._private_root, self.path):
                sync_directory(directory)
        except OSError as error:
            raise BootError(
                f"the storage {files_root} cannot be used: {error.strerror} ({error.filename or self.path}); "
                "CHRIS_FILES_ROOT must be a directory that this user can write to"
            ) from error

    def adopt_orphans(self) -> int:
        """Take over the associations of all gateways that are gone. Return how many were taken.

        Each association moves by one rename while the lock of its old owner is held here, so that two gateways
        never take the same one, and a crash in the middle leaves each with the one or the other.
        """
        adopted = 0
        for name in sorted(os.listdir(self._private_root)):
            orphan = os.path.join(self._private_root, name)
            if name in (self.ulid, _REJECTED) or not os.path.isdir(os.path.join(orphan, "spool")):
                continue
            try:
                lock = _lock(orphan)
            except (BlockingIOError, FileNotFoundError):
                continue
            try:
                adopted += self._adopt(orphan)
            finally:
                os.close(lock)
        return adopted

    def _adopt(self, orphan: str) -> int:
        spool = os.path.join(orphan, "spool")
        taken = associations(spool)
        for directory in taken:
            with contextlib.suppress(OSError):  # on a full disk a storage worker ends it when there is room again
                end_association(directory, "gateway died")
            os.rename(directory, os.path.join(self.spool, os.path.basename(directory)))
        for name in os.listdir(spool):  # hidden: begun, but without any instance
            remove_tree(os.path.join(spool, name))
        remove_tree(os.path.join(orphan, "tmp"))
        with contextlib.suppress(FileNotFoundError):
            os.rmdir(spool)
            os.rmdir(orphan)
        return len(taken)

    def remove_left_overs(self) -> None:
        """Remove directories of associations that are finished but for their removal (they have no ledger)."""
        for directory in associations(self.spool):
            if not os.path.exists(os.path.join(directory, "ledger.jsonl")):
                remove_finished(directory)

    def remove_if_empty(self) -> bool:
        """Remove the directory when nothing is left in it; return whether it was."""
        remove_tree(self.tmp)
        try:
            os.rmdir(self.spool)
            os.rmdir(self.path)
        except OSError:
            return False
        return True


def _lock(directory: str) -> int:
    descriptor = os.open(directory, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError:
        os.close(descriptor)
        raise
    return descriptor
