"""The benchmark against the real gateway and its database."""

import dataclasses
import tempfile
import time

import psycopg
import pytest

from benchmarks.database import DatabaseServer
from benchmarks.datasets import Content
from benchmarks.directories import workplace
from benchmarks.errors import BenchmarkError
from benchmarks.figures import WARM_UP, Figure
from benchmarks.gateway import Gateway
from benchmarks.idle import measure_idle
from benchmarks.load import Load
from benchmarks.sender import Assignment
from benchmarks.trial import Trial
from benchmarks.workloads import Workload
from tests.waiting import wait_until

WORKLOAD = Workload("tiny", "a few instances", [Content.SMALL_EXPLICIT, Content.SMALL_IMPLICIT], 80, 20.0)


@pytest.fixture(scope="module")
def database():
    with workplace(tempfile.gettempdir()) as directory, DatabaseServer(directory) as server:
        yield server


@pytest.mark.parametrize("schema", ["flat", "folders"])
def test_a_trial_of_the_gateway_has_every_figure(database, public_directory, schema):
    measurement = Trial(1, WORKLOAD, Gateway(database, schema=schema)).run(public_directory)
    figures = measurement.figures
    assert set(figures) == set(Figure) - {
        Figure.PEAK_USS_BYTES,
        Figure.USS_RISE_BYTES,
        Figure.USED_LISTENER_USS_BYTES,
        Figure.LISTENER_USS_BYTES,
        Figure.IDLE_CPU_CORES,
        Figure.ONE_FILE_SECONDS,
        Figure.FILES_EACH,
    }
    assert 0 < figures[Figure.LAG_P50_SECONDS] <= figures[Figure.LAG_P99_SECONDS] < 60
    assert figures[Figure.TOTAL_CPU_SECONDS] >= figures[Figure.SERVER_CPU_SECONDS] > 0
    assert figures[Figure.WAL_BYTES_PER_ROW] > 300


def test_the_warm_up_tells_the_kinds_of_processes_apart(database, public_directory):
    kinds = set(Trial(WARM_UP, WORKLOAD, Gateway(database)).run(public_directory).uss_bytes)
    assert kinds >= {"supervisor", "listener", "storage", "registration", "observer", "inquiry"}


def test_a_prefilled_database_has_its_rows_and_is_dropped(database):
    with database.fresh(1500) as fresh:
        count, series, names = fresh.connection.execute(
            'SELECT count(*), count(DISTINCT "SeriesInstanceUID"), count(DISTINCT fname) FROM pacsfiles_pacsfile'
        ).fetchone()
        assert (count, series, names) == (1500, 3, 1500)
    with pytest.raises(psycopg.OperationalError, match="does not exist"):
        psycopg.connect(fresh.conninfo)


def test_lag_is_seen_when_the_rows_wait(database, public_directory):
    """The table is locked until half a second after the last Success."""
    assignments = [Assignment(1, 0, Content.SMALL_EXPLICIT, 16384, instances=20, seconds=20.0)]
    with Gateway(database).running(public_directory, WORKLOAD) as running:
        running.begin()
        with psycopg.connect(running._database.conninfo) as locking:
            locking.execute("LOCK TABLE pacsfiles_pacsfile IN EXCLUSIVE MODE")
            with Load(assignments, running.port) as load:
                outcome = load.run()
            wait_until(lambda: time.monotonic() > outcome.last_success + 0.5, "half a second is over")
        figures = running.finish(outcome)
        running.verify(outcome)
    assert 0.5 < figures[Figure.LAST_ROW_SECONDS] < 30
    assert figures[Figure.LAG_P50_SECONDS] >= figures[Figure.LAST_ROW_SECONDS]


def test_a_file_without_its_row_is_found_out(database, public_directory):
    assignments = [Assignment(1, 0, Content.SMALL_EXPLICIT, 16384, instances=20, seconds=20.0)]
    with Gateway(database).running(public_directory, WORKLOAD) as running:
        running.begin()
        with Load(assignments, running.port) as load:
            outcome = load.run()
        wait_until(lambda: running._await_empty_spool() is None, "everything is registered")
        with psycopg.connect(running._database.conninfo, autocommit=True) as connection:
            connection.execute("DELETE FROM pacsfiles_pacsfile WHERE fname LIKE '%0007-%'")
        with pytest.raises(BenchmarkError, match="instance 6 of association 0 has no row"):
            running.finish(outcome)


@pytest.mark.parametrize(
    ("lost", "message"),
    [
        ("DELETE FROM core_filegrouppermission WHERE id % 20 = 7", "of association 0 has no row"),
        ("DELETE FROM pacsfiles_pacsseries", "1 series have no row, such as SERVICES/PACS/BENCHMARK/"),
    ],
)
def test_in_cube_6_a_file_has_its_permission_and_a_series_its_row(database, public_directory, lost, message):
    assignments = [Assignment(1, 0, Content.SMALL_EXPLICIT, 16384, instances=20, seconds=20.0)]
    with Gateway(database, schema="folders").running(public_directory, WORKLOAD) as running:
        running.begin()
        with Load(assignments, running.port) as load:
            outcome = load.run()
        wait_until(lambda: running._await_empty_spool() is None, "everything is registered")
        with psycopg.connect(running._database.conninfo, autocommit=True) as connection:
            connection.execute(lost.encode())
        with pytest.raises(BenchmarkError, match=message):
            running.finish(outcome)
            running.verify(outcome)


def test_the_idle_gateway_is_measured_listener_by_listener(database, public_directory):
    figures = measure_idle(1, Gateway(database), public_directory, seconds=0.5).figures
    assert 100_000 < figures[Figure.LISTENER_USS_BYTES] < 100_000_000
    assert 0 < figures[Figure.IDLE_CPU_CORES] < 1


def test_a_gateway_with_a_bad_setting_is_an_error_that_shows_its_log(database, public_directory):
    gateway = Gateway(database, settings={"CHRIS_DB_POOL": "none"})
    with pytest.raises(BenchmarkError, match=r"(?s)ended with status 78\. .*CHRIS_DB_POOL='none' cannot be used"):
        Trial(1, WORKLOAD, gateway).run(public_directory)


@pytest.mark.parametrize("schema", ["flat", "folders"])
def test_a_gateway_starts_beside_rows_whose_files_are_not_there(database, public_directory, schema):
    prefilled = dataclasses.replace(WORKLOAD, prefilled_rows=1000)
    figures = Trial(1, prefilled, Gateway(database, schema=schema)).run(public_directory).figures
    assert figures[Figure.WAL_BYTES_PER_ROW] > 300
