"""The head of a DICOM Part 10 file: preamble and file meta information (PS3.10, 7.1).

`build_file_meta` writes it before a dataset that is stored as received; `read_file_meta` reads it back from
the spool. It is always in Explicit VR Little Endian, whatever the dataset is in.
"""

import struct
from functools import lru_cache
from typing import NamedTuple

from oxidicom import IMPLEMENTATION_CLASS_UID, IMPLEMENTATION_VERSION_NAME
from oxidicom.dataset.scanner import Buffer
from oxidicom.errors import DatasetError

_PREAMBLE = bytes(128) + b"DICM"

_MAX_UID_CHARACTERS = 64
_MAX_META_BYTES = 64 * 1024
_GROUP_LENGTH_BYTES = 12

_MEDIA_STORAGE_SOP_CLASS_UID = 0x0002
_MEDIA_STORAGE_SOP_INSTANCE_UID = 0x0003
_TRANSFER_SYNTAX_UID = 0x0010
_SOURCE_APPLICATION_ENTITY_TITLE = 0x0016
_SENDING_APPLICATION_ENTITY_TITLE = 0x0017
_RECEIVING_APPLICATION_ENTITY_TITLE = 0x0018

_element = struct.Struct("<HH2sH")
_unpack_element = _element.unpack_from


class FileMeta(NamedTuple):
    """What is read back of a file meta."""

    transfer_syntax_uid: str
    calling_ae_title: str
    """Without blanks around it."""
    sop_class_uid: str
    sop_instance_uid: str
    dataset_offset: int
    """Where in the file the dataset begins."""


def build_file_meta(
    *,
    sop_class_uid: str,
    sop_instance_uid: str,
    transfer_syntax_uid: str,
    calling_ae_title: str,
    our_ae_title: str,
) -> bytes:
    """Return preamble, prefix and file meta of an instance, to which its dataset is appended as received.

    AE titles are written in Latin-1, in which they came; other characters become `?`. Raise DatasetError when
    a UID is longer than 64 characters.
    """
    if max(len(sop_class_uid), len(sop_instance_uid)) > _MAX_UID_CHARACTERS:
        raise DatasetError("a UID has more than 64 characters")
    instance = _encode_value(b"UI", sop_instance_uid)
    before, after = _around_instance(sop_class_uid, len(instance), transfer_syntax_uid, calling_ae_title, our_ae_title)
    return b"".join((before, instance, after))


@lru_cache(maxsize=256)
def _around_instance(
    sop_class_uid: str, instance_bytes: int, transfer_syntax_uid: str, calling_ae_title: str, our_ae_title: str
) -> tuple[bytes, bytes]:
    """Return what stands before and behind the value of MediaStorageSOPInstanceUID: the same for many instances."""
    before = b"".join(
        (
            _element.pack(2, 1, b"OB", 0) + (2).to_bytes(4, "little") + b"\0\1",  # FileMetaInformationVersion
            _encode_element(_MEDIA_STORAGE_SOP_CLASS_UID, b"UI", sop_class_uid),
            _element.pack(2, _MEDIA_STORAGE_SOP_INSTANCE_UID, b"UI", instance_bytes),
        )
    )
    after = b"".join(
        (
            _encode_element(_TRANSFER_SYNTAX_UID, b"UI", transfer_syntax_uid),
            _encode_element(0x0012, b"UI", IMPLEMENTATION_CLASS_UID),
            _encode_element(0x0013, b"SH", IMPLEMENTATION_VERSION_NAME),
            _encode_element(_SOURCE_APPLICATION_ENTITY_TITLE, b"AE", calling_ae_title),
            _encode_element(_SENDING_APPLICATION_ENTITY_TITLE, b"AE", calling_ae_title),
            _encode_element(_RECEIVING_APPLICATION_ENTITY_TITLE, b"AE", our_ae_title),
        )
    )
    length = len(before) + instance_bytes + len(after)
    return _PREAMBLE + _element.pack(2, 0, b"UL", 4) + length.to_bytes(4, "little") + before, after


def _encode_element(element: int, vr: bytes, text: str) -> bytes:
    value = _encode_value(vr, text)
    return _element.pack(2, element, vr, len(value)) + value


def _encode_value(vr: bytes, text: str) -> bytes:
    value = text.encode("latin-1", "replace")
    if len(value) % 2:
        value += b"\0" if vr == b"UI" else b" "
    return value


def read_file_meta(buffer: Buffer) -> FileMeta:
    """Read the head of a Part 10 file.

    The group length is needed and trusted: without it, elements of group 0002 that a device left in its
    dataset could not be told from the file meta. Raise DatasetError when it cannot be read.
    """
    values = {}
    offset = len(_PREAMBLE)
    try:
        if buffer[128:offset] != b"DICM":
            raise _bad_file_meta()
        group, element, vr, length = _unpack_element(buffer, offset)
        if (group, element, vr, length) != (2, 0, b"UL", 4):
            raise _bad_file_meta()
        (meta_bytes,) = struct.unpack_from("<I", buffer, offset + 8)
        offset += _GROUP_LENGTH_BYTES
        end = offset + meta_bytes
        if meta_bytes > _MAX_META_BYTES or end > len(buffer):
            raise _bad_file_meta()
        while offset < end:
            element, value_offset, length = _next_element(buffer, offset)
            values[element] = bytes(buffer[value_offset : value_offset + length])
            offset = value_offset + length
    except struct.error:
        raise _bad_file_meta() from None
    if offset != end or _TRANSFER_SYNTAX_UID not in values:
        raise _bad_file_meta()
    return FileMeta(
        _text(values, _TRANSFER_SYNTAX_UID),
        _text(values, _SOURCE_APPLICATION_ENTITY_TITLE),
        _text(values, _MEDIA_STORAGE_SOP_CLASS_UID),
        _text(values, _MEDIA_STORAGE_SOP_INSTANCE_UID),
        end,
    )


def _next_element(buffer: Buffer, offset: int) -> tuple[int, int, int]:
    """Return the element number, the offset of the value and its length."""
    group, element, vr, length = _unpack_element(buffer, offset)
    offset += _element.size
    if group != 2:
        raise _bad_file_meta()
    if vr in (b"OB", b"UN", b"UT", b"SQ"):
        (length,) = struct.unpack_from("<I", buffer, offset)
        offset += 4
    return element, offset, length


def _text(values: dict[int, bytes], element: int) -> str:
    return values.get(element, b"").decode("latin-1").strip("\0 ")


def _bad_file_meta() -> DatasetError:
    return DatasetError("file meta information cannot be read")
