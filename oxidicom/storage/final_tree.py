"""The final tree: `SERVICES/PACS/…` below CHRIS_FILES_ROOT, where CUBE reads.

Nothing half-written or temporary ever stands there: a file appears by a hard link to its finished spool entry, or
by a rename over the older version.
"""

import contextlib
import errno
import os
import shutil
import time
from typing import NamedTuple

from oxidicom.errors import BootError
from oxidicom.storage.paths import PACS_ROOT
from oxidicom.storage.tree_directories import TreeDirectories

_NEW = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC
_OVER = os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_CLOEXEC

# What a filesystem answers that has no hard links: EXDEV (SERVICES is a mount of its own), EPERM and EOPNOTSUPP
# (VFAT, some SMB and FUSE mounts), EMLINK (too many links).
_NO_LINKS = {errno.EXDEV, errno.EPERM, errno.EOPNOTSUPP, errno.EMLINK, errno.ENOSYS}

_DIRECTORY_IS_GONE = (errno.ENOENT, errno.ESTALE)
"""The latter from NFS, if another host has deleted it."""


class _Source(NamedTuple):
    """A finished file of the spool."""

    name: str
    """A path, or a name in a directory."""
    directory: int | None = None
    """A descriptor of that directory."""

    def open(self) -> int:
        return os.open(self.name, os.O_RDONLY | os.O_CLOEXEC, dir_fd=self.directory)

    def committed_ns(self) -> int:
        """Return the moment of its commit. Raise FileNotFoundError when it is gone."""
        return os.stat(self.name, dir_fd=self.directory).st_mtime_ns


class FinalTree:
    """The tree, as one storage worker sees it."""

    def __init__(self, files_root: str, tmp: str) -> None:
        """Open the tree, making its first directories where they are missing. Raise BootError.

        `tmp` is a private directory on the same filesystem.
        """
        self._directories = TreeDirectories(files_root)
        self._private = os.path.join(tmp, str(os.getpid()))
        """The private name of this process, on the way to a final one."""
        try:
            self._directories.open(PACS_ROOT)
        except OSError as error:
            raise BootError(
                f"{os.path.join(files_root, PACS_ROOT)} cannot be used: {error.strerror}; "
                "give this user write permission on CHRIS_FILES_ROOT"
            ) from error

    def place(self, source: str, path: str, *, source_directory: int | None = None) -> None:
        """Make the finished file `source` appear at `path` (relative to the files root), whole, over any older one.

        `source_directory` is a descriptor, if `source` is a name in that directory.
        Of two versions the one that was committed last stays, in whatever order they come here: two listeners
        may be overtaken by each other, and a crash makes old entries come again. Raise OSError; FileNotFoundError
        means that the source is gone.
        """
        entry = _Source(source, source_directory)
        try:
            self._place(entry, path)
        except OSError as error:
            if error.errno not in _DIRECTORY_IS_GONE:
                raise
            entry.committed_ns()  # raises if it is this one that is gone
            self._directories.forget(os.path.dirname(path))
            self._place(entry, path)

    def _place(self, source: _Source, path: str) -> None:
        directory, _, name = path.rpartition("/")
        descriptor = self._directories.open(directory)
        try:
            self._link(source, name, descriptor)
        except OSError as error:
            if error.errno not in _NO_LINKS:
                raise
            if not _was_committed_later(name, descriptor, source):
                copy = self._copy_across if error.errno == errno.EXDEV else self._copy
                copy(source, name, descriptor)
        self._directories.changed(directory)

    def place_empty(self, path: str) -> None:
        """Make an empty file at `path`; one that is there already stays. Raise OSError."""
        try:
            self._place_empty(path)
        except OSError as error:
            if error.errno not in _DIRECTORY_IS_GONE:
                raise
            self._directories.forget(os.path.dirname(path))
            self._place_empty(path)

    def _place_empty(self, path: str) -> None:
        directory, _, name = path.rpartition("/")
        descriptor = self._directories.open(directory)
        with contextlib.suppress(FileExistsError):
            os.close(os.open(name, _NEW, 0o666, dir_fd=descriptor))
        self._directories.changed(directory)

    def sync_directories(self) -> None:
        """Make all entries durable that were made since the last call. Raise OSError."""
        self._directories.sync()

    def write_anew(self, entry: str) -> None:
        """Replace a spool entry by a copy of itself, since a sync of it failed. Raise OSError.

        After such an error Linux marks the pages clean: a second sync of the same file would succeed and mean nothing.
        """
        self._copy(_Source(entry), entry)

    def _link(self, source: _Source, name: str, descriptor: int) -> None:
        try:
            os.link(source.name, name, src_dir_fd=source.directory, dst_dir_fd=descriptor)
        except FileExistsError:
            if not _was_committed_later(name, descriptor, source):
                self._replace(source, name, descriptor)

    def _replace(self, source: _Source, name: str, descriptor: int) -> None:
        """Link to a private name, then rename over the final path: readers see the old file or the new one.

        A rename between two links of one inode does nothing (rename(2)), so the private name may be left: unlink it.
        """
        self._remove_private()
        os.link(source.name, self._private, src_dir_fd=source.directory)
        try:
            os.rename(self._private, name, dst_dir_fd=descriptor)
        finally:
            self._remove_private()

    def _copy(self, source: _Source, name: str, descriptor: int | None = None) -> None:
        """Copy to a private name and rename: over `name`, a path or a name in the directory `descriptor`."""
        try:
            _copy_durably(source, os.open(self._private, _OVER, 0o666))
            os.rename(self._private, name, dst_dir_fd=descriptor)
        finally:
            self._remove_private()

    def _remove_private(self) -> None:
        with contextlib.suppress(FileNotFoundError):
            os.unlink(self._private)

    def _copy_across(self, source: _Source, name: str, descriptor: int) -> None:
        """To another filesystem: copy to a file without a name, then give it its name.

        A private name would have to stand below SERVICES, where CUBE would see it. So an older version is
        unlinked first; should the gateway die just then, the entry is still in the spool and comes again.
        """
        nameless = os.open(".", os.O_TMPFILE | os.O_WRONLY | os.O_CLOEXEC, 0o666, dir_fd=descriptor)
        keeper = os.dup(nameless)  # the file is gone with its last descriptor
        try:
            _copy_durably(source, nameless)
            with contextlib.suppress(FileNotFoundError):
                os.unlink(name, dir_fd=descriptor)
            os.link(f"/proc/self/fd/{keeper}", name, dst_dir_fd=descriptor, follow_symlinks=True)
        finally:
            os.close(keeper)


