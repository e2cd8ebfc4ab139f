"""Associations of every shape, and the metadata rows of their series."""

import collections

import pytest

from tests.dicom import contexts_of, make_instance, make_series, open_association, send
from tests.waiting import wait_until


def counts(rows):
    """Return the OxidicomAttemptedPushCount by series, as registered."""
    found = collections.defaultdict(list)
    for row in rows(metadata=True):
        if row["ProtocolName"] == "OxidicomAttemptedPushCount":
            found[row["SeriesInstanceUID"]].append(int(row["SeriesDescription"]))
    return dict(found)


def test_several_series_studies_and_patients_in_one_association(gateway, rows, tmp_path):
    paths = [
        *make_series(tmp_path / "a", 2, "1.2.1", PatientID="one", StudyInstanceUID="1.2.100"),
        *make_series(tmp_path / "b", 3, "1.2.2", PatientID="one", StudyInstanceUID="1.2.100"),
        *make_series(tmp_path / "c", 4, "1.2.3", PatientID="two", StudyInstanceUID="1.2.200"),
    ]
    send(gateway.port, paths[::2] + paths[1::2])
    wait_until(lambda: len(rows(metadata=True)) == 6, "all metadata")
    assert counts(rows) == {"1.2.1": [2], "1.2.2": [3], "1.2.3": [4]}
    assert len(rows()) == 9


def test_one_series_uid_of_two_patients_is_two_series(gateway, rows, tmp_path):
    paths = [
        *make_series(tmp_path / "a", 1, "1.2.1", PatientID="one"),
        *make_series(tmp_path / "b", 2, "1.2.1", PatientID="two"),
    ]
    send(gateway.port, paths)
    wait_until(lambda: len(rows(metadata=True)) == 4, "all metadata")
    assert sorted(counts(rows)["1.2.1"]) == [1, 2]


def test_the_same_instance_twice_counts_twice_and_is_one_row(gateway, rows, tmp_path):
    path = make_instance(tmp_path / "a.dcm", 1, "1.2.1")
    send(gateway.port, [path, path])
    wait_until(lambda: len(rows(metadata=True)) == 2, "the metadata")
    assert counts(rows) == {"1.2.1": [2]}
    assert len(rows()) == 1


def test_the_version_that_was_committed_last_stays(gateway, rows, tmp_path):
    versions = [make_instance(tmp_path / f"{n}.dcm", 1, "1.2.1", OperatorsName=f"v{n}") for n in range(5)]
    send(gateway.port, versions)
    wait_until(lambda: len(rows(metadata=True)) == 2, "the metadata")
    (row,) = rows()
    assert b"v4" in (gateway.files_root / row["fname"]).read_bytes()


@pytest.mark.parametrize("how", ["abort", "lost"])
def test_an_association_that_breaks_off_has_its_counts(how, gateway, rows, tmp_path):
    paths = make_series(tmp_path / "in", 3, "1.2.1")
    association = open_association(gateway.port, contexts_of(paths))
    for path in paths[:2]:
        assert association.send_c_store(str(path)).Status == 0
    if how == "abort":
        association.abort()
    else:
        association.dul.socket.close()
    wait_until(lambda: len(rows(metadata=True)) == 2, "the metadata")
    assert counts(rows) == {"1.2.1": [2]}
    (line,) = wait_until(lambda: gateway.lines("association_ended"), "the closing line")
    assert ("aborted by the peer" if how == "abort" else "connection lost") in line["how"]


def test_a_thousand_series_in_one_association(gateway, rows, tmp_path):
    paths = [make_instance(tmp_path / f"{n}.dcm", 1, f"1.2.8.{n}") for n in range(1000)]
    assert {status.Status for status in send(gateway.port, paths)} == {0}
    wait_until(lambda: len(rows(metadata=True)) == 2000, "all metadata", 90)
    assert len(rows()) == 1000
    assert set(map(tuple, counts(rows).values())) == {(1,)}
    wait_until(lambda: not gateway.spooled(), "the spool is empty")
