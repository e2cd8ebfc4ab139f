"""The statements that write the tables of CUBE 6 and 7, as its version has them."""

from typing import NamedTuple


class Columns(NamedTuple):
    """What differs between the versions of CUBE, and what the gateway may do."""

    active: bool
    """`pacsfiles_pacs.active`, since CUBE 6.3."""
    deletion: bool
    """`deletion_…` of folders and series, since CUBE 6.10."""
    may_lock: bool
    """Our user may lock the rows of folders and series."""
    has_group: bool
    """The group pacs_users is there."""


_ADD_GROUP = "INSERT INTO auth_group (name) VALUES ('pacs_users') ON CONFLICT (name) DO NOTHING"

# How the statements are carried out is settled once for each connection, whatever the tables hold: to plan them anew
# costs more than to execute them with a few files. So a plan must suit a table of any size, and statistics of any age.
# Rows are looked up by subqueries that cannot become joins (LIMIT) nor be hashed (OFFSET 0), for these may be planned
# as a walk through a table that is small, and the plan is kept when it has grown. So is that of PostgreSQL's own check
# of each reference at COMMIT, which is why the setting is for the transaction. PostgreSQL 11 has no choice of plans.
PLAN_ONCE = """
SELECT set_config('enable_seqscan', 'off', true),
    CASE WHEN current_setting('plan_cache_mode', true) IS NOT NULL
         THEN set_config('plan_cache_mode', 'force_generic_plan', true) END
"""

# Whether CUBE deletes what is below a folder is seen in 6.10 and later. If our rights allow it is made certain until
# COMMIT: a folder or a series that cannot be locked at once is being deleted, or is about to be, and is not waited for.
# Before 6.10 no lock is taken: CUBE deletes there without saying so first, files before folders, and would deadlock.
_LOCKS = """, locked_folder AS MATERIALIZED (
    SELECT its.id FROM folder, LATERAL (
        SELECT id FROM core_chrisfolder WHERE id = folder.id AND deletion_status <> 'pending'
        FOR SHARE SKIP LOCKED) AS its
), locked_series AS MATERIALIZED (
    SELECT series.id FROM folder, LATERAL (
        SELECT id FROM pacsfiles_pacsseries WHERE folder_id = folder.id AND deletion_status <> 'pending'
        FOR SHARE SKIP LOCKED) AS series)"""
_IS_LOCKED = """
    folder.id IS NOT NULL AND (folder.id NOT IN (SELECT id FROM locked_folder) OR EXISTS (
        SELECT FROM pacsfiles_pacsseries AS series
        WHERE series.folder_id = folder.id AND series.id NOT IN (SELECT id FROM locked_series) OFFSET 0))
"""
_IS_PENDING = """
    folder.id IS NOT NULL AND (folder.deletion_status = 'pending' OR EXISTS (
        SELECT FROM pacsfiles_pacsseries AS series
        WHERE series.folder_id = folder.id AND series.deletion_status = 'pending' OFFSET 0))
"""
_LOOK = """
WITH folder AS MATERIALIZED (
    SELECT wanted.path AS wanted, its.* FROM unnest(%b::text[]) AS wanted (path)
    LEFT JOIN LATERAL (SELECT * FROM core_chrisfolder WHERE path = wanted.path LIMIT 1) AS its ON true){locks}
SELECT folder.wanted, folder.id IS NOT NULL,
    EXISTS (
        SELECT FROM core_foldergrouppermission
        WHERE folder_id = folder.id AND group_id = (SELECT id FROM auth_group WHERE name = 'pacs_users') OFFSET 0),
    EXISTS (SELECT FROM pacsfiles_pacs WHERE folder_id = folder.id OFFSET 0),
    {is_held}
FROM folder
"""

