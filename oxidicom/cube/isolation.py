"""Isolating the rows that the database refuses, so that everything else of their batch is registered."""

from collections.abc import Sequence

import msgspec

from oxidicom.cube.database import Database, Registered
from oxidicom.errors import RowRefusedError
from oxidicom.records import PacsFile


class Isolated(msgspec.Struct):
    """What became of a batch."""

    new: list[str] = []
    known: int = 0
    refused: list[tuple[PacsFile, RowRefusedError]] = []


def register_isolating(database: Database, files: Sequence[PacsFile], metadata: Sequence[PacsFile]) -> Isolated:
    """Register a batch; when a row is refused, bisect until it stands alone and register the rest.

    Metadata comes after all DICOM rows are committed or refused. Raise DatabaseUnavailableError: then the whole batch
    is to be registered again, which adds nothing twice.
    """
    outcome = Isolated()
    try:
        _count(outcome, database.register(files, metadata))
    except RowRefusedError:
        _bisect(database, files, outcome)
        for row in metadata:
            _bisect(database, [row], outcome)
    return outcome


def _bisect(database: Database, files: Sequence[PacsFile], outcome: Isolated) -> None:
    if not files:
        return
    try:
        _count(outcome, database.register(files))
    except RowRefusedError as error:
        if len(files) == 1:
            outcome.refused.append((files[0], error))
            return
        middle = len(files) // 2
        _bisect(database, files[:middle], outcome)
        _bisect(database, files[middle:], outcome)


def _count(outcome: Isolated, registered: Registered) -> None:
    outcome.new += registered.new
    outcome.known += registered.known
