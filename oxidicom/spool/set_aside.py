"""What was set aside: `.oxidicom/set-aside/{association}/`, each file beside a JSON file that says why.

    000001-{series hash}-{bytes}.received          could not be stored, or not be read
    000001-{series hash}-{bytes}.stored            its row was refused
    {series hash}-{KEY}={VALUE}.stored             the row of a metadata value was refused
    ….json                                         reason, moment, and what it takes to put the file back

The names are those that the files had in the spool (see `names`). Nothing here is ever removed by the gateway: it is
put back by an operator (`put_back`), or thrown away (`discard`): then the JSON file alone is left, and says when. The
directories have mode 0700, for the JSON files may hold patient data.
"""

import contextlib
import datetime
import os
from collections.abc import Iterator
from typing import NamedTuple

import msgspec

from oxidicom.files.directories import sync_directory
from oxidicom.files.foreign_json import NOT_READABLE
from oxidicom.files.regular_file import open_regular
from oxidicom.moments import Moment, moment_at
from oxidicom.records import Series
from oxidicom.spool.association_directory import remove_finished
from oxidicom.spool.entries import contents
from oxidicom.spool.journal import is_open
from oxidicom.spool.ledger import LEDGER_NAME
from oxidicom.spool.names import EntryName, MetadataValue, parse_name
from oxidicom.tree.group_sync import sync_file

_JSON = ".json"
_MAX_REASON_BYTES = 1 << 20
_NO_REASON = "not known: its JSON file is missing or cannot be read"


class Reason(msgspec.Struct, frozen=True, omit_defaults=True):
    """The JSON file beside a file that was set aside."""

    reason: str
    """Without patient data: it is shown and logged."""
    at: Moment
    path: str = ""
    """The final path, where it is known."""
    series: Series | None = None
    """Of a metadata value, whose file is empty. An instance says itself which series it belongs to."""
    traceback: str = ""
    """Where a bug of ours was met."""
    discarded: Moment | None = None
    """When an operator threw the file away."""
    size_bytes: int | None = None
    """Of the file that was thrown away."""


class ThingSetAside(NamedTuple):
    """One file that was set aside."""

    association: str
    file_name: str
    name: EntryName | MetadataValue | None
    """None: no name of the spool; somebody else put the file there."""
    size_bytes: int
    since: datetime.datetime
    reason: str
    series: Series | None
    is_discarded: bool = False
    """An operator had begun to throw it away when he was interrupted."""

    @property
    def shown_name(self) -> str:
        """The name of the file as it may be shown: it may hold any bytes."""
        return os.fsencode(self.file_name).decode("utf-8", "backslashreplace")

    @property
    def kind(self) -> str:
        """What it is, in a word or two."""
        if isinstance(self.name, MetadataValue):
            return self.name.key
        if self.file_name == LEDGER_NAME:
            return "ledger"
        return "instance" if self.name else "unknown file"


def set_aside(
    directory: str,
    file_name: str,
    aside: str,
    reason: str,
    *,
    path: str = "",
    series: Series | None = None,
    traceback: str = "",
) -> bool:
    """Move one file of the association in `directory` to `aside`, beside a JSON file that says why.

    A metadata value wants its `series`, a bug of ours its `traceback`. The JSON file comes first, so that nothing is
    there without its reason. Return False when the file is gone already. Raise OSError, with the file where it was.
    """
    if not os.path.exists(os.path.join(directory, file_name)):
        return False  # it was set aside already: a message and a rescan may both tell of it
    return _move(directory, file_name, _place_for(directory, aside), Reason(reason, _now(), path, series, traceback))


def set_aside_all(directory: str, aside: str, reason: str, traceback: str) -> int:
    """Move everything in the directory of an association to `aside`. Return the number of instances.

    The ledger goes last: until then the association is taken up again by whoever finds it. What is no file of ours
    stays, and the directory with it. Raise OSError.
    """
    instances = 0
    why = Reason(reason, _now(), traceback=traceback)
    names = [name.at(state) for name, state in contents(directory) if is_open(name, state)]
    target = _place_for(directory, aside)
    for file_name in (*names, LEDGER_NAME):
        moved = _move(directory, file_name, target, why)
        instances += moved and file_name != LEDGER_NAME
    remove_finished(directory)
    return instances


def _place_for(directory: str, aside: str) -> str:
    """Return the directory for what is set aside of an association, made unless it is there. Raise OSError.

    Its name is durable, or a power failure took it away with all that was moved there. It is synced each time: whoever
    made it may have died before that.
    """
    target = os.path.join(aside, os.path.basename(directory))
    for missing in (aside, target):
        with contextlib.suppress(FileExistsError):
            os.mkdir(missing, 0o700)
        sync_directory(os.path.dirname(missing))
    return target


