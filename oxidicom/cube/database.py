"""CUBE's database as the gateway uses it: a pool of connections, and one transaction for each batch.

Made after the fork, for libpq's connections do not survive one. It may be used from one thread and interrupted from
another.
"""

import contextlib
import logging
import os
import socket
import time
from collections.abc import Iterator, Sequence
from typing import Any, NamedTuple

import psycopg
from psycopg.conninfo import conninfo_to_dict
from psycopg_pool import ConnectionPool, PoolTimeout

from oxidicom.cube.faults import (
    can_be_tried_again,
    is_foreign_key,
    outage_reason,
    refusal_reason,
    refuses_row,
)
from oxidicom.cube.registrar import Registrar, registrar_for
from oxidicom.errors import DatabaseUnavailableError, NotMigratedError, RowRefusedError
from oxidicom.records import PacsFile, SeriesIdentity

_Connection = psycopg.Connection[Any]

_TRIES = 5
_POOL_SECONDS = 6.0
_TRUSTED_SECONDS = 1.0
"""A connection that worked so recently is not asked whether it still does."""
_DEFAULTS = {
    "application_name": "oxidicom",
    "connect_timeout": 5,
    "keepalives_idle": 30,
    "keepalives_interval": 10,
    "keepalives_count": 3,
    "tcp_user_timeout": 30_000,  # milliseconds
}


class Registered(NamedTuple):
    """What one call added."""

    new: list[str]
    """The names of the rows that are new."""
    known: int
    """Rows that were there already, or twice in the batch; they stay as they are."""


class _InUse(NamedTuple):
    connection: _Connection
    since: float
    """On the monotonic clock."""


