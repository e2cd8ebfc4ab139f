"""What is registered in one transaction."""

from collections.abc import Sequence
from typing import NamedTuple

from oxidicom.records import PacsFile


class RowBatch(NamedTuple):
    """Rows of DICOM files, in any order, and after them rows of metadata, in theirs."""

    files: Sequence[PacsFile]
    metadata: Sequence[PacsFile] = ()
