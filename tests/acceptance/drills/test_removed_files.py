"""No row without its file: a directory that CUBE or a person removes at any moment between Success and COMMIT."""

import os
import shutil

import psycopg
import pytest

from tests.acceptance.drills.account import metadata_is_right, nothing_lost, settled
from tests.dicom import make_series, send
from tests.fixtures.postgres import value_of
from tests.waiting import wait_until


def send_series(gateway, directory, series_uid, count=5):
    paths = make_series(directory / series_uid, count, series_uid)
    assert {status.Status for status in send(gateway.port, paths)} == {0}
    return {f"{series_uid}.{number}": path for number, path in enumerate(paths, 1)}


def remove(gateway, tmp_path):
    shutil.rmtree(gateway.files_root / "SERVICES/PACS/TEST")


def move_away(gateway, tmp_path):
    os.rename(gateway.files_root / "SERVICES/PACS/TEST", tmp_path / "moved")


def remove_one(gateway, tmp_path):
    os.unlink(gateway.files_root / gateway.stored()[2])


@pytest.mark.parametrize("how", [remove, move_away, remove_one])
def test_files_that_go_while_the_database_is_away_are_stored_again(how, make_gateway, proxied, proxy, rows, tmp_path):
    gateway = make_gateway(db=proxied)
    proxy.refuse()
    sent = send_series(gateway, tmp_path / "in", "1.2.3")
    wait_until(lambda: len(gateway.stored()) == 5, "all are stored")
    wait_until(lambda: len(gateway.find(".oxidicom/0*/spool/*/*.stored")) >= 5, "and marked")
    how(gateway, tmp_path)
    proxy.accept()
    settled(gateway)
    nothing_lost(gateway, rows, sent)
    assert metadata_is_right(rows(metadata=True)) == 5
    assert gateway.lines("files_gone")


def test_files_that_go_while_the_transaction_waits_for_a_lock(gateway, database, rows, tmp_path):
    """They stood when it began."""
    with psycopg.connect(database) as locking, locking.cursor() as cursor:
        cursor.execute("LOCK TABLE pacsfiles_pacsfile IN EXCLUSIVE MODE")
        sent = send_series(gateway, tmp_path / "in", "1.2.3")
        with psycopg.connect(database, autocommit=True) as watching:
            waits = (
                "SELECT count(*) FROM pg_stat_activity WHERE datname = current_database() AND wait_event_type = 'Lock'"
            )
            wait_until(lambda: value_of(watching, waits), "the transaction waits")
        wait_until(lambda: len(gateway.stored()) == 5, "all are stored")
        remove(gateway, tmp_path)
        locking.rollback()
    settled(gateway)
    nothing_lost(gateway, rows, sent)
    assert metadata_is_right(rows(metadata=True)) == 5


def test_directories_that_are_removed_all_the_time_cost_no_row_and_nothing_waits(gateway, rows, tmp_path):
    for number in range(6):
        send_series(gateway, tmp_path / "in", f"1.2.3.{number}", 3)
        shutil.rmtree(gateway.files_root / "SERVICES/PACS/TEST", ignore_errors=True)
    settled(gateway)
    names = {row["fname"] for row in rows()}
    assert len(names) == 18
    assert gateway.stop() == 0
    assert not gateway.find(".oxidicom/set-aside/*")
