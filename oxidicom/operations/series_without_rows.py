"""Series whose files are registered while they are not: told, and registered, in the tables of CUBE 6 and 7.

CUBE's clients take the row of a series for the promise that all of it is there. So a series that is being received is
no difference, and none is registered while a DICOM file in its directory has no row.

The database is asked first, the spools are looked at then, and the database has the last word: an association that
brought files to a directory by the first question stands in a spool, or has ended and left the row of its series. One
that begins later adds to a series which lacked its row already.
"""

import itertools
import os
from collections.abc import Iterable, Iterator, Sequence

from oxidicom.cube.database import Database
from oxidicom.cube.rows import SeriesKey
from oxidicom.operations.reconcile_report import ROW_REGISTERED
from oxidicom.operations.repair import NoRowError, Repair, may_need_row, series_end
from oxidicom.operations.work import Work
from oxidicom.paths.final_path import PACS_ROOT, pacs_directory
from oxidicom.records import SeriesValue

_PAGE = 5000
"""Directories that are read from the database at a time. The spools are walked for each page."""
_BATCH = 500
"""Series that are registered at a time."""
_NAMES = 5000
"""Names that the database is asked for at a time."""
_INCOMPLETE = "a file in its directory has no row: the series is registered when all of its files are"


class SeriesWithoutRows:
    """The series of one comparison."""

    def __init__(self, files_root: str, database: Database, work: Work, repair: Repair) -> None:
        self._files_root = files_root
        self._database = database
        self._work = work
        self._repair = repair

    def run(self, register: bool) -> Iterator[tuple[str, str]]:
        """Yield the directory of each, and what became of it: ROW_REGISTERED, or why not; '' unless `register`.

        Raise DatabaseUnavailableError or OSError.
        """
        last = ""
        while page := self._database.directories_without_series(PACS_ROOT, last, _PAGE):
            last = page[-1]
            resting = iter(self._resting(page))
            while batch := list(itertools.islice(resting, _BATCH)):
                yield from self._judge(batch, register)

    def _resting(self, directories: Sequence[str]) -> Sequence[str]:
        """Return those that nothing is being received into.

        It is looked twice: what moves from one gateway to another during a walk can be missed by it.
        """
        for _ in range(2):
            if directories:
                self._work.look()
                in_work = self._work.among(directories)
                directories = [one for one in directories if one not in in_work]
        return directories

    def _judge(self, directories: Sequence[str], register: bool) -> Iterator[tuple[str, str]]:
        ends, outcomes = self._ends_of(directories)
        if register:
            outcomes |= self._register(ends)
        else:
            outcomes = dict.fromkeys([*outcomes, *(end.series.directory for end in ends)], "")
        yield from sorted(outcomes.items())

    def _ends_of(self, directories: Sequence[str]) -> tuple[list[SeriesValue], dict[str, str]]:
        """Return what ends the series of directories, and which of these do not tell it, with the reason."""
        ends: dict[SeriesKey, SeriesValue] = {}
        untold: dict[str, str] = {}
        for directory in directories:
            try:
                end = series_end(self._files_root, directory)
            except NoRowError as error:
                untold[directory] = str(error)
            else:
                ends.setdefault(_key_of(end), end)  # a series that has two directories has one row
        known = self._database.registered_series(list(ends))  # by now, or with another directory
        return [end for key, end in ends.items() if key not in known], untold

    def _register(self, ends: Sequence[SeriesValue]) -> dict[str, str]:
        outcomes = dict.fromkeys([end.series.directory for end in ends], ROW_REGISTERED)
        incomplete = self._incomplete(outcomes)
        complete = [end for end in ends if end.series.directory not in incomplete]
        return outcomes | incomplete | dict(self._repair.register_series(complete))

    def _incomplete(self, directories: Iterable[str]) -> dict[str, str]:
        """Return those in which a DICOM file has no row, with the reason why their series has none either."""
        found: dict[str, str] = {}
        paths = (path for directory in directories for path in self._files_in(directory))
        while part := list(itertools.islice(paths, _NAMES)):
            known = self._database.known([path for path in part if _is_text(path)])
            for path in part:
                directory = os.path.dirname(path)
                if path not in known and directory not in found and may_need_row(self._files_root, path):
                    found[directory] = _INCOMPLETE
        return found

    def _files_in(self, directory: str) -> Sequence[str]:
        try:
            with os.scandir(os.path.join(self._files_root, directory)) as scan:
                return [f"{directory}/{entry.name}" for entry in scan if entry.is_file(follow_symlinks=False)]
        except FileNotFoundError:
            return ()  # CUBE deleted it at this moment


def _key_of(end: SeriesValue) -> SeriesKey:
    series = end.series
    return SeriesKey(pacs_directory(series.directory), series.calling_ae_title, series.series_instance_uid)


def _is_text(path: str) -> bool:
    """Tell whether the database can have a path at all: a file may have a name that is no text."""
    try:
        path.encode()
    except UnicodeEncodeError:
        return False
    return True
