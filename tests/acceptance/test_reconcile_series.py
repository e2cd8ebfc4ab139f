"""The row of a series says that all of it is there: `oxidicom reconcile` adds it only where that is so."""

import json
import os
import pty
import shutil
import subprocess

import psycopg
import pytest

from oxidicom.cube.database import Database
from oxidicom.operations.consent import Wish
from oxidicom.operations.reconcile import Reconciliation
from oxidicom.operations.work import Work
from tests.acceptance.drills.account import settled
from tests.dicom import contexts_of, make_instance, make_series, open_association, send
from tests.fixtures.folders import dump
from tests.waiting import wait_until

INCOMPLETE = "a file in its directory has no row: the series is registered when all of its files are"


def execute(database, *statements):
    with psycopg.connect(database, autocommit=True) as connection:
        for statement in statements:
            connection.execute(statement)


def reconcile(gateway, *arguments, status=0, **variables):
    done = gateway.run("reconcile", "--json", *arguments, **variables)
    assert done.returncode == status, done.stderr
    return json.loads(done.stdout)


def outcomes(found, kind="series without a row"):
    return {one["path"]: one["outcome"] for one in found["differences"] if one["kind"] == kind}


@pytest.fixture
def filled(folders_gateway, series_rows, tmp_path):
    """A gateway at rest, with one series of three instances from each of two PACS."""
    for number, pacs in enumerate(("PACSA", "PACSB"), 1):
        send(folders_gateway.port, make_series(tmp_path / pacs, 3, f"1.2.{number}"), pacs)
    wait_until(lambda: len(series_rows()) == 2, "both series")
    settled(folders_gateway)
    return folders_gateway


@pytest.fixture
def incomplete(filled, folders_database):
    """No series has a row, and the first file has none. Its directory, and the other one, are returned."""
    lost, *_ = filled.stored()
    execute(
        folders_database,
        "DELETE FROM pacsfiles_pacsseries",
        f"DELETE FROM core_filegrouppermission USING core_chrisfile f WHERE f.id = file_id AND fname = '{lost}'",
        f"DELETE FROM core_chrisfile WHERE fname = '{lost}'",
    )
    os.utime(filled.files_root / lost, (0, 1_500_000_000))
    return [os.path.dirname(name) for name in filled.stored()[::3]]


# -- while series are received -------------------------------------------------------------------------------------


class Reception:
    """An association that brings one instance at one moment, and ends at another."""

    def __init__(self, gateway, rows, ended, path):
        self._gateway, self._rows, self._ended, self._path = gateway, rows, ended, path
        self._association = None

    def begin(self):
        if not self._association:
            self._association = open_association(self._gateway.port, contexts_of([self._path]))
            assert self._association.send_c_store(os.fspath(self._path)).Status == 0
            wait_until(self._rows, "its row")

    def end(self):
        if self._association and self._association.is_established:
            self._association.release()
            wait_until(self._ended, "the row of the series")


@pytest.fixture
def reception(folders_gateway, folder_rows, series_rows, tmp_path):
    made = Reception(folders_gateway, folder_rows, series_rows, make_instance(tmp_path / "1.dcm", 1, "1.2.3"))
    yield made
    made.end()


def before(monkeypatch, owner, name, act):
    """Let `act` happen right before each call of a method."""
    called = getattr(owner, name)

    def first_act(*arguments):
        act()
        return called(*arguments)

    monkeypatch.setattr(owner, name, first_act)


@pytest.mark.parametrize("ends", [False, True])
def test_a_series_that_comes_meanwhile_is_no_difference(
    ends, reception, folders_gateway, folders_database, series_rows, monkeypatch
):
    """It begins before the database is asked, and goes on, or ends before the spools are looked at."""
    before(monkeypatch, Database, "directories_without_series", reception.begin)
    if ends:
        before(monkeypatch, Work, "look", reception.end)
    database = Database(folders_database)
    found = list(Reconciliation(str(folders_gateway.files_root), database).run(Wish(register=True)))
    database.close()
    assert found == []
    assert len(series_rows()) == ends
    assert reconcile(folders_gateway)["differences"] == []


# -- what is wanted, and what is complete --------------------------------------------------------------------------


@pytest.mark.parametrize("answer", ["n\n", "\n"])
def test_without_consent_no_series_is_registered_either(answer, incomplete, filled, folders_database, series_rows):
    before = dump(folders_database)
    master, slave = pty.openpty()
    command = [*filled.command, "reconcile", "--register", "--json"]
    process = subprocess.Popen(command, env=filled.environment, stdin=slave, stderr=slave, stdout=subprocess.PIPE)
    os.write(master, answer.encode())
    said, _ = process.communicate(timeout=60)
    os.close(slave)
    asked = os.read(master, 100_000)
    os.close(master)
    assert b"1 file below SERVICES/PACS has no row." in asked
    assert b"Register it? [y/N]" in asked
    found = json.loads(said)
    assert process.returncode == 1
    assert outcomes(found) == dict.fromkeys(incomplete, "")
    assert (found["files_without_rows"], found["series_without_rows"], found["series_registered"]) == (1, 2, 0)
    assert dump(folders_database) == before