def links_work(source: str, files_root: str) -> bool:
    """Tell whether a file of the spool can be linked into the tree; without, every file is copied once more.

    The probe has one name for all gateways: what a crash leaves of it is removed by the next. Raise OSError.
    """
    services = os.path.join(files_root, os.path.dirname(PACS_ROOT))
    probe = os.path.join(services, ".oxidicom-probe")
    try:
        with contextlib.suppress(FileNotFoundError):
            os.unlink(probe)
        os.link(source, probe)
    except FileExistsError:
        return True  # another gateway, which starts at this moment, has linked it
    except OSError as error:
        if error.errno in _NO_LINKS:
            return False
        raise
    with contextlib.suppress(FileNotFoundError):
        os.unlink(probe)
    return True


def _copy_durably(source: _Source, target: int) -> None:
    """Copy the file `source`, with its mtime, to the descriptor `target`, sync and close that. Raise OSError."""
    with open(target, "wb") as copy, open(source.open(), "rb") as original:
        shutil.copyfileobj(original, copy, 1 << 20)
        copy.flush()
        committed_ns = os.fstat(original.fileno()).st_mtime_ns
        os.utime(target, ns=(committed_ns, committed_ns))
        os.fsync(target)


def _was_committed_later(name: str, descriptor: int, source: _Source) -> bool:
    """Tell whether the file that is there was committed after `source`: the moment of the commit is its mtime.

    A file "of the future" was written before somebody set the clock back: it must not win for ever.
    """
    try:
        there = os.stat(name, dir_fd=descriptor, follow_symlinks=False)
    except FileNotFoundError:
        return False
    return source.committed_ns() < there.st_mtime_ns <= time.time_ns()
