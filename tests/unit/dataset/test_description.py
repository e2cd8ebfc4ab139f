"""A dataset becomes a path, a row and a series, by the rules of the formats."""

import datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydicom.datadict import tag_for_keyword

from oxidicom.dataset.description import describe
from oxidicom.dataset.header import Header, read_header
from oxidicom.errors import DatasetError
from oxidicom.records import Description, PacsFile, Series, SharedColumns
from oxidicom.wanted_tags import KEYWORDS
from tests.unit.dataset.dataset_bytes import EXPLICIT, MR_BRAIN, dataset, encode

DIRECTORY = (
    "SERVICES/PACS/MINICHRIS/1449c1d-anonymized-20090701/MR-Brain_w_o_Contrast-98edede8b2-20130308"
    "/00005-SAG_MPRAGE_220_FOV-a27cf06"
)
TAGS = {keyword: tag for tag, keyword in KEYWORDS.items()}
REQUIRED = ["SOPInstanceUID", "StudyInstanceUID", "SeriesInstanceUID", "PatientID", "StudyDate"]


def header(**changes: bytes | str | None) -> Header:
    values = {keyword: value.encode() for keyword, value in MR_BRAIN.items()}
    for keyword, change in changes.items():
        values.pop(keyword, None)
        if change is not None:
            values[keyword] = change if isinstance(change, bytes) else change.encode()
    return Header({TAGS[keyword]: value for keyword, value in values.items()})


def described(**changes: bytes | str | None) -> Description:
    return describe(header(**changes), "MINICHRIS")


def component(description: Description, index: int) -> str:
    return description.file.fname.split("/")[index]


def test_the_tags_have_the_keywords_of_the_dictionary() -> None:
    assert {keyword: tag_for_keyword(keyword) for keyword in TAGS} == TAGS
    assert len(TAGS) == 18
    assert list(KEYWORDS) == sorted(KEYWORDS)


def test_the_example_of_the_formats() -> None:
    read = read_header(encode(dataset()), EXPLICIT, complete=True)
    assert read is not None
    study_instance_uid = MR_BRAIN["StudyInstanceUID"]
    series_instance_uid = MR_BRAIN["SeriesInstanceUID"]
    assert describe(read, " MINICHRIS ") == Description(
        file=PacsFile(
            f"{DIRECTORY}/0001-1.3.12.2.1107.5.2.19.45152.2013030808110258929186035.dcm",
            SharedColumns(
                pacs_identifier="MINICHRIS",
                patient_id="1449c1d",
                study_date=datetime.date(2013, 3, 8),
                study_instance_uid=study_instance_uid,
                series_instance_uid=series_instance_uid,
                patient_name="anonymized",
                patient_birth_date=datetime.date(2009, 7, 1),
                patient_age_days=1096,
                patient_sex="M",
                study_description="MR-Brain w/o Contrast",
                accession_number="98edede8b2",
                modality="MR",
                protocol_name="SAG MPRAGE 220 FOV",
                series_description="SAG MPRAGE 220 FOV",
            ),
        ),
        series=Series(
            "MINICHRIS",
            DIRECTORY,
            "1449c1d",
            datetime.date(2013, 3, 8),
            study_instance_uid,
            series_instance_uid,
        ),
        sop_class_uid="1.2.840.10008.5.1.4.1.1.4",
        sop_instance_uid="1.3.12.2.1107.5.2.19.45152.2013030808110258929186035",
        warnings=(),
    )


def test_instances_of_a_series_differ_in_what_is_their_own_only() -> None:
    first = described()
    second = described(InstanceNumber="2", SOPInstanceUID="1.02")
    assert second.file.fname == f"{DIRECTORY}/0002-1.02.dcm"
    assert second.series == first.series
    assert second.warnings == ("SOPInstanceUID breaks the rules of UIDs",)
    assert described() == first


def test_the_remembered_part_of_a_series_is_not_that_of_another() -> None:
    for keyword in set(TAGS) - {"SOPInstanceUID", "InstanceNumber"}:
        described()
        assert described(**{keyword: "20010101"}) != described()
    assert describe(header(), "OTHER").series.calling_ae_title == "OTHER"


@pytest.mark.parametrize("keyword", REQUIRED)
def test_a_required_attribute_that_is_missing_is_named(keyword: str) -> None:
    with pytest.raises(DatasetError) as caught:
        described(**{keyword: None})
    assert str(caught.value) == f"{keyword} is missing"
    assert caught.value.status == 0xC000
    assert caught.value.offending_tags == (TAGS[keyword],)


def test_what_may_be_behind_an_obstacle_is_not_called_missing() -> None:
    with pytest.raises(DatasetError) as caught:
        describe(Header(header(StudyDate=None).values, obstacle="cut off in (0008,0016)"), "A")
    assert str(caught.value) == "StudyDate not found: cut off in (0008,0016)"
    assert caught.value.offending_tags == (TAGS["StudyDate"],)


