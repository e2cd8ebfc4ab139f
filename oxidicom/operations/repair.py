"""Registering files that have no row: the row is derived from the file, never guessed.

The order is that of the gateway: a row is inserted only after its file and its directories are synced, DICOM files
before metadata.
"""

import os
import re
from collections.abc import Iterator, Sequence

import msgspec

from oxidicom.cube.database import Database
from oxidicom.cube.isolation import Isolated, register_isolating
from oxidicom.cube.rows import SeriesWritten
from oxidicom.errors import DatasetError, FilesGoneError, OxidicomError
from oxidicom.files.directories import sync_directory
from oxidicom.paths.final_path import METADATA_ROOT, PACS_ROOT
from oxidicom.paths.private_root import moment_of
from oxidicom.records import COMMITTED_COUNT_KEY, EXPECTED_COUNT_KEY, PacsFile, Series, SeriesIdentity, SeriesValue
from oxidicom.spool.metadata_rows import UNKNOWN, committed_count_value, metadata_row
from oxidicom.spool.names import MetadataValue
from oxidicom.tree.group_sync import GroupSync, sync_file
from oxidicom.tree.series_files import row_of_file

_METADATA_PATH = re.compile(
    rf"{re.escape(METADATA_ROOT)}/(?P<directory>.+)/(?P<association>[^/]+)/"
    rf"(?P<key>{EXPECTED_COUNT_KEY}|{COMMITTED_COUNT_KEY})=(?P<value>[0-9]+|{UNKNOWN})",
    re.ASCII,
)

_DELETED = "it was deleted meanwhile"
_MAX_FILES = 1000
"""So many files of a series are asked what it is."""


class NoRowError(OxidicomError):
    """There is no telling which row a file should have. The message says why, without patient data."""


def is_metadata(path: str) -> bool:
    """Tell whether a path is one of "Oxidicom Custom Metadata"."""
    return path.startswith(f"{METADATA_ROOT}/")


def dicom_row(files_root: str, path: str) -> PacsFile:
    """Return the row that the file at `path` describes. Raise NoRowError when that is of another path, or of none."""
    try:
        row = row_of_file(files_root, path)
    except DatasetError as error:
        raise NoRowError(f"it is not a DICOM file that the gateway would accept: {error}") from error
    except OSError as error:
        raise NoRowError(f"it cannot be read: {error.strerror}") from error
    if row.fname != path:
        raise NoRowError("what it holds belongs to another path")
    return row


def may_need_row(files_root: str, path: str) -> bool:
    """Tell whether a file is one that the gateway would take; one that cannot be read may be."""
    try:
        row_of_file(files_root, path)
    except (DatasetError, FileNotFoundError):
        return False
    except OSError:
        return True
    return True


def metadata_file_value(files_root: str, path: str, database: Database) -> SeriesValue:
    """Return the value that a metadata file stands for. Raise NoRowError when its series cannot be told exactly.

    Raise DatabaseUnavailableError or OSError.
    """
    match = _METADATA_PATH.fullmatch(path)
    if match is None or moment_of(match["association"]) is None:
        raise NoRowError("its name is not that of a metadata file")
    if os.stat(os.path.join(files_root, path)).st_size:
        raise NoRowError("it is not empty, as a metadata file is")
    identity = _series_of(files_root, path, match["directory"], database)
    series = Series("", match["directory"], *identity)
    value = MetadataValue("", match["key"], match["value"])
    return SeriesValue(series, metadata_row(match["association"], series, value))


def series_end(files_root: str, directory: str) -> SeriesValue:
    """Return what ends the series of a directory, which any of its files tells. Raise NoRowError when none does.

    It stands for no file of its own: the one that tells it is to be there for as long.
    """
    try:
        names = sorted(os.listdir(os.path.join(files_root, directory)))[:_MAX_FILES]
    except OSError as error:
        raise NoRowError(f"its directory cannot be read: {error.strerror}") from error
    for name in names:
        try:
            row = dicom_row(files_root, f"{directory}/{name}")
        except NoRowError:
            continue
        series = row.series
        value = metadata_row("", series, committed_count_value("", len(names)))
        return SeriesValue(series, msgspec.structs.replace(value, fname=row.fname), row.columns)
    raise NoRowError("none of its files says what series it is")


def _series_of(files_root: str, path: str, directory: str, database: Database) -> SeriesIdentity:
    """Ask the other metadata row of the association, then the rows of the series, then its files."""
    for found in (
        database.series_below(os.path.dirname(path)),
        database.series_below(directory),
        list(_series_of_files(files_root, directory)),
    ):
        if len(found) == 1:
            return found[0]
        if found:
            raise NoRowError("more than one series is in its directory")
    raise NoRowError("nothing names its series: it has neither rows nor files")


