"""The root of the storage: is what stands at CHRIS_FILES_ROOT the storage, or only the place where it is mounted?

Nothing here makes the root. A root that has neither what a gateway left in `.oxidicom` nor anything below
`SERVICES/PACS` is *bare*: a new installation, or a storage that is not mounted. The database tells which: rows without
a tree belong to a storage that is not there. The same holds for the tree, which may be a mount of its own. While a
gateway runs, the storage is known by its identity, a ULID that was written once.
"""

import contextlib
import enum
import os
import stat

from ulid import ULID

from oxidicom.files.directories import sync_directory
from oxidicom.files.locks import locked
from oxidicom.files.regular_file import open_regular
from oxidicom.paths.final_path import PACS_ROOT
from oxidicom.paths.private_root import PRIVATE_ROOT, is_ulid

_IDENTITY = "identity"


class Root(enum.Enum):
    """What stands at the root."""

    THERE = enum.auto()
    """The storage, as far as can be told without the database."""
    BARE = enum.auto()
    """A directory without a sign of a gateway or of CUBE."""
    MISSING = enum.auto()
    """No directory."""


def look_at_root(files_root: str) -> Root:
    """Tell what stands at the root. Raise OSError when it cannot be looked at."""
    if not is_directory(files_root):
        return Root.MISSING
    is_used = _has_entries(os.path.join(files_root, PRIVATE_ROOT)) or has_files(files_root)
    return Root.THERE if is_used else Root.BARE


def has_files(files_root: str) -> bool:
    """Tell whether anything stands below `SERVICES/PACS`. Raise OSError."""
    return _has_entries(os.path.join(files_root, PACS_ROOT))


def has_tree(files_root: str) -> bool:
    """Tell whether `SERVICES/PACS` is there. Raise OSError."""
    return is_directory(os.path.join(files_root, PACS_ROOT))


def is_directory(path: str) -> bool:
    """Tell whether a directory is there; what cannot be looked at is not the same as none. Raise OSError."""
    try:
        return stat.S_ISDIR(os.stat(path).st_mode)
    except (FileNotFoundError, NotADirectoryError):
        return False


def tree_is_writable(files_root: str) -> bool:
    """Tell whether this user may make directories below `SERVICES/PACS`."""
    return os.access(os.path.join(files_root, PACS_ROOT), os.W_OK | os.X_OK)


def make_tree(files_root: str) -> None:
    """Make `SERVICES/PACS` below a root that is there, durably. Raise OSError."""
    path = files_root
    for name in PACS_ROOT.split("/"):
        with contextlib.suppress(FileExistsError):
            os.mkdir(os.path.join(path, name))
        sync_directory(path)
        path = os.path.join(path, name)


def is_mount_point(files_root: str) -> bool:
    """Tell whether another filesystem is mounted at the root than around it. Raise OSError."""
    path = os.path.realpath(files_root)
    return os.path.ismount(path)


def place_of_root(files_root: str) -> tuple[int, int]:
    """Return device and inode of the root: while they stay, it is the same directory. Raise OSError."""
    status = os.stat(files_root)
    return status.st_dev, status.st_ino


def place_of_tree(files_root: str) -> tuple[int, int]:
    """Return device and inode of `SERVICES/PACS`. Raise OSError."""
    return place_of_root(os.path.join(files_root, PACS_ROOT))


def identity_of(files_root: str) -> str | None:
    """Return the identity of the storage, or None when it has none. Raise OSError."""
    try:
        with open(_identity_path(files_root), "rb", opener=open_regular) as file:
            return _parse(file.read(64))
    except FileNotFoundError:
        return None


def make_identity(files_root: str, wanted: str | None = None) -> str:
    """Return the identity of the storage; one that has none gets `wanted`, or a new one. Raise OSError."""
    descriptor = open_regular(_identity_path(files_root), os.O_RDWR | os.O_CREAT)
    try:
        with locked(descriptor):  # of two gateways that start at once one writes it
            identity = _parse(os.pread(descriptor, 64, 0))
            if identity is None:
                identity = wanted or str(ULID())
                os.ftruncate(descriptor, 0)
                os.pwrite(descriptor, f"{identity}\n".encode(), 0)
                os.fsync(descriptor)
    finally:
        os.close(descriptor)
    return identity


def _identity_path(files_root: str) -> str:
    return os.path.join(files_root, PRIVATE_ROOT, _IDENTITY)


def _parse(data: bytes) -> str | None:
    text = data.decode("ascii", "replace").strip()
    return text if is_ulid(text) else None


def _has_entries(directory: str) -> bool:
    try:
        with os.scandir(directory) as scan:
            return next(scan, None) is not None
    except (FileNotFoundError, NotADirectoryError):
        return False
