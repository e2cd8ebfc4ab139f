"""Registering in the tables of CUBE 6 and 7: the rows are CUBE's own, whatever the order and however often."""

import concurrent.futures
import datetime
import random

import msgspec
import psycopg
import pytest

from oxidicom.cube import session
from oxidicom.cube.database import Database
from oxidicom.cube.isolation import register_isolating
from oxidicom.cube.rows import Oddity, SeriesKey
from oxidicom.embedded.schema import statements_of
from oxidicom.errors import DatabaseUnavailableError, NotMigratedError
from tests.fixtures.folders import TABLES, VERSIONS, dump
from tests.fixtures.postgres import value_of
from tests.integration.cube.cube_rows import counts, execute
from tests.integration.cube.folders_rows import (
    COLUMNS,
    PATIENT,
    SERIES,
    STUDY,
    folder_file,
    values_of,
)

FILES = [folder_file(number) for number in (1, 2, 3)]
HELD = "UPDATE pacsfiles_pacsseries SET deletion_status = 'pending'"
BELOW = "folder_id IN (SELECT id FROM core_chrisfolder WHERE path LIKE 'SERVICES/PACS/%')"


def described(series):
    return msgspec.structs.replace(COLUMNS, series_instance_uid=series.series_instance_uid)


@pytest.fixture
def make_cube():
    made = []

    def make(conninfo, **keywords):
        made.append(Database(conninfo, **{"describe": described, **keywords}))
        return made[-1]

    yield make
    for one in made:
        one.close()


@pytest.fixture
def cube(make_cube, folders_database):
    return make_cube(folders_database)


def of_pacs(rows):
    """Leave out what CUBE has made at its migration."""
    return [row for row in rows if "SERVICES/PACS/" in "".join(str(value) for value in row.values())]


# -- the rows ------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("version", VERSIONS)
def test_the_rows_of_a_series_of_three_files_are_those_that_cube_itself_writes(
    version, make_cube, make_folders_database
):
    database = make_folders_database(version)
    cube = make_cube(database)
    assert cube.traits().name == "folders"
    assert counts(cube.register(FILES, values_of(FILES[0]))) == (4, 0)
    rows = {table: of_pacs(found) for table, found in dump(database).items()}
    deletion = {"deletion_status": "inactive", "deletion_error": "", "deletion_requested_at": None}
    deletion = deletion if version == "6.10" else {}
    active = {} if version == "6.0" else {"active": True}
    paths = ["SERVICES/PACS/PACSA", PATIENT, STUDY, SERIES]
    assert rows["core_chrisfolder"] == [
        {"path": path, "public": False, **deletion, "parent": path.rpartition("/")[0], "owner": "chris"}
        for path in paths
    ]
    permission = {"permission": "r", "name": "pacs_users"}
    assert rows["core_foldergrouppermission"] == [
        {"permission": "r", "path": path, "name": "pacs_users"} for path in paths
    ]
    assert rows["core_chrisfile"] == [
        {"fname": file.fname, "public": False, "folder": SERIES, "owner": "chris"} for file in FILES
    ]
    assert rows["core_filegrouppermission"] == [{**permission, "fname": file.fname} for file in FILES]
    assert rows["pacsfiles_pacs"] == [{"identifier": "PACSA", **active, "path": "SERVICES/PACS/PACSA"}]
    assert rows["pacsfiles_pacsseries"] == [
        {
            "PatientID": "P1",
            "PatientName": "Müller^Jürgen",
            "PatientBirthDate": datetime.date(1970, 1, 2),
            "PatientAge": 18262,
            "PatientSex": "M",
            "StudyDate": datetime.date(2020, 3, 1),
            "AccessionNumber": "A1",
            "Modality": "CT",
            "ProtocolName": "axial",
            "StudyInstanceUID": "1.2.826.1",
            "StudyDescription": "Head CT",
            "SeriesInstanceUID": "1.2.826.1.2",
            "SeriesDescription": "axial",
            **deletion,
            "path": SERIES,
            "identifier": "PACSA",
        }
    ]


