"""One instance on its way into the spool: bytes as received, to disk without being assembled in memory."""

import contextlib
import mmap
import os

import msgspec

from oxidicom.dataset.completeness import Length, ends_as_it_should, find_flaw
from oxidicom.dataset.describer import Describer
from oxidicom.dataset.header import Header, read_header, read_header_of_file
from oxidicom.errors import DatasetError
from oxidicom.files.regular_file import open_regular
from oxidicom.records import Description
from oxidicom.spool.names import RECEIVED, EntryName, part_name
from oxidicom.spool.spool_writer import SpoolWriter
from oxidicom.statuses import Status
from oxidicom.wanted_tags import SOP_CLASS_UID, SOP_INSTANCE_UID

HEAD_BYTES = 64 * 1024
"""So much of a dataset is kept for the header scanner; it holds the wanted tags of nearly every instance."""

_LITTLE_BYTES = 64 * 1024
"""An instance of up to so many bytes is waited for until it has come whole: it stays in the receive buffer so long."""

_MAX_PIECES = 512  # half of IOV_MAX


class IncomingInstance:
    """An instance that is being received.

    One that has come whole before it must be written is created under its committed name; any other is a part file
    that takes that name at the end, which costs a rename more. Either way a file under a committed name is complete
    when its size is that of its name.
    """

    def __init__(
        self, spool_writer: SpoolWriter, describer: Describer, file_meta: bytes, transfer_syntax_uid: str
    ) -> None:
        """Its file will begin with `file_meta`, preamble included."""
        self._spool_writer = spool_writer
        self._describer = describer
        self._transfer_syntax_uid = transfer_syntax_uid
        self._description: Description | None = None
        """What its first piece told already."""
        self._head: list[bytes] = []
        self._missing_head_bytes = HEAD_BYTES
        self._pieces: list[bytes | memoryview] = [file_meta]
        self._file_meta_bytes = len(file_meta)
        self._number = spool_writer.next_number()
        self._file_name = part_name(self._number)
        self._descriptor = -1
        self.dataset_bytes = 0
        """Bytes of the dataset that have come."""
        self.committed_ns = 0
        """Moment of the commit, by the clock of the storage."""

    @property
    def may_wait(self) -> bool:
        """Whether it has so little yet that the rest had better be waited for: it may come whole."""
        return self._descriptor < 0 and self.dataset_bytes <= _LITTLE_BYTES

    def write(self, piece: memoryview) -> None:
        """Take the next bytes of the dataset. They are referred to, not copied, until `flush`.

        Raise DatasetError when they show that the dataset cannot be taken, or OSError.
        """
        if self._missing_head_bytes and self._description is None:
            self._look_at(piece)
        self.dataset_bytes += len(piece)
        self._pieces.append(piece)
        if len(self._pieces) >= _MAX_PIECES:
            self.flush()

    def _look_at(self, piece: memoryview) -> None:
        """Describe the dataset by its first piece, if it is like others; else keep its head for the scanner."""
        if not self._head:
            self._description = self._describer.recognize(piece, self._transfer_syntax_uid)
            if self._description is not None:
                return
        copy = bytes(piece[: self._missing_head_bytes])
        self._head.append(copy)
        self._missing_head_bytes -= len(copy)

    def flush(self) -> None:
        """Write what was taken: it is not all. Raise OSError."""
        if self._descriptor < 0:
            self._descriptor = self._spool_writer.create(self._file_name)
        pieces, self._pieces = self._pieces, []
        while pieces:
            pieces = _after(pieces, os.writev(self._descriptor, pieces))

    def commit(self, sop_class_uid: str, sop_instance_uid: str) -> tuple[EntryName, Description]:
        """Describe the dataset, finish the file, and commit it to the spool.

        The UIDs are those of the command. Raise DatasetError when the dataset cannot be taken, OSError when the disk
        cannot; in both cases call `discard`.
        """
        description = self._description or self._describe()
        _require_same_uids(description, sop_class_uid, sop_instance_uid)
        length = description.series.directory, self._transfer_syntax_uid, self.dataset_bytes
        if length not in self._describer.whole_lengths:
            description = self._look_at_end(description, length)
        name = self._spool_writer.name_of(self._number, self._file_meta_bytes + self.dataset_bytes, description)
        if self._descriptor < 0 and not self._spool_writer.durable:
            self._file_name = name.at(RECEIVED)
            self._finish_file()
        else:  # what is to outlive a power failure has its name only when its data is safe
            self._finish_file()
            self._file_name = self._spool_writer.rename(self._file_name, name.at(RECEIVED))
        self._spool_writer.enter_in_ledger(name, description)
        return name, description

    def _finish_file(self) -> None:
        self.flush()
        # Of two versions of a file, the one committed later stays: its mtime says when that was.
        self.committed_ns = self._spool_writer.now_ns()
        os.utime(self._descriptor, ns=(self.committed_ns, self.committed_ns))
        self._spool_writer.sync_data(self._descriptor)
        self._close()

    def _describe(self) -> Description:
        head = b"".join(self._head)
        recognized = None
        if len(self._head) > 1:  # a single piece was looked at already
            recognized = self._describer.recognize(head, self._transfer_syntax_uid)
        return recognized or self._describer.describe(self._read_header(head), head, self._transfer_syntax_uid)

    def _read_header(self, head: bytes) -> Header:
        header = read_header(head, self._transfer_syntax_uid, complete=len(head) == self.dataset_bytes)
        if header is None:
            self.flush()
            _, header = read_header_of_file(os.path.join(self._spool_writer.directory, self._file_name))
        return header

    def _look_at_end(self, description: Description, length: Length) -> Description:
        """Return the description, with a warning if the dataset is cut off."""
        if self._pieces and ends_as_it_should(bytes(self._pieces[-1][-8:]), self._transfer_syntax_uid):
            return description
        flaw = self._find_flaw()
        if not flaw:
            self._describer.whole_lengths.learn(length)
        if not flaw or flaw in description.warnings:
            return description
        return msgspec.structs.replace(description, warnings=(*description.warnings, flaw))

    def _find_flaw(self) -> str:
        if self._descriptor < 0:
            return find_flaw(b"".join(self._pieces[1:]), 0, self._transfer_syntax_uid)
        self.flush()
        with open(os.path.join(self._spool_writer.directory, self._file_name), "rb", opener=open_regular) as file:
            contents = mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ)
        with contents:
            return find_flaw(contents, self._file_meta_bytes, self._transfer_syntax_uid)

    def discard(self) -> None:
        """Remove the file and give its space back, as far as the disk lets it."""
        self._pieces.clear()
        with contextlib.suppress(OSError):
            if self._descriptor >= 0:
                self._close()
        self._spool_writer.remove(self._file_name)

    def _close(self) -> None:
        descriptor, self._descriptor = self._descriptor, -1
        os.close(descriptor)


def _after(pieces: list[bytes | memoryview], written: int) -> list[bytes | memoryview]:
    """Return what is left of `pieces` after the first `written` bytes."""
    for index, piece in enumerate(pieces):
        if written < len(piece):
            return [memoryview(piece)[written:], *pieces[index + 1 :]]
        written -= len(piece)
    return []


def _require_same_uids(description: Description, sop_class_uid: str, sop_instance_uid: str) -> None:
    """The dataset must be what its command said it is (PS3.4, B.2.3: status A900H)."""
    if description.sop_class_uid and description.sop_class_uid != sop_class_uid:
        raise _mismatch(description, "SOPClassUID", SOP_CLASS_UID)
    if description.sop_instance_uid != sop_instance_uid:
        raise _mismatch(description, "SOPInstanceUID", SOP_INSTANCE_UID)


def _mismatch(description: Description, keyword: str, tag: int) -> DatasetError:
    error = DatasetError(f"{keyword} differs from the command", Status.DATA_SET_MISMATCH, (tag,))
    error.series_instance_uid = description.series.series_instance_uid
    return error
