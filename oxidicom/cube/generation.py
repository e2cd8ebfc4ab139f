"""A generation of CUBE's schema: how its rows are written and found, and what its errors mean.

Each generation is a class that has all of this; `GENERATIONS` lists them. Which one a database has, and with which
columns, is found anew for each connection, since CUBE may be migrating.
"""

from collections.abc import Collection, Sequence
from typing import Protocol, Self

import psycopg

from oxidicom.cube.connections import Connection
from oxidicom.cube.flat import Flat
from oxidicom.cube.folders import Folders
from oxidicom.cube.rights import Right
from oxidicom.cube.rows import RowBatch, SeriesKey, Written
from oxidicom.cube.traits import Traits
from oxidicom.errors import DatabaseUnavailableError, NotMigratedError
from oxidicom.records import SeriesIdentity


class Registrar(Protocol):
    """Writes rows inside the transaction of its caller.

    It remembers nothing of the database but which columns it has. What it takes for granted, its statements check.
    """

    def register(self, connection: Connection, batch: RowBatch) -> Written:
        """Insert a batch, once in a transaction; any of its rows may be there already. Raise psycopg.Error.

        The connection may be in pipeline mode.
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

    def registered_series(self, connection: Connection, series: Sequence[SeriesKey]) -> set[SeriesKey]:
        """Return those of `series` that have a row of their own."""

    def directories_without_series(self, connection: Connection, directory: str, after: str, limit: int) -> list[str]:
        """Return up to `limit` directories below `directory` after `after` that have files and should have a series.

        In the order of their bytes.
        """


class Generation(Protocol):
    """One generation, with the columns that one database has."""

    @property
    def traits(self) -> Traits:
        """What is different in it to whoever uses the database."""

    @property
    def references(self) -> Collection[str]:
        """Columns that name another row. They are empty if that row is missing; it may exist the next time."""

    @property
    def rights(self) -> Sequence[Right]:
        """What the user of the gateway needs."""

    @property
    def useful_rights(self) -> Sequence[Right]:
        """What it had better have too."""

    @property
    def registrar(self) -> Registrar: ...

    @property
    def reader(self) -> Reader: ...

    @classmethod
    def detect(cls, connection: Connection) -> Self | None:
        """Return the generation if these are the tables that `connection` sees.

        Raise NotMigratedError when CUBE has not filled them yet, DatabaseUnavailableError when our user may not look.
        """

    def meaning_of(self, error: psycopg.Error) -> str | None:
        """Say what an error means in these tables, without its values; None when it means the same everywhere."""


GENERATIONS: tuple[type[Generation], ...] = (Flat, Folders)

_HAS_FILES = "SELECT to_regclass('pacsfiles_pacsfile') IS NOT NULL"


def generation_of(connection: Connection) -> Generation:
    """Return the generation of the schema that `connection` sees.

    Raise NotMigratedError when there are no tables, or CUBE has not filled them; DatabaseUnavailableError when no
    generation that is known has them.
    """
    for generation in GENERATIONS:
        if found := generation.detect(connection):
            return found
    if connection.execute(_HAS_FILES).fetchone() != (True,):
        raise NotMigratedError(
            "it has no tables for PACS files; CUBE may still be migrating, or this is another database, "
            "or the gateway's user may not see them"
        )
    raise DatabaseUnavailableError("its table of PACS files is not that of CUBE 3.5 to 5.2")
