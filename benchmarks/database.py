"""The database of the gateway under test: the embedded PostgreSQL, started apart so that its cost is told apart.

Every measurement gets a database of its own, with the tables of the generation that it wants, copied from a template
with as many rows as the workload wants.
"""

import contextlib
import os
import uuid
from collections.abc import Iterator
from dataclasses import dataclass, field
from types import TracebackType
from typing import Any, Self
from urllib.parse import quote

import psycopg
from psycopg import sql

from benchmarks.prefill import prefill
from oxidicom.embedded.schema import DATABASES, Schema, statements_of
from oxidicom.embedded.server import EmbeddedPostgres


@dataclass
class FreshDatabase:
    """One database, for one measurement."""

    conninfo: str
    connection: psycopg.Connection[Any]
    """In autocommit mode; for before and after the load."""
    schema: Schema = "flat"
    _wal_begin: int = field(default=0, init=False)

    @property
    def url(self) -> str:
        """The connection string as a URL with the password, which every client library understands."""
        info = self.connection.info
        return f"postgresql://{info.user}:{quote(info.password, safe='')}@{info.host}:{info.port}/{info.dbname}"

    def begin(self) -> None:
        """Begin to count, right behind a checkpoint: none will fall into a short load by chance."""
        self.connection.execute("CHECKPOINT")
        self._wal_begin = self._wal_bytes()

    def wal_bytes(self) -> int:
        """Return how much of the write-ahead log was written since `begin`."""
        return self._wal_bytes() - self._wal_begin

    def _wal_bytes(self) -> int:
        row = self.connection.execute("SELECT pg_wal_lsn_diff(pg_current_wal_insert_lsn(), '0/0')::bigint").fetchone()
        return int(row[0]) if row else 0


class DatabaseServer:
    """One PostgreSQL for the whole run. Entering starts it, leaving stops it."""

    def __init__(self, directory: str) -> None:
        """`directory` is to be on the filesystem of everything else, and every user must be able to pass it."""
        self._postgres = EmbeddedPostgres(os.path.join(directory, "postgres"))
        self._templates: dict[tuple[Schema, int], str] = {("flat", 0): DATABASES["flat"]}

    def __enter__(self) -> Self:
        self._postgres.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._postgres.stop()

    @property
    def pid(self) -> int:
        """The process that all others of the server descend from."""
        pid = self._postgres.postmaster_pid
        if pid is None:
            raise RuntimeError("PostgreSQL does not run")
        return pid

    @contextlib.contextmanager
    def fresh(self, prefilled_rows: int = 0, schema: Schema = "flat") -> Iterator[FreshDatabase]:
        """Make a database with so many rows of files, and drop it at the end."""
        template = self._template_with(schema, prefilled_rows)
        name = f"b{uuid.uuid4().hex}"
        self._administer(
            sql.SQL("CREATE DATABASE {} TEMPLATE {} STRATEGY FILE_COPY").format(
                sql.Identifier(name), sql.Identifier(template)
            )
        )
        try:
            with psycopg.connect(self._postgres.conninfo_for(name), autocommit=True) as connection:
                yield FreshDatabase(self._postgres.conninfo_for(name), connection, schema)
        finally:
            self._administer(sql.SQL("DROP DATABASE {} WITH (FORCE)").format(sql.Identifier(name)))

    def _template_with(self, schema: Schema, rows: int) -> str:
        if (schema, rows) not in self._templates:
            name = f"{schema}_{rows}"
            self._administer(sql.SQL("CREATE DATABASE {}").format(sql.Identifier(name)))
            with psycopg.connect(self._postgres.conninfo_for(name), autocommit=True) as connection:
                for statements in statements_of(schema):
                    connection.execute(statements.encode())
                if rows:
                    prefill(connection, schema, rows)
            self._templates[schema, rows] = name
        return self._templates[schema, rows]

    def _administer(self, statement: sql.Composed) -> None:
        with psycopg.connect(self._postgres.conninfo_for("postgres"), autocommit=True) as connection:
            connection.execute(statement)
