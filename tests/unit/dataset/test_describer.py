"""A dataset that is recognized is described as if it had been read."""

import copy
import struct

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pydicom.dataset import Dataset
from pydicom.sequence import Sequence

from oxidicom.dataset.describer import Describer
from oxidicom.dataset.description import describe
from oxidicom.dataset.header import read_header
from oxidicom.errors import DatasetError
from oxidicom.records import Description
from tests.unit.dataset.dataset_bytes import (
    DEFLATED,
    EXPLICIT,
    IMPLICIT,
    JPEG_BASELINE,
    dataset,
    datasets,
    element,
    encode,
)

AE_TITLE = "MINICHRIS"
PIXELS = element(0x7FE00010, b"OW", bytes(100))


def read(encoded: bytes, transfer_syntax_uid: str) -> Description | DatasetError:
    """Read the header whatever came before: the oracle."""
    try:
        header = read_header(encoded, transfer_syntax_uid, complete=True)
        assert header is not None
        return describe(header, AE_TITLE)
    except DatasetError as error:
        return error


def take(describer: Describer, encoded: bytes, transfer_syntax_uid: str) -> tuple[Description | DatasetError, bool]:
    """Describe a dataset as the listener does. Return the outcome, and whether it was recognized."""
    try:
        recognized = describer.recognize(memoryview(encoded), transfer_syntax_uid)
        if recognized is not None:
            return recognized, True
        header = read_header(encoded, transfer_syntax_uid, complete=True)
        assert header is not None
        return describer.describe(header, encoded, transfer_syntax_uid), False
    except DatasetError as error:
        return error, False


def assert_same(outcome: Description | DatasetError, expected: Description | DatasetError) -> None:
    if isinstance(expected, DatasetError):
        assert isinstance(outcome, DatasetError)
        assert (str(outcome), outcome.status, outcome.offending_tags) == (
            str(expected),
            expected.status,
            expected.offending_tags,
        )
    else:
        assert outcome == expected


def slices(count: int, **changes: str) -> list[Dataset]:
    """Return a series whose slices differ as those of a scanner do."""
    made = []
    for number in range(1, count + 1):
        one = dataset(SOPInstanceUID=f"1.2.3.{1000 + number}", InstanceNumber=str(10 + number), **changes)
        one.InstanceCreationTime = f"1213{number:02}"
        one.ContentTime = f"1214{number:02}"
        one.AcquisitionNumber = "7"
        one.Rows = 4
        referenced = Dataset()
        referenced.ReferencedSOPInstanceUID = f"1.2.3.9.{1000 + number}"
        one.SourceImageSequence = Sequence([referenced])
        made.append(one)
    return made


@pytest.mark.parametrize("transfer_syntax_uid", [EXPLICIT, IMPLICIT, JPEG_BASELINE])
@pytest.mark.parametrize("undefined_length", [False, True])
def test_the_third_slice_of_a_series_and_all_that_follow_are_recognized(
    transfer_syntax_uid: str, undefined_length: bool
) -> None:
    describer = Describer(AE_TITLE)
    recognized = []
    for one in slices(9):
        one["SourceImageSequence"].is_undefined_length = undefined_length
        encoded = encode(one, transfer_syntax_uid)
        outcome, was_recognized = take(describer, encoded, transfer_syntax_uid)
        assert_same(outcome, read(encoded, transfer_syntax_uid))
        assert isinstance(outcome, Description)
        recognized.append(was_recognized)
    assert recognized == [False, False, *[True] * 7]


def test_several_series_by_turns_and_uids_of_several_lengths_are_recognized() -> None:
    describer = Describer(AE_TITLE)
    series = [slices(6, SeriesInstanceUID="1.2.1"), slices(6, SeriesInstanceUID="1.2.2", SeriesNumber="6")]
    recognized = []
    for one in [slice_ for pair in zip(*series, strict=True) for slice_ in pair]:
        if one.InstanceNumber % 2:
            one.SOPInstanceUID += ".12"
        outcome, was_recognized = take(describer, encode(one), EXPLICIT)
        assert_same(outcome, read(encode(one), EXPLICIT))
        recognized.append(was_recognized)
    assert recognized == [*[False] * 8, *[True] * 4]


@pytest.mark.parametrize("keyword", ["PatientName", "StudyDate", "SeriesInstanceUID", "Modality", "SOPClassUID"])
def test_what_names_a_series_is_never_taken_from_another(keyword: str) -> None:
    describer = Describer(AE_TITLE)
    for one in slices(4):
        take(describer, encode(one), EXPLICIT)
    other = slices(1)[0]
    value = str(other[keyword].value)
    setattr(other, keyword, value[:-1] + ("1" if value[-1] != "1" else "2"))
    outcome, _ = take(describer, encode(other), EXPLICIT)
    assert isinstance(outcome, Description)
    assert_same(outcome, read(encode(other), EXPLICIT))


