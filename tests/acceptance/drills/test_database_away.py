"""The database is away, in every way that it can be: spool_writer goes on, and the backlog drains by itself."""

import os
import shlex
import signal
import subprocess
import time
from pathlib import Path

import psycopg
import pytest

from tests.acceptance.drills.account import metadata_is_right, nothing_lost
from tests.dicom import make_series, send
from tests.fixtures.gateway import free_port
from tests.fixtures.postgres import read_rows
from tests.fixtures.proxy import Proxy
from tests.processes import private_kilobytes
from tests.waiting import wait_until

pytestmark = pytest.mark.timeout(300)


def administrate(conninfo, *statements):
    with psycopg.connect(conninfo, autocommit=True) as connection:
        for statement in statements:
            connection.execute(statement)


def cut_others(conninfo):
    administrate(
        conninfo,
        "SELECT pg_terminate_backend(pid) FROM pg_stat_activity "
        "WHERE datname = current_database() AND pid <> pg_backend_pid()",
    )


def is_served(connection):
    try:
        return bool(connection.execute("SELECT 1"))
    except psycopg.OperationalError:
        return False


class Site:
    """A database behind a proxy, for a gateway with a user of its own."""

    def __init__(self, server, conninfo, directory):
        self.server = server
        self.directory = Path(directory)
        self.name = psycopg.conninfo.conninfo_to_dict(conninfo)["dbname"]
        self.proxy = Proxy(server.port)
        administrate(
            conninfo,
            "DO $$ BEGIN CREATE ROLE gateway LOGIN PASSWORD 'pw'; EXCEPTION WHEN duplicate_object THEN END $$",
            "GRANT SELECT, INSERT ON ALL TABLES IN SCHEMA public TO gateway",
            "GRANT USAGE ON ALL SEQUENCES IN SCHEMA public TO gateway",
        )
        self.gateway_conninfo = f"host=127.0.0.1 port={self.proxy.port} dbname={self.name} user=gateway password=pw"

    @property
    def conninfo(self):
        return self.server.conninfo_for(self.name)

    def rows(self, metadata=False):
        return read_rows(self.conninfo, metadata)


# -- faults: each breaks the site, and returns what mends it ---------------------------------------------------------


def refused(site):
    site.proxy.refuse()
    return site.proxy.accept


def hung(site):
    site.proxy.swallow()
    return site.proxy.heal


def read_only(site):
    administrate(site.conninfo, f"ALTER DATABASE {site.name} SET default_transaction_read_only = on")
    cut_others(site.conninfo)

    def mend():
        administrate(
            site.conninfo,
            "SET default_transaction_read_only = off",
            f"ALTER DATABASE {site.name} RESET default_transaction_read_only",
        )
        cut_others(site.conninfo)

    return mend


def out_of_connections(site):
    administrate(site.conninfo, f"ALTER DATABASE {site.name} CONNECTION LIMIT 0")
    cut_others(site.conninfo)
    return lambda: administrate(site.conninfo, f"ALTER DATABASE {site.name} CONNECTION LIMIT -1")


def migrating(site):
    administrate(site.conninfo, "ALTER TABLE pacsfiles_pacsfile RENAME TO later")
    return lambda: administrate(site.conninfo, "ALTER TABLE later RENAME TO pacsfiles_pacsfile")


def locked_then_killed(site):
    """A migration holds the table; the server process of the waiting transaction is killed, so the server recovers."""
    holder = psycopg.connect(site.conninfo)
    holder.execute("LOCK TABLE pacsfiles_pacsfile IN ACCESS EXCLUSIVE MODE")

    def mend():
        query = (
            "SELECT pid FROM pg_stat_activity WHERE usename = 'gateway' AND wait_event_type = 'Lock' "
            "AND datname = current_database()"
        )
        with psycopg.connect(site.conninfo, autocommit=True) as connection:
            (pid,) = wait_until(lambda: connection.execute(query).fetchone(), "the insert waits in mid-transaction")
        os.kill(pid, signal.SIGKILL)
        wait_until(lambda: not is_served(holder), "the server recovers, which ends all its connections")
        holder.close()

    return mend


def restarted(site):
    site.server.stop()

    def mend():
        site.server.start()
        site.proxy.target = site.server.port

    return mend


