"""The writing side of the history, for one thread: a transaction at a time, and what keeps the file small.

What is told twice changes nothing, and what comes late or in another order is put where it belongs: an association is
told by its listener and by registration, in any order, and by registration again after a crash.
"""

import contextlib
import datetime
import os
import sqlite3
import time
from collections.abc import Iterator, Mapping, Sequence

import msgspec

from oxidicom.history.records import AssociationEnd, Refusal, SeriesCount
from oxidicom.history.schema import DamagedHistoryError, damage_told, open_to_write, put_aside

MAX_BYTES = 512 * 1024 * 1024
MAX_EMPTY = 100_000
"""So many associations that brought nothing are kept, rejected ones too: whoever makes them by the thousand pushes
none out of the history that brought something."""
_MAX_AT_ONCE = 1000
"""So many records go in one transaction, so that it is a short one."""
_UNSETTLED_SECONDS = 60.0

_COLUMNS = (
    "id, change, gateway, began, ended, peer, calling, called, tls, how, is_rejected, received, stored, warned, bytes, "
    "refused, is_settled"
)
_INSERT = f"INSERT INTO association ({_COLUMNS}) VALUES ({', '.join('?' * 17)}) ON CONFLICT (id) DO UPDATE SET "  # noqa: S608
_BY_LISTENER = _INSERT + (
    ", ".join(f"{column} = excluded.{column}" for column in _COLUMNS.split(", ")[1:-1])
    + ", is_settled = max(is_settled, excluded.is_settled)"
)
_BY_LEDGER = _INSERT + (
    "change = excluded.change, is_settled = max(is_settled, excluded.is_settled), "
    "is_lost = CASE WHEN excluded.is_settled THEN 0 ELSE is_lost END"
)
"""What the listener told is more, and stays."""
_SERIES = (
    "INSERT INTO series VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?) ON CONFLICT (association, hash) DO UPDATE SET "
    "stored = max(stored, excluded.stored), expected = coalesce(excluded.expected, expected), "
    "set_aside = CASE WHEN excluded.is_settled THEN excluded.set_aside ELSE set_aside END, "
    "is_settled = max(is_settled, excluded.is_settled), repeated = max(repeated, excluded.repeated)"
)
"""What was set aside and put back is told again without numbers: what was stored in all stays."""


class Transaction:
    """What is written together."""

    def __init__(self, connection: sqlite3.Connection) -> None:
        self._connection = connection
        (self._change,) = connection.execute("SELECT coalesce(max(change), 0) + 1 FROM association").fetchone()

    def ended(self, end: AssociationEnd) -> None:
        """Note an association as its listener tells it."""
        self._connection.execute(_BY_LISTENER, self._values_of(end))

    def registered(self, end: AssociationEnd) -> None:
        """Note an association as its ledger tells it, where its listener has not."""
        self._connection.execute(_BY_LEDGER, self._values_of(end))

    def refused(self, association: str, refusals: Sequence[Refusal]) -> None:
        """Note why instances were refused."""
        text = msgspec.json.encode(refusals).decode()
        self._connection.execute("UPDATE association SET refusals = ? WHERE id = ?", (text, association))

    def series(self, association: str, counts: Sequence[SeriesCount]) -> None:
        """Note how far series are."""
        self._connection.executemany(
            _SERIES,
            [
                (
                    association,
                    one.series_hash,
                    one.study_instance_uid,
                    one.series_instance_uid,
                    one.stored,
                    one.set_aside,
                    one.expected,
                    one.is_settled,
                    one.repeated,
                )
                for one in counts
            ],
        )

    def lost(self, association: str, set_aside: Mapping[str, int]) -> None:
        """Note that an association is finished and that nobody told how, but for instances that are set aside.

        `set_aside` has their numbers by series hash.
        """
        settled = self._connection.execute(
            "UPDATE association SET is_settled = 1, is_lost = 1, change = ? WHERE id = ? AND NOT is_settled",
            (self._change, association),
        )
        if not settled.rowcount:
            return  # somebody told of it meanwhile
        self._connection.executemany(
            "UPDATE series SET is_settled = 1, set_aside = min(stored, ?) WHERE association = ? AND hash = ?",
            [(count, association, series_hash) for series_hash, count in set_aside.items()],
        )

    def gap(self, since_ns: int | None, reports: int | None) -> None:
        """Note that reports did not arrive since then (None: since the last that did); None: nobody knows how many."""
        if since_ns is None:
            (since_ns,) = self._connection.execute("SELECT max(ended) FROM association").fetchone()
        now_ns = time.time_ns()
        self._connection.execute("INSERT INTO gap VALUES (?, ?, ?)", (since_ns or now_ns, now_ns, reports))

    def _values_of(self, end: AssociationEnd) -> tuple[str | int | None, ...]:
        return (
            end.association,
            self._change,
            end.gateway,
            end.began_ns,
            end.ended_ns,
            end.peer,
            end.calling_ae_title,
            end.called_ae_title,
            end.tls,
            end.how,
            end.is_rejected,
            end.received,
            end.stored,
            end.warned,
            end.bytes,
            msgspec.json.encode(end.refused).decode(),
            end.is_settled,
        )


