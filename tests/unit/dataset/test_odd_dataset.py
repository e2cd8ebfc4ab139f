"""What devices send against the standard is described as pydicom reads it, or refused with the true cause."""

import random
import struct
import tracemalloc
import warnings
from io import BytesIO

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pydicom.dataelem import DataElement
from pydicom.dataset import Dataset
from pydicom.filereader import read_dataset

from oxidicom.dataset.description import describe
from oxidicom.dataset.header import Header, read_header
from oxidicom.dataset.odd_dataset import read_odd_dataset
from oxidicom.errors import DatasetError
from oxidicom.wanted_tags import (
    KEYWORDS,
    PATIENT_NAME,
    REQUIRED_TAGS,
    SERIES_NUMBER,
    SPECIFIC_CHARACTER_SET,
)
from tests.unit.dataset.dataset_bytes import (
    BIG_ENDIAN,
    DEFLATED,
    EXPLICIT,
    IMPLICIT,
    dataset,
    datasets,
    element,
    encode,
    not_empty,
    raw_values,
)

UNDEFINED = 0xFFFFFFFF
ITEM = b"\xfe\xff\x00\xe0"
OPEN_ITEM = ITEM + b"\xff\xff\xff\xff"
EMPTY_ITEM = ITEM + bytes(4)
ITEM_DELIMITER = b"\xfe\xff\x0d\xe0\0\0\0\0"
SEQUENCE_DELIMITER = b"\xfe\xff\xdd\xe0\0\0\0\0"

WHOLE = encode(dataset())
PATIENT_AT = WHOLE.index(b"\x10\0\x10\0PN")
STUDY_AT = WHOLE.index(b"\x20\0\x0d\0UI")
PIXELS = element(0x7FE00010, b"OW", bytes(1000))
ENCAPSULATED = (
    element(0x7FE00010, b"OB", b"", UNDEFINED) + EMPTY_ITEM + ITEM + b"\x64\0\0\0" + bytes(100) + SEQUENCE_DELIMITER
)


def before_patient(inserted: bytes) -> bytes:
    return WHOLE[:PATIENT_AT] + inserted + WHOLE[PATIENT_AT:] + PIXELS


def before_study(inserted: bytes) -> bytes:
    return WHOLE[:STUDY_AT] + inserted + WHOLE[STUDY_AT:]


def implicit(tag: int, value: bytes) -> bytes:
    return struct.pack("<HHL", tag >> 16, tag & 0xFFFF, len(value)) + value


def read(encoded: bytes, transfer_syntax_uid: str = EXPLICIT) -> Header:
    header = read_header(encoded, transfer_syntax_uid, complete=True)
    assert header is not None
    return header


