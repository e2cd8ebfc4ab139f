"""The tables change under a live connection: that is waited for, and no row is blamed."""

import pytest

from oxidicom.cube.isolation import register_isolating
from oxidicom.errors import DatabaseUnavailableError
from tests.integration.cube.cube_rows import backends, counts, execute, file

CHANGES = {
    "a column of files that wants a value": (
        "ALTER TABLE pacsfiles_pacsfile ADD COLUMN owner_id int NOT NULL DEFAULT 1; "
        "ALTER TABLE pacsfiles_pacsfile ALTER COLUMN owner_id DROP DEFAULT",
        "ALTER TABLE pacsfiles_pacsfile DROP COLUMN owner_id",
        "its column owner_id wants a value",
    ),
    "a column of PACS that wants a value": (
        "ALTER TABLE pacsfiles_pacs ADD COLUMN folder_id int NOT NULL DEFAULT 1; "
        "ALTER TABLE pacsfiles_pacs ALTER COLUMN folder_id DROP DEFAULT",
        "ALTER TABLE pacsfiles_pacs DROP COLUMN folder_id",
        "its column folder_id wants a value",
    ),
    "a column of another name": (
        'ALTER TABLE pacsfiles_pacsfile RENAME COLUMN "PatientName" TO patient_name',
        'ALTER TABLE pacsfiles_pacsfile RENAME COLUMN patient_name TO "PatientName"',
        r"not those of CUBE 3.5 to 5.2 any more.*42703",
    ),
    "a column of another type": (
        'ALTER TABLE pacsfiles_pacsfile ALTER COLUMN "Modality" TYPE int USING 1',
        'ALTER TABLE pacsfiles_pacsfile ALTER COLUMN "Modality" TYPE varchar(15)',
        r"not those of CUBE 3.5 to 5.2 any more.*42804",
    ),
    "no table of files": (
        "ALTER TABLE pacsfiles_pacsfile RENAME TO later",
        "ALTER TABLE later RENAME TO pacsfiles_pacsfile",
        "it has no tables for PACS files",
    ),
    "no table of PACS": (
        "ALTER TABLE pacsfiles_pacs RENAME TO later",
        "ALTER TABLE later RENAME TO pacsfiles_pacs",
        "it has no tables for PACS files.*42P01",
    ),
    "names that are not unique": (
        "ALTER TABLE pacsfiles_pacsfile DROP CONSTRAINT pacsfiles_pacsfile_fname_key",
        "ALTER TABLE pacsfiles_pacsfile ADD CONSTRAINT pacsfiles_pacsfile_fname_key UNIQUE (fname)",
        r"not those of CUBE 3.5 to 5.2 any more.*42P10",
    ),
    "no more ids": (
        "ALTER TABLE pacsfiles_pacsfile ALTER COLUMN id SET MAXVALUE 1000 RESTART WITH 1000; "
        "SELECT nextval(pg_get_serial_sequence('pacsfiles_pacsfile', 'id'))",
        "ALTER TABLE pacsfiles_pacsfile ALTER COLUMN id SET NO MAXVALUE",
        "the ids of its table are used up",
    ),
}


@pytest.mark.parametrize(("change", "undo", "reason"), CHANGES.values(), ids=CHANGES)
@pytest.mark.parametrize("warm", [True, False], ids=["after rows", "at the start"])
def test_tables_that_are_others_are_waited_for(warm, change, undo, reason, cube, database, rows):
    if warm:
        for number in range(100, 110):
            cube.register([file(number)])
    before = len(rows())
    execute(database, *change.split("; "))
    for _ in range(2):
        with pytest.raises(DatabaseUnavailableError, match=reason):
            register_isolating(cube, [file(number, pacs_identifier="NEW") for number in range(1, 4)], [])
    execute(database, undo)
    assert counts(cube.register([file(number, pacs_identifier="NEW") for number in range(1, 4)])) == (3, 0)
    assert len(rows()) == before + 3
    assert len(backends(database)) == 1


def test_a_stricter_column_that_is_ours_refuses_the_row_that_leaves_it_empty(cube, database, rows):
    execute(database, 'ALTER TABLE pacsfiles_pacsfile ALTER COLUMN "PatientAge" SET NOT NULL')
    outcome = register_isolating(cube, [file(1), file(2, patient_age_days=1)], [])
    assert [(row.fname, str(error)) for row, error in outcome.refused] == [
        (file(1).fname, "SQLSTATE 23502 at PatientAge")
    ]
    assert len(rows()) == 1


def test_a_setting_that_the_server_does_not_take_is_no_fault_of_a_row(cube, database):
    """It is in the same class of errors (22) as what rows hold."""
    cube._session._limits = cube._session._limits._replace(lock_seconds=-1e9)
    with pytest.raises(DatabaseUnavailableError, match="SQLSTATE 22023"):
        register_isolating(cube, [file(1)], [])
