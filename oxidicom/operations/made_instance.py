"""A made instance: small, valid, and clearly a test. Nobody's images, each with UIDs of its own."""

import datetime

from pydicom.dataset import Dataset
from pydicom.uid import SecondaryCaptureImageStorage, generate_uid

_SIDE = 8
"""Rows and columns."""


def make_instance(now: datetime.datetime) -> Dataset:
    """Return a Secondary Capture image (PS3.3, A.8.1) of a patient who is called a test."""
    dataset = Dataset()
    dataset.SOPClassUID = SecondaryCaptureImageStorage
    dataset.SOPInstanceUID = generate_uid()
    dataset.StudyInstanceUID = generate_uid()
    dataset.SeriesInstanceUID = generate_uid()
    dataset.PatientID = "OXIDICOM-TEST"
    dataset.PatientName = "OXIDICOM^TEST"
    dataset.PatientBirthDate = ""
    dataset.PatientSex = "O"
    dataset.StudyDate = f"{now:%Y%m%d}"
    dataset.StudyTime = f"{now:%H%M%S}"
    dataset.StudyID = "TEST"
    dataset.StudyDescription = "oxidicom send-test"
    dataset.AccessionNumber = ""
    dataset.ReferringPhysicianName = ""
    dataset.Modality = "OT"
    dataset.ConversionType = "SYN"
    dataset.SeriesNumber = 1
    dataset.SeriesDescription = "oxidicom send-test"
    dataset.InstanceNumber = 1
    dataset.PatientOrientation = ""
    dataset.SamplesPerPixel = 1
    dataset.PhotometricInterpretation = "MONOCHROME2"
    dataset.Rows = dataset.Columns = _SIDE
    dataset.BitsAllocated = dataset.BitsStored = 8
    dataset.HighBit = 7
    dataset.PixelRepresentation = 0
    dataset.PixelData = bytes(range(_SIDE * _SIDE))
    return dataset
