"""Isolating the rows that cannot be registered, so that everything else of their batch is."""

import dataclasses
from collections.abc import Sequence

from oxidicom.cube.database import Database, Registered
from oxidicom.cube.rows import SeriesWritten
from oxidicom.errors import DatabaseUnavailableError, FilesGoneError, RowRefusedError
from oxidicom.records import PacsFile, SeriesValue


@dataclasses.dataclass
class Isolated:
    """What became of a batch."""

    new: list[str] = dataclasses.field(default_factory=list)
    known: int = 0
    refused: list[tuple[PacsFile, RowRefusedError]] = dataclasses.field(default_factory=list)
    failed: list[tuple[PacsFile, Exception]] = dataclasses.field(default_factory=list)
    """Rows that met a bug, of ours or of the client library. It is theirs alone: the others went through."""
    postponed: list[PacsFile] = dataclasses.field(default_factory=list)
    """Values of series that were not tried: they come after the rows of their series, and one of these failed."""
    held: set[str] = dataclasses.field(default_factory=set)
    """Names of rows that cannot be registered yet, since CUBE deletes what they belong to."""
    odd_series: list[SeriesWritten] = dataclasses.field(default_factory=list)


def register_isolating(database: Database, files: Sequence[PacsFile], values: Sequence[SeriesValue]) -> Isolated:
    """Register a batch; when a row cannot be, bisect until it stands alone and register the rest.

    Values of series come after all DICOM rows are committed or refused. Raise DatabaseUnavailableError: then the whole
    batch is to be registered again, which adds nothing twice; or FilesGoneError: then all but those of these files.
    """
    outcome = Isolated()
    try:
        _count(outcome, database.register(files, values))
    except (DatabaseUnavailableError, FilesGoneError):
        raise
    except Exception:  # noqa: BLE001 (whatever a row does, it is found by bisection, and told with that row)
        _bisect(database, files, outcome)
        for value in values:
            if any(failed.columns.identity == value.series.identity for failed, _ in outcome.failed):
                outcome.postponed.append(value.file)
            elif any(name.startswith(f"{value.series.directory}/") for name in outcome.held):
                outcome.held.add(value.file.fname)
            else:
                _register_alone(database, value, outcome)
    return outcome


def _bisect(database: Database, files: Sequence[PacsFile], outcome: Isolated) -> None:
    if not files:
        return
    try:
        _count(outcome, database.register(files))
    except (DatabaseUnavailableError, FilesGoneError):
        raise
    except Exception as error:  # noqa: BLE001 (told with the row that raises it alone)
        if len(files) == 1:
            _tell(outcome, files[0], error)
            return
        middle = len(files) // 2
        _bisect(database, files[:middle], outcome)
        _bisect(database, files[middle:], outcome)


def _register_alone(database: Database, value: SeriesValue, outcome: Isolated) -> None:
    try:
        _count(outcome, database.register([], [value]))
    except (DatabaseUnavailableError, FilesGoneError):
        raise
    except Exception as error:  # noqa: BLE001 (told with the value that raises it)
        _tell(outcome, value.file, error)


def _tell(outcome: Isolated, file: PacsFile, error: Exception) -> None:
    if isinstance(error, RowRefusedError):
        outcome.refused.append((file, error))
    else:
        outcome.failed.append((file, error))


def _count(outcome: Isolated, registered: Registered) -> None:
    outcome.new += registered.new
    outcome.known += registered.known
    outcome.held |= registered.held
    outcome.odd_series += registered.odd_series
