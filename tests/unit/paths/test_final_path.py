"""Paths: every value sanitised, every limit kept, and the same answer each time."""

import datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st
from msgspec.structs import replace

from oxidicom.errors import DatasetError
from oxidicom.paths.final_path import (
    SeriesValues,
    file_name,
    hash7,
    metadata_path,
    number,
    sanitize,
    series_directory,
    series_hash,
    shorten,
    storage_worker_of,
)
from oxidicom.paths.seahash import seahash
from oxidicom.records import Series
from oxidicom.wanted_tags import PATIENT_ID

EXAMPLE = SeriesValues(
    calling_ae_title="MINICHRIS",
    patient_id="1449c1d",
    patient_name="anonymized",
    patient_birth_date="20090701",
    study_description="MR-Brain w/o Contrast",
    accession_number="98edede8b2",
    study_date="20130308",
    series_number="5",
    series_description="SAG MPRAGE 220 FOV",
    series_instance_uid="1.3.12.2.1107.5.2.19.45152.2013030808061520200285270.0.0.0",
)
DIRECTORY = (
    "SERVICES/PACS/MINICHRIS/1449c1d-anonymized-20090701/MR-Brain_w_o_Contrast-98edede8b2-20130308"
    "/00005-SAG_MPRAGE_220_FOV-a27cf06"
)
SERIES = Series("MINICHRIS", DIRECTORY, "1449c1d", datetime.date(2013, 3, 8), "1.2", "1.2.3")


@pytest.mark.parametrize(
    ("value", "sanitized"),
    [
        ("MR-Brain w/o Contrast", "MR-Brain_w_o_Contrast"),
        ("a\0b", "ab"),
        ("DOE^JOHN = x", "DOE_JOHN_x"),
        ("a_b__c", "a_b_c"),
        ("ä中.٣", "_._"),
        ("..", ".."),
        ("../\n", ".._"),
        ("", ""),
    ],
)
def test_a_value_is_sanitised(value: str, sanitized: str) -> None:
    assert sanitize(value) == sanitized


@given(st.text())
def test_what_is_sanitised_stays_as_it_is(value: str) -> None:
    assert sanitize(sanitize(value)) == sanitize(value)


@pytest.mark.parametrize(
    ("value", "width", "expected"),
    [
        ("5", 5, "00005"),
        ("0005", 4, "0005"),
        ("00000000005", 4, "0005"),
        ("+5", 5, "00005"),
        ("0", 4, "0000"),
        ("123456", 5, "123456"),
        ("4294967295", 4, "4294967295"),
        ("4294967296", 4, "4294967296"),
        ("04294967296", 4, "04294967296"),
        ("-1", 5, "000-1"),
        ("5.5", 5, "005.5"),
        ("a/b", 5, "00a_b"),
        ("..", 4, "00.."),
        ("٣", 4, "000_"),
        ("", 5, "SeriesNumber"),
    ],
)
def test_a_number_is_padded(value: str, width: int, expected: str) -> None:
    assert number(value, "SeriesNumber", width) == expected


def test_the_directory_of_the_example() -> None:
    assert series_directory(EXAMPLE) == DIRECTORY


def test_the_file_of_the_example() -> None:
    uid = "1.3.12.2.1107.5.2.19.45152.2013030808110258929186035"
    assert file_name("1", uid) == f"0001-{uid}.dcm"


@pytest.mark.parametrize("uid", ["1.2.3", "1.2.abc-DEF", "..", "a_b"])
def test_a_uid_that_sanitising_does_not_change_stands_as_it_is(uid: str) -> None:
    assert file_name("1", uid) == f"0001-{uid}.dcm"


@pytest.mark.parametrize(
    ("uid", "sanitized"), [("1.2/3", "1.2_3"), ("a+b", "a_b"), ("a++b", "a_b"), ("a__b", "a_b"), ("~" * 64, "_")]
)
def test_a_uid_that_sanitising_changes_ends_in_its_hash(uid: str, sanitized: str) -> None:
    digest = f"{seahash(uid.encode()) & 0xFFFFFFFF:08x}"
    assert file_name("1", uid) == f"0001-{sanitized}-{digest}.dcm"


def test_the_metadata_file_of_the_example() -> None:
    assert metadata_path(DIRECTORY, "01HZ7TF03EZD364005NP332RBQ", "NumberOfSeriesRelatedInstances", "192") == (
        f"SERVICES/PACS/org.fnndsc.oxidicom/{DIRECTORY}/01HZ7TF03EZD364005NP332RBQ/NumberOfSeriesRelatedInstances=192"
    )


def test_the_longest_paths_have_room_in_the_database() -> None:
    assert len(metadata_path("x" * 400, "0" * 26, "NumberOfSeriesRelatedInstances", "4294967295")) <= 512
    assert len("x" * 400 + "/" + file_name("4294967295", "1" * 64)) <= 512


@pytest.mark.parametrize("calling_ae_title", ["", ".", "..", "\0"])
def test_an_ae_title_that_is_no_directory_is_refused(calling_ae_title: str) -> None:
    with pytest.raises(DatasetError):
        series_directory(EXAMPLE._replace(calling_ae_title=calling_ae_title))


def test_an_ae_title_is_sanitised() -> None:
    assert series_directory(EXAMPLE._replace(calling_ae_title="../x")).startswith("SERVICES/PACS/.._x/")


def test_a_hash_of_uids_has_no_leading_zeros() -> None:
    uid = next(uid for uid in map(str, range(10_000)) if seahash(uid.encode()) < 2**60)
    assert hash7(uid) == f"{seahash(uid.encode()):x}"[:7]
    assert not hash7(uid).startswith("0")


