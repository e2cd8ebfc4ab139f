"""The thin slice through everything: sent, spooled, stored, registered; killed in the middle and taken up again."""

import os
import signal

import pytest

from tests.dicom import dataset_bytes, make_series, send
from tests.waiting import wait_until


def test_an_instance_that_was_sent_is_stored_and_registered(gateway, rows, tmp_path):
    (path,) = make_series(tmp_path / "in", 1)
    (status,) = send(gateway.port, [path])
    assert status.Status == 0
    (row,) = wait_until(rows, "the row")
    assert gateway.stored() == [row["fname"]]
    assert dataset_bytes(gateway.files_root / row["fname"]) == dataset_bytes(path)
    assert (row["identifier"], row["PatientID"]) == ("TEST", "1CT1")
    assert wait_until(lambda: not gateway.spooled(), "the spool is empty") is True


def test_both_metadata_rows_of_a_series_follow_its_files(gateway, rows, tmp_path):
    send(gateway.port, make_series(tmp_path / "in", 3))
    metadata = wait_until(lambda: len(rows(metadata=True)) == 2 and rows(metadata=True), "two metadata rows")
    assert [(row["ProtocolName"], row["SeriesDescription"]) for row in metadata] == [
        ("NumberOfSeriesRelatedInstances", "unknown"),
        ("OxidicomAttemptedPushCount", "3"),
    ]
    assert metadata[1]["id"] > max(row["id"] for row in rows())
    for row in metadata:
        assert (gateway.files_root / row["fname"]).stat().st_size == 0


@pytest.mark.parametrize("who", ["everybody", "the supervisor"])
def test_what_was_answered_with_success_survives_kill_9_of(who, make_gateway, database, rows, tmp_path):
    """The database is away, so that everything still waits in the spool when the gateway dies."""
    gateway = make_gateway(db="host=127.0.0.1 port=1 dbname=nowhere")
    paths = make_series(tmp_path / "in", 20)
    assert [status.Status for status in send(gateway.port, paths)] == [0] * 20
    (gateway.kill_all if who == "everybody" else gateway.kill)()
    assert not rows()

    gateway.environment["CHRIS_DB_CONNECTION"] = database
    gateway.start()
    wait_until(lambda: len(rows(metadata=True)) == 2, "the metadata rows after the restart")
    assert sorted(row["fname"] for row in rows()) == gateway.stored()
    assert {dataset_bytes(gateway.files_root / name) for name in gateway.stored()} == set(map(dataset_bytes, paths))
    assert rows(metadata=True)[1]["SeriesDescription"] == "20"
    wait_until(lambda: not gateway.spooled(), "the spool is empty")


@pytest.mark.parametrize("role", ["storage", "registration", "inquiry", "observer"])
def test_the_death_of_one_process_costs_nothing(role, gateway, rows, tmp_path):
    victims = gateway.pids_of(role)
    for pid in victims:
        os.kill(pid, signal.SIGKILL)
    paths = make_series(tmp_path / "in", 10)
    assert [status.Status for status in send(gateway.port, paths)] == [0] * 10
    wait_until(lambda: len(rows()) == 10 and len(rows(metadata=True)) == 2, "all rows", 30)
    wait_until(lambda: gateway.pids_of(role) and set(gateway.pids_of(role)).isdisjoint(victims), "a successor")
    assert len(gateway.lines("process_died")) == len(victims)


def test_a_listener_that_dies_ends_only_its_association_and_its_count_is_right(gateway, rows, tmp_path):
    from tests.dicom import contexts_of, open_association

    paths = make_series(tmp_path / "in", 5)
    association = open_association(gateway.port, contexts_of(paths))
    for path in paths[:3]:
        assert association.send_c_store(str(path)).Status == 0
    before = set(gateway.pids_of("listener"))
    for pid in before:
        os.kill(pid, signal.SIGKILL)
    metadata = wait_until(lambda: len(rows(metadata=True)) == 2 and rows(metadata=True), "metadata rows", 30)
    assert metadata[1]["SeriesDescription"] == "3"
    association.abort()
    assert [status.Status for status in send(gateway.port, paths)] == [0] * 5
