"""Writes the tables of CUBE 6 and 7: folders, files, their permissions, PACS; and a series when it has ended.

One look tells what lacks of the folders. Then rows are inserted in an order that is the same for all gateways, or they
would deadlock: folders from the top downward, permissions, PACS, files, series; each sorted by the bytes of its name.
Everything is named by its path, never by an id of an earlier transaction, since CUBE deletes folders as an everyday
matter. Permissions are given to what is named, not to what was inserted: CUBE's own registration, killed half-way,
leaves files and folders without.

The row of a series tells CUBE's clients that the whole series is there. So it is written after all else of the series.
"""

from collections.abc import Iterable, Iterator, Sequence, Set
from typing import Any, NamedTuple

import msgspec

from oxidicom.cube.connections import Connection
from oxidicom.cube.folders_statements import PLAN_ONCE, Statements
from oxidicom.cube.rows import Oddity, RowBatch, SeriesWritten, Written
from oxidicom.errors import RowRefusedError
from oxidicom.files.descriptors import OUR_TROUBLE
from oxidicom.paths.final_path import PACS_ROOT, pacs_directory
from oxidicom.records import PacsFile, SeriesValue, SharedColumns


class _Folder(NamedTuple):
    """What a look found of one folder."""

    path: str
    is_there: bool
    is_permitted: bool
    has_pacs: bool
    is_deleted: bool
    """CUBE deletes it, or is about to."""


class _Folders:
    """What a look found of the folders of a batch."""

    def __init__(self, found: Sequence[_Folder]) -> None:
        self.missing = {folder.path for folder in found if not folder.is_there}
        self.unpermitted = {folder.path for folder in found if not folder.is_permitted}
        self.without_pacs = {folder.path for folder in found if not folder.has_pacs}
        self._deleted = {folder.path for folder in found if folder.is_deleted}

    def are_deleted(self, directory: str) -> bool:
        """Tell whether CUBE deletes a directory, or one above it."""
        return bool(self._deleted) and not self._deleted.isdisjoint(_with_parents(directory))


class _End(NamedTuple):
    """A series that ended, and what its row says; None when none of its files is there to tell."""

    value: SeriesValue
    columns: SharedColumns | None


class FoldersRegistrar:
    """Writes the tables. It remembers which columns they have, and nothing else."""

    def __init__(self, statements: Statements) -> None:
        self._statements = statements

    def register(self, connection: Connection, batch: RowBatch) -> Written:
        """Insert a batch. What was written can be taken after the transaction.

        Of the values only those that end a series are written, as the row of that series. Two answers are waited for:
        what the look found, and which files are new.
        """
        connection.execute(PLAN_ONCE, prepare=True)
        ends = _ends_of(batch)
        directories = {_above(file.fname) for file in batch.files} | {end.value.series.directory for end in ends}
        folders = self._look(connection, directories)
        held = {file.fname for file in batch.files if folders.are_deleted(_above(file.fname))}
        held |= {end.value.file.fname for end in ends if folders.are_deleted(end.value.series.directory)}
        files = [file for file in batch.files if file.fname not in held]
        ends = [end for end in ends if end.value.file.fname not in held]
        self._add_folders(connection, folders, {_above(file.fname) for file in files})
        self._add_pacs(connection, folders, {*map(_pacs_of_file, files), *map(_pacs_of_end, ends)})
        added = self._add_files(connection, files) if files else []
        return Written(len(files) + len(ends), added, self._add_series(connection, ends), held)

    def _look(self, connection: Connection, directories: Set[str]) -> _Folders:
        paths = {path for directory in directories for path in _with_parents(directory)}
        found = connection.execute(self._statements.look, [list(paths)], prepare=True) if paths else ()
        return _Folders([_Folder(*row) for row in found])

    def _add_folders(self, connection: Connection, folders: _Folders, directories: Set[str]) -> None:
        """Insert what lacks of `directories` and all above them, and of their permissions."""
        wanted = {path for directory in directories for path in _with_parents(directory)}
        for level in _levels(folders.missing & wanted):
            connection.execute(self._statements.add_folders, [level, list(map(_above, level))], prepare=True)
        unpermitted = list(folders.unpermitted & wanted)
        if unpermitted and self._statements.add_group:
            connection.execute(self._statements.add_group, prepare=True)
        if unpermitted:
            connection.execute(self._statements.permit_folders, [unpermitted], prepare=True)

    def _add_pacs(self, connection: Connection, folders: _Folders, pacs: Set[tuple[str, str]]) -> None:
        """Insert those of `pacs`, by identifier and directory, whose directory has none."""
        lacking = [(identifier, path) for identifier, path in pacs if path in folders.without_pacs]
        if lacking:
            arrays = [list(column) for column in zip(*lacking, strict=True)]
            connection.execute(self._statements.add_pacs, arrays, prepare=True)

    def _add_files(self, connection: Connection, files: Sequence[PacsFile]) -> list[str]:
        """Insert files and their permissions; return the names of those that are new. Their directories are there."""
        names = [file.fname for file in files]
        numbers: dict[str, int] = {}
        directories = [numbers.setdefault(_above(name), len(numbers) + 1) for name in names]  # counted as by ORDINALITY
        parameters = [list(numbers), names, directories]
        added = [name for (name,) in connection.execute(self._statements.add_files, parameters, prepare=True)]
        if len(added) < len(names):
            connection.execute(self._statements.permit_files, [list(set(names).difference(added))], prepare=True)
        return added

    def _add_series(self, connection: Connection, ends: Sequence[_End]) -> Iterator[SeriesWritten]:
        """Insert series, and see what became of each: it may be another one that has its UID or its directory."""
        rows = [_row_of(end.value, end.columns) for end in ends if end.columns]
        undescribed = [end.value for end in ends if end.columns is None]
        if not rows:
            return _series_written((), (), undescribed)
        arrays = {name: [row[name] for row in rows] for name in rows[0]}
        added = connection.execute(self._statements.add_series, arrays, prepare=True)
        judged = connection.execute(self._statements.judge_series, arrays, prepare=True)
        return _series_written(added, judged, undescribed)