EMPTY = ["", "  ", "\0", "\\1.2.3"]


@pytest.mark.parametrize("keyword", [keyword for keyword in REQUIRED if keyword != "PatientID"])
@pytest.mark.parametrize("value", EMPTY)
def test_a_required_value_that_is_empty_is_named(keyword: str, value: str) -> None:
    with pytest.raises(DatasetError) as caught:
        described(**{keyword: value})
    assert str(caught.value) == f"{keyword} is empty"
    assert caught.value.offending_tags == (TAGS[keyword],)


@pytest.mark.parametrize("value", EMPTY)
def test_a_patient_id_may_be_empty_if_it_is_there(value: str) -> None:
    description = described(PatientID=value)
    assert description.file.columns.patient_id == description.series.patient_id == ""
    assert component(description, 3) == "-anonymized-20090701"
    assert description.warnings == ("PatientID is empty",)


@pytest.mark.parametrize("keyword", ["SOPInstanceUID", "SeriesInstanceUID", "StudyInstanceUID"])
@pytest.mark.parametrize("uid", ["1.2.3.abc", "f00ba4", "a+b/c=", "~" * 64])
def test_a_uid_may_have_any_visible_characters(keyword: str, uid: str) -> None:
    description = described(**{keyword: uid})
    columns = description.file.columns
    assert uid in (description.sop_instance_uid, columns.series_instance_uid, columns.study_instance_uid)
    assert description.warnings == (f"{keyword} breaks the rules of UIDs",)


def test_two_uids_never_share_a_path() -> None:
    uids = ["1.2.a+b", "1.2.a/b", "1.2.a_b", "1.2.a++b", "1.2.ab", "1.2.a-b"]
    names = {component(described(SOPInstanceUID=uid), 6) for uid in uids}
    assert len(names) == len(uids)
    assert "0001-1.2.a_b.dcm" in names


@pytest.mark.parametrize(
    ("keyword", "value", "message"),
    [
        ("SOPInstanceUID", "1" * 65, "SOPInstanceUID is unusable"),
        ("SeriesInstanceUID", "1.2 3", "SeriesInstanceUID is unusable"),
        ("StudyInstanceUID", b"1.2.\xff", "StudyInstanceUID is unusable"),
        ("StudyDate", "20130229", "StudyDate is unusable"),
        ("PatientID", "x" * 101, "PatientID is too long"),
        ("PatientBirthDate", "1" * 300, "PatientBirthDate is too long for a path"),
        ("AccessionNumber", "1" * 300, "AccessionNumber is too long for a path"),
        ("SeriesNumber", "x" * 300, "SeriesNumber is too long for a path"),
        ("InstanceNumber", "x" * 300, "InstanceNumber is too long for a path"),
    ],
)
def test_a_value_that_cannot_be_used_is_named(keyword: str, value: str | bytes, message: str) -> None:
    with pytest.raises(DatasetError) as caught:
        described(**{keyword: value})
    assert str(caught.value) == message
    assert caught.value.offending_tags == (TAGS[keyword],)


def test_the_first_of_several_missing_values_is_named() -> None:
    missing: dict[str, str | None] = dict.fromkeys(REQUIRED)
    for keyword in REQUIRED:
        with pytest.raises(DatasetError, match=f"{keyword} is missing"):
            described(**missing)
        missing.pop(keyword)


@pytest.mark.parametrize("calling_ae_title", ["", " ", ".", "..", "\0"])
def test_an_ae_title_that_is_no_directory_is_refused(calling_ae_title: str) -> None:
    with pytest.raises(DatasetError, match="AE title"):
        describe(header(), calling_ae_title)


def test_missing_values_have_words_of_their_own_in_the_path() -> None:
    description = described(
        PatientName=None,
        PatientBirthDate="",
        StudyDescription=None,
        AccessionNumber=" ",
        SeriesNumber=None,
        SeriesDescription="\0",
        InstanceNumber="",
    )
    assert description.file.fname == (
        "SERVICES/PACS/MINICHRIS/1449c1d--/StudyDescription-AccessionNumber-20130308"
        f"/SeriesNumber-SeriesDescription-a27cf06/InstanceNumber-{MR_BRAIN['SOPInstanceUID']}.dcm"
    )
    assert description.file.columns.study_description == description.file.columns.accession_number == ""
    assert description.file.columns.patient_birth_date is None
    assert description.warnings == ()


def test_only_what_is_required_is_enough() -> None:
    description = describe(Header({TAGS[keyword]: MR_BRAIN[keyword].encode() for keyword in REQUIRED}), "A")
    assert description.sop_class_uid == ""
    assert description.file.columns.patient_sex == ""
    assert description.warnings == ()


