"""Where connections come from: a pool of the client library, which never has more of them than it is allowed.

The pool says only that its time is over. Why it could not connect, the connection says that failed.
"""

import time
from typing import Any, Self

import psycopg
from psycopg_pool import ConnectionPool, PoolTimeout

_LOOK_SECONDS = 0.05
_CONNECT_SECONDS = 6.0
"""A little more than the `connect_timeout` of a connection string that says nothing about it."""

Connection = psycopg.Connection[Any]


class Connections:
    """A pool of connections with the same parameters. Made after the fork: it has threads."""

    def __init__(self, parameters: dict[str, Any], *, most: int, prepare_threshold: int | None) -> None:
        """`most` is the largest number of connections at a time. Nothing is opened before the first is taken."""
        failures: list[psycopg.Error] = []
        self._failures = failures

        class Noting(psycopg.Connection[Any]):
            """A connection that says why it was not made."""

            @classmethod
            def connect(cls, *arguments: Any, **keywords: Any) -> Self:  # noqa: ANN401 (as the library has it)
                try:
                    return super().connect(*arguments, **keywords)
                except psycopg.Error as error:
                    # Its frames hold the socket of the try, which would stay open for as long as the error is kept.
                    failures.append(error.with_traceback(None))
                    raise

        self._pool: ConnectionPool[Any] = ConnectionPool(
            connection_class=Noting,
            kwargs={**parameters, "autocommit": True, "prepare_threshold": prepare_threshold},
            min_size=0,
            max_size=most,
            num_workers=1,
            reconnect_timeout=_LOOK_SECONDS,
            open=False,
        )

    def take(self) -> Connection:
        """Return a connection, to be given back. Raise psycopg.Error when there is none to be had."""
        if self._pool.closed:
            self._pool.open()
        self._failures.clear()
        deadline = time.monotonic() + _CONNECT_SECONDS
        while True:
            try:
                connection: Connection = self._pool.getconn(timeout=_LOOK_SECONDS)
                return connection
            except PoolTimeout as error:
                if self._failures:
                    raise self._failures[-1] from error
                if time.monotonic() > deadline:
                    raise psycopg.OperationalError("timeout") from error

    def give_back(self, connection: Connection) -> None:
        """Take back a connection, which is kept if it is not closed."""
        self._pool.putconn(connection)

    def close(self) -> None:
        """Close all connections, and end the threads of the pool."""
        self._pool.close(timeout=1.0)
