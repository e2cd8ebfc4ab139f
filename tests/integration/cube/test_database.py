"""CUBE's database: what is inserted, what is refused, and when it is away."""

import concurrent.futures
import datetime
import socket
import threading
import time

import psycopg
import pytest

from oxidicom.cube import file_names
from oxidicom.cube.database import Database
from oxidicom.cube.isolation import register_isolating
from oxidicom.errors import DatabaseUnavailableError, RowRefusedError
from tests.integration.cube.cube_rows import DATE, backends, counts, database_name, execute, file, value
from tests.waiting import wait_until


def test_a_row_has_every_value(cube, rows):
    full = file(
        patient_name="Wang^小東=x",
        patient_birth_date=datetime.date(1970, 1, 1),
        patient_age_days=18262,
        patient_sex="O",
        study_description="study",
        accession_number="acc",
        modality="CT",
        protocol_name="protocol",
        series_description="series",
    )
    assert counts(cube.register([full])) == (1, 0)
    (row,) = rows()
    assert row["creation_date"].tzinfo is not None
    assert {key: row[key] for key in row if key not in ("id", "pacs_id", "creation_date")} == {
        "fname": full.fname,
        "PatientID": "P",
        "PatientName": "Wang^小東=x",
        "StudyInstanceUID": "1.2",
        "StudyDescription": "study",
        "SeriesInstanceUID": "1.2.3",
        "SeriesDescription": "series",
        "PatientAge": 18262,
        "PatientBirthDate": datetime.date(1970, 1, 1),
        "PatientSex": "O",
        "Modality": "CT",
        "ProtocolName": "protocol",
        "StudyDate": DATE,
        "AccessionNumber": "acc",
        "identifier": "A",
    }


def test_a_row_that_is_there_stays_as_it_is(cube, rows):
    cube.register([file(patient_name="first")])
    assert counts(cube.register([file(patient_name="second"), file(2)])) == (1, 1)
    assert [row["PatientName"] for row in rows()] == ["first", ""]


def test_a_duplicate_inside_one_batch_is_no_error(cube, rows):
    assert counts(cube.register([file(), file()])) == (1, 1)
    assert len(rows()) == 1


def test_rows_are_sorted_and_metadata_comes_last_in_its_order(cube, database):
    metadata = [value(9), value(8)]
    cube.register([file(3), file(1), file(2)], metadata)
    with psycopg.connect(database) as connection:
        names = connection.execute("SELECT fname FROM pacsfiles_pacsfile ORDER BY id").fetchall()
    assert [int(name[-9:-4]) for (name,) in names] == [1, 2, 3, 9, 8]


@pytest.mark.parametrize(
    "bad",
    [
        {"patient_id": "x" * 101},
        {"patient_id": "a\0b"},
        {"patient_name": "\ud800"},
        {"patient_age_days": 2**31},
        {"patient_age_days": 2**70},
    ],
    ids=["too long", "NUL", "surrogate", "beyond int4", "beyond int8"],
)
def test_one_bad_row_costs_one_row(bad, cube, rows):
    files = [file(number) for number in range(1, 20)] + [file(20, **bad)]
    metadata = [value(99)]
    with pytest.raises(RowRefusedError):
        cube.register(files, metadata)
    assert not rows()
    outcome = register_isolating(cube, files, metadata)
    assert (len(outcome.new), [refused.fname for refused, _ in outcome.refused]) == (20, [files[-1].fname])
    assert len(rows()) == 19
    assert len(rows(metadata=True)) == 1
    assert "x" * 101 not in str(outcome.refused[0][1])


def test_a_refused_row_costs_no_connection(cube, database, rows):
    cube.register([file(1)])
    before = backends(database)
    outcome = register_isolating(
        cube, [file(number, patient_sex="X" * (number % 5 == 0)) for number in range(2, 40)], []
    )
    assert len(outcome.refused) == 0
    bad = [file(number, study_description="x" * (500 if number % 5 == 0 else 5)) for number in range(40, 80)]
    outcome = register_isolating(cube, bad, [])
    assert len(outcome.refused) == 8
    assert backends(database) == before


def test_a_stricter_table_names_its_constraint_and_no_value(cube, database, rows):
    execute(database, """ALTER TABLE pacsfiles_pacsfile ADD CONSTRAINT no_odd CHECK ("PatientID" <> 'secret')""")
    outcome = register_isolating(cube, [file(1, patient_id="secret"), file(2)], [])
    ((_, error),) = outcome.refused
    assert (error.sqlstate, str(error)) == ("23514", "SQLSTATE 23514 at no_odd")
    assert len(rows()) == 1