class HistoryStore:
    """The history as one process writes it. Nothing is opened before it is needed."""

    def __init__(self, path: str, days: int, *, max_bytes: int = MAX_BYTES, max_empty: int = MAX_EMPTY) -> None:
        """Keep records for `days` days, and no more than the limits allow."""
        self.path = path
        self._days = days
        self._max_bytes = max_bytes
        self._max_empty = max_empty
        self._connection: sqlite3.Connection | None = None
        self._inode = 0

    @contextlib.contextmanager
    def transaction(self) -> Iterator[Transaction]:
        """Write together what is written inside, or nothing of it.

        Raise NewerHistoryError, sqlite3.Error or OSError; DamagedHistoryError: the file was put aside, try again.
        """
        with self._open() as connection:
            connection.execute("BEGIN IMMEDIATE")
            try:
                yield Transaction(connection)
                connection.execute("COMMIT")
            except BaseException:
                if connection.in_transaction:
                    connection.execute("ROLLBACK")
                raise

    @contextlib.contextmanager
    def _open(self) -> Iterator[sqlite3.Connection]:
        """Lend the connection. After an error the next one is a new one."""
        if self._connection and not self._is_there():
            self.close()
        try:
            with damage_told():
                if self._connection is None:
                    self._inode = _inode_of(self.path)
                    self._connection = open_to_write(self.path)
                    self._inode = _inode_of(self.path)
                yield self._connection
        except DamagedHistoryError:
            self.close()
            put_aside(self.path, self._inode)
            raise
        except (sqlite3.Error, OSError):
            self.close()
            raise

    def _is_there(self) -> bool:
        """Tell whether the file is still the one that is open: somebody may have removed it or put it aside."""
        return _inode_of(self.path) == self._inode

    def close(self) -> None:
        """Close the file. It can be used again."""
        connection, self._connection = self._connection, None
        if connection:
            with contextlib.suppress(sqlite3.Error):
                connection.close()

    def unsettled(self) -> list[str]:
        """Return associations that ended a while ago and are not settled. Raise as `transaction` does."""
        before_ns = time.time_ns() - int(_UNSETTLED_SECONDS * 1e9)
        with self._open() as connection:
            found = connection.execute(
                "SELECT id FROM association WHERE NOT is_settled AND ended < ? ORDER BY ended LIMIT ?",
                (before_ns, _MAX_AT_ONCE),
            )
            return [association for (association,) in found]

    def prune(self) -> None:
        """Remove what is too old or too much, oldest first. Raise as `transaction` does."""
        oldest = datetime.datetime.now(datetime.UTC) - datetime.timedelta(days=self._days)
        oldest_ns = int(oldest.timestamp() * 1e9)
        with self._open() as connection:
            while _remove(connection, "ended < ?", oldest_ns):
                pass
            connection.execute("DELETE FROM gap WHERE noticed < ?", (oldest_ns,))
            empty = "stored = 0 AND refused = '{}'"
            (count,) = connection.execute(f"SELECT count(*) FROM association WHERE {empty}").fetchone()  # noqa: S608
            for most in range(count - self._max_empty, 0, -_MAX_AT_ONCE):
                _remove(connection, empty, most=min(most, _MAX_AT_ONCE))
            while _bytes_of(connection) > self._max_bytes and _remove(connection, "1"):
                pass
            connection.executescript("PRAGMA incremental_vacuum")  # `execute` would free one page


def _remove(connection: sqlite3.Connection, condition: str, *values: int, most: int = _MAX_AT_ONCE) -> int:
    """Remove the oldest associations of which a condition of ours holds. Return how many."""
    connection.execute("BEGIN IMMEDIATE")
    try:
        found = connection.execute(
            f"SELECT id FROM association WHERE {condition} ORDER BY ended LIMIT ?",  # noqa: S608
            (*values, most),
        ).fetchall()
        connection.executemany("DELETE FROM series WHERE association = ?", found)
        connection.executemany("DELETE FROM association WHERE id = ?", found)
        if found:  # series of associations that nobody told of go with their time: a ULID begins with it
            connection.execute(
                "DELETE FROM series WHERE association < (SELECT min(id) FROM association WHERE stored > 0)"
            )
        connection.execute("COMMIT")
    except BaseException:
        if connection.in_transaction:
            connection.execute("ROLLBACK")
        raise
    return len(found)


def _bytes_of(connection: sqlite3.Connection) -> int:
    """Return how many bytes are in use."""
    pages, free, page_bytes = (
        connection.execute(f"PRAGMA {name}").fetchone()[0] for name in ("page_count", "freelist_count", "page_size")
    )
    return int((pages - free) * page_bytes)


def _inode_of(path: str) -> int:
    try:
        return os.stat(path).st_ino
    except FileNotFoundError:
        return 0