def _ends_of(batch: RowBatch) -> list[_End]:
    """Describe each series that ends: as it was noted, by a file of the batch, or by one that is stored."""
    ends = [value for value in batch.values if value.ends_series]
    in_batch = {file.series: file.columns for file in batch.files} if ends else {}
    return [_End(end, end.columns or in_batch.get(end.series) or _described(end, batch)) for end in ends]


def _described(end: SeriesValue, batch: RowBatch) -> SharedColumns | None:
    try:
        return batch.describe(end.series)
    except OSError as error:
        if error.errno in OUR_TROUBLE:
            raise
        raise RowRefusedError(f"none of the files of its series can be read ({error.strerror})") from error


def _row_of(value: SeriesValue, columns: SharedColumns) -> dict[str, Any]:
    """Return what the statements want, by the names that they have for it: those of the columns, and three more."""
    directory = value.series.directory
    return {
        **msgspec.structs.asdict(columns),
        "name": value.file.fname,
        "directory": directory,
        "pacs_directory": pacs_directory(directory),
    }


def _series_written(
    added: Iterable[tuple[int, str]], judged: Iterable[tuple[Any, ...]], undescribed: Sequence[SeriesValue]
) -> Iterator[SeriesWritten]:
    """Yield what became of each series: only when the transaction is over."""
    new = set(added)
    for name, folder, oddity, identifier, uid in judged:
        yield SeriesWritten(name, (folder, uid) in new, Oddity[oddity] if oddity else None, identifier, uid)
    for value in undescribed:
        series = value.series
        yield SeriesWritten(
            value.file.fname, False, Oddity.UNDESCRIBED, series.calling_ae_title, series.series_instance_uid
        )


def _pacs_of_file(file: PacsFile) -> tuple[str, str]:
    return file.columns.pacs_identifier, pacs_directory(file.fname)


def _pacs_of_end(end: _End) -> tuple[str, str]:
    """Of a series whose PACS was deleted since its files were registered."""
    return end.value.series.calling_ae_title, pacs_directory(end.value.series.directory)


def _above(path: str) -> str:
    return path.rpartition("/")[0]


def _with_parents(directory: str) -> Iterator[str]:
    """Yield a directory and all above it, but for SERVICES/PACS itself, which is CUBE's."""
    while len(directory) > len(PACS_ROOT):
        yield directory
        directory = _above(directory)


def _levels(paths: Iterable[str]) -> Iterator[list[str]]:
    """Yield paths by their depth, the parents first."""
    by_depth: dict[int, list[str]] = {}
    for path in paths:
        by_depth.setdefault(path.count("/"), []).append(path)
    for depth in sorted(by_depth):
        yield by_depth[depth]
