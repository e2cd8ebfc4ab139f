"""What is registered in one transaction, and what the database made of it."""

import enum
from collections.abc import Callable, Collection, Iterable, Sequence
from typing import NamedTuple

from oxidicom.records import PacsFile, Series, SeriesValue, SharedColumns

DescribeSeries = Callable[[Series], SharedColumns | None]
"""Tells what the files of a series that stand at their final paths say of it; None: there is none of it.

It raises OSError when none can be read."""


class RowBatch(NamedTuple):
    """Rows of DICOM files, in any order, and after them values of series, in theirs."""

    files: Sequence[PacsFile]
    values: Sequence[SeriesValue]
    describe: DescribeSeries


class Oddity(enum.StrEnum):
    """Why a series is not registered as one would expect. It is no error: its files are registered all the same."""

    ANOTHER_PACS = "another PACS has its directory"
    ANOTHER_DIRECTORY = "it is registered with another directory"
    DIRECTORY_TAKEN = "another series is registered with its directory"
    NO_FILES = "none of its files is registered"
    UNDESCRIBED = "none of its files says what it is"


class SeriesKey(NamedTuple):
    """By what the row of a series is known: its UID, and its PACS: that of the directory, else that of the title."""

    pacs_directory: str
    pacs_identifier: str
    series_instance_uid: str


class SeriesWritten(NamedTuple):
    """What became of a series that ended."""

    name: str
    """That of its value."""
    is_new: bool
    """Whether it has a row now that it had not."""
    oddity: Oddity | None
    pacs_identifier: str
    series_instance_uid: str


class Written(NamedTuple):
    """What became of a batch. Its iterables can be gone through when the transaction is over, not before."""

    rows: int
    """How many rows of the batch this generation has at all, including those that were there already."""
    added: Iterable[str]
    """The names of the new ones. A row that is neither here nor held is there."""
    series: Iterable[SeriesWritten] = ()
    held: Collection[str] = ()
    """Names that were left out, since CUBE deletes what they belong to: they are to be tried again."""