def test_a_text_that_fits_is_not_touched() -> None:
    assert shorten("x" * 20, 20) == "x" * 20


def test_a_shortened_text_ends_in_the_hash_of_all_of_it() -> None:
    text = "x" * 21
    assert shorten(text, 20) == "x" * 12 + f"{seahash(text.encode()) & 0xFFFFFFFF:08x}"
    assert shorten("x" * 22, 20) != shorten(text, 20)
    assert shorten(text, 8) == f"{seahash(text.encode()) & 0xFFFFFFFF:08x}"


def test_a_component_is_at_most_255_bytes() -> None:
    at_most = "x" * (255 - len("-98edede8b2-20130308"))
    fits = series_directory(EXAMPLE._replace(study_description=at_most))
    assert fits.split("/")[4] == f"{at_most}-98edede8b2-20130308"
    cut = series_directory(EXAMPLE._replace(study_description=at_most + "x")).split("/")[4]
    assert len(cut) == 255
    assert cut.endswith(f"{seahash((at_most + 'x').encode()) & 0xFFFFFFFF:08x}-98edede8b2-20130308")


def test_of_a_long_directory_the_longest_texts_are_shortened() -> None:
    directory = series_directory(EXAMPLE._replace(study_description="x" * 200, series_description="y" * 190))
    _, _, _, patient, study, series = directory.split("/")
    assert patient == "1449c1d-anonymized-20090701"
    assert study.startswith("x" * 100)
    assert series.startswith("00005-" + "y" * 100)
    assert 398 <= len(directory) <= 400


def test_a_directory_of_exactly_400_characters_is_not_touched() -> None:
    text = "x" * (len(EXAMPLE.study_description) + 400 - len(DIRECTORY) - 100)
    values = EXAMPLE._replace(study_description=text, patient_name="n" * (len("anonymized") + 100))
    directory = series_directory(values)
    assert len(directory) == 400
    assert text in directory
    longer = series_directory(values._replace(study_description=text + "x"))
    assert len(longer) == 400
    assert text not in longer


def test_words_for_missing_values_are_shortened_rather_than_the_instance_refused() -> None:
    study = series_directory(EXAMPLE._replace(study_description="", accession_number="1" * 235)).split("/")[4]
    assert study.endswith(f"-{'1' * 235}-20130308")
    assert len(study) <= 255


def test_a_component_without_room_for_its_text_is_refused() -> None:
    with pytest.raises(DatasetError, match="AccessionNumber is too long"):
        series_directory(EXAMPLE._replace(accession_number="1" * 240))
    short = series_directory(EXAMPLE._replace(accession_number="1" * 240, study_description="MR"))
    assert f"/MR-{'1' * 240}-20130308/" in short


def test_an_id_is_never_cut() -> None:
    with pytest.raises(DatasetError) as caught:
        series_directory(EXAMPLE._replace(patient_id="x" * 250))
    assert str(caught.value) == "PatientID is too long for a path"
    assert caught.value.offending_tags == (PATIENT_ID,)


def test_a_number_that_leaves_no_room_for_the_path_is_refused() -> None:
    with pytest.raises(DatasetError, match="InstanceNumber is too long"):
        file_name("x" * 43, "1" * 64)
    assert len(file_name("x" * 42, "1" * 64)) == 111


VALUES = st.one_of(st.text(max_size=30), st.text("./-ab", max_size=300), st.integers(0, 600).map(lambda n: "x" * n))


@given(st.builds(SeriesValues, *[VALUES] * 10))
def test_no_value_leaves_the_tree_or_its_limits(values: SeriesValues) -> None:
    try:
        directory = series_directory(values)
    except DatasetError as error:
        assert error.status == 0xC000
        return
    components = directory.split("/")
    assert components[:2] == ["SERVICES", "PACS"]
    assert len(components) == 6
    assert not {"", ".", ".."} & set(components)
    assert max(map(len, components)) <= 255
    assert len(directory) <= 400
    assert directory.isascii()
    assert series_directory(values) == directory


def test_a_series_hash_is_20_hexadecimal_digits() -> None:
    assert len(series_hash(SERIES)) == 20
    assert set(series_hash(SERIES)) <= set("0123456789abcdef")
    assert series_hash(SERIES)[:4] == f"{seahash(DIRECTORY.encode()) & 0xFFFF:04x}"


def test_all_six_values_tell_series_apart_and_the_directory_alone_routes() -> None:
    others = [
        replace(SERIES, calling_ae_title="OTHER"),
        replace(SERIES, patient_id="other"),
        replace(SERIES, study_date=datetime.date(2013, 3, 9)),
        replace(SERIES, study_instance_uid="1.3"),
        replace(SERIES, series_instance_uid="1.2.4"),
        replace(SERIES, study_instance_uid="1.21", series_instance_uid=".2.3"),
    ]
    hashes = {series_hash(series) for series in (SERIES, *others)}
    assert len(hashes) == 7
    assert {value[:4] for value in hashes} == {series_hash(SERIES)[:4]}
    elsewhere = replace(SERIES, directory=f"{DIRECTORY}x")
    assert series_hash(elsewhere)[:4] != series_hash(SERIES)[:4]


@pytest.mark.parametrize("workers", [1, 2, 3, 4])
def test_every_storage_worker_has_series(workers: int) -> None:
    series = [replace(SERIES, directory=f"SERVICES/PACS/A/{index}") for index in range(99)]
    assert {storage_worker_of(series_hash(one), workers) for one in series} == set(range(workers))
