"""The files that are sent: series of CT images, each with UIDs of its own, written when they are first asked for."""

import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from pydicom.dataset import FileMetaDataset
from pydicom.filebase import DicomBytesIO
from pydicom.filewriter import write_file_meta_info
from pydicom.uid import UID

from benchmarks.datasets import PLACEHOLDER, Content, Identity, Template, templates_of

SIZES: Mapping[str, Content] = {
    "10k": Content.SMALL_EXPLICIT,
    "39k": Content.MEDIUM_EXPLICIT,
    "512k": Content.LARGE_EXPLICIT,
}
_PREAMBLE = bytes(128) + b"DICM"
_INSTANCE_NUMBER = b"\x20\x00\x13\x00IS\x06\x00"
"""The digits alone may stand elsewhere too."""
_MAX_FILES = 100_000
_CONTENTS = list(Content)
_MAX_RUNS = 10


@dataclass(frozen=True)
class Series:
    """The files of one association in one run."""

    series_instance_uid: str
    paths: Sequence[str]


@dataclass
class Files:
    """The files of one content, below a directory."""

    content: Content
    directory: str
    _image: bytes = field(init=False, repr=False)
    _written: dict[tuple[int, int], Series] = field(default_factory=dict, init=False)

    def __post_init__(self) -> None:
        (template,) = templates_of(self.content)
        self._image = _PREAMBLE + _file_meta(template) + template.head

    @property
    def file_bytes(self) -> int:
        return len(self._image)

    def series(self, run: int, count: int, associations: int) -> list[Series]:
        """Return a series of `count` files for each association; those of another `run` have other UIDs."""
        return [self._one(run, count, association) for association in range(associations)]

    def _one(self, run: int, count: int, association: int) -> Series:
        if (run, association) not in self._written:
            self._written[run, association] = self._write(run, count, association)
        return self._written[run, association]

    def _write(self, run: int, count: int, association: int) -> Series:
        content = _CONTENTS.index(self.content)
        directory = os.path.join(self.directory, f"{content}-{run}-{association}")
        os.mkdir(directory)
        identities = [Identity(content * _MAX_RUNS + run, association, number, _MAX_FILES) for number in range(count)]
        paths = []
        for identity in identities:
            paths.append(os.path.join(directory, f"{identity.instance_number}.dcm"))
            with open(paths[-1], "wb") as file:
                file.write(self._addressed(identity))
        return Series(identities[0].series_instance_uid, paths)

    def _addressed(self, identity: Identity) -> bytes:
        """Return the file of an instance; all placeholders are as long as what they stand for."""
        file = self._image
        for before, after in zip(_values_of(PLACEHOLDER), _values_of(identity), strict=True):
            file = file.replace(before, after)
        return file


def _values_of(identity: Identity) -> tuple[bytes, ...]:
    uids = (identity.sop_instance_uid, identity.series_instance_uid)
    return *(uid.encode() for uid in uids), _INSTANCE_NUMBER + identity.instance_number.encode()


def _file_meta(template: Template) -> bytes:
    meta = FileMetaDataset()
    meta.MediaStorageSOPClassUID = UID(template.sop_class_uid)
    meta.MediaStorageSOPInstanceUID = UID(PLACEHOLDER.sop_instance_uid)
    meta.TransferSyntaxUID = UID(template.transfer_syntax_uid)
    encoded = DicomBytesIO()
    write_file_meta_info(encoded, meta)
    return encoded.getvalue()
