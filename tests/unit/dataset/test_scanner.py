"""The scanner finds what pydicom finds, and stops at every limit."""

import contextlib
import mmap
import time

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pydicom.dataset import Dataset

from oxidicom.dataset.scanner import (
    BEYOND,
    MAX_DEPTH,
    MAX_PLACES,
    MAX_STEPS,
    MAX_VALUE_BYTES,
    OddDatasetError,
    is_whole,
    scan,
)
from oxidicom.wanted_tags import (
    INSTANCE_NUMBER,
    KEYWORDS,
    PATIENT_ID,
    REQUIRED_TAGS,
    SERIES_INSTANCE_UID,
    STUDY_INSTANCE_UID,
)
from tests.unit.dataset.dataset_bytes import (
    EXPLICIT,
    IMPLICIT,
    dataset,
    datasets,
    element,
    encode,
    not_empty,
    read_by_pydicom,
)

UNDEFINED = 0xFFFFFFFF
ITEM = b"\xfe\xff\x00\xe0"
ITEM_DELIMITER = b"\xfe\xff\x0d\xe0\0\0\0\0"
SEQUENCE_DELIMITER = b"\xfe\xff\xdd\xe0\0\0\0\0"
OPEN_ITEM = ITEM + b"\xff\xff\xff\xff"
OPEN_SEQUENCE = element(0x00091010, b"SQ", b"", UNDEFINED)
AFTER = element(PATIENT_ID, b"LO", b"1449c1d ")
REQUIRED = b"".join(element(tag, b"UI", b"1.2.3\0") for tag in sorted(REQUIRED_TAGS))
REQUIRED_VALUES = dict.fromkeys(REQUIRED_TAGS, b"1.2.3\0")
PIXELS = element(0x7FE00010, b"OB", b"", 0xFFFFFFF0)


def scan_values(
    encoded: bytes | mmap.mmap, *, implicit: bool = False, complete: bool = True
) -> dict[int, bytes] | None:
    found = scan(encoded, 0, implicit=implicit, complete=complete)
    return None if found is None else found.values


def scan_explicit(encoded: bytes) -> dict[int, bytes] | None:
    return scan_values(encoded)


@settings(deadline=None)
@given(datasets(), st.booleans())
def test_random_datasets_are_read_as_by_pydicom(source: Dataset, implicit: bool) -> None:
    encoded = encode(source, IMPLICIT if implicit else EXPLICIT)
    values = scan_values(encoded, implicit=implicit, complete=True)
    assert values is not None
    assert not_empty(values) == read_by_pydicom(encoded, implicit=implicit)


@settings(deadline=None)
@given(datasets(), st.booleans())
def test_each_beginning_of_a_dataset_needs_more_or_is_enough(source: Dataset, implicit: bool) -> None:
    encoded = encode(source, IMPLICIT if implicit else EXPLICIT)
    whole = scan_values(encoded, implicit=implicit, complete=True)
    for size in range(len(encoded)):
        assert scan_values(encoded[:size], implicit=implicit, complete=False) in (None, whole)


@settings(deadline=None)
@given(datasets(), st.booleans())
def test_each_truncated_dataset_is_odd_or_ends_between_elements(source: Dataset, implicit: bool) -> None:
    encoded = encode(source, IMPLICIT if implicit else EXPLICIT)
    whole = scan_values(encoded, implicit=implicit, complete=True)
    assert whole is not None
    for size in range(len(encoded)):
        with contextlib.suppress(OddDatasetError):
            values = scan_values(encoded[:size], implicit=implicit, complete=True)
            assert values is not None
            assert values.items() <= whole.items()


@given(st.binary(max_size=400), st.booleans(), st.booleans())
def test_any_bytes_are_read_or_odd(encoded: bytes, implicit: bool, complete: bool) -> None:
    with contextlib.suppress(OddDatasetError):
        scan_values(encoded, implicit=implicit, complete=complete)


@given(
    st.lists(
        st.sampled_from([ITEM_DELIMITER, SEQUENCE_DELIMITER, OPEN_ITEM, OPEN_SEQUENCE, AFTER, ITEM + b"\0\0\0\0"]),
        max_size=60,
    ),
    st.booleans(),
)
def test_any_order_of_delimiters_is_read_or_odd(pieces: list[bytes], implicit: bool) -> None:
    with contextlib.suppress(OddDatasetError):
        scan_values(b"".join(pieces), implicit=implicit)


def test_a_mapped_file_is_read_as_its_bytes_are() -> None:
    encoded = REQUIRED + element(0x7FE00010, b"OW", b"", 0)
    with mmap.mmap(-1, len(encoded)) as mapped:
        mapped[:] = encoded
        values = scan_values(mapped, implicit=False, complete=False)
    assert values == REQUIRED_VALUES
    assert type(values[PATIENT_ID]) is bytes


