"""How the gateway starts, refuses to start, degrades and ends."""

import contextlib
import json
import os
import signal
import socket
import subprocess
import sys
import time

import psycopg
import pytest
from pynetdicom import build_context

from tests.dicom import CT, contexts_of, make_series, open_association, send
from tests.fixtures.gateway import free_port
from tests.fixtures.postgres import value_of
from tests.powers import OTHER_PYTHON, need_mounts
from tests.processes import command_line, is_alive
from tests.waiting import wait_until


def run(*arguments, **variables):
    environment = {"PATH": os.environ["PATH"], "COLUMNS": "1000", **variables}
    return subprocess.run(
        [sys.executable, "-m", "oxidicom", *arguments], env=environment, capture_output=True, text=True, timeout=60
    )


# -- start ---------------------------------------------------------------------------------------------------------


def test_every_process_shows_its_role(gateway):
    names = sorted(command_line(pid).strip() for pid in gateway.children())
    roles = [
        "doorman-0",
        "inquiry-0",
        *(f"listener-{n}" for n in range(4)),
        "observer-0",
        "registration-0",
        "steward-0",
        "storage-0",
        "storage-1",
    ]
    assert names == [f"oxidicom: {role}" for role in roles]


def test_a_listener_that_was_used_is_replaced_by_a_fresh_one_when_it_is_idle(gateway, tmp_path):
    (path,) = make_series(tmp_path / "in", 1, "1.2.3")
    before = set(gateway.pids_of("listener"))
    send(gateway.port, [path])
    wait_until(lambda: len(set(gateway.pids_of("listener")) - before) == 1, "a fresh listener", 60)
    assert len(before & set(gateway.pids_of("listener"))) == 3, "the others stay"
    assert not gateway.lines("process_died")
    for _ in range(5):  # with it or with another
        send(gateway.port, [path])


@pytest.mark.parametrize("round_number", range(3))
def test_who_comes_while_the_gateway_starts_waits_and_is_served(round_number, make_gateway, rows, tmp_path):
    """It listens before its spool is made: an instance that came then was refused (A700)."""
    (path,) = make_series(tmp_path / "in", 1, f"1.2.3.{round_number}")
    gateway = make_gateway(start=False, new=True)
    gateway.start(wait=False)
    wait_until(lambda: listens(gateway.port), "the port is open", every=0.001)
    assert [status.Status for status in send(gateway.port, [path])] == [0]
    wait_until(lambda: len(rows()) == 1, "the row")


def listens(port):
    with socket.socket() as probe, contextlib.suppress(ConnectionRefusedError):
        probe.connect(("127.0.0.1", port))
        return True
    return False


def test_a_bad_configuration_is_refused_with_all_its_faults_and_exit_78():
    done = run(PORT="abc", CHRIS_VERBOSE="maybe")
    assert done.returncode == 78
    assert all(
        name in done.stderr for name in ("PORT='abc'", "CHRIS_VERBOSE", "CHRIS_DB_CONNECTION", "CHRIS_FILES_ROOT")
    )
    assert "Traceback" not in done.stderr


