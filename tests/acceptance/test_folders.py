"""The whole way into CUBE 6 and 7: files at once, the series when it has ended, and nothing else."""

import json
import os
import pty
import subprocess

import psycopg
import pytest

from tests.acceptance.drills.account import nothing_lost, settled
from tests.dicom import contexts_of, make_instance, make_series, open_association, send
from tests.fixtures.folders import VERSIONS, dump
from tests.powers import need_root
from tests.waiting import wait_until


def execute(database, statement, *values):
    with psycopg.connect(database, autocommit=True) as connection:
        connection.execute(statement, values)


@pytest.mark.parametrize("version", VERSIONS)
def test_a_series_is_registered_in_each_version(version, make_gateway, make_folders_database, tmp_path):
    database = make_folders_database(version)
    gateway = make_gateway(db=database)
    paths = make_series(tmp_path / "in", 3, "1.2.3")
    assert [status.Status for status in send(gateway.port, paths, "PACSA")] == [0, 0, 0]
    wait_until(lambda: dump(database)["pacsfiles_pacsseries"], "the row of the series")
    settled(gateway)
    rows = dump(database)
    nothing_lost(
        gateway, lambda: rows["core_chrisfile"], {f"1.2.3.{number}": paths[number - 1] for number in (1, 2, 3)}
    )
    assert len(rows["core_filegrouppermission"]) == 3
    assert [row["path"] for row in rows["pacsfiles_pacs"]] == ["SERVICES/PACS/PACSA"]
    (series,) = rows["pacsfiles_pacsseries"]
    assert (series["SeriesInstanceUID"], series["Modality"], series["identifier"]) == ("1.2.3", "CT", "PACSA")
    assert series["path"] == os.path.dirname(rows["core_chrisfile"][0]["fname"])
    assert "org.fnndsc.oxidicom" not in str(rows)
    (line,) = wait_until(lambda: gateway.lines("series_ended"), "the verdict")
    assert (line["committed"], line["expected"]) == (3, "unknown")
    assert "schema generation folders" in gateway.run("status").stdout


def test_files_are_registered_at_once_and_the_series_after_all_of_them(
    folders_gateway, folder_rows, series_rows, tmp_path
):
    paths = make_series(tmp_path / "in", 5, "1.2.3")
    association = open_association(folders_gateway.port, contexts_of(paths))
    for number, path in enumerate(paths, 1):
        assert association.send_c_store(os.fspath(path)).Status == 0
        wait_until(lambda number=number: len(folder_rows()) == number, "its row")
        assert not series_rows()
    association.release()
    wait_until(series_rows, "the row of the series")
    assert len(folder_rows()) == 5


def test_thousands_of_studies_in_one_directory_hold_up_nobody(folders_gateway, series_rows, folder_rows, tmp_path):
    """Some programs that make patients anonymous give each instance a study of its own."""
    paths = [
        make_instance(tmp_path / f"{number}.dcm", number, "1.2.3", StudyInstanceUID=f"1.9.{number}")
        for number in range(800)
    ]
    send(folders_gateway.port, paths)
    send(folders_gateway.port, make_series(tmp_path / "in", 2, "1.2.4"), "OTHER")
    wait_until(lambda: [row for row in series_rows() if row["identifier"] == "OTHER"], "the row of the other series")
    settled(folders_gateway)
    assert (len(folder_rows()), len(series_rows())) == (802, 2)


def test_a_second_retrieval_adds_its_files_and_no_second_series(folders_gateway, folder_rows, series_rows, tmp_path):
    paths = make_series(tmp_path / "in", 3, "1.2.3")
    send(folders_gateway.port, paths[:2])
    wait_until(series_rows, "the row of the series")
    send(folders_gateway.port, paths)
    wait_until(lambda: len(folder_rows()) == 3, "the late one")
    wait_until(lambda: len(folders_gateway.lines("series_ended")) == 2, "the second end")
    settled(folders_gateway)
    assert len(series_rows()) == 1


def test_the_row_of_a_series_is_right_after_a_restart_in_the_middle(
    make_gateway, folders_database, folder_rows, series_rows, tmp_path
):
    """Nothing of the series is in memory then, and its instances have left the spool: its files tell what it is."""
    gateway = make_gateway(db=folders_database)
    paths = make_series(tmp_path / "in", 3, "1.2.3", PatientName="Last^First", SeriesDescription="what it is")
    association = open_association(gateway.port, contexts_of(paths))
    assert [association.send_c_store(os.fspath(path)).Status for path in paths] == [0, 0, 0]
    wait_until(lambda: len(folder_rows()) == 3, "its rows")
    wait_until(lambda: not gateway.find(".oxidicom/0*/spool/*/*-*-*.stored"), "its instances have left the spool")
    gateway.kill_all()
    gateway.start()
    wait_until(series_rows, "the row of the series")
    (series,) = series_rows()
    assert (series["PatientName"], series["SeriesDescription"]) == ("Last^First", "what it is")


