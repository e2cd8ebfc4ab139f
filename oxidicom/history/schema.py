"""The file of the history and its tables.

`user_version` is the number of the format: a file of a newer one is left alone. A file that is damaged, or none of
ours, is put aside under another name, and a new one is begun. Several gateways of one host may write the same file.
"""

import contextlib
import os
import sqlite3
import stat
from collections.abc import Iterator

from oxidicom.errors import OxidicomError
from oxidicom.files.regular_file import NotRegularFileError, open_regular

FORMAT = 1
_BUSY_SECONDS = 5.0
_DAMAGED = ".damaged"
_MAX_WAL_BYTES = 16 * 1024 * 1024
_DAMAGE = (sqlite3.SQLITE_CORRUPT, sqlite3.SQLITE_NOTADB)
_PRIMARY = 0xFF
"""The lowest byte of an extended error code is the code itself."""

_TABLES = (
    """
    CREATE TABLE association (
        id TEXT PRIMARY KEY,             -- its ULID
        change INTEGER NOT NULL,         -- number of the transaction that changed it last
        gateway TEXT NOT NULL,           -- ULID
        began INTEGER NOT NULL,          -- ns since the epoch, as all moments here
        ended INTEGER NOT NULL,
        peer TEXT NOT NULL,
        calling TEXT NOT NULL,
        called TEXT NOT NULL,
        tls TEXT,                        -- version; '': none; NULL, here and below: not known
        how TEXT NOT NULL,
        is_rejected INTEGER NOT NULL,
        received INTEGER,
        stored INTEGER NOT NULL,
        warned INTEGER,
        bytes INTEGER NOT NULL,
        refused TEXT NOT NULL,           -- JSON: number by status
        refusals TEXT NOT NULL DEFAULT '[]',
        is_settled INTEGER NOT NULL,     -- nothing more comes
        is_lost INTEGER NOT NULL DEFAULT 0  -- something more should have come
    )
    """,
    """
    CREATE TABLE series (
        association TEXT NOT NULL,
        hash TEXT NOT NULL,
        study TEXT NOT NULL,
        uid TEXT NOT NULL,
        stored INTEGER NOT NULL,
        set_aside INTEGER NOT NULL,
        expected INTEGER,
        is_settled INTEGER NOT NULL,
        repeated INTEGER NOT NULL,
        PRIMARY KEY (association, hash)
    ) WITHOUT ROWID
    """,
    "CREATE TABLE gap (since INTEGER NOT NULL, noticed INTEGER NOT NULL, reports INTEGER)",
    "CREATE INDEX association_change ON association (change)",
    "CREATE INDEX association_ended ON association (ended, id)",
    "CREATE INDEX association_unsettled ON association (ended) WHERE NOT is_settled",
    "CREATE INDEX association_empty ON association (ended) WHERE stored = 0 AND refused = '{}'",
    "CREATE INDEX series_study ON series (study)",
    "CREATE INDEX series_uid ON series (uid)",
    f"PRAGMA user_version = {FORMAT}",
)


class NewerHistoryError(OxidicomError):
    """A later version of the gateway wrote the history: it is left alone."""


class DamagedHistoryError(OxidicomError):
    """The history cannot be read, or is none of ours."""


def open_to_write(path: str) -> sqlite3.Connection:
    """Open the history at `path`, or make it, for its owner alone (mode 0600).

    Raise NewerHistoryError, DamagedHistoryError, sqlite3.Error or OSError.
    """
    os.makedirs(os.path.dirname(path), exist_ok=True)
    os.close(open_regular(path, os.O_RDWR | os.O_CREAT))
    connection = sqlite3.connect(path, timeout=_BUSY_SECONDS, isolation_level=None)
    try:
        with damage_told():
            _require_format(connection)
            connection.execute("PRAGMA auto_vacuum = INCREMENTAL")  # before there is a table, else it is ignored
            connection.execute("PRAGMA journal_mode = WAL")
            connection.execute("PRAGMA synchronous = FULL")
            connection.execute(f"PRAGMA journal_size_limit = {_MAX_WAL_BYTES}")
            _make_tables(connection)
    except BaseException:
        connection.close()
        raise
    return connection


def open_to_read(path: str) -> sqlite3.Connection:
    """Open the history at `path`, beside whoever writes it or alone.

    Raise FileNotFoundError or another OSError, NewerHistoryError, DamagedHistoryError or sqlite3.Error.
    """
    if not stat.S_ISREG(os.stat(path).st_mode):  # SQLite would wait for a FIFO for ever
        raise NotRegularFileError(path)
    connection = sqlite3.connect(_uri(path, "mode=ro"), uri=True, timeout=_BUSY_SECONDS, isolation_level=None)
    try:
        with damage_told():
            if not _require_format(connection):
                raise DamagedHistoryError(f"{path} has no tables yet: try again")
    except BaseException:
        connection.close()
        raise
    return connection


def _uri(path: str, options: str) -> str:
    quoted = path.replace("%", "%25").replace("?", "%3f").replace("#", "%23")
    return f"file:{quoted}?{options}"


@contextlib.contextmanager
def damage_told() -> Iterator[None]:
    """Raise DamagedHistoryError where SQLite says that the file is damaged."""
    try:
        yield
    except sqlite3.DatabaseError as error:
        if getattr(error, "sqlite_errorcode", 0) & _PRIMARY in _DAMAGE:
            raise DamagedHistoryError(str(error)) from error
        raise


def put_aside(path: str, inode: int) -> str:
    """Put a damaged history aside, in the place of an earlier one, if `path` is still that file. Return its new name.

    Raise OSError.
    """
    aside = path + _DAMAGED
    with contextlib.suppress(FileNotFoundError):
        if os.stat(path).st_ino == inode:  # another gateway may have begun a new one
            os.replace(path, aside)
            for ending in ("-wal", "-shm"):
                with contextlib.suppress(FileNotFoundError):
                    os.unlink(path + ending)
    return aside


def remove(path: str) -> None:
    """Remove a history, and what was put aside of it. Raise OSError."""
    for ending in ("", "-wal", "-shm", _DAMAGED):
        with contextlib.suppress(FileNotFoundError):
            os.unlink(path + ending)


def _require_format(connection: sqlite3.Connection) -> bool:
    """Return whether there are tables. Raise NewerHistoryError, or DamagedHistoryError when they are not ours."""
    (written,) = connection.execute("PRAGMA user_version").fetchone()
    if written > FORMAT:
        raise NewerHistoryError(f"it has format {written}, this version knows {FORMAT}")
    (tables,) = connection.execute("SELECT count(*) FROM sqlite_master").fetchone()
    if tables and not written:
        raise DamagedHistoryError("it is a database of something else")
    return bool(written)


def _make_tables(connection: sqlite3.Connection) -> None:
    connection.execute("BEGIN IMMEDIATE")  # another gateway may be about to do the same
    if not _require_format(connection):
        for statement in _TABLES:
            connection.execute(statement)
    connection.execute("COMMIT")
