"""The description of an instance: its path, its row and its series, from the raw values of its header.

What the instances of a series have in common is worked out once and remembered: a memo of a pure function,
with the raw values as its key, so that it can never be out of date.
"""

import datetime
from functools import lru_cache
from typing import NamedTuple

from oxidicom.dataset.header import Header
from oxidicom.dataset.header_stencil import InstanceValues
from oxidicom.dataset.text import clean, decode_text, parse_character_set
from oxidicom.dataset.values import is_strict_uid, is_uid, parse_age_days, parse_date
from oxidicom.errors import DatasetError
from oxidicom.paths.final_path import SeriesValues, file_name, series_directory
from oxidicom.records import Description, PacsFile, Series, SharedColumns
from oxidicom.wanted_tags import (
    ACCESSION_NUMBER,
    INSTANCE_NUMBER,
    KEYWORDS,
    MODALITY,
    PATIENT_AGE,
    PATIENT_BIRTH_DATE,
    PATIENT_ID,
    PATIENT_NAME,
    PATIENT_SEX,
    PROTOCOL_NAME,
    REQUIRED_TAGS,
    SERIES_DESCRIPTION,
    SERIES_INSTANCE_UID,
    SERIES_NUMBER,
    SOP_CLASS_UID,
    SOP_INSTANCE_UID,
    SPECIFIC_CHARACTER_SET,
    STUDY_DATE,
    STUDY_DESCRIPTION,
    STUDY_INSTANCE_UID,
)

_SERIES_TAGS = tuple(tag for tag in KEYWORDS if tag not in (SOP_INSTANCE_UID, INSTANCE_NUMBER))
_MAX_SERIES = 32

_MAX_PATIENT_ID_CHARACTERS = 100
_MAX_CHARACTERS = {
    PATIENT_NAME: 150,
    STUDY_DESCRIPTION: 400,
    SERIES_DESCRIPTION: 400,
    ACCESSION_NUMBER: 100,
    MODALITY: 15,
    PROTOCOL_NAME: 64,
}
"""What the columns of CUBE's table have room for."""


class SeriesDescription(NamedTuple):
    """What a description has from the values that the instances of a series share."""

    series: Series
    columns: SharedColumns
    sop_class_uid: str
    warnings: tuple[str, ...]

    def describe(self, instance: InstanceValues) -> Description:
        """Return the description of one instance. Raise DatasetError."""
        warnings = self.warnings
        sop_instance_uid = _ascii(instance.sop_instance_uid)
        if not is_strict_uid(sop_instance_uid):
            _require_uid(SOP_INSTANCE_UID, sop_instance_uid)
            warnings = (*warnings, _breaks_rules(SOP_INSTANCE_UID))
        name = file_name(_ascii(instance.instance_number), sop_instance_uid)
        return Description(
            PacsFile(f"{self.series.directory}/{name}", self.columns),
            self.series,
            self.sop_class_uid,
            sop_instance_uid,
            warnings,
        )


def describe(header: Header, calling_ae_title: str) -> Description:
    """Return path, row and series of the instance with this header.

    Required are SOPInstanceUID, StudyInstanceUID, SeriesInstanceUID, PatientID and StudyDate, checked in this
    order: raise DatasetError that names the first that is not there, else the first that is empty or unusable, or
    what is too long for a path. PatientID may be empty.
    """
    try:
        _require_all(header)
        instance = InstanceValues.of(header.values)
        _require_uid(SOP_INSTANCE_UID, _ascii(instance.sop_instance_uid))
        return describe_series(header, calling_ae_title).describe(instance)
    except DatasetError as error:
        error.series_instance_uid = _ascii(header.values.get(SERIES_INSTANCE_UID))
        raise


def describe_series(header: Header, calling_ae_title: str) -> SeriesDescription:
    """Return what the instance with this header shares with its series. Raise DatasetError as `describe` does."""
    described = _describe_series(tuple([header.values.get(tag) for tag in _SERIES_TAGS]), calling_ae_title)
    return described._replace(warnings=header.warnings + described.warnings) if header.warnings else described


@lru_cache(maxsize=_MAX_SERIES)
def _describe_series(raw_values: tuple[bytes | None, ...], calling_ae_title: str) -> SeriesDescription:
    """Describe what the instances of a series share, from the raw values of _SERIES_TAGS."""
    values = _Values({tag: raw for tag, raw in zip(_SERIES_TAGS, raw_values, strict=True) if raw is not None})
    calling_ae_title = calling_ae_title.replace("\0", "").strip()
    study_instance_uid = values.required_uid(STUDY_INSTANCE_UID)
    series_instance_uid = values.required_uid(SERIES_INSTANCE_UID)
    patient_id = values.patient_id()
    study_date = values.study_date()
    texts = {tag: values.text(tag) for tag in _MAX_CHARACTERS}
    directory = series_directory(
        SeriesValues(
            calling_ae_title=calling_ae_title,
            patient_id=patient_id,
            patient_name=texts[PATIENT_NAME],
            patient_birth_date=values.ascii(PATIENT_BIRTH_DATE),
            study_description=texts[STUDY_DESCRIPTION],
            accession_number=texts[ACCESSION_NUMBER],
            study_date=values.ascii(STUDY_DATE),
            series_number=values.ascii(SERIES_NUMBER),
            series_description=texts[SERIES_DESCRIPTION],
            series_instance_uid=series_instance_uid,
        )
    )
    columns = {tag: values.cut(tag, text) for tag, text in texts.items()}
    return SeriesDescription(
        Series(calling_ae_title, directory, patient_id, study_date, study_instance_uid, series_instance_uid),
        SharedColumns(
            pacs_identifier=calling_ae_title,
            patient_id=patient_id,
            study_date=study_date,
            study_instance_uid=study_instance_uid,
            series_instance_uid=series_instance_uid,
            patient_name=columns[PATIENT_NAME],
            patient_birth_date=values.birth_date(),
            patient_age_days=values.age_days(),
            patient_sex=values.sex(),
            study_description=columns[STUDY_DESCRIPTION],
            accession_number=columns[ACCESSION_NUMBER],
            modality=columns[MODALITY],
            protocol_name=columns[PROTOCOL_NAME],
            series_description=columns[SERIES_DESCRIPTION],
        ),
        values.ascii(SOP_CLASS_UID),
        tuple(values.warnings),
    )