def test_three_writers_of_the_same_rows_do_not_deadlock(database, rows):
    def write(seed):
        cube = Database(database)
        for start in range(0, 400, 20):
            cube.register([file((number * seed) % 400) for number in range(start, start + 40)])
        cube.close()

    with concurrent.futures.ThreadPoolExecutor(3) as pool:
        list(pool.map(write, (1, 3, 7)))
    assert len({row["fname"] for row in rows()}) == len(rows())


def test_a_pacs_that_was_deleted_is_added_again(cube, database, rows):
    cube.register([file(1)])
    cube.register([file(2)])
    execute(database, "DELETE FROM pacsfiles_pacsfile; DELETE FROM pacsfiles_pacs")
    assert counts(cube.register([file(3)])) == (1, 0)
    assert len(rows()) == 1


# -- away --------------------------------------------------------------------------------------------------------


def test_a_refused_connection_is_unavailable_with_its_reason():
    cube = Database("host=127.0.0.1 port=1 dbname=x password=secret")
    with pytest.raises(DatabaseUnavailableError, match="refuses connections") as raised:
        cube.register([file()])
    assert "secret" not in str(raised.value)
    cube.close()


def test_a_server_that_never_answers_is_unavailable():
    with socket.create_server(("127.0.0.1", 0)) as silent:
        port = silent.getsockname()[1]
        cube = Database(f"host=127.0.0.1 port={port} dbname=x connect_timeout=2")
        with pytest.raises(DatabaseUnavailableError):
            cube.traits()
        cube.close()


def test_a_connection_that_is_cut_heals(proxied, proxy, rows):
    cube = Database(proxied)
    cube.register([file(1)])
    proxy.cut()
    heals(lambda: cube.register([file(2)]))
    assert len(rows()) == 2
    cube.close()


def test_a_connection_that_swallows_packets_is_interrupted(proxied, proxy, rows):
    cube = Database(proxied)
    cube.register([file(1)])
    proxy.swallow()
    for seconds, after_seconds in ((0.5, 30.0), (1.5, 1.0)):
        threading.Timer(seconds, cube.interrupt, [after_seconds]).start()
    began = time.monotonic()
    with pytest.raises(DatabaseUnavailableError):
        cube.register([file(2)])
    assert time.monotonic() - began > 1.4, "the first was too early"
    proxy.heal()
    heals(lambda: cube.register([file(2)]))
    assert len(rows()) == 2
    cube.close()


def heals(call):
    """The database is back: a connection that the pool made before may still fail, but not for long."""

    def succeeds():
        try:
            return call()
        except DatabaseUnavailableError:
            return None

    return wait_until(succeeds, "the database is used again", 30)


def test_a_read_only_database_is_unavailable_and_heals(cube, database, rows):
    name = psycopg.conninfo.conninfo_to_dict(database)["dbname"]
    execute(database, f"ALTER DATABASE {name} SET default_transaction_read_only = on")
    with pytest.raises(DatabaseUnavailableError, match="read-only"):
        cube.register([file()])
    with psycopg.connect(database, autocommit=True) as connection:
        connection.execute("SET default_transaction_read_only = off")
        connection.execute(f"ALTER DATABASE {name} RESET default_transaction_read_only")
    assert counts(heals(lambda: cube.register([file()]))) == (1, 0)


def test_a_database_without_tables_is_still_migrating_and_heals(cube, database, rows):
    execute(database, "ALTER TABLE pacsfiles_pacsfile RENAME TO elsewhere")
    with pytest.raises(DatabaseUnavailableError, match="still be migrating"):
        cube.traits()
    execute(database, "ALTER TABLE elsewhere RENAME TO pacsfiles_pacsfile")
    assert cube.traits().name == "flat"


def test_a_table_that_vanishes_is_unavailable(cube, database):
    cube.register([file(1)])
    execute(database, "ALTER TABLE pacsfiles_pacsfile RENAME TO elsewhere")
    with pytest.raises(DatabaseUnavailableError, match="no tables"):
        cube.register([file(2)])


def test_the_folders_generation_is_told_apart(cube, database):
    execute(database, "CREATE TABLE pacsfiles_pacsseries (id int)")
    with pytest.raises(DatabaseUnavailableError, match="CUBE 6 or later"):
        cube.traits()


@pytest.fixture
def as_stranger(database):
    """The database as another user has it, who has no rights."""
    plain = psycopg.conninfo.conninfo_to_dict(database)
    name = f"u{plain['dbname']}"
    execute(database, f"CREATE ROLE {name} LOGIN PASSWORD 'p'")
    other = Database(psycopg.conninfo.make_conninfo(database, user=name, password="p"))
    yield other
    other.close()
    execute(database, f"DROP OWNED BY {name}; DROP ROLE {name}")


