"""What waits in the spools, read from outside: beside a running gateway or for a stopped one. Nothing is changed.

Everything may move while it is looked at: what is gone by then is not counted, and an association that is being
adopted may be seen twice or not at all. The next look is right.
"""

import contextlib
import datetime
import os
from collections.abc import Iterator

import msgspec

from oxidicom.errors import DatasetError
from oxidicom.files.regular_file import NotRegularFileError
from oxidicom.files.times import changed_ns
from oxidicom.paths.private_root import moment_of
from oxidicom.spool.association_directory import associations, ledger_of
from oxidicom.spool.entries import contents, describe_entry
from oxidicom.spool.gateway_directory import FORMAT, format_of, gateway_paths, is_running, spool_of
from oxidicom.spool.journal import Owner, is_open, owner_of
from oxidicom.spool.ledger import LEDGER_NAME, Ledger, committed_lines, read_started
from oxidicom.spool.metadata_rows import metadata_row
from oxidicom.spool.names import PART, EntryName, MetadataValue, parse_name


class Amount(msgspec.Struct):
    """How much of one thing there is."""

    count: int = 0
    size_bytes: int = 0
    oldest: datetime.datetime | None = None

    def add(self, other: "Amount") -> None:
        """Count `other` in."""
        self.count += other.count
        self.size_bytes += other.size_bytes
        self.oldest = min(filter(None, (self.oldest, other.oldest)), default=None)


class Backlog(msgspec.Struct):
    """What is not finished, by how far it has come."""

    receiving: Amount = msgspec.field(default_factory=Amount)
    """Instances that are being received: not yet answered with Success."""
    committed: Amount = msgspec.field(default_factory=Amount)
    """Committed instances that are not at their final path yet."""
    stored: Amount = msgspec.field(default_factory=Amount)
    """Stored instances of which the row is not committed yet."""
    metadata: Amount = msgspec.field(default_factory=Amount)
    """Metadata values that are not registered yet."""

    def add(self, other: "Backlog") -> None:
        """Count `other` in."""
        for name in self.__struct_fields__:
            getattr(self, name).add(getattr(other, name))


class AssociationBacklog(msgspec.Struct):
    """One association that is not finished."""

    association: str
    since: datetime.datetime | None
    calling_ae_title: str
    waiting: Backlog


class GatewayBacklog(msgspec.Struct):
    """One gateway, and its associations, oldest first."""

    gateway: str
    running: bool
    put_back: bool
    """It is no gateway, but what an operator put back and no gateway took up yet."""
    later: bool
    """Its spool is of a later version, or cannot be told: this one leaves it alone."""
    since: datetime.datetime | None
    waiting: Backlog
    associations: list[AssociationBacklog]


def backlog_of(files_root: str) -> list[GatewayBacklog]:
    """Return what waits in each gateway below `files_root`, oldest first. Raise OSError."""
    backlogs = []
    for path in gateway_paths(files_root):
        with contextlib.suppress(FileNotFoundError):  # it ended while we looked
            backlogs.append(_gateway(path))
    return backlogs


def paths_in_work(files_root: str) -> Iterator[str]:
    """Yield the final path of everything that stands in a spool and is not registered yet, and the directories of all
    series that are not finished there. Raise OSError.
    """
    for gateway in gateway_paths(files_root):
        with contextlib.suppress(FileNotFoundError):
            for directory in associations(spool_of(gateway)):
                with contextlib.suppress(FileNotFoundError):
                    yield from _paths_in(directory)


def _paths_in(directory: str) -> Iterator[str]:
    ledger = ledger_of(directory) or Ledger()
    yield from {series.directory for series in ledger.series.values()}
    entries: dict[int, str] = {}
    for name, state in contents(directory):
        if isinstance(name, EntryName):
            entries[name.number] = name.at(state)
        elif is_open(name, state) and name.series_hash in ledger.series:
            series = ledger.series[name.series_hash]
            yield metadata_row(os.path.basename(directory), series, name).fname
    with contextlib.suppress(FileNotFoundError, NotRegularFileError):  # it has no ledger, or is finished by now
        for line in committed_lines(os.path.join(directory, LEDGER_NAME)):
            if entries.pop(line.number, None):
                yield line.path
    for file_name in entries.values():  # put back, or its listener died before the ledger had it
        with contextlib.suppress(DatasetError, FileNotFoundError):
            yield describe_entry(os.path.join(directory, file_name)).file.fname


def _gateway(path: str) -> GatewayBacklog:
    ulid = os.path.basename(path)
    written = format_of(path)
    put_back = written is not None and written.put_back
    later = written is None or written.format > FORMAT
    backlog = GatewayBacklog(ulid, not put_back and is_running(path), put_back, later, moment_of(ulid), Backlog(), [])
    for directory in associations(spool_of(path)):
        with contextlib.suppress(FileNotFoundError):  # finished while we looked
            one = _association(directory)
            backlog.associations.append(one)
            backlog.waiting.add(one.waiting)
    return backlog


def _association(directory: str) -> AssociationBacklog:
    started = None
    with contextlib.suppress(OSError):  # it is lost, or nothing that can be read
        started = read_started(os.path.join(directory, LEDGER_NAME))
    waiting = Backlog()
    for field, amount in _amounts(directory):
        getattr(waiting, field).add(amount)
    ulid = os.path.basename(directory)
    return AssociationBacklog(ulid, moment_of(ulid), started.calling_ae_title if started else "", waiting)


def _amounts(directory: str) -> Iterator[tuple[str, Amount]]:
    """Yield what waits in the directory of an association, one by one: for there may be 100,000."""
    with os.scandir(directory) as scan:
        for entry in scan:
            field = _field_of(entry.name)
            if field and entry.is_file(follow_symlinks=False):
                with contextlib.suppress(FileNotFoundError):
                    status = entry.stat(follow_symlinks=False)
                    moment = datetime.datetime.fromtimestamp(changed_ns(status) / 1e9, datetime.UTC)
                    yield field, Amount(1, status.st_size, moment)


def _field_of(file_name: str) -> str | None:
    """Return which field of `Backlog` counts a file, or None when it waits for nothing."""
    if file_name.endswith(f".{PART}"):
        return "receiving"
    parsed = parse_name(file_name)
    if parsed is None or not is_open(*parsed):
        return None
    name, state = parsed
    if isinstance(name, MetadataValue):
        return "metadata"
    return "committed" if owner_of(name, state) is Owner.STORAGE else "stored"
