"""A pooler in transaction mode: each transaction may get another server, which has other prepared statements."""

import concurrent.futures
import contextlib

import psycopg
import pytest

from oxidicom.cube import session
from oxidicom.cube.database import Database
from oxidicom.cube.session import USUAL_LIMITS
from oxidicom.errors import DatabaseUnavailableError
from tests.integration.cube.cube_rows import counts, file, waits_for_lock
from tests.waiting import wait_until


@pytest.fixture
def make_cube():
    with contextlib.ExitStack() as stack:

        def make(conninfo, **limits):
            made = Database(conninfo, USUAL_LIMITS._replace(**limits))
            stack.callback(made.close)
            return made

        yield make


@pytest.mark.pgbouncer
def test_through_pgbouncer_all_rows_are_registered_and_nothing_fails(pooled, make_cube, rows):
    """Several gateways share its servers, and another client prepares statements of the same names there."""

    def register(seed):
        cube = make_cube(pooled)
        return sum(len(cube.register([file(seed * 1000 + number)]).new) for number in range(100))

    def prepare(_):
        with psycopg.connect(pooled, autocommit=True, prepare_threshold=0) as connection:
            for number in range(100):
                with contextlib.suppress(psycopg.Error):
                    connection.execute("SELECT %s::text[]", [[str(number)]])
        return 0

    with concurrent.futures.ThreadPoolExecutor(4) as threads:
        others = threads.submit(prepare, 0)
        assert sum(threads.map(register, (1, 2, 3))) == 300
        others.result()
    assert len(rows()) == 300


@pytest.mark.pgbouncer
def test_through_pgbouncer_no_statement_is_prepared(pooled, database, make_cube):
    cube = make_cube(pooled)
    for number in range(20):
        cube.register([file(number)])
        assert cube.has_files()
    with psycopg.connect(pooled, autocommit=True, prepare_threshold=None) as connection:
        for _ in range(8):
            assert connection.execute("SELECT count(*) FROM pg_prepared_statements").fetchone() == (0,)


@pytest.mark.pgbouncer
def test_through_pgbouncer_no_limit_is_left_behind_and_an_interrupt_arrives(pooled, database, make_cube):
    cube = make_cube(pooled, lock_seconds=600.0, statement_seconds=600.0)
    with psycopg.connect(database) as holder, concurrent.futures.ThreadPoolExecutor(1) as thread:
        holder.execute("LOCK TABLE pacsfiles_pacsfile IN ACCESS EXCLUSIVE MODE")
        registered = thread.submit(cube.register, [file(1)])
        wait_until(lambda: waits_for_lock(database), "the transaction waits for the lock")
        cube.interrupt(after_seconds=0.0)
        with pytest.raises(DatabaseUnavailableError, match="took too long and was stopped"):
            registered.result()
    assert counts(cube.register([file(1)])) == (1, 0)
    with psycopg.connect(pooled, autocommit=True, prepare_threshold=None) as connection:
        for _ in range(8):
            assert connection.execute("SHOW lock_timeout").fetchone() == ("0",)


def test_a_direct_connection_prepares_its_statements(database, make_cube):
    cube = make_cube(database)
    cube.register([file(1)])
    connection = cube._session._link.connection
    assert connection.execute("SELECT count(*) FROM pg_prepared_statements").fetchone()[0] >= 3


HIDDEN = "DO $$ BEGIN EXECUTE 'DEALLOCATE ALL'; END $$"
"""So that psycopg does not see it, as it sees nothing of what a pooler does."""


@pytest.mark.parametrize(
    "mix_up",
    [(HIDDEN,), (HIDDEN, "PREPARE _pg3_0 AS SELECT 1", "PREPARE _pg3_9 AS SELECT 1")],
    ids=["26000", "42P05"],
)
def test_a_pooler_that_was_not_seen_is_recognized_by_its_errors_and_costs_nothing(mix_up, database, make_cube):
    """Nothing fails, and from then on no statement is prepared, not by psycopg's own count either."""
    cube = make_cube(database)
    cube._session.open()
    if len(mix_up) == 1:
        cube.register([file(100)])
    for statement in mix_up:
        cube._session._link.connection.execute(statement, prepare=False)
    for number in range(20):
        assert counts(cube.register([file(number)])) == (1, 0)
        assert cube.known([file(number).fname])
    found = cube._session._link.connection.execute("SELECT count(*) FROM pg_prepared_statements", prepare=False)
    assert found.fetchone() == (0,)


@pytest.mark.pgbouncer
def test_pgbouncer_that_was_not_seen_costs_nothing_either(pooled, make_cube, monkeypatch):
    monkeypatch.setattr(session, "_is_pooled", lambda _: False)
    first, second = make_cube(pooled), make_cube(pooled)
    for number in range(0, 100, 2):
        assert counts(first.register([file(number)])) == (1, 0)
        assert counts(second.register([file(number + 1)])) == (1, 0)