# A folder whose parent is gone is not inserted, and then its files are an error: their parent_folder_id is NULL.
_ADD_FOLDERS = """
INSERT INTO core_chrisfolder (creation_date, path, owner_id, parent_id, public{names})
SELECT now(), path, (SELECT id FROM auth_user WHERE username = 'chris'), parent_id, false{values}
FROM (
    SELECT wanted.path, (SELECT id FROM core_chrisfolder AS parent WHERE parent.path = wanted.parent) AS parent_id
    FROM unnest(%b::text[], %b::text[]) AS wanted (path, parent) OFFSET 0) AS folder
WHERE parent_id IS NOT NULL
ORDER BY path COLLATE "C"
ON CONFLICT (path) DO NOTHING
"""

_PERMIT_FOLDERS = """
INSERT INTO core_foldergrouppermission (permission, folder_id, group_id)
SELECT 'r', id, (SELECT id FROM auth_group WHERE name = 'pacs_users')
FROM (
    SELECT path, (SELECT id FROM core_chrisfolder AS folder WHERE folder.path = wanted.path) AS id
    FROM unnest(%b::text[]) AS wanted (path) OFFSET 0) AS folder
WHERE id IS NOT NULL
ORDER BY path COLLATE "C"
ON CONFLICT (folder_id, group_id) DO NOTHING
"""

# Of two titles with one directory, and of one title with two, the first has the row.
_ADD_PACS = """
INSERT INTO pacsfiles_pacs (identifier, folder_id{names})
SELECT identifier, folder_id{values}
FROM (
    SELECT identifier, (SELECT id FROM core_chrisfolder AS folder WHERE folder.path = wanted.path) AS folder_id
    FROM unnest(%b::text[], %b::text[]) AS wanted (identifier, path) OFFSET 0) AS pacs
WHERE folder_id IS NOT NULL
ORDER BY identifier COLLATE "C"
ON CONFLICT DO NOTHING
"""

# An array, so that a folder which is not there is an error (parent_folder_id is NULL), and never a file that is
# silently left out.
_ADD_FILES = """
WITH added AS (
    INSERT INTO core_chrisfile (creation_date, fname, owner_id, parent_folder_id, public)
    SELECT now(), fname, (SELECT id FROM auth_user WHERE username = 'chris'), (ARRAY(
        SELECT (SELECT id FROM core_chrisfolder AS folder WHERE folder.path = wanted.path)
        FROM unnest(%b::text[]) WITH ORDINALITY AS wanted (path, number) ORDER BY number))[directory], false
    FROM unnest(%b::text[], %b::integer[]) AS file (fname, directory)
    ORDER BY fname COLLATE "C"
    ON CONFLICT (fname) DO NOTHING
    RETURNING id, fname
), permitted AS (
    INSERT INTO core_filegrouppermission (permission, file_id, group_id)
    SELECT 'r', id, (SELECT id FROM auth_group WHERE name = 'pacs_users') FROM added
)
SELECT fname FROM added
"""

# Of files that were there.
_PERMIT_FILES = """
INSERT INTO core_filegrouppermission (permission, file_id, group_id)
SELECT 'r', file.id, (SELECT id FROM auth_group WHERE name = 'pacs_users')
FROM (
    SELECT fname, (SELECT id FROM core_chrisfile AS file WHERE file.fname = wanted.fname) AS id
    FROM unnest(%b::text[]) AS wanted (fname) OFFSET 0) AS file
WHERE file.id IS NOT NULL
ORDER BY file.fname COLLATE "C"
ON CONFLICT (file_id, group_id) DO NOTHING
"""

# The PACS is that of the directory; only if it has none, that of the same title.
_OF_SERIES = """
    LEFT JOIN LATERAL (
        SELECT id FROM core_chrisfolder AS its WHERE path = series.directory
            AND EXISTS (SELECT FROM core_chrisfile WHERE parent_folder_id = its.id OFFSET 0) LIMIT 1) AS folder ON true
    LEFT JOIN LATERAL (
        SELECT id, identifier FROM pacsfiles_pacs WHERE id = coalesce(
            (SELECT id FROM pacsfiles_pacs
             WHERE folder_id = (SELECT id FROM core_chrisfolder WHERE path = series.pacs_directory)),
            (SELECT id FROM pacsfiles_pacs WHERE identifier = series.pacs_identifier)) LIMIT 1) AS pacs ON true
"""

