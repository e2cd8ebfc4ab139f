"""The database becomes another one under a live connection: what is registered is true, or is not registered."""

import concurrent.futures

import psycopg
import pytest

from oxidicom.cube.isolation import register_isolating
from oxidicom.errors import DatabaseUnavailableError
from tests.integration.cube.cube_rows import backends, counts, database_name, execute, file, waits_for_lock
from tests.waiting import wait_until

EMPTY = "TRUNCATE pacsfiles_pacsfile, pacsfiles_pacs RESTART IDENTITY"


def owners(rows):
    return {row["fname"]: row["identifier"] for row in rows()}


def warm(cube):
    """Register so often that every statement is prepared and planned for good."""
    for number in range(100, 110):
        cube.register([file(number)])


def test_tables_that_were_emptied_and_refilled_with_other_ids(cube, database, rows):
    warm(cube)
    execute(database, EMPTY, "INSERT INTO pacsfiles_pacs (identifier) VALUES ('OTHER1'), ('OTHER2')")
    assert counts(cube.register([file(1)])) == (1, 0)
    assert counts(cube.register([file(2, pacs_identifier="OTHER2")])) == (1, 0)
    assert owners(rows) == {file(1).fname: "A", file(2).fname: "OTHER2"}


def test_a_copy_from_before_a_pacs_was_known(cube, database, rows):
    """B had the id that A had, when the copy was made, and A was not there yet."""
    warm(cube)
    cube.register([file(1, pacs_identifier="B")])
    execute(
        database,
        "DELETE FROM pacsfiles_pacsfile; DELETE FROM pacsfiles_pacs",
        "INSERT INTO pacsfiles_pacs (id, identifier) VALUES (1, 'B')",
        "SELECT setval(pg_get_serial_sequence('pacsfiles_pacs', 'id'), 1)",
    )
    cube.register([file(2)])
    cube.register([file(1, pacs_identifier="B")])
    assert owners(rows) == {file(1).fname: "B", file(2).fname: "A"}


def test_a_database_that_was_dropped_and_made_anew(cube, database, postgres_server, rows):
    warm(cube)
    name = database_name(database)
    execute(
        postgres_server.conninfo_for("postgres"),
        f"DROP DATABASE {name} WITH (FORCE)",
        f"CREATE DATABASE {name} TEMPLATE oxidicom",
    )
    execute(database, "INSERT INTO pacsfiles_pacs (identifier) VALUES ('OTHER1')")
    assert counts(cube.register([file(1)])) == (1, 0)
    assert owners(rows) == {file(1).fname: "A"}


def test_tables_that_were_dropped_and_made_anew(cube, database, rows):
    warm(cube)
    execute(
        database,
        "CREATE TABLE new_pacs (LIKE pacsfiles_pacs INCLUDING ALL)",
        "CREATE TABLE new_file (LIKE pacsfiles_pacsfile INCLUDING ALL)",
        "DROP TABLE pacsfiles_pacsfile, pacsfiles_pacs",
        "ALTER TABLE new_pacs RENAME TO pacsfiles_pacs",
        "ALTER TABLE new_file RENAME TO pacsfiles_pacsfile",
        "INSERT INTO pacsfiles_pacs (identifier) VALUES ('OTHER1')",
    )
    assert counts(cube.register([file(1)])) == (1, 0)
    assert owners(rows) == {file(1).fname: "A"}


def test_a_wider_column_does_not_disturb(cube, database, rows):
    """A plan that is kept says then: cached plan must not change result type."""
    warm(cube)
    execute(database, "ALTER TABLE pacsfiles_pacsfile ALTER COLUMN fname TYPE varchar(600)")
    assert counts(cube.register([file(1)])) == (1, 0)


