"""The flat generation of CUBE's schema (CUBE 3.5 to 5.2): one table of PACS, one of files."""

from collections.abc import Sequence
from typing import Any

import psycopg

from oxidicom.cube.connections import Connection
from oxidicom.cube.faults import lacks_reference, lacks_rights, schema_changed, wants_unknown_column
from oxidicom.cube.file_names import FileNames, range_of
from oxidicom.cube.rights import Right, grants
from oxidicom.cube.rows import RowBatch, SeriesKey, Written
from oxidicom.cube.traits import Traits
from oxidicom.records import PacsFile, SeriesIdentity, SharedColumns

# No sequence value is taken for what is there: ids are 32-bit in an older CUBE. Sorted for the same reason as files.
_ADD_PACS = """
INSERT INTO pacsfiles_pacs (identifier)
SELECT wanted FROM unnest(%b::text[]) AS wanted
WHERE NOT EXISTS (SELECT FROM pacsfiles_pacs WHERE identifier = wanted)
ORDER BY wanted COLLATE "C"
ON CONFLICT (identifier) DO NOTHING
"""

# A PACS is named by its identifier, never by an id that was seen before: ids are others after the tables were emptied
# or restored. A LEFT JOIN, so that a PACS which is not there is an error (pacs_id is NULL), and never a row that is
# silently left out: that would count as known, and leave the spool. So it is, too, once the tables of another
# generation have appeared: CUBE is moving the rows to these.
#
# One array for each column, so that the statement is the same for every batch and is prepared once. What rows share is
# sent and parsed once: for 500 rows of a series that halves the CPU of the client and saves a quarter of the server's.
# The binary format, since to quote the values of the other one costs as much again as all the rest.
_ADD_FILES = """
INSERT INTO pacsfiles_pacsfile (
    creation_date, fname, pacs_id, "PatientID", "PatientName", "StudyInstanceUID", "StudyDescription",
    "SeriesInstanceUID", "SeriesDescription", "PatientAge", "PatientBirthDate", "PatientSex", "Modality",
    "ProtocolName", "StudyDate", "AccessionNumber")
SELECT now(), fname, pacs.id, patient_id, patient_name, study_instance_uid, study_description,
    series_instance_uid, series_description, patient_age, patient_birth_date, patient_sex, modality,
    protocol_name, study_date, accession_number
FROM unnest(%b::text[], %b::integer[]) AS file (fname, shared)
JOIN unnest(
    %b::integer[], %b::text[], %b::text[], %b::text[], %b::text[], %b::text[],
    %b::text[], %b::text[], %b::integer[], %b::date[], %b::text[], %b::text[],
    %b::text[], %b::date[], %b::text[]) AS shared (
    number, pacs_identifier, patient_id, patient_name, study_instance_uid, study_description,
    series_instance_uid, series_description, patient_age, patient_birth_date, patient_sex, modality,
    protocol_name, study_date, accession_number)
ON shared.number = file.shared
LEFT JOIN pacsfiles_pacs AS pacs
ON pacs.identifier = shared.pacs_identifier AND (SELECT to_regclass('pacsfiles_pacsseries') IS NULL)
ORDER BY fname COLLATE "C"
ON CONFLICT (fname) DO NOTHING
RETURNING fname
"""

_DETECT = """
SELECT to_regclass('pacsfiles_pacsseries') IS NULL AND EXISTS (
    SELECT FROM pg_attribute
    WHERE attrelid = to_regclass('pacsfiles_pacsfile') AND attname = 'PatientID' AND NOT attisdropped)
"""

_ANY_FILE = "SELECT EXISTS (SELECT FROM pacsfiles_pacsfile)"

_SERIES = """
SELECT DISTINCT "PatientID", "StudyDate", "StudyInstanceUID", "SeriesInstanceUID"
FROM pacsfiles_pacsfile WHERE fname ~>~ %s AND fname ~<~ %s LIMIT 2
"""