SHARED_FAULTS = [refused, hung, read_only, out_of_connections, migrating]
OWN_FAULTS = [locked_then_killed, restarted]


@pytest.fixture
def site(postgres_server, database, tmp_path):
    made = Site(postgres_server, database, tmp_path)
    yield made
    made.proxy.close()


@pytest.fixture
def own_site(own_server, public_directory):
    made = Site(own_server, own_server.conninfo, public_directory)
    yield made
    made.proxy.close()


# -- the drills ------------------------------------------------------------------------------------------------------


def goes_through(site, fault, make_gateway, tmp_path):
    gateway = make_gateway(db=f"{site.gateway_conninfo} connect_timeout=2")
    paths = make_series(tmp_path / "in", 40, "1.2.3")
    assert {status.Status for status in send(gateway.port, paths[:10])} == {0}
    wait_until(lambda: len(site.rows()) == 10, "the rows while all is well")
    mend = fault(site)
    assert {status.Status for status in send(gateway.port, paths[10:])} == {0}, "spool_writer goes on"
    wait_until(lambda: len(gateway.stored()) == 40, "the files")
    if fault is not locked_then_killed:  # a server that recovers at once may be missed by nobody
        wait_until(lambda: gateway.lines("database_unavailable"), "the gateway says degraded", 60)
    mend()
    wait_until(lambda: not gateway.spooled(), "the backlog is registered", 60)
    nothing_lost(gateway, site.rows, {f"1.2.3.{number}": path for number, path in enumerate(paths, 1)})
    assert metadata_is_right(site.rows(metadata=True)) == 40
    if gateway.lines("database_unavailable"):
        wait_until(lambda: gateway.lines("database_available"), "the gateway says that it is back")


@pytest.mark.parametrize("fault", SHARED_FAULTS)
def test_a_database_that_is(fault, site, make_gateway, tmp_path):
    goes_through(site, fault, make_gateway, tmp_path)


@pytest.mark.parametrize("fault", OWN_FAULTS)
def test_a_server_that_is(fault, own_site, make_gateway, tmp_path):
    goes_through(own_site, fault, make_gateway, tmp_path)


@pytest.mark.parametrize("fault", [refused, hung, out_of_connections, migrating])
def test_a_database_that_is_not_there_at_the_start(fault, site, make_gateway, tmp_path):
    mend = fault(site)
    gateway = make_gateway(db=f"{site.gateway_conninfo} connect_timeout=2")
    paths = make_series(tmp_path / "in", 5, "1.2.3")
    assert {status.Status for status in send(gateway.port, paths)} == {0}
    wait_until(lambda: gateway.lines("database_unavailable"), "the gateway says degraded", 60)
    mend()
    wait_until(lambda: not gateway.spooled(), "the backlog is registered", 60)
    nothing_lost(gateway, site.rows, {f"1.2.3.{number}": path for number, path in enumerate(paths, 1)})


@pytest.fixture
def standby(own_server, public_directory):
    """A streaming standby of `own_server`, as `EmbeddedPostgres` runs it, to be promoted."""
    data = Path(public_directory) / "standby"
    binaries = own_server.psql_command.split()[1].removesuffix("/psql")
    password = Path(own_server.password_file).read_text().strip().rpartition(":")[2]
    # The password goes with the line: the account that runs the server may not read the file of its owner.
    source = f"{own_server.conninfo_for('postgres').partition('passfile')[0]} password={password}"
    command = [f"{binaries}/pg_basebackup", "-w", "-c", "fast", "-D", str(data), "-R", "-d", source]
    own_server._account.run(["chmod", "a+rx", public_directory])
    made = own_server._account.run(command)
    assert made.returncode == 0, made.stderr
    process = Standby(own_server, binaries, data)
    yield process
    process.stop()