def test_from_the_moment_when_the_next_generation_appears_nothing_is_registered(cube, database, rows):
    """CUBE copies the rows to its new tables: what came into the old ones after that would be lost with these."""
    warm(cube)
    before = len(rows())
    execute(database, "CREATE TABLE pacsfiles_pacsseries (id int)")
    with pytest.raises(DatabaseUnavailableError, match="CUBE 6 or later"):
        cube.register([file(1)])
    assert len(rows()) == before
    execute(database, "DROP TABLE pacsfiles_pacsseries")
    assert counts(cube.register([file(1)])) == (1, 0)


def test_a_pacs_that_vanishes_between_two_statements_is_added_again(cube, database, rows):
    warm(cube)
    with concurrent.futures.ThreadPoolExecutor(1) as thread, psycopg.connect(database) as other:
        other.execute("LOCK TABLE pacsfiles_pacsfile IN SHARE MODE")
        registered = thread.submit(cube.register, [file(1)])
        wait_until(lambda: waits_for_lock(database), "the files wait, behind the PACS")
        other.execute("DELETE FROM pacsfiles_pacsfile; DELETE FROM pacsfiles_pacs")
        other.commit()
        assert counts(registered.result()) == (1, 0)
    assert owners(rows) == {file(1).fname: "A"}


def test_a_pacs_that_vanishes_before_the_commit_is_added_again(cube, database, rows):
    warm(cube)
    with concurrent.futures.ThreadPoolExecutor(1) as thread, psycopg.connect(database) as other:
        other.execute("DELETE FROM pacsfiles_pacsfile; DELETE FROM pacsfiles_pacs")
        registered = thread.submit(cube.register, [file(1)])
        wait_until(lambda: waits_for_lock(database), "the COMMIT waits for the one that deletes the PACS")
        other.commit()
        assert counts(registered.result()) == (1, 0)
    assert owners(rows) == {file(1).fname: "A"}


def test_a_row_whose_pacs_cannot_be_found_never_counts_as_known(cube, database, rows):
    execute(
        database,
        "CREATE FUNCTION swallow() RETURNS trigger LANGUAGE plpgsql AS 'BEGIN RETURN NULL; END'",
        "CREATE TRIGGER swallow BEFORE INSERT ON pacsfiles_pacs FOR EACH ROW EXECUTE FUNCTION swallow()",
    )
    with pytest.raises(DatabaseUnavailableError, match="cannot be found in it"):
        register_isolating(cube, [file(1)], [])
    execute(database, "DROP TRIGGER swallow ON pacsfiles_pacs")
    assert counts(cube.register([file(1)])) == (1, 0)


@pytest.mark.parametrize("table", ["pacsfiles_pacs", "pacsfiles_pacsfile"])
def test_a_sequence_that_gives_out_ids_of_a_copy_is_no_fault_of_rows(table, cube, database, rows):
    """Rows that were put back with their ids leave the sequence behind. Each try takes it a step further."""
    cube.register([file(1)])
    execute(database, f"SELECT setval(pg_get_serial_sequence('{table}', 'id'), 1, false)")
    with pytest.raises(DatabaseUnavailableError, match="setval"):
        register_isolating(cube, [file(2, pacs_identifier="B")], [])
    assert len(register_isolating(cube, [file(2, pacs_identifier="B")], []).new) == 1
    assert owners(rows) == {file(1).fname: "A", file(2).fname: "B"}


def test_a_pacs_that_is_there_costs_no_sequence_value(cube, database):
    cube.register([file(1)])
    for number in range(2, 12):
        cube.register([file(number)])
    cube.register([file(12, pacs_identifier="B")])
    with psycopg.connect(database) as connection:
        assert connection.execute("SELECT id FROM pacsfiles_pacs ORDER BY id").fetchall() == [(1,), (2,)]


def test_what_repeats_a_transaction_leaves_one_connection(cube, database):
    warm(cube)
    execute(database, "ALTER TABLE pacsfiles_pacsfile ALTER COLUMN fname TYPE varchar(600)")
    cube.register([file(1)])
    wait_until(lambda: len(backends(database)) == 1, "one connection")
