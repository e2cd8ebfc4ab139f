"""The database of the gateway under test: the embedded PostgreSQL, started apart so that its cost is told apart.

Every measurement gets a database of its own, copied from a template with as many rows as the workload wants.
"""

import contextlib
import os
import uuid
from collections.abc import Iterator
from dataclasses import dataclass, field
from types import TracebackType
from typing import Any, Self

import psycopg
from psycopg import sql

from oxidicom.embedded.server import EmbeddedPostgres

_ROWS_PER_SERIES = 500
_EMPTY = "oxidicom"
# Series of many patients, whose ids are spread over the index as in a hospital that has run for years.
_PREFILL = """
INSERT INTO pacsfiles_pacsfile (
    creation_date, fname, pacs_id, "PatientID", "PatientName", "StudyInstanceUID", "StudyDescription",
    "SeriesInstanceUID", "SeriesDescription", "PatientAge", "PatientBirthDate", "PatientSex", "Modality",
    "ProtocolName", "StudyDate", "AccessionNumber")
SELECT now(),
    format('SERVICES/PACS/PREFILL/%%s-Prefilled_Patient-19500101/Thorax_Abdomen_Adult_-%%s-20190102/00002-Abdomen_5.0_B30f-'
        '%%s/%%s-1.2.826.0.1.3680043.8.498.9.%%s.%%s.dcm', patient, accession, left(patient, 7),
        lpad(number::text, 4, '0'), series, number),
    pacs.id, patient, 'Prefilled^Patient', '1.2.826.0.1.3680043.8.498.7.' || series, 'Thorax^Abdomen (Adult)',
    '1.2.826.0.1.3680043.8.498.8.' || series, 'Abdomen  5.0  B30f', 25567, '1950-01-01', 'O', 'CT',
    'ThorAbd', date '2000-01-01' + series %% 7000, accession
FROM (
    SELECT row / %(per_series)s AS series, row %% %(per_series)s + 1 AS number,
        left(md5((row / %(per_series)s)::text), 12) AS patient,
        upper(left(md5('accession' || (row / %(per_series)s)::text), 10)) AS accession
    FROM generate_series(0, %(rows)s - 1) AS row) AS prefilled,
    pacsfiles_pacs AS pacs
WHERE pacs.identifier = 'PREFILL'
"""


@dataclass
class FreshDatabase:
    """One database, for one measurement."""

    conninfo: str
    connection: psycopg.Connection[Any]
    """In autocommit mode; for before and after the load."""
    _wal_begin: int = field(default=0, init=False)

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
        self._templates = {0: _EMPTY}

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
    def fresh(self, prefilled_rows: int = 0) -> Iterator[FreshDatabase]:
        """Make a database with so many rows, and drop it at the end."""
        template = self._template_with(prefilled_rows)
        name = f"b{uuid.uuid4().hex}"
        self._administer(
            sql.SQL("CREATE DATABASE {} TEMPLATE {} STRATEGY FILE_COPY").format(
                sql.Identifier(name), sql.Identifier(template)
            )
        )
        try:
            with psycopg.connect(self._postgres.conninfo_for(name), autocommit=True) as connection:
                yield FreshDatabase(self._postgres.conninfo_for(name), connection)
        finally:
            self._administer(sql.SQL("DROP DATABASE {} WITH (FORCE)").format(sql.Identifier(name)))

    def _template_with(self, rows: int) -> str:
        if rows not in self._templates:
            name = f"prefilled_{rows}"
            self._administer(sql.SQL("CREATE DATABASE {} TEMPLATE {}").format(*map(sql.Identifier, (name, _EMPTY))))
            with psycopg.connect(self._postgres.conninfo_for(name), autocommit=True) as connection:
                connection.execute("INSERT INTO pacsfiles_pacs (identifier) VALUES ('PREFILL')")
                connection.execute(_PREFILL, {"rows": rows, "per_series": _ROWS_PER_SERIES})
                connection.execute("VACUUM (FREEZE, ANALYZE) pacsfiles_pacsfile")
            self._templates[rows] = name
        return self._templates[rows]

    def _administer(self, statement: sql.Composed) -> None:
        with psycopg.connect(self._postgres.conninfo_for("postgres"), autocommit=True) as connection:
            connection.execute(statement)
