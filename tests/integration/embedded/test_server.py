"""The embedded PostgreSQL: first start, restart, crash, and the ends of its owner."""

import os
import shutil
import signal
import subprocess
import sys

import psycopg
import pytest

from oxidicom.embedded import server as server_module
from oxidicom.embedded.binaries import find_binaries
from oxidicom.embedded.server import EmbeddedPostgres, conninfo_of_running
from oxidicom.errors import BootError
from tests.fixtures.postgres import value_of
from tests.processes import is_alive
from tests.waiting import wait_until


@pytest.fixture
def base(public_directory):
    return os.path.join(public_directory, "postgres")


@pytest.fixture
def server(base):
    made = EmbeddedPostgres(base)
    made.start()
    yield made
    made.stop()


def add_row(server):
    with psycopg.connect(server.conninfo) as connection:
        connection.execute("INSERT INTO pacsfiles_pacs (identifier) VALUES ('A')")


def count_rows(server):
    with psycopg.connect(server.conninfo) as connection:
        return value_of(connection, "SELECT count(*) FROM pacsfiles_pacs")


def test_a_restart_keeps_the_rows(server, base):
    add_row(server)
    server.stop()
    assert conninfo_of_running(base) is None
    server.start()
    assert count_rows(server) == 1


def test_the_password_is_in_a_private_file_and_nowhere_on_a_screen(server):
    assert os.stat(server.password_file).st_mode & 0o777 == 0o600
    with open(server.password_file, encoding="ascii") as file:
        password = file.read().strip().rsplit(":", 1)[1]
    assert password not in server.conninfo + server.psql_command
    done = subprocess.run(f"{server.psql_command} -tAc 'SELECT 40 + 2'", shell=True, capture_output=True, text=True)
    assert done.stdout.strip() == "42"


def test_after_kill_9_of_the_server_a_start_keeps_the_rows(server):
    add_row(server)
    os.kill(server.postmaster_pid, signal.SIGKILL)
    server._server.wait()
    server.stop()
    server.start()
    assert count_rows(server) == 1


def test_a_second_owner_is_refused_by_name(server, base):
    with pytest.raises(BootError, match=f"{base} is in use by another gateway"):
        EmbeddedPostgres(base).start()


def test_other_commands_find_the_running_server(server, base):
    running = conninfo_of_running(base)
    assert running is not None
    with psycopg.connect(running) as connection:
        assert connection.execute("SELECT 1").fetchone() == (1,)


def test_an_interrupted_initdb_is_done_again(base):
    os.makedirs(os.path.join(base, "data.partial"))
    server = EmbeddedPostgres(base)
    server.start()
    assert count_rows(server) == 0
    server.stop()


def test_the_server_ends_with_its_owner_and_starts_again(base):
    program = (
        "import signal, sys, time; from oxidicom.embedded.server import EmbeddedPostgres\n"
        "signal.pthread_sigmask(signal.SIG_BLOCK, [signal.SIGTERM, signal.SIGINT, signal.SIGCHLD])\n"
        f"s = EmbeddedPostgres({base!r}); s.start(); print(s.postmaster_pid, flush=True); signal.pause()"
    )
    with subprocess.Popen([sys.executable, "-c", program], stdout=subprocess.PIPE, text=True) as owner:
        pid = int(owner.stdout.readline())
        owner.kill()
    wait_until(lambda: not is_alive(pid), "the server ended with its owner")
    server = EmbeddedPostgres(base)
    server.start()
    assert count_rows(server) == 0
    server.stop()


def test_data_of_another_version_are_refused_with_a_remedy(server, base):
    server.stop()
    path = os.path.join(base, "data", "PG_VERSION")
    with open(path, "w", encoding="ascii") as file:
        file.write("9\n")
    with pytest.raises(BootError, match=r"PostgreSQL 9, but \d+ is installed; install"):
        EmbeddedPostgres(base).start()
    shutil.rmtree(os.path.join(base, "data"))


@pytest.mark.skipif(os.geteuid() != 0, reason="only root hands the server to another user: run the tests as root")
def test_as_root_a_place_that_the_server_cannot_reach_is_refused_with_a_remedy(tmp_path):
    tmp_path.chmod(0o700)
    with pytest.raises(BootError, match=r"cannot reach .* STATE_DIRECTORY"):
        EmbeddedPostgres(str(tmp_path / "postgres")).start()


@pytest.mark.skipif(os.geteuid() != 0, reason="only root hands the server to another user: run the tests as root")
def test_as_root_the_server_runs_as_an_ordinary_user(server):
    assert os.stat(f"/proc/{server.postmaster_pid}").st_uid != 0


@pytest.mark.skipif(os.geteuid() != 0, reason="only root hands the server to another user: run the tests as root")
def test_as_root_binaries_that_the_server_cannot_reach_are_copied_once(base, tmp_path, monkeypatch):
    found = find_binaries()
    package = os.path.dirname(found)
    hidden = tmp_path / "site-packages"
    hidden.mkdir(mode=0o700)
    for source in (package, f"{package}.libs"):
        shutil.copytree(source, hidden / os.path.basename(source), symlinks=True)
    monkeypatch.setattr(
        server_module, "find_binaries", lambda: str(hidden / os.path.basename(package) / os.path.basename(found))
    )
    server = EmbeddedPostgres(base)
    server.start()
    assert count_rows(server) == 0
    assert server.psql_command.split()[1].startswith(base)
    server.stop()