def test_a_second_series_of_the_study_adds_a_folder_and_nothing_above_it(cube, folders_database):
    cube.register(FILES, values_of(FILES[0]))
    before = {table: len(rows) for table, rows in dump(folders_database).items()}
    other = folder_file(1, f"{STUDY}/00003-coronal-abcdef0", series_instance_uid="1.2.826.1.3")
    cube.register([other], values_of(other))
    after = {table: len(rows) - before[table] for table, rows in dump(folders_database).items()}
    assert list(after.values()) == [1, 1, 1, 1, 0, 1]


@pytest.mark.parametrize("version", VERSIONS)
def test_all_of_it_a_second_time_changes_nothing(version, make_cube, make_folders_database):
    database = make_folders_database(version)
    cube = make_cube(database)
    cube.register(FILES, values_of(FILES[0]))
    before = dump(database)
    assert counts(cube.register(FILES, values_of(FILES[0]))) == (0, 4)
    assert dump(database) == before


def test_file_by_file_is_the_same_as_all_at_once(make_cube, make_folders_database):
    at_once, one_by_one = make_folders_database(), make_folders_database()
    make_cube(at_once).register(FILES, values_of(FILES[0]))
    cube = make_cube(one_by_one)
    for file in reversed(FILES):
        assert counts(cube.register([file])) == (1, 0)
    assert counts(cube.register([], values_of(FILES[0]))) == (1, 0)
    assert dump(one_by_one) == dump(at_once)


def test_the_series_has_no_row_before_it_has_ended(cube, folders_database):
    expected, end = values_of(FILES[0])
    cube.register(FILES, [expected])
    assert not dump(folders_database)["pacsfiles_pacsseries"]
    cube.register([], [end])
    assert len(dump(folders_database)["pacsfiles_pacsseries"]) == 1


def test_a_file_that_comes_late_is_added_to_its_series(cube, folders_database):
    cube.register(FILES, values_of(FILES[0]))
    assert counts(cube.register([folder_file(4)], values_of(FILES[0]))) == (1, 1)
    rows = dump(folders_database)
    assert (len(rows["core_chrisfile"]), len(rows["core_filegrouppermission"])) == (4, 4)
    assert len(rows["pacsfiles_pacsseries"]) == 1


def test_what_was_registered_half_way_is_completed(cube, folders_database, make_cube, make_folders_database):
    """CUBE's own is not atomic: files and folders without permissions, files without their series."""
    cube.register(FILES[:2])
    execute(
        folders_database,
        "DELETE FROM core_filegrouppermission",
        f"DELETE FROM core_foldergrouppermission WHERE {BELOW}",
        "DELETE FROM pacsfiles_pacs",
    )
    cube.register(FILES, values_of(FILES[0]))
    whole = make_folders_database()
    make_cube(whole).register(FILES, values_of(FILES[0]))
    assert dump(folders_database) == dump(whole)


def test_no_row_of_metadata_is_written(cube, folders_database):
    cube.register(FILES, values_of(FILES[0]))
    assert "org.fnndsc.oxidicom" not in str(dump(folders_database))


def test_the_flag_of_a_pacs_is_cubes(cube, folders_database):
    cube.register(FILES[:1])
    execute(folders_database, "UPDATE pacsfiles_pacs SET active = false")
    cube.register(FILES, values_of(FILES[0]))
    assert [row["active"] for row in dump(folders_database)["pacsfiles_pacs"]] == [False]


@pytest.mark.parametrize("bad", [{"patient_id": "x" * 101}, {"patient_name": "a\0b"}], ids=["too long", "NUL"])
def test_a_series_that_is_refused_costs_its_row_and_no_file(bad, make_cube, folders_database):
    file = folder_file(1, **bad)
    cube = make_cube(folders_database, describe=lambda _: file.columns)
    outcome = register_isolating(cube, [file, folder_file(2, **bad)], values_of(file))
    assert len(outcome.new) == 2
    assert [refused.fname for refused, _ in outcome.refused] == [values_of(file)[1].file.fname]
    assert len(dump(folders_database)["core_chrisfile"]) == 2