def test_oddities_are_told_once(folders_gateway, series_rows, tmp_path):
    first = make_instance(tmp_path / "1.dcm", 1, "1.2.3", SeriesDescription="one")
    second = make_instance(tmp_path / "2.dcm", 2, "1.2.3", SeriesDescription="other")
    send(folders_gateway.port, [first])
    wait_until(series_rows, "the row of the series")
    for _ in range(2):
        send(folders_gateway.port, [second])
    wait_until(lambda: len(folders_gateway.lines("series_ended")) == 3, "all have ended")
    (line,) = folders_gateway.lines("series_odd")
    assert line["message"].startswith("Series 1.2.3 from TEST is registered with another directory")
    assert line["level"] == "WARNING"


def test_a_series_that_cube_deletes_waits_and_then_comes_again(
    folders_gateway, folders_database, folder_rows, series_rows, tmp_path
):
    paths = make_series(tmp_path / "in", 4, "1.2.3")
    send(folders_gateway.port, paths[:2])
    wait_until(series_rows, "the row of the series")
    settled(folders_gateway)
    execute(folders_database, "UPDATE pacsfiles_pacsseries SET deletion_status = 'pending'")
    send(folders_gateway.port, paths[2:])
    wait_until(lambda: folders_gateway.lines("rows_held"), "it is told")
    assert len(folder_rows()) == 2
    delete_series(folders_gateway, folders_database)
    wait_until(series_rows, "the row of the series again", 60)
    settled(folders_gateway)
    nothing_lost(folders_gateway, folder_rows, {f"1.2.3.{number}": paths[number - 1] for number in (3, 4)})
    assert not folders_gateway.lines("row_set_aside")


def delete_series(gateway, database):
    """What CUBE's worker does: all rows of the series in one transaction, then its directory."""
    (directory,) = {os.path.dirname(name) for name in gateway.stored()}
    with psycopg.connect(database) as connection:
        connection.execute("DELETE FROM pacsfiles_pacsseries")
        connection.execute("DELETE FROM core_filegrouppermission")
        connection.execute("DELETE FROM core_chrisfile")
        (folder,) = connection.execute("SELECT id FROM core_chrisfolder WHERE path = %s", [directory]).fetchone() or ()
        connection.execute("DELETE FROM core_foldergrouppermission WHERE folder_id = %s", [folder])
        connection.execute("DELETE FROM core_chrisfolder WHERE id = %s", [folder])
    for name in gateway.stored():
        (gateway.files_root / name).unlink()
    (gateway.files_root / directory).rmdir()


# -- what the operator sees ----------------------------------------------------------------------------------------


def test_check_prints_the_grants_that_lack_and_they_are_enough(
    make_gateway, folders_role, folders_database, series_rows, tmp_path
):
    name, conninfo = folders_role
    execute(folders_database, f"GRANT SELECT ON ALL TABLES IN SCHEMA public TO {name}")
    gateway = make_gateway(db=conninfo)
    send(gateway.port, make_series(tmp_path / "in", 2, "1.2.3"))
    wait_until(lambda: gateway.lines("database_unavailable"), "it says that it lacks rights")
    assert "GRANT" in gateway.lines("database_unavailable")[0]["reason"]
    done = gateway.run("check")
    assert done.returncode == 2
    grants = [line for line in done.stdout.splitlines() if line.startswith("GRANT ")]
    assert all(line.endswith(f" TO {name};") for line in grants)
    for grant in grants:
        execute(folders_database, grant)
    assert gateway.run("check").returncode == 0
    wait_until(series_rows, "the row of the series")
    settled(gateway)


def test_check_prints_the_grants_also_when_it_may_not_even_look(make_gateway, folders_role, folders_database):
    name, conninfo = folders_role
    gateway = make_gateway(start=False, db=conninfo)
    done = gateway.run("check")
    assert done.returncode == 2
    grants = [line for line in done.stdout.splitlines() if line.startswith("GRANT ")]
    assert f"GRANT SELECT (id, username) ON auth_user TO {name};" in grants
    for grant in grants:
        execute(folders_database, grant)
    done = gateway.run("check")
    assert done.returncode == 1, "with these it can work; the rest is useful, and can only be told now"
    for grant in [line for line in done.stdout.splitlines() if line.startswith("GRANT ")]:
        execute(folders_database, grant)
    assert gateway.run("check").returncode == 0


