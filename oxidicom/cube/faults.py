"""What an error of the database means: a row that is refused, something to try again, or a database that is away.

Errors are told by SQLSTATE, column and constraint. The server's texts are not passed on: their DETAIL holds values.
A row is refused only for what it holds. What is the matter with the database itself is waited for, however long.
"""

from collections.abc import Callable, Collection

import psycopg

from oxidicom.errors import FilesGoneError, RowRefusedError

_CLASS_DATA = "22"
_CLASS_INTEGRITY = "23"
_CLASS_STATEMENT = "42"
"""Syntax error or access rule violation: our statements are always the same, so the tables are not."""
_NOT_NULL = "23502"
_FOREIGN_KEY = "23503"
_UNIQUE = "23505"
_NO_RIGHTS = "42501"
_LOCKED = "55P03"
_CANCELLED = "57014"

_OF_THE_DATABASE = {"22023", "2200H", _FOREIGN_KEY}
"""In the classes of rows, but never a row's fault: a setting that is not taken, no more ids, a reference to nothing."""
_TRY_AGAIN = {"40001", "40P01", _FOREIGN_KEY}  # serialization failure, deadlock
_POOLED = {"42P05", "26000"}
"""A prepared statement is there already, or is not there."""
_CHANGED_PLAN = "0A000"
_LOST = {"57P01", "57P02", "57P05", "25P03"}
"""The server ended the connection: shut down, crashed, or it was idle for too long."""
_NULLABLE = {"PatientAge", "PatientBirthDate"}
"""All that a row may leave empty. Whatever else lacks a value, the gateway does not know the column."""

_REASONS = {
    "08P01": "a pooler in front of it reports an error: does PostgreSQL run behind it, with a connection left?",
    "22021": "it holds text that is not UTF-8",
    "2200H": "the ids of its table are used up",
    "25006": "it is read-only (a standby, or failing over)",
    "42P05": "a pooler in front of it mixes up prepared statements",
    "42P01": "it has no tables for PACS files",
    "53100": "its disk is full",
    "53300": "it has no connection left",
    "57P01": "it is shutting down",
    "57P03": "it is starting up",
    "26000": "a pooler in front of it mixes up prepared statements",
    "28P01": "the password is wrong",
    "28000": "it refuses this user",
    "3D000": "there is no database of that name",
    _FOREIGN_KEY: "the PACS or the folder of a row is deleted again and again",
    _LOCKED: "a table is locked by somebody else, by a migration for instance; it goes on when the lock is released",
    _CANCELLED: "it took too long and was stopped: it is overloaded, or something in it is locked",
}
_TABLES_CHANGED = "its tables have changed; they are looked at again"

_REFUSALS = {
    "22001": "a value is too long",
    "22021": "a character cannot be stored",
    "22P05": "the encoding of the database has no such character",
}


def refuses_row(error: psycopg.Error) -> bool:
    """Tell whether `error` is about the content of a row, on the side of the server or of the client library."""
    state = error.sqlstate
    if not state:
        return isinstance(error, psycopg.DataError)
    if state in _OF_THE_DATABASE or wants_unknown_column(error) or _is_id_taken(error):
        return False
    return state[:2] in (_CLASS_DATA, _CLASS_INTEGRITY)


def can_be_tried_again(error: psycopg.Error) -> bool:
    """Tell whether the same transaction may succeed if it is simply repeated.

    A PACS or a folder may be deleted before COMMIT (constraints are deferred). For what is deleted before the rows that
    refer to it are inserted there is `lacks_reference`.
    """
    return error.sqlstate in _TRY_AGAIN


def may_be_outdated(error: psycopg.Error) -> bool:
    """Tell whether `error` may come from an old connection only: it is lost, or the tables are others since then."""
    state = error.sqlstate
    if not state:
        return isinstance(error, psycopg.OperationalError)
    return state in _LOST or state == _CHANGED_PLAN or schema_changed(error)


def is_of_pooler(error: psycopg.Error) -> bool:
    """Tell whether a pooler gave a transaction to a server that has not, or has others of, our prepared statements."""
    return error.sqlstate in _POOLED


def waited_for_lock(error: psycopg.Error) -> bool:
    """Tell whether the time for a lock is over."""
    return error.sqlstate == _LOCKED


def leaves_connection_sound(error: BaseException) -> bool:
    """Tell whether the connection and what is known of the database can be used after `error`."""
    if isinstance(error, psycopg.Error):
        return refuses_row(error) or error.sqlstate in {_LOCKED, _CANCELLED, "40001", "40P01"}
    return isinstance(error, (*UNSENDABLE, FilesGoneError, RowRefusedError))


UNSENDABLE = (UnicodeEncodeError, OverflowError)
"""What the client library raises, beside its own errors, for a value that it cannot send."""