def test_a_series_whose_files_cannot_be_read_is_refused_and_no_other(make_cube, folders_database):
    def describe(series):
        if series.series_instance_uid == "1.9":
            raise OSError(5, "Input/output error")
        return described(series)

    other = folder_file(1, f"{STUDY}/other", series_instance_uid="1.9")
    cube = make_cube(folders_database, describe=describe)
    cube.register([*FILES, other])
    outcome = register_isolating(cube, [], [*values_of(FILES[0]), *values_of(other)])
    assert [str(reason) for _, reason in outcome.refused] == [
        "none of the files of its series can be read (Input/output error)"
    ]
    assert [row["SeriesInstanceUID"] for row in dump(folders_database)["pacsfiles_pacsseries"]] == ["1.2.826.1.2"]


def test_for_want_of_descriptors_nothing_is_refused(make_cube, folders_database):
    def describe(_):
        raise OSError(24, "Too many open files")

    cube = make_cube(folders_database, describe=describe)
    cube.register(FILES)
    with pytest.raises(DatabaseUnavailableError, match="Too many open files"):
        register_isolating(cube, [], values_of(FILES[0]))


def test_one_bad_file_costs_one_file(cube, folders_database):
    bad = folder_file(4, f"{SERIES}/{'x' * 1000}")
    outcome = register_isolating(cube, [*FILES, bad], [])
    assert (len(outcome.new), [refused.fname for refused, _ in outcome.refused]) == (3, [bad.fname])


# -- collisions ----------------------------------------------------------------------------------------------------


def test_two_titles_with_one_directory_share_the_pacs_that_came_first(cube, folders_database):
    first = folder_file(1, "SERVICES/PACS/MY_PACS/P/S/1", pacs_identifier="MY PACS")
    second = folder_file(1, "SERVICES/PACS/MY_PACS/P/S/2", pacs_identifier="MY_PACS", series_instance_uid="1.9")
    cube.register([first], values_of(first))
    found = cube.register([second], values_of(second))
    assert [(odd.oddity, odd.pacs_identifier) for odd in found.odd_series] == [(Oddity.ANOTHER_PACS, "MY_PACS")]
    rows = dump(folders_database)
    assert [row["identifier"] for row in rows["pacsfiles_pacs"]] == ["MY PACS"]
    assert [row["identifier"] for row in rows["pacsfiles_pacsseries"]] == ["MY PACS", "MY PACS"]


def test_a_title_that_cube_knows_with_another_directory_is_used(cube, folders_database):
    """CUBE makes a PACS with the name that pfdcm has for it, blanks and all."""
    cube.register([folder_file(1, "SERVICES/PACS/OTHER/P/S/1", pacs_identifier="OTHER")])
    execute(folders_database, "UPDATE pacsfiles_pacs SET identifier = 'MY PACS'")
    file = folder_file(1, "SERVICES/PACS/MY_PACS/P/S/1", pacs_identifier="MY PACS")
    assert not cube.register([file], values_of(file)).odd_series
    assert [row["identifier"] for row in dump(folders_database)["pacsfiles_pacsseries"]] == ["MY PACS"]


def test_a_series_in_two_directories_is_registered_with_the_first(cube, folders_database):
    other = folder_file(4, f"{STUDY}/00002-axial_2-c8992d5")
    cube.register(FILES, values_of(FILES[0]))
    found = cube.register([other], values_of(other))
    assert [odd.oddity for odd in found.odd_series] == [Oddity.ANOTHER_DIRECTORY]
    rows = dump(folders_database)
    assert len(rows["core_chrisfile"]) == 4
    assert [row["path"] for row in rows["pacsfiles_pacsseries"]] == [SERIES]


def test_a_series_in_two_directories_is_told_also_when_both_end_at_once(cube, folders_database):
    other = folder_file(4, f"{STUDY}/00002-axial_2-c8992d5")
    found = cube.register([*FILES, other], [*values_of(FILES[0]), *values_of(other)])
    assert [odd.oddity for odd in found.odd_series] == [Oddity.ANOTHER_DIRECTORY]
    assert len(found.new) == 5


