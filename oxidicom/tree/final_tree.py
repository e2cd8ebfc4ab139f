"""The final tree: `SERVICES/PACS/…` below CHRIS_FILES_ROOT, where CUBE reads.

Nothing half-written or temporary ever stands in a directory of files: a file appears by a hard link to its finished
spool entry, or by a rename over the older version. Where the storage has no hard links it is copied to a private name
on the filesystem of its final path, and renamed.
"""

import contextlib
import errno
import os
import shutil
from collections.abc import Callable
from typing import NamedTuple

from oxidicom.files.regular_file import open_regular
from oxidicom.paths.final_path import PACS_ROOT
from oxidicom.tree.private_names import PrivateNames
from oxidicom.tree.tree_directories import TreeDirectories
from oxidicom.tree.versions import Versions

_NEW = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC
_OVER = os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC

# What a filesystem answers that has no hard links: EXDEV (SERVICES is a mount of its own), EPERM and EOPNOTSUPP
# (VFAT, some SMB and FUSE mounts), EMLINK (too many links).
_NO_LINKS = {errno.EXDEV, errno.EPERM, errno.EOPNOTSUPP, errno.EMLINK, errno.ENOSYS}

_DIRECTORY_IS_GONE = (errno.ENOENT, errno.ESTALE)
"""The latter from NFS, if another host has deleted it."""

_PROBE = ".oxidicom-probe"


class _Original(NamedTuple):
    """A finished file of the spool."""

    name: str
    """A path, or a name in a directory."""
    directory: int | None = None
    """A descriptor of that directory."""

    def open(self) -> int:
        return open_regular(self.name, dir_fd=self.directory)

    def committed_ns(self) -> int:
        """Return the moment of its commit. Raise FileNotFoundError when it is gone."""
        return os.stat(self.name, dir_fd=self.directory, follow_symlinks=False).st_mtime_ns


