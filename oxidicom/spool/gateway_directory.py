"""The directories of the gateways below `.oxidicom/`: who owns which spool.

    .oxidicom/{gateway ULID}/lock          locked while its owner lives
    .oxidicom/{gateway ULID}/format.json   the format of its spool: a newer one is left to the newer version
    .oxidicom/{gateway ULID}/spool/        one directory for each association
    .oxidicom/{gateway ULID}/tmp/          names through which a final path is replaced
    .oxidicom/set-aside/                    what could not be stored or registered, with the reason

The lock is an exclusive `flock` on a regular file, inherited by all processes of the gateway. It is proved when it is
taken: where it is not refused to a second open, nothing of others is adopted. `adoption` takes over what a gateway left
whose lock is free.
"""

import contextlib
import enum
import fcntl
import os
import re
import stat
from collections.abc import Callable
from typing import Self

import msgspec
from ulid import ULID

from oxidicom import __version__
from oxidicom.errors import BootError
from oxidicom.files.descriptors import stands_at
from oxidicom.files.directories import sync_directory
from oxidicom.files.foreign_json import NOT_READABLE
from oxidicom.files.locks import is_locked, lock_holds, take_lock
from oxidicom.files.regular_file import open_regular
from oxidicom.paths.private_root import PRIVATE_ROOT, is_ulid
from oxidicom.spool.association_directory import end_for_the_dead, remove_files
from oxidicom.storage.root import identity_of, make_identity, place_of_root

FORMAT = 1
"""Of the spool, as this version writes it. Version 4.0.0 wrote the same without saying so."""

_ASIDE = "set-aside"
_ASIDE_IN_4_0 = "rejected"
_LOCK = "lock"
_FORMAT = "format.json"
_PRIVATE_NAME = re.compile(r"\d+")


class Storage(enum.Enum):
    """What the root is, beside the storage on which a directory was made."""

    SAME = enum.auto()
    REMOUNTED = enum.auto()
    """The same storage, mounted again: what is open leads to the old mount."""
    OTHER = enum.auto()


class Format(msgspec.Struct):
    """What stands in `format.json`."""

    format: int
    version: str = __version__
    put_back: bool = False
    """It was made to put back what was set aside: no gateway ever ran there."""


class GatewayDirectory:
    """The directory of one gateway: its names from the start, and the directory itself once it is made."""

    def __init__(self, files_root: str, *, put_back: bool = False) -> None:
        """Choose the names. Nothing is touched before `make`. `put_back`: it is no gateway that makes it."""
        self._put_back = put_back
        self.files_root = files_root
        self.private_root = os.path.join(files_root, PRIVATE_ROOT)
        self.ulid = str(ULID())
        self.path = os.path.join(self.private_root, self.ulid)
        self.spool = spool_of(self.path)
        self.tmp = os.path.join(self.path, "tmp")
        self.aside = aside_directory(files_root)
        self.locks_hold = False
        """Whether a lock is refused to a second open of the file; not known before `make` or `learn`."""
        self._locks: list[int] = []
        self._place: tuple[int, int] | None = None
        self._identity: str | None = None

    def make(self) -> Self:
        """Make the directory and lock it, or what is missing of it. Raise BootError when the storage does not allow it.

        `files_root` itself is never made: without it the storage is not there.
        """
        if not self._holds_lock():
            self._unlock()
        try:
            for directory in (self.private_root, self.aside, self.path):
                with contextlib.suppress(FileExistsError):
                    os.mkdir(directory, 0o700)
            if not self._locks:
                self._lock()  # before it has a spool: without one nobody adopts it
            _write_format(self.path, Format(FORMAT, put_back=self._put_back))
            for directory in (self.spool, self.tmp):
                with contextlib.suppress(FileExistsError):
                    os.mkdir(directory, 0o700)
            for directory in (self.files_root, self.private_root, self.path):
                sync_directory(directory)
            self._identity = make_identity(self.files_root, self._identity)
            self.learn()
        except OSError as error:
            self._unlock()
            raise BootError(
                f"the storage {self.files_root} cannot be used: {error.strerror} ({error.filename or self.path}); "
                "CHRIS_FILES_ROOT must be a directory that this user can write to"
            ) from error
        return self

    def _lock(self) -> None:
        self._locks.append(take_lock(lock_of(self.path)))
        with contextlib.suppress(OSError):  # a directory cannot be locked everywhere
            self._locks.append(_lock_directory(self.path))  # version 4.0.0 looks at this one only

    def _holds_lock(self) -> bool:
        """Tell whether the lock is held already, on the file that is there."""
        return bool(self._locks) and stands_at(lock_of(self.path), self._locks[0])

    def _unlock(self) -> None:
        while self._locks:
            os.close(self._locks.pop())

    def end_for_the_dead(self, association: str, beat: Callable[[], None]) -> bool:
        """Complete and end the ledger in the directory of an association whose listener is dead; False: it is not.

        See `association_directory.end_for_the_dead`. Raise OSError.
        """
        return end_for_the_dead(association, self.ulid, files_root=self.files_root, beat=beat)

    def is_there(self) -> bool:
        """Tell whether the directory is there with all that belongs to it."""
        return os.path.isfile(lock_of(self.path)) and os.path.isdir(self.spool) and os.path.isdir(self.tmp)

    def learn(self) -> None:
        """Note on which storage it is, while it `is_there`, and whether its lock holds. Raise OSError."""
        self.locks_hold = lock_holds(lock_of(self.path))
        self._place, self._identity = place_of_root(self.files_root), identity_of(self.files_root)

    def storage(self) -> Storage:
        """Tell whether the root is still the storage on which the directory was made. Raise OSError."""
        if self._place in (None, place_of_root(self.files_root)):
            return Storage.SAME
        return Storage.REMOUNTED if identity_of(self.files_root) == self._identity else Storage.OTHER

    def takes_files(self) -> bool:
        """Tell whether the spool takes a file."""
        probe = os.path.join(self.spool, f".probe-{os.getpid()}")
        try:
            os.close(os.open(probe, os.O_WRONLY | os.O_CREAT | os.O_NOFOLLOW | os.O_CLOEXEC, 0o600))
            os.unlink(probe)
        except OSError:
            return False
        return True

    def remove_if_empty(self) -> bool:
        """Remove the directory when nothing is left in it; return whether it was."""
        with contextlib.suppress(OSError):
            return remove_gateway(self.path)
        return False

    def release(self) -> None:
        """Give up the lock. What is left in the directory is for any gateway to adopt."""
        self.remove_if_empty()
        self._unlock()


