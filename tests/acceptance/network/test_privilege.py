"""Least privilege: an ordinary user will do, the spool is private, and no secret is shown anywhere."""

import contextlib
import json
import os
import pwd
import stat
import subprocess
import sys
from pathlib import Path

import psycopg
import pytest
from psycopg.conninfo import conninfo_to_dict

from oxidicom.errors import OperationError
from oxidicom.operations.live_status import Page
from tests.dicom import contexts_of, make_series, open_association, send
from tests.fixtures.gateway import Gateway, free_port
from tests.powers import OTHER_PYTHON
from tests.processes import command_line
from tests.waiting import wait_until

UID = 10001
AS_USER = ["setpriv", f"--reuid={UID}", f"--regid={UID}", "--clear-groups", "--no-new-privs"]
SECRET = "correct-horse-battery-staple"


@pytest.fixture
def with_password(database):
    """The connection string of a role with the rights of docs/security.md, as a URL with its password in it."""
    parameters = conninfo_to_dict(database)
    with psycopg.connect(database, autocommit=True) as connection:
        connection.execute(f"CREATE ROLE gatekeeper LOGIN PASSWORD '{SECRET}'")
        connection.execute("GRANT SELECT, INSERT ON pacsfiles_pacs, pacsfiles_pacsfile TO gatekeeper")
        connection.execute("GRANT USAGE ON ALL SEQUENCES IN SCHEMA public TO gatekeeper")
        yield f"postgresql://gatekeeper:{SECRET}@127.0.0.1:{parameters['port']}/{parameters['dbname']}"
        connection.execute("DROP OWNED BY gatekeeper")
        connection.execute("DROP ROLE gatekeeper")


@pytest.fixture
def stopped(public_directory, with_password):
    """A new gateway, for an ordinary user to start."""
    gateway = Gateway(public_directory, with_password, new=True, CHRIS_VERBOSE="yes")
    if os.geteuid() == 0:
        gateway.command = [*AS_USER, *gateway.command]
        os.chown(gateway.files_root, UID, UID)
        can_run = [*AS_USER, sys.executable, "-c", "import oxidicom"]
        if subprocess.run(can_run, cwd=Path.cwd(), capture_output=True).returncode:
            pytest.skip(OTHER_PYTHON)
    yield gateway
    if gateway.process:
        gateway.kill_all()


@pytest.fixture
def ordinary(stopped):
    """A gateway that an ordinary user has started."""
    return stopped.start()


def test_an_ordinary_user_is_enough_and_files_have_the_modes_that_cube_needs(ordinary, rows, tmp_path):
    paths = make_series(tmp_path / "in", 3)
    association = open_association(ordinary.port, contexts_of(paths))
    assert {association.send_c_store(os.fspath(path)).Status for path in paths} == {0}
    wait_until(lambda: len(rows()) == 3 and not ordinary.find(".oxidicom/0*/spool/*/0*-*-*"), "all is registered")
    wait_until(lambda: ordinary.find(".oxidicom/0*/spool/*/*=unknown.registered"), "so is that no PACS was asked")
    modes = {path: stat.S_IMODE(path.stat().st_mode) for path in ordinary.find("**/*")}
    services = {path: mode for path, mode in modes.items() if "SERVICES" in path.parts}
    assert {mode for path, mode in services.items() if path.is_file()} == {0o644}
    assert {mode for path, mode in services.items() if path.is_dir()} == {0o755}
    private = {path: mode for path, mode in modes.items() if ".oxidicom" in path.parts}
    assert {mode for path, mode in private.items() if path.is_dir()} == {0o700}
    assert len([path for path in private if path.is_dir()]) >= 4, (
        "spool, temporary names and an association are looked at"
    )
    association.release()
    uids = {Path(f"/proc/{pid}").stat().st_uid for pid in ordinary.children()}
    assert uids == {UID if os.geteuid() == 0 else os.geteuid()}


def test_the_password_of_the_database_is_nowhere_to_be_seen(ordinary, rows, tmp_path, with_password):
    send(ordinary.port, make_series(tmp_path / "in", 1))
    wait_until(lambda: len(rows()) == 1, "the row")
    for pid in (ordinary.process.pid, *ordinary.children()):
        assert SECRET not in command_line(pid)
    checked = check(ordinary)
    assert "postgresql://gatekeeper@127.0.0.1:" in checked
    wrong = check(ordinary, CHRIS_DB_CONNECTION=with_password.replace(SECRET, f"{SECRET}-wrong"))
    assert "the password is wrong" in wrong
    unreadable = check(ordinary, CHRIS_DB_CONNECTION=f"postgresql://u:{SECRET}@h:x:y/d")
    gone = check(ordinary, CHRIS_DB_CONNECTION=f"host=127.0.0.1 port=1 password={SECRET}")
    (ready,) = ordinary.lines("ready")
    assert ready["database"].startswith("postgresql://gatekeeper@127.0.0.1:")
    for text in (checked, wrong, unreadable, gone, ordinary.log_path.read_text()):
        assert SECRET not in text


def test_check_says_why_the_database_lets_nobody_in(stopped, database, with_password):
    asked = {
        "it has no TLS": f"{with_password}?sslmode=require",
        "no database or user of that name": f"{with_password}-of-nobody",
    }
    for said, address in asked.items():
        assert said in check(stopped, CHRIS_DB_CONNECTION=address)
    with psycopg.connect(database, autocommit=True) as connection:
        connection.execute("ALTER ROLE gatekeeper NOLOGIN")
    assert "its user may not log in" in check(stopped, CHRIS_DB_CONNECTION=with_password)


