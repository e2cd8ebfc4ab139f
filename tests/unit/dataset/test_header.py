"""A header is read from every encoding, and from nothing else than a dataset."""

import tracemalloc
import warnings
import zlib
from collections.abc import Iterator
from pathlib import Path

import pydicom.data
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pydicom.dataset import Dataset
from pydicom.filereader import _read_file_meta_info, dcmread, read_preamble

from oxidicom.dataset import header as header_module
from oxidicom.dataset.description import describe
from oxidicom.dataset.header import read_header, read_header_of_file
from oxidicom.dataset.part10 import build_file_meta
from oxidicom.errors import DatasetError
from oxidicom.wanted_tags import KEYWORDS, PATIENT_ID, SPECIFIC_CHARACTER_SET
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
    not_empty,
    raw_values,
)

ENCODINGS = [EXPLICIT, IMPLICIT, DEFLATED, BIG_ENDIAN, JPEG_BASELINE]
LARGE_PRIVATE = element(0x00091010, b"OB", bytes(200_000))


def bundled_files() -> Iterator[Path]:
    root = Path(pydicom.data.__file__).parent
    for folder in ("test_files", "charset_files"):
        yield from sorted(path for path in (root / folder).rglob("*") if path.is_file())


def open_by_pydicom(path: Path) -> tuple[Dataset, bytes, str] | None:
    """Return what pydicom reads of a bundled file, the bytes of its dataset, and its transfer syntax."""
    try:
        with path.open("rb") as file:
            read_preamble(file, force=True)
            meta = _read_file_meta_info(file)
            encoded = file.read()
        found = dcmread(path, force=True, stop_before_pixels=True)
    except Exception:  # noqa: BLE001 - some are broken on purpose
        return None
    if not raw_values(found):
        return None
    implicit, little_endian = found.original_encoding
    guess = IMPLICIT if implicit else EXPLICIT if little_endian else BIG_ENDIAN
    return found, encoded, str(meta.get("TransferSyntaxUID", guess))


def test_bundled_files_are_read_as_by_pydicom() -> None:
    compared = 0
    for path in bundled_files():
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            opened = open_by_pydicom(path)
        if opened is None:
            continue
        found, encoded, transfer_syntax_uid = opened
        header = read_header(encoded, transfer_syntax_uid, complete=True)
        assert header is not None
        values = not_empty(header.values)
        values.pop(SPECIFIC_CHARACTER_SET, None)  # pydicom has no raw value of it any more
        assert values == raw_values(found), path.name
        compared += 1
    assert compared > 150


@pytest.mark.parametrize("transfer_syntax_uid", ENCODINGS)
def test_every_encoding_is_read(transfer_syntax_uid: str) -> None:
    expected = read_header(encode(dataset()), EXPLICIT, complete=True)
    assert expected is not None
    assert len(expected.values) == 17
    assert read_header(encode(dataset(), transfer_syntax_uid), transfer_syntax_uid, complete=True) == expected


@pytest.mark.parametrize("transfer_syntax_uid", ENCODINGS)
def test_a_truncated_dataset_is_never_another_error(transfer_syntax_uid: str) -> None:
    source = dataset()
    source.Rows = 4
    encoded = encode(source, transfer_syntax_uid)
    whole = read_header(encoded, transfer_syntax_uid, complete=True)
    assert whole is not None
    for size in range(len(encoded)):
        assert read_header(encoded[:size], transfer_syntax_uid, complete=False) in (None, whole)
        try:
            part = read_header(encoded[:size], transfer_syntax_uid, complete=True)
        except DatasetError as error:
            assert error.status == 0xC000
        else:
            assert part is not None
            assert not_empty(part.values).items() <= whole.values.items()


@given(st.binary(max_size=300), st.sampled_from(ENCODINGS), st.booleans())
def test_any_bytes_are_read_or_refused(encoded: bytes, transfer_syntax_uid: str, complete: bool) -> None:
    try:
        read_header(encoded, transfer_syntax_uid, complete=complete)
    except DatasetError as error:
        assert error.status == 0xC000


@settings(max_examples=300, deadline=None)
@given(datasets(), st.data(), st.sampled_from(ENCODINGS))
def test_a_damaged_dataset_is_read_or_refused(source: Dataset, data: st.DataObject, encoding: str) -> None:
    encoded = bytearray(encode(source, encoding))
    for _ in range(data.draw(st.integers(1, 4))):
        encoded[data.draw(st.integers(0, len(encoded) - 1))] = data.draw(st.integers(0, 255))
    try:
        assert read_header(bytes(encoded), encoding, complete=True) is not None
    except DatasetError as error:
        assert error.status == 0xC000


@pytest.mark.parametrize("transfer_syntax_uid", ENCODINGS)
def test_an_empty_dataset_is_refused(transfer_syntax_uid: str) -> None:
    empty = encode(Dataset(), transfer_syntax_uid)
    with pytest.raises(DatasetError, match="dataset is empty"):
        read_header(empty, transfer_syntax_uid, complete=True)
    assert read_header(b"", transfer_syntax_uid, complete=False) is None


