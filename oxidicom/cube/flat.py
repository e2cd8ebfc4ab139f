"""The flat generation of CUBE's schema (CUBE 3.5 to 5.2): one table of PACS, one of files."""

from collections.abc import Iterable, Sequence
from typing import Any

import psycopg

from oxidicom.records import PacsFile, SeriesIdentity, SharedColumns

_KNOWN_PACS = "SELECT identifier, id FROM pacsfiles_pacs WHERE identifier = ANY (%s)"

_ADD_PACS = """
INSERT INTO pacsfiles_pacs (identifier) SELECT unnest(%s::text[]) ON CONFLICT (identifier) DO NOTHING
"""

# One array for each column, so that the statement is the same for every batch and is prepared once. What rows share is
# sent and parsed once: for 500 rows of a series that halves the CPU of the client and saves a quarter of the server's.
# The binary format, since to quote the values of the other one costs as much again as all the rest.
_ADD_FILES = """
INSERT INTO pacsfiles_pacsfile (
    creation_date, fname, pacs_id, "PatientID", "PatientName", "StudyInstanceUID", "StudyDescription",
    "SeriesInstanceUID", "SeriesDescription", "PatientAge", "PatientBirthDate", "PatientSex", "Modality",
    "ProtocolName", "StudyDate", "AccessionNumber")
SELECT now(), fname, pacs_id, patient_id, patient_name, study_instance_uid, study_description,
    series_instance_uid, series_description, patient_age, patient_birth_date, patient_sex, modality,
    protocol_name, study_date, accession_number
FROM unnest(%b::text[], %b::integer[]) AS file (fname, shared)
JOIN unnest(
    %b::integer[], %b::bigint[], %b::text[], %b::text[], %b::text[], %b::text[],
    %b::text[], %b::text[], %b::integer[], %b::date[], %b::text[], %b::text[],
    %b::text[], %b::date[], %b::text[]) AS shared (
    number, pacs_id, patient_id, patient_name, study_instance_uid, study_description,
    series_instance_uid, series_description, patient_age, patient_birth_date, patient_sex, modality,
    protocol_name, study_date, accession_number)
ON shared.number = file.shared
ORDER BY fname COLLATE "C"
ON CONFLICT (fname) DO NOTHING
RETURNING fname
"""

_ANY_FILE = "SELECT EXISTS (SELECT FROM pacsfiles_pacsfile)"

# The operators between tildes compare byte by byte, whatever the locale of the database, as its index for LIKE does.
_NAMES = """
SELECT fname FROM pacsfiles_pacsfile WHERE fname ~>~ %s AND fname ~<~ %s ORDER BY fname USING ~<~ LIMIT %s
"""

_COUNT = "SELECT count(*) FROM pacsfiles_pacsfile WHERE fname ~>~ %s AND fname ~<~ %s"

_KNOWN_NAMES = "SELECT fname FROM pacsfiles_pacsfile WHERE fname = ANY (%s)"

_SERIES = """
SELECT DISTINCT "PatientID", "StudyDate", "StudyInstanceUID", "SeriesInstanceUID"
FROM pacsfiles_pacsfile WHERE fname ~>~ %s AND fname ~<~ %s LIMIT 2
"""


class FlatRegistrar:
    """Writes `pacsfiles_pacs` and `pacsfiles_pacsfile`, and looks names up."""

    generation = "flat"

    def __init__(self) -> None:
        self._pacs: dict[str, int] = {}

    def insert(self, connection: psycopg.Connection[Any], files: Sequence[PacsFile]) -> Iterable[tuple[str]]:
        """Insert `files`. The names of those that are new can be taken when the transaction is over.

        They are inserted in the order of the bytes of `fname`: writers that add the same rows in different orders
        deadlock.
        """
        pacs = self._pacs_ids(connection, {file.columns.pacs_identifier for file in files})
        return connection.execute(_ADD_FILES, _arrays(files, pacs), prepare=True)

    def _pacs_ids(self, connection: psycopg.Connection[Any], identifiers: set[str]) -> dict[str, int]:
        """Return the ids of `identifiers`, adding those that are missing. Only ids seen before a COMMIT are kept."""
        if identifiers <= self._pacs.keys():
            return self._pacs
        wanted = sorted(identifiers)
        known = dict(connection.execute(_KNOWN_PACS, [wanted]).fetchall())
        if len(known) == len(wanted):
            self._pacs.update(known)
            return self._pacs
        connection.execute(_ADD_PACS, [[identifier for identifier in wanted if identifier not in known]])
        return dict(connection.execute(_KNOWN_PACS, [wanted]).fetchall())

    def any_file(self, connection: psycopg.Connection[Any]) -> bool:
        """Tell whether there is any row of a file."""
        return connection.execute(_ANY_FILE).fetchone() == (True,)

    def names_below(self, connection: psycopg.Connection[Any], directory: str, after: str, most: int) -> list[str]:
        """Return up to `most` names below `directory` that come after `after`, in the order of their bytes."""
        first, end = _range(directory)
        found = connection.execute(_NAMES, [max(first, after), end, most])
        return [name for (name,) in found]

    def count_below(self, connection: psycopg.Connection[Any], directory: str) -> int:
        """Return the number of names below `directory`."""
        (count,) = connection.execute(_COUNT, _range(directory)).fetchone() or (0,)
        return int(count)

    def known(self, connection: psycopg.Connection[Any], names: Sequence[str]) -> set[str]:
        """Return those of `names` that are registered."""
        return {name for (name,) in connection.execute(_KNOWN_NAMES, [list(names)])}

    def series_below(self, connection: psycopg.Connection[Any], directory: str) -> list[SeriesIdentity]:
        """Return the different series that have names below `directory`; no more than two of them."""
        return [SeriesIdentity(*row) for row in connection.execute(_SERIES, _range(directory))]


def _range(directory: str) -> tuple[str, str]:
    """Return what all names below `directory` lie between: `0` is the character after `/`."""
    return f"{directory}/", f"{directory}0"


def _arrays(files: Sequence[PacsFile], pacs: dict[str, int]) -> list[list[Any]]:
    """Return names, and for each the number of what it shares with others; then all that is shared, by its number."""
    shared: dict[SharedColumns, int] = {}
    numbers = [shared.setdefault(file.columns, len(shared)) for file in files]
    rows = [
        (
            number,
            pacs[columns.pacs_identifier],
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