class Standby:
    def __init__(self, primary, binaries, data):
        self._primary, self._binaries, self._data = primary, binaries, data
        self.port = free_port()
        self._control("start", "-w", "-l", f"{data}.log", "-o", f"-p {self.port} -h 127.0.0.1 -k ''")

    def _control(self, *arguments):
        command = shlex.join([f"{self._binaries}/pg_ctl", "-D", str(self._data), *arguments])
        done = self._primary._account.run(["sh", "-c", f"{command} >/dev/null 2>&1"])  # the server keeps no pipe open
        assert done.returncode == 0, f"{command} failed; see {self._data}.log"

    def conninfo_for(self, name):
        return self._primary.conninfo_for(name).replace(f"port={self._primary.port}", f"port={self.port}")

    def promote(self):
        self._control("promote", "-w")

    def stop(self):
        self._control("stop", "-m", "fast", "-w")


def test_a_failover_to_a_standby(own_site, own_server, standby, make_gateway, tmp_path):
    """The address moves to the standby first, which is read-only until it is promoted."""
    gateway = make_gateway(db=f"{own_site.gateway_conninfo} connect_timeout=2")
    paths = make_series(tmp_path / "in", 30, "1.2.3")
    send(gateway.port, paths[:10])
    replica = standby.conninfo_for(own_site.name)
    wait_until(lambda: len(read_rows(replica)) == 10, "the rows on the standby")
    os.kill(own_server.postmaster_pid, signal.SIGQUIT)  # the primary dies; no stop, no farewell
    own_site.proxy.target = standby.port
    own_site.proxy.cut()
    assert {status.Status for status in send(gateway.port, paths[10:])} == {0}
    wait_until(lambda: gateway.lines("database_unavailable"), "the gateway says degraded", 60)
    standby.promote()
    wait_until(lambda: not gateway.spooled(), "the backlog is registered", 60)
    nothing_lost(gateway, lambda: read_rows(replica), {f"1.2.3.{number}": path for number, path in enumerate(paths, 1)})


# -- a lock, and other tables ----------------------------------------------------------------------------------------


def servers_of_gateway(connection):
    query = "SELECT count(*) FROM pg_stat_activity WHERE usename = 'gateway' AND datname = current_database()"
    return connection.execute(query).fetchone()[0]


@pytest.mark.timeout(900)
def test_a_table_that_is_locked_for_long_costs_one_connection(long_drill, site, make_gateway, tmp_path):
    """For 5 min (25 s in short, which is longer than one wait): PostgreSQL gets no second server process to wait."""
    seconds = 300 if long_drill else 25
    gateway = make_gateway(db=site.gateway_conninfo, CHRIS_DB_POOL="1")
    paths = make_series(tmp_path / "in", 40, "1.2.3")
    send(gateway.port, paths[:10])
    wait_until(lambda: len(site.rows()) == 10 and not gateway.spooled(), "the rows while all is well")
    with psycopg.connect(site.conninfo) as holder, psycopg.connect(site.conninfo, autocommit=True) as watcher:
        holder.execute("LOCK TABLE pacsfiles_pacsfile IN ACCESS EXCLUSIVE MODE")
        began = time.monotonic()
        assert {status.Status for status in send(gateway.port, paths[10:])} == {0}, "spool_writer goes on"
        seen = set()

        def is_over():
            seen.add(servers_of_gateway(watcher))
            return time.monotonic() > began + seconds and gateway.lines("database_unavailable")

        (line,) = wait_until(is_over, "the gateway says degraded", seconds + 60)
        assert max(seen) == 1
        assert "a table is locked by somebody else" in line["message"]
        holder.rollback()
        began = time.monotonic()
        wait_until(lambda: len(site.rows()) == 40, "the rows, soon after the release", 15)
        print(f"locked for {seconds} s; rows {time.monotonic() - began:.2f} s after the release; connections {seen}")
    wait_until(lambda: gateway.lines("database_available") and not gateway.spooled(), "all is as before")
    nothing_lost(gateway, site.rows, {f"1.2.3.{number}": path for number, path in enumerate(paths, 1)})


