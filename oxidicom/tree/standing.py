"""Does a file stand at its final path? Asked before a row says so, and before the spool lets go of its entry."""

import contextlib
import os
import stat
from collections.abc import Iterable

from oxidicom.errors import DatabaseUnavailableError, FilesGoneError
from oxidicom.files.descriptors import OUR_TROUBLE
from oxidicom.records import PacsFile

_DIRECTORY = os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC


def missing(files_root: str, paths: Iterable[str]) -> set[str]:
    """Return those of `paths`, relative to the root, at which no file stands, or none that can be seen.

    Raise OSError when it is we who cannot look, for want of descriptors or memory. Names are looked up from their
    directories, each opened once: for a series that is three times as fast.
    """
    gone: set[str] = set()
    with contextlib.ExitStack() as opened:
        open_path, descriptor = "", -1
        for path in sorted(paths):
            directory, _, name = path.rpartition("/")
            if directory != open_path:
                opened.close()
                open_path, descriptor = directory, _open(os.path.join(files_root, directory))
                if descriptor >= 0:
                    opened.callback(os.close, descriptor)
            if descriptor < 0 or not _is_there(name, descriptor):
                gone.add(path)
    return gone


def require_files(files_root: str, files: Iterable[PacsFile]) -> None:
    """No row without its file: called right before COMMIT, by the thread that uses the database.

    Raise FilesGoneError, or DatabaseUnavailableError when the files cannot be looked at.
    """
    try:
        gone = missing(files_root, [file.fname for file in files])
    except OSError as error:
        reason = f"the files of its rows cannot be looked at ({error.strerror})"
        raise DatabaseUnavailableError(reason) from error
    if gone:
        raise FilesGoneError(gone)


def _open(directory: str) -> int:
    try:
        return os.open(directory, _DIRECTORY)
    except OSError as error:
        if error.errno in OUR_TROUBLE:
            raise
        return -1  # gone, or of no use: whoever stores the file anew finds out


def _is_there(name: str, directory: int) -> bool:
    try:
        return stat.S_ISREG(os.stat(name, dir_fd=directory).st_mode)
    except OSError:
        return False
