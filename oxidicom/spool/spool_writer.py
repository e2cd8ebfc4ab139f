"""The spool directory of one association, as its listener writes it. See `association_directory` for everybody else."""

import contextlib
import errno
import os
import time
from collections.abc import Callable

from oxidicom.files.descriptors import stands_at
from oxidicom.files.directories import sync_directory
from oxidicom.paths.final_path import series_hash
from oxidicom.records import Description, Series
from oxidicom.spool.association_directory import remove_finished
from oxidicom.spool.ledger import LEDGER_NAME, Committed, Ended, LedgerWriter, SeriesOpened, Started
from oxidicom.spool.names import EntryName

MAX_SERIES = 1000
"""So many series of an association are remembered."""

_LOOK_SECONDS = 1.0
_WRITE_NEW = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC


class SpoolWriter:
    """The directory of one association, as its listener writes it. Made when the first instance arrives."""

    def __init__(
        self, spool: str, started: Started, *, durable: bool = False, now_ns: Callable[[], int] = time.time_ns
    ) -> None:
        """Make the directory under `spool`, with its locked ledger inside from its first visible moment.

        `now_ns` is the clock of the storage, by which versions are told apart. With `durable` an instance is synced
        before it is committed, and the commit before it is answered. The ledger is not: `end_for_the_dead` completes it
        from the entries, and it is synced before they leave. Raise OSError when the disk does not take it.
        """
        self.durable = durable
        """Instances are synced before they are committed."""
        self.now_ns = now_ns
        self.directory = os.path.join(spool, started.association)
        hidden = os.path.join(spool, f".{started.association}")
        os.mkdir(hidden, 0o700)
        with contextlib.ExitStack() as undo:
            undo.callback(remove_finished, hidden)
            self._ledger = LedgerWriter(os.path.join(hidden, LEDGER_NAME), create=True)
            undo.callback(self._ledger.close)
            # Names are looked up from here: to walk down from the root each time costs a fifth of what is done there.
            self._descriptor = os.open(hidden, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
            undo.callback(os.close, self._descriptor)
            self._ledger.append(started)
            os.rename(hidden, self.directory)
            undo.callback(remove_finished, self.directory)
            if durable:
                sync_directory(spool)
            undo.pop_all()
        self._series: dict[Series, str] = {}
        """Those that were new last. One that is forgotten is entered in the ledger again, which changes nothing."""
        self.series = 0
        """Number of series that have a committed instance; one that was forgotten meanwhile counts again."""
        self._number = 0
        self._look_due = 0.0

    def next_number(self) -> int:
        """Return the number of the next instance."""
        self._number += 1
        return self._number

    def require_place(self) -> None:
        """See now and then that the directory stands where a restart looks for it. Raise OSError when it does not."""
        now = time.monotonic()
        if now < self._look_due:
            return
        if not stands_at(self.directory, self._descriptor):
            raise OSError(errno.ESTALE, os.strerror(errno.ESTALE))
        self._look_due = now + _LOOK_SECONDS

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
        """Make the data of a file durable, if it is to be durable. Raise OSError."""
        if self.durable:
            os.fdatasync(descriptor)

    def name_of(self, number: int, size_bytes: int, description: Description) -> EntryName:
        """Return the committed name of an instance."""
        return EntryName(number, self._series.get(description.series) or series_hash(description.series), size_bytes)

    def enter_in_ledger(self, name: EntryName, description: Description) -> None:
        """Say in the ledger that the complete file is there under its committed name.

        The file comes first, since a count without a file would be a lie that no restart can mend, while a file
        without a count is found and counted. Raise OSError when that is impossible; then remove the file.
        """
        if self.durable:
            os.fsync(self._descriptor)
        line = Committed(name.number, name.series_hash, name.size_bytes, description.file.fname)
        if description.series in self._series:
            self._ledger.append(line)
        else:
            self._ledger.append(SeriesOpened(name.series_hash, description.series, description.file.columns), line)
            self._remember(description.series, name.series_hash)

    def _remember(self, series: Series, hash_of_it: str) -> None:
        self.series += 1
        self._series[series] = hash_of_it
        if len(self._series) > MAX_SERIES:
            del self._series[next(iter(self._series))]

    def end(self, how: str, refused: int) -> None:
        """Say in the ledger how the association ended, and unlock it; remove the directory if nothing came.

        When even this finds no room, the free lock says it instead and `end_for_the_dead` does the rest later.
        """
        with contextlib.suppress(OSError):
            if self.series:
                self._ledger.append(Ended(how, refused))
            else:
                remove_finished(self.directory)
        with contextlib.suppress(OSError):
            os.close(self._descriptor)
        self._ledger.close()