class FinalTree:
    """The tree, as one storage worker sees it."""

    def __init__(
        self,
        files_root: str,
        tmp: str,
        now_ns: Callable[[], int],
        known_tree: Callable[[], tuple[int, int] | None] = lambda: None,
    ) -> None:
        """`tmp` is a private directory on the filesystem of the spool, `now_ns` the clock of the storage.

        `known_tree` tells device and inode of the tree, if they are known: an empty one in its place is none.

        Nothing is opened before it is used: the tree may be away for a while.
        """
        self._directories = TreeDirectories(files_root, known_tree)
        self._private_names = PrivateNames(tmp, self._directories)
        self._versions = Versions(files_root, now_ns)

    def clear(self) -> None:
        """Remove what processes that were killed left on the way to the tree. Raise OSError."""
        self._private_names.clear()

    def doubt(self) -> None:
        """Before a group: directories that are open may have been moved away, or deleted and made again."""
        self._directories.doubt()

    def place(self, source: str, path: str, *, source_directory: int | None = None) -> None:
        """Make the finished file `source` appear at `path` (relative to the files root), whole, over any older one.

        `source_directory` is a descriptor, if `source` is a name in that directory.
        Of two versions the one that was committed last stays, in whatever order they come here: two listeners
        may be overtaken by each other, and a crash makes old entries come again. Raise OSError; FileNotFoundError
        means that the source is gone, or the tree.
        """
        entry = _Original(source, source_directory)
        try:
            self._place(entry, path)
        except OSError as error:
            if error.errno not in _DIRECTORY_IS_GONE:
                raise
            entry.committed_ns()  # raises if it is this one that is gone
            self._directories.forget(os.path.dirname(path))
            self._place(entry, path)

    def _place(self, source: _Original, path: str) -> None:
        directory, _, name = path.rpartition("/")
        descriptor = self._directories.open(directory)
        try:
            self._link(source, name, descriptor)
        except OSError as error:
            if error.errno not in _NO_LINKS:
                raise
            self._copy(source, directory, name)
        self._directories.changed(directory)

    def _link(self, source: _Original, name: str, descriptor: int) -> None:
        try:
            os.link(source.name, name, src_dir_fd=source.directory, dst_dir_fd=descriptor)
        except FileExistsError:  # said before it is seen that the filesystem is another one
            self._replace(source, name, descriptor)

    def _replace(self, source: _Original, name: str, descriptor: int) -> None:
        """Link to a private name, then rename over the final path: readers see the old file or the new one.

        A rename between two links of one inode does nothing (rename(2)), so the private name may be left: unlink it.
        """
        private = self._private_names.beside_spool
        with self._versions.sole_use():
            if self._versions.stays(name, descriptor, source.committed_ns()):
                return
            private.remove()
            os.link(source.name, private.name, src_dir_fd=source.directory, dst_dir_fd=private.directory)
            try:
                os.rename(private.name, name, src_dir_fd=private.directory, dst_dir_fd=descriptor)
            finally:
                private.remove()

    def _copy(self, source: _Original, directory: str, name: str) -> None:
        """Copy to a private name on the filesystem of the final path, then rename; under the lock only the latter."""
        private = self._private_names.on_filesystem_of(directory)
        try:
            _copy_durably(source, private.open(_OVER))
            descriptor = self._directories.open(directory)
            with self._versions.sole_use():
                if not self._versions.stays(name, descriptor, source.committed_ns()):
                    os.rename(private.name, name, src_dir_fd=private.directory, dst_dir_fd=descriptor)
        finally:
            private.remove()

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

    def sync_directories(self) -> dict[str, OSError]:
        """Make all entries durable that were made since the last call. Return the directories of which that failed.

        What was placed below these may not be trusted, and is to be placed again.
        """
        return self._directories.sync()

    def write_anew(self, entry: str) -> None:
        """Replace a spool entry by a copy of itself, since a sync after it was written failed. Raise OSError.

        After such an error Linux marks the pages clean: a second sync of the same file would succeed and mean nothing.
        """
        private = self._private_names.beside_spool
        try:
            _copy_durably(_Original(entry), private.open(_OVER))
            os.rename(private.name, entry, src_dir_fd=private.directory)
        finally:
            private.remove()

    def probe(self, source: str) -> bool:
        """Place `source`, a file of the spool, and remove it again, in the way in which all will be placed.

        Return whether that is a hard link; without, every file is copied once more. The probe has one name for
        all gateways: what a crash leaves of it is removed by the next. Raise OSError.
        """
        self._directories.forget(PACS_ROOT)
        descriptor = self._directories.open(PACS_ROOT)
        with contextlib.suppress(FileNotFoundError):
            os.unlink(_PROBE, dir_fd=descriptor)
        try:
            with contextlib.suppress(FileExistsError):  # another gateway, which starts at this moment, has linked it
                os.link(source, _PROBE, dst_dir_fd=descriptor)
            return True
        except OSError as error:
            if error.errno not in _NO_LINKS:
                raise
        private = self._private_names.on_filesystem_of(PACS_ROOT)
        try:
            _copy_durably(_Original(source), private.open(_OVER))
            descriptor = self._directories.open(PACS_ROOT)
            os.rename(private.name, _PROBE, src_dir_fd=private.directory, dst_dir_fd=descriptor)
        finally:
            private.remove()
        return False

    def remove_probe(self) -> None:
        """Remove what `probe` made."""
        with contextlib.suppress(OSError):
            os.unlink(_PROBE, dir_fd=self._directories.open(PACS_ROOT))

    def close(self) -> None:
        """Close all descriptors, whatever is not synced."""
        self._directories.close()
        self._versions.close()


def _copy_durably(source: _Original, target: int) -> None:
    """Copy the file `source`, with its mtime, to the descriptor `target`, sync and close that. Raise OSError."""
    with open(target, "wb") as copy, open(source.open(), "rb") as original:
        shutil.copyfileobj(original, copy, 1 << 20)
        copy.flush()
        committed_ns = os.fstat(original.fileno()).st_mtime_ns
        os.utime(target, ns=(committed_ns, committed_ns))
        os.fsync(target)