def check(gateway, **variables):
    environment = {**gateway.environment, "COLUMNS": "400", **variables}
    done = subprocess.run([*gateway.command, "check"], env=environment, capture_output=True, text=True, timeout=60)
    assert "Traceback" not in done.stdout + done.stderr
    return done.stdout + done.stderr


@pytest.mark.parametrize(
    ("umask", "readers", "deleters"),
    [
        ("022", "read by user {user}, group {group}, everyone else", "deleted by user {user} "),
        ("002", "read by user {user}, group {group}, everyone else", "deleted by user {user}, group {group} "),
        ("027", "read by user {user}, group {group};", "deleted by user {user} "),
        ("077", "read by user {user};", "deleted by user {user} "),
    ],
)
def test_check_says_which_users_and_groups_can_read_and_delete(ordinary, umask, readers, deleters):
    os.chmod(ordinary.files_root, 0o777 & ~int(umask, 8))
    checked = check(ordinary, CHRIS_UMASK=umask)
    name = f"{UID if os.geteuid() == 0 else ''}"
    if os.geteuid() == 0:
        assert readers.format(user=name, group=name) in checked
        assert deleters.format(user=name, group=name) in checked
    assert ("CUBE must be one of them" in checked) == ("everyone" not in readers)


@pytest.mark.skipif(os.geteuid() != 0, reason="the storage belongs to another user: run the tests as root")
def test_check_says_whose_the_storage_is_when_it_may_not_be_written(ordinary, public_directory):
    root = Path(public_directory, "of-root")
    root.mkdir(mode=0o755)
    checked = check(ordinary, CHRIS_FILES_ROOT=str(root))
    assert (
        f"{root} cannot be written: Permission denied. It belongs to user root and group root (drwxr-xr-x), and the "
        f"gateway runs as user {UID}: give it that right, or run the gateway as the user of CUBE"
    ) in checked


@pytest.mark.skipif(os.geteuid() != 0, reason="a directory belongs to another user: run the tests as root")
def test_check_says_whose_the_directory_is_that_may_not_be_written(ordinary, public_directory):
    """CUBE makes `SERVICES/PACS` when it migrates, as a user of its own; the root above it may be everybody's."""
    root = Path(public_directory, "shared")
    root.mkdir()
    (root / "SERVICES" / "PACS").mkdir(parents=True)
    root.chmod(0o777)
    checked = check(ordinary, CHRIS_FILES_ROOT=str(root))
    assert (
        f"{root}/SERVICES/PACS cannot be written: Permission denied. It belongs to user root and group root" in checked
    )


@pytest.mark.skipif(os.geteuid() != 0, reason="the name of the gateway's user is that of the tests: run them as root")
def test_check_sees_a_directory_that_was_made_before_the_umask_was_set_right(ordinary):
    pacs = ordinary.files_root / "SERVICES" / "PACS" / "TEST"
    pacs.mkdir(parents=True)
    for path in (pacs, *list(pacs.parents)[:2]):
        os.chown(path, UID, -1)
        path.chmod(0o755)
    ordinary.files_root.chmod(0o755)
    assert "everyone else" in check(ordinary, CHRIS_UMASK="022").partition("read by")[2].partition(";")[0]
    pacs.chmod(0o700)
    checked = check(ordinary, CHRIS_UMASK="022")
    assert "everyone else" not in checked.partition("read by")[2].partition(";")[0]
    assert f"CUBE must be one of them; {pacs} keeps everyone else out (chmod o+x would let them pass)" in checked


def test_a_new_storage_that_may_only_be_read_is_told_as_that(stopped, tmp_path):
    port = free_port()
    stopped.environment["CHRIS_HTTP_PORT"] = str(port)
    stopped.files_root.chmod(0o555)
    stopped.start(wait=False)
    (line,) = wait_until(lambda: stopped.lines("storage_unavailable"), "it says why")
    assert "because the storage cannot be written (Permission denied)" in line["message"]
    assert "To do: give this user write permission in CHRIS_FILES_ROOT" in line["message"]
    (answer,) = send(stopped.port, make_series(tmp_path / "in", 1))
    assert answer.ErrorComment == "The storage cannot be written"

    def told():
        """Return what the page says of the storage, once there is a page."""
        with contextlib.suppress(OperationError):
            reasons = Page(f"http://127.0.0.1:{port}/status.json").fetch().judgement.reasons
            return [one.sentence for one in reasons if one.subject == "storage"]

    assert wait_until(told, "the page says so") == ["no instance is accepted (A700): the storage cannot be written"]
    reasons = json.loads(stopped.run("status", "--json").stdout)["judgement"]["reasons"]
    (reason,) = [one for one in reasons if one["subject"] == "storage"]
    name = pwd.getpwuid(os.geteuid()).pw_name if os.geteuid() else UID
    assert f"user {name}, who runs this command, cannot write it" in reason["sentence"]
    assert reason["remedy"].removeprefix("if the gateway runs as that user: ") in line["message"], (
        "nothing of the gateway is there: its trouble is seen from here"
    )
    stopped.files_root.chmod(0o755)
    wait_until(lambda: stopped.lines("storage_available"), "it goes on by itself")
