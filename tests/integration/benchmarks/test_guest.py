"""Another gateway with a database is measured until its last row, and one that loses a row is found out."""

import contextlib
import dataclasses
import shlex
import sys
import tempfile

import psycopg
import pytest

from benchmarks.database import DatabaseServer
from benchmarks.datasets import Content
from benchmarks.directories import workplace
from benchmarks.errors import BenchmarkError
from benchmarks.figures import WARM_UP, Figure
from benchmarks.floors import ROOT
from benchmarks.guest import Guest
from benchmarks.invocation import parse_invocation
from benchmarks.load import Load, assign
from benchmarks.trial import Trial
from benchmarks.workloads import Workload
from tests.waiting import wait_until

WORKLOAD = Workload("tiny", "a few instances", [Content.SMALL_EXPLICIT, Content.LARGE_IMPLICIT], 40, 20.0)
PYTHON = shlex.quote(sys.executable)
OURSELVES = (
    "PORT={port} CHRIS_FILES_ROOT={files} STATE_DIRECTORY={files}-state CHRIS_DB_CONNECTION={database} "
    f"CHRIS_LISTENER_THREADS={{listeners}} CHRIS_LOG_FORMAT=json {PYTHON} -m oxidicom"
)
STORES_ONLY = f"PYTHONPATH={shlex.quote(ROOT)} {PYTHON} -m benchmarks.floor_process write {{port}} {{files}} {{pdu}}"


@pytest.fixture(scope="module")
def database():
    with workplace(tempfile.gettempdir()) as directory, DatabaseServer(directory) as server:
        yield server


@pytest.fixture
def ourselves(database):
    """This gateway, as if it were another one."""
    return Guest("other", "another gateway", parse_invocation(OURSELVES), database)


@contextlib.contextmanager
def loaded(guest, directory):
    """Start a gateway and send to it; yield it with what was sent."""
    with guest.running(directory, WORKLOAD) as running:
        running.begin()
        with Load(assign(WORKLOAD, 1), running.port) as load:
            outcome = load.run()
        yield running, outcome


def test_a_trial_ends_when_the_last_row_is_visible(ourselves, public_directory):
    figures = Trial(1, WORKLOAD, ourselves).run(public_directory).figures
    assert 0 < figures[Figure.ROWS_PER_SECOND] <= figures[Figure.INSTANCES_PER_SECOND]
    assert 0 < figures[Figure.LAST_ROW_SECONDS] < 60
    assert figures[Figure.TOTAL_CPU_SECONDS] >= figures[Figure.SERVER_CPU_SECONDS] > 0
    assert figures[Figure.WAL_BYTES_PER_ROW] > 300


def test_the_warm_up_observes_its_memory(ourselves, public_directory):
    assert Trial(WARM_UP, WORKLOAD, ourselves).run(public_directory).figures[Figure.PEAK_USS_BYTES] > 1_000_000


def test_a_gateway_that_registers_nothing_is_found_out(database, public_directory):
    guest = Guest("lazy", "a lazy one", parse_invocation(STORES_ONLY), database, register_seconds=0.2)
    with pytest.raises(BenchmarkError, match=r"a lazy one, .*: 40 of 40 instances have no row 0\.2 s after the load"):
        Trial(1, WORKLOAD, guest).run(public_directory)


def test_one_lost_row_is_found_out(ourselves, public_directory):
    impatient = dataclasses.replace(ourselves, register_seconds=0.2)
    with loaded(impatient, public_directory) as (running, outcome):
        wait_until(lambda: running._count() == 40, "everything is registered")
        with psycopg.connect(running._database.url, autocommit=True) as connection:
            connection.execute(
                "DELETE FROM pacsfiles_pacsfile WHERE fname = "
                "(SELECT max(fname) FROM pacsfiles_pacsfile WHERE fname LIKE '%.dcm')"
            )
        with pytest.raises(BenchmarkError, match=r"1 of 40 instances have no row 0\.2 s after the load"):
            running.finish(outcome)


def test_a_row_too_many_is_found_out(ourselves, public_directory):
    with loaded(ourselves, public_directory) as (running, outcome):
        wait_until(lambda: running._count() == 40, "everything is registered")
        fewer = dataclasses.replace(outcome, sent=outcome.sent[:1])
        with pytest.raises(BenchmarkError, match="40 rows for 20 instances"):
            running.finish(fewer)


def test_a_lost_file_is_found_out(ourselves, public_directory):
    with loaded(ourselves, public_directory) as (running, outcome):
        running.finish(outcome)
        running.verify(outcome)
        fewer = dataclasses.replace(outcome, sent=outcome.sent[:1])
        with pytest.raises(BenchmarkError, match="20 instances were answered with Success, 40 files are there"):
            running.verify(fewer)
