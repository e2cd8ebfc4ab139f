"""A transaction that must wait: it ends on the server as well, and never more than one connection is open."""

import concurrent.futures
import contextlib
import os
import socket
import threading

import psycopg
import pytest

from oxidicom.cube.database import Database
from oxidicom.cube.session import USUAL_LIMITS
from oxidicom.errors import DatabaseUnavailableError
from tests.integration.cube.cube_rows import backends, counts, execute, file, waits_for_lock
from tests.waiting import wait_until

LOCK = "LOCK TABLE pacsfiles_pacsfile IN ACCESS EXCLUSIVE MODE"
FOR_EVER = 600.0


@pytest.fixture
def make_cube(database):
    """A function that makes a `Database` with some of its limits changed."""
    with contextlib.ExitStack() as stack:

        def make(conninfo=database, **limits):
            made = Database(conninfo, USUAL_LIMITS._replace(**limits))
            stack.callback(made.close)
            return made

        yield make


@pytest.fixture
def locked(database):
    """Another session that holds the table until it is closed."""
    with psycopg.connect(database) as holder:
        holder.execute(LOCK)
        yield holder


@pytest.fixture
def thread():
    with concurrent.futures.ThreadPoolExecutor(1) as executor:
        yield executor


def test_a_locked_table_is_told_and_costs_one_connection_however_long(database, make_cube, locked, thread):
    cube = make_cube(lock_seconds=0.2)
    seen = []
    for number in range(20):
        with pytest.raises(DatabaseUnavailableError, match="locked by somebody else") as raised:
            cube.register([file(number)])
        assert raised.value.has_waited
        seen.append(backends(database))
    assert len(set.union(*seen)) == 1, "the same connection"
    registered = thread.submit(make_cube().register, [file(1)])
    wait_until(lambda: waits_for_lock(database), "the transaction waits for the lock")
    locked.close()
    assert counts(registered.result()) == (1, 0), "who waits when the lock is released goes on"


def test_another_row_of_that_name_that_is_not_committed_is_a_lock(database, make_cube):
    cube = make_cube(lock_seconds=0.2)
    cube.register([file(1)])
    with psycopg.connect(database) as other:
        other.execute("UPDATE pacsfiles_pacsfile SET fname = 'SERVICES/PACS/A/00002.dcm'")
        with pytest.raises(DatabaseUnavailableError, match="locked by somebody else"):
            cube.register([file(2)])


def test_an_interrupt_tells_the_server_and_keeps_the_connection(database, make_cube, locked, thread):
    cube = make_cube(lock_seconds=FOR_EVER, statement_seconds=FOR_EVER)
    registered = thread.submit(cube.register, [file(1)])
    (pid,) = wait_until(lambda: waits_for_lock(database), "the transaction waits for the lock")
    cube.interrupt(after_seconds=FOR_EVER)
    assert waits_for_lock(database), "it was too early"
    cube.interrupt(after_seconds=0.0)
    with pytest.raises(DatabaseUnavailableError, match="took too long and was stopped"):
        registered.result()
    assert not waits_for_lock(database)
    locked.close()
    assert counts(cube.register([file(1)])) == (1, 0)
    assert backends(database) == {pid}


def test_a_statement_that_takes_too_long_is_stopped_by_the_server(database, make_cube, locked):
    cube = make_cube(lock_seconds=FOR_EVER, statement_seconds=0.2)
    with pytest.raises(DatabaseUnavailableError, match="took too long and was stopped"):
        cube.register([file(1)])


def test_the_server_sees_that_we_are_gone(database, make_cube, locked, thread):
    """The connection is cut, and no cancel gets through, as when this machine is switched off."""
    cube = make_cube(lock_seconds=FOR_EVER, statement_seconds=FOR_EVER, check_seconds=0.2)
    registered = thread.submit(cube.register, [file(1)])
    wait_until(lambda: waits_for_lock(database), "the transaction waits for the lock")
    cube._session._in_use.socket.shutdown(socket.SHUT_RDWR)
    with pytest.raises(DatabaseUnavailableError):
        registered.result()
    wait_until(lambda: not waits_for_lock(database), "the server has given up what nobody waits for")