def _move(directory: str, file_name: str, target: str, reason: Reason) -> bool:
    source, place = os.path.join(directory, file_name), os.path.join(target, file_name)
    if not os.path.exists(source):
        return False
    _write_reason(place + _JSON, reason)
    try:
        os.rename(source, place)
    except FileNotFoundError:  # it went on at this moment, or another process has just set it aside
        if not os.path.exists(place):
            os.unlink(place + _JSON)
        return False
    return True


def _now() -> datetime.datetime:
    return datetime.datetime.now(datetime.UTC).replace(microsecond=0)


def _write_reason(path: str, reason: Reason) -> None:
    try:
        with open(path, "wb", opener=open_regular) as file:
            file.write(msgspec.json.encode(reason))
    except OSError:
        with contextlib.suppress(OSError):
            os.unlink(path)
        raise


def associations_set_aside(aside: str) -> list[str]:
    """Return the ULIDs of all associations of which something may be set aside, oldest first."""
    try:
        with os.scandir(aside) as scan:
            return sorted(entry.name for entry in scan if entry.is_dir(follow_symlinks=False))
    except FileNotFoundError:
        return []


def holds_anything(aside: str, association: str) -> bool:
    """Tell whether anything is set aside of an association: not so when all was thrown away. Raise OSError."""
    try:
        with os.scandir(os.path.join(aside, association)) as scan:
            return any(not entry.name.endswith(_JSON) for entry in scan)
    except FileNotFoundError:
        return False


def count_set_aside(aside: str) -> int:
    """Return how many things are set aside. Raise OSError."""
    count = 0
    for association in associations_set_aside(aside):
        with contextlib.suppress(FileNotFoundError):  # put back while we looked
            count += sum(not name.endswith(_JSON) for name in os.listdir(os.path.join(aside, association)))
    return count


def set_aside_of(aside: str, association: str) -> Iterator[ThingSetAside]:
    """Yield what was set aside of one association, in no order; nothing when there is nothing. Raise OSError."""
    directory = os.path.join(aside, association)
    try:
        scan = os.scandir(directory)
    except FileNotFoundError:
        return
    with scan:
        for entry in scan:
            if not entry.name.endswith(_JSON):
                with contextlib.suppress(FileNotFoundError):  # put back while we looked
                    yield _aside(association, directory, entry)


def _aside(association: str, directory: str, entry: "os.DirEntry[str]") -> ThingSetAside:
    status = entry.stat(follow_symlinks=False)
    parsed = parse_name(entry.name)
    reason = read_reason(os.path.join(directory, entry.name + _JSON))
    return ThingSetAside(
        association,
        entry.name,
        parsed[0] if parsed else None,
        status.st_size,
        reason.at if reason else moment_at(status.st_ctime),
        reason.reason if reason else _NO_REASON,
        reason.series if reason else None,
        reason is not None and reason.discarded is not None,
    )


def read_reason(path: str) -> Reason | None:
    """Return what a JSON file says, or None when it is missing or cannot be read."""
    try:
        with open(path, "rb", opener=open_regular) as file:
            return msgspec.json.decode(file.read(_MAX_REASON_BYTES), type=Reason)
    except (OSError, *NOT_READABLE):
        return None


def note_discarded(directory: str, file_name: str, size_bytes: int) -> None:
    """Write into the JSON file of a file that it is thrown away now. Raise OSError."""
    path = os.path.join(directory, file_name + _JSON)
    now = _now()
    reason = read_reason(path) or Reason(_NO_REASON, now)
    unfinished = os.path.join(directory, f".{file_name}{_JSON}")
    with contextlib.suppress(FileNotFoundError):
        os.unlink(unfinished)
    with open(unfinished, "xb", opener=open_regular) as file:
        file.write(msgspec.json.encode(msgspec.structs.replace(reason, discarded=now, size_bytes=size_bytes)))
    sync_file(unfinished)
    os.rename(unfinished, path)


def forget_reasons(aside: str, association: str) -> None:
    """Remove the JSON files of files that are gone from there, unless they were thrown away, and the directory when
    nothing is left in it.

    Only for an association that stands in no spool: else its files may be on their way here. Raise OSError.
    """
    directory = os.path.join(aside, association)
    names = set(os.listdir(directory))
    for name in names:
        path = os.path.join(directory, name)
        if name.endswith(_JSON) and name.removesuffix(_JSON) not in names and not _tells_of_discarded(path):
            os.unlink(path)
    with contextlib.suppress(OSError):  # not empty
        os.rmdir(directory)


def _tells_of_discarded(path: str) -> bool:
    if os.path.basename(path).startswith("."):
        return False  # a crash ended while it was written
    reason = read_reason(path)
    return reason is not None and reason.discarded is not None