def test_what_was_noted_of_a_series_is_its_row(make_cube, folders_database):
    """Its first instance was seen when it came: no file has to be read, and it does not matter which is the first."""

    def nobody(_):
        raise AssertionError("nobody is asked")

    cube = make_cube(folders_database, describe=nobody)
    cube.register(FILES)
    expected, end = values_of(FILES[0])
    noted = msgspec.structs.replace(COLUMNS, patient_name="as it came first")
    cube.register([], [expected, msgspec.structs.replace(end, columns=noted)])
    assert [row["PatientName"] for row in dump(folders_database)["pacsfiles_pacsseries"]] == ["as it came first"]


def test_two_series_in_one_directory_the_second_has_no_row(cube, folders_database):
    other = folder_file(4, series_instance_uid="1.2.826.1.9")
    cube.register(FILES, values_of(FILES[0]))
    found = cube.register([other], values_of(other))
    assert [odd.oddity for odd in found.odd_series] == [Oddity.DIRECTORY_TAKEN]
    assert len(dump(folders_database)["core_chrisfile"]) == 4


def test_a_series_of_which_no_file_is_registered_has_no_row(cube, folders_database):
    found = cube.register([], values_of(FILES[0]))
    assert [odd.oddity for odd in found.odd_series] == [Oddity.NO_FILES]
    assert not dump(folders_database)["pacsfiles_pacsseries"]


# -- CUBE changes --------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(("before", "after"), [("6.0", 1), ("6.0", 2), ("6.3", 2)])
def test_an_upgrade_of_cube_is_found_out_by_its_error(before, after, make_cube, make_folders_database):
    database = make_folders_database(before)
    cube = make_cube(database)
    cube.register(FILES[:2])
    for statements in statements_of("folders")[: after + 1]:
        execute(database, statements)
    other = folder_file(1, "SERVICES/PACS/NEW/P/S/1", pacs_identifier="NEW")
    assert counts(cube.register([FILES[2], other], values_of(FILES[0]))) == (3, 0)
    whole = make_folders_database(VERSIONS[after])
    make_cube(whole).register([*FILES, other], values_of(FILES[0]))
    assert dump(database) == dump(whole)


@pytest.mark.parametrize(
    "lacking",
    [
        "DELETE FROM core_foldergrouppermission; DELETE FROM core_chrisfolder WHERE path = 'SERVICES/PACS'",
        "UPDATE auth_user SET username = 'somebody'",
    ],
    ids=["folder", "user"],
)
def test_a_cube_that_has_not_filled_its_tables_is_waited_for(lacking, cube, folders_database):
    execute(folders_database, lacking)
    with pytest.raises(NotMigratedError, match="may still be migrating"):
        cube.register(FILES)
    assert not cube.has_files()


@pytest.mark.parametrize("table", ["auth_user", "core_filegrouppermission"])
def test_a_cube_that_has_not_all_tables_yet_is_waited_for(table, cube, folders_database):
    execute(folders_database, f"ALTER TABLE {table} RENAME TO later")
    with pytest.raises(NotMigratedError, match="may still be migrating"):
        cube.register(FILES)
    execute(folders_database, f"ALTER TABLE later RENAME TO {table}")
    assert counts(cube.register(FILES)) == (3, 0)


def test_a_missing_group_is_made(cube, folders_database):
    execute(folders_database, "DELETE FROM core_foldergrouppermission", "DELETE FROM auth_group")
    cube.register(FILES)
    assert len(dump(folders_database)["core_filegrouppermission"]) == 3