def by_pydicom(encoded: bytes, transfer_syntax_uid: str = EXPLICIT) -> dict[int, bytes]:
    """Return the raw values that pydicom finds, with nothing to stop it."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        found = read_dataset(BytesIO(encoded), transfer_syntax_uid == IMPLICIT, transfer_syntax_uid != BIG_ENDIAN)
        return raw_values(found)


READ_BY_PYDICOM = {
    "group 0028 before 0020": before_study(element(0x00280010, b"US", b"\4\0")) + PIXELS,
    "private 0029 before 0020": before_study(element(0x00291010, b"OB", bytes(300))) + PIXELS,
    "pixel data before 0020": before_study(PIXELS),
    "encapsulated pixel data before 0020": before_study(ENCAPSULATED),
    "pixel data first of all": PIXELS + WHOLE,
    "sequence delimiter": before_patient(SEQUENCE_DELIMITER),
    "empty item": before_patient(EMPTY_ITEM),
    "sequence without its head": before_patient(
        OPEN_ITEM + element(0x00186012, b"US", b"\1\0") + ITEM_DELIMITER + SEQUENCE_DELIMITER
    ),
    "delimiters before 0020": before_study(SEQUENCE_DELIMITER + EMPTY_ITEM) + PIXELS,
    "explicit items in UN of undefined length": before_patient(
        element(0x00091010, b"UN", b"", UNDEFINED)
        + OPEN_ITEM
        + element(0x00091011, b"LO", b"abcd")
        + element(0x00091012, b"UT", b"text")
        + ITEM_DELIMITER
        + SEQUENCE_DELIMITER
    ),
    "implicit items in UN of undefined length": before_patient(
        element(0x00091010, b"UN", b"", UNDEFINED)
        + OPEN_ITEM
        + implicit(0x00091011, b"abcd")
        + ITEM_DELIMITER
        + SEQUENCE_DELIMITER
    ),
    "unknown VR with 16 bits of length": before_patient(struct.pack("<HH2sH", 9, 0x1010, b"ZZ", 4) + b"abcd"),
    "an implicit element that nobody wants": before_patient(implicit(0x00091010, b"abcd")),
    "an implicit element that is wanted": before_patient(implicit(0x0010000F, b"ab")) + implicit(0x00200014, b"7 "),
    "odd length": before_patient(element(0x00091010, b"LO", b"abc")),
    "large private elements that nobody wants": before_patient(element(0x00091010, b"OB", bytes(400_000)) * 3),
    "2,200 small items, and an implicit element": before_patient(
        implicit(0x00091010, b"abcd") + element(0x00091011, b"SQ", b"", UNDEFINED) + EMPTY_ITEM * 2200
        + SEQUENCE_DELIMITER
    ),
    "an implicit element, and countless items behind": before_patient(implicit(0x00091010, b"abcd"))
    + element(0x00400275, b"SQ", b"", UNDEFINED)
    + EMPTY_ITEM * 20_000
    + SEQUENCE_DELIMITER,
}  # fmt: skip


@pytest.mark.parametrize("encoded", READ_BY_PYDICOM.values(), ids=READ_BY_PYDICOM)
def test_what_pydicom_reads_is_described_as_it_reads_it(encoded: bytes) -> None:
    header = read(encoded)
    assert not_empty(header.values) == by_pydicom(encoded)
    assert describe(header, "PACS").warnings == ()


@pytest.mark.parametrize(
    ("inserted", "warning"),
    [
        (ITEM_DELIMITER, "dataset has an item delimiter outside of sequences"),
        (
            element(0x00091010, b"LO", b"abc") + b" ",
            "length of (0009,1010) is odd and its padding not counted",
        ),
    ],
)
@pytest.mark.parametrize("transfer_syntax_uid", [EXPLICIT, IMPLICIT])
def test_what_ends_the_reading_of_pydicom_is_stepped_over_with_a_warning(
    inserted: bytes, warning: str, transfer_syntax_uid: str
) -> None:
    whole = encode(dataset(), transfer_syntax_uid)
    at = whole.index(b"\x10\0\x10\0")
    if transfer_syntax_uid == IMPLICIT and inserted != ITEM_DELIMITER:
        inserted = implicit(0x00091010, b"abc") + b"\0"
    header = read(whole[:at] + inserted + whole[at:], transfer_syntax_uid)
    assert header.values == read(whole, transfer_syntax_uid).values
    assert header.warnings == (warning,)
    assert by_pydicom(whole[:at] + inserted + whole[at:], transfer_syntax_uid) != not_empty(header.values)


@pytest.mark.parametrize("character_set", [b"ISO_IR 100\0\0", b"ISO\0IR 100 ", b"\xb4\x1d\\\0", b"x" * 5000, b""])
def test_no_character_set_is_an_obstacle(character_set: bytes) -> None:
    encoded = element(SPECIFIC_CHARACTER_SET, b"CS", character_set) + before_patient(SEQUENCE_DELIMITER)
    header = read(encoded)
    assert header.values == read(WHOLE).values | {SPECIFIC_CHARACTER_SET: character_set[:4096]}
    assert header.warnings == ()


def test_of_many_odd_lengths_few_are_told() -> None:
    inserted = b"".join(element(0x00091000 + number, b"LO", b"abc") + b" " for number in range(1000))
    header = read(WHOLE[:PATIENT_AT] + inserted + WHOLE[PATIENT_AT:])
    assert header.values == read(WHOLE).values
    assert 0 < len(header.warnings) < 10


REFUSED = {
    "no StudyInstanceUID": (encode(dataset(StudyInstanceUID=None)) + PIXELS, "StudyInstanceUID is missing"),
    "no SeriesInstanceUID in an odd one": (
        before_patient(SEQUENCE_DELIMITER).replace(b"\x20\0\x0e\0UI", b"\x20\0\x0f\0UI"),
        "SeriesInstanceUID is missing",
    ),
    "cut off inside the SeriesInstanceUID": (
        WHOLE[: WHOLE.index(b"\x20\0\x0e\0UI") + 20],
        "SeriesInstanceUID not found: cut off in (0020,000E)",
    ),
    "cut off in a private element": (
        WHOLE[:PATIENT_AT] + element(0x00091010, b"OB", bytes(10), 1000),
        "StudyInstanceUID not found: cut off in (0009,1010)",
    ),
    "cut off in a sequence": (
        WHOLE[:STUDY_AT] + element(0x00191010, b"SQ", b"", UNDEFINED) + OPEN_ITEM,
        "StudyInstanceUID not found: cut off in (0019,1010)",
    ),
    "no value representation": (
        before_patient(struct.pack("<HH2sH", 9, 0x1010, b"zz", 4) + b"abcd"),
        "StudyInstanceUID not found: no VR in (0009,1010)",
    ),
    "an item without an end": (before_patient(OPEN_ITEM), "StudyInstanceUID not found: cut off in (FFFE,E000)"),
    "countless items before": (
        before_patient(element(0x00091010, b"UN", b"", UNDEFINED) + EMPTY_ITEM * 300_000 + SEQUENCE_DELIMITER),
        "StudyInstanceUID not found: too much to read by byte",
    ),
    "nested too deep": (
        before_patient((element(0x00091010, b"SQ", b"", UNDEFINED) + OPEN_ITEM) * 2000),
        "StudyInstanceUID not found: nested too deep at byte",
    ),
}


@pytest.mark.parametrize(("encoded", "comment"), REFUSED.values(), ids=REFUSED)
def test_what_is_refused_is_refused_with_the_true_cause(encoded: bytes, comment: str) -> None:
    with pytest.raises(DatasetError) as caught:
        describe(read(encoded), "PACS")
    assert str(caught.value).startswith(comment)
    assert len(str(caught.value)) <= 64
    assert [KEYWORDS[tag] for tag in caught.value.offending_tags] == [comment.split(maxsplit=1)[0]]


def test_an_optional_value_that_is_cut_off_is_left_out_with_a_warning() -> None:
    header = read(WHOLE[: WHOLE.index(b"\x20\0\x11\0IS") + 9])
    assert SERIES_NUMBER not in header.values
    assert describe(header, "PACS").warnings == ("dataset is cut off in (0020,0011)",)


@pytest.mark.parametrize("large", [300_000, 3_000_000])
def test_a_big_endian_dataset_with_large_private_elements_is_read(large: int) -> None:
    source = dataset()
    source.private_block(0x0009, "SOMEBODY", create=True).add_new(0x01, "OB", bytes(large))
    source.PixelData = bytes(10)
    source["PixelData"].VR = "OW"
    encoded = encode(source, BIG_ENDIAN)
    assert read(encoded, BIG_ENDIAN).values == read(encode(dataset())).values
    assert read_header(encoded[:1000], BIG_ENDIAN, complete=False) is None


def test_a_wanted_value_is_never_read_whole() -> None:
    huge = before_patient(SEQUENCE_DELIMITER + element(0x00100010, b"UT", b"x" * 30_000_000))
    at = huge.index(b"\x10\0\x10\0PN")
    tracemalloc.start()
    try:
        header = read(huge[:at] + huge[at:].replace(b"\x10\0\x10\0PN", b"\x10\0\x11\0PN", 1))
        _, peak_bytes = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert header.values[PATIENT_NAME] == b"x" * 4096
    assert peak_bytes < 80_000_000, "two copies that the test itself makes, and nothing more"


FLOODS = {
    "elements": element(0x00090010, b"LO", b"") * 200_000,
    "items": element(0x00090010, b"SQ", b"", UNDEFINED) + EMPTY_ITEM * 200_000,
    "a value without an end": element(0x00090010, b"OB", b"", UNDEFINED) + bytes(20_000_000),
}


@pytest.mark.parametrize("flood", FLOODS.values(), ids=FLOODS)
def test_what_pydicom_reads_is_bounded_whatever_comes(flood: bytes) -> None:
    encoded = WHOLE[:PATIENT_AT] + flood
    tracemalloc.start()
    try:
        reading = read_odd_dataset(encoded, 0, implicit=False, little_endian=True)
        _, peak_bytes = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert reading.obstacle.startswith("too much to read by byte")
    assert peak_bytes < 64 * 1024 * 1024


def test_a_required_value_of_a_deflated_dataset_that_is_cut_off_is_not_called_missing() -> None:
    deflated = encode(dataset(), DEFLATED)
    with pytest.raises(DatasetError, match=r"SeriesInstanceUID not found: cut off in \(0020,000E\)"):
        describe(read(deflated[:-20], DEFLATED), "PACS")
    assert read(deflated[:-2], DEFLATED).warnings[-1] == "dataset is cut off in its deflated stream"


PIECES = [
    SEQUENCE_DELIMITER,
    EMPTY_ITEM,
    implicit(0x00091010, b"abcd"),
    element(0x00280010, b"US", b"\4\0"),
    PIXELS,
    ENCAPSULATED,
    element(0x00091010, b"UN", b"", UNDEFINED) + OPEN_ITEM + implicit(0x00091011, b"ab") + ITEM_DELIMITER
    + SEQUENCE_DELIMITER,
    element(0x00091010, b"UN", b"", UNDEFINED) + OPEN_ITEM + element(0x00091011, b"UT", b"ab") + ITEM_DELIMITER
    + SEQUENCE_DELIMITER,
    element(0x00091010, b"LO", b"abc"),
]  # fmt: skip


@settings(max_examples=300, deadline=None)
@given(datasets(), st.data())
def test_every_way_gives_the_same_header(source: Dataset, data: st.DataObject) -> None:
    """The scanner, the reader for odd datasets, and pydicom by itself: in any order, with odd things in between."""
    required = dataset()
    parts = [encode(_only(one)) for one in [*required, *[other for other in source if other.tag not in required]]]
    for _ in range(data.draw(st.integers(0, 3))):
        parts.insert(data.draw(st.integers(0, len(parts))), data.draw(st.sampled_from(PIECES)))
    order = data.draw(st.sampled_from(["sorted", "shuffled"]))
    if order == "shuffled":
        random.Random(data.draw(st.integers())).shuffle(parts)
    parts.insert(0, element(0x00080000, b"UL", bytes(4)))  # the first element says which encoding it is
    encoded = b"".join(parts)
    header = read(encoded)
    reading = read_odd_dataset(encoded, 0, implicit=False, little_endian=True)
    assert header.values == reading.values
    assert not reading.obstacle
    found = by_pydicom(encoded)
    assert not_empty(header.values).items() <= found.items()
    assert set(REQUIRED_TAGS) <= set(header.values), "what stands behind them may be left unread"


def _only(one: DataElement) -> Dataset:
    result = Dataset()
    result.add(one)
    return result
