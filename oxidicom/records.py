"""The values that cross modules and processes: frozen, typed, and nothing but data."""

import datetime
from typing import NamedTuple

import msgspec

METADATA_PACS_IDENTIFIER = "org.fnndsc.oxidicom"
"""The PACS identifier under which "Oxidicom Custom Metadata" is registered."""

EXPECTED_COUNT_KEY = "NumberOfSeriesRelatedInstances"
"""Metadata key: how many instances the PACS says the series has."""

COMMITTED_COUNT_KEY = "OxidicomAttemptedPushCount"
"""Metadata key: how many instances of the series this association brought. Always the last row of a series."""


class SeriesIdentity(NamedTuple):
    """What a row says of its series: it has neither its AE title, if it is one of metadata, nor its directory."""

    patient_id: str
    study_date: datetime.date
    study_instance_uid: str
    series_instance_uid: str


class SharedColumns(msgspec.Struct, frozen=True, array_like=True):
    """What rows of CUBE's table of PACS files have in common: those of a series differ in nothing but their names."""

    pacs_identifier: str
    """The calling AE title without surrounding blanks, or METADATA_PACS_IDENTIFIER."""
    patient_id: str
    study_date: datetime.date
    study_instance_uid: str
    series_instance_uid: str
    patient_name: str = ""
    patient_birth_date: datetime.date | None = None
    patient_age_days: int | None = None
    patient_sex: str = ""
    """'', M, F or O."""
    study_description: str = ""
    accession_number: str = ""
    modality: str = ""
    protocol_name: str = ""
    series_description: str = ""

    @property
    def identity(self) -> SeriesIdentity:
        """What they say of their series."""
        return _identity_of(self)


class Series(msgspec.Struct, frozen=True, array_like=True):
    """What tells one series from another: all six together, since no UID of a peer is trusted to be unique."""

    calling_ae_title: str
    directory: str
    """Series directory relative to CHRIS_FILES_ROOT, starting with SERVICES/PACS/."""
    patient_id: str
    study_date: datetime.date
    study_instance_uid: str
    series_instance_uid: str

    @property
    def identity(self) -> SeriesIdentity:
        """What rows say of it."""
        return _identity_of(self)


class PacsFile(msgspec.Struct, frozen=True, array_like=True):
    """One row of CUBE's table of PACS files."""

    fname: str
    """Path relative to CHRIS_FILES_ROOT; unique in the database, at most 512 characters."""
    columns: SharedColumns

    @property
    def series(self) -> Series:
        """That of a DICOM file. A row of metadata tells neither AE title nor directory of its series."""
        return Series(self.columns.pacs_identifier, self.fname.rpartition("/")[0], *self.columns.identity)


class SeriesValue(msgspec.Struct, frozen=True, array_like=True):
    """One value of the "Oxidicom Custom Metadata" of a series: a row up to CUBE 5.2, the end of a series in CUBE 6."""

    series: Series
    file: PacsFile
    """The row, whose name is that of its file in every CUBE."""
    columns: SharedColumns | None = None
    """What the row of the series is to say, as its first instance does; None: its files have to be asked."""

    @property
    def ends_series(self) -> bool:
        """Whether it is the last of its series: nothing more comes of it in this association."""
        return self.file.columns.protocol_name == COMMITTED_COUNT_KEY


class Description(msgspec.Struct, frozen=True):
    """What one received dataset says about itself, in the form in which it is stored and registered."""

    file: PacsFile
    series: Series
    sop_class_uid: str
    sop_instance_uid: str
    warnings: tuple[str, ...] = ()
    """What had to be corrected in its values, or is odd about it; names of attributes, never their values."""


def _identity_of(of: SharedColumns | Series) -> SeriesIdentity:
    return SeriesIdentity(of.patient_id, of.study_date, of.study_instance_uid, of.series_instance_uid)
