"""The spool is the journal: one directory for each association that is not wholly registered yet.

`Reception` is the writing side, held by the listener of the association. The functions below are for everybody
else: what stands in a directory, whether its listener lives, how to end it for a listener that died. See `names` for
the states, `ledger` for the counts, and `rejected` for what is set aside.
"""

import contextlib
import os
from collections.abc import Iterator, Sequence

from oxidicom.dataset.description import describe
from oxidicom.dataset.header import read_header_of_file
from oxidicom.errors import DatasetError
from oxidicom.records import Description, Series
from oxidicom.storage.ledger import (
    LEDGER_NAME,
    Committed,
    Ended,
    Ledger,
    LedgerWriter,
    SeriesOpened,
    Started,
    committed_numbers,
    read_ledger,
)
from oxidicom.storage.names import PART, RECEIVED, EntryName, NoteName, parse_name
from oxidicom.storage.paths import series_hash

_WRITE_NEW = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC


class Reception:
    """The directory of one association, as its listener writes it. Made when the first instance arrives."""

    def __init__(self, spool: str, started: Started, *, durable: bool = False) -> None:
        """Make the directory under `spool`, with its locked ledger inside from its first visible moment.

        With `durable` an instance is synced before it is committed, and the commit before it is answered. The
        ledger is not: `end_for_the_dead` completes it from the entries, and it is synced before they leave. Raise
        OSError when the disk does not take it.
        """
        self._durable = durable
        self.directory = os.path.join(spool, started.association)
        hidden = os.path.join(spool, f".{started.association}")
        os.mkdir(hidden, 0o700)
        with contextlib.ExitStack() as undo:
            undo.callback(remove_tree, hidden)
            self._ledger = LedgerWriter(os.path.join(hidden, LEDGER_NAME), create=True)
            undo.callback(self._ledger.close)
            # Names are looked up from here: to walk down from the root each time costs a fifth of what is done there.
            self._descriptor = os.open(hidden, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
            undo.callback(os.close, self._descriptor)
            self._ledger.append(started)
            os.rename(hidden, self.directory)
            undo.callback(remove_tree, self.directory)
            if durable:
                sync_directory(spool)
            undo.pop_all()
        self._series: dict[Series, str] = {}
        self._number = 0

    def next_number(self) -> int:
        """Return the number of the next instance."""
        self._number += 1
        return self._number

    def create(self, file_name: str) -> int:
        """Create a file and return a descriptor to write it. Raise OSError.

        The inode becomes the file at the final path, so it has the mode of that one: 0666 less the umask.
        """
        return os.open(file_name, _WRITE_NEW, 0o666, dir_fd=self._descriptor)

    def rename(self, file_name: str, to: str) -> str:
        """Rename a file and return its new name. Raise OSError."""
        os.rename(file_name, to, src_dir_fd=self._descriptor, dst_dir_fd=self._descriptor)
        return to

    def remove(self, file_name: str) -> None:
        """Remove a file that will not be committed, and give its space back, as far as the disk lets it.

        What is left of it is shorter than its name says, or has no line in the ledger; but if the disk keeps all of it
        and the listener dies, it is taken for an instance that was committed: more than was promised, not less.
        """
        with contextlib.suppress(OSError):
            os.unlink(file_name, dir_fd=self._descriptor)

    def sync_data(self, descriptor: int) -> None:
        """Make the data of a file durable, if the reception is `durable`. Raise OSError."""
        if self._durable:
            os.fdatasync(descriptor)

    def name_of(self, number: int, size_bytes: int, description: Description) -> EntryName:
        """Return the committed name of an instance."""
        return EntryName(number, self._series.get(description.series) or series_hash(description.series), size_bytes)

    def enter_in_ledger(self, name: EntryName, description: Description) -> None:
        """Say in the ledger that the complete file is there under its committed name.

        The file comes first, since a count without a file would be a lie that no restart can mend, while a file
        without a count is found and counted. Raise OSError when that is impossible; then remove the file.
        """
        if self._durable:
            os.fsync(self._descriptor)
        line = Committed(name.number, name.series_hash, name.size_bytes, description.file.fname)
        if description.series in self._series:
            self._ledger.append(line)
        else:
            self._ledger.append(SeriesOpened(name.series_hash, description.series), line)
            self._series[description.series] = name.series_hash

    def series_hashes(self) -> Sequence[str]:
        """Return the hashes of all series that have a committed instance."""
        return list(self._series.values())

    def end(self, how: str, refused: int) -> None:
        """Say in the ledger how the association ended, and unlock it; remove the directory if nothing came.

        When even this finds no room, the free lock says it instead and `end_for_the_dead` does the rest later.
        """
        with contextlib.suppress(OSError):
            if self._series:
                self._ledger.append(Ended(how, refused))
            else:
                remove_tree(self.directory)
        with contextlib.suppress(OSError):
            os.close(self._descriptor)
        self._ledger.close()


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
