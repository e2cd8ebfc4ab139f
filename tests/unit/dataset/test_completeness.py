"""A dataset that is cut off is told from a whole one, and from one that is only odd."""

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pydicom.dataset import Dataset

from oxidicom.dataset.completeness import WholeLengths, ends_as_it_should, find_flaw
from tests.unit.dataset.dataset_bytes import (
    BIG_ENDIAN,
    DEFLATED,
    EXPLICIT,
    IMPLICIT,
    JPEG_BASELINE,
    dataset,
    datasets,
    element,
    encode,
)

UNDEFINED = 0xFFFFFFFF
ITEM = b"\xfe\xff\x00\xe0"
SEQUENCE_DELIMITER = b"\xfe\xff\xdd\xe0\0\0\0\0"
FRAGMENTS = ITEM + bytes(4) + ITEM + b"\x64\0\0\0" + bytes(100)
ENCAPSULATED = encode(dataset()) + element(0x7FE00010, b"OB", b"", UNDEFINED) + FRAGMENTS + SEQUENCE_DELIMITER
IN_PIXEL_DATA = "dataset is cut off in (7FE0,0010)"


def image(transfer_syntax_uid: str) -> bytes:
    source = dataset()
    source.BitsAllocated = 16
    source.PixelRepresentation = 0
    source.PixelData = bytes(1000)
    source["PixelData"].VR = "OW"
    return encode(source, transfer_syntax_uid)


@pytest.mark.parametrize("transfer_syntax_uid", [EXPLICIT, IMPLICIT, BIG_ENDIAN])
@pytest.mark.parametrize("missing", [1, 500, 1000])
def test_native_pixel_data_that_is_cut_off_is_told(transfer_syntax_uid: str, missing: int) -> None:
    whole = image(transfer_syntax_uid)
    assert find_flaw(whole, 0, transfer_syntax_uid) == ""
    assert find_flaw(bytes(7) + whole, 7, transfer_syntax_uid) == ""
    assert find_flaw(whole[:-missing], 0, transfer_syntax_uid) == IN_PIXEL_DATA


@pytest.mark.parametrize("missing", [5, 8, 50, 110])
def test_encapsulated_pixel_data_that_is_cut_off_is_told(missing: int) -> None:
    assert find_flaw(ENCAPSULATED, 0, JPEG_BASELINE) == ""
    assert find_flaw(ENCAPSULATED[:-missing], 0, JPEG_BASELINE) == IN_PIXEL_DATA


def test_a_delimiter_that_is_cut_off_is_told() -> None:
    assert find_flaw(ENCAPSULATED[:-1], 0, JPEG_BASELINE) == "dataset is cut off"


def test_of_what_is_too_large_for_pydicom_the_element_is_not_named() -> None:
    endless = encode(dataset()) + element(0x7FE00010, b"OB", b"", UNDEFINED) + FRAGMENTS + ITEM + b"\0\0\0\4"
    assert find_flaw(endless + bytes(20_000_000), 0, JPEG_BASELINE) == "dataset is cut off"


def test_a_dataset_that_is_only_odd_is_no_dataset_that_is_cut_off() -> None:
    odd = encode(dataset()) + b"\x29\0\x10\0\2\0\0\0ab" + element(0x7FE00010, b"OW", bytes(100))
    assert find_flaw(odd, 0, EXPLICIT) == ""
    assert find_flaw(odd + bytes(100), 0, EXPLICIT) == ""
    assert find_flaw(odd[:-1], 0, EXPLICIT) == IN_PIXEL_DATA


def test_of_a_deflated_dataset_the_end_is_not_known() -> None:
    assert find_flaw(image(DEFLATED)[:-10], 0, DEFLATED) == ""


@settings(deadline=None)
@given(datasets(), st.sampled_from([EXPLICIT, IMPLICIT, BIG_ENDIAN]))
def test_no_whole_dataset_is_called_cut_off(source: Dataset, transfer_syntax_uid: str) -> None:
    assert find_flaw(encode(source, transfer_syntax_uid), 0, transfer_syntax_uid) == ""


@given(st.binary(max_size=300), st.sampled_from([EXPLICIT, IMPLICIT, BIG_ENDIAN, DEFLATED]))
def test_any_bytes_are_judged(encoded: bytes, transfer_syntax_uid: str) -> None:
    assert find_flaw(encoded, 0, transfer_syntax_uid).startswith(("", "dataset is cut off"))


def test_the_delimiter_tells_of_encapsulated_pixel_data_only() -> None:
    assert ends_as_it_should(ENCAPSULATED[-8:], JPEG_BASELINE)
    assert not ends_as_it_should(ENCAPSULATED[-9:-1], JPEG_BASELINE)
    for native in (EXPLICIT, IMPLICIT, BIG_ENDIAN, DEFLATED):
        assert not ends_as_it_should(SEQUENCE_DELIMITER, native)


def test_lengths_are_known_by_series_and_syntax_and_are_bounded() -> None:
    lengths = WholeLengths()
    lengths.learn(("a", EXPLICIT, 1000))
    assert ("a", EXPLICIT, 1000) in lengths
    assert not lengths & {("b", EXPLICIT, 1000), ("a", IMPLICIT, 1000), ("a", EXPLICIT, 1001)}
    for size_bytes in range(10_000):
        lengths.learn(("a", EXPLICIT, size_bytes))
    assert len(lengths) <= 4096


@pytest.mark.parametrize("transfer_syntax_uid", [EXPLICIT, IMPLICIT])
def test_the_pixel_data_of_an_icon_is_not_that_of_the_image(transfer_syntax_uid: str) -> None:
    source = dataset()
    icon = Dataset()
    icon.BitsAllocated, icon.PixelRepresentation, icon.PixelData = 8, 0, bytes(64)
    icon["PixelData"].VR = "OW"
    source.IconImageSequence = [icon]
    source.BitsAllocated, source.PixelRepresentation, source.PixelData = 16, 0, bytes(1000)
    source["PixelData"].VR = "OW"
    whole = encode(source, transfer_syntax_uid)
    assert find_flaw(whole, 0, transfer_syntax_uid) == ""
    assert find_flaw(whole[:-1], 0, transfer_syntax_uid) == IN_PIXEL_DATA
    assert find_flaw(whole[: whole.rindex(b"\xe0\x7f\x10\0")], 0, transfer_syntax_uid) == ""
