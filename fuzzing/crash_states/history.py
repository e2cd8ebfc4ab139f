"""What a recorded gateway did to its tree: changes in their order, and what each sync made durable.

The tree is kept as a filesystem keeps it: inodes, and names in directories that lead to them. A change is one of

- names:      what one call did to the names of one or two directories, all of it or nothing (a rename is atomic)
- contents:   bytes that were written to a file, its size, its time

Everything that a sync promises is in terms of these; `crash` decides what of the rest is left.
"""

import dataclasses
import os
import re
from collections.abc import Iterable
from typing import NamedTuple

from fuzzing.crash_states.calls import Call

ROOT = 0
"""The inode of the files root."""

_DOUBT_US = 1000
"""Of two calls that were under way at the same moment either may have been done first."""
_TIMES = re.compile(r"\{tv_sec=(\d+), tv_nsec=(\d+)\}")


class Link(NamedTuple):
    """What becomes of one name in a directory."""

    directory: int
    name: str
    inode: int | None
    """None: the name is removed."""


class NameChange(NamedTuple):
    """What one call did to names."""

    links: tuple[Link, ...]
    directories: frozenset[int]
    """Those whose names it changes."""
    began_us: int
    ended_us: int
    emptied: int | None = None
    """The directory that was removed: it was empty, so what left it before has left it for good."""


class Write(NamedTuple):
    """Bytes that were written to a file."""

    offset: int
    data: bytes
    ended_us: int


class Truncate(NamedTuple):
    """A size that a file was given."""

    size: int
    ended_us: int


class SetTime(NamedTuple):
    """An mtime that a file was given."""

    mtime_ns: int
    ended_us: int


ContentChange = Write | Truncate | SetTime


class Sync(NamedTuple):
    """Something was made durable: of an inode, or, without one, of the whole filesystem."""

    inode: int | None
    filesystem: int
    began_us: int
    ended_us: int


@dataclasses.dataclass
class Inode:
    """A file or a directory."""

    is_directory: bool
    filesystem: int
    mode: int
    contents: list[ContentChange] = dataclasses.field(default_factory=list)
    size: int = 0
    """By all changes up to now."""
    names: dict[str, int] = dataclasses.field(default_factory=dict)
    """Of a directory, by all changes up to now."""


@dataclasses.dataclass
class History:
    """All of it."""

    inodes: list[Inode]
    names: list[NameChange] = dataclasses.field(default_factory=list)
    syncs: list[Sync] = dataclasses.field(default_factory=list)
    moments: list[int] = dataclasses.field(default_factory=list)
    """When anything of it ended, in microseconds since the epoch."""
    responses: list[tuple[int, bytes]] = dataclasses.field(default_factory=list)
    """What was sent over sockets, and when that began."""


