"""The judge of datasets: whatever bytes claim to be one, it is described or refused, and no file leaves its tree.

Whichever way it is read, by the scanner, by a stencil or by pydicom, the description is the same.
"""

import functools
import zlib
from pathlib import Path

import pydicom.data

from oxidicom.dataset.completeness import find_flaw
from oxidicom.dataset.describer import Describer
from oxidicom.dataset.description import describe
from oxidicom.dataset.header import read_header
from oxidicom.dataset.odd_dataset import read_odd_dataset
from oxidicom.dataset.part10 import read_file_meta
from oxidicom.dataset.scanner import OddDatasetError, looks_implicit, scan
from oxidicom.errors import DatasetError
from oxidicom.records import Description

TRANSFER_SYNTAXES = (
    "1.2.840.10008.1.2",  # Implicit VR Little Endian
    "1.2.840.10008.1.2.1",  # Explicit VR Little Endian
    "1.2.840.10008.1.2.2",  # Explicit VR Big Endian
    "1.2.840.10008.1.2.1.99",  # Deflated Explicit VR Little Endian
)
SYNTAX, COMPLETE, DEFLATE, FILE_META, SERIES = 0x03, 0x04, 0x08, 0x10, 0x20
"""The bits of the first byte of an input: its transfer syntax, whether it is all of the dataset, whether it is to be
deflated first, whether it is a Part 10 file, whether it is to become a series."""

_CHANGES = 3
_CHANGE_BYTES = 3

_MAX_SEED_BYTES = 4000
_IMPLICIT, _EXPLICIT, _BIG_ENDIAN, _DEFLATED = range(4)


@functools.cache
def seeds() -> tuple[bytes, ...]:
    """Return pydicom's test files, the beginnings of long ones, as inputs of `judge_bytes`."""
    root = Path(pydicom.data.__file__).parent
    folders = [root / "test_files", root / "charset_files"]
    return tuple(
        seed
        for path in sorted(path for folder in folders for path in folder.rglob("*.dcm"))
        for seed in _seeds_of(path.read_bytes())
    )


def _seeds_of(file: bytes) -> list[bytes]:
    whole = bytes([FILE_META]) + file[:_MAX_SEED_BYTES]
    try:
        meta = read_file_meta(file)
    except DatasetError:
        return [whole]
    syntax = meta.transfer_syntax_uid
    first = TRANSFER_SYNTAXES.index(syntax) if syntax in TRANSFER_SYNTAXES else _EXPLICIT
    dataset = file[meta.dataset_offset :]
    complete = COMPLETE if len(dataset) <= _MAX_SEED_BYTES else 0
    inputs = [whole, bytes([first | complete]) + dataset[:_MAX_SEED_BYTES]]
    if first in (_IMPLICIT, _EXPLICIT):
        # Changed are a byte of the SOPInstanceUID, one anywhere, and one of a header.
        changes = b"".join(at.to_bytes(2, "big") + b"1" for at in (dataset.find(b"\x08\0\x18\0") + 12, 700, 4))
        inputs.append(bytes([first | SERIES]) + changes + dataset[:_MAX_SEED_BYTES])
    return inputs


def judge_bytes(data: bytes) -> None:
    """Judge an input of which the first byte says what it is. Raise AssertionError when it is not dealt with."""
    first, content = (data[0], data[1:]) if data else (0, b"")
    if first & FILE_META:
        judge_file_meta(content)
        return
    syntax = TRANSFER_SYNTAXES[first & SYNTAX]
    if first & SERIES:
        judge_series(content, syntax)
        return
    if first & DEFLATE:
        deflater = zlib.compressobj(wbits=-zlib.MAX_WBITS)
        content, syntax = deflater.compress(content) + deflater.flush(), TRANSFER_SYNTAXES[_DEFLATED]
    if first & COMPLETE:
        judge_dataset(content, syntax)
    else:
        judge_head(content, syntax)


def judge_dataset(content: bytes, transfer_syntax_uid: str) -> int:
    """Take all the bytes of a dataset as the listener does. Return the status that it would answer with."""
    _judge_ways(content, transfer_syntax_uid)
    try:
        header = read_header(content, transfer_syntax_uid, complete=True)
        assert header is not None, "a whole dataset is read or refused"
        description = describe(header, "PACS")
    except DatasetError as error:
        return _judge_refusal(error)
    assert find_flaw(content, 0, transfer_syntax_uid).startswith(("", "dataset is cut off"))
    components = description.file.fname.split("/")
    assert components[:3] == ["SERVICES", "PACS", "PACS"]
    assert len(components) == 7
    assert not {"", ".", ".."} & set(components)
    assert max(map(len, components)) <= 255
    assert len(description.file.fname) <= 512
    assert description.file.fname.isascii()
    assert all("\0" not in str(value) for value in (description.file, description.series))
    return 0x0000


def _judge_ways(content: bytes, transfer_syntax_uid: str) -> None:
    """What the scanner reads, pydicom reads too, unless it cannot go on."""
    implicit = looks_implicit(content, 0, expected=transfer_syntax_uid == TRANSFER_SYNTAXES[_IMPLICIT])
    if transfer_syntax_uid not in TRANSFER_SYNTAXES[: _EXPLICIT + 1]:
        return
    try:
        found = scan(content, 0, implicit=implicit, complete=True)
    except OddDatasetError:
        return
    assert found is not None, "a whole dataset is read or odd"
    reading = read_odd_dataset(content, 0, implicit=implicit, little_endian=True)
    if not reading.obstacle:
        assert found.values == reading.values


def judge_series(content: bytes, transfer_syntax_uid: str) -> None:
    """Take datasets that differ from the first in a byte each: what is recognized is what would have been read."""
    changes, dataset = content[: _CHANGES * _CHANGE_BYTES], content[_CHANGES * _CHANGE_BYTES :]
    describer = Describer("PACS")
    changed = bytearray(dataset)
    for start in range(0, len(changes) + _CHANGE_BYTES, _CHANGE_BYTES):
        one = bytes(changed)
        assert _described(one, transfer_syntax_uid, describer) == _described(
            one, transfer_syntax_uid, Describer("PACS")
        )
        at = int.from_bytes(changes[start : start + 2], "big")
        changed[at : at + 1] = changes[start + 2 : start + 3] if at < len(changed) else b""


def _described(content: bytes, transfer_syntax_uid: str, describer: Describer) -> Description | str:
    """Describe a dataset as the listener does; one that is refused, by its reason."""
    try:
        description = describer.recognize(content, transfer_syntax_uid)
        if description is None:
            header = read_header(content, transfer_syntax_uid, complete=True)
            assert header is not None
            description = describer.describe(header, content, transfer_syntax_uid)
    except DatasetError as error:
        return str(error)
    return description


def judge_head(content: bytes, transfer_syntax_uid: str) -> None:
    """Take the first bytes of a longer dataset: its header is there, or more is needed, or it is refused."""
    try:
        header = read_header(content, transfer_syntax_uid, complete=False)
        if header is not None:
            describe(header, "PACS")
    except DatasetError as error:
        _judge_refusal(error)


def judge_file_meta(content: bytes) -> None:
    """Take the head of a Part 10 file."""
    try:
        meta = read_file_meta(content)
    except DatasetError as error:
        _judge_refusal(error)
        return
    assert 132 < meta.dataset_offset <= len(content)


def _judge_refusal(error: DatasetError) -> int:
    assert error.status == 0xC000
    assert len(str(error)) <= 64, "it fits the Error Comment"
    return error.status