def _series_of_files(files_root: str, directory: str) -> set[SeriesIdentity]:
    found: set[SeriesIdentity] = set()
    if not directory.startswith(f"{PACS_ROOT}/") or ".." in directory.split("/"):
        return found
    try:
        names = os.listdir(os.path.join(files_root, directory))
    except (FileNotFoundError, NotADirectoryError):
        return found
    for name in names:
        try:
            found.add(dicom_row(files_root, f"{directory}/{name}").columns.identity)
        except NoRowError:
            continue
    return found


class Repair:
    """Registers rows that were derived. A context manager: it holds a descriptor of the filesystem."""

    def __init__(self, files_root: str, database: Database) -> None:
        self._files_root = files_root
        self._database = database
        self._sync = GroupSync(files_root)
        self._filesystem = os.stat(files_root).st_dev

    def __enter__(self) -> "Repair":
        return self

    def __exit__(self, *_: object) -> None:
        self._sync.close()

    def register(self, files: Sequence[PacsFile], values: Sequence[SeriesValue] = ()) -> Iterator[tuple[str, str]]:
        """Sync the files of rows and insert the rows, values last.

        Yield the names of those that were not inserted, with the reason. Raise DatabaseUnavailableError, or OSError
        when they cannot be synced.
        """
        there = self._synced([*(row.fname for row in files), *(value.file.fname for value in values)])
        for name in (*(row.fname for row in files), *(value.file.fname for value in values)):
            if name not in there:
                yield name, _DELETED
        present = [row for row in files if row.fname in there]
        failures, _ = self._insert(present, [value for value in values if value.file.fname in there])
        yield from failures

    def register_series(self, ends: Sequence[SeriesValue]) -> Iterator[tuple[str, str]]:
        """Insert the rows of series, whose files are registered. Yield directories of which none was, with the reason.

        Raise DatabaseUnavailableError.
        """
        directory_of = {end.file.fname: end.series.directory for end in ends}
        failures, odd_series = self._insert([], ends)
        for name, reason in failures:
            yield directory_of[name], reason
        for odd in odd_series:
            if not odd.is_new and odd.oddity:
                yield directory_of[odd.name], odd.oddity.value

    def _insert(
        self, files: Sequence[PacsFile], values: Sequence[SeriesValue]
    ) -> tuple[list[tuple[str, str]], Sequence[SeriesWritten]]:
        """Insert rows. Return the names of those that were not, with the reason, and the series that are odd.

        What is deleted while an insert waits gets no row: the others are inserted without it.
        """
        failures: list[tuple[str, str]] = []
        while True:
            try:
                outcome = register_isolating(self._database, files, values)
            except FilesGoneError as error:
                gone = error.names
                failures += [(name, _DELETED) for name in sorted(gone)]
                files = [row for row in files if row.fname not in gone]
                values = [value for value in values if value.file.fname not in gone]
            else:
                return [*failures, *_failures(outcome)], outcome.odd_series

    def _synced(self, paths: Sequence[str]) -> set[str]:
        """Sync files, and all directories above them; return the paths of those that are there."""
        while True:
            there = {path: self._device_of(path) for path in paths}
            directories = {directory for path, device in there.items() if device for directory in _directories_of(path)}
            try:
                # A group sync is that of one filesystem; a directory may be the mount of another.
                here = [self._full(path) for path, device in there.items() if device == self._filesystem]
                for error in self._sync.sync(len(here), here).values():
                    raise error
                for path, device in there.items():
                    if device not in (None, self._filesystem):
                        sync_file(self._full(path))
                for directory in directories:
                    sync_directory(self._full(directory))
            except FileNotFoundError:
                continue  # CUBE deleted one at this moment
            return {path for path, device in there.items() if device}

    def _device_of(self, path: str) -> int | None:
        try:
            return os.stat(self._full(path)).st_dev
        except FileNotFoundError:
            return None

    def _full(self, path: str) -> str:
        return os.path.join(self._files_root, path)


def _failures(outcome: Isolated) -> Iterator[tuple[str, str]]:
    for row, refusal in outcome.refused:
        yield row.fname, f"its row is refused: {refusal}"
    for row, error in outcome.failed:
        yield row.fname, f"its row cannot be registered: unexpected {type(error).__name__}"
    for row in outcome.postponed:
        yield row.fname, "not tried, since another row of its series cannot be registered"
    for name in outcome.held:
        yield name, "CUBE is deleting it"


def _directories_of(path: str) -> Iterator[str]:
    """Yield all directories of a file, up to the top: its entry is durable when theirs are."""
    while (path := os.path.dirname(path)).startswith(PACS_ROOT):
        yield path
