"""The head of a stored file is what pydicom expects of it."""

import io

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydicom.filereader import dcmread

from oxidicom import IMPLEMENTATION_CLASS_UID, IMPLEMENTATION_VERSION_NAME
from oxidicom.dataset.part10 import build_file_meta, read_file_meta
from oxidicom.errors import DatasetError
from tests.unit.dataset.dataset_bytes import EXPLICIT, dataset, element, encode

UIDS = st.text("0123456789.", min_size=1, max_size=64)
AE_TITLES = st.text(st.characters(min_codepoint=0x21, max_codepoint=0xFF), min_size=1, max_size=16)


def example(calling_ae_title: str = "MINICHRIS", sop_instance_uid: str = "1.2.3.4") -> bytes:
    return build_file_meta(
        sop_class_uid="1.2.840.10008.5.1.4.1.1.4",
        sop_instance_uid=sop_instance_uid,
        transfer_syntax_uid=EXPLICIT,
        calling_ae_title=calling_ae_title,
        our_ae_title="ChRIS",
    )


def test_pydicom_reads_the_file_meta() -> None:
    read = dcmread(io.BytesIO(example() + encode(dataset())))
    meta = read.file_meta
    assert meta.FileMetaInformationVersion == b"\0\1"
    assert meta.MediaStorageSOPClassUID == "1.2.840.10008.5.1.4.1.1.4"
    assert meta.MediaStorageSOPInstanceUID == "1.2.3.4"
    assert meta.TransferSyntaxUID == EXPLICIT
    assert meta.ImplementationClassUID == IMPLEMENTATION_CLASS_UID
    assert meta.ImplementationVersionName == IMPLEMENTATION_VERSION_NAME
    assert meta.SourceApplicationEntityTitle == "MINICHRIS"
    assert meta.SendingApplicationEntityTitle == "MINICHRIS"
    assert meta.ReceivingApplicationEntityTitle == "ChRIS"
    assert meta.FileMetaInformationGroupLength == len(example()) - 144
    assert read.PatientID == "1449c1d"


@given(UIDS, UIDS, AE_TITLES, AE_TITLES)
def test_what_is_built_is_read_back(class_uid: str, instance_uid: str, calling: str, ours: str) -> None:
    head = build_file_meta(
        sop_class_uid=class_uid,
        sop_instance_uid=instance_uid,
        transfer_syntax_uid=EXPLICIT,
        calling_ae_title=calling,
        our_ae_title=ours,
    )
    meta = read_file_meta(head + b"the dataset")
    assert meta == (EXPLICIT, calling, class_uid, instance_uid, len(head))
    assert len(head) % 2 == 0


def test_characters_beyond_latin_1_are_replaced() -> None:
    assert read_file_meta(example("PÄCS\u4e2d")).calling_ae_title == "PÄCS?"


def test_a_uid_that_is_too_long_is_refused() -> None:
    with pytest.raises(DatasetError):
        example(sop_instance_uid="1" * 65)


def test_group_2_in_the_dataset_is_not_taken_for_file_meta() -> None:
    head = example()
    left_over = element(0x00020010, b"UI", b"1.2.840.10008.1.2\0")
    meta = read_file_meta(head + left_over)
    assert meta.transfer_syntax_uid == EXPLICIT
    assert meta.dataset_offset == len(head)


def test_each_truncated_head_is_refused() -> None:
    head = example()
    for size in range(len(head)):
        with pytest.raises(DatasetError):
            read_file_meta(head[:size])


@given(st.binary(max_size=200), st.binary(max_size=200))
def test_any_bytes_are_read_or_refused(length: bytes, rest: bytes) -> None:
    for start in (b"", bytes(128) + b"DICM", bytes(128) + b"DICM" + element(0x00020000, b"UL", length[:4])):
        try:
            read_file_meta(start + rest)
        except DatasetError as error:
            assert error.status == 0xC000


@given(st.data())
def test_a_damaged_head_is_read_or_refused(data: st.DataObject) -> None:
    head = bytearray(example())
    for _ in range(data.draw(st.integers(1, 4))):
        head[data.draw(st.integers(128, len(head) - 1))] = data.draw(st.integers(0, 255))
    try:
        read_file_meta(head)
    except DatasetError as error:
        assert error.status == 0xC000
