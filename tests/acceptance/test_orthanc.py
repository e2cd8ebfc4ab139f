"""Orthanc as the PACS that holds a study, is asked by C-FIND, and sends by C-STORE and by C-MOVE."""

import pytest
from pydicom import Dataset
from pynetdicom import AE

from tests.dicom import dataset_bytes, make_series
from tests.waiting import wait_until

_STUDY_ROOT_MOVE = "1.2.840.10008.5.1.4.1.2.2.2"

pytestmark = pytest.mark.orthanc


@pytest.fixture
def loaded(make_gateway, make_orthanc, tmp_path):
    """A gateway, and an Orthanc that holds a study of two series and knows the gateway."""
    gateway = make_gateway(start=False)
    orthanc = make_orthanc(gateway.port)
    gateway.environment["CHRIS_PACS_ADDRESS"] = f"ORTHANC=127.0.0.1:{orthanc.dicom_port}"
    gateway.start()
    orthanc.wait()
    paths = make_series(tmp_path / "a", 4, "1.2.7.1") + make_series(tmp_path / "b", 3, "1.2.7.2", SeriesNumber=2)
    orthanc.load(paths)
    return gateway, orthanc


def values(rows):
    return sorted(
        (row["SeriesInstanceUID"], row["ProtocolName"], row["SeriesDescription"]) for row in rows(metadata=True)
    )


EXPECTED = [
    ("1.2.7.1", "NumberOfSeriesRelatedInstances", "4"),
    ("1.2.7.1", "OxidicomAttemptedPushCount", "4"),
    ("1.2.7.2", "NumberOfSeriesRelatedInstances", "3"),
    ("1.2.7.2", "OxidicomAttemptedPushCount", "3"),
]


def test_a_study_that_orthanc_pushes_is_complete_by_its_own_numbers(loaded, rows, tmp_path):
    gateway, orthanc = loaded
    orthanc.store(orthanc.get("/studies"))
    wait_until(lambda: len(rows()) == 7 and values(rows) == EXPECTED, "all rows")
    stored = {dataset_bytes(gateway.files_root / row["fname"]) for row in rows()}
    assert stored == set(map(dataset_bytes, orthanc.files(tmp_path / "own")))
    lines = wait_until(lambda: len(gateway.lines("series_ended")) == 2 and gateway.lines("series_ended"), "verdicts")
    assert {line["verdict"] for line in lines} == {"complete"}


def test_a_study_that_is_moved_to_the_gateway_is_complete(loaded, rows):
    _, orthanc = loaded
    entity = AE("MOVER")
    entity.add_requested_context(_STUDY_ROOT_MOVE)
    association = entity.associate("127.0.0.1", orthanc.dicom_port, ae_title="ORTHANC")
    query = Dataset()
    query.QueryRetrieveLevel = "STUDY"
    query.StudyInstanceUID = rows_study(orthanc)
    final = [status.Status for status, _ in association.send_c_move(query, "ChRIS", _STUDY_ROOT_MOVE)][-1]
    association.release()
    assert final == 0
    wait_until(lambda: len(rows()) == 7 and values(rows) == EXPECTED, "all rows")


def rows_study(orthanc):
    (study,) = orthanc.get("/studies")
    return orthanc.get(f"/studies/{study}")["MainDicomTags"]["StudyInstanceUID"]


def test_a_second_retrieval_adds_metadata_and_no_rows_of_files(loaded, rows):
    gateway, orthanc = loaded
    for count in (1, 2):
        orthanc.store(orthanc.get("/studies"))
        wait_until(lambda: len(rows(metadata=True)) == 4 * count, "metadata")  # noqa: B023
    assert len(rows()) == 7
    wait_until(lambda: len(gateway.lines("series_ended")) == 4, "verdicts")
    assert sorted(line["registered_before"] for line in gateway.lines("series_ended")) == [0, 0, 3, 4]
