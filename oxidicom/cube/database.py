"""CUBE's database as the gateway uses it: one transaction for each batch, tried again where that may help.

It may be used from one thread and interrupted from another.
"""

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
from oxidicom.cube.rights import LackingGrants, lacking
from oxidicom.cube.rows import DescribeSeries, RowBatch, SeriesKey, SeriesWritten
from oxidicom.cube.session import USUAL_LIMITS, Session, TimeLimits
from oxidicom.cube.traits import Traits
from oxidicom.errors import DatabaseUnavailableError, NotMigratedError, RowRefusedError
from oxidicom.records import PacsFile, SeriesIdentity, SeriesValue

_TRIES = 5

_Answer = TypeVar("_Answer")


def _look_for_grants(generation: Generation, connection: Connection) -> LackingGrants:
    return LackingGrants(lacking(connection, generation.rights), lacking(connection, generation.useful_rights))


def _look_for_obstacles(generation: Generation, connection: Connection) -> tuple[LackingGrants, bool]:
    """Return what our user lacks of rights, and whether nothing can be written."""
    is_read_only = connection.execute("SELECT current_setting('transaction_read_only')::bool").fetchone() == (True,)
    return _look_for_grants(generation, connection), is_read_only


class Registered(NamedTuple):
    """What one call added."""

    new: list[str]
    """The names of the rows that are new."""
    known: int
    """Rows that were there already, or twice in the batch; they stay as they are."""
    held: frozenset[str] = frozenset()
    """Names of rows that cannot be registered yet, since CUBE deletes what they belong to."""
    odd_series: Sequence[SeriesWritten] = ()
    """Series that ended and are not registered as one would expect."""


class Database:
    """Registers files, over one connection. Nothing is opened before the first use."""

    def __init__(
        self,
        conninfo: str,
        limits: TimeLimits = USUAL_LIMITS,
        *,
        max_connections: int = 1,
        before_commit: Callable[[Sequence[PacsFile]], None] = lambda _: None,
        describe: DescribeSeries = lambda _: None,
    ) -> None:
        """`conninfo` is a libpq connection string or URL. Raise DatabaseUnavailableError when it cannot be parsed.

        `before_commit` is called with the files of all rows of a transaction at its last moment. What it raises undoes
        it. `describe` tells what the row of a series is to say.
        """
        self._before_commit = before_commit
        self._describe = describe
        self._session = Session(conninfo, limits, max_connections)

    def register(self, files: Sequence[PacsFile], values: Sequence[SeriesValue] = ()) -> Registered:
        """Insert `files`, then what is to be of `values` in the order given, and COMMIT: all or nothing.

        Raise DatabaseUnavailableError when the database cannot be used at present, RowRefusedError when a row is
        refused for what it holds. In both cases nothing was registered, or it may be registered again. Any other
        exception is a bug of ours or of the client library, about which the same holds.
        """
        for tries_left in reversed(range(_TRIES)):
            is_old = self._session.is_open
            try:
                return self._register(RowBatch(files, values, self._describe))
            except psycopg.Error as error:
                if not (tries_left and self._may_succeed(error, is_old)):
                    raise self._meaning(error) from error
            except UNSENDABLE as error:
                raise RowRefusedError(refusal_reason(error)) from error
        raise AssertionError("the last try returns or raises")

    def traits(self) -> Traits:
        """Return what the generation of the schema is like. Raise DatabaseUnavailableError."""
        return self._look(lambda generation, _: generation.traits)

    def lacking_grants(self) -> LackingGrants:
        """Return what our user lacks of rights. Raise DatabaseUnavailableError."""
        return self._look(_look_for_grants)

    def examine(self) -> None:
        """Raise DatabaseUnavailableError unless rows could be registered now, as far as it can be told without any."""
        grants, is_read_only = self._look(_look_for_obstacles)
        if is_read_only:
            raise DatabaseUnavailableError(
                "it only reads: a standby (in recovery), or default_transaction_read_only is on; name the primary"
            )
        if grants.needed:
            reason = f"the gateway's user lacks rights. To do, as the owner of the database: {' '.join(grants.needed)}"
            raise DatabaseUnavailableError(reason, grants=[*grants.needed, *grants.useful])

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

    def registered_series(self, series: Sequence[SeriesKey]) -> set[SeriesKey]:
        """Return those of `series` that have a row of their own. Raise DatabaseUnavailableError."""
        return self._read(lambda reader, connection: reader.registered_series(connection, series))

    def directories_without_series(self, directory: str, after: str, limit: int) -> list[str]:
        """Return up to `limit` directories below `directory` after `after` that lack the row of their series.

        Raise DatabaseUnavailableError.
        """
        return self._read(
            lambda reader, connection: reader.directories_without_series(connection, directory, after, limit)
        )

    def interrupt(self, after_seconds: float) -> None:
        """End a transaction that takes so long already. May be called from another thread at any time."""
        self._session.interrupt(after_seconds)

    def close(self) -> None:
        """Close the connection."""
        self._session.end()

    def _register(self, batch: RowBatch) -> Registered:
        rows = [*batch.files, *(value.file for value in batch.values)]
        with self._session.transaction(before_commit=partial(self._before_commit, rows)) as (generation, connection):
            written = generation.registrar.register(connection, batch)
        series = list(written.series)
        new = [*written.added, *(one.name for one in series if one.is_new)]
        odd = [one for one in series if one.oddity]
        return Registered(new, written.rows - len(new), frozenset(written.held), odd)

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

    def _may_succeed(self, error: psycopg.Error, is_old: bool) -> bool:
        """Tell whether the same transaction may succeed at once."""
        if can_be_tried_again(error) or self._session.lacks_reference(error):
            return True
        return self._is_otherwise_next_time(error, is_old)

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
