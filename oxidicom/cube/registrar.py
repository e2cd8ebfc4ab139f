"""How rows are written and found: an interface, and its implementation for each generation of the schema."""

from collections.abc import Iterable, Sequence
from typing import Any, Protocol

import psycopg

from oxidicom.cube.flat import FlatRegistrar
from oxidicom.errors import DatabaseUnavailableError
from oxidicom.records import PacsFile, SeriesIdentity

Connection = psycopg.Connection[Any]


class Registrar(Protocol):
    """Writes and finds rows inside the transaction of its caller. One for each connection pool: it may keep a cache."""

    generation: str

    def insert(self, connection: Connection, files: Sequence[PacsFile]) -> Iterable[tuple[str]]:
        """Insert `files`, of which any may be there already. Raise psycopg.Error.

        What is returned holds the names of the new ones when the transaction is over, not before: the connection may
        be in pipeline mode.
        """

    def names_below(self, connection: Connection, directory: str, after: str, most: int) -> list[str]:
        """Return up to `most` names below `directory` that come after `after`, in the order of their bytes."""

    def count_below(self, connection: Connection, directory: str) -> int:
        """Return the number of names below `directory`."""

    def known(self, connection: Connection, names: Sequence[str]) -> set[str]:
        """Return those of `names` that are registered."""

    def series_below(self, connection: Connection, directory: str) -> list[SeriesIdentity]:
        """Return the different series that have names below `directory`; no more than two of them."""


_FLAT = """
SELECT EXISTS (SELECT FROM information_schema.columns
               WHERE table_name = 'pacsfiles_pacsfile' AND column_name = 'PatientID'
                 AND table_schema = ANY (current_schemas(false))),
       EXISTS (SELECT FROM information_schema.tables
               WHERE table_name = 'pacsfiles_pacsseries' AND table_schema = ANY (current_schemas(false)))
"""


def registrar_for(connection: Connection) -> Registrar:
    """Return the registrar for the schema that `connection` sees. Raise DatabaseUnavailableError when there is none."""
    flat, folders = connection.execute(_FLAT).fetchone() or (False, False)
    if folders:
        raise DatabaseUnavailableError(
            "its schema is that of CUBE 6 or later (folders), which this version cannot write yet"
        )
    if not flat:
        raise DatabaseUnavailableError(
            "it has no tables for PACS files; CUBE may still be migrating, or this is another database, "
            "or its user may not see them"
        )
    return FlatRegistrar()
