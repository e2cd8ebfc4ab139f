"""pynetdicom, as a client, leaves sockets to the garbage collector: here that is no error, and none is left to others.

The gateway under test runs in processes of its own; what it leaves open is seen by other means.
"""

import gc
import warnings
from pathlib import Path

import pytest


def pytest_collection_modifyitems(items):
    for item in items:
        if Path(__file__).parent in item.path.parents:
            item.add_marker(pytest.mark.filterwarnings("ignore::ResourceWarning"))


@pytest.fixture(autouse=True)
def collected_sockets():
    yield
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ResourceWarning)
        gc.collect()