def test_of_several_values_the_first_counts() -> None:
    description = described(
        StudyDescription="one\\two", SeriesNumber="7\\8", StudyDate="20130308\\x", PatientSex="F\\M"
    )
    assert component(description, 4) == "one-98edede8b2-20130308"
    assert component(description, 5).startswith("00007-")
    assert description.file.columns.study_description == "one"
    assert description.file.columns.patient_sex == "F"


def test_dates_stand_in_the_path_as_in_the_dataset() -> None:
    description = described(StudyDate="2013-03-08", PatientBirthDate="2009.07.01")
    assert component(description, 3) == "1449c1d-anonymized-2009.07.01"
    assert component(description, 4).endswith("-2013-03-08")
    assert description.file.columns.patient_birth_date == datetime.date(2009, 7, 1)


@pytest.mark.parametrize(
    ("keyword", "value", "warning"),
    [
        ("PatientBirthDate", "00000000", "PatientBirthDate is unusable"),
        ("PatientAge", "old", "PatientAge is unusable"),
        ("PatientAge", "9999999999Y", "PatientAge is unusable"),
        ("PatientSex", "m", "PatientSex is unusable"),
        ("PatientName", b"M\xfcller", "PatientName does not fit SpecificCharacterSet"),
        ("PatientName", "Müller", "PatientName is UTF-8, which SpecificCharacterSet does not say"),
        ("SpecificCharacterSet", "nonsense", "SpecificCharacterSet is unknown"),
        ("StudyInstanceUID", "1.02", "StudyInstanceUID breaks the rules of UIDs"),
        ("PatientName", "x" * 151, "PatientName was cut to 150 characters"),
        ("StudyDescription", "x" * 401, "StudyDescription was cut to 400 characters"),
        ("SeriesDescription", "x" * 401, "SeriesDescription was cut to 400 characters"),
        ("AccessionNumber", "x" * 101, "AccessionNumber was cut to 100 characters"),
        ("Modality", "x" * 16, "Modality was cut to 15 characters"),
        ("ProtocolName", "x" * 65, "ProtocolName was cut to 64 characters"),
    ],
)
def test_what_is_mended_is_reported(keyword: str, value: str | bytes, warning: str) -> None:
    assert described(**{keyword: value}).warnings == (warning,)


def test_unusable_values_are_null_or_empty() -> None:
    file = described(PatientBirthDate="x", PatientAge="x", PatientSex="x").file.columns
    assert (file.patient_birth_date, file.patient_age_days, file.patient_sex) == (None, None, "")


def test_the_warnings_of_the_header_are_kept() -> None:
    assert describe(Header(header().values, ("odd",)), "A").warnings == ("odd",)
    assert describe(Header(header().values, ("odd",), "odd"), "A").warnings == ("odd",)


def test_text_is_decoded_for_row_and_path() -> None:
    description = described(SpecificCharacterSet="ISO_IR 192", PatientName="Äneas^Rüdiger=x")
    assert description.file.columns.patient_name == "Äneas^Rüdiger=x"
    assert component(description, 3) == "1449c1d-_neas_R_diger_x-20090701"


def test_a_text_is_cut_in_the_row_but_not_in_the_path() -> None:
    description = described(ProtocolName="x" * 100, AccessionNumber="1" * 120)
    assert description.file.columns.accession_number == "1" * 100
    assert f"-{'1' * 120}-" in description.file.fname


HOSTILE = st.one_of(
    st.none(),
    st.binary(max_size=40),
    st.text("./\\\0-_ ä", max_size=400).map(str.encode),
    st.integers(0, 4096).map(lambda size: b"x" * size),
    st.sampled_from([b"..", b"../../../etc/passwd", b"/", b".", b"\0", b"a/b"]),
)


@given(st.dictionaries(st.sampled_from(sorted(TAGS)), HOSTILE, max_size=6), st.text(max_size=16))
def test_no_value_leaves_the_tree_or_its_limits(changes: dict[str, bytes | None], calling_ae_title: str) -> None:
    try:
        description = describe(header(**changes), calling_ae_title)
    except DatasetError as error:
        assert error.status == 0xC000
        assert len(str(error)) <= 64
        assert str(error).isascii()
        return
    file, directory = description.file, description.series.directory
    components = file.fname.split("/")
    assert file.fname.startswith(f"{directory}/")
    assert components[:2] == ["SERVICES", "PACS"]
    assert len(components) == 7
    assert not {"", ".", ".."} & set(components)
    assert max(map(len, components)) <= 255
    assert len(directory) <= 400
    assert len(file.fname) <= 512
    assert file.fname.isascii()
    assert len(file.columns.patient_name) <= 150
    assert len(file.columns.accession_number) <= 100
    assert len(file.columns.protocol_name) <= 64
    assert "\0" not in repr(file).replace("\\x00", "\0")
