"""A generation of CUBE's schema: how its rows are written and found, and what its errors mean.

Each generation is one file with a class that has all of this; `GENERATIONS` lists them. Which one a database has is
found anew for each connection, since CUBE may be migrating.
"""

from collections.abc import Iterable, Mapping, Sequence
from typing import Protocol

import psycopg

from oxidicom.cube.connections import Connection
from oxidicom.cube.flat import Flat
from oxidicom.cube.rows import RowBatch
from oxidicom.errors import DatabaseUnavailableError, NotMigratedError
from oxidicom.records import SeriesIdentity


class Registrar(Protocol):
    """Writes rows inside the transaction of its caller.

    It remembers nothing of the database. What it takes for granted, the generation itself, its statements check.
    """

    def register(self, connection: Connection, batch: RowBatch) -> Sequence[Iterable[tuple[str]]]:
        """Insert a batch, once in a transaction; any of its rows may be there already. Raise psycopg.Error.

        What is returned holds the names of the new ones when the transaction is over, not before: the connection may
        be in pipeline mode. A row that is not among them is there.
        """


class Reader(Protocol):
    """Finds rows inside the transaction of its caller."""

    def any_file(self, connection: Connection) -> bool:
        """Tell whether there is any row of a file."""

    def names_below(self, connection: Connection, directory: str, after: str, limit: int) -> list[str]:
        """Return up to `limit` names below `directory` that come after `after`, in the order of their bytes."""

    def count_below(self, connection: Connection, directory: str) -> int:
        """Return the number of names below `directory`."""

    def known(self, connection: Connection, names: Sequence[str]) -> set[str]:
        """Return those of `names` that are registered."""

    def series_below(self, connection: Connection, directory: str) -> list[SeriesIdentity]:
        """Return the different series that have names below `directory`; no more than two of them."""


class Generation(Protocol):
    """One generation."""

    @property
    def name(self) -> str:
        """What it is called in `oxidicom status`."""

    @property
    def grants(self) -> Mapping[str, str]:
        """What the user of the gateway needs: privileges by what they are on, in the words of GRANT."""

    @property
    def registrar(self) -> Registrar: ...

    @property
    def reader(self) -> Reader: ...

    def detect(self, connection: Connection) -> bool:
        """Tell whether these are the tables that `connection` sees."""

    def meaning_of(self, error: psycopg.Error) -> str | None:
        """Say what an error means in these tables, without its values; None when it means the same everywhere."""


GENERATIONS: tuple[Generation, ...] = (Flat(),)


# The catalog itself, for information_schema hides what a user has no rights to: that is another fault than no table.
_TABLES = "SELECT to_regclass('pacsfiles_pacsfile') IS NOT NULL, to_regclass('pacsfiles_pacsseries') IS NOT NULL"


def generation_of(connection: Connection) -> Generation:
    """Return the generation of the schema that `connection` sees.

    Raise NotMigratedError when there are no tables, DatabaseUnavailableError when no generation that is known has them.
    """
    for generation in GENERATIONS:
        if generation.detect(connection):
            return generation
    has_files, has_folders = connection.execute(_TABLES).fetchone() or (False, False)
    if has_folders:
        raise DatabaseUnavailableError(
            "its schema is that of CUBE 6 or later (folders), which this version cannot write yet"
        )
    if not has_files:
        raise NotMigratedError(
            "it has no tables for PACS files; CUBE may still be migrating, or this is another database, "
            "or its user may not see them"
        )
    raise DatabaseUnavailableError("its table of PACS files is not that of CUBE 3.5 to 5.2")