def test_a_gateway_that_ends_while_a_table_is_locked_leaves_no_server_process(site, make_gateway, tmp_path):
    gateway = make_gateway(db=site.gateway_conninfo, CHRIS_DRAIN_SECONDS="1")
    with psycopg.connect(site.conninfo) as holder, psycopg.connect(site.conninfo, autocommit=True) as watcher:
        holder.execute("LOCK TABLE pacsfiles_pacsfile IN ACCESS EXCLUSIVE MODE")
        send(gateway.port, make_series(tmp_path / "in", 3, "1.2.3"))
        waiting = "SELECT 1 FROM pg_stat_activity WHERE usename = 'gateway' AND wait_event_type = 'Lock'"
        wait_until(lambda: watcher.execute(waiting).fetchone(), "the rows wait for the lock")
        gateway.stop()
        wait_until(lambda: servers_of_gateway(watcher) == 0, "the server has seen that the gateway is gone", 60)


def test_tables_that_are_refilled_under_a_gateway_get_no_row_of_another_pacs(site, make_gateway, tmp_path):
    gateway = make_gateway(db=site.gateway_conninfo)
    paths = make_series(tmp_path / "in", 20, "1.2.3")
    send(gateway.port, paths[:10], "AAAA")
    wait_until(lambda: len(site.rows()) == 10 and not gateway.spooled(), "the rows while all is well")
    administrate(
        site.conninfo,
        "TRUNCATE pacsfiles_pacsfile, pacsfiles_pacs RESTART IDENTITY",
        "INSERT INTO pacsfiles_pacs (identifier) VALUES ('OTHER1'), ('OTHER2')",
    )
    send(gateway.port, paths[10:], "AAAA")
    wait_until(lambda: not gateway.spooled(), "all is registered")
    assert {row["identifier"] for row in site.rows()} == {"AAAA"}
    assert len(site.rows()) == 10
    assert len(site.rows(metadata=True)) == 2


# -- a large backlog -------------------------------------------------------------------------------------------------


def batches_of(conninfo):
    """Return the number of DICOM rows of each transaction that registered some, oldest first."""
    with psycopg.connect(conninfo) as connection:
        return [
            count
            for (count,) in connection.execute(
                "SELECT count(*) FROM pacsfiles_pacsfile f JOIN pacsfiles_pacs p ON p.id = f.pacs_id "
                "WHERE p.identifier <> 'org.fnndsc.oxidicom' GROUP BY f.xmin ORDER BY min(f.id)"
            )
        ]


@pytest.mark.dcmtk
@pytest.mark.timeout(900)
def test_a_large_backlog_waits_on_the_disk_and_drains_in_full_batches(long_drill, site, make_gateway, tmp_path):
    """20,000 instances (2,000 in short) come while the database is down: no process grows; 30 s later all is there."""
    count, rounds = (20_000, 40) if long_drill else (2_000, 4)
    gateway = make_gateway(db=f"{site.gateway_conninfo} connect_timeout=2", CHRIS_LISTENER_THREADS="2")
    paths = make_series(tmp_path / "in", count // rounds, "1.2.3")
    send(gateway.port, paths[:1], "WARM")
    wait_until(lambda: not gateway.spooled(), "everything is warm")
    before = {pid: private_kilobytes(pid) for pid in gateway.children()}
    site.proxy.refuse()
    command = ["storescu", "-aet", "TEST", "-R", "+sd", "+II", "--repeat", str(rounds)]
    subprocess.run(
        [*command, "127.0.0.1", str(gateway.port), str(tmp_path / "in")],
        check=True,
        timeout=600,
        env={"TCP_NODELAY": "1", "PATH": os.environ["PATH"]},
    )
    wait_until(lambda: len(gateway.stored()) == count + 1, "the files", 120)
    grown = {pid: private_kilobytes(pid) - kilobytes for pid, kilobytes in before.items()}
    site.proxy.accept()
    returned = time.monotonic()
    wait_until(lambda: not gateway.spooled(), "the backlog is registered", 60)
    seconds = time.monotonic() - returned
    drained = {pid: private_kilobytes(pid) - kilobytes for pid, kilobytes in before.items()}
    print(
        f"{count} rows {seconds:.1f} s after the return of the database; private memory + {max(grown.values())} KB "
        f"while it was away, + {max(drained.values())} KB afterwards; batches {batches_of(site.conninfo)}"
    )
    assert len(site.rows()) == count + 1
    assert seconds < (30 if long_drill else 60)
    assert max(*grown.values(), *drained.values()) < 10 * 1024
    assert sorted(batches_of(site.conninfo))[-3] >= 500 - rounds, "full, but for values of series in them"
