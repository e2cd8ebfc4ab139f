"""The eighteen attributes that are read from each dataset: nothing else of it is looked at.

Tags are 32-bit numbers, group in the upper half. All stand in groups 0008 to 0020; a dataset is in ascending
order (PS3.5, 7.1), so that nothing has to be read past the last of them. Some devices keep no order: of their
datasets as much is read as it takes to find the required ones.
"""

SPECIFIC_CHARACTER_SET = 0x00080005
SOP_CLASS_UID = 0x00080016
SOP_INSTANCE_UID = 0x00080018
STUDY_DATE = 0x00080020
ACCESSION_NUMBER = 0x00080050
MODALITY = 0x00080060
STUDY_DESCRIPTION = 0x00081030
SERIES_DESCRIPTION = 0x0008103E
PATIENT_NAME = 0x00100010
PATIENT_ID = 0x00100020
PATIENT_BIRTH_DATE = 0x00100030
PATIENT_SEX = 0x00100040
PATIENT_AGE = 0x00101010
PROTOCOL_NAME = 0x00181030
STUDY_INSTANCE_UID = 0x0020000D
SERIES_INSTANCE_UID = 0x0020000E
SERIES_NUMBER = 0x00200011
INSTANCE_NUMBER = 0x00200013

KEYWORDS = {
    SPECIFIC_CHARACTER_SET: "SpecificCharacterSet",
    SOP_CLASS_UID: "SOPClassUID",
    SOP_INSTANCE_UID: "SOPInstanceUID",
    STUDY_DATE: "StudyDate",
    ACCESSION_NUMBER: "AccessionNumber",
    MODALITY: "Modality",
    STUDY_DESCRIPTION: "StudyDescription",
    SERIES_DESCRIPTION: "SeriesDescription",
    PATIENT_NAME: "PatientName",
    PATIENT_ID: "PatientID",
    PATIENT_BIRTH_DATE: "PatientBirthDate",
    PATIENT_SEX: "PatientSex",
    PATIENT_AGE: "PatientAge",
    PROTOCOL_NAME: "ProtocolName",
    STUDY_INSTANCE_UID: "StudyInstanceUID",
    SERIES_INSTANCE_UID: "SeriesInstanceUID",
    SERIES_NUMBER: "SeriesNumber",
    INSTANCE_NUMBER: "InstanceNumber",
}
"""The keyword (PS3.6) of each wanted tag, in ascending order of the tags."""

REQUIRED_TAGS = (SOP_INSTANCE_UID, STUDY_INSTANCE_UID, SERIES_INSTANCE_UID, PATIENT_ID, STUDY_DATE)
"""Without one of these an instance is refused; the first that is missing is named."""

LAST_TAG = INSTANCE_NUMBER
"""Past this tag nothing is wanted."""