@pytest.mark.parametrize(
    ("umask", "owner", "said"),
    [
        ("022", None, "it is not known which user CUBE runs as"),
        ("022", 4711, "CUBE (user 4711, the owner of PIPELINES) cannot delete what will be stored"),
        ("000", 4711, "CUBE (user 4711, the owner of PIPELINES) can delete what will be stored"),
        ("022", 0, "the owner of PIPELINES) can delete what will be stored"),
    ],
)
def test_check_tells_whether_cube_can_delete_what_is_stored(umask, owner, said, make_gateway, folders_database):
    need_root()
    gateway = make_gateway(start=False, db=folders_database, CHRIS_UMASK=umask)
    if owner is not None:
        (gateway.files_root / "PIPELINES").mkdir()
        os.chown(gateway.files_root / "PIPELINES", owner, owner)
    assert said in " ".join(gateway.run("check", COLUMNS="400").stdout.split())


# -- an old tree and a new database --------------------------------------------------------------------------------


@pytest.fixture
def old_tree(make_gateway, database, rows, tmp_path):
    """A gateway at rest with the flat tables of CUBE 5, and two series."""
    gateway = make_gateway()
    for number in (1, 2):
        paths = make_series(tmp_path / f"in{number}", 3, f"1.2.{number}", SeriesNumber=number)
        send(gateway.port, paths, "PACSA")
    wait_until(lambda: len(rows()) == 6, "all is registered")
    settled(gateway)
    gateway.stop()
    return gateway


def reconcile(gateway, database, *arguments, status=0):
    done = gateway.run("reconcile", "--json", *arguments, CHRIS_DB_CONNECTION=database)
    assert done.returncode == status, done.stderr
    return json.loads(done.stdout)


def test_the_folders_of_an_old_tree_are_as_if_they_had_been_received(
    old_tree, make_gateway, folders_database, make_folders_database, tmp_path
):
    found = reconcile(old_tree, folders_database, status=1)
    assert (found["files_without_rows"], found["rows_without_files"], found["series_without_rows"]) == (6, 0, 0)
    assert not any("org.fnndsc.oxidicom" in one["path"] for one in found["differences"])
    found = reconcile(old_tree, folders_database, "--register", "--since", "1970-01-01")
    assert (found["registered"], found["series_registered"]) == (6, 2)
    assert reconcile(old_tree, folders_database)["differences"] == []
    received = make_folders_database()
    (tmp_path / "other").mkdir()
    gateway = make_gateway(db=received, directory=tmp_path / "other")
    for number in (1, 2):
        send(gateway.port, sorted((tmp_path / f"in{number}").iterdir()), "PACSA")
    wait_until(lambda: len(dump(received)["pacsfiles_pacsseries"]) == 2, "both series")
    assert dump(folders_database) == dump(received)


def test_what_may_have_been_deleted_is_not_brought_back_unasked(old_tree, folders_database):
    done = old_tree.run("reconcile", "--register", CHRIS_DB_CONNECTION=folders_database)
    assert done.returncode == 1
    assert "6 files below SERVICES/PACS have no row" in done.stderr
    assert "--since" in done.stderr
    assert not dump(folders_database)["core_chrisfile"]


@pytest.mark.parametrize(("answer", "registered"), [("y\n", 6), ("\n", 0), ("n\n", 0)])
def test_on_a_terminal_it_is_asked(answer, registered, old_tree, folders_database):
    master, slave = pty.openpty()
    environment = {**old_tree.environment, "CHRIS_DB_CONNECTION": folders_database}
    command = [*old_tree.command, "reconcile", "--register"]
    process = subprocess.Popen(command, env=environment, stdin=slave, stderr=slave, stdout=subprocess.PIPE)
    os.write(master, answer.encode())
    said, _ = process.communicate(timeout=60)
    os.close(slave)
    assert b"would come back. Register all of them? [y/N]" in os.read(master, 100_000)
    os.close(master)
    assert f"{registered} registered now".encode() in said
    assert len(dump(folders_database)["core_chrisfile"]) == registered


def test_since_leaves_what_is_older(old_tree, folders_database):
    old, *_ = old_tree.stored()
    os.utime(old_tree.files_root / old, (0, 1_500_000_000))
    found = reconcile(old_tree, folders_database, "--register", "--since", "2020-01-01", status=1)
    left = {one["path"]: one["outcome"] for one in found["differences"] if one["outcome"] != "registered"}
    assert left.pop(old) == "it was received before --since"
    assert list(left) == [os.path.dirname(old)], "its series, which is not complete"
    assert (found["registered"], found["series_registered"], found["series_without_rows"]) == (5, 1, 2)


