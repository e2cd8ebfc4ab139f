"""Registration alone, against the real database."""

import tempfile

import pytest

from benchmarks.batches import LARGEST, Batches, _batch, measure_batches
from benchmarks.database import DatabaseServer
from benchmarks.directories import workplace
from benchmarks.figures import Figure
from oxidicom.cube.database import Database


@pytest.fixture(scope="module")
def database():
    with workplace(tempfile.gettempdir()) as directory, DatabaseServer(directory) as server:
        yield server


@pytest.mark.parametrize("schema", ["flat", "folders"])
def test_the_rows_of_a_large_transaction_cost_less(database, schema):
    small, large = (measure_batches(1, "rows", schema, Batches(rows, schema), database).figures for rows in (1, 200))
    assert large[Figure.ROWS_PER_SECOND] > small[Figure.ROWS_PER_SECOND], "20 times as many on a machine of its own"
    assert 0 < large[Figure.SERVER_CPU_SECONDS] < large[Figure.TOTAL_CPU_SECONDS]
    assert large[Figure.WAL_BYTES_PER_ROW] > 500


def test_a_batch_of_cube_6_brings_its_share_of_folders_and_series(database):
    with database.fresh(schema="folders") as fresh:
        cube = Database(fresh.conninfo)
        for first in range(0, 2500, LARGEST):
            registered = cube.register(*_batch(first, LARGEST))
            assert (len(registered.new), registered.known, registered.odd_series) == (LARGEST + 1, 0, [])
        cube.close()
        assert counts(fresh.connection, "SERVICES/PACS/BENCH") == {
            "core_chrisfile": 2500,
            "core_filegrouppermission": 2500,
            "core_chrisfolder": 1 + 2 + 2 + 5,
            "pacsfiles_pacsseries": 5,
            "pacsfiles_pacs": 1,
        }


def counts(connection, path):
    """Count the rows of one PACS by table."""
    of = {
        "core_chrisfile": "fname LIKE %(below)s",
        "core_filegrouppermission": "file_id IN (SELECT id FROM core_chrisfile WHERE fname LIKE %(below)s)",
        "core_chrisfolder": "path = %(path)s OR path LIKE %(below)s",
        "pacsfiles_pacsseries": "folder_id IN (SELECT id FROM core_chrisfolder WHERE path LIKE %(below)s)",
        "pacsfiles_pacs": "folder_id IN (SELECT id FROM core_chrisfolder WHERE path = %(path)s)",
    }
    values = {"path": path, "below": f"{path}/%"}
    return {
        table: connection.execute(f"SELECT count(*) FROM {table} WHERE {where}", values).fetchone()[0]
        for table, where in of.items()
    }


def test_a_prefilled_database_of_cube_6_is_as_if_registered(database):
    with database.fresh(1200, "folders") as fresh:
        assert counts(fresh.connection, "SERVICES/PACS/PREFILL") == {
            "core_chrisfile": 1200,
            "core_filegrouppermission": 1200,
            "core_chrisfolder": 1 + 3 * 3,
            "pacsfiles_pacsseries": 3,
            "pacsfiles_pacs": 1,
        }
        orphans = fresh.connection.execute(
            "SELECT folder.path FROM core_chrisfolder AS folder LEFT JOIN core_chrisfolder AS parent "
            "ON parent.id = folder.parent_id WHERE parent.path <> regexp_replace(folder.path, '/?[^/]*$', '')"
        ).fetchall()
        assert orphans == []
        unpermitted = fresh.connection.execute(
            "SELECT count(*) FROM core_chrisfolder WHERE path LIKE 'SERVICES/PACS%' "
            "AND id NOT IN (SELECT folder_id FROM core_foldergrouppermission)"
        ).fetchone()
        assert unpermitted == (0,)
