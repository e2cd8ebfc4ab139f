"""What had been promised at each moment of a recording, and to whom.

Every instance that came is a version of the file at its final path. It is *acknowledged* from the moment when the
C-STORE response began to leave over the socket, and *stored* from the moment when its entry was about to be renamed to
`.stored`: from then on a row may be inserted.
"""

import dataclasses
import re
import tempfile
from collections.abc import Iterator

from fuzzing.crash_states.crash import whole_contents
from fuzzing.crash_states.history import History, SetTime
from fuzzing.crash_states.recording import Recording
from oxidicom.spool.entries import describe_entry
from oxidicom.spool.names import RECEIVED, STORED, EntryName, parse_name

_STORE_RESPONSE = b"\0\0\0\x01\x02\0\0\0\x01\x80"
"""The Command Field of a C-STORE-RSP (PS3.7, 9.3.1.2)."""
_SUCCESS = b"\0\0\0\x09\x02\0\0\0\0\0"
_SOP_INSTANCE_UID = re.compile(rb"\0\0\0\x10.\0\0\0([0-9.]+)\0?", re.DOTALL)


@dataclasses.dataclass
class Version:
    """One instance as it came once."""

    fname: str
    sop_instance_uid: str
    association: str
    name: EntryName
    data: bytes
    committed_ns: int
    """By the clock of the storage: of two versions the later one stays."""
    came_us: int
    """When it had its committed name."""
    acknowledged_us: int | None = None
    stored_us: int | None = None


class Promises:
    """All of them."""

    def __init__(self, recording: Recording) -> None:
        self._sync = recording.scenario.sync
        self.versions = list(_versions(recording.history))
        self._acknowledge(recording.history)
        self.of_path: dict[str, list[Version]] = {}
        for version in sorted(self.versions, key=lambda one: one.committed_ns):
            self.of_path.setdefault(version.fname, []).append(version)

    def holds(self, version: Version, moment_us: int) -> bool:
        """Tell whether a version must outlive a power failure at a moment."""
        acknowledged = self._sync and version.acknowledged_us is not None and version.acknowledged_us <= moment_us
        return acknowledged or (version.stored_us is not None and version.stored_us <= moment_us)

    def held(self, moment_us: int) -> Iterator[tuple[str, list[Version]]]:
        """Yield each path that must have a file, and the versions that may stand there: the last held and later."""
        for fname, versions in self.of_path.items():
            last = max((at for at, one in enumerate(versions) if self.holds(one, moment_us)), default=None)
            if last is not None:
                yield fname, versions[last:]

    def _acknowledge(self, history: History) -> None:
        for moment_us, data in history.responses:
            for response in data.split(_STORE_RESPONSE)[1:]:
                uid = _SOP_INSTANCE_UID.search(response)
                if uid and _SUCCESS in response:
                    candidates = [
                        one
                        for one in self.versions
                        if one.sop_instance_uid == uid[1].decode() and one.came_us <= moment_us
                    ]
                    max(candidates, key=lambda one: one.came_us).acknowledged_us = moment_us


def _versions(history: History) -> Iterator[Version]:
    """Yield every instance that was given its committed name and is whole."""
    names_of_directories: dict[int, str] = {}
    stored_us: dict[int, int] = {}
    came: dict[int, tuple[int, EntryName, int]] = {}
    for change in history.names:
        for link in change.links:
            if link.inode is None:
                continue
            if history.inodes[link.inode].is_directory:
                names_of_directories[link.inode] = link.name.removeprefix(".")
            elif (parsed := parse_name(link.name)) and isinstance(parsed[0], EntryName):
                if parsed[1] == RECEIVED:
                    came.setdefault(link.inode, (change.ended_us, parsed[0], link.directory))
                elif parsed[1] == STORED:
                    stored_us.setdefault(link.inode, change.began_us)
    for inode, (came_us, name, directory) in came.items():
        data = whole_contents(history, inode)
        if len(data) != name.size_bytes:
            continue
        times = [one.mtime_ns for one in history.inodes[inode].contents if isinstance(one, SetTime)]
        committed_ns = times[-1] if times else came_us * 1000  # killed right before: whole, so the next start takes it
        fname, uid = _described(data)
        association = names_of_directories[directory]
        yield Version(fname, uid, association, name, data, committed_ns, came_us, stored_us=stored_us.get(inode))


def _described(data: bytes) -> tuple[str, str]:
    with tempfile.NamedTemporaryFile() as file:
        file.write(data)
        file.flush()
        description = describe_entry(file.name)
    return description.file.fname, description.sop_instance_uid