def refusal_reason(error: Exception) -> str:
    """Describe why a row is refused, without its values."""
    if not isinstance(error, psycopg.Error) or not error.sqlstate:
        return f"the row cannot be sent ({type(error).__name__})"
    place = error.diag.column_name or error.diag.constraint_name
    state = f"SQLSTATE {error.sqlstate}" + (f" at {place}" if place else "")
    sentence = _REFUSALS.get(error.sqlstate)
    return f"{sentence} ({state})" if sentence else state


def outage_reason(error: Exception, meaning_of: Callable[[psycopg.Error], str | None] = lambda _: None) -> str:
    """Describe why the database cannot be used, without its values or its password.

    `meaning_of` says what an error means in the tables that it has, if it means something special there.
    """
    if isinstance(error, psycopg.Error) and error.sqlstate:
        sentence = _usual_meaning(error, error.sqlstate) or meaning_of(error) or _any_meaning(error)
        return f"{sentence} (SQLSTATE {error.sqlstate})"
    if isinstance(error, (OSError, MemoryError)):
        return f"this machine has run out of something: {getattr(error, 'strerror', None) or 'memory'}"
    text = " ".join(str(error).split())
    for sign, reason in _SIGNS:
        if sign in text:
            return reason
    return f"it cannot be reached ({type(error).__name__})"


def _usual_meaning(error: psycopg.Error, state: str) -> str | None:
    """Say what an error means whatever the tables are."""
    if _is_id_taken(error):
        return "it gives out ids that are taken: set its sequences behind the highest ids (setval)"
    return _REASONS.get(state)


def _any_meaning(error: psycopg.Error) -> str:
    """Say something of an error that the tables do not explain either: it may be that they are not known."""
    if lacks_rights(error):
        return "the gateway's user may not use its tables"
    return _TABLES_CHANGED if schema_changed(error) else "it reports an error"


def schema_changed(error: psycopg.Error) -> bool:
    """Tell whether the tables are not those that our statements are for."""
    state = error.sqlstate or ""
    return (state.startswith(_CLASS_STATEMENT) and state != _NO_RIGHTS) or wants_unknown_column(error)


def lacks_rights(error: psycopg.Error) -> bool:
    """Tell whether the user of the gateway may not do what a statement does."""
    return error.sqlstate == _NO_RIGHTS


def lacks_reference(error: psycopg.Error, references: Collection[str]) -> bool:
    """Tell whether another row that a row names, in one of the columns `references`, is not there."""
    return error.sqlstate == _NOT_NULL and error.diag.column_name in references


def wants_unknown_column(error: psycopg.Error) -> bool:
    """Tell whether a column that the gateway does not write wants a value."""
    return error.sqlstate == _NOT_NULL and error.diag.column_name not in _NULLABLE


def _is_id_taken(error: psycopg.Error) -> bool:
    """A table was filled with the ids of a copy, and its sequence begins anew."""
    return error.sqlstate == _UNIQUE and (error.diag.constraint_name or "").endswith("_pkey")


# What libpq says without a SQLSTATE. Its whole text is not passed on: it may quote the connection string.
_SIGNS = (
    ("root certificate file", "the file with the certificate of its issuer (sslrootcert) cannot be used"),
    ("certificate file", "the file with the gateway's certificate (sslcert) cannot be used"),
    ("private key file", "the file with the gateway's key (sslkey) cannot be used"),
    ("certificate verify failed", "its certificate is not from an issuer that sslrootcert names, or has expired"),
    ("does not match host name", "its certificate is that of another host name"),
    ("does not support SSL", "it has no TLS, which sslmode asks for"),
    ("pg_hba.conf", "its pg_hba.conf does not let this user of this database in from this host, with or without TLS"),
    ("connection slots are reserved", "it has no connection left"),
    ("not permitted to log in", "its user may not log in (ALTER ROLE … LOGIN)"),
    ("Too many open files", "this machine has run out of something: Too many open files"),
    ("Connection refused", "it refuses connections: is it running, and are host and port right?"),
    ("timeout", "it does not answer"),
    ("timed out", "it does not answer"),
    ("resolve", "its host name cannot be resolved"),
    ("No such file", "its socket is not there: is it running?"),
    ("password authentication failed", "the password is wrong"),
    ("no password supplied", "it wants a password, and none is given"),
    ("does not exist", "there is no database or user of that name"),
    ("too many", "it has no connection left"),
    ("no more connections", "it has no connection left"),
    ("starting up", "it is starting up"),
    ("shutting down", "it is shutting down"),
    ("recovery", "it is in recovery"),
    ("closed the connection", "it closed the connection"),
    ("Network is unreachable", "its network cannot be reached"),
    ("No route", "its network cannot be reached"),
)
