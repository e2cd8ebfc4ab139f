"""The datasets that are sent: templates, in which a sender writes what makes each instance another one.

A template holds placeholders of fixed length for SOPInstanceUID, SeriesInstanceUID and InstanceNumber, so that an
instance costs its sender three small copies in place and no encoding. Everything else of it stays the same.
"""

import functools
import os
import random
import struct
import tempfile
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path

import pydicom
from pydicom.dataset import Dataset
from pydicom.sequence import Sequence as ItemSequence
from pydicom.uid import CTImageStorage, ExplicitVRLittleEndian, ImplicitVRLittleEndian
from pynetdicom.dsutils import encode

from benchmarks.errors import BenchmarkError

INSTANCES_PER_SERIES = 500
"""Where the content is no series of its own, a new one begins after so many instances."""

_ROOT = "1.2.826.0.1.3680043.8.498"
STUDY_INSTANCE_UID = f"{_ROOT}.1"
"""Of all that is made up here."""
_ENHANCED_CT = "1.2.840.10008.5.1.4.1.1.2.1"
_GIBIBYTE = 1 << 30


@dataclass(frozen=True)
class Identity:
    """What tells an instance from all others: the round, the association in it, and its number in that."""

    round_number: int
    association: int
    number: int
    instances_per_series: int = INSTANCES_PER_SERIES

    @property
    def sop_instance_uid(self) -> str:
        return f"{_ROOT}.{1000 + self.round_number}.{1000 + self.association}.{10_000_000 + self.number}"

    @property
    def series_instance_uid(self) -> str:
        series = self.number // self.instances_per_series
        return f"{_ROOT}.{1000 + self.round_number}.{1000 + self.association}.{100_000 + series}"

    @property
    def instance_number(self) -> str:
        return f"{self.number % self.instances_per_series + 1:06}"


PLACEHOLDER = Identity(8000, 8000, 80_000_000)
"""Its three values stand in every template. No round and no association has these numbers."""


def parse_sop_instance_uid(uid: str) -> tuple[int, int]:
    """Return association and number of an instance that was sent. Raise BenchmarkError if it was not."""
    try:
        association, number = (int(part) for part in uid.removeprefix(f"{_ROOT}.").split(".")[1:])
    except ValueError:
        raise BenchmarkError(f"an instance is registered that was never sent: {uid}") from None
    return association - 1000, number - 10_000_000


@dataclass(frozen=True)
class Template:
    """One dataset with placeholders."""

    sop_class_uid: str
    transfer_syntax_uid: str
    head: bytes
    """The encoded dataset; without the value of its last element if `filling_bytes` says so."""
    filling_bytes: int = 0
    """Length of a value that is too large to be held in memory: the sender repeats a block."""

    @property
    def size_bytes(self) -> int:
        return len(self.head) + self.filling_bytes


class Content(StrEnum):
    """What one association sends."""

    SMALL_EXPLICIT = "10 KB, explicit VR"
    SMALL_IMPLICIT = "10 KB, implicit VR"
    MEDIUM_EXPLICIT = "39 KB, explicit VR"
    LARGE_EXPLICIT = "512 KB, explicit VR"
    LARGE_IMPLICIT = "512 KB, implicit VR"
    CT_SERIES = "CT series of 531 slices"
    GIBIBYTE = "1 GiB, multi-frame"

    @property
    def instances_per_series(self) -> int:
        """How many instances have the same SeriesInstanceUID."""
        return len(templates_of(self)) if self is Content.CT_SERIES else INSTANCES_PER_SERIES


@functools.cache
def templates_of(content: Content) -> Sequence[Template]:
    """Return the templates that are sent in turn. Raise BenchmarkError if what makes them is not installed."""
    return _MAKERS[content]()


def _slice(transfer_syntax_uid: str, edge: int) -> Sequence[Template]:
    """Return an image of `edge` times `edge` pixels of 16 bits."""
    dataset = _header(edge)
    dataset.PixelData = random.Random(edge).randbytes(edge * edge * 2)
    dataset["PixelData"].VR = "OW"
    return [Template(CTImageStorage, transfer_syntax_uid, _encoded(dataset, transfer_syntax_uid))]


def _multi_frame() -> Sequence[Template]:
    dataset = _header(512)
    dataset.SOPClassUID = _ENHANCED_CT
    dataset.NumberOfFrames = _GIBIBYTE // (512 * 512 * 2)
    pixel_data = struct.pack("<HH2sHL", 0x7FE0, 0x0010, b"OW", 0, _GIBIBYTE)  # PS3.5, 7.1.2
    head = _encoded(dataset, ExplicitVRLittleEndian) + pixel_data
    return [Template(_ENHANCED_CT, ExplicitVRLittleEndian, head, _GIBIBYTE)]


def _ct_series() -> Sequence[Template]:
    """Return the slices of a whole-body CT with the header of a real scanner, private tags and sequences included."""
    try:
        from medimages4tests.dummy.dicom.ct.wholebody.siemens.biograph_vision import (  # noqa: PLC0415 (a dev extra)
            vr20b,
        )
    except ImportError as error:
        raise BenchmarkError("the CT series needs medimages4tests: pip install 'oxidicom[benchmark]'") from error
    with tempfile.TemporaryDirectory(prefix="oxidicom-ct-") as directory:
        made = os.fspath(vr20b.get_image(out_dir=Path(directory)))  # type: ignore[no-untyped-call]
        paths = [os.path.join(made, name) for name in os.listdir(made) if name.endswith(".dcm")]
        datasets = sorted(map(pydicom.dcmread, paths), key=lambda dataset: int(dataset.InstanceNumber))
    return [_slice_of_series(dataset) for dataset in datasets]


