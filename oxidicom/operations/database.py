"""CUBE's database as the operator's commands find it: that of the settings, or the embedded one while it runs."""

import contextlib
from collections.abc import Iterator, Sequence
from functools import partial

import msgspec

from oxidicom.cube.conninfo import display
from oxidicom.cube.database import Database
from oxidicom.embedded.server import conninfo_of_running, data_are_made
from oxidicom.errors import DatabaseUnavailableError
from oxidicom.operations.running_here import ports_here
from oxidicom.settings import EMBEDDED, Settings
from oxidicom.tree.series_files import describe_series
from oxidicom.tree.standing import require_files


class DatabaseState(msgspec.Struct):
    """Whether the database can be used."""

    name: str
    """Where it is, without any secret."""
    reachable: bool
    generation: str | None = None
    """Of its schema."""
    reason: str | None = None
    """Why it cannot be used."""
    grants: Sequence[str] = ()
    """Statements that would mend it."""


def conninfo_of(settings: Settings) -> str | None:
    """Return the connection string, or None when the embedded database does not run at present."""
    if settings.db_connection == EMBEDDED:
        return conninfo_of_running(settings.embedded_directory, settings.embedded_schema)
    return settings.db_connection


@contextlib.contextmanager
def database_of(settings: Settings) -> Iterator[Database]:
    """Give the database, to be closed at the end. Raise DatabaseUnavailableError."""
    conninfo = conninfo_of(settings)
    if conninfo is None:
        raise DatabaseUnavailableError(_why_there_is_none(settings))
    root = settings.files_root
    database = Database(conninfo, before_commit=partial(require_files, root), describe=partial(describe_series, root))
    try:
        yield database
    finally:
        database.close()


def _why_there_is_none(settings: Settings) -> str:
    if ports_here(settings.files_root):
        return (
            f"it is embedded, and does not run in {settings.embedded_directory}: a gateway runs on this storage; is "
            "STATE_DIRECTORY as that gateway has it?"
        )
    return "it is embedded, and runs only while the gateway does"


def database_has_files(settings: Settings) -> bool | None:
    """Tell whether the database knows PACS files; None when it cannot be asked."""
    try:
        if settings.db_connection == EMBEDDED and not data_are_made(settings.embedded_directory):
            return False  # it is made at the first start of a gateway
        with database_of(settings) as database:
            return database.has_files()
    except (DatabaseUnavailableError, OSError):
        return None


def state_of_database(settings: Settings) -> DatabaseState:
    """Try whether the database can be used."""
    name = display(settings.db_connection)
    try:
        with database_of(settings) as database:
            database.examine()
            return DatabaseState(name, True, database.traits().name)
    except DatabaseUnavailableError as error:
        return DatabaseState(name, False, reason=str(error), grants=error.grants)
