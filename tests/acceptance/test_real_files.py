"""The files that pydicom brings, of every class and syntax, sent as the bytes that they are by pynetdicom's SCU."""

import collections
import os
import warnings
from pathlib import Path

import pydicom
import pytest
from pydicom.filebase import DicomBytesIO
from pydicom.uid import UID, MediaStorageDirectoryStorage

from tests.corpus import REQUIRED, TYPICAL, differences
from tests.dicom import contexts_of, dataset_bytes, file_meta_of, open_association, send
from tests.waiting import wait_until

pytestmark = pytest.mark.filterwarnings("default")  # pydicom warns of what is odd in its odd files


def corpus():
    """Return every file of pydicom that says of itself what it is, but for directories of media."""
    base = Path(pydicom.__file__).parent / "data"
    found = []
    for path in sorted([*base.glob("test_files/**/*"), *base.glob("charset_files/**/*")]):
        if path.is_file():
            with warnings.catch_warnings():
                warnings.simplefilter("ignore")
                if _is_instance(path):
                    found.append(path)
    return found


def _is_instance(path):
    try:
        meta = pydicom.dcmread(path, stop_before_pixels=True).file_meta
    except (pydicom.errors.InvalidDicomError, EOFError, NotImplementedError):
        return False
    names = ("MediaStorageSOPClassUID", "MediaStorageSOPInstanceUID", "TransferSyntaxUID")
    if not all(meta.get(name) for name in names):
        return False
    return meta.MediaStorageSOPClassUID != MediaStorageDirectoryStorage


CORPUS = corpus()


def test_the_corpus_has_every_class_and_syntax():
    metas = [file_meta_of(path) for path in CORPUS]
    syntaxes = collections.Counter(meta.TransferSyntaxUID.name for meta in metas)
    assert len(CORPUS) == 169
    assert len({meta.MediaStorageSOPClassUID for meta in metas}) == 13
    assert len(syntaxes) == 12
    assert syntaxes["Deflated Explicit VR Little Endian"] == 1
    assert syntaxes["Explicit VR Big Endian"] == 7


def expected_status(path):
    """Say what the rules make of a file as it is, by pydicom's reading of it."""
    dataset = pydicom.dcmread(path, stop_before_pixels=True)
    missing = [keyword for keyword in REQUIRED if not _is_usable(dataset, keyword)]
    if missing:
        return 0xC000, missing
    meta = dataset.file_meta
    if (meta.MediaStorageSOPClassUID, meta.MediaStorageSOPInstanceUID) != (dataset.SOPClassUID, dataset.SOPInstanceUID):
        return 0xA900, []
    return 0x0000, []


def _is_usable(dataset, keyword):
    return bool(dataset.get(keyword)) or (keyword == "PatientID" and keyword in dataset)


def test_every_file_as_it_is_is_stored_or_refused_with_the_tag_that_it_lacks(gateway, rows):
    association = open_association(gateway.port, contexts_of(CORPUS))
    outcomes = collections.Counter()
    for path in CORPUS:
        response = association.send_c_store(os.fspath(path))
        status, missing = expected_status(path)
        assert response.Status == status, (path.name, response)
        if status == 0xC000:
            assert any(keyword in response.ErrorComment for keyword in missing), (path.name, response)
            assert response.OffendingElement
        outcomes[status] += 1
    association.release()
    assert outcomes == {0x0000: 127, 0xC000: 33, 0xA900: 9}
    wait_until(lambda: len(rows()) == len(gateway.stored()) and not gateway.spooled(), "the rows")


IMPLICIT_IN_EXPLICIT = "SC_rgb_jpeg.dcm"
"""Its VR encoding is not that of its syntax, as of some devices: pydicom reads it, and cannot write it by itself."""


def amended(path, directory, number):
    """Copy a file to `directory` with the required tags added and UIDs that agree."""
    dataset = pydicom.dcmread(path)
    for keyword, value in TYPICAL.items():
        if not dataset.get(keyword):
            setattr(dataset, keyword, value)
    dataset.SOPClassUID = dataset.file_meta.MediaStorageSOPClassUID
    dataset.SOPInstanceUID = dataset.file_meta.MediaStorageSOPInstanceUID = UID(f"1.2.826.0.2.{number}")
    target = directory / f"{number}.dcm"
    if path.name == IMPLICIT_IN_EXPLICIT:
        write_implicit(dataset, target)
    else:
        dataset.save_as(target)
    return target


def write_implicit(dataset, target):
    """Write a dataset in implicit VR, whatever its file meta says."""
    encoded = DicomBytesIO()
    encoded.is_little_endian = encoded.is_implicit_VR = True
    pydicom.filewriter.write_dataset(encoded, dataset)
    meta = DicomBytesIO(b"\0" * 128 + b"DICM")
    meta.seek(132)
    pydicom.filewriter.write_file_meta_info(meta, dataset.file_meta)
    target.write_bytes(meta.getvalue() + encoded.getvalue())


def test_every_file_with_its_required_tags_is_stored_byte_for_byte_and_registered(gateway, rows, tmp_path):
    paths = [amended(path, tmp_path, number) for number, path in enumerate(CORPUS)]
    assert len(paths) == len(CORPUS)
    statuses = send(gateway.port, paths)
    assert [hex(status.Status) for status in statuses] == ["0x0"] * len(paths)
    wait_until(lambda: len(rows()) == len(paths), "a row for each")
    by_uid = {row["fname"].rpartition("-")[2].removesuffix(".dcm"): row for row in rows()}
    for path in paths:
        sent = pydicom.dcmread(path)
        row = by_uid[sent.SOPInstanceUID]
        stored = gateway.files_root / row["fname"]
        assert file_meta_of(stored).TransferSyntaxUID == file_meta_of(path).TransferSyntaxUID
        assert differences(gateway, row, sent, dataset_bytes(path)) == []
