"""One crash state: a moment, and what a filesystem may have kept of the changes before it.

All that a sync promised by then is there. Of the rest anything may be, within what a journalling filesystem keeps to:

- The changes to the names of one directory are kept in their order: some first of them, and none behind. Directories
  are independent of each other. What changes two of them (a rename) is kept in both or in none.
- The contents of a file are independent of its names, and of those of other files. Some first changes of them are
  kept; of the last of these any number of bytes; and pages that were written may be zero, for the new size can be
  kept without them.
- A directory whose own name was not kept is gone with all that was synced in it.
- A time that was set comes with the contents that were written before it.

ext4 and XFS keep more: their journal is one for all directories, so nothing is kept of a later change and lost of an
earlier one. Nothing is made of that here.
"""

import bisect
import dataclasses
import itertools
import random
from collections.abc import Iterator
from typing import NamedTuple

from fuzzing.crash_states.history import ROOT, ContentChange, History, SetTime, Truncate, Write

PAGE_BYTES = 4096


class Contents(NamedTuple):
    """What stands in a file."""

    data: bytes
    lost: tuple[tuple[int, int], ...]
    """Ranges, in whole pages, that were never written: they are holes."""
    mtime_ns: int


@dataclasses.dataclass(frozen=True)
class State:
    """What is there after the crash."""

    moment_us: int
    names: dict[str, int]
    """The inode at each path, directories included, parents first."""
    contents: dict[int, Contents]
    """Of the files."""
    directories: frozenset[int]
    lost_names: int
    """Changes to names that were not kept."""
    lost_contents: int
    """Files of which something was not kept."""


class Crashes:
    """All crashes that a history may have."""

    def __init__(self, history: History) -> None:
        self._history = history
        self._before = _orders(history)
        self._of_directory: dict[int, list[int]] = {}
        """The numbers of the changes to the names of each directory."""
        for number, change in enumerate(history.names):
            for directory in change.directories:
                self._of_directory.setdefault(directory, []).append(number)
        self._moments = list(itertools.accumulate((change.ended_us for change in history.names), max))
        """When each change to names has ended, and all before it."""

    def state_at(self, moment_us: int, chance: random.Random) -> State:
        """Return one of the states that a crash at a moment may leave, as `chance` decides."""
        appetite = _Appetite(chance)
        kept = self._kept_names(moment_us, appetite)
        names = self._names(kept)
        contents: dict[int, Contents] = {}
        lost = 0
        for inode in sorted(set(names.values())):
            if not self._history.inodes[inode].is_directory:
                contents[inode], is_whole = self._contents(inode, moment_us, appetite)
                lost += not is_whole
        happened = bisect.bisect_right(self._moments, moment_us)
        directories = frozenset(one for one in names.values() if self._history.inodes[one].is_directory)
        return State(moment_us, names, contents, directories, happened - sum(kept), lost)

    # -- names -------------------------------------------------------------------------------------------------------

    def _kept_names(self, moment_us: int, appetite: "_Appetite") -> list[bool]:
        """Say of each change to names whether it is kept."""
        changes = self._history.names
        kept = self._synced_names(moment_us)
        happened = bisect.bisect_right(self._moments, moment_us)
        wanted = {
            directory: self._cut([one for one in numbers if one < happened and not kept[one]], appetite)
            for directory, numbers in self._of_directory.items()
        }
        for number, change in enumerate(changes):
            if number >= happened:
                break
            if kept[number]:
                continue
            is_wanted = all(number <= wanted[directory] for directory in change.directories)
            kept[number] = is_wanted and all(kept[before] for before in self._before[number])
        return kept

    def _synced_names(self, moment_us: int) -> list[bool]:
        """Say of each change to names whether a sync, or its order before one that was synced, forces it."""
        limits = self._limits(moment_us)
        changes = self._history.names
        forced = [False] * len(changes)
        for directory, numbers in self._of_directory.items():
            limit_us = limits.of(self._history, directory)
            for number in numbers:
                if changes[number].ended_us > limit_us:
                    break
                forced[number] = True
        for number in reversed(range(len(changes))):
            if forced[number]:
                for before in self._before[number]:
                    forced[before] = True
        return forced

    def _limits(self, moment_us: int) -> "_Limits":
        limits = _Limits({}, {})
        for sync in self._history.syncs:
            if sync.ended_us <= moment_us:
                key, where = (
                    (sync.filesystem, limits.filesystems) if sync.inode is None else (sync.inode, limits.inodes)
                )
                where[key] = max(where.get(key, 0), sync.began_us)
        return limits

    def _cut(self, open_changes: list[int], appetite: "_Appetite") -> int:
        """Return the number of the last change that is wanted of a directory, of those that are not synced."""
        return [-1, *open_changes][appetite.share(len(open_changes))]

    def _names(self, kept: list[bool]) -> dict[str, int]:
        """Return what is at each path."""
        tables: dict[int, dict[str, int]] = {}
        for number, change in enumerate(self._history.names):
            if not kept[number]:
                continue
            for link in change.links:
                table = tables.setdefault(link.directory, {})
                if link.inode is None:
                    table.pop(link.name, None)
                else:
                    table[link.name] = link.inode
        return dict(_walk(tables, ROOT, ""))

    # -- contents ----------------------------------------------------------------------------------------------------

    def _contents(self, inode: int, moment_us: int, appetite: "_Appetite") -> tuple[Contents, bool]:
        """Return what stands in a file, and whether that is all that was written to it."""
        changes = [change for change in self._history.inodes[inode].contents if change.ended_us <= moment_us]
        limit_us = self._limits_at(moment_us).of(self._history, inode)
        synced = sum(change.ended_us <= limit_us for change in changes)
        kept = synced + appetite.share(len(changes) - synced)
        image = _Image(moment_us)
        for change in changes[:synced]:
            image.apply(change)
        image.settle()
        for number, change in enumerate(changes[synced:kept], synced):
            image.apply(appetite.torn(change) if number == kept - 1 and kept < len(changes) else change)
        lost = appetite.lost_pages(image.unsettled, image.data)
        return image.contents(lost), kept == len(changes) and not lost

    _limits_kept: "tuple[int, _Limits] | None" = None

    def _limits_at(self, moment_us: int) -> "_Limits":
        if self._limits_kept is None or self._limits_kept[0] != moment_us:
            self._limits_kept = moment_us, self._limits(moment_us)
        return self._limits_kept[1]


