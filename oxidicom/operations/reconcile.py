"""`oxidicom reconcile`: compares the files below SERVICES/PACS with the rows of the database, and registers what lacks.

One pass over both, in the same order, tells what differs; memory does not grow with their number. As a gateway may go
on meanwhile, what differs is judged again: what is being worked on is no difference. Rows are never deleted.

For files the spools are walked twice in all, however much differs. Each time they are walked first, and the database
is asked then: what has left a spool unseen has its row by that time. And twice, since what moves from one gateway to
another during a walk can be missed by it. Series come after the files, in `series_without_rows.py`.
"""

import errno
import itertools
import os
import stat
from collections.abc import Callable, Iterator, Sequence

from rich.console import Console
from rich.progress import BarColumn, Progress, TextColumn, TimeElapsedColumn

from oxidicom.cube.database import Database
from oxidicom.errors import OperationError
from oxidicom.operations.consent import Wish, require_consent
from oxidicom.operations.database import database_of
from oxidicom.operations.differences import Difference, DifferenceKind, DifferencesFile, compare
from oxidicom.operations.reconcile_report import (
    ROW_REGISTERED,
    JsonReport,
    Outcome,
    Report,
    TextReport,
    Totals,
    compared,
)
from oxidicom.operations.repair import NoRowError, Repair, dicom_row, is_metadata, metadata_file_value
from oxidicom.operations.series_without_rows import SeriesWithoutRows
from oxidicom.operations.work import Work
from oxidicom.paths.final_path import METADATA_ROOT, PACS_ROOT
from oxidicom.records import PacsFile, SeriesValue
from oxidicom.settings import Settings
from oxidicom.tree.walk import walk_files

_METADATA = f"{METADATA_ROOT}/".encode()
_PAGE = 5000
"""Names that are read from the database at a time."""
_BATCH = 500
"""Differences that are judged and registered at a time."""
_TICK = 1000
"""Files between two movements of the progress bar."""
_NO_FILE = (errno.ENOENT, errno.ENOTDIR, errno.ENAMETOOLONG, errno.ELOOP)


def run_reconcile(settings: Settings, wish: Wish, as_json: bool, console: Console) -> int:
    """Compare, register what lacks if wanted, report. Return the exit status: 1 when anything differs at the end.

    Raise OperationError, DatabaseUnavailableError or OSError.
    """
    top = os.path.join(settings.files_root, PACS_ROOT)
    if not os.path.isdir(top):
        raise OperationError(f"{top} is not a directory: mount CUBE's storage there, or set CHRIS_FILES_ROOT")
    report: Report = JsonReport() if as_json else TextReport(console)
    with database_of(settings) as database:
        reconciliation = Reconciliation(settings.files_root, database)
        for outcome in reconciliation.run(wish):
            report.add(outcome)
    report.end(reconciliation.totals)
    return 1 if reconciliation.totals.left else 0