def _write_format(path: str, written: Format) -> None:
    """Write it durably, before there is a spool: a directory of which the format is not known is adopted by nobody."""
    data = msgspec.json.encode(written) + b"\n"
    with open(os.path.join(path, _FORMAT), "wb", opener=open_regular) as file:
        file.write(data)
        file.flush()
        os.fsync(file.fileno())


def format_of(gateway_path: str) -> Format | None:
    """Return what is said of the spool of a gateway, or None when it cannot be read. Raise OSError."""
    try:
        with open(os.path.join(gateway_path, _FORMAT), "rb", opener=open_regular) as file:
            data = file.read(4096)
        # Without contents: the power failed before they were on the disk. Who wrote it did not sync it, as of format 1.
        return msgspec.json.decode(data, type=Format) if data.strip(b"\0") else Format(1)
    except FileNotFoundError:
        return Format(FORMAT)
    except NOT_READABLE:
        return None


def lock_gateway(gateway_path: str) -> list[int]:
    """Take the lock of a gateway that is gone. Return the descriptors that hold it.

    Raise BlockingIOError while it lives, FileNotFoundError when the directory is gone, or OSError.
    """
    directory = _lock_directory(gateway_path)
    try:
        if os.path.lexists(lock_of(gateway_path)):
            return [take_lock(lock_of(gateway_path)), directory]
    except OSError:
        os.close(directory)
        raise
    return [directory]  # of version 4.0.0


def remove_gateway(gateway_path: str) -> bool:
    """Remove the directory of a gateway if nothing is left in its spool. Return whether it is gone. Raise OSError."""
    remove_files(os.path.join(gateway_path, "tmp"), lambda name: _PRIVATE_NAME.fullmatch(name) is not None)
    if not remove_files(spool_of(gateway_path), is_probe):
        return False
    return remove_files(gateway_path, lambda name: name in (_LOCK, _FORMAT))


def is_probe(file_name: str) -> bool:
    """Tell whether a file is one by which the spool was tried, of this version or an older one."""
    return file_name == ".ready" or file_name.startswith(".probe-")


def aside_directory(files_root: str) -> str:
    """Return where things are set aside; it need not exist."""
    return os.path.join(files_root, PRIVATE_ROOT, _ASIDE)


def aside_directories(files_root: str) -> list[str]:
    """Return where things may have been set aside; the first is where they are now, the other that of version 4.0.0."""
    return [aside_directory(files_root), os.path.join(files_root, PRIVATE_ROOT, _ASIDE_IN_4_0)]


def gateway_paths(files_root: str) -> list[str]:
    """Return the directories of all gateways below `files_root`, oldest first. Raise OSError.

    Only those that have a spool: a gateway that is about to start makes it after its lock.
    """
    private_root = os.path.join(files_root, PRIVATE_ROOT)
    try:
        names = sorted(os.listdir(private_root))
    except FileNotFoundError:
        return []
    return [path for path in (os.path.join(private_root, name) for name in names if is_ulid(name)) if _has_spool(path)]


def _has_spool(path: str) -> bool:
    try:
        return stat.S_ISDIR(os.lstat(spool_of(path)).st_mode)
    except PermissionError:
        return True  # of another user: not to be passed over without a word
    except OSError:
        return False


def spool_of(gateway_path: str) -> str:
    """Return the spool in the directory of a gateway."""
    return os.path.join(gateway_path, "spool")


def lock_of(gateway_path: str) -> str:
    """Return the file that the owner of a gateway's directory has locked."""
    return os.path.join(gateway_path, _LOCK)


def is_running(gateway_path: str) -> bool:
    """Tell whether the gateway of a directory lives, without disturbing anybody. Raise OSError.

    A shared lock is tried, on a descriptor of its own. While the gateway lives it is refused, which changes nothing;
    a gateway that starts has its lock before it is in `gateway_paths`. Only where the gateway is gone is it
    granted, for some microseconds: an adopter that comes by just then takes the directory the next time, within a
    minute. (/proc/locks would do without any lock, but does not show those of another container.)
    """
    with contextlib.suppress(FileNotFoundError):
        return is_locked(lock_of(gateway_path))
    try:
        os.close(_lock_directory(gateway_path, fcntl.LOCK_SH))  # of version 4.0.0
    except BlockingIOError:
        return True
    return False


def _lock_directory(path: str, how: int = fcntl.LOCK_EX) -> int:
    descriptor = os.open(path, os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC)
    try:
        fcntl.flock(descriptor, how | fcntl.LOCK_NB)
    except OSError:
        os.close(descriptor)
        raise
    return descriptor