def test_a_series_whose_file_is_left_out_is_left_too(incomplete, filled, folders_database, series_rows):
    found = reconcile(filled, "--register", "--since", "2020-01-01", status=1)
    assert outcomes(found) == {incomplete[0]: INCOMPLETE, incomplete[1]: "registered"}
    assert [row["path"] for row in series_rows()] == incomplete[1:]
    found = reconcile(filled, "--register", "--since", "1970-01-01")
    assert outcomes(found) == {incomplete[0]: "registered"}
    assert [row["path"] for row in series_rows()] == incomplete
    assert reconcile(filled)["differences"] == []


def test_a_file_that_is_refused_leaves_its_series_incomplete(incomplete, filled, folders_database, series_rows):
    execute(folders_database, "ALTER TABLE core_chrisfile ADD CONSTRAINT odd CHECK (fname !~ 'PACSA') NOT VALID")
    found = reconcile(filled, "--register", "--since", "1970-01-01", status=1)
    assert outcomes(found) == {incomplete[0]: INCOMPLETE, incomplete[1]: "registered"}
    assert (found["registered"], found["series_registered"]) == (0, 1)


def test_what_is_no_dicom_file_makes_no_series_incomplete(filled, folders_database, series_rows):
    execute(folders_database, "DELETE FROM pacsfiles_pacsseries")
    first, second = (os.path.dirname(name) for name in filled.stored()[::3])
    (filled.files_root / first / "notes.txt").write_text("hello")
    with open(os.path.join(os.fsencode(filled.files_root / first), b"\xff.txt"), "wb"):
        pass
    (filled.files_root / first / "below").mkdir()
    shutil.copy(filled.files_root / filled.stored()[-1], filled.files_root / second / "copy.dcm")
    found = reconcile(filled, "--register", "--since", "1970-01-01", status=1)
    assert outcomes(found) == {first: "registered", second: INCOMPLETE}


def test_what_only_compares_says_what_differs_and_no_more(incomplete, filled, folders_database):
    before = dump(folders_database)
    found = reconcile(filled, status=1)
    assert outcomes(found) == dict.fromkeys(incomplete, "")
    assert (found["series_without_rows"], found["series_registered"], found["files_without_rows"]) == (2, 0, 1)
    said = filled.run("reconcile").stdout.splitlines()
    assert "6 files and 5 rows compared: 1 file without a row, 0 registered now; 0 rows without a file." in said
    assert "2 series without a row, 0 registered now." in said
    assert dump(folders_database) == before


# -- PACS ----------------------------------------------------------------------------------------------------------


def test_without_the_rows_of_their_pacs_series_are_registered_all_the_same(filled, folders_database):
    before = dump(folders_database)
    execute(folders_database, "DELETE FROM pacsfiles_pacsseries", "DELETE FROM pacsfiles_pacs")
    assert reconcile(filled, "--register")["series_registered"] == 2
    assert dump(folders_database) == before


@pytest.mark.parametrize("registered", [False, True])
def test_a_series_of_two_directories_is_one_where_its_pacs_has_another_folder(
    registered, folders_gateway, folders_database, series_rows, tmp_path
):
    for number in (1, 2):
        path = make_instance(tmp_path / f"{number}.dcm", number, "1.2.3", SeriesDescription=str(number))
        send(folders_gateway.port, [path])
    wait_until(lambda: len(folders_gateway.lines("series_ended")) == 2, "both have ended")
    settled(folders_gateway)
    other = "UPDATE pacsfiles_pacs SET folder_id = (SELECT id FROM core_chrisfolder WHERE path = 'SERVICES/PACS')"
    execute(folders_database, other)
    if not registered:
        execute(folders_database, "DELETE FROM pacsfiles_pacsseries")
        found = reconcile(folders_gateway, status=1)
        assert len(outcomes(found)) == found["series_without_rows"] == 1
        assert reconcile(folders_gateway, "--register")["series_registered"] == 1
    assert len(series_rows()) == 1
    assert reconcile(folders_gateway)["differences"] == []


# -- since when ----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("since", ["0001-01-01", "1970-01-01"])
def test_all_is_all(since, incomplete, filled):
    for seconds, name in zip((0, -(2**31), 2**33), filled.stored(), strict=False):
        os.utime(filled.files_root / name, (0, seconds))
    assert reconcile(filled, "--register", "--since", since, TZ="America/New_York")["registered"] == 1


@pytest.mark.parametrize("since", ["9999-12-31T23:59:59", "2026-02-30", "yesterday", ""])
def test_a_date_that_cannot_be_used_is_an_error_of_usage(since, make_gateway):
    gateway = make_gateway(start=False, db="host=127.0.0.1 port=1 dbname=nowhere")
    done = gateway.run("reconcile", "--register", "--since", since, TZ="Asia/Tokyo")
    assert done.returncode == 3
    assert "Error: Invalid value for '--since': " in done.stderr.splitlines()[-1]
