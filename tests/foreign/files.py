"""The 30 files that every client sends: what PACS hold, in every kind of transfer syntax.

Most are public ones that pydicom brings; what no public file covers is made here. Whatever they lack of the attributes
that a PACS always has is added, and each has UIDs of its own.
"""

import warnings
from pathlib import Path

import pydicom
from pydicom.data import get_testdata_file
from pydicom.dataset import Dataset, FileMetaDataset
from pydicom.encaps import encapsulate
from pydicom.uid import MPEG2MPML, UID, ExplicitVRLittleEndian

_ROOT = "1.2.826.0.1.3680043.8.498.77"

_PUBLIC = (
    "CT_small.dcm",
    "MR_small_implicit.dcm",
    "MR_small_bigendian.dcm",
    "rtdose_expb.dcm",
    "rtdose.dcm",
    "rtplan.dcm",
    "test-SR.dcm",
    "reportsi.dcm",
    "waveform_ecg.dcm",
    "liver_1frame.dcm",
    "examples_overlay.dcm",
    "examples_palette.dcm",
    "examples_ybr_color.dcm",
    "SC_rgb_jpeg_dcmtk.dcm",
    "JPEG-lossy.dcm",
    "SC_rgb_jpeg_gdcm.dcm",
    "MR_small_jpeg_ls_lossless.dcm",
    "JPEGLSNearLossless_08.dcm",
    "JPEG2000.dcm",
    "MR_small_jp2klossless.dcm",
    "MR_small_RLE.dcm",
    "SC_rgb_rle_16bit_2frame.dcm",
)

_LAST = "image_dfl.dcm"
"""Deflated: several clients end at it."""

_MADE = {
    "encapsulated PDF": ("1.2.840.10008.5.1.4.1.1.104.1", "DOC", "application/pdf", b"%PDF-1.4\n%%EOF\n"),
    "encapsulated CDA": ("1.2.840.10008.5.1.4.1.1.104.2", "DOC", "text/XML", b"<ClinicalDocument/>"),
    "encapsulated STL": ("1.2.840.10008.5.1.4.1.1.104.3", "M3D", "model/stl", bytes(84)),
}
"""Document classes: SOP class, modality, type and content."""

_STREAMS = {
    "H.264 video": ("1.2.840.10008.5.1.4.1.1.77.1.4.1", "1.2.840.10008.1.2.4.102", b"\0\0\0\x01\x67" + bytes(4000)),
    "MPEG-2 video": ("1.2.840.10008.5.1.4.1.1.77.1.2.1", "1.2.840.10008.1.2.4.100", b"\0\0\x01\xb3" + bytes(4000)),
    "HTJ2K": ("1.2.840.10008.5.1.4.1.1.7", "1.2.840.10008.1.2.4.201", b"\xff\x4f\xff\x51" + bytes(400)),
    "JPEG XL": ("1.2.840.10008.5.1.4.1.1.7", "1.2.840.10008.1.2.4.110", b"\xff\x0a" + bytes(400)),
}
"""Encapsulated pixel data whose codestream is only begun as that of its transfer syntax: nobody here decodes it."""


def make_files(directory: Path) -> list[Path]:
    """Write the files to `directory` and return their paths."""
    directory.mkdir(parents=True, exist_ok=True)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # pydicom warns of what is odd in its odd files
        datasets: dict[str, Dataset] = {
            Path(name).stem: pydicom.dcmread(str(get_testdata_file(name))) for name in _PUBLIC
        }
        datasets |= {name: _document(*made) for name, made in _MADE.items()}
        datasets |= {name: _stream(*made) for name, made in _STREAMS.items()}
        datasets[Path(_LAST).stem] = pydicom.dcmread(str(get_testdata_file(_LAST)))
        return [_write(directory, number, name, dataset) for number, (name, dataset) in enumerate(datasets.items(), 1)]


def _write(directory: Path, number: int, name: str, dataset: Dataset) -> Path:
    dataset.SOPClassUID = dataset.file_meta.MediaStorageSOPClassUID
    dataset.SOPInstanceUID = dataset.file_meta.MediaStorageSOPInstanceUID = UID(f"{_ROOT}.1.{number}")
    dataset.SeriesInstanceUID = f"{_ROOT}.2.{number}"
    dataset.StudyInstanceUID = f"{_ROOT}.3.{number}"
    dataset.PatientID = dataset.get("PatientID") or f"FOREIGN{number}"
    dataset.StudyDate = dataset.get("StudyDate") or "20200101"
    path = directory / f"{number:02}-{name.replace(' ', '_')}.dcm"
    _save(dataset, path)
    return path


def _save(dataset: Dataset, path: Path) -> None:
    uid = dataset.file_meta.TransferSyntaxUID
    is_new = not uid.is_transfer_syntax  # newer than pydicom's dictionary: written as one of the same length
    dataset.file_meta.TransferSyntaxUID = MPEG2MPML if is_new else uid
    dataset.save_as(path, enforce_file_format=True)
    if is_new:
        path.write_bytes(path.read_bytes().replace(MPEG2MPML.encode(), uid.encode(), 1))


def _new(sop_class: str, transfer_syntax: str, modality: str) -> Dataset:
    dataset = Dataset()
    dataset.file_meta = FileMetaDataset()
    dataset.file_meta.MediaStorageSOPClassUID = UID(sop_class)
    dataset.file_meta.TransferSyntaxUID = UID(transfer_syntax)
    dataset.Modality = modality
    dataset.PatientName = "Foreign^Client"
    dataset.SeriesNumber = dataset.InstanceNumber = 1
    return dataset


def _document(sop_class: str, modality: str, kind: str, content: bytes) -> Dataset:
    dataset = _new(sop_class, ExplicitVRLittleEndian, modality)
    dataset.MIMETypeOfEncapsulatedDocument = kind
    dataset.EncapsulatedDocument = content + b"\0" * (len(content) % 2)
    return dataset


def _stream(sop_class: str, transfer_syntax: str, codestream: bytes) -> Dataset:
    dataset = _new(sop_class, transfer_syntax, "OT")
    dataset.Rows = dataset.Columns = 16
    dataset.SamplesPerPixel, dataset.PlanarConfiguration = 3, 0
    dataset.PhotometricInterpretation = "RGB"
    dataset.BitsAllocated = dataset.BitsStored = 8
    dataset.HighBit, dataset.PixelRepresentation = 7, 0
    dataset.NumberOfFrames = 1
    dataset.PixelData = encapsulate([codestream + b"\0" * (len(codestream) % 2)])
    dataset["PixelData"].VR = "OB"
    dataset["PixelData"].is_undefined_length = True
    return dataset