def test_folders_that_cube_deletes_in_the_middle_are_made_again(make_cube, make_folders_database):
    """CUBE before 6.10 commits first: our transaction fails at COMMIT (23503), and is repeated."""
    folders_database = make_folders_database("6.3")
    deleted = []

    def delete_once(_):
        if not deleted:
            deleted.append(True)
            with psycopg.connect(folders_database) as other:
                other.execute("DELETE FROM core_filegrouppermission")
                other.execute("DELETE FROM core_chrisfile")
                other.execute(f"DELETE FROM core_foldergrouppermission WHERE {BELOW}")
                other.execute("DELETE FROM pacsfiles_pacs")
                other.execute("DELETE FROM core_chrisfolder WHERE path LIKE 'SERVICES/PACS/%'")

    make_cube(folders_database).register(FILES[:1])
    cube = make_cube(folders_database, before_commit=delete_once)
    assert counts(cube.register(FILES[1:])) == (2, 0)
    assert deleted
    rows = dump(folders_database)
    assert (len(of_pacs(rows["core_chrisfolder"])), len(rows["core_filegrouppermission"])) == (4, 2)


@pytest.mark.parametrize("what", ["core_chrisfolder SET deletion_status = 'pending' WHERE path = %s"])
@pytest.mark.parametrize("path", [SERIES, STUDY, PATIENT])
def test_nothing_is_added_to_what_cube_deletes(cube, folders_database, what, path):
    cube.register(FILES[:1], values_of(FILES[0]))
    with psycopg.connect(folders_database, autocommit=True) as connection:
        connection.execute(f"UPDATE {what}", [path])
        other = folder_file(1, "SERVICES/PACS/PACSA/Q/S/1", series_instance_uid="1.7")
        found = cube.register([*FILES, other], values_of(FILES[0]))
        assert found.held == {*(file.fname for file in FILES), values_of(FILES[0])[1].file.fname}
        assert counts(found) == (1, 0)
        connection.execute("UPDATE core_chrisfolder SET deletion_status = 'failed'")
    assert not cube.register(FILES).held


def test_a_series_that_is_being_deleted_is_left_alone_until_it_is_gone(cube, folders_database):
    cube.register(FILES[:1], values_of(FILES[0]))
    execute(folders_database, HELD)
    found = cube.register(FILES, values_of(FILES[0]))
    assert (counts(found), len(found.held)) == ((0, 0), 4)
    execute(folders_database, "UPDATE pacsfiles_pacsseries SET deletion_status = 'failed'")
    assert counts(cube.register(FILES, values_of(FILES[0]))) == (2, 2)


def test_a_series_that_cube_has_just_locked_is_not_waited_for(cube, folders_database):
    cube.register(FILES[:1], values_of(FILES[0]))
    with psycopg.connect(folders_database) as other:
        other.execute(HELD)
        assert len(cube.register(FILES[1:]).held) == 2
        other.rollback()
    assert not cube.register(FILES[1:]).held


def test_a_deletion_cannot_begin_while_files_are_added(make_cube, folders_database):
    """It would collect what to delete without them, and leave rows without files."""
    with psycopg.connect(folders_database) as other, concurrent.futures.ThreadPoolExecutor(1) as thread:

        def begin_deletion(_):
            other.execute("SET lock_timeout = '200ms'")
            with pytest.raises(psycopg.errors.LockNotAvailable):
                other.execute(HELD)

        make_cube(folders_database).register(FILES[:1], values_of(FILES[0]))
        cube = make_cube(folders_database, before_commit=lambda rows: thread.submit(begin_deletion, rows).result(10))
        assert counts(cube.register(FILES[1:])) == (2, 0)


# -- several writers -----------------------------------------------------------------------------------------------


def test_a_folder_that_somebody_has_locked_costs_only_its_own_files(cube, folders_database):
    cube.register(FILES[:1])
    other = folder_file(1, "SERVICES/PACS/OTHER/P/S/1", pacs_identifier="OTHER", series_instance_uid="1.7")
    with psycopg.connect(folders_database) as somebody:
        somebody.execute("SELECT FROM core_chrisfolder WHERE path = %s FOR UPDATE", [SERIES])
        found = cube.register([FILES[1], other])
        assert (found.new, found.held) == ([other.fname], {FILES[1].fname})
    assert counts(cube.register(FILES[1:])) == (2, 0)