def test_a_value_that_differed_once_may_differ_again_and_one_that_never_did_is_looked_at() -> None:
    describer = Describer(AE_TITLE)
    first, second, third = slices(3)
    for one in (first, second):
        take(describer, encode(one), EXPLICIT)
    third.AcquisitionNumber = "8"
    assert not take(describer, encode(third), EXPLICIT)[1]
    third.AcquisitionNumber = "9"
    assert take(describer, encode(third), EXPLICIT)[1]


def test_other_elements_in_the_same_places_are_another_kind() -> None:
    describer = Describer(AE_TITLE)
    recognized = []
    for number, one in enumerate(slices(8)):
        one.ContentTime = one.InstanceCreationTime = "121314"
        del one.SourceImageSequence
        setattr(one, ("AcquisitionDate", "ContentDate")[number % 2], "20130308")
        outcome, was_recognized = take(describer, encode(one), EXPLICIT)
        assert_same(outcome, read(encode(one), EXPLICIT))
        recognized.append(was_recognized)
    assert recognized == [False, False, *[True] * 6]


def test_another_transfer_syntax_is_another_dataset() -> None:
    """Bytes that are a good dataset in explicit VR are none when they are said to be deflated."""
    describer = Describer(AE_TITLE)
    encoded = encode(slices(1)[0])
    take(describer, encoded, EXPLICIT)
    outcome, _ = take(describer, encoded, DEFLATED)
    assert isinstance(outcome, DatasetError)


@pytest.mark.parametrize("uid", [b"", b"1.2.3.x", b"1." * 32 + b"12", b"1..2", b"1.2\\1.3 "])
def test_an_unusable_uid_in_a_hole_is_refused_and_an_odd_one_mended(uid: bytes) -> None:
    describer = Describer(AE_TITLE)
    for number in range(3):
        one = slices(1)[0]
        one.SOPInstanceUID = "1.2.3"
        encoded = encode(one)
        at = encoded.index(b"\x08\x00\x18\x00UI")
        value = (uid if number else b"1.2.3.4").ljust(66, b"\0")
        encoded = encoded[: at + 6] + struct.pack("<H", len(value)) + value + encoded[at + 14 :]
        outcome, recognized = take(describer, encoded, EXPLICIT)
        assert_same(outcome, read(encoded, EXPLICIT))
        assert not recognized or number


def test_a_header_behind_large_private_elements_is_read_each_time() -> None:
    describer = Describer(AE_TITLE)
    for one in slices(4):
        one.private_block(0x0009, "SOMEBODY", create=True).add_new(0x01, "OB", bytes(20_000))
        outcome, recognized = take(describer, encode(one), EXPLICIT)
        assert isinstance(outcome, Description)
        assert not recognized


def test_two_sop_instance_uids_in_one_dataset_are_read_each_time() -> None:
    describer = Describer(AE_TITLE)
    for _ in range(3):
        encoded = encode(slices(1)[0])
        twice = element(0x00080018, b"UI", b"1.2.3.4\0")
        at = encoded.index(b"\x08\x00\x18\x00UI")
        outcome, recognized = take(describer, encoded[:at] + twice + encoded[at:], EXPLICIT)
        assert isinstance(outcome, Description)
        assert (outcome.sop_instance_uid, recognized) == ("1.2.3.1001", False)


def test_what_is_remembered_is_bounded() -> None:
    describer = Describer(AE_TITLE)
    for number in range(50):
        take(describer, encode(slices(1, SeriesInstanceUID=f"1.2.{1000 + number}")[0]), EXPLICIT)
    assert len(describer._known) == 6


@settings(max_examples=200, deadline=None)
@given(st.data(), datasets(), st.sampled_from([EXPLICIT, IMPLICIT]))
def test_whatever_comes_it_is_described_as_if_it_had_been_read(
    data: st.DataObject, unusual: Dataset, transfer_syntax_uid: str
) -> None:
    """A series with elements of every kind, whose datasets are damaged, cut and changed at any place."""
    describer = Describer(AE_TITLE)
    for original in slices(data.draw(st.integers(2, 6))):
        one = copy.deepcopy(original)
        for unwanted in unusual:
            if unwanted.tag not in one:
                one.add(unwanted)
        encoded = bytearray(encode(one, transfer_syntax_uid))
        for _ in range(data.draw(st.integers(0, 2))):
            encoded[data.draw(st.integers(0, len(encoded) - 1))] = data.draw(st.integers(0, 255))
        piece = (
            bytes(encoded[: data.draw(st.integers(0, len(encoded)))]) if data.draw(st.booleans()) else bytes(encoded)
        )
        outcome, _ = take(describer, piece, transfer_syntax_uid)
        assert_same(outcome, read(piece, transfer_syntax_uid))


@settings(max_examples=200, deadline=None)
@given(st.data())
def test_a_beginning_of_a_dataset_is_recognized_as_the_whole_or_not_at_all(data: st.DataObject) -> None:
    describer = Describer(AE_TITLE)
    for one in slices(3):
        take(describer, encode(one) + PIXELS, EXPLICIT)
    encoded = encode(slices(4)[-1]) + PIXELS
    piece = encoded[: data.draw(st.integers(0, len(encoded)))]
    recognized = describer.recognize(piece, EXPLICIT)
    assert recognized is None or recognized == read(encoded, EXPLICIT)
