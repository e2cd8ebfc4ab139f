"""One connection to CUBE's database: made when it is wanted, limited in time, given up after most errors.

Nothing about the database is trusted for longer than its connection lives, nor for more than a minute. The connection
is used by one thread, and may be interrupted from another. It is made after the fork, for libpq's connections do not
survive one.
"""

import contextlib
import logging
import socket
import threading
import time
from collections.abc import Callable, Iterator
from typing import Any, NamedTuple

import psycopg
from psycopg.conninfo import conninfo_to_dict

from oxidicom.cube.connections import Connection, Connections
from oxidicom.cube.faults import lacks_reference, leaves_connection_sound, outage_reason
from oxidicom.cube.generation import Generation, generation_of
from oxidicom.errors import DatabaseUnavailableError

_DEFAULTS = {
    "application_name": "oxidicom",
    "connect_timeout": 5,
    "keepalives_idle": 30,
    "keepalives_interval": 10,
    "keepalives_count": 3,
    "tcp_user_timeout": 30_000,  # milliseconds
}
_ENCODING = {"client_encoding": "UTF8"}
"""In any other encoding our side could not say what the database can, nor read what it has."""
_PREPARE_THRESHOLD = 5
_CANCEL_SECONDS = 2.0
_LOOK_SECONDS = 60.0
"""So often a connection is asked anew what is behind it."""
_POOLER_BETWEEN = "SELECT pg_backend_pid() <> %s"

# Only for this transaction, so that a pooler hands nothing on; by no start-up option, which poolers refuse. The
# keep-alives end a transaction, with its locks, of which the rest was swallowed on its way: usually after 2 h. The last
# limit came with PostgreSQL 14, which has it on Linux only.
_SET_LIMITS = """
SELECT set_config('lock_timeout', %s, true), set_config('statement_timeout', %s, true),
       set_config('tcp_keepalives_idle', '30', true), set_config('tcp_keepalives_interval', '10', true),
       set_config('tcp_keepalives_count', '3', true),
       CASE WHEN current_setting('client_connection_check_interval', true) IS NOT NULL
                 AND strpos(version(), 'linux') > 0
            THEN set_config('client_connection_check_interval', %s, true) END
"""


class TimeLimits(NamedTuple):
    """How long the server works for us: it would wait for a lock for ever, also when we have hung up long ago."""

    lock_seconds: float = 20.0
    """Then whoever waits for a lock is told so. It is long, since who waits is served as soon as the lock is free."""
    statement_seconds: float = 25.0
    reading_seconds: float = 600.0
    """Of a statement that only reads: a large table is counted once by `oxidicom reconcile`."""
    check_seconds: float = 5.0
    """So often the server looks whether we are still there."""


USUAL_LIMITS = TimeLimits()


class _InUse(NamedTuple):
    connection: Connection
    socket: socket.socket
    """A duplicate of the connection's own."""
    since: float
    """On the monotonic clock."""


class _Link(NamedTuple):
    """A connection, and what was found behind it."""

    connection: Connection
    generation: Generation
    looked_at: float
    """On the monotonic clock."""