def test_a_pacs_that_was_deleted_is_made_again_with_the_end_of_its_series(cube, folders_database):
    cube.register(FILES)
    execute(folders_database, "DELETE FROM pacsfiles_pacs")
    other = folder_file(1, "SERVICES/PACS/OTHER/P/S/1", pacs_identifier="OTHER", series_instance_uid="1.7")
    assert counts(cube.register([other], values_of(FILES[0]))) == (2, 0)
    assert [row["identifier"] for row in dump(folders_database)["pacsfiles_pacsseries"]] == ["PACSA"]


def test_the_end_of_a_series_waits_with_its_files_also_when_a_batch_is_taken_apart(cube, folders_database):
    cube.register(FILES[:1], values_of(FILES[0]))
    execute(folders_database, HELD)
    bad = folder_file(1, f"{STUDY}/{'x' * 1000}")
    outcome = register_isolating(cube, [FILES[1], bad], values_of(FILES[0]))
    assert outcome.held >= {FILES[1].fname, values_of(FILES[0])[1].file.fname}


def test_an_upgrade_that_no_error_tells_of_is_seen_within_a_minute(make_cube, make_folders_database, monkeypatch):
    """What is added to folders that are there meets none of the new columns."""
    database = make_folders_database("6.3")
    cube = make_cube(database)
    cube.register(FILES[:1], values_of(FILES[0]))
    execute(database, statements_of("folders")[2], HELD)
    monkeypatch.setattr(session, "_LOOK_SECONDS", 0)
    assert cube.register(FILES[1:2]).held


def test_four_writers_of_the_same_series_do_not_deadlock(make_cube, folders_database):
    def directory(number):
        return f"SERVICES/PACS/PACSA/P{number % 5}/S{number % 10}/{number}"

    files = [
        folder_file(instance, directory(number), series_instance_uid=f"1.{number}")
        for number in range(30)
        for instance in range(10)
    ]
    ends = [values_of(file)[1] for file in files[::10]]

    def write(seed):
        cube = make_cube(folders_database)
        shuffled = random.Random(seed).sample(files, len(files))
        for start in range(0, len(shuffled), 60):
            cube.register(shuffled[start : start + 60])
        found = [cube.register([], ends[start : start + 10]) for start in range(0, 30, 10)]
        return sum(len(one.new) for one in found)

    with concurrent.futures.ThreadPoolExecutor(4) as pool:
        assert sum(pool.map(write, range(4))) == 30
    rows = dump(folders_database)
    assert (len(rows["core_chrisfile"]), len(rows["core_filegrouppermission"])) == (300, 300)
    assert len(rows["pacsfiles_pacsseries"]) == 30
    with psycopg.connect(folders_database) as connection:
        assert value_of(connection, "SELECT deadlocks FROM pg_stat_database WHERE datname = current_database()") == 0


# -- rights --------------------------------------------------------------------------------------------------------


def test_the_grants_that_lack_are_told_and_are_enough(folders_role, make_cube, folders_database):
    name, conninfo = folders_role
    cube = make_cube(conninfo)
    with pytest.raises(
        DatabaseUnavailableError, match=r"lacks rights.*GRANT SELECT \(id, username\) ON auth_user TO gateway_"
    ):
        cube.register(FILES)
    execute(folders_database, f"GRANT SELECT ON auth_user, auth_group, core_chrisfolder TO {name}")
    lacking = cube.lacking_grants()
    assert f"GRANT INSERT ON core_chrisfolder TO {name};" in lacking.needed
    assert lacking.useful == [f"GRANT UPDATE (creation_date) ON core_chrisfolder, pacsfiles_pacsseries TO {name};"]
    with pytest.raises(DatabaseUnavailableError, match="lacks rights"):
        cube.register(FILES)
    execute(folders_database, *lacking.needed)
    assert cube.lacking_grants() == ([], lacking.useful)
    assert counts(cube.register(FILES, values_of(FILES[0]))) == (4, 0)
    execute(folders_database, HELD)
    assert len(cube.register(FILES).held) == 3


