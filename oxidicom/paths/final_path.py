"""Where a file stands below CHRIS_FILES_ROOT. The same string is `fname` in CUBE's database.

    SERVICES/PACS/{calling AE title}/{PatientID}-{PatientName}-{PatientBirthDate}
        /{StudyDescription}-{AccessionNumber}-{StudyDate}/{SeriesNumber}-{SeriesDescription}-{hash7}
        /{InstanceNumber}-{SOPInstanceUID}.dcm

The law of this file: every value is sanitised before it enters a path, so that no sender leaves the tree. It
is pure: equal values give equal paths, in every process and after every restart.
"""

import re
from collections.abc import Sequence
from typing import NamedTuple

from oxidicom.errors import DatasetError
from oxidicom.paths.seahash import seahash
from oxidicom.records import METADATA_PACS_IDENTIFIER, Series
from oxidicom.wanted_tags import (
    ACCESSION_NUMBER,
    INSTANCE_NUMBER,
    KEYWORDS,
    PATIENT_BIRTH_DATE,
    PATIENT_ID,
    SERIES_NUMBER,
    STUDY_DATE,
)

PACS_ROOT = "SERVICES/PACS"
"""All that PACS push stands below this directory."""

METADATA_ROOT = f"{PACS_ROOT}/{METADATA_PACS_IDENTIFIER}"
""""Oxidicom Custom Metadata" stands below this directory."""

MAX_PATH_CHARACTERS = 512
MAX_DIRECTORY_CHARACTERS = 400
"""Of a series directory: the path of its metadata is up to 103 characters longer."""
MAX_COMPONENT_CHARACTERS = 255
"""All characters are ASCII, so these are bytes too."""

_MAX_NAME_CHARACTERS = MAX_PATH_CHARACTERS - MAX_DIRECTORY_CHARACTERS - 1
_DIGEST_CHARACTERS = 8
_MAX_UNSIGNED = 0xFFFF_FFFF

_FORBIDDEN = re.compile(r"[^A-Za-z0-9.\-]+")
_UNSIGNED = re.compile(r"\+?0*([0-9]{1,10})", re.ASCII)


class SeriesValues(NamedTuple):
    """What the path of a series is made of: decoded values, not yet sanitised; '' where missing."""

    calling_ae_title: str
    patient_id: str
    patient_name: str
    patient_birth_date: str
    """As in the dataset, as is the study date."""
    study_description: str
    accession_number: str
    study_date: str
    series_number: str
    series_description: str
    series_instance_uid: str


class _Component(NamedTuple):
    """A directory name around a free text, the only part of it that may be shortened."""

    before: str
    text: str
    after: str

    @property
    def room(self) -> int:
        """How many characters of the text the file system has room for."""
        return MAX_COMPONENT_CHARACTERS - len(self.before) - len(self.after)

    def length(self, limit: int) -> int:
        """Return its length with a text of at most `limit` characters."""
        return len(self.before) + min(len(self.text), self.room, limit) + len(self.after)

    def build(self, limit: int) -> str:
        """Return it with a text of at most `limit` characters."""
        return self.before + shorten(self.text, min(self.room, limit)) + self.after


def sanitize(value: str) -> str:
    """Return `value` without NULs, and each run of characters outside A-Z a-z 0-9 . - as one underscore."""
    return _FORBIDDEN.sub("_", value.replace("\0", ""))


def shorten(text: str, limit: int) -> str:
    """Return a sanitised `text` of at most `limit` characters (8 or more).

    One that fits is not touched. Any other ends in 8 hexadecimal digits: the low half of the SeaHash of all
    of it.
    """
    return text if len(text) <= limit else text[: limit - _DIGEST_CHARACTERS] + _digest(text)


def _digest(text: str) -> str:
    """Return 8 hexadecimal digits that stand for all of a text: the low half of its SeaHash."""
    return f"{seahash(text.encode()) & 0xFFFF_FFFF:0{_DIGEST_CHARACTERS}x}"


def sanitize_uid(uid: str) -> str:
    """Return a UID as in a path. One that sanitising changes ends in `-` and 8 hexadecimal digits: the low half of the
    SeaHash of all of it, so that two UIDs never become one path.
    """
    sanitized = sanitize(uid)
    return sanitized if sanitized == uid else f"{sanitized}-{_digest(uid)}"


def number(value: str, keyword: str, width: int) -> str:
    """Return SeriesNumber or InstanceNumber as in a path, left-padded with `0` to `width` characters.

    Unsigned 32-bit integers are written in decimal, anything else is sanitised; `keyword` stands for ''.
    """
    match = _UNSIGNED.fullmatch(value)
    if match and (unsigned := int(match[1])) <= _MAX_UNSIGNED:
        return str(unsigned).rjust(width, "0")
    return (sanitize(value) or keyword).rjust(width, "0")