@pytest.mark.parametrize("command", ["serve", "check", "status", "retry", "reconcile", "send-test", "top"])
def test_serving_and_every_command_tell_all_faults_of_values_names_and_files(command, tmp_path):
    done = run(
        command,
        CHRIS_DB_CONNECTION="garbage",
        CHRIS_FILES_ROOT=str(tmp_path),
        CHRIS_TLS_CERTIFICATE=str(tmp_path / "missing.pem"),
        CHRIS_ALLOWED_AETS="PACS",
        PORT="abc",
    )
    assert done.returncode == 78
    faults = [line for line in done.stderr.splitlines() if line.startswith("  - ")]
    assert len(faults) == 4, done.stderr
    names = ("CHRIS_DB_CONNECTION", "CHRIS_TLS_CERTIFICATE", "CHRIS_SCP_ALLOWED_AETS", "PORT")
    assert all(name in done.stderr for name in names)
    assert "garbage" not in done.stderr
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize("before", [True, False])
def test_a_file_of_variables_may_be_named_before_a_command_or_after_it_and_wins(before, tmp_path):
    file = tmp_path / "oxidicom.env"
    file.write_text(f"CHRIS_DB_CONNECTION=embedded\nCHRIS_FILES_ROOT='{tmp_path}/files'\n")
    (tmp_path / "files").mkdir()
    option = ("--env-file", str(file))
    arguments = (*option, "status", "--json") if before else ("status", "--json", *option)
    done = run(*arguments, CHRIS_DB_CONNECTION="host=other", OXIDICOM_FILES_ROOT="/other")
    status = json.loads(done.stdout)
    assert (status["database"]["name"], status["files_root"]) == ("the embedded PostgreSQL", f"{tmp_path}/files")


def test_faults_of_a_file_and_of_what_can_be_read_of_it_are_told_together(tmp_path):
    file = tmp_path / "oxidicom.env"
    file.write_text("CHRIS_DB_CONNECTION=embedded\nexport CHRIS_FILES_ROOT=/\nPORT=abc\n")
    done = run("--env-file", str(file))
    assert done.returncode == 78
    assert f"{file}, line 2: " in done.stderr
    assert "PORT='abc'" in done.stderr
    missing = run("status", "--env-file", "/missing.env")
    assert missing.returncode == 78
    assert [line for line in missing.stderr.splitlines() if line.startswith("  -")] == [
        "  - /missing.env cannot be read: No such file or directory"
    ]


AS_NOBODY = ["setpriv", "--reuid=65534", "--regid=65534", "--clear-groups"]


def test_a_port_for_which_this_user_lacks_the_right_is_a_fault_with_remedies(public_directory):
    """In a network of its own, where ports below 1024 are privileged whatever the host says."""
    can_run = ["unshare", "--net", *AS_NOBODY, sys.executable, "-c", "import oxidicom"]
    need_mounts()
    if subprocess.run(can_run, capture_output=True).returncode:
        pytest.skip(OTHER_PYTHON)
    os.chown(public_directory, 65534, 65534)
    environment = {
        "PATH": os.environ["PATH"],
        "COLUMNS": "2000",
        "CHRIS_DB_CONNECTION": "host=x",
        "CHRIS_FILES_ROOT": str(public_directory),
        "PORT": "104",
    }
    for command, status in (("serve", 78), ("check", 2)):
        done = subprocess.run(
            [*can_run[:-2], "-m", "oxidicom", command], env=environment, capture_output=True, text=True, timeout=60
        )
        text = done.stdout + done.stderr
        assert done.returncode == status, text
        for remedy in ("CAP_NET_BIND_SERVICE", "setcap", "ip_unprivileged_port_start=104", "-p 104:11111"):
            assert remedy in text
        assert "Traceback" not in text


def test_a_port_in_use_is_one_clear_line(tmp_path):
    with socket.create_server(("::", 0), family=socket.AF_INET6) as other:
        port = other.getsockname()[1]
        done = run(CHRIS_DB_CONNECTION="host=x", CHRIS_FILES_ROOT=str(tmp_path), PORT=str(port))
    assert done.returncode == 1
    (line,) = done.stderr.strip().splitlines()
    assert f"port {port}" in line
    assert "ss -ltnp" in line
    assert "Traceback" not in done.stderr
    assert not list(tmp_path.iterdir())


def test_a_storage_that_cannot_be_written_stops_the_start_with_one_clear_message(make_gateway):
    gateway = make_gateway(start=False)
    (gateway.files_root / ".oxidicom").rmdir()
    (gateway.files_root / ".oxidicom").write_bytes(b"a file in the way")
    (gateway.files_root / "SERVICES/PACS/TEST").mkdir()
    gateway.start(wait=False)
    assert gateway.process.wait(60) == 1
    (line,) = gateway.lines()
    assert "CHRIS_FILES_ROOT must be a directory that this user can write to" in line["message"]
    assert "Traceback" not in gateway.log_path.read_text()