@settings(deadline=None)
@given(datasets(), st.booleans())
def test_places_are_where_the_values_are_and_headers_fill_what_is_between(source: Dataset, implicit: bool) -> None:
    missing = dataset(**dict.fromkeys([KEYWORDS[tag] for tag in KEYWORDS if tag not in REQUIRED_TAGS]))
    for required in missing:
        source.add(required)
    encoded = encode(source, IMPLICIT if implicit else EXPLICIT)
    found = scan(encoded, 0, implicit=implicit, complete=True)
    assert found is not None
    position = 0
    for tag, start, end in found.places:
        header_bytes = start - position
        assert header_bytes >= (4 if tag == BEYOND else 8)
        if tag > 0:
            assert found.values[tag] == encoded[start:end]
        position = end
    assert found.places[-1][0] == BEYOND, "the dataset has an element past the wanted ones"
    assert found.places[-1][1] == position


def test_of_a_flood_of_elements_the_first_places_are_kept() -> None:
    found = scan(element(0x00090010, b"LO", b"ab") * 1000 + AFTER, 0, implicit=False, complete=True)
    assert found is not None
    assert len(found.places) == MAX_PLACES
    assert found.values == {PATIENT_ID: b"1449c1d "}


def test_an_unwanted_value_beyond_the_wanted_tags_is_not_looked_at() -> None:
    assert scan_explicit(REQUIRED + PIXELS) == REQUIRED_VALUES
    assert scan_values(REQUIRED + PIXELS, implicit=False, complete=False) == REQUIRED_VALUES


ROWS = element(0x00280010, b"US", b"\4\0")


@pytest.mark.parametrize(
    "before", [ROWS, element(0x00291010, b"OB", bytes(9)), element(0x7FE00010, b"OW", bytes(1000))]
)
@pytest.mark.parametrize("missing", REQUIRED_TAGS)
def test_a_required_tag_behind_others_is_found(before: bytes, missing: int) -> None:
    """The walk ends at the first element past the wanted tags that stands behind all required ones."""
    at = REQUIRED.index(element(missing, b"UI", b"1.2.3\0"))
    encoded = REQUIRED[:at] + before + REQUIRED[at:] + element(INSTANCE_NUMBER, b"IS", b"7 ")
    expected = REQUIRED_VALUES | {INSTANCE_NUMBER: b"7 "}
    assert scan_explicit(encoded) == scan_explicit(encoded + PIXELS) == expected
    assert scan_values(encoded + PIXELS, complete=False) == expected
    assert scan_values(encoded[: at + len(before)], complete=False) is None


def test_what_is_missing_is_looked_for_to_the_end() -> None:
    encoded = REQUIRED[: REQUIRED.index(element(SERIES_INSTANCE_UID, b"UI", b"1.2.3\0"))] + ROWS * 100
    assert SERIES_INSTANCE_UID not in (scan_explicit(encoded) or {})
    assert scan_values(encoded, complete=False) is None


def test_tags_in_a_sequence_are_not_those_of_the_dataset() -> None:
    inner = element(PATIENT_ID, b"LO", b"another ")
    assert scan_explicit(OPEN_SEQUENCE + OPEN_ITEM + inner + ITEM_DELIMITER + SEQUENCE_DELIMITER + AFTER) == {
        PATIENT_ID: b"1449c1d "
    }


IMPLICIT_ELEMENT = b"\x10\x00\x20\x00\x04\x00\x00\x00" + b"zzzz"


@pytest.mark.parametrize("inside", [IMPLICIT_ELEMENT, element(PATIENT_ID, b"UT", b"zzzz"), b""])
def test_an_unknown_vr_with_undefined_length_holds_items_of_either_encoding(inside: bytes) -> None:
    unknown = element(0x00091010, b"UN", b"", UNDEFINED)
    for content in (inside, unknown + OPEN_ITEM + inside + ITEM_DELIMITER + SEQUENCE_DELIMITER):
        sequence = unknown + OPEN_ITEM + content + ITEM_DELIMITER + SEQUENCE_DELIMITER
        assert scan_explicit(sequence + AFTER) == {PATIENT_ID: b"1449c1d "}
        assert not_empty(read_by_pydicom(sequence + AFTER, implicit=False)) == {PATIENT_ID: b"1449c1d "}


def test_implicit_items_in_an_explicit_sequence_are_tolerated() -> None:
    sequence = OPEN_SEQUENCE + OPEN_ITEM + IMPLICIT_ELEMENT + ITEM_DELIMITER + SEQUENCE_DELIMITER
    assert scan_explicit(sequence + AFTER) == {PATIENT_ID: b"1449c1d "}