def test_a_series_that_is_being_received_is_no_difference(folders_gateway, folders_database, folder_rows, tmp_path):
    paths = make_series(tmp_path / "in", 2, "1.2.3")
    association = open_association(folders_gateway.port, contexts_of(paths))
    assert association.send_c_store(os.fspath(paths[0])).Status == 0
    wait_until(folder_rows, "its row")
    assert reconcile(folders_gateway, folders_database)["differences"] == []
    association.release()


def test_a_series_without_its_row_is_found_and_registered(folders_gateway, folders_database, series_rows, tmp_path):
    send(folders_gateway.port, make_series(tmp_path / "in", 2, "1.2.3"))
    wait_until(series_rows, "the row of the series")
    settled(folders_gateway)
    before = dump(folders_database)
    execute(folders_database, "DELETE FROM pacsfiles_pacsseries")
    found = reconcile(folders_gateway, folders_database, status=1)
    assert [one["kind"] for one in found["differences"]] == ["series without a row"]
    found = reconcile(folders_gateway, folders_database, "--register")
    assert found["series_registered"] == 1
    assert dump(folders_database) == before


def test_a_series_that_is_registered_with_another_directory_is_no_difference(
    folders_gateway, folders_database, tmp_path
):
    for number in (1, 2):
        path = make_instance(tmp_path / f"{number}.dcm", number, "1.2.3", SeriesDescription=str(number))
        send(folders_gateway.port, [path])
    wait_until(lambda: len(folders_gateway.lines("series_ended")) == 2, "both have ended")
    assert reconcile(folders_gateway, folders_database)["differences"] == []


def test_the_embedded_database_has_the_folders_if_it_is_told_so(make_gateway, public_directory, tmp_path):
    gateway = make_gateway(
        start=False, db="embedded", CHRIS_EMBEDDED_SCHEMA="folders", STATE_DIRECTORY=public_directory
    )
    for _ in range(2):  # the second time it finds its tables
        gateway.start()
        assert "schema generation folders" in gateway.run("status").stdout
        send(gateway.port, make_series(tmp_path / "in", 2, "1.2.3"))
        settled(gateway)
        assert gateway.stop() == 0


def test_a_series_of_which_all_is_set_aside_gets_its_row_by_retry(
    folders_gateway, folders_database, folder_rows, series_rows, tmp_path
):
    """Its end is set aside too: were it registered, nothing would register the series when its files come back."""
    execute(folders_database, "ALTER TABLE core_chrisfile ADD CONSTRAINT odd CHECK (fname NOT LIKE '%%.dcm')")
    send(folders_gateway.port, make_series(tmp_path / "in", 2, "1.2.3"))
    wait_until(lambda: folders_gateway.lines("series_ended"), "the series has ended")
    settled(folders_gateway)
    assert (folder_rows(), series_rows()) == ([], [])
    assert "all files of its series are set aside" in folders_gateway.run("status").stdout
    execute(folders_database, "ALTER TABLE core_chrisfile DROP CONSTRAINT odd")
    done = folders_gateway.run("retry", "--wait")
    assert (done.returncode, "3 registered, 0 set aside again" in done.stdout) == (0, True)
    assert (len(folder_rows()), len(series_rows())) == (2, 1)
    assert reconcile(folders_gateway, folders_database)["differences"] == []


def test_a_series_whose_row_is_refused_is_set_aside_and_comes_by_retry(
    folders_gateway, folders_database, folder_rows, series_rows, tmp_path
):
    execute(folders_database, "ALTER TABLE pacsfiles_pacsseries ADD CONSTRAINT odd CHECK (\"PatientID\" <> '1CT1')")
    send(folders_gateway.port, make_series(tmp_path / "in", 2, "1.2.3"))
    wait_until(lambda: folders_gateway.lines("row_set_aside"), "its row is set aside")
    wait_until(lambda: folders_gateway.lines("series_ended"), "the series has ended")
    assert (len(folder_rows()), series_rows()) == (2, [])
    assert "OxidicomAttemptedPushCount" in folders_gateway.run("status").stdout
    execute(folders_database, "ALTER TABLE pacsfiles_pacsseries DROP CONSTRAINT odd")
    assert folders_gateway.stop() == 0
    assert folders_gateway.run("retry").returncode == 0
    folders_gateway.start()
    wait_until(series_rows, "the row of the series")
    settled(folders_gateway)
    assert reconcile(folders_gateway, folders_database)["differences"] == []
