"""What devices send against the standard, over the wire: it is stored as it came, and said once in the log."""

import urllib.request

import pytest

from tests.dicom import dataset_bytes, file_meta_of
from tests.fixtures.collector import attributes_of
from tests.fixtures.gateway import free_port
from tests.raw_sender import RawSender
from tests.unit.association.association_peer import CT, EXPLICIT, IMPLICIT, MR, VERIFICATION
from tests.unit.dataset.dataset_bytes import MR_BRAIN, dataset, encode
from tests.unit.dataset.test_odd_dataset import PIXELS, READ_BY_PYDICOM, REFUSED, WHOLE
from tests.waiting import wait_until

INSTANCE = MR_BRAIN["SOPInstanceUID"]


def lines_of(gateway, action):
    """Return the lines of an action once all of the association is accounted for."""
    wait_until(lambda: gateway.lines("association_ended"), "the association has ended")
    return gateway.lines(action)


def value_of(port, metric):
    with urllib.request.urlopen(f"http://127.0.0.1:{port}/metrics", timeout=30) as response:
        lines = response.read().decode().splitlines()
    return [float(line.split()[-1]) for line in lines if line.startswith(f"{metric} ")]


def test_odd_datasets_are_stored_as_they_came(gateway, rows):
    for number, encoded in enumerate(READ_BY_PYDICOM.values()):
        with RawSender(gateway.port, MR, EXPLICIT, f"ODD{number}") as sender:
            assert sender.store(encoded, MR, INSTANCE).Status == 0x0000
    wait_until(lambda: len(rows()) == len(READ_BY_PYDICOM), "a row for each", 60)
    stored = {row["identifier"]: row for row in rows()}
    for number, encoded in enumerate(READ_BY_PYDICOM.values()):
        row = stored[f"ODD{number}"]
        assert dataset_bytes(gateway.files_root / row["fname"]) == encoded
        assert row["StudyInstanceUID"] == MR_BRAIN["StudyInstanceUID"]


def test_the_comment_names_the_cause(gateway):
    with RawSender(gateway.port, MR, EXPLICIT) as sender:
        for encoded, comment in REFUSED.values():
            response = sender.store(encoded, MR, INSTANCE)
            assert response.Status == 0xC000
            assert response.ErrorComment.startswith(comment)
            assert response.OffendingElement
    assert gateway.stored() == []


def test_a_dataset_that_is_cut_off_is_told_in_log_counter_and_trace(make_gateway, collector, rows):
    port = free_port()
    gateway = make_gateway(CHRIS_HTTP_PORT=str(port), OTEL_EXPORTER_OTLP_ENDPOINT=collector.endpoint)
    cut = (WHOLE + PIXELS)[:-10]
    with RawSender(gateway.port, MR, EXPLICIT) as sender:
        for encoded in (WHOLE + PIXELS, cut):
            assert sender.store(encoded, MR, INSTANCE).Status == 0x0000
    (line,) = lines_of(gateway, "instance_warned")
    assert line["level"] == "WARNING"
    assert (line["sop_instance_uid"], line["calling_ae_title"]) == (INSTANCE, "TEST")
    assert "dataset is cut off in (7FE0,0010)" in line["message"]
    wait_until(lambda: value_of(port, "oxidicom_instance_warned_total") == [1], "the counter")
    assert value_of(port, "oxidicom_instance_committed_total") == [2]
    (span,) = wait_until(lambda: collector.spans_named("association"), "the span of the association")
    (event,) = span.events
    assert event.name == "instance stored with a warning"
    assert attributes_of(event)["oxidicom.reason"] == "dataset is cut off in (7FE0,0010)"
    wait_until(rows, "the row")
    assert dataset_bytes(gateway.files_root / rows()[0]["fname"]) == cut


def test_each_kind_of_warning_is_told_though_there_are_many_of_another(gateway):
    with RawSender(gateway.port, MR, EXPLICIT) as sender:
        for _ in range(15):
            sender.store(encode(dataset(PatientSex="X")), MR, INSTANCE)
        sender.store(encode(dataset(PatientID="")), MR, INSTANCE)
    lines = lines_of(gateway, "instance_warned")
    assert len([line for line in lines if "PatientSex is unusable" in line["message"]]) == 1
    assert len([line for line in lines if "PatientID is empty" in line["message"]]) == 1
    assert gateway.stop() == 0
    (rest,) = [line for line in gateway.lines("instance_warned") if "count" in line]
    assert "PatientSex is unusable" in rest["message"]
    assert rest["count"] == 14