def _slice_of_series(dataset: Dataset) -> Template:
    transfer_syntax_uid = str(dataset.file_meta.TransferSyntaxUID)
    _put_placeholders(dataset)
    return Template(str(dataset.SOPClassUID), transfer_syntax_uid, _encoded(dataset, transfer_syntax_uid))


_MAKERS: Mapping[Content, Callable[[], Sequence[Template]]] = {
    Content.SMALL_EXPLICIT: lambda: _slice(ExplicitVRLittleEndian, 66),
    Content.SMALL_IMPLICIT: lambda: _slice(ImplicitVRLittleEndian, 66),
    Content.MEDIUM_EXPLICIT: lambda: _slice(ExplicitVRLittleEndian, 138),
    Content.LARGE_EXPLICIT: lambda: _slice(ExplicitVRLittleEndian, 512),
    Content.LARGE_IMPLICIT: lambda: _slice(ImplicitVRLittleEndian, 512),
    Content.CT_SERIES: _ct_series,
    Content.GIBIBYTE: _multi_frame,
}


def _encoded(dataset: Dataset, transfer_syntax_uid: str) -> bytes:
    encoded = encode(dataset, transfer_syntax_uid == ImplicitVRLittleEndian, True)
    if encoded is None:
        raise BenchmarkError("a dataset of the benchmark cannot be encoded")
    return encoded


def _put_placeholders(dataset: Dataset) -> None:
    dataset.SOPInstanceUID = PLACEHOLDER.sop_instance_uid
    dataset.SeriesInstanceUID = PLACEHOLDER.series_instance_uid
    dataset.add_new("InstanceNumber", "IS", PLACEHOLDER.instance_number)


def _header(edge: int) -> Dataset:
    """Return what a CT scanner writes before its pixels, made up."""
    dataset = Dataset()
    for keyword, value in _CT_HEADER.items():
        setattr(dataset, keyword, value)
    dataset.SOPClassUID = CTImageStorage
    dataset.StudyInstanceUID = STUDY_INSTANCE_UID
    dataset.FrameOfReferenceUID = f"{_ROOT}.2"
    referenced = Dataset()
    referenced.ReferencedSOPClassUID = CTImageStorage
    referenced.ReferencedSOPInstanceUID = f"{_ROOT}.3"
    dataset.ReferencedImageSequence = ItemSequence([referenced])
    dataset.Rows = dataset.Columns = edge
    _put_placeholders(dataset)
    return dataset


_CT_HEADER: Mapping[str, object] = {
    "SpecificCharacterSet": "ISO_IR 100",
    "ImageType": ["ORIGINAL", "PRIMARY", "AXIAL", "CT_SOM5 SPI"],
    "InstanceCreationDate": "20200102",
    "InstanceCreationTime": "112233.450000",
    "StudyDate": "20200102",
    "SeriesDate": "20200102",
    "AcquisitionDate": "20200102",
    "ContentDate": "20200102",
    "StudyTime": "112000.120000",
    "SeriesTime": "112100.340000",
    "AcquisitionTime": "112200.560000",
    "ContentTime": "112200.560000",
    "AccessionNumber": "BENCH0001",
    "Modality": "CT",
    "Manufacturer": "Benchmark",
    "InstitutionName": "Hospital of the Benchmark",
    "ReferringPhysicianName": "Referring^Physician",
    "StationName": "CT0001",
    "StudyDescription": "Thorax^Abdomen (Adult)",
    "SeriesDescription": "Abdomen  5.0  B30f",
    "ManufacturerModelName": "Benchmark 64",
    "PatientName": "Benchmark^Patient",
    "PatientID": "BENCHMARK-1",
    "PatientBirthDate": "19500101",
    "PatientSex": "O",
    "PatientAge": "070Y",
    "BodyPartExamined": "ABDOMEN",
    "SliceThickness": "5",
    "KVP": "120",
    "DataCollectionDiameter": "500",
    "DeviceSerialNumber": "12345",
    "SoftwareVersions": "benchmark 1",
    "ProtocolName": "ThorAbd",
    "ReconstructionDiameter": "380",
    "DistanceSourceToDetector": "1040",
    "DistanceSourceToPatient": "570",
    "GantryDetectorTilt": "0",
    "TableHeight": "150",
    "RotationDirection": "CW",
    "ExposureTime": "500",
    "XRayTubeCurrent": "210",
    "Exposure": "150",
    "FilterType": "0",
    "GeneratorPower": "26",
    "FocalSpots": "1.2",
    "ConvolutionKernel": "B30f",
    "PatientPosition": "HFS",
    "StudyID": "1",
    "SeriesNumber": "2",
    "AcquisitionNumber": "1",
    "ImagePositionPatient": ["-189.62890625", "-189.62890625", "-620.5"],
    "ImageOrientationPatient": ["1", "0", "0", "0", "1", "0"],
    "PositionReferenceIndicator": "",
    "SliceLocation": "-620.5",
    "ImageComments": "made for a benchmark, shows nobody",
    "SamplesPerPixel": 1,
    "PhotometricInterpretation": "MONOCHROME2",
    "PixelSpacing": ["0.7421875", "0.7421875"],
    "BitsAllocated": 16,
    "BitsStored": 12,
    "HighBit": 11,
    "PixelRepresentation": 0,
    "SmallestImagePixelValue": 0,
    "LargestImagePixelValue": 4095,
    "WindowCenter": ["40", "400"],
    "WindowWidth": ["350", "1500"],
    "RescaleIntercept": "-1024",
    "RescaleSlope": "1",
}
