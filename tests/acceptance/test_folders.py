"""The whole way into CUBE 6 and 7: files at once, the series when it has ended, and nothing else."""

import os

import psycopg
import pytest

from tests.acceptance.drills.account import nothing_lost, settled
from tests.dicom import contexts_of, make_instance, make_series, open_association, send
from tests.fixtures.folders import VERSIONS, dump
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
    (line,) = gateway.lines("series_ended")
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
