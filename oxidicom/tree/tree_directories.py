"""The directories of the final tree, held open: reached without following links, and synced when they were changed.

Each is opened by its name in the one above, so that nothing planted below SERVICES leads out of the tree. The laws of
this file: a descriptor of a directory that was changed is not closed before its entries are durable, unless `sync` is
to tell that they are not; and `SERVICES/PACS` itself is never made here, for without it the storage is not there.
"""

import contextlib
import errno
import os
from collections import OrderedDict
from collections.abc import Callable

from oxidicom.files.descriptors import keepable, stands_at
from oxidicom.files.directories import error_above
from oxidicom.paths.final_path import PACS_ROOT

_OPEN_DIRECTORY = os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC
_MAX_OPEN = 256
_MAX_NAMED = 10_000
"""One that is forgotten has its name synced once more."""


class TreeDirectories:
    """Descriptors by path, relative to the files root; those that were used last stay open."""

    def __init__(self, files_root: str, known_tree: Callable[[], tuple[int, int] | None] = lambda: None) -> None:
        """`known_tree` tells device and inode of SERVICES/PACS, as whoever looks after the storage has found it."""
        self._files_root = files_root
        self._known_tree = known_tree
        self._max_open = keepable(_MAX_OPEN)
        self._open: OrderedDict[str, int] = OrderedDict()
        self._changed: set[str] = set()
        self._failed: dict[str, OSError] = {}
        """Those of which a sync failed since the last `sync`, which tells so: one may be closed before that."""
        self._verified: set[str] = set()
        """Those that were found at their paths since `doubt`."""
        self._named: dict[str, None] = {}
        """Those whose own names are durable, or are noted to be made so; the last ones only."""

    def open(self, path: str) -> int:
        """Return a descriptor of the directory `path`, made if it is missing below SERVICES/PACS. Raise OSError.

        It is good until the next call.
        """
        descriptor = self._open.get(path)
        if descriptor is not None and self._is_at(path, descriptor):
            self._open.move_to_end(path)
            return descriptor
        descriptor = self._open_or_make(path)
        if path == PACS_ROOT:
            self._require_same_tree(descriptor)
        self._open[path] = descriptor
        self._verified.add(path)
        while len(self._open) > self._max_open:
            self._close(next(iter(self._open)))
        return descriptor

    def doubt(self) -> None:
        """From now on look once at each directory whether it is still at its path: it may have been moved away."""
        self._verified.clear()

    def close(self) -> None:
        """Close all directories as they are."""
        for path in list(self._open):
            self._let_go(path)

    def _is_at(self, path: str, descriptor: int) -> bool:
        if path in self._verified:
            return True
        is_there = stands_at(os.path.join(self._files_root, path), descriptor)
        if is_there:
            self._verified.add(path)
        else:
            self.forget(path)
        return is_there

    def changed(self, path: str) -> None:
        """Note that an entry was made in the open directory `path`."""
        self._changed.add(path)

    def sync(self) -> dict[str, OSError]:
        """Make all entries durable that were noted. Return the directories of which that failed, each with its error.

        Nothing below these may be trusted: it is made anew, and noted again, by whoever needs it. So they, and what is
        open below them, are let go: a name that is needed again is noted when the directory of that name is opened.
        """
        for path in list(self._changed):
            self._sync(path)
        failed, self._failed = self._failed, {}
        if failed:
            self._named.clear()
            for path in [path for path in self._open if error_above(path, failed)]:
                self._let_go(path)
        return failed

    def forget(self, path: str) -> None:
        """Close a directory and all above it, which may have been deleted: what is opened anew is there."""
        while path:
            self._named.pop(path, None)
            if path in self._open:
                self._close(path)
            path = path.rpartition("/")[0]

    def _require_same_tree(self, descriptor: int) -> None:
        """An empty directory in the place of a tree that was there is where it was mounted. Raise OSError (ESTALE)."""
        found = os.fstat(descriptor)
        if self._known_tree() not in (None, (found.st_dev, found.st_ino)) and not os.listdir(descriptor):
            os.close(descriptor)
            raise OSError(errno.ESTALE, "another, empty directory is in its place; is it mounted?", PACS_ROOT)

    def _open_or_make(self, path: str) -> int:
        parent_path, _, name = path.rpartition("/")
        if name in ("", ".", ".."):
            raise OSError(errno.EINVAL, "not a usable directory name", path)
        if not parent_path:  # the administrator may have made SERVICES a link or a mount; what is below may not be
            return os.open(os.path.join(self._files_root, name), _OPEN_DIRECTORY & ~os.O_NOFOLLOW)
        parent = self.open(parent_path)
        if path == PACS_ROOT:
            return os.open(name, _OPEN_DIRECTORY, dir_fd=parent)
        try:
            descriptor = os.open(name, _OPEN_DIRECTORY, dir_fd=parent)
        except FileNotFoundError:
            self._named.pop(path, None)
            with contextlib.suppress(FileExistsError):
                os.mkdir(name, 0o777, dir_fd=parent)
            descriptor = os.open(name, _OPEN_DIRECTORY, dir_fd=parent)
        self._note_name(path, parent_path)
        return descriptor

    def _note_name(self, path: str, parent_path: str) -> None:
        """Have the name of a directory made durable, whoever made it: that one may have died before, or be late."""
        if path in self._named:
            return
        self.changed(parent_path)
        self._named[path] = None
        if len(self._named) > _MAX_NAMED:
            del self._named[next(iter(self._named))]

    def _close(self, path: str) -> None:
        if path in self._changed:
            self._sync(path)
        self._let_go(path)

    def _let_go(self, path: str) -> None:
        """Close a directory as it is."""
        os.close(self._open.pop(path))

    def _sync(self, path: str) -> None:
        """Sync a directory that was changed, as it is, also if it was moved or deleted; note an error for `sync`.

        It is open: whatever closes it syncs it first.
        """
        self._changed.discard(path)
        try:
            os.fsync(self._open[path])
        except OSError as error:
            self._failed[path] = error