def test_a_thousand_refused_instances_are_one_line_with_a_count_and_name_the_instance(gateway):
    with RawSender(gateway.port, MR, EXPLICIT) as sender:
        for number in range(1000):
            uid = f"1.2.3.{number}"
            encoded = encode(dataset(SOPInstanceUID=uid, StudyDate=""))
            assert sender.store(encoded, MR, uid).Status == 0xC000
    assert gateway.stop() == 0
    lines = gateway.lines("instance_refused")
    assert lines[0]["sop_instance_uid"] == "1.2.3.0"
    assert lines[0]["series_instance_uid"] == dataset().SeriesInstanceUID
    assert lines[0]["sop_class"] == "MR Image Storage"
    assert {(line["calling_ae_title"], line["status"], line["reason"]) for line in lines} == {
        ("TEST", "C000", "StudyDate is empty")
    }
    assert lines[0]["peer"].startswith("127.0.0.1:")
    assert sum(line.get("count", 1) for line in lines) == 1000
    assert len(lines) <= 4, "one a minute, on a slow machine too"
    assert dataset().PatientID not in gateway.log_path.read_text()


@pytest.mark.parametrize(("context", "sop_class"), [(CT, MR), (VERIFICATION, MR)])
def test_a_class_that_is_not_that_of_its_context_is_stored_with_one_warning(gateway, rows, context, sop_class):
    with RawSender(gateway.port, context, IMPLICIT) as sender:
        for number in (1, 2):
            encoded = encode(dataset(SOPInstanceUID=f"1.2.{number}"), IMPLICIT)
            assert sender.store(encoded, sop_class, f"1.2.{number}").Status == 0x0000
        assert sender.store(encode(dataset(), IMPLICIT), VERIFICATION, INSTANCE).Status == 0x0122
    (line,) = lines_of(gateway, "class_not_of_context")
    assert line["level"] == "WARNING"
    assert context in line["message"]
    assert sop_class in line["message"]
    wait_until(lambda: len(rows()) == 2, "the rows")
    meta = file_meta_of(gateway.files_root / rows()[0]["fname"])
    assert (meta.MediaStorageSOPClassUID, meta.TransferSyntaxUID) == (MR, IMPLICIT)


@pytest.mark.filterwarnings("ignore:Invalid value for VR UI")  # pydicom, which makes them here
def test_uids_with_letters_and_an_empty_patient_id_are_stored_with_a_warning(gateway, rows):
    uids = ["1.2.f00ba4", "hash+/=", "hash/+="]
    with RawSender(gateway.port, MR, EXPLICIT) as sender:
        for uid in uids:
            encoded = encode(dataset(SOPInstanceUID=uid, SeriesInstanceUID=f"{uid}.s", PatientID=""))
            response = sender.store(encoded, MR, uid)
            assert response.Status == 0x0000
            assert response.get_item("AffectedSOPInstanceUID").value.rstrip(b"\0").decode() == uid
    assert lines_of(gateway, "instance_warned")
    wait_until(lambda: len(rows()) == len(uids), "the rows")
    assert {row["SeriesInstanceUID"] for row in rows()} == {f"{uid}.s" for uid in uids}
    assert {row["PatientID"] for row in rows()} == {""}
    assert len(gateway.stored()) == len(uids)


def test_a_title_that_is_not_the_name_of_its_directory_is_told_once(gateway, rows):
    for title in ("MY PACS", "MY_PACS"):
        with RawSender(gateway.port, MR, EXPLICIT, title) as sender:
            for _ in range(2):
                assert sender.store(WHOLE, MR, INSTANCE).Status == 0x0000
    wait_until(lambda: len(gateway.lines("association_ended")) == 2, "both have ended")
    (line,) = gateway.lines("directory_not_of_title")
    assert line["level"] == "WARNING"
    assert "MY PACS" in line["message"]
    assert "MY_PACS" in line["message"]
    wait_until(lambda: not gateway.spooled(), "everything is registered")
    assert [row["identifier"] for row in rows()] == ["MY PACS"], "they share the directory, and so the row"