_ADD_SERIES = """
INSERT INTO pacsfiles_pacsseries (
    creation_date, "PatientID", "PatientName", "PatientBirthDate", "PatientAge", "PatientSex", "StudyDate",
    "AccessionNumber", "Modality", "ProtocolName", "StudyInstanceUID", "StudyDescription", "SeriesInstanceUID",
    "SeriesDescription", folder_id, pacs_id{names})
SELECT now(), patient_id, patient_name, patient_birth_date, patient_age_days, patient_sex, study_date,
    accession_number, modality, protocol_name, study_instance_uid, study_description, series_instance_uid,
    series_description, folder.id, pacs.id{values}
FROM unnest(
    %(directory)b::text[], %(pacs_directory)b::text[], %(pacs_identifier)b::text[], %(patient_id)b::text[],
    %(patient_name)b::text[], %(patient_birth_date)b::date[], %(patient_age_days)b::integer[], %(patient_sex)b::text[],
    %(study_date)b::date[], %(accession_number)b::text[], %(modality)b::text[], %(protocol_name)b::text[],
    %(study_instance_uid)b::text[], %(study_description)b::text[], %(series_instance_uid)b::text[],
    %(series_description)b::text[]) AS series (
    directory, pacs_directory, pacs_identifier, patient_id, patient_name, patient_birth_date, patient_age_days,
    patient_sex, study_date, accession_number, modality, protocol_name, study_instance_uid, study_description,
    series_instance_uid, series_description)
{of_series}
WHERE folder.id IS NOT NULL
ORDER BY directory COLLATE "C", series_instance_uid COLLATE "C"
ON CONFLICT DO NOTHING
RETURNING folder_id, "SeriesInstanceUID"
"""

# A statement of its own, since one does not see what it inserts itself.
_JUDGE_SERIES = """
SELECT series.name, folder.id, CASE
    WHEN folder.id IS NULL THEN 'NO_FILES'
    WHEN here.uid IS NULL THEN 'ANOTHER_DIRECTORY'
    WHEN here.uid <> series.series_instance_uid OR here.pacs_id <> pacs.id THEN 'DIRECTORY_TAKEN'
    WHEN pacs.identifier <> series.pacs_identifier THEN 'ANOTHER_PACS' END,
    series.pacs_identifier, series.series_instance_uid
FROM unnest(
    %(name)b::text[], %(directory)b::text[], %(pacs_directory)b::text[], %(pacs_identifier)b::text[],
    %(series_instance_uid)b::text[]) AS series (
    name, directory, pacs_directory, pacs_identifier, series_instance_uid)
{of_series}
    LEFT JOIN LATERAL (
        SELECT pacs_id, "SeriesInstanceUID" AS uid FROM pacsfiles_pacsseries WHERE folder_id = folder.id LIMIT 1)
        AS here ON true
"""


class Statements:
    """The text of each statement for one version of the tables."""

    def __init__(self, columns: Columns) -> None:
        active = {"names": ", active", "values": ", true"} if columns.active else _NOTHING
        deletion = {"names": ", deletion_status, deletion_error", "values": ", 'inactive', ''"}
        if not columns.deletion:
            deletion = _NOTHING
        self.look = _look(columns)
        self.add_group = None if columns.has_group else _ADD_GROUP
        self.add_folders = _ADD_FOLDERS.format(**deletion)
        self.permit_folders = _PERMIT_FOLDERS
        self.add_pacs = _ADD_PACS.format(**active)
        self.add_files = _ADD_FILES
        self.permit_files = _PERMIT_FILES
        self.add_series = _ADD_SERIES.format(of_series=_OF_SERIES, **deletion)
        self.judge_series = _JUDGE_SERIES.format(of_series=_OF_SERIES)


def _look(columns: Columns) -> str:
    """Return the statement that looks at folders, and locks what may be locked."""
    if not columns.deletion:
        return _LOOK.format(locks="", is_held="false")
    if not columns.may_lock:
        return _LOOK.format(locks="", is_held=_IS_PENDING)
    return _LOOK.format(locks=_LOCKS, is_held=_IS_LOCKED)


_NOTHING = {"names": "", "values": ""}
