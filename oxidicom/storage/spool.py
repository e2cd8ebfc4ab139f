"""The spool is the journal: one directory for each association that is not wholly registered yet.

What stands in a directory, whether its listener lives, how to end it for a listener that died. `reception` is the side
of the listener. See `names` for the states, `ledger` for the counts, and `rejected` for what is set aside.
"""

import contextlib
import os
from collections.abc import Iterator

from oxidicom.dataset.description import describe
from oxidicom.dataset.header import read_header_of_file
from oxidicom.errors import DatasetError
from oxidicom.records import Description
from oxidicom.storage.ledger import (
    LEDGER_NAME,
    Committed,
    Ended,
    Ledger,
    LedgerWriter,
    SeriesOpened,
    committed_numbers,
    read_ledger,
)
from oxidicom.storage.names import PART, RECEIVED, EntryName, NoteName, parse_name


def sync_directory(path: str) -> None:
    """Make the entries of a directory durable. Raise OSError."""
    descriptor = os.open(path, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def associations(spool: str) -> list[str]:
    """Return the directories of all associations in `spool`, oldest first (a ULID begins with its time)."""
    return [os.path.join(spool, name) for name in sorted(os.listdir(spool)) if not name.startswith(".")]


def contents(directory: str) -> Iterator[tuple[EntryName | NoteName, str]]:
    """Yield what stands in the directory of an association, with the state of each; nothing when it is gone.

    In no order and one at a time, for there may be 100,000. What is renamed meanwhile may be missed (readdir(3)).
    """
    try:
        scan = os.scandir(directory)
    except FileNotFoundError:
        return
    with scan:
        for entry in scan:
            if parsed := parse_name(entry.name):
                yield parsed


def ledger_of(directory: str) -> Ledger | None:
    """Read the ledger of an association, or return None when the directory is being removed."""
    try:
        return read_ledger(os.path.join(directory, LEDGER_NAME))
    except FileNotFoundError:
        return None


def ledger_mtime_ns(directory: str) -> int:
    """Return when the ledger of an association was written last, or 0 when the directory is being removed."""
    try:
        return os.stat(os.path.join(directory, LEDGER_NAME)).st_mtime_ns
    except FileNotFoundError:
        return 0


def describe_entry(path: str) -> Description:
    """Read what the listener knew about an entry from the entry itself. Raise DatasetError or OSError."""
    try:
        meta, header = read_header_of_file(path)
        return describe(header, meta.calling_ae_title)
    except (DatasetError, OSError):
        raise
    except Exception as error:  # a bug of ours must not stop every rescan at the same entry
        raise DatasetError(f"unexpected {type(error).__name__}") from error


def end_for_the_dead(directory: str, how: str = "listener died") -> bool:
    """Complete and end the ledger of an association whose listener is dead. Return False while the listener lives.

    A crash between the file and the ledger leaves a committed entry without a line: it gets one here, so that
    the count of the series is that of its committed instances. What was still being received is removed: it
    was never answered with Success.
    """
    ledger = ledger_of(directory)
    if ledger is None or ledger.ended:
        return True
    try:
        writer = LedgerWriter(os.path.join(directory, LEDGER_NAME))
    except BlockingIOError:
        return False
    except FileNotFoundError:
        return True
    try:
        _complete(writer, directory, how)
    finally:
        writer.close()
    return True


def _complete(writer: LedgerWriter, directory: str, how: str) -> None:
    writer.mend_tail()
    path = os.path.join(directory, LEDGER_NAME)
    if read_ledger(path).ended:  # again: another may have ended it meanwhile
        return
    known = committed_numbers(path)
    for name, state in list(contents(directory)):
        if isinstance(name, EntryName) and name.number not in known:
            _complete_entry(writer, os.path.join(directory, name.at(state)), name, state)
    for file_name in os.listdir(directory):
        if file_name.endswith(f".{PART}"):
            os.unlink(os.path.join(directory, file_name))
    writer.append(Ended(how))


def _complete_entry(writer: LedgerWriter, path: str, name: EntryName, state: str) -> None:
    """Enter a committed entry that the ledger does not know; remove one that was still being received."""
    with contextlib.suppress(FileNotFoundError):  # taken up at this moment: it has gone on to the next state
        if state == RECEIVED and os.path.getsize(path) != name.size_bytes:
            os.unlink(path)
            return
        try:
            description = describe_entry(path)
        except DatasetError:
            return  # not readable: the storage worker sets it aside
        writer.append(
            SeriesOpened(name.series_hash, description.series),
            Committed(name.number, name.series_hash, name.size_bytes, description.file.fname),
        )


def remove_finished(directory: str) -> None:
    """Remove the directory of an association of which everything is registered.

    The ledger goes first: without it the rest is known to be left over, whatever moment a crash chooses.
    """
    with contextlib.suppress(FileNotFoundError):
        os.unlink(os.path.join(directory, LEDGER_NAME))
    remove_tree(directory)


def remove_tree(directory: str) -> None:
    """Remove a directory and the files in it; what is gone already is no error."""
    with contextlib.suppress(FileNotFoundError):
        for name in os.listdir(directory):
            with contextlib.suppress(FileNotFoundError):
                os.unlink(os.path.join(directory, name))
        os.rmdir(directory)
