"""What files at their final paths say of themselves and of their series."""

import itertools
import os

from oxidicom.dataset.description import describe
from oxidicom.dataset.header import read_header_of_file
from oxidicom.errors import DatasetError
from oxidicom.files.regular_file import NotRegularFileError
from oxidicom.records import PacsFile, Series, SharedColumns

_MAX_FILES = 20
"""So many are asked, for others wait: in the directory of a series nearly every file is of it."""


def row_of_file(files_root: str, path: str) -> PacsFile:
    """Return the row that the file at `path`, relative to the root, describes. Raise DatasetError or OSError."""
    meta, header = read_header_of_file(os.path.join(files_root, path))
    _services, _pacs, directory, *_ = path.split("/")
    return describe(header, meta.calling_ae_title or directory).file


def describe_series(files_root: str, series: Series) -> SharedColumns | None:
    """Return what a series says of itself, by any file of it that stands at its final path; None: there is none.

    Raise OSError when none can be read, which is another thing.
    """
    trouble: OSError | None = None
    try:
        with os.scandir(os.path.join(files_root, series.directory)) as scan:
            for entry in itertools.islice(scan, _MAX_FILES):
                try:
                    columns = row_of_file(files_root, f"{series.directory}/{entry.name}").columns
                except (DatasetError, FileNotFoundError, NotRegularFileError):
                    continue
                except OSError as error:
                    trouble = error
                    continue
                if columns.identity == series.identity:
                    return columns
    except (FileNotFoundError, NotADirectoryError):
        pass  # CUBE has deleted it
    if trouble:
        raise trouble
    return None