def test_without_the_right_to_lock_a_deletion_is_seen_all_the_same(folders_role, make_cube, folders_database):
    name, conninfo = folders_role
    execute(
        folders_database,
        f"GRANT SELECT ON auth_user, auth_group TO {name}",
        f"GRANT SELECT, INSERT ON ALL TABLES IN SCHEMA public TO {name}",
    )
    cube = make_cube(conninfo)
    assert not cube.lacking_grants().needed
    cube.register(FILES, values_of(FILES[0]))
    execute(folders_database, HELD)
    assert len(cube.register(FILES).held) == 3


# -- reading -------------------------------------------------------------------------------------------------------


def test_what_is_registered_is_found(cube):
    assert not cube.has_files()
    cube.register(FILES)
    assert cube.has_files()
    assert not cube.traits().registers_metadata
    assert cube.count_below("SERVICES/PACS") == 3
    names = [file.fname for file in FILES]
    assert cube.names_below("SERVICES/PACS", names[0], 1) == names[1:2]
    assert cube.known([*names, "SERVICES/PACS/X"]) == set(names)
    assert cube.directories_without_series("SERVICES/PACS", "", 10) == [SERIES]
    cube.register([], values_of(FILES[0]))
    assert cube.directories_without_series("SERVICES/PACS", "", 10) == []
    key = SeriesKey("SERVICES/PACS/PACSA", "PACSA", "1.2.826.1.2")
    other = key._replace(series_instance_uid="9")
    assert cube.registered_series([key, other]) == {key}
    assert cube.registered_series([]) == set()
    (found,) = cube.series_below(SERIES)
    assert found.series_instance_uid == FILES[0].columns.series_instance_uid


# -- what it costs -------------------------------------------------------------------------------------------------


def rows_read(database):
    """Return how many rows, and entries of indexes, the database has gone through in our tables so far."""
    with psycopg.connect(database, autocommit=True) as connection:
        connection.execute("SELECT pg_stat_force_next_flush()")
        by_scan = value_of(connection, "SELECT sum(seq_tup_read)::int FROM pg_stat_user_tables")
        return by_scan, value_of(connection, "SELECT sum(idx_tup_read)::int FROM pg_stat_user_indexes")


@pytest.mark.parametrize("size", ["empty", "a page"])
def test_no_table_is_walked_through_when_the_statistics_are_those_of_a_small_one(make_cube, folders_database, size):
    """Plans are made while the tables are small, and kept: each file costs the same when they have grown."""
    series = [f"{STUDY}/{number:05}-axial-c8992d5" for number in range(400)]
    first = make_cube(folders_database)
    if size == "a page":
        first.register([folder_file(number, series[0]) for number in range(1, 11)])
    execute(folders_database, *(f"ALTER TABLE {table} SET (autovacuum_enabled = off)" for table in TABLES), "ANALYZE")
    early, late = make_cube(folders_database), make_cube(folders_database)
    for number in range(20):
        for one, cube in enumerate((early, late)):
            cube.register([folder_file(1000 + 20 * one + number, series[0])])
    _, early_by_index = cost_of(early, series[1:101], folders_database)
    grow(first, series[101:300])
    first.close()
    late_by_scan, late_by_index = cost_of(late, series[300:], folders_database)
    assert late_by_scan < 100, "a look at the small tables when the connection was made"
    assert late_by_index < 1.3 * early_by_index


def cost_of(cube, series, database):
    """Register series over a connection, which is closed. Return how many rows were gone through for that."""
    before = rows_read(database)
    grow(cube, series)
    cube.close()  # what it counted is told now
    return [after - earlier for after, earlier in zip(rows_read(database), before, strict=True)]


def grow(cube, series):
    """Register a series of three files for each directory."""
    for directory in series:
        uid = f"1.2.3{directory.rpartition('/')[2][:5]}"
        files = [folder_file(one, directory, series_instance_uid=uid) for one in (1, 2, 3)]
        assert len(cube.register(files, values_of(files[0])).new) == 4