class Database:
    """Registers files. Nothing is opened before `open` or the first use."""

    def __init__(self, conninfo: str, *, max_connections: int) -> None:
        """`conninfo` is a libpq connection string or URL. Raise DatabaseUnavailableError when it cannot be parsed."""
        logging.getLogger("psycopg.pool").setLevel(logging.CRITICAL)  # what it says reaches the user through us
        try:
            parameters = {**_DEFAULTS, **conninfo_to_dict(conninfo)}
        except psycopg.Error as error:
            raise DatabaseUnavailableError("CHRIS_DB_CONNECTION is no libpq connection string or URL") from error
        self._parameters: dict[str, Any] = parameters
        self._max_connections = max_connections
        self._pool: ConnectionPool[_Connection] | None = None
        self._registrar: Registrar | None = None
        self._in_use: _InUse | None = None
        self._worked = -_TRUSTED_SECONDS
        """When a connection worked last, on the monotonic clock."""

    def open(self) -> None:
        """Begin to connect, in the background and as often as it takes: so the first rows need not wait for it."""
        self._open_pool()

    def register(self, files: Sequence[PacsFile], metadata: Sequence[PacsFile] = ()) -> Registered:
        """Insert `files`, then `metadata` in the order given, and COMMIT: all or nothing.

        Raise DatabaseUnavailableError when the database cannot be used at present, RowRefusedError when a row is
        refused for what it holds. In both cases nothing was registered, or it may be registered again.
        """
        for tries_left in reversed(range(_TRIES)):
            unchecked = self._worked_just_now
            try:
                return self._register(files, metadata)
            except psycopg.Error as error:
                lost = unchecked and isinstance(error, psycopg.OperationalError)
                if tries_left and (lost or can_be_tried_again(error) or is_foreign_key(error)):
                    self._forget()
                elif refuses_row(error):
                    raise RowRefusedError(refusal_reason(error), error.sqlstate) from error
                else:
                    self._forget()
                    raise DatabaseUnavailableError(outage_reason(error)) from error
        raise AssertionError("the last try returns or raises")

    def generation(self) -> str:
        """Return the name of the generation of the schema. Raise DatabaseUnavailableError."""
        with self._reading() as (registrar, _):
            return registrar.generation

    def has_files(self) -> bool:
        """Tell whether any PACS file is registered; none is when CUBE has not made its tables yet.

        Raise DatabaseUnavailableError when it cannot be told.
        """
        try:
            with self._reading() as (registrar, connection):
                return registrar.any_file(connection)
        except NotMigratedError:
            return False

    def names_below(self, directory: str, after: str, most: int) -> list[str]:
        """Return up to `most` names below `directory` that come after `after`, in the order of their bytes.

        So all of them can be gone through in short transactions. Raise DatabaseUnavailableError.
        """
        with self._reading() as (registrar, connection):
            return registrar.names_below(connection, directory, after, most)

    def count_below(self, directory: str) -> int:
        """Return the number of names below `directory`. Raise DatabaseUnavailableError."""
        with self._reading() as (registrar, connection):
            return registrar.count_below(connection, directory)

    def known(self, names: Sequence[str]) -> set[str]:
        """Return those of `names` that are registered. Raise DatabaseUnavailableError."""
        with self._reading() as (registrar, connection):
            return registrar.known(connection, names)

    def series_below(self, directory: str) -> list[SeriesIdentity]:
        """Return the different series below `directory`, two at most. Raise DatabaseUnavailableError."""
        with self._reading() as (registrar, connection):
            return registrar.series_below(connection, directory)

    @contextlib.contextmanager
    def _reading(self) -> Iterator[tuple[Registrar, _Connection]]:
        try:
            with self._connection() as connection, connection.transaction():
                yield registrar_for(connection), connection  # looked for anew: reads are rare, and CUBE may migrate
        except psycopg.Error as error:
            raise DatabaseUnavailableError(outage_reason(error)) from error

    def interrupt(self, after_seconds: float) -> None:
        """End a transaction that hangs for so long already, on a peer that swallows packets.

        It raises an OperationalError in the thread that waits for it. May be called from another thread at any time:
        it shuts the socket down, which is safe whatever the other thread does with it.
        """
        in_use = self._in_use
        if in_use is None or in_use.connection.closed or time.monotonic() - in_use.since < after_seconds:
            return
        with contextlib.suppress(OSError, psycopg.Error):
            duplicate = socket.socket(fileno=os.dup(in_use.connection.fileno()))
            with duplicate:
                duplicate.shutdown(socket.SHUT_RDWR)

    def close(self) -> None:
        """Close all connections."""
        pool, self._pool = self._pool, None
        if pool:
            pool.close(timeout=1.0)

    def _register(self, files: Sequence[PacsFile], metadata: Sequence[PacsFile]) -> Registered:
        try:
            # All statements go out together and one answer comes back: to wait for each costs as much as what they do.
            with self._connection() as connection, connection.pipeline(), connection.transaction():
                registrar = self._registrar_for(connection)
                batches = [files, *([row] for row in metadata)]
                added = [registrar.insert(connection, rows) for rows in batches if rows]
        except (UnicodeError, OverflowError) as error:  # the client library cannot send a value
            raise RowRefusedError(refusal_reason(error)) from error
        new = [name for cursor in added for (name,) in cursor]
        return Registered(new, len(files) + len(metadata) - len(new))

    def _registrar_for(self, connection: _Connection) -> Registrar:
        if self._registrar is None:
            self._registrar = registrar_for(connection)
        return self._registrar

    def _forget(self) -> None:
        """After any error the database may be another one, or migrated meanwhile: look anew."""
        self._registrar = None
        self._worked = -_TRUSTED_SECONDS

    @property
    def _worked_just_now(self) -> bool:
        return time.monotonic() - self._worked < _TRUSTED_SECONDS

    @contextlib.contextmanager
    def _connection(self) -> Iterator[_Connection]:
        """Give a connection that works; one that failed is not kept."""
        pool = self._open_pool()
        try:
            connection = pool.getconn(timeout=_POOL_SECONDS)
        except PoolTimeout:
            raise DatabaseUnavailableError(self._reason_of_silence()) from None
        self._in_use = _InUse(connection, time.monotonic())
        try:
            yield connection
            self._worked = time.monotonic()
        except psycopg.Error as error:
            if not refuses_row(error):
                connection.close()  # the next one finds the new primary, if this one failed over
            raise
        finally:
            self._in_use = None
            pool.putconn(connection)

    def _open_pool(self) -> "ConnectionPool[_Connection]":
        if self._pool is None:
            self._pool = ConnectionPool(
                kwargs=self._parameters,
                min_size=1,
                max_size=self._max_connections,
                check=self._check,
                reconnect_timeout=2.0,
                open=True,
            )
        return self._pool

    def _check(self, connection: _Connection) -> None:
        """Make sure that a connection works before it is used; it may hang, so it can be interrupted here too.

        Not under load: if one that worked a moment ago does not any more, `register` tries again.
        """
        self._in_use = _InUse(connection, time.monotonic())
        if not self._worked_just_now:
            ConnectionPool.check_connection(connection)

    def _reason_of_silence(self) -> str:
        """The pool says only that time is over; a connection of its own learns why."""
        try:
            psycopg.connect(**self._parameters).close()
        except psycopg.Error as error:
            return outage_reason(error)
        return "it has no connection left within CHRIS_DB_POOL, or it has just come back"
