"""Fills the tables of a generation with the files of a hospital that has run for years, by SQL."""

from collections.abc import Mapping, Sequence
from typing import Any

import psycopg

from oxidicom.embedded.schema import Schema

PREFILL = "PREFILL"
"""The PACS that they are from."""
_ROWS_PER_SERIES = 500

# Series of many patients, whose ids are spread over the index as where they came over the years.
_SERIES = """
CREATE TEMP TABLE prefilled_series AS
SELECT series, patient, accession, patient_path, study_path,
    format('%%s/00002-Abdomen_5.0_B30f-%%s', study_path, left(patient, 7)) AS path,
    least(%(per_series)s, %(rows)s - series * %(per_series)s) AS files,
    '1.2.826.0.1.3680043.8.498.7.' || series AS study_uid, '1.2.826.0.1.3680043.8.498.8.' || series AS series_uid,
    date '2000-01-01' + series %% 7000 AS study_date
FROM generate_series(0, (%(rows)s - 1) / %(per_series)s) AS series,
    LATERAL (SELECT left(md5(series::text), 12) AS patient,
        upper(left(md5('accession' || series::text), 10)) AS accession) AS its,
    LATERAL (SELECT format('SERVICES/PACS/PREFILL/%%s-Prefilled_Patient-19500101', patient) AS patient_path) AS above,
    LATERAL (SELECT format('%%s/Thorax_Abdomen_Adult_-%%s-20190102', patient_path, accession) AS study_path) AS below
"""
_FILES = """
CREATE TEMP TABLE prefilled_file AS
SELECT series, format('%%s/%%s-1.2.826.0.1.3680043.8.498.9.%%s.%%s.dcm', path, lpad(number::text, 4, '0'), series,
    number) AS fname
FROM prefilled_series, generate_series(1, files) AS number
"""

_FLAT = (
    "INSERT INTO pacsfiles_pacs (identifier) VALUES ('PREFILL')",
    """
    INSERT INTO pacsfiles_pacsfile (
        creation_date, fname, pacs_id, "PatientID", "PatientName", "StudyInstanceUID", "StudyDescription",
        "SeriesInstanceUID", "SeriesDescription", "PatientAge", "PatientBirthDate", "PatientSex", "Modality",
        "ProtocolName", "StudyDate", "AccessionNumber")
    SELECT now(), fname, pacs.id, patient, 'Prefilled^Patient', study_uid, 'Thorax^Abdomen (Adult)', series_uid,
        'Abdomen  5.0  B30f', 25567, '1950-01-01', 'O', 'CT', 'ThorAbd', study_date, accession
    FROM prefilled_file JOIN prefilled_series USING (series), pacsfiles_pacs AS pacs
    WHERE pacs.identifier = 'PREFILL'
    """,
)

# From the top downward, since each names the one above it.
_FOLDERS_OF = """
INSERT INTO core_chrisfolder (
    creation_date, path, owner_id, parent_id, public, deletion_status, deletion_error)
SELECT now(), wanted.path, parent.owner_id, parent.id, false, 'inactive', ''
FROM ({wanted}) AS wanted JOIN core_chrisfolder AS parent ON parent.path = wanted.parent
"""
_FOLDERS = (
    *(
        _FOLDERS_OF.format(wanted=wanted)
        for wanted in (
            "SELECT 'SERVICES/PACS/PREFILL' AS path, 'SERVICES/PACS' AS parent",
            "SELECT patient_path AS path, 'SERVICES/PACS/PREFILL' AS parent FROM prefilled_series",
            "SELECT study_path AS path, patient_path AS parent FROM prefilled_series",
            "SELECT path, study_path AS parent FROM prefilled_series",
        )
    ),
    """
    INSERT INTO core_foldergrouppermission (permission, folder_id, group_id)
    SELECT 'r', folder.id, auth_group.id FROM core_chrisfolder AS folder, auth_group
    WHERE path LIKE 'SERVICES/PACS/PREFILL%%' AND name = 'pacs_users'
    """,
    """
    INSERT INTO pacsfiles_pacs (identifier, folder_id, active)
    SELECT 'PREFILL', id, true FROM core_chrisfolder WHERE path = 'SERVICES/PACS/PREFILL'
    """,
    """
    INSERT INTO core_chrisfile (creation_date, fname, owner_id, parent_folder_id, public)
    SELECT now(), fname, owner_id, folder.id, false
    FROM prefilled_file JOIN prefilled_series USING (series) JOIN core_chrisfolder AS folder USING (path)
    """,
    """
    INSERT INTO core_filegrouppermission (permission, file_id, group_id)
    SELECT 'r', file.id, auth_group.id FROM core_chrisfile AS file, auth_group WHERE name = 'pacs_users'
    """,
    """
    INSERT INTO pacsfiles_pacsseries (
        creation_date, "PatientID", "PatientName", "PatientBirthDate", "PatientAge", "PatientSex", "StudyDate",
        "AccessionNumber", "Modality", "ProtocolName", "StudyInstanceUID", "StudyDescription", "SeriesInstanceUID",
        "SeriesDescription", folder_id, pacs_id, deletion_status, deletion_error)
    SELECT now(), patient, 'Prefilled^Patient', '1950-01-01', 25567, 'O', study_date, accession, 'CT', 'ThorAbd',
        study_uid, 'Thorax^Abdomen (Adult)', series_uid, 'Abdomen  5.0  B30f', folder.id, pacs.id, 'inactive', ''
    FROM prefilled_series JOIN core_chrisfolder AS folder USING (path), pacsfiles_pacs AS pacs
    WHERE pacs.identifier = 'PREFILL'
    """,
)
_STATEMENTS: Mapping[Schema, Sequence[str]] = {"flat": _FLAT, "folders": _FOLDERS}


def prefill(connection: psycopg.Connection[Any], schema: Schema, rows: int) -> None:
    """Add so many files, and what belongs to them. The connection is in autocommit mode, its user a superuser."""
    # What is joined here is there: to have each reference checked would take longer than all the rest.
    connection.execute("SET session_replication_role = replica")
    parameters = {"rows": rows, "per_series": _ROWS_PER_SERIES}
    for statement in (_SERIES, _FILES, *_STATEMENTS[schema]):
        connection.execute(statement.encode(), parameters)
    connection.execute("DROP TABLE prefilled_series, prefilled_file")
    connection.execute("VACUUM (FREEZE, ANALYZE)")