@pytest.mark.parametrize("host", ["127.0.0.1", "::1"])
def test_ipv4_and_ipv6_are_served(host, gateway):
    socket.create_connection((host, gateway.port), 5).close()


def test_version_and_help():
    from oxidicom import __version__

    assert run("--version").stdout.strip() == f"oxidicom {__version__}"
    assert "check" in run("--help").stdout
    assert run("-h").stdout == run("--help").stdout
    assert run("reconcile", "-h").stdout == run("reconcile", "--help").stdout != ""


# -- check ---------------------------------------------------------------------------------------------------------


def test_check_finds_nothing_wrong_beside_a_running_gateway(make_gateway, tmp_path):
    gateway = make_gateway(CHRIS_HTTP_PORT=str(free_port()))
    done = run("check", COLUMNS="300", **gateway.environment)
    assert done.returncode == 0, done.stdout
    assert "schema generation flat" in done.stdout
    assert "the gateway of this storage, which is running, listens on it" in done.stdout
    assert "the page of the gateway of this storage answers there" in done.stdout
    other = run("check", COLUMNS="300", **{**gateway.environment, "CHRIS_FILES_ROOT": str(tmp_path), "PORT": "1"})
    assert "there is no page: port" in other.stdout, "it is that of another storage"


def test_check_fails_for_what_cannot_be_used(tmp_path):
    done = run(
        "check",
        CHRIS_DB_CONNECTION="host=127.0.0.1 port=1 password=secret",
        CHRIS_FILES_ROOT=str(tmp_path / "missing"),
        CHRIS_PACS_ADDRESS="A=127.0.0.1:1",
    )
    assert done.returncode == 2
    assert done.stdout.count("CRITICAL") == 2
    assert done.stdout.count("WARNING") == 1, "only the size of series hangs on a PACS"
    assert "secret" not in done.stdout + done.stderr
    assert "Traceback" not in done.stderr


def test_an_error_message_does_not_talk_to_the_terminal(tmp_path):
    done = run("retry", CHRIS_DB_CONNECTION="embedded", CHRIS_FILES_ROOT=f"{tmp_path}/\x1b[31m")
    refused = run("check", CHRIS_DB_CONNECTION="embedded", CHRIS_FILES_ROOT="/", **{"CHRIS_FILE_ROOT\x1b[31m": "x"})
    log = run("log", CHRIS_DB_CONNECTION="embedded", CHRIS_FILES_ROOT="/", STATE_DIRECTORY=f"{tmp_path}/\x1b[31m")
    assert "\\x1b[31m" in log.stderr
    assert not [one for one in (done, refused, log) if "\x1b" in one.stdout + one.stderr]


def test_check_shows_settings_as_the_text_that_they_are(tmp_path):
    done = run(
        "check",
        COLUMNS="300",
        CHRIS_DB_CONNECTION="host=127.0.0.1 port=1",
        CHRIS_FILES_ROOT=str(tmp_path / "x[/x]"),
        CHRIS_PACS_ADDRESS="P=[fd00::5]:104",
    )
    assert done.returncode == 2
    assert "Traceback" not in done.stderr
    assert "x[/x]: no instance is accepted (A700): the storage is not mounted: there is no directory" in done.stdout
    assert "[fd00::5]:104" in done.stdout


def test_check_as_json(tmp_path):
    done = run(
        "check",
        "--json",
        CHRIS_DB_CONNECTION="host=127.0.0.1 port=1 password=secret",
        CHRIS_FILES_ROOT=str(tmp_path),
        CHRIS_NETWORK="x",
    )
    found = json.loads(done.stdout)
    assert (done.returncode, found["level"]) == (2, "critical")
    verdicts = {finding["subject"]: finding["verdict"] for finding in found["findings"]}
    assert (verdicts["database"], verdicts["TLS"], verdicts["configuration"]) == ("critical", "note", "note")
    assert all(finding["detail"] for finding in found["findings"])


