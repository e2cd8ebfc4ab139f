"""A series of CUBE 6 to register: three files, and the value that ends it."""

import datetime

from oxidicom.records import PacsFile, SeriesValue, SharedColumns
from oxidicom.spool.metadata_rows import committed_count_value, expected_count_value, metadata_row

PATIENT = "SERVICES/PACS/PACSA/P1-M_ller_J_rgen-19700102"
STUDY = f"{PATIENT}/Head_CT-A1-20200301"
SERIES = f"{STUDY}/00002-axial-c8992d5"
COLUMNS = SharedColumns(
    pacs_identifier="PACSA",
    patient_id="P1",
    study_date=datetime.date(2020, 3, 1),
    study_instance_uid="1.2.826.1",
    series_instance_uid="1.2.826.1.2",
    patient_name="Müller^Jürgen",
    patient_birth_date=datetime.date(1970, 1, 2),
    patient_age_days=18262,
    patient_sex="M",
    study_description="Head CT",
    accession_number="A1",
    modality="CT",
    protocol_name="axial",
    series_description="axial",
)
_ASSOCIATION = "01HZ7TF03EZD364005NP332RBQ"


def folder_file(number=1, directory=SERIES, **values):
    """A file of a series; `values` are columns in which it differs."""
    columns = SharedColumns(**{**{name: getattr(COLUMNS, name) for name in COLUMNS.__struct_fields__}, **values})
    return PacsFile(f"{directory}/{number:04}-1.2.826.1.2.{number}.dcm", columns)


def values_of(file, count=3):
    """Both values of the series of a file, as the gateway registers them in the end."""
    values = expected_count_value("h" * 20, count), committed_count_value("h" * 20, count)
    return [SeriesValue(file.series, metadata_row(_ASSOCIATION, file.series, value)) for value in values]
