"""Datasets for the tests of this directory: written by pydicom, and read by it as the oracle."""

import io
import warnings
import zlib

from hypothesis import strategies as st
from pydicom.dataelem import DataElement, RawDataElement
from pydicom.dataset import Dataset
from pydicom.filebase import DicomBytesIO
from pydicom.filereader import read_dataset
from pydicom.filewriter import write_dataset
from pydicom.sequence import Sequence

from oxidicom.dataset.scanner import MAX_VALUE_BYTES
from oxidicom.wanted_tags import KEYWORDS, LAST_TAG

IMPLICIT = "1.2.840.10008.1.2"
EXPLICIT = "1.2.840.10008.1.2.1"
DEFLATED = "1.2.840.10008.1.2.1.99"
BIG_ENDIAN = "1.2.840.10008.1.2.2"
JPEG_BASELINE = "1.2.840.10008.1.2.4.50"

MR_BRAIN = {
    "SOPClassUID": "1.2.840.10008.5.1.4.1.1.4",
    "SOPInstanceUID": "1.3.12.2.1107.5.2.19.45152.2013030808110258929186035",
    "StudyDate": "20130308",
    "AccessionNumber": "98edede8b2",
    "Modality": "MR",
    "StudyDescription": "MR-Brain w/o Contrast",
    "SeriesDescription": "SAG MPRAGE 220 FOV",
    "PatientName": "anonymized",
    "PatientID": "1449c1d",
    "PatientBirthDate": "20090701",
    "PatientSex": "M",
    "PatientAge": "003Y",
    "ProtocolName": "SAG MPRAGE 220 FOV",
    "StudyInstanceUID": "1.2.840.113845.11.1000000001785349915.20130308061609.6346698",
    "SeriesInstanceUID": "1.3.12.2.1107.5.2.19.45152.2013030808061520200285270.0.0.0",
    "SeriesNumber": "5",
    "InstanceNumber": "1",
}
"""An instance of which the path is known."""


def dataset(**changes: str | None) -> Dataset:
    """Return the example with changes by keyword; None leaves an attribute out."""
    result = Dataset()
    for keyword, value in (MR_BRAIN | changes).items():
        if value is not None:
            setattr(result, keyword, value)
    return result


def encode(source: Dataset, transfer_syntax_uid: str = EXPLICIT) -> bytes:
    """Return the bytes of a dataset."""
    buffer = DicomBytesIO()
    buffer.is_little_endian = transfer_syntax_uid != BIG_ENDIAN
    buffer.is_implicit_VR = transfer_syntax_uid == IMPLICIT
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        write_dataset(buffer, source)
    encoded = buffer.getvalue()
    if transfer_syntax_uid != DEFLATED:
        return encoded
    deflater = zlib.compressobj(wbits=-zlib.MAX_WBITS)
    return deflater.compress(encoded) + deflater.flush()


def element(tag: int, vr: bytes, value: bytes, length: int | None = None) -> bytes:
    """Encode one element in Explicit VR Little Endian, with a length of its own if wanted."""
    length = len(value) if length is None else length
    head = (tag >> 16).to_bytes(2, "little") + (tag & 0xFFFF).to_bytes(2, "little") + vr
    if vr in (b"OB", b"OW", b"SQ", b"UN", b"UT"):
        return head + b"\0\0" + length.to_bytes(4, "little") + value
    return head + length.to_bytes(2, "little") + value


def raw_values(source: Dataset) -> dict[int, bytes]:
    """Return the raw values that pydicom found for the wanted tags, empty ones left out."""
    elements = [source.get_item(tag) for tag in KEYWORDS if tag in source]
    return {
        int(found.tag): found.value[:MAX_VALUE_BYTES]
        for found in elements
        if isinstance(found, RawDataElement) and found.value
    }


def read_by_pydicom(encoded: bytes, *, implicit: bool) -> dict[int, bytes]:
    """Read the wanted tags by pydicom."""
    found = read_dataset(
        io.BytesIO(encoded),
        implicit,
        True,
        stop_when=lambda tag, vr, length: int(tag) > LAST_TAG,
        specific_tags=list(KEYWORDS),
    )
    return raw_values(found)


def not_empty(values: dict[int, bytes]) -> dict[int, bytes]:
    """Leave empty values out: pydicom has None for some of them."""
    return {tag: value for tag, value in values.items() if value}


_PLAIN = st.text("ABCxyz0123456789.^ ", max_size=20)


@st.composite
def _elements(draw: st.DrawFn, depth: int) -> list[DataElement]:
    """Elements that nobody wants, sequences of both lengths among them."""
    result = []
    for group in draw(st.lists(st.sampled_from([0x0009, 0x0011, 0x0019]), max_size=3)):
        tag = group << 16 | draw(st.integers(0x2000, 0x20FF))
        if depth and draw(st.booleans()):
            result.append(draw(_sequences(draw(st.sampled_from([tag, 0x00081115, 0x00081140])), depth)))
        else:
            vr = draw(st.sampled_from(["OB", "UN"]))
            result.append(DataElement(tag, vr, 2 * draw(st.binary(max_size=9))))
    return result


@st.composite
def _sequences(draw: st.DrawFn, tag: int, depth: int) -> DataElement:
    items = []
    for _ in range(draw(st.integers(0, 2))):
        item = Dataset()
        if draw(st.booleans()):
            item.PatientID = "not this one"
            item.SeriesInstanceUID = "9.9.9"
        for inner in draw(_elements(depth - 1)):
            item.add(inner)
        item.is_undefined_length_sequence_item = draw(st.booleans())
        items.append(item)
    sequence = DataElement(tag, "SQ", Sequence(items))
    sequence.is_undefined_length = draw(st.booleans())
    return sequence


@st.composite
def datasets(draw: st.DrawFn) -> Dataset:
    """Return any dataset: some of the wanted tags, among others."""
    result = Dataset()
    for tag, keyword in KEYWORDS.items():
        if draw(st.booleans()):
            vr = "LO" if keyword != "SpecificCharacterSet" else "CS"
            text = draw(_PLAIN) if vr == "LO" else draw(st.sampled_from(["", "ISO_IR 100", "ISO_IR 192"]))
            result.add(DataElement(tag, vr, text))
    for extra in draw(_elements(3)):
        result.add(extra)
    result.Rows = 4
    return result