def test_check_fails_when_every_instance_would_be_refused(gateway):
    done = run("check", **gateway.environment, CHRIS_STORAGE_RESERVE_BYTES=str(1 << 60))
    assert done.returncode == 2
    assert "every instance is refused" in done.stdout


def test_check_asks_a_pacs_for_an_echo_and_for_a_series(gateway):
    variables = {**gateway.environment, "CHRIS_PACS_ADDRESS": f"ChRIS=127.0.0.1:{gateway.port}"}
    assert "answers C-ECHO, but not C-FIND" in " ".join(run("check", COLUMNS="300", **variables).stdout.split())


# -- degraded ------------------------------------------------------------------------------------------------------


def test_without_a_database_instances_are_received_and_registered_when_it_is_there(
    make_gateway, proxied, proxy, rows, tmp_path
):
    proxy.swallow()
    gateway = make_gateway(db=f"{proxied} connect_timeout=2")
    statuses = send(gateway.port, make_series(tmp_path / "in", 30))
    assert {status.Status for status in statuses} == {0}
    wait_until(lambda: len(gateway.stored()) == 30, "the files")
    (degraded,) = wait_until(lambda: gateway.lines("database_unavailable"), "the gateway says degraded", 30)
    assert "Degraded" in degraded["message"]
    proxy.heal()
    wait_until(lambda: len(rows()) == 30 and len(rows(metadata=True)) == 2, "the backlog is registered", 40)
    (back,) = wait_until(lambda: gateway.lines("database_available"), "the gateway says that it is back")
    assert "remedy" in degraded
    assert back["lasted"] in back["message"]
    assert back["seconds"] >= 0


def test_a_database_that_is_still_migrating_is_waited_for(make_gateway, database, rows, tmp_path):
    with psycopg.connect(database, autocommit=True) as connection:
        connection.execute("ALTER TABLE pacsfiles_pacsfile RENAME TO later")
    gateway = make_gateway()
    send(gateway.port, make_series(tmp_path / "in", 2))
    (line,) = wait_until(lambda: gateway.lines("database_unavailable"), "the gateway says degraded")
    assert "may still be migrating" in line["message"]
    with psycopg.connect(database, autocommit=True) as connection:
        connection.execute("ALTER TABLE later RENAME TO pacsfiles_pacsfile")
    wait_until(lambda: len(rows()) == 2, "the rows", 30)


def test_a_row_that_is_refused_is_set_aside_and_the_others_are_registered(gateway, database, rows, tmp_path):
    with psycopg.connect(database, autocommit=True) as connection:
        connection.execute("""ALTER TABLE pacsfiles_pacsfile ADD CHECK ("PatientID" <> 'odd')""")
    good = make_series(tmp_path / "good", 3)
    (odd,) = make_series(tmp_path / "odd", 1, PatientID="odd")
    assert {status.Status for status in send(gateway.port, [*good, odd])} == {0}
    wait_until(lambda: len(rows()) == 3 and gateway.lines("row_set_aside"), "the rows of the others")
    rejected = wait_until(lambda: gateway.find(".oxidicom/set-aside/*/*.json"), "the reason")
    assert all("SQLSTATE 23514" in path.read_text() for path in rejected)
    wait_until(lambda: not gateway.spooled(), "nothing is left in the spool")


# -- conduct -------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "data", [b"GET / HTTP/1.0\r\n\r\n", b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc", b"MSH|^~\\&|", b""]
)
def test_bytes_that_are_no_dicom_are_answered_by_an_abort_or_a_close(data, gateway):
    with socket.create_connection(("127.0.0.1", gateway.port), 5) as connection:
        connection.sendall(data)
        connection.shutdown(socket.SHUT_WR)
        assert connection.recv(100)[:1] in (b"", b"\x07")
    assert not [line for line in gateway.lines() if line["level"] not in ("INFO", "DEBUG")]


