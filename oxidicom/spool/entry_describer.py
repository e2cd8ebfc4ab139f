"""Describing many entries of one association, as a rescan does: those that are like an earlier one by its stencil.

Measured, in µs of CPU an entry of 10 KB (of 512 KB): 77 (109) to read each header, 18 (31) so. A backlog drains at
that price.
"""

import os

from oxidicom.dataset.describer import Describer
from oxidicom.dataset.header import read_header
from oxidicom.dataset.part10 import read_file_meta
from oxidicom.errors import DatasetError
from oxidicom.files.regular_file import open_regular
from oxidicom.records import Description
from oxidicom.spool.entries import describe_entry

_FIRST_READ_BYTES = 32 * 1024
"""Nearly all headers end here, and what a stencil covers."""


class EntryDescriber:
    """Gives for each entry what `describe_entry` gives, and learns from those that it has not seen the like of."""

    def __init__(self) -> None:
        self._describer = Describer("")
        self._calling_ae_title = ""

    def describe(self, path: str) -> Description:
        """Read what the listener knew about an entry from the entry itself. Raise DatasetError or OSError."""
        head = _head_of(path)
        if not head:
            raise DatasetError("file is empty")
        meta = read_file_meta(head)
        if meta.calling_ae_title != self._calling_ae_title:  # all entries of an association have the same
            self._calling_ae_title = meta.calling_ae_title
            self._describer = Describer(meta.calling_ae_title)
        dataset = memoryview(head)[meta.dataset_offset :]
        recognized = self._describer.recognize(dataset, meta.transfer_syntax_uid) if dataset else None
        return recognized or self._learn(path, head, dataset, meta.transfer_syntax_uid)

    def _learn(self, path: str, head: bytes, dataset: memoryview, transfer_syntax_uid: str) -> Description:
        beginning = bytes(dataset)
        header = read_header(beginning, transfer_syntax_uid, complete=len(head) < _FIRST_READ_BYTES)
        if header is None:  # it is longer than what was read
            return describe_entry(path)
        return self._describer.describe(header, beginning, transfer_syntax_uid)


def _head_of(path: str) -> bytes:
    descriptor = open_regular(path)
    try:
        return os.read(descriptor, _FIRST_READ_BYTES)
    finally:
        os.close(descriptor)