def test_an_item_that_is_not_ended_before_its_sequence_is_tolerated() -> None:
    assert scan_explicit(OPEN_SEQUENCE + OPEN_ITEM + AFTER + SEQUENCE_DELIMITER + AFTER) == {PATIENT_ID: b"1449c1d "}


def test_elements_out_of_order_are_found_up_to_the_first_past_the_wanted() -> None:
    study = element(STUDY_INSTANCE_UID, b"UI", b"1.2.3\0")
    instance_number = element(INSTANCE_NUMBER, b"IS", b"7 ")
    assert scan_explicit(instance_number + AFTER + study) == {
        INSTANCE_NUMBER: b"7 ",
        PATIENT_ID: b"1449c1d ",
        STUDY_INSTANCE_UID: b"1.2.3\0",
    }


def test_the_last_of_two_equal_tags_counts() -> None:
    assert scan_explicit(element(PATIENT_ID, b"LO", b"first ") + AFTER) == {PATIENT_ID: b"1449c1d "}


def test_of_a_huge_value_the_beginning_is_kept() -> None:
    huge = element(PATIENT_ID, b"UT", b"x" * 1_000_000)
    assert scan_explicit(huge) == {PATIENT_ID: b"x" * MAX_VALUE_BYTES}


def test_a_few_bytes_of_filling_at_the_end_are_ignored() -> None:
    assert scan_explicit(AFTER + bytes(7)) == {PATIENT_ID: b"1449c1d "}


@pytest.mark.parametrize("size", range(8, 16))
def test_an_element_that_is_cut_in_its_head_or_value_is_no_filling(size: int) -> None:
    cut = element(0x00181000, b"UT", b"text")[:size]
    assert scan_values(AFTER + cut, implicit=False, complete=False) is None
    with pytest.raises(OddDatasetError, match="ends inside an element"):
        scan_explicit(AFTER + cut)


@pytest.mark.parametrize("vr", [b"ZZ", b"\0\0", b"sq"])
def test_an_unknown_value_representation_is_odd(vr: bytes) -> None:
    with pytest.raises(OddDatasetError):
        scan_explicit(AFTER + element(0x00181000, vr, b"ab"))


def test_a_value_representation_of_the_future_has_a_length_of_32_bits() -> None:
    """PS3.5, 6.2: in a dataset, and inside a sequence."""
    future = element(0x00090010, b"ZZ", b"") + (70_000).to_bytes(4, "little") + bytes(70_000)
    assert scan_explicit(future + AFTER) == {PATIENT_ID: b"1449c1d "}
    inside = OPEN_SEQUENCE + OPEN_ITEM + future + ITEM_DELIMITER + SEQUENCE_DELIMITER
    assert scan_explicit(inside + AFTER) == {PATIENT_ID: b"1449c1d "}


@settings(deadline=None)
@given(datasets(), st.booleans(), st.data())
def test_a_dataset_is_whole_if_it_ends_where_an_element_does(
    source: Dataset, implicit: bool, data: st.DataObject
) -> None:
    encoded = encode(source, IMPLICIT if implicit else EXPLICIT)
    assert is_whole(encoded, 0, implicit=implicit)
    assert is_whole(encoded + bytes(data.draw(st.integers(0, 7))), 0, implicit=implicit)
    assert not is_whole(encoded[: -data.draw(st.integers(1, 2))], 0, implicit=implicit), "Rows is the last one"


def test_sequences_nested_too_deep_are_odd() -> None:
    level = OPEN_SEQUENCE + OPEN_ITEM
    close = ITEM_DELIMITER + SEQUENCE_DELIMITER
    assert scan_explicit(level * MAX_DEPTH + close * MAX_DEPTH + AFTER) == {PATIENT_ID: b"1449c1d "}
    with pytest.raises(OddDatasetError, match="nested too deep"):
        scan_explicit(level * 100_000)


@pytest.mark.parametrize(
    "tiny",
    [
        element(0x00090010, b"LO", b""),
        OPEN_SEQUENCE + SEQUENCE_DELIMITER,
        OPEN_SEQUENCE + (OPEN_ITEM + ITEM_DELIMITER) * 9 + SEQUENCE_DELIMITER,
    ],
)
def test_a_flood_of_tiny_elements_is_odd_soon(tiny: bytes) -> None:
    flood = tiny * (4_000_000 // len(tiny) + MAX_STEPS)
    started = time.process_time()
    with pytest.raises(OddDatasetError, match="too many elements"):
        scan_explicit(flood)
    assert time.process_time() - started < 2