class Historian:
    """Makes a history of calls."""

    def __init__(self, files_root: str, mounts: Iterable[str] = ()) -> None:
        """`mounts` are directories below `files_root`, relative to it, that are filesystems of their own."""
        self._root = files_root
        self._mounts = {path: number for number, path in enumerate(mounts, 1)}
        self.history = History([Inode(True, 0, 0o755)])

    def begin_with(self, directories: Iterable[str]) -> None:
        """Have directories there from the start, durably."""
        for path in directories:
            inode, done = ROOT, ""
            for name in path.split("/"):
                done = os.path.join(done, name)
                there = self.history.inodes[inode].names
                if name not in there:
                    there[name] = self._new(True, self._filesystem(inode, done), 0o755)
                    link = Link(inode, name, there[name])
                    self.history.names.append(NameChange((link,), frozenset({inode}), 0, 0))
                inode = there[name]

    def take(self, calls: Iterable[Call]) -> History:
        """Take the calls of one gateway. Raise KeyError or ValueError at what cannot have been."""
        late: list[Call] = []
        for call in calls:
            if late and late[0].ended_us < call.began_us - _DOUBT_US:
                self._take(late[0])  # which raises
            late = [one for one in [call, *late] if not self._is_taken(one)]
        for call in late:
            self._take(call)
        return self.history

    def _is_taken(self, call: Call) -> bool:
        """Take a call, unless the names are not there yet: it ended before another that was done before it."""
        try:
            self._take(call)
        except KeyError:
            return False
        return True

    def _take(self, call: Call) -> None:
        count = self._count
        handle = getattr(self, f"_{call.name}", None)
        if handle is not None:
            handle(call)
        elif call.name == "sync" or self._is_ours(*call.paths):
            raise ValueError(f"{call.name} is not understood")
        if self._count != count:
            self.history.moments.append(call.ended_us)

    @property
    def _count(self) -> int:
        return len(self.history.names) + len(self.history.syncs) + self._content_changes

    _content_changes = 0

    # -- where -------------------------------------------------------------------------------------------------------

    def _is_ours(self, *paths: str) -> bool:
        return any(path == self._root or path.startswith(f"{self._root}/") for path in paths)

    def _find(self, path: str) -> int | None:
        """Return the inode at an absolute path, or None if it is not below the root."""
        if not self._is_ours(path):
            return None
        inode: int | None = ROOT
        for name in filter(None, path[len(self._root) :].split("/")):
            inode = self.history.inodes[inode].names.get(name) if inode is not None else None
        if inode is None:
            raise KeyError(path)
        return inode

    def _places(self, call: Call) -> list[tuple[int, str] | None]:
        """Return directory and name of each path among the arguments; None for one elsewhere."""
        at = call.paths
        places: list[tuple[int, str] | None] = []
        for number, text in enumerate(call.strings):
            path = os.path.normpath(os.path.join(at[number] if number < len(at) else "/", os.fsdecode(text)))
            parent, name = os.path.split(path)
            directory = self._find(parent) if self._is_ours(parent) and path != self._root else None
            places.append(None if directory is None else (directory, name))
        return places

    def _filesystem(self, parent: int, relative_path: str) -> int:
        return self._mounts.get(relative_path, self.history.inodes[parent].filesystem)

    def _new(self, is_directory: bool, filesystem: int, mode: int) -> int:
        self.history.inodes.append(Inode(is_directory, filesystem, mode))
        return len(self.history.inodes) - 1

    # -- names -------------------------------------------------------------------------------------------------------

    def _change(self, call: Call, *links: Link, emptied: int | None = None) -> None:
        for link in links:
            if link.inode is None and link.name not in self.history.inodes[link.directory].names:
                raise KeyError(link.name)
        directories = frozenset(link.directory for link in links)
        self.history.names.append(NameChange(links, directories, call.began_us, call.ended_us, emptied))
        for link in links:
            names = self.history.inodes[link.directory].names
            if link.inode is None:
                del names[link.name]
            else:
                names[link.name] = link.inode

    def _openat(self, call: Call) -> None:
        flags = call.arguments.rpartition('", ')[2]
        if "O_CREAT" not in flags and "O_TRUNC" not in flags:
            return
        (place,) = self._places(call)
        if place is None:
            return
        directory, name = place
        inode = self.history.inodes[directory].names.get(name)
        if inode is None:
            inode = self._new(False, self.history.inodes[directory].filesystem, 0o644)
            self._change(call, Link(directory, name, inode))
        elif "O_TRUNC" in flags and self.history.inodes[inode].size:
            self._add(inode, Truncate(0, call.ended_us))

    _open = _openat

    def _mkdir(self, call: Call) -> None:
        (place,) = self._places(call)
        if place:
            directory, name = place
            made = self._new(True, self.history.inodes[directory].filesystem, 0o755)
            self._change(call, Link(directory, name, made))

    _mkdirat = _mkdir

    def _unlink(self, call: Call) -> None:
        (place,) = self._places(call)
        if place:
            directory, name = place
            inode = self.history.inodes[directory].names[name]
            self._change(
                call, Link(directory, name, None), emptied=inode if self.history.inodes[inode].is_directory else None
            )

    _unlinkat = _rmdir = _unlink

    def _link(self, call: Call) -> None:
        source, target = self._places(call)
        if source and target:
            self._change(call, Link(*target, self.history.inodes[source[0]].names[source[1]]))

    _linkat = _link

    def _rename(self, call: Call) -> None:
        source, target = self._places(call)
        if source is None and target is None:
            return
        if source is None or target is None:
            raise ValueError("a rename across the root is not understood")
        inode = self.history.inodes[source[0]].names[source[1]]
        if self.history.inodes[target[0]].names.get(target[1]) != inode:  # else it does nothing (rename(2))
            self._change(call, Link(*source, None), Link(*target, inode))

    _renameat = _renameat2 = _rename

    # -- contents ----------------------------------------------------------------------------------------------------

    def _add(self, inode: int, change: ContentChange) -> None:
        file = self.history.inodes[inode]
        file.contents.append(change)
        self._content_changes += 1
        if isinstance(change, Write):
            file.size = max(file.size, change.offset + len(change.data))
        elif isinstance(change, Truncate):
            file.size = change.size

    def _file(self, call: Call) -> int | None:
        """Return the inode of the first descriptor; None if it is elsewhere, or has no name any more."""
        path = call.paths[0] if call.paths else ""
        return self._find(path) if self._is_ours(path) else None

    def _write(self, call: Call) -> None:
        inode = self._file(call)
        if inode is not None:  # whoever writes here begins at the start of a file, or appends
            data = b"".join(call.strings)[: call.result]
            self._add(inode, Write(self.history.inodes[inode].size, data, call.ended_us))

    _writev = _write

    def _pwrite64(self, call: Call) -> None:
        inode = self._file(call)
        if inode is not None:
            self._add(inode, Write(call.numbers[-1], b"".join(call.strings)[: call.result], call.ended_us))

    def _ftruncate(self, call: Call) -> None:
        inode = self._file(call)
        if inode is not None and call.numbers[-1] != self.history.inodes[inode].size:
            self._add(inode, Truncate(call.numbers[-1], call.ended_us))

    def _utimensat(self, call: Call) -> None:
        inode = self._file(call)
        if inode is None:
            return
        times = _TIMES.findall(call.arguments)
        mtime_ns = int(times[-1][0]) * 10**9 + int(times[-1][1]) if times else call.ended_us * 1000
        self._add(inode, SetTime(mtime_ns, call.ended_us))

    # -- durability --------------------------------------------------------------------------------------------------

    def _fsync(self, call: Call) -> None:
        inode = self._file(call)
        if inode is not None:
            filesystem = self.history.inodes[inode].filesystem
            self.history.syncs.append(Sync(inode, filesystem, call.began_us, call.ended_us))

    _fdatasync = _fsync

    def _syncfs(self, call: Call) -> None:
        inode = self._file(call)
        if inode is not None:
            filesystem = self.history.inodes[inode].filesystem
            self.history.syncs.append(Sync(None, filesystem, call.began_us, call.ended_us))

    # -- what is said ------------------------------------------------------------------------------------------------

    def _sendto(self, call: Call) -> None:
        self.history.responses.append((call.began_us, b"".join(call.strings)))

    def _mmap(self, call: Call) -> None:
        if "MAP_SHARED" in call.arguments and "PROT_WRITE" in call.arguments and self._is_ours(*call.paths):
            raise ValueError("a file of the tree is written through memory, which strace does not see")
