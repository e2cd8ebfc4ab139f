"""The database of a recording, and the same as it was at a moment: each row with the moment of its COMMIT.

PostgreSQL itself keeps that moment (`track_commit_timestamp`), by the clock that strace goes by too. It is noted before
the commit is on the disk, so at no moment a row is missing here that could be there.
"""

import contextlib
import uuid
from collections.abc import Iterator
from typing import NamedTuple

import psycopg
from psycopg import sql

from fuzzing.crash_states.scenario import Schema
from oxidicom.embedded.schema import statements_of
from oxidicom.embedded.server import EmbeddedPostgres

_TABLES: dict[Schema, tuple[str, ...]] = {
    "flat": ("pacsfiles_pacs", "pacsfiles_pacsfile"),
    "folders": (
        "core_chrisfolder",
        "core_foldergrouppermission",
        "core_chrisfile",
        "core_filegrouppermission",
        "pacsfiles_pacs",
        "pacsfiles_pacsseries",
    ),
}
_FILES: dict[Schema, str] = {"flat": "pacsfiles_pacsfile", "folders": "core_chrisfile"}
_FIRST_ID = 1_000_000
"""Of rows that are added to those of a recording."""


class Row(NamedTuple):
    """A row of a recording."""

    table: str
    text: str
    """All of it, as PostgreSQL writes a composite value."""
    fname: str
    """Of a row of a file; else ''."""
    committed_us: int
    """Microseconds since the epoch; 0: it was there before."""


@contextlib.contextmanager
def server(directory: str) -> Iterator[EmbeddedPostgres]:
    """Run a server that keeps the moment of each commit. It waits for no disk: it is not the one that fails."""
    running = EmbeddedPostgres(directory)
    running.start()
    try:
        with psycopg.connect(running.conninfo_for("postgres"), autocommit=True) as connection:
            connection.execute("ALTER SYSTEM SET track_commit_timestamp = on")
            connection.execute("ALTER SYSTEM SET fsync = off")
            connection.execute("ALTER SYSTEM SET synchronous_commit = off")
        running.stop()
        running = EmbeddedPostgres(directory)
        running.start()
        yield running
    finally:
        running.stop()


def make_database(postgres: EmbeddedPostgres, schema: Schema) -> str:
    """Make a database with the tables of a generation of CUBE. Return its connection string."""
    name = f"crash_{uuid.uuid4().hex}"
    with psycopg.connect(postgres.conninfo_for("postgres"), autocommit=True) as connection:
        connection.execute(sql.SQL("CREATE DATABASE {} TEMPLATE template0").format(sql.Identifier(name)))
    conninfo = postgres.conninfo_for(name)
    with psycopg.connect(conninfo, autocommit=True) as connection:
        for statements in statements_of(schema):
            connection.execute(statements.encode())
    return conninfo


def read_rows(conninfo: str, schema: Schema) -> list[Row]:
    """Return all rows, each with the moment of its commit."""
    rows = []
    with psycopg.connect(conninfo) as connection:
        for table in _TABLES[schema]:
            fname = sql.SQL("t.fname" if table == _FILES[schema] else "''")
            query = sql.SQL(
                "SELECT t::text, {}, "
                "coalesce(extract(epoch FROM pg_xact_commit_timestamp(t.xmin)) * 1000000, 0)::bigint FROM {} t"
            ).format(fname, sql.Identifier(table))
            rows += [Row(table, *row) for row in connection.execute(query)]
    return rows


class Tables:
    """A database that is set to one moment after the other."""

    def __init__(self, conninfo: str, schema: Schema) -> None:
        self.conninfo = conninfo
        self.schema = schema
        self._connection = psycopg.connect(conninfo, autocommit=True)
        self._connection.execute("SET session_replication_role = replica")  # references are checked by nobody
        for (name,) in self._connection.execute("SELECT c.oid::regclass::text FROM pg_class c WHERE relkind = 'S'"):
            self._connection.execute("SELECT setval(%s, %s)", [name, _FIRST_ID])

    def set_to(self, rows: list[Row]) -> None:
        """Have these rows and no others."""
        with self._connection.transaction():
            for table in _TABLES[self.schema]:
                name = sql.Identifier(table)
                self._connection.execute(sql.SQL("DELETE FROM {}").format(name))
                texts = [row.text for row in rows if row.table == table]
                self._connection.execute(
                    sql.SQL(
                        "INSERT INTO {0} SELECT (one.r).* FROM (SELECT unnest(%s::text[])::{0} AS r) AS one"
                    ).format(name),
                    [texts],
                )

    def files(self) -> list[str]:
        """Return the names of all files that are registered, in the order of their rows."""
        query = sql.SQL("SELECT fname FROM {} ORDER BY id").format(sql.Identifier(_FILES[self.schema]))
        return [fname for (fname,) in self._connection.execute(query)]

    def series(self) -> list[str]:
        """Return the directories of the series that have a row of their own."""
        if self.schema == "flat":
            return []
        query = "SELECT f.path FROM pacsfiles_pacsseries s JOIN core_chrisfolder f ON f.id = s.folder_id"
        return [path for (path,) in self._connection.execute(query)]

    def close(self) -> None:
        """Close the connection."""
        self._connection.close()