class _Values:
    """The values of a dataset, corrected where they have to be, and what was corrected."""

    def __init__(self, raw_values: dict[int, bytes]) -> None:
        self._raw_values = raw_values
        self.warnings: list[str] = []
        self._character_set = parse_character_set(raw_values.get(SPECIFIC_CHARACTER_SET, b""))
        if not self._character_set.is_known:
            self.warnings.append("SpecificCharacterSet is unknown")

    def ascii(self, tag: int) -> str:
        """Return the first value of an attribute that has no character set; '' where missing."""
        return _ascii(self._raw_values.get(tag))

    def text(self, tag: int) -> str:
        """Return the first value of a text; '' where missing."""
        raw = self._raw_values.get(tag)
        if not raw:
            return ""
        if tag == MODALITY:
            return self.ascii(tag)
        text, flaw = decode_text(raw, self._character_set, is_name=tag == PATIENT_NAME)
        if flaw:
            self.warnings.append(f"{KEYWORDS[tag]} {flaw}")
        return text

    def cut(self, tag: int, text: str) -> str:
        """Return a text as its column has room for it."""
        most = _MAX_CHARACTERS[tag]
        if len(text) <= most:
            return text
        self.warnings.append(f"{KEYWORDS[tag]} was cut to {most} characters")
        return text[:most]

    def required_uid(self, tag: int) -> str:
        """Return a UID, or raise DatasetError."""
        uid = self.ascii(tag)
        _require_uid(tag, uid)
        if not is_strict_uid(uid):
            self.warnings.append(_breaks_rules(tag))
        return uid

    def patient_id(self) -> str:
        """Return the PatientID, or raise DatasetError. Cut, it could be that of another patient."""
        patient_id = self.text(PATIENT_ID)
        if not patient_id:
            self.warnings.append(f"{KEYWORDS[PATIENT_ID]} is empty")
        if len(patient_id) > _MAX_PATIENT_ID_CHARACTERS:
            raise _refused(PATIENT_ID, "too long")
        return patient_id

    def study_date(self) -> datetime.date:
        """Return the StudyDate, or raise DatasetError."""
        text = self.ascii(STUDY_DATE)
        date = parse_date(text)
        if date is None:
            raise _refused(STUDY_DATE, "unusable" if text else "empty")
        return date

    def birth_date(self) -> datetime.date | None:
        """Return the PatientBirthDate, or None."""
        text = self.ascii(PATIENT_BIRTH_DATE)
        date = parse_date(text)
        self._warn_unless(date is not None or not text, PATIENT_BIRTH_DATE)
        return date

    def age_days(self) -> int | None:
        """Return the PatientAge in days, or None."""
        text = self.ascii(PATIENT_AGE)
        days = parse_age_days(text)
        self._warn_unless(days is not None or not text, PATIENT_AGE)
        return days

    def sex(self) -> str:
        """Return the PatientSex: M, F, O or ''."""
        text = self.ascii(PATIENT_SEX)
        known = text in ("", "M", "F", "O")
        self._warn_unless(known, PATIENT_SEX)
        return text if known else ""

    def _warn_unless(self, usable: bool, tag: int) -> None:
        if not usable:
            self.warnings.append(f"{KEYWORDS[tag]} is unusable")


def _ascii(raw: bytes | None) -> str:
    """Return the first value of an attribute that has no character set; '' where missing."""
    return clean(raw.decode("latin-1")) if raw else ""


def _require_all(header: Header) -> None:
    """Name the first required tag that is not there, and what may hide it. Raise DatasetError."""
    for tag in REQUIRED_TAGS:
        if tag not in header.values:
            if header.obstacle:
                raise DatasetError(f"{KEYWORDS[tag]} not found: {header.obstacle}", offending_tags=(tag,))
            raise _refused(tag, "missing")


def _require_uid(tag: int, uid: str) -> None:
    if not is_uid(uid):
        raise _refused(tag, "unusable" if uid else "empty")


def _breaks_rules(tag: int) -> str:
    return f"{KEYWORDS[tag]} breaks the rules of UIDs"


def _refused(tag: int, why: str) -> DatasetError:
    return DatasetError(f"{KEYWORDS[tag]} is {why}", offending_tags=(tag,))
