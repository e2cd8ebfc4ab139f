"""What stands in the spools at one moment: any number of paths, kept by SQLite in a temporary file, not in memory."""

import sqlite3
from collections.abc import Sequence

from oxidicom.operations.temporary import blamed_on_their_place
from oxidicom.spool.backlog import paths_in_work

_AT_A_TIME = 500
"""Paths in one question; SQLite takes 32,766, older ones 999."""


class Work:
    """The final paths of everything that is being worked on. A context manager.

    Every method raises OperationError when there is no room for temporary files.
    """

    def __init__(self, files_root: str) -> None:
        self._files_root = files_root
        with blamed_on_their_place(sqlite3.Error):
            self._paths = sqlite3.connect("")  # a private database on the disk, which has no name

    def __enter__(self) -> "Work":
        return self

    def __exit__(self, *_: object) -> None:
        self._paths.close()

    def look(self) -> None:
        """Walk all spools once, and keep what stands there now instead of what stood there before. Raise OSError."""
        with blamed_on_their_place(sqlite3.Error), self._paths as transaction:
            transaction.execute("DROP TABLE IF EXISTS work")
            transaction.execute("CREATE TABLE work (path TEXT PRIMARY KEY) WITHOUT ROWID")
            paths = ((path,) for path in paths_in_work(self._files_root))
            transaction.executemany("INSERT OR IGNORE INTO work VALUES (?)", paths)

    def among(self, paths: Sequence[str]) -> set[str]:
        """Return those of `paths` that stood in a spool when it was looked."""
        found: set[str] = set()
        for start in range(0, len(paths), _AT_A_TIME):
            part = paths[start : start + _AT_A_TIME]
            marks = ",".join("?" * len(part))
            question = f"SELECT path FROM work WHERE path IN ({marks})"  # noqa: S608 (only marks)
            with blamed_on_their_place(sqlite3.Error):
                found.update(path for (path,) in self._paths.execute(question, part))
        return found