def hash7(series_instance_uid: str) -> str:
    """Return the first 7 hexadecimal digits of the SeaHash of a SeriesInstanceUID, without leading zeros."""
    return f"{seahash(series_instance_uid.encode()):x}"[:7]


def series_directory(values: SeriesValues) -> str:
    """Return the directory of a series: at most 400 characters, at most 255 bytes per component.

    What is too long is made to fit by shortening the longest of its three free texts, or those that are
    longest together. Raise DatasetError when even that is not enough, or when the AE title is no name of a
    directory.
    """
    calling_ae_title = sanitize(values.calling_ae_title)
    if calling_ae_title in ("", ".", "..") or len(calling_ae_title) > MAX_COMPONENT_CHARACTERS:
        raise DatasetError("calling AE title is not usable as a directory name")
    root = f"{PACS_ROOT}/{calling_ae_title}/"
    components = _components(values)
    limit = _text_limit(components, MAX_DIRECTORY_CHARACTERS - len(root))
    if limit is None:
        raise _too_long(values)
    return root + "/".join([component.build(limit) for component in components])


def _components(values: SeriesValues) -> Sequence[_Component]:
    patient_id = sanitize(values.patient_id)
    accession_number = sanitize(values.accession_number) or KEYWORDS[ACCESSION_NUMBER]
    series_number = number(values.series_number, KEYWORDS[SERIES_NUMBER], 5)
    return (
        _Component(f"{patient_id}-", sanitize(values.patient_name), f"-{sanitize(values.patient_birth_date)}"),
        _Component(
            "",
            sanitize(values.study_description) or "StudyDescription",
            f"-{accession_number}-{sanitize(values.study_date)}",
        ),
        _Component(
            f"{series_number}-",
            sanitize(values.series_description) or "SeriesDescription",
            f"-{hash7(values.series_instance_uid)}",
        ),
    )


def _text_limit(components: Sequence[_Component], most: int) -> int | None:
    """Return the largest limit to free texts with which the joined `components` have `most` characters."""
    if any(component.room < min(len(component.text), _DIGEST_CHARACTERS) for component in components):
        return None
    most -= len(components) - 1
    for limit in range(MAX_COMPONENT_CHARACTERS, _DIGEST_CHARACTERS - 1, -1):
        if sum([component.length(limit) for component in components]) <= most:
            return limit
    return None


def _too_long(values: SeriesValues) -> DatasetError:
    """Blame the longest of the values that are never cut."""
    lengths = {
        PATIENT_ID: len(sanitize(values.patient_id)),
        PATIENT_BIRTH_DATE: len(sanitize(values.patient_birth_date)),
        ACCESSION_NUMBER: len(sanitize(values.accession_number)),
        STUDY_DATE: len(sanitize(values.study_date)),
        SERIES_NUMBER: len(sanitize(values.series_number)),
    }
    tag = max(lengths, key=lengths.__getitem__)
    return DatasetError(f"{KEYWORDS[tag]} is too long for a path", offending_tags=(tag,))


def file_name(instance_number: str, sop_instance_uid: str) -> str:
    """Return the name of a file in its series directory: at most 111 characters.

    So 512 hold the whole path. Raise DatasetError when it would be longer: with a UID of at most 64
    characters that is the fault of the InstanceNumber.
    """
    name = f"{number(instance_number, 'InstanceNumber', 4)}-{sanitize_uid(sop_instance_uid)}.dcm"
    if len(name) > _MAX_NAME_CHARACTERS:
        raise DatasetError("InstanceNumber is too long for a path", offending_tags=(INSTANCE_NUMBER,))
    return name


def series_hash(series: Series) -> str:
    """Return 20 lower-case hexadecimal digits that stand for a series in names and messages.

    The first 4 depend on the directory only: files that may replace each other go to the same storage worker.
    The other 16 tell series apart that share a directory.
    """
    identity = "\0".join(
        (
            series.calling_ae_title,
            series.directory,
            series.patient_id,
            series.study_date.isoformat(),
            series.study_instance_uid,
            series.series_instance_uid,
        )
    )
    route = seahash(series.directory.encode()) & 0xFFFF
    return f"{route:04x}{seahash(identity.encode()):016x}"


def pacs_directory(path: str) -> str:
    """Return the directory of the PACS that a file or a directory below SERVICES/PACS is of."""
    return "/".join(path.split("/", 3)[:3])


def storage_worker_of(series_hash: str, workers: int) -> int:
    """Return which of `workers` storage workers, counted from 0, has the series."""
    return int(series_hash[:4], 16) % workers


def metadata_path(series_directory: str, association_ulid: str, key: str, value: str) -> str:
    """Return the path of an "Oxidicom Custom Metadata" file."""
    return f"{METADATA_ROOT}/{series_directory}/{association_ulid}/{key}={value}"
