"""How rows are written and found: an interface, and its implementation for each generation of the schema."""

from collections.abc import Iterable, Sequence
from typing import Protocol

from oxidicom.cube.connections import Connection
from oxidicom.cube.flat import FlatRegistrar
from oxidicom.errors import DatabaseUnavailableError, NotMigratedError
from oxidicom.records import PacsFile, SeriesIdentity


class Registrar(Protocol):
    """Writes and finds rows inside the transaction of its caller.

    It remembers nothing of the database. What it takes for granted, the generation itself, its statements check.
    """

    generation: str

    def insert(
        self, connection: Connection, files: Sequence[PacsFile], metadata: Sequence[PacsFile]
    ) -> Sequence[Iterable[tuple[str]]]:
        """Insert `files`, then `metadata` in its order, of which any may be there already. Raise psycopg.Error.

        What is returned holds the names of the new ones when the transaction is over, not before: the connection may
        be in pipeline mode. A row that is not among them is there.
        """

    def any_file(self, connection: Connection) -> bool:
        """Tell whether there is any row of a file."""

    def names_below(self, connection: Connection, directory: str, after: str, most: int) -> list[str]:
        """Return up to `most` names below `directory` that come after `after`, in the order of their bytes."""

    def count_below(self, connection: Connection, directory: str) -> int:
        """Return the number of names below `directory`."""

    def known(self, connection: Connection, names: Sequence[str]) -> set[str]:
        """Return those of `names` that are registered."""

    def series_below(self, connection: Connection, directory: str) -> list[SeriesIdentity]:
        """Return the different series that have names below `directory`; no more than two of them."""


# The catalog itself, for information_schema hides what a user has no rights to: that is another fault than no table.
_GENERATION = """
SELECT to_regclass('pacsfiles_pacsfile') IS NOT NULL,
       to_regclass('pacsfiles_pacsseries') IS NOT NULL,
       EXISTS (SELECT FROM pg_attribute
               WHERE attrelid = to_regclass('pacsfiles_pacsfile') AND attname = 'PatientID' AND NOT attisdropped)
"""


def registrar_for(connection: Connection) -> Registrar:
    """Return the registrar for the schema that `connection` sees.

    Raise NotMigratedError when there are no tables, DatabaseUnavailableError when they are those of another generation.
    """
    has_table, has_folders, is_flat = connection.execute(_GENERATION).fetchone() or (False, False, False)
    if has_folders:
        raise DatabaseUnavailableError(
            "its schema is that of CUBE 6 or later (folders), which this version cannot write yet"
        )
    if not has_table:
        raise NotMigratedError(
            "it has no tables for PACS files; CUBE may still be migrating, or this is another database, "
            "or its user may not see them"
        )
    if not is_flat:
        raise DatabaseUnavailableError("its table of PACS files is not that of CUBE 3.5 to 5.2")
    return FlatRegistrar()
