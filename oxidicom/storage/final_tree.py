"""The final tree: `SERVICES/PACS/…` below CHRIS_FILES_ROOT, where CUBE reads.

Nothing half-written or temporary ever stands there: a file appears by a hard link to its finished spool entry, or
by a rename over the older version. Directories are reached component by component through descriptors that do
not follow symbolic links, so that nothing planted below SERVICES/PACS leads out of the tree.
"""

import contextlib
import errno
import os
import shutil
import time
from collections import OrderedDict
from typing import NamedTuple

from oxidicom.errors import BootError

TREE_ROOT = "SERVICES/PACS"
_OPEN_DIRECTORY = os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC
_OPEN_DIRECTORIES = 256

# What a filesystem answers that has no hard links: EXDEV (SERVICES is a mount of its own), EPERM and EOPNOTSUPP
# (VFAT, some SMB and FUSE mounts), EMLINK (too many links).
_NO_LINKS = {errno.EXDEV, errno.EPERM, errno.EOPNOTSUPP, errno.EMLINK, errno.ENOSYS}


class _Source(NamedTuple):
    """A finished file of the spool."""

    name: str
    """A path, or a name in a directory."""
    beside: int | None = None
    """A descriptor of that directory."""

    def open(self) -> int:
        return os.open(self.name, os.O_RDONLY | os.O_CLOEXEC, dir_fd=self.beside)


class FinalTree:
    """The tree, as one storage worker sees it: with open directories and a list of those that it changed."""

    def __init__(self, files_root: str, tmp: str) -> None:
        """Open the tree, making its first directories where they are missing. Raise BootError.

        `tmp` is a private directory on the same filesystem.
        """
        self._tmp = tmp
        self._open: OrderedDict[str, int] = OrderedDict()
        self._changed: dict[str, int] = {}
        self._files_root = files_root
        try:
            self._directory(TREE_ROOT)
        except OSError as error:
            raise BootError(
                f"{os.path.join(files_root, TREE_ROOT)} cannot be used: {error.strerror}; "
                "give this user write permission on CHRIS_FILES_ROOT"
            ) from error

    def place(self, source: str, path: str, *, beside: int | None = None) -> None:
        """Make the finished file `source` appear at `path` (relative to the files root), whole, over any older one.

        `beside` is a descriptor of the directory of `source`, if that is a name in it.
        Of two versions the one that was committed last stays, in whatever order they come here: two listeners
        may be overtaken by each other, and a crash makes old entries come again. Raise OSError.
        """
        try:
            self._place(_Source(source, beside), path)
        except FileNotFoundError:
            # CUBE may have deleted a directory that is open here; what is opened anew is there.
            self._forget(os.path.dirname(path))
            self._place(_Source(source, beside), path)

    def _place(self, source: _Source, path: str) -> None:
        directory, _, name = path.rpartition("/")
        descriptor = self._directory(directory)
        try:
            self._link(source, name, descriptor)
        except OSError as error:
            if error.errno not in _NO_LINKS:
                raise
            if not _was_committed_later(name, descriptor, source):
                copy = self._copy_across if error.errno == errno.EXDEV else self._copy
                copy(source, name, descriptor)
        self._changed[directory] = descriptor

    def _link(self, source: _Source, name: str, descriptor: int) -> None:
        try:
            os.link(source.name, name, src_dir_fd=source.beside, dst_dir_fd=descriptor)
        except FileExistsError:
            if not _was_committed_later(name, descriptor, source):
                self._replace(source, name, descriptor)

    def write_anew(self, entry: str) -> None:
        """Replace a spool entry by a copy of itself, since a sync of it failed. Raise OSError.

        After such an error Linux marks the pages clean: a second sync of the same file would succeed and mean nothing.
        """
        private = os.path.join(self._tmp, str(os.getpid()))
        try:
            _copy_durably(_Source(entry), os.open(private, os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_CLOEXEC, 0o666))
            os.rename(private, entry)
        finally:
            with contextlib.suppress(FileNotFoundError):
                os.unlink(private)

    def place_empty(self, path: str) -> None:
        """Make an empty file at `path`; one that is there already stays. Raise OSError."""
        directory, _, name = path.rpartition("/")
        descriptor = self._directory(directory)
        with contextlib.suppress(FileExistsError):
            os.close(os.open(name, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o666, dir_fd=descriptor))
        self._changed[directory] = descriptor

    def sync_directories(self) -> None:
        """Make all entries durable that were made since the last call. Raise OSError."""
        changed, self._changed = self._changed, {}
        for descriptor in changed.values():
            os.fsync(descriptor)
        self._trim()

    def _replace(self, source: _Source, name: str, descriptor: int) -> None:
        """Link to a private name, then rename over the final path: readers see the old file or the new one.

        A rename between two links of one inode does nothing (rename(2)), so the private name may be left: unlink it.
        """
        private = os.path.join(self._tmp, str(os.getpid()))
        with contextlib.suppress(FileNotFoundError):
            os.unlink(private)
        os.link(source.name, private, src_dir_fd=source.beside)
        try:
            os.rename(private, name, dst_dir_fd=descriptor)
        finally:
            with contextlib.suppress(FileNotFoundError):
                os.unlink(private)

    def _copy(self, source: _Source, name: str, descriptor: int) -> None:
        """Without hard links: copy to a private name, rename."""
        private = os.path.join(self._tmp, str(os.getpid()))
        try:
            _copy_durably(source, os.open(private, os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_CLOEXEC, 0o666))
            os.rename(private, name, dst_dir_fd=descriptor)
        finally:
            with contextlib.suppress(FileNotFoundError):
                os.unlink(private)

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

    def _directory(self, path: str) -> int:
        """Return a descriptor of the directory `path`, made if it is missing, from the cache if it is open."""
        descriptor = self._open.get(path)
        if descriptor is None:
            descriptor = self._open[path] = self._open_or_make(path)
        else:
            self._open.move_to_end(path)
        return descriptor

    def _open_or_make(self, path: str) -> int:
        parent_path, _, name = path.rpartition("/")
        if not parent_path:  # the administrator may have made SERVICES a link or a mount; what is below may not be
            os.makedirs(os.path.join(self._files_root, name), exist_ok=True)
            return os.open(os.path.join(self._files_root, name), _OPEN_DIRECTORY & ~os.O_NOFOLLOW)
        parent = self._directory(parent_path)
        try:
            return os.open(name, _OPEN_DIRECTORY, dir_fd=parent)
        except FileNotFoundError:
            with contextlib.suppress(FileExistsError):
                os.mkdir(name, 0o777, dir_fd=parent)
            self._changed[parent_path] = parent
            return os.open(name, _OPEN_DIRECTORY, dir_fd=parent)

    def _forget(self, path: str) -> None:
        """Close the directory and all that are above it."""
        while path:
            self._changed.pop(path, None)
            descriptor = self._open.pop(path, None)
            if descriptor is not None:
                os.close(descriptor)
            path = path.rpartition("/")[0]

    def _trim(self) -> None:
        while len(self._open) > _OPEN_DIRECTORIES:
            _, descriptor = self._open.popitem(last=False)
            os.close(descriptor)


def links_work(source: str, files_root: str) -> bool:
    """Tell whether a file of the spool can be linked into the tree; without, every file is copied once more."""
    probe = os.path.join(files_root, "SERVICES", f".oxidicom-probe-{os.getpid()}")
    try:
        os.link(source, probe)
    except OSError as error:
        if error.errno in _NO_LINKS:
            return False
        raise
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
    return os.stat(source.name, dir_fd=source.beside).st_mtime_ns < there.st_mtime_ns <= time.time_ns()
