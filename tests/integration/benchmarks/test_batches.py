"""Registration alone, against the real database."""

import tempfile

import pytest

from benchmarks.batches import measure_batches
from benchmarks.database import DatabaseServer
from benchmarks.directories import workplace
from benchmarks.figures import Figure


@pytest.fixture(scope="module")
def database():
    with workplace(tempfile.gettempdir()) as directory, DatabaseServer(directory) as server:
        yield server


def test_the_rows_of_a_large_transaction_cost_less(database):
    small, large = (measure_batches(1, "rows", rows, database).figures for rows in (1, 200))
    assert large[Figure.ROWS_PER_SECOND] > 2 * small[Figure.ROWS_PER_SECOND]
    assert 0 < large[Figure.SERVER_CPU_SECONDS] < large[Figure.TOTAL_CPU_SECONDS]
    assert large[Figure.WAL_BYTES_PER_ROW] > 500