def test_more_associations_than_listeners_wait_for_their_turn(gateway, rows, tmp_path):
    path = make_series(tmp_path / "in", 1)
    held = [open_association(gateway.port, [build_context(CT)]) for _ in range(3)]
    assert send(gateway.port, path)[0].Status == 0
    for association in held:
        association.release()
    wait_until(lambda: len(rows()) == 1, "the row")


def test_each_row_comes_before_the_next_instance_is_sent(gateway, database, tmp_path):
    """No row waits for another one, or for the end of the association. How long one takes is the benchmark's to say."""
    paths = make_series(tmp_path / "in", 100)
    association = open_association(gateway.port, contexts_of(paths))
    query = "SELECT count(*) FROM pacsfiles_pacsfile WHERE fname LIKE '%.dcm'"
    with psycopg.connect(database, autocommit=True) as connection:
        for number, path in enumerate(paths, 1):
            assert association.send_c_store(str(path)).Status == 0
            wait_until(lambda number=number: value_of(connection, query) == number, "its row", every=0.001)
    association.release()


# -- end -----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_a_signal_lets_a_running_association_finish_and_exits_0(number, gateway, rows, tmp_path):
    paths = make_series(tmp_path / "in", 4)
    association = open_association(gateway.port, contexts_of(paths))
    children = gateway.children()
    assert association.send_c_store(str(paths[0])).Status == 0
    gateway.process.send_signal(number)
    wait_until(lambda: gateway.lines("stopping"), "the gateway begins to stop")
    for path in paths[1:]:
        assert association.send_c_store(str(path)).Status == 0
    association.release()
    assert gateway.process.wait(60) == 0
    assert len(rows()) == 4
    assert len(rows(metadata=True)) == 2
    assert not any(map(is_alive, children))
    assert not gateway.find(".oxidicom/0*")


def test_an_association_that_does_not_end_is_aborted_after_the_drain(make_gateway, rows, tmp_path):
    gateway = make_gateway(CHRIS_DRAIN_SECONDS="1")
    paths = make_series(tmp_path / "in", 2)
    association = open_association(gateway.port, contexts_of(paths))
    assert association.send_c_store(str(paths[0])).Status == 0
    began = time.monotonic()
    assert gateway.stop() == 0
    assert time.monotonic() - began < 25
    wait_until(lambda: association.is_aborted, "the peer is told")
    assert len(rows()) == 1


def test_a_second_signal_ends_at_once_and_loses_nothing(gateway, rows, tmp_path):
    paths = make_series(tmp_path / "in", 2)
    association = open_association(gateway.port, contexts_of(paths))
    assert association.send_c_store(str(paths[0])).Status == 0
    gateway.process.send_signal(signal.SIGTERM)
    wait_until(lambda: gateway.lines("stopping"), "the gateway begins to stop")
    began = time.monotonic()
    gateway.stop()
    assert time.monotonic() - began < 25
    association.abort()
    gateway.start()
    wait_until(lambda: len(rows()) == 1 and len(rows(metadata=True)) == 2, "the rows after the restart")


def test_no_new_connection_is_accepted_while_stopping(gateway, tmp_path):
    association = open_association(gateway.port, [build_context(CT)])
    gateway.process.send_signal(signal.SIGTERM)
    wait_until(lambda: gateway.lines("stopping"), "the gateway begins to stop")

    def refused():
        try:
            socket.create_connection(("127.0.0.1", gateway.port), 1).close()
        except ConnectionRefusedError:
            return True
        return False

    wait_until(refused, "connections are refused")
    association.release()
    assert gateway.process.wait(60) == 0