def test_the_limits_hold_for_the_transaction_only(make_cube):
    """A pooler hands the same server on to others."""
    cube = make_cube()
    usual = {"lock_timeout": "20s", "statement_timeout": "25s", "client_connection_check_interval": "5s"}
    with cube._session.transaction() as (_, connection):
        inside = {name: connection.execute(f"SHOW {name}").fetchone()[0] for name in usual}
        keep_alives = [connection.execute(f"SHOW tcp_keepalives_{one}").fetchone()[0] for one in ("idle", "count")]
    assert inside == usual
    assert keep_alives == ["30", "3"]
    assert {name: connection.execute(f"SHOW {name}").fetchone()[0] for name in usual} == dict.fromkeys(usual, "0")
    assert int(connection.execute("SHOW tcp_keepalives_idle").fetchone()[0]) > 30


@pytest.mark.parametrize("swallows", [True, False])
def test_interrupts_leak_no_descriptor(swallows, proxied, proxy, database, make_cube, locked, thread):
    cube = make_cube(f"{proxied} connect_timeout=2", lock_seconds=FOR_EVER, statement_seconds=FOR_EVER)
    other = make_cube(lock_seconds=0.1)
    with pytest.raises(DatabaseUnavailableError):
        other.register([file(1)])
    other.close()
    most = None
    for _ in range(3):
        registered = thread.submit(cube.register, [file(1)])
        wait_until(lambda: waits_for_lock(database), "the transaction waits for the lock")
        if swallows:
            proxy.swallow()
        cube.interrupt(after_seconds=0.0)
        with pytest.raises(DatabaseUnavailableError):
            registered.result()
        cube.close()
        proxy.heal()
        wait_until(lambda: not proxy._pairs, "the proxy has closed what was cut")
        most = no_more_than(most)


def no_more_than(most):
    """Wait until no more files are open than `most`, if given; return how many are."""
    if most is not None:  # the pool gives up its last try a moment later
        wait_until(lambda: len(descriptors()) <= most, "no more are open than before")
    return len(descriptors())


def descriptors():
    return [fd for fd in os.listdir("/proc/self/fd") if os.path.exists(f"/proc/self/fd/{fd}") or is_socket(fd)]


def is_socket(fd):
    with contextlib.suppress(OSError):
        return os.readlink(f"/proc/self/fd/{fd}").startswith("socket:")
    return False


def test_an_interrupt_may_come_at_any_moment(database, rows, make_cube):
    """Two threads, one of which interrupts without a pause: nothing is lost, nothing hangs, nothing crashes."""
    cube = make_cube()
    over = threading.Event()

    def interrupt():
        while not over.is_set():
            cube.interrupt(after_seconds=0.0)

    interrupter = threading.Thread(target=interrupt)
    interrupter.start()
    told = set()
    for number in range(100):
        with contextlib.suppress(DatabaseUnavailableError):
            told.update(cube.register([file(number)]).new)
    over.set()
    interrupter.join()
    assert told <= {row["fname"] for row in rows()}
    assert counts(cube.register([file(100)])) == (1, 0)


def test_a_count_of_a_large_table_may_take_longer_than_a_batch(database, make_cube):
    execute(
        database,
        "ALTER TABLE pacsfiles_pacsfile RENAME TO slow",
        "CREATE VIEW pacsfiles_pacsfile AS SELECT * FROM slow WHERE pg_sleep(0.5) IS NOT NULL",
    )
    execute(database, "INSERT INTO pacsfiles_pacs (identifier) VALUES ('A')")
    execute(
        database,
        """INSERT INTO slow SELECT 1, now(), 'SERVICES/PACS/A/1', 'P', '', '', '', '', '', 1, 1, NULL, '', '', '',
        now(), ''""",
    )
    assert make_cube(statement_seconds=0.1).count_below("SERVICES/PACS") == 1
