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
import stat
from collections.abc import Callable

from ulid import ULID

from oxidicom.errors import BootError
from oxidicom.storage.ledger import LEDGER_NAME
from oxidicom.storage.spool import associations, end_for_the_dead, remove_finished, remove_tree, sync_directory

PRIVATE_ROOT = ".oxidicom"
_REJECTED = "rejected"


class GatewayDirectory:
    """The directory of one running gateway."""

    def __init__(self, files_root: str) -> None:
        """Make a new directory below `files_root` and lock it. Raise BootError when the storage does not allow it."""
        self._files_root = files_root
        private_root = os.path.join(files_root, PRIVATE_ROOT)
        self.ulid = str(ULID())
        self.path = os.path.join(private_root, self.ulid)
        self.spool = spool_of(self.path)
        self.tmp = os.path.join(self.path, "tmp")
        self.rejected = rejected_directory(files_root)
        try:
            os.makedirs(files_root, exist_ok=True)
            for directory in (private_root, self.rejected, self.path):
                with contextlib.suppress(FileExistsError):
                    os.mkdir(directory, 0o700)
            self._lock = _lock(self.path)  # before it has a spool: without one nobody adopts it
            for directory in (self.spool, self.tmp):
                os.mkdir(directory, 0o700)
            for directory in (files_root, private_root, self.path):
                sync_directory(directory)
        except OSError as error:
            raise BootError(
                f"the storage {files_root} cannot be used: {error.strerror} ({error.filename or self.path}); "
                "CHRIS_FILES_ROOT must be a directory that this user can write to"
            ) from error

    def adopt_orphans(self, on_trouble: Callable[[str, OSError], None]) -> int:
        """Take over the associations of all gateways that are gone. Return how many were taken.

        Each association moves by one rename while the lock of its old owner is held here, so that two gateways
        never take the same one, and a crash in the middle leaves each with the one or the other. `on_trouble` is told
        of directories that cannot be taken over, which are left.
        """
        adopted = 0
        for orphan in gateway_paths(self._files_root):
            if orphan == self.path:
                continue
            try:
                lock = _lock(orphan)
            except (BlockingIOError, FileNotFoundError):
                continue
            except OSError as error:  # it belongs to another user
                on_trouble(orphan, error)
                continue
            try:
                adopted += self._adopt(orphan)
            except FileNotFoundError:
                pass  # another gateway took it over between our look and our lock
            except OSError as error:
                on_trouble(orphan, error)
            finally:
                os.close(lock)
        return adopted

    def _adopt(self, orphan: str) -> int:
        spool = spool_of(orphan)
        taken = 0
        for directory in associations(spool):
            with contextlib.suppress(OSError):  # on a full disk a storage worker ends it when there is room again
                end_for_the_dead(directory, "gateway died")
            taken += self._take(directory)
        _remove_hidden(spool)
        remove_tree(os.path.join(orphan, "tmp"))
        with contextlib.suppress(OSError):  # something was left
            os.rmdir(spool)
            os.rmdir(orphan)
        return taken

    def _take(self, directory: str) -> bool:
        """Move an association here, unless one of its name is not finished here: it is taken the next time."""
        target = os.path.join(self.spool, os.path.basename(directory))
        if os.path.exists(target):  # never onto an empty directory: that is just being removed
            return False
        os.rename(directory, target)
        return True

    def remove_left_overs(self) -> None:
        """Remove directories of associations that are finished but for their removal (they have no ledger)."""
        for directory in associations(self.spool):
            if not os.path.exists(os.path.join(directory, LEDGER_NAME)):
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

    def release(self) -> None:
        """Give up the lock. What is left in the directory is for any gateway to adopt."""
        self.remove_if_empty()
        os.close(self._lock)


def rejected_directory(files_root: str) -> str:
    """Return where things are set aside; it need not exist."""
    return os.path.join(files_root, PRIVATE_ROOT, _REJECTED)


def gateway_paths(files_root: str) -> list[str]:
    """Return the directories of all gateways below `files_root`, oldest first. Raise OSError.

    Only those that have a spool: a gateway that is about to start makes it after its lock.
    """
    private_root = os.path.join(files_root, PRIVATE_ROOT)
    try:
        names = sorted(os.listdir(private_root))
    except FileNotFoundError:
        return []
    paths = [os.path.join(private_root, name) for name in names if name != _REJECTED]
    return [path for path in paths if _has_spool(path)]


def _has_spool(path: str) -> bool:
    try:
        return stat.S_ISDIR(os.stat(spool_of(path)).st_mode)
    except PermissionError:
        return True  # of another user: not to be passed over without a word
    except OSError:
        return False


def spool_of(gateway_path: str) -> str:
    """Return the spool in the directory of a gateway."""
    return os.path.join(gateway_path, "spool")


def is_running(gateway_path: str) -> bool:
    """Tell whether the gateway of a directory lives, without disturbing anybody. Raise OSError.

    A shared lock is tried, on a descriptor of its own. While the gateway lives it is refused, which changes nothing;
    a gateway that starts has its lock before it is in `gateway_paths`. Only where the gateway is gone is it
    granted, for some microseconds: an adopter that comes by just then takes the directory the next time, within a
    minute. (/proc/locks would do without any lock, but does not show those of another container.)
    """
    descriptor = os.open(gateway_path, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_SH | fcntl.LOCK_NB)
    except BlockingIOError:
        return True
    finally:
        os.close(descriptor)
    return False


def _remove_hidden(spool: str) -> None:
    """Remove associations that had begun, but without any instance, and files by which a start tries the storage."""
    for name in os.listdir(spool):
        path = os.path.join(spool, name)
        if name.startswith(".") and os.path.isdir(path):
            remove_tree(path)
        elif name.startswith("."):
            with contextlib.suppress(FileNotFoundError):
                os.unlink(path)


def _lock(directory: str) -> int:
    descriptor = os.open(directory, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError:
        os.close(descriptor)
        raise
    return descriptor
