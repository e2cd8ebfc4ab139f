"""Foreign senders: DCMTK's storescu and dcmsend, a realistic CT series, associations side by side."""

import concurrent.futures
import subprocess
import warnings

import pydicom
import pytest
from pynetdicom import AE

from tests.dicom import CT, dataset_bytes, leave_responses_to_the_caller, make_series, open_association, send
from tests.waiting import wait_until


def run(*command):
    done = subprocess.run([str(part) for part in command], capture_output=True, text=True, timeout=60)
    assert done.returncode == 0, done.stderr
    return done.stdout + done.stderr


@pytest.mark.dcmtk
def test_storescu_sends_a_series(gateway, rows, tmp_path):
    paths = make_series(tmp_path / "in", 5)
    run("storescu", "-aet", "SCU", "-aec", "ChRIS", "127.0.0.1", gateway.port, *paths)
    wait_until(lambda: len(rows()) == 5, "the rows")
    assert {row["identifier"] for row in rows()} == {"SCU"}


@pytest.mark.dcmtk
def test_dcmsend_sends_a_directory_and_reports_success(gateway, rows, tmp_path):
    make_series(tmp_path / "in", 5)
    output = run("dcmsend", "-v", "-aet", "SCU", "127.0.0.1", gateway.port, "--scan-directories", tmp_path / "in")
    assert "with status SUCCESS  : 5" in output
    wait_until(lambda: len(rows()) == 5, "the rows")


@pytest.mark.dcmtk
def test_echoscu_is_answered(gateway):
    run("echoscu", "-aet", "SCU", "-aec", "ChRIS", "127.0.0.1", gateway.port)


def test_c_echo_is_answered_with_its_own_message_id(gateway):
    entity = AE("SCU")
    entity.add_requested_context("1.2.840.10008.1.1")
    association = entity.associate("127.0.0.1", gateway.port)
    leave_responses_to_the_caller(association)
    assert association.send_c_echo(msg_id=4711).Status == 0
    association.release()


def test_a_realistic_ct_series_of_531_slices(gateway, rows, tmp_path):
    from medimages4tests.dummy.dicom.ct.wholebody.siemens.biograph_vision.vr20b import get_image

    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        directory = get_image(out_dir=tmp_path / "ct")
    paths = sorted(directory.iterdir())
    assert len(paths) == 531
    assert {status.Status for status in send(gateway.port, paths, "CTSCANNER")} == {0}
    wait_until(lambda: len(rows()) == 531 and len(rows(metadata=True)) == 2, "all rows", 60)
    assert rows(metadata=True)[-1]["SeriesDescription"] == "531"
    by_uid = {pydicom.dcmread(path, stop_before_pixels=True).SOPInstanceUID: path for path in paths}
    for row in rows()[::50]:
        stored = gateway.files_root / row["fname"]
        path = by_uid[pydicom.dcmread(stored, stop_before_pixels=True).SOPInstanceUID]
        assert dataset_bytes(stored) == dataset_bytes(path)


@pytest.mark.parametrize("same", [False, True], ids=["four series", "the same series"])
def test_four_associations_at_once(same, gateway, rows, tmp_path):
    uids = ["1.2.3.4"] * 4 if same else [f"1.2.3.{index}" for index in range(4)]
    series = [make_series(tmp_path / str(index), 25, uid) for index, uid in enumerate(uids)]
    with concurrent.futures.ThreadPoolExecutor(4) as pool:
        for statuses in pool.map(lambda paths: send(gateway.port, paths), series):
            assert {status.Status for status in statuses} == {0}
    count = 25 if same else 100
    wait_until(lambda: len(rows()) == count and len(rows(metadata=True)) == 8, "all rows")
    assert sorted(row["fname"] for row in rows()) == gateway.stored()
    counts = [row for row in rows(metadata=True) if row["ProtocolName"] == "OxidicomAttemptedPushCount"]
    assert [row["SeriesDescription"] for row in counts] == ["25"] * 4


def test_a_dataset_without_a_required_tag_is_refused_and_the_association_goes_on(gateway, rows, tmp_path):
    bad, good = make_series(tmp_path / "in", 2)
    dataset = pydicom.dcmread(bad)
    del dataset.PatientID
    dataset.save_as(bad)
    refused, taken = send(gateway.port, [bad, good])
    assert (refused.Status, taken.Status) == (0xC000, 0)
    assert "PatientID" in refused.ErrorComment
    (row,) = wait_until(rows, "the row of the good one")
    assert [row["fname"]] == gateway.stored()
    (line,) = wait_until(lambda: gateway.lines("association_ended"), "the closing line")
    assert (line["received"], line["committed"], line["refused_by_status"]) == (2, 1, {"C000": 1})


def test_an_association_without_instances_leaves_nothing(gateway, rows):
    from pynetdicom import build_context

    open_association(gateway.port, [build_context(CT)]).release()
    wait_until(lambda: gateway.lines("association_ended"), "the closing line")
    assert not gateway.spooled()
    assert not rows()


def test_no_line_at_info_holds_patient_data(gateway, rows, tmp_path):
    paths = make_series(
        tmp_path / "in", 2, PatientName="Geheim^Person", PatientID="ID-4711", PatientBirthDate="19991231"
    )
    send(gateway.port, paths)
    wait_until(lambda: len(rows()) == 2, "the rows")
    text = gateway.log_path.read_text()
    assert not any(secret in text for secret in ("Geheim", "4711", "19991231"))