class FlatRegistrar:
    """Writes `pacsfiles_pacs` and `pacsfiles_pacsfile`."""

    def register(self, connection: Connection, batch: RowBatch) -> Written:
        """Insert a batch. The names of the new rows can be taken after the transaction.

        Files are inserted in the order of the bytes of `fname`: writers that add the same rows in different orders
        deadlock. Values of series are inserted in their own order, row by row.
        """
        files, metadata = batch.files, [value.file for value in batch.values]
        identifiers = {file.columns.pacs_identifier for file in (*files, *metadata)}
        connection.execute(_ADD_PACS, [list(identifiers)], prepare=True)
        groups = [files, *([row] for row in metadata)]
        added = [connection.execute(_ADD_FILES, _arrays(rows), prepare=True) for rows in groups if rows]
        return Written(len(files) + len(metadata), (name for cursor in added for (name,) in cursor))


class FlatReader(FileNames):
    """Looks names up in `pacsfiles_pacsfile`."""

    def __init__(self) -> None:
        super().__init__("pacsfiles_pacsfile")

    def any_file(self, connection: Connection) -> bool:
        """Tell whether there is any row of a file."""
        return connection.execute(_ANY_FILE).fetchone() == (True,)

    def series_below(self, connection: Connection, directory: str) -> list[SeriesIdentity]:
        """Return the different series that have names below `directory`; no more than two of them."""
        return [SeriesIdentity(*row) for row in connection.execute(_SERIES, range_of(directory))]

    def registered_series(self, *_: object) -> set[SeriesKey]:
        """Return nothing: in these tables a series has no row of its own."""
        return set()

    def directories_without_series(self, *_: object) -> list[str]:
        """Return nothing: in these tables a series has no row of its own."""
        return []


class Flat:
    """The generation."""

    traits = Traits("flat", registers_metadata=True, registers_series=False, people_delete_series=False)
    references = frozenset({"pacs_id"})
    rights = tuple(
        Right(privilege, table)
        for table in ("pacsfiles_pacs", "pacsfiles_pacsfile")
        for privilege in ("SELECT", "INSERT")
    )
    useful_rights = ()
    registrar = FlatRegistrar()
    reader = FlatReader()

    @classmethod
    def detect(cls, connection: Connection) -> "Flat | None":
        """Return the generation if these are the tables that `connection` sees, and not those of a later one."""
        return cls() if connection.execute(_DETECT).fetchone() == (True,) else None

    def meaning_of(self, error: psycopg.Error) -> str | None:
        """Say what an error means in these tables, without its values; None when it means the same everywhere."""
        if lacks_reference(error, self.references):
            return "a PACS that was added to it cannot be found in it: missing rights, or a trigger, hide it"
        if wants_unknown_column(error):
            return f"its column {error.diag.column_name} wants a value that CUBE 3.5 to 5.2 does not have"
        if lacks_rights(error):
            # Those of sequences an older CUBE needs, whose ids are serial.
            wanted = [*grants(self.rights), "GRANT USAGE ON ALL SEQUENCES IN SCHEMA public"]
            return f"the gateway's user lacks rights and needs: {'; '.join(wanted)}"
        if schema_changed(error):
            return "its tables are not those of CUBE 3.5 to 5.2 any more; it is checked again"
        return None


def _arrays(files: Sequence[PacsFile]) -> list[list[Any]]:
    """Return names, and for each the number of what it shares with others; then all that is shared, by its number."""
    shared: dict[SharedColumns, int] = {}
    numbers = [shared.setdefault(file.columns, len(shared)) for file in files]
    rows = [
        (
            number,
            columns.pacs_identifier,
            columns.patient_id,
            columns.patient_name,
            columns.study_instance_uid,
            columns.study_description,
            columns.series_instance_uid,
            columns.series_description,
            columns.patient_age_days,
            columns.patient_birth_date,
            columns.patient_sex,
            columns.modality,
            columns.protocol_name,
            columns.study_date,
            columns.accession_number,
        )
        for columns, number in shared.items()
    ]
    return [[file.fname for file in files], numbers, *(list(column) for column in zip(*rows, strict=True))]
