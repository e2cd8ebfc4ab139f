"""What differs between the storage and the database: found in one pass over both, kept in a file, not in memory."""

import collections
import contextlib
import enum
import itertools
import tempfile
from collections.abc import Iterable, Iterator

import msgspec

from oxidicom.operations.temporary import blamed_on_their_place


class DifferenceKind(enum.StrEnum):
    """What differs."""

    FILE_WITHOUT_ROW = "file without a row"
    ROW_WITHOUT_FILE = "row without a file"
    SERIES_WITHOUT_ROW = "series without a row"
    """Files of a directory are registered, and the series itself is not; only in the tables of CUBE 6 and 7."""


class Difference(msgspec.Struct, frozen=True, array_like=True):
    """One difference."""

    kind: DifferenceKind
    path: bytes
    """As the file system has it: a file may have a name that is no text."""

    @property
    def name(self) -> str | None:
        """The path as the database has it; None for what is no text."""
        try:
            return self.path.decode()
        except UnicodeDecodeError:
            return None


def compare(files: Iterable[bytes], rows: Iterable[bytes]) -> Iterator[Difference]:
    """Yield what differs between two streams of paths, both in the order of their bytes."""
    files, rows = iter(files), iter(rows)
    file, row = next(files, None), next(rows, None)
    while file is not None or row is not None:
        if row is None or (file is not None and file < row):
            assert file is not None
            yield Difference(DifferenceKind.FILE_WITHOUT_ROW, file)
            file = next(files, None)
        elif file is None or row < file:
            yield Difference(DifferenceKind.ROW_WITHOUT_FILE, row)
            row = next(rows, None)
        else:
            file, row = next(files, None), next(rows, None)


class DifferencesFile:
    """Any number of differences, in an unnamed temporary file. A context manager.

    Every method raises OperationError when there is no room for it.
    """

    def __init__(self) -> None:
        with blamed_on_their_place(OSError):
            self._file = tempfile.TemporaryFile()  # noqa: SIM115 (closed by `__exit__`)
        self._counts: collections.Counter[DifferenceKind] = collections.Counter()

    def __enter__(self) -> "DifferencesFile":
        return self

    def __exit__(self, *_: object) -> None:
        with contextlib.suppress(OSError):  # of what there was no room for, which would be tried again
            self._file.close()

    def __len__(self) -> int:
        return self._counts.total()

    def count(self, kind: DifferenceKind) -> int:
        """Return how many of a kind were added."""
        return self._counts[kind]

    def add(self, difference: Difference) -> None:
        """Append one."""
        with blamed_on_their_place(OSError):
            self._file.write(msgspec.json.encode(difference) + b"\n")
        self._counts[difference.kind] += 1

    def batches(self, most: int) -> Iterator[list[Difference]]:
        """Yield all that were added, up to `most` at a time."""
        with blamed_on_their_place(OSError):
            self._file.seek(0)
        while batch := self._next(most):
            yield batch

    def _next(self, most: int) -> list[Difference]:
        with blamed_on_their_place(OSError):
            return [msgspec.json.decode(line, type=Difference) for line in itertools.islice(self._file, most)]