def test_a_head_that_holds_the_wanted_tags_is_enough() -> None:
    encoded = encode(dataset()) + element(0x7FE00010, b"OW", bytes(1000))
    assert read_header(encoded[:-500], EXPLICIT, complete=False) == read_header(encoded, EXPLICIT, complete=True)


@pytest.mark.parametrize(("sent", "negotiated"), [(IMPLICIT, EXPLICIT), (EXPLICIT, IMPLICIT)])
def test_the_other_vr_encoding_than_negotiated_is_taken_with_a_warning(sent: str, negotiated: str) -> None:
    header = read_header(encode(dataset(), sent), negotiated, complete=True)
    expected = read_header(encode(dataset(), sent), sent, complete=True)
    assert header is not None
    assert expected is not None
    assert header.values == expected.values
    assert [warning.endswith("which was not negotiated") for warning in header.warnings] == [True]


def test_an_odd_dataset_is_left_to_pydicom_once_it_is_complete() -> None:
    odd = encode(dataset(PatientID=None)) + element(0x00190010, b"ZZ", b"ab") + element(PATIENT_ID, b"LO", b"17")
    assert read_header(odd, EXPLICIT, complete=False) is None
    header = read_header(odd, EXPLICIT, complete=True)
    assert header is not None
    assert header.values[PATIENT_ID] == b"17"


def test_a_deflated_dataset_is_inflated_as_far_as_needed() -> None:
    deflater = zlib.compressobj(wbits=-zlib.MAX_WBITS)
    encoded = LARGE_PRIVATE + encode(dataset(SOPClassUID=None)) + element(0x7FE00010, b"OB", bytes(10_000_000))
    deflated = deflater.compress(encoded) + deflater.flush()
    expected = read_header(encoded, EXPLICIT, complete=True)
    assert read_header(deflated, DEFLATED, complete=True) == expected
    assert read_header(deflated[:-1000], DEFLATED, complete=False) == expected
    assert read_header(deflated[:100], DEFLATED, complete=False) is None


def test_a_deflation_bomb_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(header_module, "MAX_INFLATED_BYTES", 1024 * 1024)
    deflater = zlib.compressobj(wbits=-zlib.MAX_WBITS)
    bomb = deflater.compress(element(0x00091010, b"OB", bytes(4_000_000))) + deflater.flush()
    header = read_header(bomb, DEFLATED, complete=True)
    assert header is not None
    with pytest.raises(DatasetError, match="SOPInstanceUID not found: behind too much to inflate"):
        describe(header, "PACS")


def test_a_deflation_bomb_costs_little_memory() -> None:
    deflater = zlib.compressobj(wbits=-zlib.MAX_WBITS)
    bomb = deflater.compress(element(0x00091010, b"OB", bytes(200_000_000))) + deflater.flush()
    tracemalloc.start()
    try:
        header = read_header(bomb, DEFLATED, complete=True)
        _, peak_bytes = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert header is not None
    assert header.obstacle
    assert peak_bytes < 2 * header_module.MAX_INFLATED_BYTES


@pytest.mark.parametrize("transfer_syntax_uid", ENCODINGS)
def test_a_file_is_read_beyond_any_head(tmp_path: Path, transfer_syntax_uid: str) -> None:
    source = dataset()
    source.private_block(0x0009, "SOMEBODY", create=True).add_new(0x01, "OB", bytes(200_000))
    encoded = encode(source, transfer_syntax_uid)
    meta = build_file_meta(
        sop_class_uid="1.2.3",
        sop_instance_uid="1.2.3.4",
        transfer_syntax_uid=transfer_syntax_uid,
        calling_ae_title="MINICHRIS",
        our_ae_title="ChRIS",
    )
    path = tmp_path / "000001.part"
    path.write_bytes(meta + encoded)
    found, header = read_header_of_file(str(path))
    assert found.calling_ae_title == "MINICHRIS"
    assert found.dataset_offset == len(meta)
    assert header == read_header(encoded, transfer_syntax_uid, complete=True)
    assert set(header.values) == set(KEYWORDS) - {SPECIFIC_CHARACTER_SET}
    dcmread(path)


@pytest.mark.parametrize("content", [b"", b"x", bytes(132), bytes(128) + b"DICM"])
def test_a_file_that_is_none_of_part_10_is_refused(tmp_path: Path, content: bytes) -> None:
    path = tmp_path / "file"
    path.write_bytes(content)
    with pytest.raises(DatasetError):
        read_header_of_file(str(path))


def test_a_file_that_ends_with_its_file_meta_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "file"
    path.write_bytes(
        build_file_meta(
            sop_class_uid="1.2.3",
            sop_instance_uid="1.2.3.4",
            transfer_syntax_uid=EXPLICIT,
            calling_ae_title="A",
            our_ae_title="B",
        )
    )
    with pytest.raises(DatasetError, match="dataset is empty"):
        read_header_of_file(str(path))


@pytest.mark.parametrize("after", [b"", element(0x00190010, b"ZZ", b"ab")])
def test_an_unknown_character_set_is_no_warning_of_python(after: bytes) -> None:
    encoded = element(SPECIFIC_CHARACTER_SET, b"CS", b"nonsense") + after
    header = read_header(encoded, EXPLICIT, complete=True)
    assert header is not None
    assert header.values == {SPECIFIC_CHARACTER_SET: b"nonsense"}