class Reconciliation:
    """One comparison of storage and database."""

    def __init__(self, files_root: str, database: Database) -> None:
        self._files_root = files_root
        self._database = database
        self._traits = database.traits()
        self.totals = Totals()

    def run(self, wish: Wish) -> Iterator[Outcome]:
        """Yield everything that differs, and what became of it.

        Raise OperationError, DatabaseUnavailableError or OSError.
        """
        with (
            DifferencesFile() as found,
            DifferencesFile() as left,
            Work(self._files_root) as work,
            Repair(self._files_root, self._database) as repair,
        ):
            self._compare(found)
            for one in self._judged(found, work):
                left.add(one)
            differing = self._judged(left, work)
            register = wish.register and self._may_register(left, wish)
            if register:
                yield from self._register_all(differing, wish, repair)
            else:
                yield from map(self._outcome, differing)
            if self._traits.registers_series:
                series = SeriesWithoutRows(self._files_root, self._database, work, repair)
                for directory, outcome in series.run(register):
                    yield self._outcome(Difference(DifferenceKind.SERIES_WITHOUT_ROW, directory.encode()), outcome)

    def _may_register(self, left: DifferencesFile, wish: Wish) -> bool:
        """Where people delete series, a file without a row may be one that was deleted: it is asked about."""
        count = left.count(DifferenceKind.FILE_WITHOUT_ROW)
        return not self._traits.people_delete_series or wish.since is not None or not count or require_consent(count)

    def _compare(self, found: DifferencesFile) -> None:
        with _progress() as progress:
            task = progress.add_task("", total=self._database.count_below(PACS_ROOT) or None)

            def tick() -> None:
                progress.update(task, completed=self.totals.rows, description=compared(self.totals))

            for difference in compare(self._files(tick), self._rows()):
                found.add(difference)
            tick()

    def _files(self, tick: Callable[[], None]) -> Iterator[bytes]:
        for path in walk_files(self._files_root, PACS_ROOT):
            if path.startswith(_METADATA) and not self._traits.registers_metadata:
                continue
            self.totals.files += 1
            if self.totals.files % _TICK == 0:
                tick()
            yield path

    def _rows(self) -> Iterator[bytes]:
        last = ""
        while page := self._database.names_below(PACS_ROOT, last, _PAGE):
            for name in page:
                self.totals.rows += 1
                yield name.encode()
            last = page[-1]

    def _judged(self, differences: DifferencesFile, work: Work) -> Iterator[Difference]:
        """Yield those that still differ, and are not being worked on, after one look at the spools."""
        if differences:
            work.look()
        for batch in differences.batches(_BATCH):
            rows = [one for one in batch if one.kind is DifferenceKind.ROW_WITHOUT_FILE and not self._has_file(one)]
            files = [one for one in batch if one.kind is DifferenceKind.FILE_WITHOUT_ROW and self._is_file(one)]
            in_work = work.among([one.name for one in files if one.name])
            known = self._database.known([one.name for one in (*rows, *files) if one.name])
            without_row = [one for one in files if one.name not in known]
            self.totals.files_in_spool += sum(one.name in in_work for one in without_row)
            yield from (one for one in without_row if one.name not in in_work)
            yield from (one for one in rows if one.name in known)

    def _is_file(self, one: Difference) -> bool:
        try:
            return stat.S_ISREG(os.lstat(self._full(one)).st_mode)
        except FileNotFoundError:
            return False

    def _has_file(self, one: Difference) -> bool:
        """Tell whether CUBE finds a file there; it follows links."""
        try:
            return stat.S_ISREG(os.stat(self._full(one)).st_mode)
        except OSError as error:
            if error.errno in _NO_FILE:
                return False
            raise

    def _full(self, one: Difference) -> bytes:
        return os.path.join(os.fsencode(self._files_root), one.path)

    def _register_all(self, differing: Iterator[Difference], wish: Wish, repair: Repair) -> Iterator[Outcome]:
        """Register all DICOM files, then all metadata."""
        with DifferencesFile() as metadata:
            while batch := list(itertools.islice(differing, _BATCH)):
                for one in filter(_is_metadata, batch):
                    metadata.add(one)
                yield from self._register([one for one in batch if not _is_metadata(one)], wish, repair)
            for batch in metadata.batches(_BATCH):
                yield from self._register(batch, wish, repair)

    def _register(self, batch: Sequence[Difference], wish: Wish, repair: Repair) -> Iterator[Outcome]:
        files: list[PacsFile] = []
        values: list[SeriesValue] = []
        outcomes = dict.fromkeys(batch, "")
        by_name = {one.name: one for one in batch}
        for one in batch:
            if one.kind is DifferenceKind.FILE_WITHOUT_ROW:
                try:
                    row = self._row_of(one, wish)
                    if isinstance(row, SeriesValue):
                        values.append(row)
                    else:
                        files.append(row)
                    outcomes[one] = ROW_REGISTERED
                except NoRowError as error:
                    outcomes[one] = str(error)
        for name, reason in repair.register(files, values):
            outcomes[by_name[name]] = reason
        for one, outcome in outcomes.items():
            yield self._outcome(one, outcome)

    def _row_of(self, one: Difference, wish: Wish) -> PacsFile | SeriesValue:
        if one.name is None:
            raise NoRowError("its name is not valid text")
        if not self._is_wanted(one, wish):
            raise NoRowError("it was received before --since")
        if _is_metadata(one):
            return metadata_file_value(self._files_root, one.name, self._database)
        return dicom_row(self._files_root, one.name)

    def _is_wanted(self, one: Difference, wish: Wish) -> bool:
        try:
            return wish.covers(self._full(one))
        except FileNotFoundError:
            raise NoRowError("it was deleted meanwhile") from None

    def _outcome(self, one: Difference, outcome: str = "") -> Outcome:
        found = Outcome(one.kind, one.path.decode("utf-8", "backslashreplace"), outcome)
        self.totals.add(found)
        return found


def _is_metadata(one: Difference) -> bool:
    return one.kind is DifferenceKind.FILE_WITHOUT_ROW and one.name is not None and is_metadata(one.name)


def _progress() -> Progress:
    """Return a progress bar, which shows itself on a terminal only."""
    console = Console(stderr=True)
    columns = (TextColumn("comparing"), BarColumn(), TextColumn("{task.description}"), TimeElapsedColumn())
    return Progress(*columns, console=console, transient=True, disable=not console.is_terminal)
