"""Instances for the model: small, each with bytes of its own, of few series and few final paths."""

import functools
import tempfile
from pathlib import Path
from typing import NamedTuple

import pydicom

from oxidicom.association.commands import StoreRequest
from tests.dicom import CT, dataset_bytes, make_instance

EXPLICIT_LITTLE_ENDIAN = "1.2.840.10008.1.2.1"
SERIES = ("1.2.7", "1.2.8")
_MARK = "VERSION 00000000"


class SentInstance(NamedTuple):
    """What a sender sends."""

    series_uid: str
    number: int
    data: bytes

    @property
    def request(self) -> StoreRequest:
        return StoreRequest(1, 1, CT, f"{self.series_uid}.{self.number}", CT, EXPLICIT_LITTLE_ENDIAN)


def instance(series_uid: str, number: int, version: int) -> SentInstance:
    """Return an instance; each `version` of it has other bytes."""
    mark = f"VERSION {version:08}".encode()
    return SentInstance(series_uid, number, _template(series_uid, number).replace(_MARK.encode(), mark))


@functools.cache
def _template(series_uid: str, number: int) -> bytes:
    with tempfile.TemporaryDirectory() as directory:
        path = make_instance(Path(directory) / "one.dcm", number, series_uid, ImageComments=_MARK)
        dataset = pydicom.dcmread(path)
        dataset.SeriesNumber = int(series_uid.rpartition(".")[2])
        dataset.Rows = dataset.Columns = 2
        dataset.PixelData = bytes(8)
        dataset.save_as(path)
        return dataset_bytes(path)