def test_a_user_that_may_not_write_is_told_which_rights_are_missing(cube, database, as_stranger):
    execute(database, f"GRANT SELECT ON ALL TABLES IN SCHEMA public TO u{database_name(database)}")
    wanted = "GRANT SELECT, INSERT ON pacsfiles_pacs, pacsfiles_pacsfile; GRANT USAGE"
    with pytest.raises(DatabaseUnavailableError, match=wanted):
        as_stranger.register([file()])


def test_a_connection_string_that_is_none_is_refused_without_being_shown():
    with pytest.raises(DatabaseUnavailableError, match="not a libpq connection string") as raised:
        Database("secret=1 nonsense")
    assert "secret" not in str(raised.value)


# -- is anything registered ----------------------------------------------------------------------------------------


def test_a_database_has_files_when_one_is_registered(cube):
    assert cube.has_files() is False
    cube.register([file()])
    assert cube.has_files() is True


def test_a_database_without_tables_has_no_files_also_when_it_had_some_before(cube, database):
    cube.register([file()])
    execute(database, "DROP TABLE pacsfiles_pacsfile, pacsfiles_pacs CASCADE")
    assert cube.has_files() is False


def test_a_database_that_cannot_be_asked_does_not_say_that_it_has_no_files(cube, database):
    execute(database, "CREATE TABLE pacsfiles_pacsseries (id int)")
    with pytest.raises(DatabaseUnavailableError, match="CUBE 6 or later"):
        cube.has_files()
    execute(database, "DROP TABLE pacsfiles_pacsseries; DROP TABLE pacsfiles_pacsfile")
    execute(database, "CREATE TABLE pacsfiles_pacsfile (id int)")
    with pytest.raises(DatabaseUnavailableError, match="not that of CUBE"):
        cube.has_files()
    away = Database("host=127.0.0.1 port=1 dbname=x")
    with pytest.raises(DatabaseUnavailableError, match="refuses connections"):
        away.has_files()
    away.close()


def test_a_user_without_rights_does_not_say_that_there_are_no_files(database, as_stranger):
    with pytest.raises(DatabaseUnavailableError, match="GRANT SELECT"):
        as_stranger.has_files()


# -- looking names up ----------------------------------------------------------------------------------------------


def test_names_are_given_page_by_page_in_the_order_of_their_bytes(cube):
    names = [f"SERVICES/PACS/{name}" for name in ("A/b-/x", "A/b.dcm", "A/b/x", "A/b0", "A/É", "a/x", "Z/x")]
    cube.register([file(fname=name) for name in [*names, "SERVICES/PACS0", "SERVICES/PACS", "SERVICES/PAC/x"]])
    found, last = [], ""
    while page := cube.names_below("SERVICES/PACS", last, 2):
        assert len(page) <= 2
        found += page
        last = page[-1]
    assert found == sorted(names, key=str.encode)
    assert cube.count_below("SERVICES/PACS") == len(names)


@pytest.mark.parametrize(
    ("table", "index"),
    [("pacsfiles_pacsfile", "pacsfiles_pacsfile_fname_like"), ("core_chrisfile", "core_chrisfile_fname_like")],
)
def test_names_are_paged_by_the_index(table, index, database, folders_database):
    """Else each page would sort the whole table."""
    statement = file_names.BELOW.format(table=table)
    with psycopg.connect(database if table == "pacsfiles_pacsfile" else folders_database) as connection:
        connection.execute("SET enable_seqscan = off")
        plan = connection.execute(f"EXPLAIN {statement}", ["SERVICES/PACS/", "SERVICES/PACS0", 10]).fetchall()
    text = "\n".join(line for (line,) in plan)
    assert index in text
    assert "Sort" not in text


def test_known_names_are_told_from_others(cube):
    cube.register([file(1), file(2)])
    assert cube.known([file(1).fname, file(3).fname]) == {file(1).fname}
    assert cube.known([]) == set()


def test_the_series_below_a_directory_are_two_at_most(cube):
    cube.register([file(n, fname=f"SERVICES/PACS/A_{n // 3}/{n}.dcm") for n in range(3)])
    cube.register([file(fname="SERVICES/PACS/AX0/1.dcm", patient_id="other")])  # `_` is no wildcard
    (series,) = cube.series_below("SERVICES/PACS/A_0")
    assert series == ("P", DATE, "1.2", "1.2.3")
    cube.register([file(fname=f"SERVICES/PACS/A_0/{n}", patient_id=str(n)) for n in range(5)])
    assert len(cube.series_below("SERVICES/PACS/A_0")) == 2
    assert cube.series_below("SERVICES/PACS/B") == []