class Session:
    """At most one connection at a time."""

    def __init__(self, conninfo: str, limits: TimeLimits, max_connections: int) -> None:
        """`conninfo` is a libpq connection string or URL. Raise DatabaseUnavailableError when it cannot be parsed."""
        try:
            self._parameters: dict[str, Any] = {**_DEFAULTS, **conninfo_to_dict(conninfo), **_ENCODING}
        except psycopg.Error as error:
            raise DatabaseUnavailableError("CHRIS_DB_CONNECTION is not a libpq connection string or URL") from error
        logging.getLogger("psycopg").setLevel(logging.CRITICAL)  # what it says reaches the user through us
        self._limits = limits
        self._max_connections = max_connections
        self._connections: Connections | None = None
        self._link: _Link | None = None
        self._generation: Generation | None = None
        """That of the last connection."""
        self.may_prepare = True
        """Whether statements are prepared on the server."""
        self._in_use: _InUse | None = None
        self._in_use_changed = threading.Condition()

    @property
    def is_open(self) -> bool:
        """Whether there is a connection, which was made for an earlier transaction."""
        return self._link is not None

    def meaning_of(self, error: psycopg.Error) -> str | None:
        """Say what an error means in the tables that the database had last; None when it means the same everywhere."""
        return self._generation.meaning_of(error) if self._generation else None

    def lacks_reference(self, error: psycopg.Error) -> bool:
        """Tell whether `error` says that another row which a row names is not there, be it a moment ago."""
        return self._generation is not None and lacks_reference(error, self._generation.references)

    def open(self) -> None:
        """Connect, unless there is a connection. Raise psycopg.Error or DatabaseUnavailableError."""
        try:
            link = self._link or self._connect()
            if time.monotonic() - link.looked_at > _LOOK_SECONDS:
                link = self._look_again(link.connection)
            self._link, self._generation = link, link.generation
        except (psycopg.Error, DatabaseUnavailableError):
            raise
        except Exception as error:  # whatever it is, no row has to do with it
            raise DatabaseUnavailableError(outage_reason(error)) from error

    def close(self) -> None:
        """Give the connection up, and all that is known of the database with it."""
        link, self._link = self._link, None
        if link:
            self._give_up(link.connection)

    def end(self) -> None:
        """Close what there is of connections."""
        self.close()
        connections, self._connections = self._connections, None
        if connections:
            connections.close()

    def stop_preparing(self) -> None:
        """Give the connection up; the next ones prepare no statement on the server."""
        self.may_prepare = False
        self.end()

    @contextlib.contextmanager
    def transaction(
        self, *, reading: bool = False, before_commit: Callable[[], None] | None = None
    ) -> Iterator[tuple[Generation, Connection]]:
        """Give a transaction within its time limits, whose statements go out together.

        `before_commit` is called when all of them are done; what it raises undoes them.

        Raise psycopg.Error, and DatabaseUnavailableError when it cannot be used for another reason. A connection that
        may not be sound any more is given up.
        """
        self.open()
        assert self._link is not None
        connection, generation, _ = self._link
        try:
            with self._interruptible(connection), _as_one(connection, before_commit):
                connection.execute(_SET_LIMITS, self._limits_of(reading), prepare=True)
                yield generation, connection
        except (OSError, MemoryError) as error:  # this machine has run out of something: no row's fault
            self.close()
            raise DatabaseUnavailableError(outage_reason(error)) from error
        except BaseException as error:
            if not leaves_connection_sound(error):
                self.close()
            raise

    def interrupt(self, after_seconds: float) -> None:
        """End a transaction that takes so long already: by a cancel, else by cutting its connection.

        The server is told first, since it does not see by itself that we are gone. It raises an OperationalError in
        the thread that waits. May be called from another thread at any time; it takes a few seconds at most.
        """
        with self._in_use_changed:
            in_use = self._in_use
            if in_use is None or time.monotonic() - in_use.since < after_seconds:
                return
            with contextlib.suppress(psycopg.Error):  # packets may be swallowed here as well
                in_use.connection.cancel_safe(timeout=_CANCEL_SECONDS)
            if not self._in_use_changed.wait_for(lambda: self._in_use is not in_use, _CANCEL_SECONDS):
                with contextlib.suppress(OSError):  # it was cut already
                    in_use.socket.shutdown(socket.SHUT_RDWR)

    def _connect(self) -> _Link:
        if self._connections is None:
            threshold = _PREPARE_THRESHOLD if self.may_prepare else None
            self._connections = Connections(self._parameters, most=self._max_connections, prepare_threshold=threshold)
        connection = self._connections.take()
        try:
            with self._interruptible(connection):
                if _is_pooled(connection):
                    connection.prepare_threshold = None  # not for `prepare=True` either
                return _Link(connection, generation_of(connection), time.monotonic())
        except BaseException:
            self._give_up(connection)
            raise

    def _look_again(self, connection: Connection) -> _Link:
        """See whether CUBE has migrated, and whether our rights are others: there need not be an error to tell."""
        try:
            with self._interruptible(connection):
                return _Link(connection, generation_of(connection), time.monotonic())
        except BaseException:
            self.close()
            raise

    def _give_up(self, connection: Connection) -> None:
        """Close a connection; its place in the pool is free then."""
        connection.close()
        if self._connections:
            self._connections.give_back(connection)

    @contextlib.contextmanager
    def _interruptible(self, connection: Connection) -> Iterator[None]:
        """Let `interrupt` end what happens inside.

        The duplicate of the socket is made and closed by the thread that uses the connection: libpq may close its own
        at any time, and another file may get the number. What is shut down needs no family.
        """
        with socket.fromfd(connection.fileno(), socket.AF_UNSPEC, socket.SOCK_STREAM) as duplicate:
            self._set_in_use(_InUse(connection, duplicate, time.monotonic()))
            try:
                yield
            finally:
                self._set_in_use(None)

    def _set_in_use(self, in_use: _InUse | None) -> None:
        with self._in_use_changed:
            self._in_use = in_use
            self._in_use_changed.notify_all()

    def _limits_of(self, reading: bool) -> list[str]:
        limits = self._limits
        statement_seconds = limits.reading_seconds if reading else limits.statement_seconds
        return [f"{seconds * 1000:.0f}" for seconds in (limits.lock_seconds, statement_seconds, limits.check_seconds)]


@contextlib.contextmanager
def _as_one(connection: Connection, before_commit: Callable[[], None] | None) -> Iterator[None]:
    """Make what is executed inside a transaction that goes out whole and is answered once.

    COMMIT goes out with the rest, unless something is to be seen to before. To wait for each statement costs as much as
    what it does; psycopg's own transaction waits three times. After an error the server skips everything that follows,
    COMMIT as well.
    """
    try:
        with connection.pipeline() as pipeline:
            connection.execute("BEGIN", prepare=False)
            yield
            if before_commit:
                pipeline.sync()
                before_commit()
            committed = connection.execute("COMMIT", prepare=False)
        if committed.statusmessage != "COMMIT":
            raise psycopg.OperationalError("the transaction was not committed")
    except BaseException:
        with contextlib.suppress(psycopg.Error):  # the connection may be lost
            connection.rollback()
        raise


def _is_pooled(connection: Connection) -> bool:
    """Tell whether the server is another than the one that greeted us: a pooler stands between, pgbouncer for instance.

    It may take another server for each transaction, where a prepared statement is not there, or is somebody else's.
    """
    return connection.execute(_POOLER_BETWEEN, [connection.info.backend_pid]).fetchone() != (False,)