class _Limits(NamedTuple):
    """Until when changes are durable."""

    inodes: dict[int, int]
    filesystems: dict[int, int]

    def of(self, history: History, inode: int) -> int:
        return max(self.inodes.get(inode, 0), self.filesystems.get(history.inodes[inode].filesystem, 0))


class _Appetite:
    """How much of what was not synced is kept, in one state: all, nothing, or of each thing another share."""

    def __init__(self, chance: random.Random) -> None:
        self._chance = chance
        kind = chance.random()
        self._all = 1.0 if kind < 0.1 else 0.0 if kind < 0.2 else chance.random()
        self._nothing = 1.0 if 0.1 <= kind < 0.2 else chance.random()

    def share(self, count: int) -> int:
        """Return how many of so many changes are kept."""
        if not count or self._chance.random() < self._all:
            return count
        if self._chance.random() < self._nothing:
            return 0
        return self._chance.randrange(count + 1)

    def torn(self, change: ContentChange) -> ContentChange:
        """Return what is kept of the last change of a file."""
        if not isinstance(change, Write) or self._chance.random() < 0.5:
            return change
        return change._replace(data=change.data[: self._chance.randrange(len(change.data) + 1)])

    def lost_pages(self, unsettled: list[tuple[int, int]], data: bytearray) -> tuple[tuple[int, int], ...]:
        """Return the pages that are zero, of the ranges that were written and not synced."""
        if not unsettled or self._all == 1.0 or self._chance.random() < 0.6:
            return ()
        start = min(begin for begin, _ in unsettled) // PAGE_BYTES
        end = -(-len(data) // PAGE_BYTES)
        if start >= end:
            return ()
        first = self._chance.randrange(start, end)
        last = self._chance.choice([end, self._chance.randrange(first, end) + 1])
        begin = max(first * PAGE_BYTES, min(begin for begin, _ in unsettled))
        return ((begin, min(last * PAGE_BYTES, len(data))),)


class _Image:
    """The contents of a file, as changes make them."""

    def __init__(self, moment_us: int) -> None:
        self.data = bytearray()
        self.unsettled: list[tuple[int, int]] = []
        """Ranges that were written and not synced."""
        self._mtime_ns = moment_us * 1000

    def apply(self, change: ContentChange) -> None:
        if isinstance(change, SetTime):
            self._mtime_ns = change.mtime_ns
            return
        self._mtime_ns = change.ended_us * 1000
        if isinstance(change, Truncate):
            del self.data[change.size :]
            self.data.extend(bytes(change.size - len(self.data)))
            return
        self.data.extend(bytes(max(0, change.offset - len(self.data))))
        self.data[change.offset : change.offset + len(change.data)] = change.data
        self.unsettled.append((change.offset, change.offset + len(change.data)))

    def settle(self) -> None:
        self.unsettled.clear()

    def contents(self, lost: tuple[tuple[int, int], ...]) -> Contents:
        for begin, end in lost:
            self.data[begin:end] = bytes(end - begin)
        return Contents(bytes(self.data), lost, self._mtime_ns)


def whole_contents(history: History, inode: int) -> bytes:
    """Return all that was ever written to a file, in its last form."""
    image = _Image(0)
    for change in history.inodes[inode].contents:
        image.apply(change)
    return bytes(image.data)


def _orders(history: History) -> list[set[int]]:
    """Return for each change to names those that come before it wherever it is kept."""
    last: dict[int, int] = {}
    before: list[set[int]] = []
    for number, change in enumerate(history.names):
        directories = change.directories | ({change.emptied} if change.emptied is not None else set())
        before.append({last[directory] for directory in directories if directory in last})
        for directory in change.directories:
            last[directory] = number
    return before


def _walk(tables: dict[int, dict[str, int]], directory: int, path: str) -> Iterator[tuple[str, int]]:
    for name, inode in tables.get(directory, {}).items():
        below = f"{path}/{name}" if path else name
        yield below, inode
        yield from _walk(tables, inode, below)
