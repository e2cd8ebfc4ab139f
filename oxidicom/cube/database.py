"""CUBE's database as the gateway uses it: one transaction for each batch, tried again where that may help.

It may be used from one thread and interrupted from another.
"""

import contextlib
from collections.abc import Callable, Sequence
from functools import partial
from typing import NamedTuple, TypeVar

import psycopg

from oxidicom.cube.connections import Connection
from oxidicom.cube.faults import (
    UNSENDABLE,
    can_be_tried_again,
    is_of_pooler,
    may_be_outdated,
    outage_reason,
    refusal_reason,
    refuses_row,
    waited_for_lock,
)
from oxidicom.cube.generation import Generation, Reader, generation_of
from oxidicom.cube.rows import RowBatch
from oxidicom.cube.session import USUAL_LIMITS, Session, TimeLimits
from oxidicom.errors import DatabaseUnavailableError, NotMigratedError, RowRefusedError
from oxidicom.records import PacsFile, SeriesIdentity

_TRIES = 5

_Answer = TypeVar("_Answer")


class Registered(NamedTuple):
    """What one call added."""

    new: list[str]
    """The names of the rows that are new."""
    known: int
    """Rows that were there already, or twice in the batch; they stay as they are."""


class Database:
    """Registers files, over one connection. Nothing is opened before `open` or the first use."""

    def __init__(
        self,
        conninfo: str,
        limits: TimeLimits = USUAL_LIMITS,
        *,
        max_connections: int = 1,
        before_commit: Callable[[Sequence[PacsFile]], None] = lambda _: None,
    ) -> None:
        """`conninfo` is a libpq connection string or URL. Raise DatabaseUnavailableError when it cannot be parsed.

        `before_commit` is called with all rows of a transaction at its last moment. What it raises undoes it.
        """
        self._before_commit = before_commit
        self._session = Session(conninfo, limits, max_connections)

    def open(self) -> None:
        """Connect, so that the first rows need not wait for it. What is in the way is told at the first use."""
        with contextlib.suppress(psycopg.Error, DatabaseUnavailableError):
            self._session.open()

    def register(self, files: Sequence[PacsFile], metadata: Sequence[PacsFile] = ()) -> Registered:
        """Insert `files`, then `metadata` in the order given, and COMMIT: all or nothing.

        Raise DatabaseUnavailableError when the database cannot be used at present, RowRefusedError when a row is
        refused for what it holds. In both cases nothing was registered, or it may be registered again. Any other
        exception is a bug of ours or of the client library, about which the same holds.
        """
        for tries_left in reversed(range(_TRIES)):
            is_old = self._session.is_open
            try:
                return self._register(RowBatch(files, metadata))
            except psycopg.Error as error:
                if not (tries_left and (can_be_tried_again(error) or self._is_otherwise_next_time(error, is_old))):
                    raise self._meaning(error) from error
            except UNSENDABLE as error:
                raise RowRefusedError(refusal_reason(error)) from error
        raise AssertionError("the last try returns or raises")

    def generation_name(self) -> str:
        """Return the name of the generation of the schema. Raise DatabaseUnavailableError."""
        return self._look(lambda generation, _: generation.name)

    def has_files(self) -> bool:
        """Tell whether any PACS file is registered; none is when CUBE has not made its tables yet.

        Raise DatabaseUnavailableError when it cannot be told.
        """
        try:
            return self._read(lambda reader, connection: reader.any_file(connection))
        except NotMigratedError:
            return False

    def names_below(self, directory: str, after: str, limit: int) -> list[str]:
        """Return up to `limit` names below `directory` that come after `after`, in the order of their bytes.

        So all of them can be gone through in short transactions. Raise DatabaseUnavailableError.
        """
        return self._read(lambda reader, connection: reader.names_below(connection, directory, after, limit))

    def count_below(self, directory: str) -> int:
        """Return the number of names below `directory`. Raise DatabaseUnavailableError."""
        return self._read(lambda reader, connection: reader.count_below(connection, directory))

    def known(self, names: Sequence[str]) -> set[str]:
        """Return those of `names` that are registered. Raise DatabaseUnavailableError."""
        return self._read(lambda reader, connection: reader.known(connection, names))

    def series_below(self, directory: str) -> list[SeriesIdentity]:
        """Return the different series below `directory`, two at most. Raise DatabaseUnavailableError."""
        return self._read(lambda reader, connection: reader.series_below(connection, directory))

    def interrupt(self, after_seconds: float) -> None:
        """End a transaction that takes so long already. May be called from another thread at any time."""
        self._session.interrupt(after_seconds)

    def close(self) -> None:
        """Close the connection."""
        self._session.end()

    def _register(self, batch: RowBatch) -> Registered:
        rows = [*batch.files, *batch.metadata]
        with self._session.transaction(before_commit=partial(self._before_commit, rows)) as (generation, connection):
            added = generation.registrar.register(connection, batch)
        new = [name for cursor in added for (name,) in cursor]
        return Registered(new, len(rows) - len(new))

    def _read(self, ask: Callable[[Reader, Connection], _Answer]) -> _Answer:
        return self._look(lambda generation, connection: ask(generation.reader, connection))

    def _look(self, ask: Callable[[Generation, Connection], _Answer]) -> _Answer:
        while True:
            is_old = self._session.is_open
            try:
                with self._session.transaction(reading=True) as (_, connection):
                    return ask(generation_of(connection), connection)  # looked for anew: CUBE may migrate
            except psycopg.Error as error:
                if not self._is_otherwise_next_time(error, is_old):
                    raise DatabaseUnavailableError(outage_reason(error, self._session.meaning_of)) from error

    def _is_otherwise_next_time(self, error: psycopg.Error, is_old: bool) -> bool:
        """Tell whether a new connection may be without `error`. `is_old`: that one was made for an earlier call."""
        if is_of_pooler(error) and self._session.may_prepare:
            self._session.stop_preparing()
            return True
        return is_old and may_be_outdated(error)

    def _meaning(self, error: psycopg.Error) -> RowRefusedError | DatabaseUnavailableError:
        if refuses_row(error):
            return RowRefusedError(refusal_reason(error), error.sqlstate)
        reason = outage_reason(error, self._session.meaning_of)
        return DatabaseUnavailableError(reason, has_waited=waited_for_lock(error))
