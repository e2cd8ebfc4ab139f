"""A `Database` of the test's own database."""

import pytest

from oxidicom.cube.database import Database


@pytest.fixture
def cube(database):
    made = Database(database)
    yield made
    made.close()
